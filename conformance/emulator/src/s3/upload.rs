//! Operations on multipart uploads.

use s3s::{
    S3Request, S3Response, S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
        CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
        CreateMultipartUploadOutput, UploadPartInput, UploadPartOutput,
    },
    s3_error,
};

use super::{
    checksum::{self, checksum_of, set_checksum},
    objects::{attributes_of, conditions_ignored, encryption, read},
    service::fault,
    shared::Shared,
};

pub(super) fn create(
    shared: &Shared,
    input: &CreateMultipartUploadInput,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    shared.check_bucket(&input.bucket)?;
    let attributes = attributes_of!(input);
    let algorithm = input.checksum_algorithm.as_ref().map(|name| name.as_str().to_owned());
    let checksum_type = input.checksum_type.as_ref().map(|name| name.as_str().to_owned());
    let mut output = CreateMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        checksum_algorithm: algorithm.clone().map(ChecksumAlgorithm::from),
        checksum_type: checksum_type.clone().map(ChecksumType::from),
        server_side_encryption: encryption(&attributes),
        ssekms_key_id: attributes.kms_key.clone(),
        ..CreateMultipartUploadOutput::default()
    };
    let now = shared.now();
    let mut store = shared.store.lock().unwrap();
    output.upload_id = Some(store.begin(&input.key, now, attributes, algorithm, checksum_type));
    Ok(S3Response::new(output))
}

pub(super) fn check_number(shared: &Shared, number: i32) -> S3Result<()> {
    let most = shared.limits.max_parts;
    if (1..=most).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and {}, inclusive", most))
}

pub(super) async fn part(
    shared: &Shared,
    mut request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let body = read(request.input.body.take()).await?;
    let input = request.input;
    shared.check_bucket(&input.bucket)?;
    check_number(shared, input.part_number)?;
    if body.len() as u64 > shared.limits.max_part {
        return Err(s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size"));
    }
    let trailing = request.trailing_headers.and_then(|trailers| trailers.take()).unwrap_or_default();
    let given = checksum::merged(checksum_of!(input), checksum::of_headers(&trailing));
    let checksum = checksum::check(given, input.content_md5.as_deref(), &body)?;
    let mut output = UploadPartOutput::default();
    set_checksum!(output, checksum);
    let (now, etag) = (shared.now(), shared.etag(&body));
    let mut store = shared.store.lock().unwrap();
    output.server_side_encryption = encryption(&store.upload(&input.key, &input.upload_id)?.attributes);
    let etag =
        store.put_part(&input.key, &input.upload_id, input.part_number, (body, etag), now, checksum)?;
    output.e_tag = Some(s3s::dto::ETag::Strong(etag));
    Ok(S3Response::new(output))
}

pub(super) fn complete(
    shared: &Shared,
    request: &S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let input = &request.input;
    shared.check_bucket(&input.bucket)?;
    let named = input.multipart_upload.as_ref().and_then(|list| list.parts.as_deref()).unwrap_or_default();
    let ignored = conditions_ignored(shared, fault(request).as_ref());
    let now = shared.now();
    let mut store = shared.store.lock().unwrap();
    let upload = store.upload(&input.key, &input.upload_id)?;
    if let Some(size) = input.mpu_object_size {
        let parts = named.iter().filter_map(|part| upload.parts.get(&part.part_number?));
        let sum = parts.map(|part| part.data.len()).sum::<usize>();
        if usize::try_from(size) != Ok(sum) {
            return Err(s3_error!(InvalidRequest, "The object's size does not match x-amz-mp-object-size"));
        }
    }
    if !ignored {
        store.may_write(&input.key, input.if_match.as_ref(), input.if_none_match.as_ref())?;
    }
    shared.before_write(&mut store, &input.key)?;
    let object = store.complete(&input.key, &input.upload_id, named, now, &shared.limits)?;
    let mut output = CompleteMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        e_tag: Some(object.strong_etag()),
        server_side_encryption: encryption(&object.attributes),
        ssekms_key_id: object.attributes.kms_key.clone(),
        ..CompleteMultipartUploadOutput::default()
    };
    set_checksum!(output, object.checksum);
    output.checksum_type = object.checksum.checksum_type;
    Ok(S3Response::new(output))
}

pub(super) fn abort(
    shared: &Shared,
    input: &AbortMultipartUploadInput,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    shared.check_bucket(&input.bucket)?;
    shared.store.lock().unwrap().abort(&input.key, &input.upload_id)?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}
