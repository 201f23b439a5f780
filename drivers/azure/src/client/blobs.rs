//! Requests for whole blobs.

use std::{collections::HashMap, num::NonZero, time::SystemTime};

use async_trait::async_trait;
use azure_core::{
    http::{Etag, headers::Headers},
    time::parse_rfc7231,
};
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlobClientDownloadOptions, BlobClientSetPropertiesOptions,
    BlockBlobClientUploadOptions, DeleteSnapshotsOptionType, HttpRange,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use plugin_registry_core::{Error, ErrorKind, Result};
use plugin_registry_drivers_objects::{
    content::Content,
    reader::{Description, Download, Downloads},
};

use super::{AzureClient, upload};
use crate::error::{of_body, of_sdk};

/// Larger than any blob: the SDK would cut a download into parts and hold each one. JavaScript can count so
/// far.
const WHOLE: NonZero<usize> = NonZero::new(1 << 53).unwrap();

/// The type of everything that is written, as of distribution.
pub(super) const CONTENT_TYPE: &str = "application/octet-stream";

/// What the store says of a blob.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blob {
    pub(crate) size: u64,
    pub(crate) modified: Option<SystemTime>,
    pub(crate) etag: Option<String>,
    /// The identity of staged bytes.
    pub(crate) stage: Option<String>,
    /// Created by a write that may have to recognize its own work.
    pub(crate) mark: Option<String>,
    /// Whether staged bytes were written in blocks.
    pub(crate) has_blocks: bool,
    /// How many of the bytes are staged, if not all of them.
    pub(crate) staged: Option<u64>,
    pub(crate) copy: Option<CopyState>,
    /// Of another type than what this driver writes: no write replaces it.
    pub(crate) is_foreign: bool,
    /// A directory of an account with a hierarchical namespace.
    is_directory: bool,
}

/// How far the copy is by which a blob came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyState {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) progress: Option<String>,
    pub(crate) reason: Option<String>,
}

/// The metadata that a write gives to its blob.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BlobMetadata<'a> {
    pub(crate) stage: Option<&'a str>,
    pub(crate) mark: Option<&'a str>,
    pub(crate) has_blocks: bool,
    pub(crate) staged: Option<u64>,
}

/// What has to be true of a blob for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition<'a> {
    Any,
    /// There is none.
    Absent,
    /// It has this ETag.
    Same(&'a str),
}

impl Blob {
    /// Reads the headers of an answer about a blob.
    pub(super) fn of_headers(headers: &Headers) -> Self {
        let text = |name: &'static str| headers.get_optional_string(&name.into());
        let copy = text("x-ms-copy-status").map(|status| CopyState {
            id: text("x-ms-copy-id").unwrap_or_default(),
            status,
            progress: text("x-ms-copy-progress"),
            reason: text("x-ms-copy-status-description"),
        });
        Self {
            size: text("content-length").and_then(|size| size.parse().ok()).unwrap_or_default(),
            modified: text("last-modified").and_then(|time| modified(&time)),
            etag: text("etag"),
            stage: text("x-ms-meta-stage"),
            mark: text("x-ms-meta-mark"),
            has_blocks: text("x-ms-meta-blocks").is_some(),
            staged: text("x-ms-meta-staged").and_then(|size| size.parse().ok()),
            copy,
            is_foreign: text("x-ms-blob-type").is_some_and(|kind| kind != "BlockBlob"),
            is_directory: text("x-ms-meta-hdi_isfolder").is_some_and(|yes| yes == "true"),
        }
    }

    /// The blob, if it is a file and whole: a copy that is not finished has all or some of its bytes missing.
    pub(crate) fn visible(self) -> Result<Self> {
        let is_whole = self.copy.as_ref().is_none_or(|copy| copy.status == "success");
        if is_whole && !self.is_directory { Ok(self) } else { Err(ErrorKind::NotFound.into()) }
    }
}

impl BlobMetadata<'_> {
    pub(super) fn pairs(&self) -> Option<HashMap<String, String>> {
        let pair = |name: &str, value: Option<&str>| Some((name.to_owned(), value?.to_owned()));
        let staged = self.staged.map(|size| size.to_string());
        let all = [
            pair("stage", self.stage),
            pair("mark", self.mark),
            pair("blocks", self.has_blocks.then_some("1")),
            pair("staged", staged.as_deref()),
        ];
        let pairs: HashMap<_, _> = all.into_iter().flatten().collect();
        (!pairs.is_empty()).then_some(pairs)
    }
}

impl<'a> Condition<'a> {
    /// `If-Match` and `If-None-Match`.
    pub(super) fn etags(self) -> (Option<Etag>, Option<Etag>) {
        match self {
            Condition::Any => (None, None),
            Condition::Absent => (None, Some(Etag::from("*"))),
            Condition::Same(etag) => (Some(Etag::from(etag)), None),
        }
    }
}

/// Whole seconds, as in lists.
pub(super) fn modified(time: &str) -> Option<SystemTime> {
    parse_rfc7231(time).ok().map(SystemTime::from)
}

impl AzureClient {
    /// Describes a file that is whole.
    pub(crate) async fn head(&self, key: &str) -> Result<Blob> {
        self.peek(key).await?.visible()
    }

    /// Describes a blob, whatever it is.
    pub(crate) async fn peek(&self, key: &str) -> Result<Blob> {
        let answer = self.blob(key).get_properties(None).await.map_err(|error| of_sdk(&error))?;
        Ok(Blob::of_headers(answer.headers()))
    }

