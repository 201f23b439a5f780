//! end-2, end-10: blobs.

use std::{borrow::Cow, ops::Range, pin::pin};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::{Response, StatusCode, header};
use plugin_registry_core::{ByteRange, Digest, NameError, StorageDriver};

use super::{
    ApiRequest, ApiResponse, Body, DOCKER_CONTENT_DIGEST, empty, error::Result, is_head, range, set,
};
use crate::{
    blob::{BlobInfo, BlobStore, verified},
    error::RegistryError,
    layout,
    operation::operation,
    registry::Registry,
    repository::Repository,
};

pub(super) fn parse(digest: &str) -> Result<Digest> {
    Ok(digest.parse().map_err(NameError::Digest)?)
}

pub(super) async fn get(
    registry: &Registry,
    repository: &Repository,
    digest: &str,
    request: &ApiRequest,
) -> Result<ApiResponse> {
    let digest = parse(digest)?;
    let about = repository.about().with_digest(&digest);
    let mut operation = if is_head(request.method()) {
        operation!("blob.stat", registry.shared, about)
    } else {
        operation!("blob.get", registry.shared, about)
    };
    let answer = operation.part(pin!(answer(registry, repository, digest, request))).await?;
    match answer {
        Answer::Found(response) => Ok(response.map(|body| body.ending(operation, &registry.shared))),
        Answer::OutOfRange(info) => {
            let error = RegistryError::RangeNotSatisfiable;
            operation.fail(&error);
            let mut response = super::error::error_response(&error.into(), "");
            set(&mut response, header::CONTENT_RANGE, format_args!("bytes */{}", info.size));
            Ok(response)
        }
    }
}

/// The answer to GET or HEAD.
enum Answer {
    Found(ApiResponse),
    /// 416 says how long the blob is.
    OutOfRange(BlobInfo),
}

async fn answer(
    registry: &Registry,
    repository: &Repository,
    digest: Digest,
    request: &ApiRequest,
) -> Result<Answer> {
    let is_head = is_head(request.method());
    let is_plain = !request.headers().contains_key(header::RANGE)
        && !request.headers().contains_key(header::IF_NONE_MATCH)
        && !registry.shared.options.redirect;
    if !is_head && is_plain {
        // Link and bytes in one round trip.
        let reader = repository.blobs().reader(&digest, ByteRange::full()).await?;
        let (info, stream) = (*reader.info(), reader.into_stream());
        return Ok(Answer::Found(whole(&info, Body::stream(stream, info.size))));
    }
    // On HEAD, a damaged blob counts as missing, so that the client brings it again. On GET, the client learns
    // why it cannot have the bytes.
    let blobs = repository.blobs();
    let info = if is_head { blobs.find(&digest).await? } else { blobs.look(&digest).await? };
    if request.matches_etag(&digest.to_string()) {
        let mut response = empty(StatusCode::NOT_MODIFIED);
        describe(&mut response, &info);
        return Ok(Answer::Found(response));
    }
    if let Some(response) = redirect(registry, &info, request).await? {
        return Ok(Answer::Found(response));
    }
    if is_head {
        return Ok(Answer::Found(whole(&info, Body::empty())));
    }
    match range::requested(current_range(request, &digest).as_deref(), info.size) {
        Ok(None) => {
            let reader = blobs.reader(&digest, ByteRange::full()).await?;
            Ok(Answer::Found(whole(&info, Body::stream(reader.into_stream(), info.size))))
        }
        Ok(Some(ranges)) => Ok(Answer::Found(partial(registry, &info, ranges).await?)),
        Err(_) => Ok(Answer::OutOfRange(info)),
    }
}

pub(super) async fn delete(repository: &Repository, digest: &str) -> Result<ApiResponse> {
    repository.blobs().delete(&parse(digest)?).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

/// Returns the `Range` header, unless `If-Range` names other content.
fn current_range<'a>(request: &'a ApiRequest, digest: &Digest) -> Option<Cow<'a, str>> {
    let is_current = match request.header(header::IF_RANGE) {
        Some(etag) => etag.trim_matches('"') == digest.to_string(),
        None => true,
    };
    request.header(header::RANGE).filter(|_| is_current)
}

