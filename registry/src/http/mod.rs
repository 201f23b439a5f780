//! The HTTP API of the distribution specification, as a thin adapter over the typed API.

mod blob;
mod body;
mod catalog;
mod error;
mod manifest;
pub(crate) mod range;
mod referrers;
mod request;
pub(crate) mod route;
mod tags;
mod upload;

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use tower_service::Service;
use tracing::Instrument;

pub use self::body::Body;
use self::{
    error::{Result, error_response},
    request::{ApiRequest, Content},
    route::{Endpoint, Route},
};
use crate::{error::BoxError, registry::Registry};

pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
pub(crate) const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
pub(crate) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
pub(crate) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
pub(crate) const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

type ApiResponse = Response<Body>;

/// The distribution API of one registry as a [`tower_service::Service`], made by [`Registry::service`].
///
/// It is always ready, never fails (errors are responses) and needs no connection: a client inside the
/// process calls it with an `http::Request` and gets an `http::Response`, both with streaming bodies.
/// Dropping the response future or body cancels the request and leaves the store sound.
///
/// It does no access control. A host that puts it behind a socket decides who may ask for what (a mount reads
/// from the repository in `from`). It also refuses the web pages of a browser that reaches the socket, by
/// `Host`, `Origin` and `Sec-Fetch-Site`.
#[derive(Clone, Debug)]
pub struct RegistryService {
    registry: Registry,
}

impl Registry {
    /// Returns the distribution API over this registry.
    #[must_use]
    pub fn service(&self) -> RegistryService {
        RegistryService { registry: self.clone() }
    }
}

impl<B> Service<Request<B>> for RegistryService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let registry = self.registry.clone();
        let (request, body) = ApiRequest::split(request);
        let (location, instance) = (registry.shared.location(), registry.shared.instance());
        let span = tracing::info_span!("request", location, instance, method = %request.method());
        async move { Ok(answer(&registry, &request, body).await) }.instrument(span).boxed()
    }
}

async fn answer(registry: &Registry, request: &ApiRequest, body: Content) -> ApiResponse {
    let mut response = match Route::parse(request.path()) {
        None => error::no_such_endpoint(),
        Some(route) => {
            let (endpoint, options) = (route.endpoint, &registry.shared.options);
            let answer = match endpoint.refuse(request.method(), options) {
                Some(cause) => Err(cause),
                None => dispatch(registry, route, request, body).await,
            };
            answer
                .unwrap_or_else(|cause| error_response(&cause, &endpoint.allowed(request.method(), options)))
        }
    };
    if is_head(request.method()) {
        response = without_body(response);
    }
    let headers = response.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn dispatch(
    registry: &Registry,
    route: Route,
    request: &ApiRequest,
    body: Content,
) -> Result<ApiResponse> {
    let Route { endpoint, name, argument } = route;
    let repository = || Ok::<_, crate::RegistryError>(registry.repository(name.parse()?));
    match (endpoint, request.method().as_str()) {
        (Endpoint::Base, _) => json(&serde_json::json!({})),
        (Endpoint::Catalog, _) => catalog::list(registry, request).await,
        (Endpoint::Tags, _) => tags::list(registry, &repository()?, request).await,
        (Endpoint::Referrers, _) => referrers::list(registry, &repository()?, &argument, request).await,
        (Endpoint::Blob, "DELETE") => blob::delete(&repository()?, &argument).await,
        (Endpoint::Blob, _) => blob::get(registry, &repository()?, &argument, request).await,
        (Endpoint::Manifest, "PUT") => {
            manifest::put(registry, &repository()?, &argument, request, body).await
        }
        (Endpoint::Manifest, "DELETE") => manifest::delete(&repository()?, &argument).await,
        (Endpoint::Manifest, _) => manifest::get(&repository()?, &argument, request).await,
        (Endpoint::UploadStart, _) => upload::start(registry, &repository()?, request, body).await,
        (Endpoint::Upload, "PATCH") => {
            upload::append(registry, &repository()?, &argument, request, body).await
        }
        (Endpoint::Upload, "PUT") => upload::finish(registry, &repository()?, &argument, request, body).await,
        (Endpoint::Upload, "DELETE") => upload::cancel(registry, &repository()?, &argument, request).await,
        (Endpoint::Upload, _) => upload::status(registry, &repository()?, &argument, request).await,
    }
}

/// Makes the answer to HEAD: the headers of the answer to GET, and no content (RFC 9110, section 9.3.2).
/// Without an HTTP connection in between, nothing else would remove it.
fn without_body(response: ApiResponse) -> ApiResponse {
    let (parts, body) = response.into_parts();
    let mut response = Response::from_parts(parts, Body::empty());
    let length = http_body::Body::size_hint(&body).exact().unwrap_or_default();
    if length > 0 {
        set(&mut response, header::CONTENT_LENGTH, length);
    }
    response
}

fn is_head(method: &Method) -> bool {
    *method == Method::HEAD
}

/// An answer without a body.
fn empty(status: StatusCode) -> ApiResponse {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

/// A JSON answer, ending in a newline as distribution's do.
fn json(value: &impl serde::Serialize) -> Result<ApiResponse> {
    json_as(value, "application/json")
}

fn json_as(value: &impl serde::Serialize, content_type: &'static str) -> Result<ApiResponse> {
    let mut text = serde_json::to_vec(value)
        .map_err(|error| crate::RegistryError::damaged(format!("an answer cannot be written: {error}")))?;
    text.push(b'\n');
    let mut response = Response::new(Body::full(text.into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

/// Sets a header from parsed identifiers, which hold only characters that a header can hold.
fn set(response: &mut ApiResponse, name: HeaderName, value: impl std::fmt::Display) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        response.headers_mut().insert(name, value);
    }
}

fn append(response: &mut ApiResponse, name: HeaderName, value: impl std::fmt::Display) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        response.headers_mut().append(name, value);
    }
}
