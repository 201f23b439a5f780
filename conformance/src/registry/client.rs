//! A client of the HTTP API, inside the process.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use plugin_registry::{Body, Registry, RegistryService};
use serde_json::Value;
use tower_service::Service;

use super::body::{self, RequestBody};

/// The codes of distribution-spec ("Error Codes"), and those that distribution adds.
const CODES: &[&str] = &[
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DENIED",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "PAGINATION_NUMBER_INVALID",
    "RANGE_INVALID",
    "SIZE_INVALID",
    "TAG_INVALID",
    "TOOMANYREQUESTS",
    "UNAUTHORIZED",
    "UNAVAILABLE",
    "UNKNOWN",
    "UNSUPPORTED",
];

/// Calls a [`RegistryService`] as an HTTP client would, and checks the form of each answer.
#[derive(Clone, Debug)]
pub struct Client {
    service: RegistryService,
}

/// A request that is being built.
#[derive(Debug)]
pub struct Call {
    service: RegistryService,
    method: Method,
    uri: String,
    request: http::request::Builder,
    body: RequestBody,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    what: String,
    method: Method,
    status: u16,
    headers: HeaderMap,
    received: Bytes,
    error: Option<String>,
}

impl Client {
    /// Makes a client of this registry.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self { service: registry.service() }
    }

    /// Makes a request without a body.
    pub fn request(&self, method: Method, uri: impl Into<String>) -> Call {
        let uri = uri.into();
        let request = Request::builder().method(method.clone()).uri(&uri);
        Call { service: self.service.clone(), method, uri, request, body: body::none() }
    }

    /// `GET`.
    pub fn get(&self, uri: impl Into<String>) -> Call {
        self.request(Method::GET, uri)
    }

    /// `HEAD`.
    pub fn head(&self, uri: impl Into<String>) -> Call {
        self.request(Method::HEAD, uri)
    }

    /// `POST`.
    pub fn post(&self, uri: impl Into<String>) -> Call {
        self.request(Method::POST, uri)
    }

    /// `PUT`.
    pub fn put(&self, uri: impl Into<String>) -> Call {
        self.request(Method::PUT, uri)
    }

    /// `PATCH`.
    pub fn patch(&self, uri: impl Into<String>) -> Call {
        self.request(Method::PATCH, uri)
    }

    /// `DELETE`.
    pub fn delete(&self, uri: impl Into<String>) -> Call {
        self.request(Method::DELETE, uri)
    }
}

impl Call {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl ToString) -> Self {
        self.request = self.request.header(name.as_ref(), value.to_string());
        self
    }

    /// Sends these bytes, with their length.
    #[must_use]
    pub fn body(self, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let length = content.len();
        self.header("content-length", length).stream(body::whole(content))
    }

    /// Sends a body without naming its length.
    #[must_use]
    pub fn stream(mut self, body: RequestBody) -> Self {
        self.body = body;
        self
    }

    /// Sends the request without reading the answer's body.
    ///
    /// # Panics
    /// If the request cannot be sent in this form.
    pub async fn start(self) -> Response<Body> {
        let Self { mut service, request, body, uri, .. } = self;
        let request = request.body(body).unwrap_or_else(|error| panic!("{uri:?}: {error}"));
        poll_fn(|cx| Service::<Request<RequestBody>>::poll_ready(&mut service, cx)).await.unwrap();
        service.call(request).await.unwrap()
    }

    /// Sends the request and reads the answer.
    ///
    /// # Panics
    /// If the answer breaks a rule that holds for all answers.
    pub async fn send(self) -> Answer {
        let (method, what) = (self.method.clone(), format!("{} {}", self.method, self.uri));
        let (parts, mut body) = self.start().await.into_parts();
        let announced = body.size_hint().exact();
        let mut received = BytesMut::new();
        let mut error = None;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => received.extend_from_slice(frame.data_ref().unwrap()),
                Err(broken) => {
                    error = Some(broken.to_string());
                    break;
                }
            }
        }
        let received = received.freeze();
        let status = parts.status.as_u16();
        let answer = Answer { what, method, status, headers: parts.headers, received, error };
        answer.check_form(announced);
        answer
    }
}

