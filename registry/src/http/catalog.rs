//! distribution's catalog.

use http::header;

use super::{ApiRequest, ApiResponse, error::Result, json, set, tags::next_page};
use crate::registry::Registry;

/// The page size if none is asked for, as in distribution.
const DEFAULT_PAGE: usize = 100;

pub(super) async fn list(registry: &Registry, request: &ApiRequest) -> Result<ApiResponse> {
    let limit = request.page_size()?.unwrap_or(DEFAULT_PAGE).min(registry.shared.options.max_page_size);
    let last = request.parameter("last").filter(|last| !last.is_empty());
    let page = registry.catalog_after(last.as_deref(), limit).await?;
    let names: Vec<&str> = page.entries.iter().map(|name| name.as_str()).collect();
    let mut response = json(&serde_json::json!({"repositories": names}))?;
    if let (Some(last), true) = (names.last(), page.has_more) {
        set(
            &mut response,
            header::LINK,
            next_page("/v2/_catalog", &[("n", &limit.to_string()), ("last", last)]),
        );
    }
    Ok(response)
}
