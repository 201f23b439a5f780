//! The operations that list.

use std::collections::BTreeMap;

use s3s::{
    S3Request, S3Response, S3Result,
    dto::{
        CommonPrefix, ETag, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsInput,
        ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput,
        MultipartUpload, ObjectStorageClass, Part, StorageClass,
    },
    s3_error,
};

use super::{
    checksum::set_checksum,
    fault::Kind,
    list::{Item, Page, Query, delimiter, page},
    options::{DelimiterRule, StartAfterRule},
    service::fault,
    shared::Shared,
    store::Object,
    text::{hex, unhex},
};

fn limit(shared: &Shared, asked: Option<i32>) -> S3Result<usize> {
    let asked = usize::try_from(asked.unwrap_or(1000)).map_err(|_| {
        s3_error!(InvalidArgument, "Argument maxKeys must be an integer between 0 and 2147483647")
    })?;
    Ok(asked.min(shared.limits.page))
}

/// One page, and the objects of its keys.
struct Listed {
    page: Page,
    contents: Vec<s3s::dto::Object>,
    prefixes: Vec<CommonPrefix>,
}

fn listed(shared: &Shared, query: &Query<'_>, fault: Option<&Kind>) -> Listed {
    let stale = fault == Some(&Kind::Stale) || shared.quirks.lock().unwrap().stale_lists;
    let store = shared.store.lock().unwrap();
    let late = stale.then(|| store.stale());
    let objects = late.as_ref().unwrap_or(&store.objects);
    let page = if query.max == 0 { Page { items: Vec::new(), next: None } } else { page(objects, query) };
    let (mut contents, mut prefixes) = (Vec::new(), Vec::new());
    for item in &page.items {
        match item {
            Item::Key(key) => contents.push(entry(key, objects)),
            Item::Prefix(prefix) => prefixes.push(CommonPrefix { prefix: Some(prefix.clone()) }),
        }
    }
    if fault == Some(&Kind::Unordered) {
        contents.reverse();
        prefixes.reverse();
    }
    Listed { page, contents, prefixes }
}

fn entry(key: &str, objects: &BTreeMap<String, Object>) -> s3s::dto::Object {
    let object = &objects[key];
    let class = object.attributes.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned());
    s3s::dto::Object {
        key: Some(key.to_owned()),
        e_tag: Some(object.strong_etag()),
        size: i64::try_from(object.data.len()).ok(),
        last_modified: Some(object.modified.into()),
        storage_class: Some(ObjectStorageClass::from(class)),
        ..s3s::dto::Object::default()
    }
}

pub(super) fn objects(
    shared: &Shared,
    request: &S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = &request.input;
    shared.check_bucket(&input.bucket)?;
    let quirks = shared.quirks.lock().unwrap().clone();
    let is_long = input.delimiter.as_ref().is_some_and(|delimiter| delimiter.chars().nth(1).is_some());
    if is_long && quirks.delimiter == DelimiterRule::Refused {
        return Err(s3_error!(InternalError, "Invalid delimiter"));
    }
    let token = input.continuation_token.as_deref().filter(|token| !token.is_empty());
    let cursor = token.map(cursor).transpose()?;
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: delimiter(input.delimiter.as_deref(), quirks.delimiter),
        cursor: cursor.as_deref(),
        // A token replaces it, because the first page has been sent.
        start_after: input.start_after.as_deref().filter(|_| cursor.is_none()),
        rule: quirks.start_after,
        restarts: is_long && quirks.delimiter == DelimiterRule::Restarts,
        max: limit(shared, input.max_keys)?,
    };
    let fault = fault(request);
    let mut listed = listed(shared, &query, fault.as_ref());
    let mut next = listed.page.next.as_deref().map(|cursor| hex(cursor.as_bytes()));
    let mut truncated = next.is_some();
    match fault {
        // Without its own token, the first page gets one that leads to itself.
        Some(Kind::RepeatedToken) => {
            next = Some(token.unwrap_or("00").to_owned());
            truncated = true;
        }
        Some(Kind::FreshToken { full }) => {
            let here = token.and_then(|token| token.split('.').next()).unwrap_or("00");
            let turn = token.and_then(|token| token.split_once('.')?.1.parse().ok()).unwrap_or(0_u64);
            (next, truncated) = (Some(format!("{here}.{}", turn + 1)), true);
            if !full {
                listed.contents.clear();
                listed.prefixes.clear();
            }
        }
        Some(Kind::Circle) => {
            let turn = token.and_then(|token| token.split_once('.')?.1.parse().ok()).unwrap_or(0_u64);
            let place = next.unwrap_or_else(|| "00".to_owned());
            (next, truncated) = (Some(format!("{place}.{}", turn + 1)), true);
        }
        Some(Kind::NoToken) => (next, truncated) = (None, true),
        Some(Kind::EarlyEnd) => (next, truncated) = (None, false),
        _ => {}
    }
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket.clone()),
        prefix: Some(query.prefix.to_owned()),
        delimiter: input.delimiter.clone(),
        max_keys: Some(input.max_keys.unwrap_or(1000)),
        key_count: i32::try_from(listed.page.items.len()).ok(),
        continuation_token: input.continuation_token.clone(),
        start_after: input.start_after.clone(),
        is_truncated: Some(truncated),
        next_continuation_token: next,
        contents: Some(listed.contents),
        common_prefixes: Some(listed.prefixes),
        ..ListObjectsV2Output::default()
    }))
}