impl Answer {
    /// Checks the status.
    ///
    /// # Panics
    /// If it is another one.
    #[track_caller]
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status == status, "expected {status}: {self}");
        self
    }

    /// Checks the status and the code of an error.
    ///
    /// # Panics
    /// If one of them is another one.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) {
        assert!(self.status == status, "expected {status} {code}: {self}");
        if self.method != Method::HEAD {
            assert!(self.code() == code, "expected {status} {code}: {self}");
        }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 4xx.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        (400..500).contains(&self.status)
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header, if it is there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// A header that must be there.
    ///
    /// # Panics
    /// If it is missing.
    #[track_caller]
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.get(name);
        assert!(value.is_some(), "no header {name}: {self}");
        value.unwrap()
    }

    /// Where `Location` leads, as path and query.
    ///
    /// # Panics
    /// If there is no such header.
    #[track_caller]
    #[must_use]
    pub fn location(&self) -> String {
        local(self.header("location"))
    }

    /// Where a `Link` with `rel="next"` leads, if there is one.
    ///
    /// # Panics
    /// If the header does not have the form of RFC 8288.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        let link = self.get("link")?;
        let (target, relation) = link.split_once(';').unwrap_or_else(|| panic!("{link}"));
        assert_eq!(relation.trim(), "rel=\"next\"", "{link}");
        let target = target.trim().strip_prefix('<').and_then(|target| target.strip_suffix('>'));
        Some(local(target.unwrap_or_else(|| panic!("{link}"))))
    }

    /// The body, which must have ended cleanly.
    ///
    /// # Panics
    /// If it broke off.
    #[track_caller]
    #[must_use]
    pub fn body(&self) -> &Bytes {
        assert!(self.error.is_none(), "the body broke off: {self}");
        &self.received
    }

    /// The bytes that came before the body broke off, if it did.
    #[must_use]
    pub fn broken(&self) -> Option<&Bytes> {
        self.error.is_some().then_some(&self.received)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        let json = serde_json::from_slice(self.body());
        assert!(json.is_ok(), "no JSON: {self}");
        json.unwrap()
    }

    /// The entries of an error body.
    ///
    /// # Panics
    /// If there are none.
    #[track_caller]
    #[must_use]
    pub fn errors(&self) -> Vec<Value> {
        let json = self.json();
        let errors = json["errors"].as_array();
        assert!(errors.is_some_and(|errors| !errors.is_empty()), "no errors: {self}");
        errors.unwrap().clone()
    }

    /// The code of the first error.
    ///
    /// # Panics
    /// If there is no error.
    #[track_caller]
    #[must_use]
    pub fn code(&self) -> String {
        self.errors()[0]["code"].as_str().unwrap().to_owned()
    }

    /// Checks what holds for every answer.
    fn check_form(&self, announced: Option<u64>) {
        assert_eq!(self.header("docker-distribution-api-version"), "registry/2.0", "{self}");
        assert!(announced.is_some(), "a body of unknown length: {self}");
        let is_bodiless = self.method == Method::HEAD || matches!(self.status, 204 | 304);
        if is_bodiless {
            assert!(
                self.received.is_empty() && self.error.is_none(),
                "an answer without body has one: {self}"
            );
        } else if self.error.is_none() {
            let length = self.get("content-length").map(|length| length.parse::<usize>().unwrap());
            assert!(length.is_none_or(|length| length == self.received.len()), "another length: {self}");
            assert_eq!(announced, Some(self.received.len() as u64), "another length: {self}");
        }
        if self.status == 405 {
            let allowed: Vec<&str> = self.header("allow").split(", ").collect();
            assert!(!allowed.contains(&self.method.as_str()), "refused and allowed: {self}");
        }
        if self.status >= 400 && !is_bodiless && !self.received.is_empty() {
            self.check_errors();
        }
        let warnings: usize = self.headers.get_all(header::WARNING).iter().map(|value| value.len()).sum();
        assert!(warnings <= 4096, "{self}");
    }

    fn check_errors(&self) {
        assert!(self.header("content-type").starts_with("application/json"), "{self}");
        assert!(self.received.ends_with(b"\n"), "{self}");
        let json = self.json();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["errors"], "{self}");
        for error in self.errors() {
            let error = error.as_object().unwrap();
            assert!(error.keys().all(|key| matches!(&**key, "code" | "message" | "detail")), "{self}");
            assert!(error.get("detail") != Some(&Value::Null), "{self}");
            assert!(error["message"].is_string(), "{self}");
            assert!(CODES.contains(&error["code"].as_str().unwrap()), "{self}");
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = &self.received[..self.received.len().min(400)];
        let text = String::from_utf8_lossy(shown);
        write!(
            f,
            "{} gave {} {:?}, {} bytes: {text:?}",
            self.what,
            self.status,
            self.headers,
            self.received.len()
        )?;
        match &self.error {
            Some(error) => write!(f, ", then {error}"),
            None => Ok(()),
        }
    }
}

/// `uri` with one more parameter.
#[must_use]
pub fn and(uri: &str, parameter: &str) -> String {
    let separator = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{separator}{parameter}")
}

/// A location without scheme and host.
fn local(location: &str) -> String {
    match location.split_once("://") {
        Some((_, rest)) => format!("/{}", rest.split_once('/').unwrap_or_default().1),
        None => location.to_owned(),
    }
}
