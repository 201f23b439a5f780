//! Operations on single objects, and the removal of many.

use std::ops::Range;

use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue};
use s3s::{
    Body, S3Error, S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{
        DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
        ETagCondition, Error, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
        PutObjectInput, PutObjectOutput, ServerSideEncryption, StorageClass, StreamingBlob,
    },
    s3_error,
};

use super::{
    checksum::{self, checksum_of, set_checksum},
    content::Content,
    fault::Kind,
    service::fault,
    shared::Shared,
    store::{Attributes, Object, failed, matches},
};

/// Reads the body of a request, whose signature is checked meanwhile.
pub(super) async fn read(body: Option<StreamingBlob>) -> S3Result<Content> {
    let mut body = body.unwrap_or_else(|| StreamingBlob::from(Body::empty()));
    let mut content = Content::default();
    while let Some(piece) = body.next().await {
        content.push(piece.map_err(|error| unread(&error.to_string()))?);
    }
    Ok(content)
}

fn unread(error: &str) -> S3Error {
    if error.contains("Sha256Mismatch") {
        let code = S3ErrorCode::from_bytes(b"XAmzContentSHA256Mismatch").expect("a code");
        let mut error =
            S3Error::with_message(code, "The provided 'x-amz-content-sha256' header does not match.");
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        return error;
    }
    if error.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch);
    }
    s3_error!(
        IncompleteBody,
        "You did not provide the number of bytes specified by Content-Length: {}",
        error
    )
}

/// The fields of [`Attributes`] from an input that has them.
macro_rules! attributes_of {
    ($input:expr) => {
        $crate::s3::store::Attributes {
            content_type: $input.content_type.clone(),
            content_encoding: $input.content_encoding.clone(),
            cache_control: $input.cache_control.clone(),
            content_disposition: $input.content_disposition.clone(),
            metadata: $input.metadata.clone().unwrap_or_default().into_iter().collect(),
            storage_class: $input.storage_class.as_ref().map(|class| class.as_str().to_owned()),
            encryption: $input.server_side_encryption.as_ref().map(|name| name.as_str().to_owned()),
            kms_key: $input.ssekms_key_id.clone(),
            customer_key_md5: $input.sse_customer_key_md5.clone(),
            acl: $input.acl.as_ref().map(|acl| acl.as_str().to_owned()),
            tagging: $input.tagging.clone(),
        }
    };
}
pub(super) use attributes_of;

pub(super) fn encryption(attributes: &Attributes) -> Option<ServerSideEncryption> {
    attributes.encryption.clone().map(ServerSideEncryption::from)
}

