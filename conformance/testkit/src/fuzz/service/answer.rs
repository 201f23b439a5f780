//! Answers, and what holds for every one of them.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use plugin_registry::{Body, Registry};
use serde_json::Value;
use tower_service::Service;

use plugin_registry_conformance::registry::body::RequestBody;

/// The codes of the specification and of distribution, each with the statuses that it may have.
const CODES: &[(&str, &[u16])] = &[
    ("BLOB_UNKNOWN", &[404]),
    ("BLOB_UPLOAD_INVALID", &[400, 404]),
    ("BLOB_UPLOAD_UNKNOWN", &[404]),
    ("DENIED", &[403]),
    ("DIGEST_INVALID", &[400]),
    ("MANIFEST_BLOB_UNKNOWN", &[400]),
    ("MANIFEST_INVALID", &[400, 413]),
    ("MANIFEST_UNKNOWN", &[404]),
    ("NAME_INVALID", &[400]),
    ("NAME_UNKNOWN", &[404]),
    ("PAGINATION_NUMBER_INVALID", &[400]),
    ("RANGE_INVALID", &[416]),
    ("SIZE_INVALID", &[400]),
    ("TAG_INVALID", &[400]),
    ("TOOMANYREQUESTS", &[429]),
    ("UNAVAILABLE", &[429, 503, 507]),
    ("UNKNOWN", &[500]),
    ("UNSUPPORTED", &[400, 404, 405]),
];

/// An error names what was wrong, but does not send the request back.
const MAX_ERROR: usize = 32 * 1024;

/// An answer, read to its end.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::fuzz) struct Answer {
    pub(in crate::fuzz) status: u16,
    pub(in crate::fuzz) headers: HeaderMap,
    pub(in crate::fuzz) body: Bytes,
    /// Why the body broke off.
    pub(in crate::fuzz) broken: Option<String>,
}

impl Answer {
    /// A header's text.
    pub(in crate::fuzz) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Sends a request and reads the answer.
pub(in crate::fuzz) async fn call(registry: &Registry, request: Request<RequestBody>) -> Answer {
    let method = request.method().clone();
    read(&method, send(registry, request).await).await
}

/// Sends a request.
pub(super) async fn send(registry: &Registry, request: Request<RequestBody>) -> Response<Body> {
    let mut service = registry.service();
    poll_fn(|cx| Service::<Request<RequestBody>>::poll_ready(&mut service, cx)).await.unwrap();
    service.call(request).await.unwrap()
}

/// Reads an answer and checks its form.
pub(super) async fn read(method: &Method, response: Response<Body>) -> Answer {
    let (parts, mut body) = response.into_parts();
    let announced = body.size_hint().exact().expect("a body of unknown length");
    let mut received = BytesMut::new();
    let mut broken = None;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => received.extend_from_slice(frame.data_ref().unwrap()),
            Err(error) => {
                broken = Some(error.to_string());
                break;
            }
        }
    }
    let status = parts.status.as_u16();
    let answer = Answer { status, headers: parts.headers, body: received.freeze(), broken };
    answer.check(method, announced);
    answer
}

impl Answer {
    fn check(&self, method: &Method, announced: u64) {
        let (status, received) = (self.status, self.body.len() as u64);
        assert_eq!(self.header("docker-distribution-api-version"), Some("registry/2.0"), "{self:?}");
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{self:?}");
        assert!(matches!(status, 200..600), "{self:?}");
        let length = self.header("content-length").map(|length| length.parse::<u64>().unwrap());
        let is_bodiless = method == Method::HEAD || matches!(status, 204 | 304);
        if is_bodiless {
            assert!(self.body.is_empty() && announced == 0 && self.broken.is_none(), "a body: {self:?}");
        } else if self.broken.is_none() {
            assert_eq!(received, announced, "{self:?}");
            assert!(length.is_none_or(|length| length == received), "another length: {self:?}");
        } else {
            // A client that counts bytes must not take it for the whole.
            assert!(received < announced && length.is_none_or(|length| received < length), "{self:?}");
        }
        if status == 405 {
            let allowed = self.header("allow").expect("405 says what is allowed");
            assert!(!allowed.split(", ").any(|allowed| allowed == method.as_str()), "{self:?}");
        }
        if status == 206 {
            let is_multipart =
                self.header("content-type").is_some_and(|value| value.starts_with("multipart/byteranges; "));
            assert!(self.headers.contains_key(header::CONTENT_RANGE) != is_multipart, "{self:?}");
        }
        // Too many tags are refused by the status alone.
        if status >= 400 && !is_bodiless && status != 414 {
            self.check_error();
        }
    }

    fn check_error(&self) {
        assert!(self.body.len() <= MAX_ERROR, "an error of {} bytes", self.body.len());
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let json: Value = serde_json::from_slice(&self.body).unwrap();
        assert!(json.as_object().unwrap().keys().eq(["errors"]), "{self:?}");
        let errors = json["errors"].as_array().unwrap();
        assert!(!errors.is_empty(), "{self:?}");
        for error in errors {
            let fields = error.as_object().unwrap();
            assert!(fields.keys().all(|key| matches!(&**key, "code" | "message" | "detail")), "{self:?}");
            assert!(error["message"].is_string() && fields.get("detail") != Some(&Value::Null), "{self:?}");
            let code = error["code"].as_str().unwrap();
            let (_, statuses) = CODES.iter().find(|(known, _)| *known == code).expect("a known code");
            assert!(statuses.contains(&self.status), "{self:?}");
        }
    }
}
