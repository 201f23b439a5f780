//! Copies by the server.

use s3s::{
    S3Response, S3Result,
    dto::{
        CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, ETag, ETagCondition,
        UploadPartCopyInput, UploadPartCopyOutput,
    },
    s3_error,
};

use super::{
    checksum::set_checksum,
    content::Content,
    objects::{attributes_of, encryption},
    shared::Shared,
    store::{Object, failed, matches},
    upload::check_number,
};

fn source(
    shared: &Shared,
    source: &CopySource,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<(String, Object)> {
    let CopySource::Bucket { bucket, key, .. } = source else {
        return Err(s3_error!(NotImplemented, "Sources are named by bucket and key."));
    };
    shared.check_bucket(bucket)?;
    let object = shared.store.lock().unwrap().get(key)?.clone();
    let are_ignored = shared.quirks.lock().unwrap().copy_conditions_ignored;
    let (if_match, if_none_match) = if are_ignored { (None, None) } else { (if_match, if_none_match) };
    if if_match.is_some_and(|condition| !matches(condition, &object)) {
        return Err(failed("x-amz-copy-source-if-match"));
    }
    if if_none_match.is_some_and(|condition| matches(condition, &object)) {
        return Err(failed("x-amz-copy-source-if-none-match"));
    }
    if object.archived() {
        return Err(s3_error!(InvalidObjectState, "The source is in an archive"));
    }
    Ok((key.to_string(), object))
}

pub(super) fn object(shared: &Shared, input: &CopyObjectInput) -> S3Result<S3Response<CopyObjectOutput>> {
    shared.check_bucket(&input.bucket)?;
    let if_none_match = input.copy_source_if_none_match.as_ref();
    let (from, old) = source(shared, &input.copy_source, input.copy_source_if_match.as_ref(), if_none_match)?;
    let most = shared.limits.copy_source;
    if old.size() > most {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source: {}",
            most
        ));
    }
    let replaced = input.metadata_directive.as_ref().is_some_and(|directive| directive.as_str() == "REPLACE");
    let asked = attributes_of!(input);
    if from == input.key && !replaced && asked.storage_class.is_none() && asked.encryption.is_none() {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changes."
        ));
    }
    let mut object = Object::new(old.data.clone(), shared.etag(&old.data), shared.now(), asked.clone());
    if !replaced {
        // Storage class, encryption and access belong to the copy. The rest is taken over.
        object.attributes = old.attributes.clone();
        object.attributes.storage_class = asked.storage_class;
        object.attributes.encryption = asked.encryption;
        object.attributes.kms_key = asked.kms_key;
        object.attributes.customer_key_md5 = asked.customer_key_md5;
        object.attributes.acl = asked.acl;
    }
    // A checksum of parts says nothing about an object without parts.
    if old.parts == 0 {
        object.checksum = old.checksum.clone();
    }
    let mut result = CopyObjectResult {
        e_tag: Some(object.strong_etag()),
        last_modified: Some(object.modified.into()),
        ..CopyObjectResult::default()
    };
    set_checksum!(result, object.checksum);
    let output = CopyObjectOutput {
        copy_object_result: Some(result),
        server_side_encryption: encryption(&object.attributes),
        ssekms_key_id: object.attributes.kms_key.clone(),
        ..CopyObjectOutput::default()
    };
    shared.replace(&mut shared.store.lock().unwrap(), &input.key, object)?;
    Ok(S3Response::new(output))
}

pub(super) fn part(
    shared: &Shared,
    input: &UploadPartCopyInput,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    shared.check_bucket(&input.bucket)?;
    check_number(shared, input.part_number)?;
    let if_none_match = input.copy_source_if_none_match.as_ref();
    let (_, object) = source(shared, &input.copy_source, input.copy_source_if_match.as_ref(), if_none_match)?;
    let data = match input.copy_source_range.as_deref() {
        Some(range) => slice(&object.data, range)?,
        None => object.data.clone(),
    };
    let most = shared.limits.max_part;
    if data.len() as u64 > most {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source: {}",
            most
        ));
    }
    let (now, etag) = (shared.now(), shared.etag(&data));
    let mut store = shared.store.lock().unwrap();
    let none = s3s::dto::Checksum::default();
    let etag = store.put_part(&input.key, &input.upload_id, input.part_number, (data, etag), now, none)?;
    let result = CopyPartResult {
        e_tag: Some(ETag::Strong(etag)),
        last_modified: Some(now.into()),
        ..CopyPartResult::default()
    };
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..UploadPartCopyOutput::default()
    }))
}

/// The bytes of `bytes=first-last`. The source must have both.
fn slice(data: &Content, range: &str) -> S3Result<Content> {
    let (first, last) = (|| {
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse::<usize>().ok()?, last.parse::<usize>().ok()?))
    })()
    .ok_or_else(|| {
        s3_error!(InvalidArgument, "The x-amz-copy-source-range value must be bytes=first-last")
    })?;
    if first > last || last >= data.len() {
        return Err(s3_error!(
            InvalidArgument,
            "Range specified is not valid for source object of size: {}",
            data.len()
        ));
    }
    Ok(data.slice(first..last + 1))
}
