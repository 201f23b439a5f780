//! Requests to which a fault happens.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use futures::future;
use http::{Method, header};
use tokio::runtime::Handle;

use super::{
    fault::Kind,
    front::{Asked, Front, Gone},
    reply::{Reply, document},
};

impl Front {
    /// Carries out the request, with its fault before, after or instead of it.
    pub(super) async fn faulty(
        self: &Arc<Self>,
        asked: &Asked,
        reset: &Arc<AtomicBool>,
    ) -> Result<Reply, Gone> {
        let injected = "A fault of the test.";
        let Some(kind) = &asked.fault else { return Ok(self.carried_out(asked).await) };
        Ok(match kind {
            Kind::Error { status, code, retry_after } => {
                let reply = Reply::error(*status, code, injected);
                match retry_after {
                    Some(seconds) => reply.with("retry-after", &seconds.to_string()),
                    None => reply,
                }
            }
            Kind::ErrorAfter { status, code } => {
                self.carried_out(asked).await;
                Reply::error(*status, code, injected)
            }
            Kind::ErrorInside { code } => Self::inside(code),
            Kind::ErrorInsideAfter { code } => {
                self.carried_out(asked).await;
                Self::inside(code)
            }
            Kind::Swallowed => match asked.parts.method {
                Method::DELETE => Reply::new(204),
                Method::PUT => Reply::new(200).with("etag", &format!("\"{}\"", asked.body.md5())),
                _ => Reply::new(200),
            },
            Kind::Close => return Err(Gone),
            Kind::CloseAfter => {
                self.carried_out(asked).await;
                return Err(Gone);
            }
            Kind::Reset | Kind::ResetReading { .. } => {
                reset.store(true, Ordering::Release);
                return Err(Gone);
            }
            Kind::ResetAfter => {
                self.carried_out(asked).await;
                reset.store(true, Ordering::Release);
                return Err(Gone);
            }
            Kind::Hang => future::pending().await,
            Kind::HangAfter => {
                self.carried_out(asked).await;
                future::pending().await
            }
            Kind::Twice { late } => {
                let (front, again, late) = (Arc::clone(self), asked.again(), *late);
                Handle::current().spawn(async move {
                    tokio::time::sleep(late).await;
                    front.carried_out(&again).await;
                });
                self.carried_out(asked).await
            }
            Kind::Delay(wait) => {
                tokio::time::sleep(*wait).await;
                self.carried_out(asked).await
            }
            Kind::PermanentRedirect { region } => {
                let message = "The bucket you are attempting to access must be addressed elsewhere.";
                Reply::error(301, "PermanentRedirect", message).with("x-amz-bucket-region", region)
            }
            Kind::Flipped { .. } | Kind::Shifted { .. } | Kind::Doubled | Kind::RangeIgnored => {
                let mut reply = self.carried_out(asked).await;
                if reply.status.is_success() {
                    self.spoilt(&mut reply, &asked.target.key, kind);
                }
                reply
            }
            _ => self.carried_out(asked).await,
        })
    }

    fn inside(code: &str) -> Reply {
        let mut reply = Reply::new(200).with("content-type", "application/xml");
        reply.body = document(code, "A fault of the test.").into();
        reply
    }

    /// Spoils the body of an answer that succeeded.
    fn spoilt(&self, reply: &mut Reply, key: &str, kind: &Kind) {
        let stored = self.shared.store.lock().unwrap().objects.get(key).map(|object| object.data.clone());
        let whole = stored.unwrap_or_default().to_bytes();
        let range = reply.headers.get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let start = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok());
        let mut body = reply.body.to_bytes().to_vec();
        match kind {
            Kind::Flipped { at } if !body.is_empty() => {
                let at = (*at).min(body.len() - 1);
                body[at] ^= 1;
            }
            Kind::Shifted { by } if !whole.is_empty() => {
                let from = start.unwrap_or(0_usize) + by;
                for (at, byte) in body.iter_mut().enumerate() {
                    *byte = whole[(from + at) % whole.len()];
                }
            }
            Kind::Doubled => body.extend_from_slice(&reply.body.to_bytes()),
            Kind::RangeIgnored => {
                body = whole.to_vec();
                reply.status = http::StatusCode::OK;
                reply.headers.remove(header::CONTENT_RANGE);
            }
            _ => {}
        }
        reply.body = Bytes::from(body).into();
    }
}
