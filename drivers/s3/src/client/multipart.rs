//! Requests for multipart uploads.

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use plugin_registry_core::Result;
use serde::{Deserialize, Serialize};

use super::{
    S3Client,
    checksums::{ChecksumMode, ChecksumNegotiation, RequestKind},
    objects::{ObjectMetadata, user_metadata},
    unexpected,
};
use crate::{content::Content, error::of_sdk};

/// The store's name for a multipart upload.
pub(crate) type UploadId = String;

/// A part that the store has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) number: i32,
    pub(crate) size: u64,
    pub(crate) etag: String,
    /// Its CRC32, if it was sent with one: S3 requires it again when the object is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crc32: Option<String>,
}

impl S3Client {
    /// Begins a multipart upload. The object that its parts become has `mark`. Also returns whether its parts
    /// have a CRC32, which S3 needs to know beforehand.
    pub(crate) async fn create_upload(&self, key: &str, mark: &str) -> Result<(UploadId, bool)> {
        let mut attempt = ChecksumNegotiation::attempt(RequestKind::Begin, self.sums.now());
        loop {
            let has_crc32 = attempt.sum == ChecksumMode::Crc32;
            let begun = self.begin_upload(key, mark, has_crc32).await;
            if let Some(settled) = self.sums.settle(&mut attempt, begun) {
                return settled.map(|id| (id, has_crc32));
            }
        }
    }

    /// Does the same for parts that the store copies.
    pub(crate) async fn create_copy(&self, key: &str, mark: &str) -> Result<UploadId> {
        self.begin_upload(key, mark, false).await
    }

    async fn begin_upload(&self, key: &str, mark: &str, has_crc32: bool) -> Result<UploadId> {
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&*self.bucket)
            .key(key)
            .content_type("application/octet-stream")
            .set_metadata(user_metadata(ObjectMetadata { mark: Some(mark), ..ObjectMetadata::default() }))
            .set_checksum_algorithm(has_crc32.then_some(ChecksumAlgorithm::Crc32))
            .set_storage_class(self.puts.storage_class.clone())
            .set_acl(self.puts.acl.clone())
            .set_server_side_encryption(self.puts.encryption.clone())
            .set_ssekms_key_id(self.puts.key_id.clone());
        let answer = request.send().await.map_err(|error| of_sdk(&error))?;
        let id = answer.upload_id.filter(|id| !id.is_empty());
        id.ok_or_else(|| unexpected("the answer has no upload id"))
    }

    /// Sends a part, which is held until the store has it: a lost connection costs another attempt, but no
    /// byte. The beginning of its upload decides whether it has a CRC32, whatever the settings are by now.
    pub(crate) async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: i32,
        content: Content,
        has_crc32: bool,
    ) -> Result<Part> {
        let sum = match self.sums.now() {
            _ if has_crc32 => ChecksumMode::Crc32,
            ChecksumMode::Crc32 => ChecksumMode::None,
            sum => sum,
        };
        let mut attempt = ChecksumNegotiation::attempt(RequestKind::Part, sum);
        loop {
            let sent = self.send_part(attempt.sum, key, upload, number, content.clone()).await;
            if let Some(settled) = self.sums.settle(&mut attempt, sent) {
                return settled;
            }
        }
    }

    async fn send_part(
        &self,
        sum: ChecksumMode,
        key: &str,
        upload: &str,
        number: i32,
        content: Content,
    ) -> Result<Part> {
        let size = content.len() as u64;
        let sums = sum.of(&content);
        let (body, signing) = self.signed(content);
        let request = self
            .client
            .upload_part()
            .bucket(&*self.bucket)
            .key(key)
            .upload_id(upload)
            .part_number(number)
            .body(body)
            .set_checksum_crc32(sums.crc32.clone())
            .set_content_md5(sums.md5)
            .customize()
            .interceptor(signing);
        let answer = request.send().await.map_err(|error| of_sdk(&error))?;
        let etag = answer.e_tag.ok_or_else(|| unexpected("the answer to a part has no ETag"))?;
        // Not every store returns it.
        Ok(Part { number, size, etag, crc32: sums.crc32.or(answer.checksum_crc32) })
    }

    /// Copies bytes of another object into a part, if the object has this ETag.
    pub(crate) async fn copy_part(
        &self,
        (from, etag): (&str, Option<&str>),
        bytes: std::ops::Range<u64>,
        key: &str,
        upload: &str,
        number: i32,
    ) -> Result<Part> {
        let size = bytes.end - bytes.start;
        let request = self
            .client
            .upload_part_copy()
            .bucket(&*self.bucket)
            .copy_source(self.source(from))
            .set_copy_source_if_match(etag.map(str::to_owned))
            .copy_source_range(format!("bytes={}-{}", bytes.start, bytes.end.saturating_sub(1)))
            .key(key)
            .upload_id(upload)
            .part_number(number);
        let answer = request.send().await.map_err(|error| of_sdk(&error))?;
        // As with a copy of a whole object, status 200 may contain an error.
        let result = answer.copy_part_result;
        let crc32 = result.as_ref().and_then(|result| result.checksum_crc32.clone());
        let etag = result.and_then(|result| result.e_tag);
        let etag = etag.ok_or_else(|| unexpected("the answer to UploadPartCopy has no ETag"))?;
        Ok(Part { number, size, etag, crc32 })
    }

    /// Makes the object of these parts. Returns its ETag.
    pub(crate) async fn complete(&self, key: &str, upload: &str, parts: &[Part]) -> Result<String> {
        let parts = parts
            .iter()
            .map(|part| {
                let completed = CompletedPart::builder().part_number(part.number).e_tag(&part.etag);
                completed.set_checksum_crc32(part.crc32.clone()).build()
            })
            .collect();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&*self.bucket)
            .key(key)
            .upload_id(upload)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build());
        let answer = request.send().await.map_err(|error| of_sdk(&error))?;
        // Status 200 may contain an error in the body, and a parser may see nothing in it.
        answer.e_tag.ok_or_else(|| unexpected("the answer to CompleteMultipartUpload has no ETag"))
    }

    /// Aborts an upload. An upload that is gone counts as aborted.
    pub(crate) async fn abort(&self, key: &str, upload: &str) -> Result<()> {
        let request = self.client.abort_multipart_upload().bucket(&*self.bucket).key(key).upload_id(upload);
        match request.send().await.map_err(|error| of_sdk(&error)) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}