fn describe(response: &mut ApiResponse, info: &BlobInfo) {
    set(response, header::ETAG, format_args!("\"{}\"", info.digest));
    set(response, header::CACHE_CONTROL, "max-age=31536000");
    set(response, header::ACCEPT_RANGES, "bytes");
    set(response, DOCKER_CONTENT_DIGEST, info.digest);
}

fn whole(info: &BlobInfo, body: Body) -> ApiResponse {
    let mut response = Response::new(body);
    describe(&mut response, info);
    set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    set(&mut response, header::CONTENT_LENGTH, info.size);
    response
}

async fn redirect(registry: &Registry, info: &BlobInfo, request: &ApiRequest) -> Result<Option<ApiResponse>> {
    if !registry.shared.options.redirect {
        return Ok(None);
    }
    let path = layout::blob_data(&info.canonical);
    let Some(url) = registry.shared.driver.redirect_url(&path, request.method()).await? else {
        return Ok(None);
    };
    let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
    set(&mut response, header::LOCATION, url);
    set(&mut response, DOCKER_CONTENT_DIGEST, info.digest);
    Ok(Some(response))
}

/// Answers one range as it is, and several as `multipart/byteranges` (RFC 9110, section 14.6). Several are
/// opened one after the other as the client reads.
async fn partial(registry: &Registry, info: &BlobInfo, ranges: Vec<Range<u64>>) -> Result<ApiResponse> {
    let mut response = match <[Range<u64>; 1]>::try_from(ranges) {
        Ok([range]) => {
            let length = range.end - range.start;
            let content_range = content_range(&range, info.size);
            let body = read(registry.clone(), info.canonical, range).await?;
            let mut response = Response::new(Body::stream(body, length));
            set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
            set(&mut response, header::CONTENT_RANGE, content_range);
            set(&mut response, header::CONTENT_LENGTH, length);
            response
        }
        Err(ranges) => several(registry, info, ranges),
    };
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    describe(&mut response, info);
    Ok(response)
}

fn several(registry: &Registry, info: &BlobInfo, ranges: Vec<Range<u64>>) -> ApiResponse {
    // The author of the content cannot have chosen it so that this boundary ends a part early: the content
    // would have to contain its own hash.
    let boundary = format!("{:.32}", info.canonical.hex());
    let heads: Vec<(Bytes, Range<u64>)> = ranges
        .into_iter()
        .map(|range| {
            let content_range = content_range(&range, info.size);
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: {content_range}\r\n\r\n"
            );
            (Bytes::from(head), range)
        })
        .collect();
    let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
    let parts: u64 = heads.iter().map(|(head, range)| head.len() as u64 + range.end - range.start).sum();
    let length = parts + end.len() as u64;
    let (registry, canonical) = (registry.clone(), info.canonical);
    let parts = stream::iter(heads).then(move |(head, range)| {
        let registry = registry.clone();
        async move {
            let content = read(registry, canonical, range).await?;
            Ok::<_, RegistryError>(stream::once(async { Ok(head) }).chain(content))
        }
    });
    let body = parts.try_flatten().chain(stream::once(async { Ok(end) })).boxed();
    let mut response = Response::new(Body::stream(body, length));
    set(&mut response, header::CONTENT_TYPE, format_args!("multipart/byteranges; boundary={boundary}"));
    set(&mut response, header::CONTENT_LENGTH, length);
    response
}

async fn read(
    registry: Registry,
    canonical: Digest,
    range: Range<u64>,
) -> Result<stream::BoxStream<'static, Result<Bytes, RegistryError>>, RegistryError> {
    let range = ByteRange::new(range.start, range.end - range.start);
    let reader = BlobStore::new(&registry.shared).open(&canonical, range).await?;
    let reader =
        reader.ok_or_else(|| RegistryError::damaged(format!("the bytes of {canonical} vanished")))??;
    Ok(verified(reader, None, &registry.shared))
}

fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}