fn cursor(token: &str) -> S3Result<String> {
    // After a dot comes the turn of a list that leads to itself.
    let place = token.split('.').next().unwrap_or_default();
    let bytes = unhex(place).and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

pub(super) fn objects_v1(
    shared: &Shared,
    request: &S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = &request.input;
    shared.check_bucket(&input.bucket)?;
    let quirks = shared.quirks.lock().unwrap().clone();
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: delimiter(input.delimiter.as_deref(), quirks.delimiter),
        cursor: None,
        start_after: input.marker.as_deref(),
        rule: StartAfterRule::Items,
        restarts: false,
        max: limit(shared, input.max_keys)?,
    };
    let listed = listed(shared, &query, fault(request).as_ref());
    let truncated = listed.page.next.is_some();
    let last = listed.page.items.last().filter(|_| truncated && query.delimiter.is_some());
    let next_marker = last.map(|(Item::Key(text) | Item::Prefix(text))| text.clone());
    Ok(S3Response::new(ListObjectsOutput {
        name: Some(input.bucket.clone()),
        prefix: Some(query.prefix.to_owned()),
        marker: Some(input.marker.clone().unwrap_or_default()),
        delimiter: input.delimiter.clone(),
        max_keys: Some(input.max_keys.unwrap_or(1000)),
        is_truncated: Some(truncated),
        next_marker,
        contents: Some(listed.contents),
        common_prefixes: Some(listed.prefixes),
        ..ListObjectsOutput::default()
    }))
}

pub(super) fn parts(
    shared: &Shared,
    request: &S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = &request.input;
    shared.check_bucket(&input.bucket)?;
    let max = limit(shared, input.max_parts)?;
    let fault = fault(request);
    let ignored = fault == Some(Kind::MarkerIgnored);
    let marker = input.part_number_marker.filter(|_| !ignored).unwrap_or_default();
    let store = shared.store.lock().unwrap();
    let upload = store.upload(&input.key, &input.upload_id)?;
    let after = || upload.parts.range(marker + 1..);
    let mut parts = Vec::new();
    // Servers that ignore the marker list everything again, and are then done.
    let again = ignored && input.part_number_marker.is_some_and(|marker| marker > 0);
    for (number, part) in after().take(if again { usize::MAX } else { max }) {
        let mut entry = Part {
            part_number: Some(*number),
            e_tag: Some(ETag::Strong(part.etag.clone())),
            size: i64::try_from(part.data.len()).ok(),
            last_modified: Some(part.modified.into()),
            ..Part::default()
        };
        set_checksum!(entry, part.checksum);
        parts.push(entry);
    }
    let truncated = parts.len() < after().count();
    let last = parts.last().and_then(|part| part.part_number);
    if fault == Some(Kind::Unordered) {
        parts.reverse();
    }
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        upload_id: Some(input.upload_id.clone()),
        max_parts: Some(input.max_parts.unwrap_or(1000)),
        part_number_marker: Some(input.part_number_marker.unwrap_or_default()),
        next_part_number_marker: last.or(Some(0)),
        is_truncated: Some(truncated),
        storage_class: upload.attributes.storage_class.clone().map(StorageClass::from),
        checksum_algorithm: upload.algorithm.clone().map(Into::into),
        checksum_type: upload.checksum_type.clone().map(Into::into),
        parts: Some(parts),
        ..ListPartsOutput::default()
    }))
}

pub(super) fn uploads(
    shared: &Shared,
    request: &S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = &request.input;
    shared.check_bucket(&input.bucket)?;
    if input.delimiter.as_deref().is_some_and(|delimiter| !delimiter.is_empty()) {
        return Err(s3_error!(NotImplemented, "This list has no delimiter here."));
    }
    let max = limit(shared, input.max_uploads)?;
    let fault = fault(request);
    let ignored = fault == Some(Kind::MarkerIgnored);
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let key = input.key_marker.as_deref().filter(|key| !key.is_empty() && !ignored);
    let id = input.upload_id_marker.as_deref().filter(|id| !id.is_empty());
    let later = |upload: &super::multipart::Upload| match (key, id) {
        (None, _) => true,
        (Some(key), None) => upload.key.as_str() > key,
        (Some(key), Some(id)) => (upload.key.as_str(), upload.id.as_str()) > (key, id),
    };
    let store = shared.store.lock().unwrap();
    let all = || store.uploads.values().filter(|upload| upload.key.starts_with(prefix) && later(upload));
    let again = ignored && input.key_marker.is_some();
    let mut uploads = Vec::new();
    for upload in all().take(if again { usize::MAX } else { max }) {
        uploads.push(MultipartUpload {
            key: Some(upload.key.clone()),
            upload_id: Some(upload.id.clone()),
            initiated: Some(upload.initiated.into()),
            storage_class: upload.attributes.storage_class.clone().map(StorageClass::from),
            ..MultipartUpload::default()
        });
    }
    let truncated = uploads.len() < all().count();
    let last = uploads.last().filter(|_| truncated);
    let (next_key, next_id) =
        (last.and_then(|upload| upload.key.clone()), last.and_then(|upload| upload.upload_id.clone()));
    if fault == Some(Kind::Unordered) {
        uploads.reverse();
    }
    Ok(S3Response::new(ListMultipartUploadsOutput {
        bucket: Some(input.bucket.clone()),
        prefix: input.prefix.clone(),
        key_marker: Some(input.key_marker.clone().unwrap_or_default()),
        upload_id_marker: Some(input.upload_id_marker.clone().unwrap_or_default()),
        max_uploads: Some(input.max_uploads.unwrap_or(1000)),
        is_truncated: Some(truncated),
        next_key_marker: next_key,
        next_upload_id_marker: next_id,
        uploads: Some(uploads),
        ..ListMultipartUploadsOutput::default()
    }))
}
