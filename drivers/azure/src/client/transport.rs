//! The SDK's requests over the driver's own connections (ADR 0023).

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use azure_core::{
    Error, Result,
    error::ErrorKind,
    http::{
        AsyncRawResponse, Body as SdkBody, HttpClient as SdkHttpClient, Request, StatusCode,
        headers::{HeaderName, HeaderValue, Headers},
    },
    stream::SeekableStream,
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http_body::{Body, Frame, SizeHint};
use plugin_registry_drivers_objects::connections::{HttpClient, Limits, ResponseBody};

/// The most bytes of an answer that is not a blob: a page of 5000 names of 1024 characters, and a list of
/// 50,000 blocks, have less.
const MAX_ANSWER: u64 = 32 << 20;
/// The factor by which the store may take longer to begin its answer to a copy, or to making a blob of its
/// blocks.
const LONG: u32 = 10;

/// Sends the SDK's requests.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) connections: HttpClient<RequestBody>,
    pub(super) limits: Limits,
}

#[async_trait]
impl SdkHttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> Result<AsyncRawResponse> {
        let wrong = |what| move |error| Error::with_error(ErrorKind::Other, error, what);
        let mut sent = http::Request::builder().method(request.method().as_ref()).uri(request.url().as_str());
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        let sent = sent.body(RequestBody::new(request.body().clone()));
        let sent = sent.map_err(wrong("a request that cannot be sent"))?;
        let kind = Kind::of(request);
        let limits = Limits { answer: self.limits.answer * kind.patience(), ..self.limits };
        let most = |status: http::StatusCode| kind.most(status.is_success());
        let answer = self.connections.send(sent, limits, most, |_| {}).await;
        let (head, body) = answer.map_err(|error| Error::new(ErrorKind::Io, error))?.into_parts();
        Ok(AsyncRawResponse::new(
            StatusCode::from(head.status.as_u16()),
            headers(&head.headers),
            pieces(body),
        ))
    }
}

/// What the limits of a request depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A successful answer is the bytes of a blob, however many.
    Download,
    /// The store may work for minutes before it answers.
    Long,
    Other,
}

impl Kind {
    fn of(request: &Request) -> Self {
        let operation = request.url().query_pairs().find(|(name, _)| name == "comp").map(|(_, value)| value);
        let is_copy = request.headers().iter().any(|(name, _)| name.as_str() == "x-ms-copy-source");
        match (request.method().as_ref(), operation.as_deref()) {
            ("GET", None) => Self::Download,
            ("PUT", Some("blocklist")) => Self::Long,
            ("PUT", _) if is_copy => Self::Long,
            _ => Self::Other,
        }
    }

    fn patience(self) -> u32 {
        if self == Self::Long { LONG } else { 1 }
    }

    fn most(self, is_success: bool) -> u64 {
        if self == Self::Download && is_success { u64::MAX } else { MAX_ANSWER }
    }
}

/// The headers of an answer, without those that are not text.
fn headers(found: &http::HeaderMap) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in found {
        if let Ok(value) = value.to_str() {
            headers.insert(HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value.to_owned()));
        }
    }
    headers
}

fn pieces(body: ResponseBody) -> Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>> {
    stream::unfold(Some(body), |body| async move {
        let mut body = body?;
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await?;
            match frame.map(Frame::into_data) {
                Ok(Ok(piece)) => return Some((Ok(piece), Some(body))),
                Ok(Err(_trailers)) => {}
                // The rest cannot be read.
                Err(error) => return Some((Err(Error::new(ErrorKind::Io, error)), None)),
            }
        }
    })
    .boxed()
}

/// The body of a request.
#[derive(Debug)]
pub(super) enum RequestBody {
    Bytes(Bytes),
    Stream { stream: Box<dyn SeekableStream>, left: Option<u64> },
}

impl RequestBody {
    fn new(body: SdkBody) -> Self {
        match body {
            SdkBody::Bytes(bytes) => Self::Bytes(bytes),
            SdkBody::SeekableStream(stream) => Self::Stream { left: stream.len(), stream },
        }
    }

    fn left(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Stream { left, .. } => *left,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Error>>> {
        match &mut *self {
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream { stream, left } => {
                let piece = Pin::new(&mut **stream).poll_next(cx);
                piece.map(|piece| {
                    piece.map(|piece| {
                        let piece = piece?;
                        *left = left.map(|left| left.saturating_sub(piece.len() as u64));
                        Ok(Frame::data(piece))
                    })
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The limits that the settings give.
pub(super) fn limits(idle: Duration, answer: Duration) -> Limits {
    Limits { connect: Duration::from_secs(10), idle, answer }
}

#[cfg(test)]
mod tests {
    use azure_core::http::Method;

    use super::*;

    #[test]
    fn what_works_long_may_answer_late() {
        for (method, query, copies, expected) in [
            (Method::Get, "", false, Kind::Download),
            (Method::Get, "?sv=2026&sig=x", false, Kind::Download),
            (Method::Get, "?restype=container&comp=list", false, Kind::Other),
            (Method::Get, "?comp=blocklist", false, Kind::Other),
            (Method::Put, "", false, Kind::Other),
            (Method::Put, "?comp=block&blockid=x", false, Kind::Other),
            (Method::Put, "?comp=blocklist", false, Kind::Long),
            (Method::Put, "", true, Kind::Long),
            (Method::Head, "", false, Kind::Other),
        ] {
            let url = format!("https://a.blob.core.windows.net/c/b{query}").parse().unwrap();
            let mut request = Request::new(url, method);
            if copies {
                request.insert_header("x-ms-copy-source", "https://a.blob.core.windows.net/c/other");
            }
            let kind = Kind::of(&request);
            assert_eq!(kind, expected, "{method} {query}");
            assert_eq!(kind.most(true) == u64::MAX, kind == Kind::Download);
            assert_eq!(kind.most(false), MAX_ANSWER);
        }
    }
}
