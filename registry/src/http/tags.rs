//! end-8: the tags of a repository.

use http::header;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{ApiRequest, ApiResponse, error::Result, json, set};
use crate::{registry::Registry, repository::Repository};

#[derive(Serialize)]
struct List<'a> {
    name: &'a str,
    tags: &'a [&'a str],
}

/// Lists the tags. Without `n` the whole list comes at once, as the specification says, and is held twice: as
/// names of up to 128 bytes, and as the answer. With `n`, at most `max_page_size` tags are held.
pub(super) async fn list(
    registry: &Registry,
    repository: &Repository,
    request: &ApiRequest,
) -> Result<ApiResponse> {
    let limit = request.page_size()?.map(|n| n.min(registry.shared.options.max_page_size));
    let last = request.parameter("last");
    let page = repository.tags().list(last.as_deref(), limit.unwrap_or(usize::MAX)).await?;
    let tags: Vec<&str> = page.entries.iter().map(|tag| tag.as_str()).collect();
    let mut response = json(&List { name: repository.name().as_str(), tags: &tags })?;
    if let (Some(limit), Some(last), true) = (limit, tags.last(), page.has_more) {
        let path = format!("/v2/{}/tags/list", repository.name());
        set(&mut response, header::LINK, next_page(&path, &[("n", &limit.to_string()), ("last", last)]));
    }
    Ok(response)
}

/// Returns the `Link` to the next page.
pub(super) fn next_page(path: &str, parameters: &[(&str, &str)]) -> String {
    let encoded =
        |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    let query: Vec<String> = parameters.iter().map(encoded).collect();
    format!("<{path}?{}>; rel=\"next\"", query.join("&"))
}