    /// Writes a blob in one request. Returns its ETag.
    pub(crate) async fn put(
        &self,
        key: &str,
        content: Content,
        condition: Condition<'_>,
        metadata: BlobMetadata<'_>,
    ) -> Result<Option<String>> {
        let (if_match, if_none_match) = condition.etags();
        let size = NonZero::new(content.len() as u64).unwrap_or(NonZero::<u64>::MIN);
        let options = BlockBlobClientUploadOptions {
            blob_content_type: Some(CONTENT_TYPE.to_owned()),
            if_match,
            if_none_match,
            metadata: metadata.pairs(),
            // One request, however many bytes.
            partition_size: Some(size),
            ..Default::default()
        };
        let client = self.blob(key).block_blob_client();
        let put =
            client.upload(upload::body(content), Some(options)).await.map_err(|error| of_sdk(&error))?;
        Ok(put.etag.map(|etag| etag.to_string()))
    }

    /// Gives a blob that has this ETag another one. Everything else stays. Returns the new one.
    pub(crate) async fn touch(&self, key: &str, etag: &str) -> Result<Option<String>> {
        let options = BlobClientSetPropertiesOptions {
            blob_content_type: Some(CONTENT_TYPE.to_owned()),
            if_match: Some(Etag::from(etag)),
            ..Default::default()
        };
        let answer = self.blob(key).set_properties(Some(options)).await.map_err(|error| of_sdk(&error))?;
        Ok(answer.headers().get_optional_string(&"etag".into()))
    }

    /// Deletes a blob with its snapshots.
    pub(crate) async fn delete(&self, key: &str, condition: Condition<'_>) -> Result<()> {
        let (if_match, if_none_match) = condition.etags();
        let options = BlobClientDeleteOptions {
            delete_snapshots: Some(DeleteSnapshotsOptionType::Include),
            if_match,
            if_none_match,
            ..Default::default()
        };
        self.blob(key).delete(Some(options)).await.map(drop).map_err(|error| of_sdk(&error))
    }
}

#[async_trait]
impl Downloads for AzureClient {
    /// Reads a blob, or the bytes from the first to the last of a range, if it has this ETag. The SDK asks
    /// twice for an empty one: no range of it exists.
    ///
    /// # Errors
    /// `InvalidOffset` if no byte is in the range; `NotFound` if the blob is not whole.
    pub(crate) async fn get(
        &self,
        key: &str,
        range: Option<(u64, Option<u64>)>,
        etag: Option<&str>,
    ) -> Result<Download> {
        let range = range.map(|(first, last)| match last {
            Some(last) => HttpRange::new(first, (last - first).saturating_add(1)),
            None => HttpRange::from_offset(first),
        });
        let options = BlobClientDownloadOptions {
            range,
            if_match: etag.map(Etag::from),
            parallel: Some(NonZero::<usize>::MIN),
            partition_size: Some(WHOLE),
            ..Default::default()
        };
        let answer = self.blob(key).download(Some(options)).await.map_err(|error| of_sdk(&error))?;
        let mut object = Description::from(Blob::of_headers(&answer.headers).visible()?);
        let bytes = match answer.headers.get_optional_string(&"content-range".into()) {
            Some(text) => {
                let (range, total) = content_range(&text).ok_or_else(|| {
                    Error::new(ErrorKind::Unavailable).with_message("a range that cannot be read")
                })?;
                object.size = total;
                range
            }
            None => 0..object.size,
        };
        let body = answer.body.map_err(|error| {
            let (kind, why) = of_body(&error);
            Error::new(kind).with_message(why)
        });
        Ok(Download { object, range: bytes, body: body.boxed() })
    }

    async fn describe(&self, key: &str) -> Result<Description> {
        Ok(self.head(key).await?.into())
    }
}

impl From<Blob> for Description {
    fn from(blob: Blob) -> Self {
        Self { size: blob.size, modified: blob.modified, etag: blob.etag }
    }
}

/// Reads `bytes 0-9/100`.
fn content_range(text: &str) -> Option<(std::ops::Range<u64>, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total) = (first.parse().ok()?, last.parse::<u64>().ok()?, total.parse().ok()?);
    let end = last.checked_add(1)?;
    // An emulator sends nothing from the end on; the store itself says that there is no such range.
    (first <= end && end <= total).then_some((first..end, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_answers() {
        assert_eq!(content_range("bytes 0-9/100"), Some((0..10, 100)));
        assert_eq!(content_range("bytes 99-99/100"), Some((99..100, 100)));
        assert_eq!(content_range("bytes 100-99/100"), Some((100..100, 100)));
        for text in ["", "bytes", "bytes 0-9", "bytes 0-9/*", "bytes 9-7/10", "bytes 0-10/10", "0-9/100"] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_whole_is_not_there() {
        let blob = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = Headers::new();
            pairs.iter().for_each(|(name, value)| headers.insert(*name, *value));
            Blob::of_headers(&headers)
        };
        blob(&[]).visible().unwrap();
        blob(&[("x-ms-copy-status", "success")]).visible().unwrap();
        for status in ["pending", "aborted", "failed"] {
            let missing = blob(&[("x-ms-copy-status", status)]).visible().unwrap_err();
            assert_eq!(missing.kind(), ErrorKind::NotFound, "{status}");
        }
        assert!(blob(&[("x-ms-meta-hdi_isfolder", "true")]).visible().unwrap_err().is_not_found());
    }
}
