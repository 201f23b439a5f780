//! end-3, end-7, end-9: manifests.

use http::{Response, StatusCode, header};
use plugin_registry_core::{Reference, Tag, docker};

use super::{
    ApiRequest, ApiResponse, Body, Content, DOCKER_CONTENT_DIGEST, OCI_SUBJECT, OCI_TAG, append, empty,
    error::Result, is_head, set,
};
use crate::{error::RegistryError, manifest::MAX_MANIFEST_SIZE, registry::Registry, repository::Repository};

/// The most `tag` parameters of one request; the specification asks for at least 10.
const MAX_TAGS: usize = 100;

/// Serves manifests as they are stored, whatever the Accept header prefers. The content type of a pulled
/// manifest is that of the pushed one (distribution-spec, "Pulling manifests").
pub(super) async fn get(
    repository: &Repository,
    reference: &str,
    request: &ApiRequest,
) -> Result<ApiResponse> {
    let is_head = is_head(request.method());
    let reference: Reference = reference.parse()?;
    let manifest = match repository.manifests().get(&reference).await {
        // On HEAD, a damaged manifest counts as missing, so that the client brings it again.
        Err(RegistryError::Damaged(_)) if is_head => {
            let repository = repository.name().clone();
            return Err(RegistryError::ManifestUnknown { repository, reference }.into());
        }
        manifest => manifest?,
    };
    let digest = manifest.digest().to_string();
    let mut response = if request.matches_etag(&digest) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        let body = if is_head { Body::empty() } else { Body::full(manifest.bytes().clone()) };
        let mut response = Response::new(body);
        set(&mut response, header::CONTENT_TYPE, served_type(manifest.media_type().as_ref()));
        set(&mut response, header::CONTENT_LENGTH, manifest.bytes().len());
        response
    };
    set(&mut response, header::ETAG, format_args!("\"{digest}\""));
    set(&mut response, DOCKER_CONTENT_DIGEST, digest);
    Ok(response)
}

/// Returns the type that a stored document is served with. The document itself names its type, and its author
/// may have had a browser in mind: what is not JSON of a vendor's type, as all manifests are, is served as
/// bytes.
fn served_type(own: &str) -> &str {
    let is_manifest =
        own.starts_with("application/vnd.") && (own.ends_with("+json") || own == docker::SCHEMA1_SIGNED);
    if is_manifest { own } else { "application/octet-stream" }
}

pub(super) async fn put(
    registry: &Registry,
    repository: &Repository,
    reference: &str,
    request: &ApiRequest,
    body: Content,
) -> Result<ApiResponse> {
    let reference: Reference = reference.parse()?;
    let mut tags: Vec<Tag> =
        request.parameters("tag").take(MAX_TAGS + 1).map(|tag| tag.parse()).collect::<Result<_, _>>()?;
    if tags.len() > MAX_TAGS {
        return Ok(empty(StatusCode::URI_TOO_LONG));
    }
    let named = tags.clone();
    let digest = match reference {
        Reference::Digest(digest) => Some(digest),
        Reference::Tag(tag) => {
            tags.insert(0, tag);
            None
        }
    };
    let content_type = request.header(header::CONTENT_TYPE);
    let media_type = content_type.as_deref().and_then(|value| value.split(';').next());
    let too_large = RegistryError::ManifestTooLarge { limit: MAX_MANIFEST_SIZE };
    let read = request.read(body, MAX_MANIFEST_SIZE, &registry.shared.limiter).await?;
    let (bytes, _permit) = read.ok_or(too_large)?;
    let manifest = repository.manifests().put_tagged(digest.as_ref(), &tags, media_type, bytes).await?;
    let mut response = empty(StatusCode::CREATED);
    let location = format!("/v2/{}/manifests/{}", repository.name(), manifest.digest());
    set(&mut response, header::LOCATION, location);
    set(&mut response, DOCKER_CONTENT_DIGEST, manifest.digest());
    if let Some(subject) = manifest.subject() {
        set(&mut response, OCI_SUBJECT, subject.digest);
    }
    for tag in named {
        append(&mut response, OCI_TAG, tag);
    }
    Ok(response)
}

pub(super) async fn delete(repository: &Repository, reference: &str) -> Result<ApiResponse> {
    repository.manifests().delete(&reference.parse()?).await?;
    Ok(empty(StatusCode::ACCEPTED))
}
