//! Requests that HTTP/1.1 has a server refuse, and that hyper lets through; and how a refusal is answered.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use plugin_registry::{Body, ErrorCode};
use serde_json::json;

/// The status for a request that is refused before the registry sees it.
pub(super) fn refusal<B>(request: &Request<B>) -> Option<StatusCode> {
    if request.version() == Version::HTTP_11 && request.headers().get_all(header::HOST).iter().count() != 1 {
        // RFC 9112, section 3.2: without exactly one Host, intermediaries and we may mean different requests.
        return Some(StatusCode::BAD_REQUEST);
    }
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    let is_understood = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    // RFC 9112, section 6.1: hyper undoes the last coding alone, and the bytes of the others would be stored.
    (!is_understood).then_some(StatusCode::NOT_IMPLEMENTED)
}

/// The answer to it, after which the connection ends: where the next request would begin is not sure.
pub(super) fn answer(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The answer to a request that may not be made. Its body is left unread, so the connection ends.
pub(super) fn denied(reason: &str) -> Response<Body> {
    let mut response = error(StatusCode::FORBIDDEN, ErrorCode::Denied, reason);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The answer to a request that most clients repeat (ADR 0027).
pub(super) fn busy() -> Response<Body> {
    let reason = "too many large answers are waiting for clients that do not read them";
    let mut response = error(StatusCode::TOO_MANY_REQUESTS, ErrorCode::Unavailable, reason);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// An error as the specification writes it.
fn error(status: StatusCode, code: ErrorCode, reason: &str) -> Response<Body> {
    let text = format!("{}\n", json!({"errors": [{"code": code.as_str(), "message": reason}]}));
    let mut response = Response::new(Body::from(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused() {
        let status = |version, headers: &[(&str, &str)]| {
            let mut request = Request::builder().version(version);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            refusal(&request.body(()).unwrap()).map(|status| status.as_u16())
        };
        let (host, chunked) = (("host", "x"), ("transfer-encoding", "Chunked"));
        for (headers, expected) in [
            (&[host][..], None),
            (&[], Some(400)),
            (&[host, host], Some(400)),
            (&[host, chunked], None),
            (&[host, chunked, chunked], Some(501)),
            (&[host, ("transfer-encoding", "gzip, chunked")], Some(501)),
            (&[host, ("transfer-encoding", "chunked, chunked")], Some(501)),
        ] {
            assert_eq!(status(Version::HTTP_11, headers), expected, "{headers:?}");
        }
        assert_eq!(status(Version::HTTP_10, &[]), None, "HTTP/1.0 has no Host");
    }
}
