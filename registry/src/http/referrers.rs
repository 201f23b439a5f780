//! end-12: referrers.

use http::{HeaderValue, header};
use serde::Serialize;

use super::{ApiRequest, ApiResponse, OCI_FILTERS_APPLIED, error::Result, json_as, set, tags::next_page};
use crate::{
    error::RegistryError,
    referrers::{Referrer, Referrers},
    registry::Registry,
    repository::Repository,
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The answer: an image index.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: &'a [Referrer],
}

pub(super) async fn list(
    registry: &Registry,
    repository: &Repository,
    subject: &str,
    request: &ApiRequest,
) -> Result<ApiResponse> {
    let subject = subject
        .parse()
        .map_err(|error| RegistryError::Name(plugin_registry_core::NameError::Digest(error)))?;
    let artifact_type = request.parameter("artifactType").filter(|artifact_type| !artifact_type.is_empty());
    let limit = request.page_size()?.unwrap_or(usize::MAX).min(registry.shared.options.max_page_size);
    let last = request.parameter("last");
    let referrers = Referrers::new(repository);
    let page = referrers.page(&subject, artifact_type.as_deref(), last.as_deref(), limit).await?;
    let index = Index { schema_version: 2, media_type: INDEX, manifests: &page.referrers };
    let mut response = json_as(&index, INDEX)?;
    if artifact_type.is_some() {
        response.headers_mut().insert(OCI_FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    if let (Some(last), true) = (page.referrers.last(), page.has_more) {
        let path = format!("/v2/{}/referrers/{subject}", repository.name());
        let n = limit.to_string();
        let mut parameters = vec![("n", n.as_str()), ("last", last.digest.as_str())];
        parameters.extend(artifact_type.as_deref().map(|artifact_type| ("artifactType", artifact_type)));
        set(&mut response, header::LINK, next_page(&path, &parameters));
    }
    Ok(response)
}
