//! The layer around `s3s`: counts, waits, and does what is asked to go wrong.

use std::{
    convert::identity,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Method, Request, request::Parts};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use s3s::{Body, service::S3Service};
use tokio::runtime::Handle;

use super::{
    content::Content,
    fault::{Fault, Kind},
    log::Ticket,
    operation::{Target, target},
    reply::{Reply, Sent},
    shared::Shared,
    text::{http_date, keys_of},
};

/// There is no answer: the connection ends.
#[derive(Debug)]
pub(super) struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ends without an answer")
    }
}

impl std::error::Error for Gone {}

pub(super) struct Front {
    pub(super) shared: Arc<Shared>,
    pub(super) service: S3Service,
}

/// Closes the log's entry, also if the client leaves.
struct Running {
    shared: Arc<Shared>,
    ticket: Ticket,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.log.lock().unwrap().end(self.ticket);
    }
}

/// A request that was read whole.
pub(super) struct Asked {
    pub(super) target: Target,
    pub(super) parts: Parts,
    pub(super) body: Content,
    pub(super) fault: Option<Kind>,
}

impl Front {
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        reset: Arc<AtomicBool>,
    ) -> Result<Sent, Gone> {
        let (parts, body) = request.into_parts();
        let mut target = target(&parts.method, &parts.uri, &parts.headers);
        let query = parts.uri.query().unwrap_or_default();
        let ticket = self.shared.log.lock().unwrap().begin(&target, query, parts.headers.clone());
        let running = Running { shared: Arc::clone(&self.shared), ticket };
        // The keys of a batch are in its body. Any other request may be hit before its body is read.
        let batch = target.operation == "DeleteObjects";
        let mut fault = if batch { None } else { self.fault(&target) };
        let body = match &fault {
            Some(Kind::ResetReading { after }) => read(body, *after).await,
            _ => read(body, usize::MAX).await,
        };
        if matches!(fault, Some(Kind::ResetReading { .. })) {
            self.note(ticket, |request| request.faulty = true);
            reset.store(true, Ordering::Release);
            return Err(Gone);
        }
        let body = body.ok_or(Gone)?;
        if batch {
            target.key = keys_of(&String::from_utf8_lossy(&body.to_bytes()));
            fault = self.fault(&target);
        }
        self.note(ticket, |request| {
            request.bytes_in = body.len() as u64;
            request.key.clone_from(&target.key);
            request.faulty = fault.is_some();
        });
        let asked = Asked { target, parts, body, fault };
        let front = Arc::clone(&self);
        let work = async move {
            let _running = running;
            front.handled(asked, ticket, &reset).await
        };
        if self.shared.orphans {
            return Handle::current().spawn(work).await.map_err(|_| Gone).and_then(identity);
        }
        work.await
    }

    fn fault(&self, target: &Target) -> Option<Kind> {
        Fault::take(&mut self.shared.faults.lock().unwrap(), target.operation, &target.key)
    }

    fn note(&self, ticket: Ticket, change: impl FnOnce(&mut super::log::Request)) {
        self.shared.log.lock().unwrap().change(ticket, change);
    }

    async fn handled(
        self: Arc<Self>,
        asked: Asked,
        ticket: Ticket,
        reset: &Arc<AtomicBool>,
    ) -> Result<Sent, Gone> {
        let latency = *self.shared.latency.lock().unwrap();
        if latency > Duration::ZERO {
            tokio::time::sleep(latency).await;
        }
        let head = asked.parts.method == Method::HEAD;
        let mut reply = match self.refused(&asked) {
            Some(reply) => reply,
            None => self.faulty(&asked, reset).await?,
        };
        if asked.fault == Some(Kind::UnquotedETag) || self.shared.quirks.lock().unwrap().unquoted_etags {
            reply.unquote();
        }
        reply.set("date", &http_date(self.shared.now()));
        let quirks = self.shared.quirks.lock().unwrap().clone();
        reply.set("server", quirks.server.unwrap_or("emulator"));
        let operation = asked.target.operation;
        let is_of_an_object = matches!(
            operation,
            "PutObject"
                | "CopyObject"
                | "CompleteMultipartUpload"
                | "DeleteObject"
                | "GetObject"
                | "HeadObject"
        );
        if quirks.has_versions() && is_of_an_object && reply.status.is_success() {
            reply.set("x-amz-version-id", &format!("v{}", ticket.number()));
            if quirks.retention && matches!(operation, "GetObject" | "HeadObject") {
                reply.set("x-amz-object-lock-mode", "COMPLIANCE");
                reply.set("x-amz-object-lock-retain-until-date", "2099-01-01T00:00:00.000Z");
            }
        }
        reply.set("x-amz-request-id", &format!("{:016X}", ticket.number()));
        self.note(ticket, |request| {
            request.status = reply.status.as_u16();
            request.bytes_out = if head { 0 } else { reply.body.len() as u64 };
        });
        Ok(reply.send(head, asked.fault.as_ref(), reset))
    }

    pub(super) async fn carried_out(&self, asked: &Asked) -> Reply {
        let mut request = Request::from_parts(asked.parts.clone(), asked.body.clone().into_body());
        if let Some(kind) = asked.fault.clone().filter(Kind::is_of_the_store) {
            request.extensions_mut().insert(kind);
        }
        let response = match self.service.call(request).await {
            Ok(response) => response,
            Err(error) => return Reply::error(500, "InternalError", &format!("{error:?}")),
        };
        let (parts, body) = response.into_parts();
        match collected(body).await {
            Ok(body) => Reply { status: parts.status, headers: parts.headers, body },
            Err(error) => Reply::error(500, "InternalError", &error.to_string()),
        }
    }
}

impl Asked {
    pub(super) fn again(&self) -> Self {
        let (parts, body) = (self.parts.clone(), self.body.clone());
        Self { target: self.target.clone(), parts, body, fault: None }
    }
}

/// Reads a body, or this many bytes of it. Returns `None` if the client left.
async fn read(mut body: Incoming, most: usize) -> Option<Content> {
    let mut content = Content::default();
    while content.len() < most {
        let Some(frame) = body.frame().await else { break };
        if let Ok(piece) = frame.ok()?.into_data() {
            content.push(piece);
        }
    }
    Some(content)
}

/// The body of an answer.
async fn collected(mut body: Body) -> Result<Content, s3s::StdError> {
    let mut content = Content::default();
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame?.into_data() {
            content.push(piece);
        }
    }
    Ok(content)
}
