//! Answers, and the ways to send one badly.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};

use super::{
    content::Content,
    fault::{Kind, Length},
    text::escape,
};

pub(super) type Sent = http::Response<UnsyncBoxBody<Bytes, io::Error>>;

/// The time for written bytes to reach the wire before the connection ends.
const FLUSH: Duration = Duration::from_millis(30);

/// An answer with its complete body.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Content,
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a fault has a status of HTTP");
        Self { status, headers: HeaderMap::new(), body: Content::default() }
    }

    /// An error with its document, or without one if there is no code.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let mut reply = Self::new(status);
        if !code.is_empty() {
            reply.body = document(code, message).into();
            reply.set("content-type", "application/xml");
        }
        reply
    }

    pub(super) fn set(&mut self, name: &'static str, value: &str) {
        self.headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Removes the quotes from every ETag.
    pub(super) fn unquote(&mut self) {
        if let Some(etag) = self.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok()) {
            let bare = etag.trim_matches('"').to_owned();
            self.set("etag", &bare);
        }
        let xml = self.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/xml");
        if xml && let Ok(mut bare) = String::from_utf8(self.body.to_bytes().to_vec()) {
            for quote in ["&quot;", "\""] {
                bare = bare.replace(&format!("<ETag>{quote}"), "<ETag>");
                bare = bare.replace(&format!("{quote}</ETag>"), "</ETag>");
            }
            self.body = Bytes::from(bare).into();
        }
    }

    /// The answer for hyper. For HEAD, the headers describe the body that is not sent.
    pub(super) fn send(mut self, head: bool, fault: Option<&Kind>, reset: &Arc<AtomicBool>) -> Sent {
        if head {
            self.body = Content::default();
            return self.sent(Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync());
        }
        let whole = self.body.len();
        let mut length = Some(whole);
        let body = match fault {
            Some(Kind::Truncated { keep, length: kind }) => {
                let kept = (*keep).min(whole);
                length = match kind {
                    Length::Announced => length,
                    Length::Honest => Some(kept),
                    Length::Chunked => None,
                };
                ending(self.body.slice(0..kept).to_bytes(), None)
            }
            Some(Kind::ResetSending { after }) => {
                ending(self.body.slice(0..(*after).min(whole)).to_bytes(), Some(Arc::clone(reset)))
            }
            Some(Kind::Trickle { piece, pause }) => trickle(self.body.to_bytes(), *piece, *pause),
            _ => std::mem::take(&mut self.body).into_frames(),
        };
        self.headers.remove(header::CONTENT_LENGTH);
        if let Some(length) = length.filter(|_| self.status != StatusCode::NOT_MODIFIED) {
            self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if self.status == StatusCode::NO_CONTENT {
            self.headers.remove(header::CONTENT_LENGTH);
        }
        self.sent(body)
    }

    fn sent(self, body: UnsyncBoxBody<Bytes, io::Error>) -> Sent {
        let mut response = http::Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

pub(super) fn document(code: &str, message: &str) -> Bytes {
    let (code, message) = (escape(code), escape(message));
    Bytes::from(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         <RequestId>emulator</RequestId></Error>"
    ))
}

/// Bytes and then the end, which is a reset if there is a flag to set for it.
fn ending(bytes: Bytes, reset: Option<Arc<AtomicBool>>) -> UnsyncBoxBody<Bytes, io::Error> {
    let first = stream::iter((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))));
    let last = stream::once(async move {
        tokio::time::sleep(FLUSH).await;
        let reset = reset?;
        reset.store(true, Ordering::Release);
        Some(Err(io::Error::from(io::ErrorKind::ConnectionReset)))
    });
    StreamBody::new(first.chain(last.filter_map(futures::future::ready))).boxed_unsync()
}

fn trickle(bytes: Bytes, piece: usize, pause: Duration) -> UnsyncBoxBody<Bytes, io::Error> {
    let pieces = stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let next = rest.split_to(piece.clamp(1, rest.len()));
        Some((Ok(Frame::data(next)), rest))
    });
    StreamBody::new(pieces).boxed_unsync()
}