pub(super) async fn put(
    shared: &Shared,
    mut request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let fault = fault(&request);
    let body = read(request.input.body.take()).await?;
    let input = request.input;
    shared.check_bucket(&input.bucket)?;
    if body.len() as u64 > shared.limits.single_put {
        return Err(s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size"));
    }
    let trailing = request.trailing_headers.and_then(|trailers| trailers.take()).unwrap_or_default();
    let given = checksum::merged(checksum_of!(input), checksum::of_headers(&trailing));
    let checksum = checksum::check(given, input.content_md5.as_deref(), &body)?;
    let mut object = Object::new(body.clone(), shared.etag(&body), shared.now(), attributes_of!(input));
    object.checksum = checksum;

    let ignored = conditions_ignored(shared, fault.as_ref());
    let mut store = shared.store.lock().unwrap();
    if !ignored {
        store.may_write(&input.key, input.if_match.as_ref(), input.if_none_match.as_ref())?;
    }
    let mut output = PutObjectOutput {
        e_tag: Some(object.strong_etag()),
        server_side_encryption: encryption(&object.attributes),
        ssekms_key_id: object.attributes.kms_key.clone(),
        ..PutObjectOutput::default()
    };
    set_checksum!(output, object.checksum);
    shared.replace(&mut store, &input.key, object)?;
    Ok(S3Response::new(output))
}

pub(super) fn conditions_ignored(shared: &Shared, fault: Option<&Kind>) -> bool {
    fault == Some(&Kind::ConditionsIgnored) || shared.quirks.lock().unwrap().conditions_ignored
}

/// The object that a GET or HEAD asks for.
fn find(shared: &Shared, bucket: &str, key: &str) -> S3Result<Object> {
    shared.check_bucket(bucket)?;
    let found = shared.store.lock().unwrap().get(key).cloned();
    if found.is_err() && shared.quirks.lock().unwrap().missing_is_forbidden {
        return Err(s3_error!(AccessDenied, "Access Denied"));
    }
    found
}

fn check_read(
    object: &Object,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    if if_match.is_some_and(|condition| !matches(condition, object)) {
        return Err(failed("If-Match"));
    }
    if if_none_match.is_some_and(|condition| matches(condition, object)) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

fn span(object: &Object, range: Option<&s3s::dto::Range>) -> S3Result<(Range<usize>, Option<String>)> {
    let size = object.size();
    let Some(range) = range else { return Ok((0..object.data.len(), None)) };
    let Ok(span) = range.check(size) else {
        let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
        let mut headers = HeaderMap::new();
        headers.insert("content-range", HeaderValue::try_from(format!("bytes */{size}")).expect("ASCII"));
        error.set_headers(headers);
        return Err(error);
    };
    let text = format!("bytes {}-{}/{size}", span.start, span.end - 1);
    let place = |at: u64| usize::try_from(at).expect("within the object");
    Ok((place(span.start)..place(span.end), Some(text)))
}

/// The fields that the answers of GET and HEAD share.
macro_rules! described {
    ($output:ident, $object:expr, $span:expr, $range:expr, $checksums:expr) => {{
        let attributes = &$object.attributes;
        let mut output = $output {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from($span.len()).ok(),
            content_range: $range,
            content_type: Some(
                attributes.content_type.clone().unwrap_or_else(|| "binary/octet-stream".into()),
            ),
            content_encoding: attributes.content_encoding.clone(),
            content_disposition: attributes.content_disposition.clone(),
            cache_control: attributes.cache_control.clone(),
            metadata: Some(attributes.metadata.clone().into_iter().collect()),
            e_tag: Some($object.strong_etag()),
            last_modified: Some($object.modified.into()),
            storage_class: attributes
                .storage_class
                .clone()
                .filter(|c| c != "STANDARD")
                .map(StorageClass::from),
            server_side_encryption: encryption(attributes),
            ssekms_key_id: attributes.kms_key.clone(),
            sse_customer_key_md5: attributes.customer_key_md5.clone(),
            ..$output::default()
        };
        // The checksum of the whole would say nothing about a range.
        if $checksums && output.content_range.is_none() {
            set_checksum!(output, $object.checksum);
            output.checksum_type = $object.checksum.checksum_type.clone();
        }
        output
    }};
}

pub(super) fn get(shared: &Shared, input: &GetObjectInput) -> S3Result<S3Response<GetObjectOutput>> {
    let object = find(shared, &input.bucket, &input.key)?;
    if object.archived() {
        return Err(s3_error!(
            InvalidObjectState,
            "The operation is not valid for the object's storage class"
        ));
    }
    check_read(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let (span, range) = span(&object, input.range.as_ref())?;
    let mut output = described!(GetObjectOutput, object, span, range, input.checksum_mode.is_some());
    output.body = Some(StreamingBlob::from(object.data.slice(span).into_body()));
    Ok(S3Response::new(output))
}

pub(super) fn head(shared: &Shared, input: &HeadObjectInput) -> S3Result<S3Response<HeadObjectOutput>> {
    let object = find(shared, &input.bucket, &input.key)?;
    check_read(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let (span, range) = span(&object, input.range.as_ref())?;
    let output = described!(HeadObjectOutput, object, span, range, input.checksum_mode.is_some());
    Ok(S3Response::new(output))
}

pub(super) fn delete(shared: &Shared, input: &DeleteObjectInput) -> S3Result<S3Response<DeleteObjectOutput>> {
    shared.check_bucket(&input.bucket)?;
    let mut store = shared.store.lock().unwrap();
    if let Some(condition) = &input.if_match {
        match store.objects.get(&input.key) {
            Some(object) if matches(condition, object) => {}
            _ => return Err(failed("If-Match")),
        }
    }
    shared.remove(&mut store, &input.key)?;
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

pub(super) fn delete_many(
    shared: &Shared,
    request: &S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let input = &request.input;
    shared.check_bucket(&input.bucket)?;
    let named = &input.delete.objects;
    if named.is_empty() || named.len() > shared.limits.delete {
        return Err(s3_error!(MalformedXML, "The XML you provided was not well-formed or did not validate"));
    }
    let failing = match fault(request) {
        Some(Kind::PartialDelete { key, code }) => Some((key, code)),
        _ => None,
    };
    let mut store = shared.store.lock().unwrap();
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for name in named {
        let changed =
            |etag: &s3s::dto::ETag| store.objects.get(&name.key).is_none_or(|o| o.etag != etag.value());
        let code = match &failing {
            Some((part, code)) if name.key.contains(part.as_str()) => Some(code.as_str()),
            _ => name.e_tag.as_ref().is_some_and(changed).then_some("PreconditionFailed"),
        };
        if let Some(code) = code {
            let (code, message) = (Some(code.to_owned()), Some("This key was not deleted.".to_owned()));
            errors.push(Error { code, key: Some(name.key.clone()), message, ..Error::default() });
            continue;
        }
        if let Err(error) = shared.remove(&mut store, &name.key) {
            let (code, message) = (error.code().as_str().to_owned(), error.message().map(str::to_owned));
            errors.push(Error { code: Some(code), key: Some(name.key.clone()), message, ..Error::default() });
            continue;
        }
        if !input.delete.quiet.unwrap_or_default() {
            deleted.push(DeletedObject { key: Some(name.key.clone()), ..DeletedObject::default() });
        }
    }
    let output = DeleteObjectsOutput {
        deleted: Some(deleted),
        errors: Some(errors),
        ..DeleteObjectsOutput::default()
    };
    Ok(S3Response::new(output))
}
