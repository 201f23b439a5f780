//! Requests for single objects.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{OnceLock, atomic::Ordering},
    time::SystemTime,
};

use aws_sdk_s3::{
    error::SdkError,
    operation::{
        copy_object::builders::CopyObjectFluentBuilder, get_object::GetObjectOutput,
        head_object::HeadObjectOutput,
    },
    presigning::PresigningConfig,
    primitives::ByteStream,
    types::{Delete, MetadataDirective, ObjectIdentifier},
};
use aws_smithy_types::DateTime;
use futures::{StreamExt, future::ready, stream};
use http::Method;
use plugin_registry_core::{Error, ErrorKind, Result};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};
use url::Url;

use super::{
    Listing, S3Client,
    checksums::{ChecksumMode, ChecksumNegotiation, RequestKind},
    headers::ContentMd5,
    unexpected,
};
use crate::{content::Content, error::of_sdk};

/// How long a presigned URL is valid, as in distribution.
const URL_TIME: std::time::Duration = std::time::Duration::from_secs(20 * 60);

/// How many objects are deleted at a time if each takes its own request.
const SINGLE: usize = 8;

/// An object without its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) size: u64,
    pub(crate) modified: Option<SystemTime>,
    pub(crate) etag: Option<String>,
    /// Our metadata, by which a write recognizes its own object.
    pub(crate) mark: Option<String>,
    /// The id of the stage that this object is.
    pub(crate) stage: Option<String>,
    /// How many bytes are staged, if the object only describes them.
    pub(crate) staged: Option<u64>,
}

/// The attributes that a whole object gets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ObjectMetadata<'a> {
    /// As in [`Object`].
    pub(crate) mark: Option<&'a str>,
    /// As in [`Object`].
    pub(crate) stage: Option<&'a str>,
    /// As in [`Object`].
    pub(crate) staged: Option<u64>,
}

/// An object with some of its bytes on their way.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) object: Object,
    pub(crate) range: Range<u64>,
    pub(crate) body: ByteStream,
}

/// The condition on a key for a write to happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Condition<'a> {
    /// Anything.
    #[default]
    Any,
    /// Nothing.
    Absent,
    /// The object with this ETag.
    Same(&'a str),
}

impl Condition<'_> {
    pub(super) fn if_match(&self) -> Option<String> {
        if let Self::Same(etag) = self { Some((*etag).to_owned()) } else { None }
    }

    pub(super) fn if_none_match(&self) -> Option<String> {
        (*self == Self::Absent).then(|| "*".to_owned())
    }
}

/// The names of our metadata.
const MARK: &str = "plugin-registry";
const STAGE: &str = "plugin-registry-stage";
const STAGED: &str = "plugin-registry-staged";

const CONTENT_TYPE: &str = "application/octet-stream";

impl S3Client {
    /// Opens an object, with the bytes of `range`. `None` means all of them.
    pub(crate) async fn get(
        &self,
        key: &str,
        range: Option<(u64, Option<u64>)>,
        etag: Option<&str>,
    ) -> Result<Download> {
        let range = range.map(|(first, last)| match last {
            Some(last) => format!("bytes={first}-{last}"),
            None => format!("bytes={first}-"),
        });
        let is_part = range.is_some();
        let request = self.client.get_object().bucket(&*self.bucket).key(key);
        let request = request.set_range(range).set_if_match(etag.map(str::to_owned));
        let mut answer = request.clone().send().await.map_err(|error| of_sdk(&error));
        if self.should_look_again(key, &mut answer).await {
            answer = request.send().await.map_err(|error| of_sdk(&error));
        }
        download(answer?, is_part)
    }

    pub(crate) async fn head(&self, key: &str) -> Result<Object> {
        let request = self.client.head_object().bucket(&*self.bucket).key(key);
        let mut answer = request.clone().send().await.map_err(|error| of_sdk(&error));
        if self.should_look_again(key, &mut answer).await {
            answer = request.send().await.map_err(|error| of_sdk(&error));
        }
        let HeadObjectOutput { content_length, last_modified, e_tag, metadata, .. } = answer?;
        object(content_length, last_modified, e_tag, metadata)
    }

    /// Finds out what a refused look at a key means. Credentials that may list only below a prefix, and some
    /// stores with any, get 403 for a missing key. If a list does not have the key, it is missing, and the
    /// answer becomes "not found". If the list has the key, the look was refused, or the key has come
    /// meanwhile: another look shows which.
    async fn should_look_again<T>(&self, key: &str, answer: &mut Result<T>) -> bool {
        let Err(error) = answer else { return false };
        if error.kind() != ErrorKind::PermissionDenied {
            return false;
        }
        let listing = Listing { prefix: key, limit: Some(1), ..Listing::default() };
        match self.list(&listing, None).await {
            Ok(page) if page.objects.iter().any(|(found, ..)| found == key) => return true,
            // In the order of the keys, the wanted key would come first.
            Ok(page) if page.next.is_none() || (!page.objects.is_empty() && self.is_in_order()) => {
                self.observed.hid_a_missing_key();
                *error = ErrorKind::NotFound.into();
            }
            // A HEAD with wrong keys gets 403 without a code.
            Err(asked) if asked.kind() == ErrorKind::Unauthenticated => *error = asked,
            _ => {}
        }
        false
    }

    /// Whether lists are in the order of the keys. Those of directory buckets are not.
    fn is_in_order(&self) -> bool {
        !self.bucket.ends_with("--x-s3")
    }

    /// Writes a whole object. Returns its ETag.
    pub(crate) async fn put(
        &self,
        key: &str,
        content: Content,
        condition: Condition<'_>,
        marks: ObjectMetadata<'_>,
    ) -> Result<Option<String>> {
        let mut attempt = ChecksumNegotiation::attempt(RequestKind::Object, self.sums.now());
        loop {
            let put = self.put_with(attempt.sum, key, content.clone(), condition, marks).await;
            if let Some(settled) = self.sums.settle(&mut attempt, put) {
                return settled;
            }
        }
    }

    async fn put_with(
        &self,
        sum: ChecksumMode,
        key: &str,
        content: Content,
        condition: Condition<'_>,
        marks: ObjectMetadata<'_>,
    ) -> Result<Option<String>> {
        let sums = sum.of(&content);
        let (body, signing) = self.signed(content);
        let request = self
            .client
            .put_object()
            .bucket(&*self.bucket)
            .key(key)
            .content_type(CONTENT_TYPE)
            .body(body)
            .set_checksum_crc32(sums.crc32)
            .set_content_md5(sums.md5)
            .set_storage_class(self.puts.storage_class.clone())
            .set_acl(self.puts.acl.clone())
            .set_server_side_encryption(self.puts.encryption.clone())
            .set_ssekms_key_id(self.puts.key_id.clone())
            .set_metadata(user_metadata(marks))
            .set_if_match(condition.if_match())
            .set_if_none_match(condition.if_none_match())
            .customize()
            .interceptor(signing);
        let answer = request.send().await.map_err(|error| of_sdk(&error))?;
        Ok(answer.e_tag)
    }

    /// Copies an object of at most 5 GiB inside the bucket, if it has this ETag.
    ///
    /// # Errors
    /// `AlreadyExists` if it has another ETag, as for all conditions.
    pub(crate) async fn copy(&self, from: &str, etag: Option<&str>, to: &str) -> Result<()> {
        let request = self.copying(from, to).set_copy_source_if_match(etag.map(str::to_owned));
        self.send_copy(request).await
    }

    /// Copies the bytes of an object of at most 5 GiB that has this ETag. The copy is like an object that was
    /// put.
    ///
    /// # Errors
    /// `AlreadyExists` if it has another ETag, as for all conditions.
    pub(crate) async fn copy_bytes(&self, from: &str, etag: &str, to: &str) -> Result<()> {
        let request = self
            .copying(from, to)
            .copy_source_if_match(etag)
            .metadata_directive(MetadataDirective::Replace)
            .content_type(CONTENT_TYPE);
        self.send_copy(request).await
    }

    fn copying(&self, from: &str, to: &str) -> CopyObjectFluentBuilder {
        self.client
            .copy_object()
            .bucket(&*self.bucket)
            .copy_source(self.source(from))
            .key(to)
            .set_storage_class(self.puts.storage_class.clone())
            .set_acl(self.puts.acl.clone())
            .set_server_side_encryption(self.puts.encryption.clone())
            .set_ssekms_key_id(self.puts.key_id.clone())
    }

    async fn send_copy(&self, request: CopyObjectFluentBuilder) -> Result<()> {
        let answer = request.send().await.map_err(|error| of_sdk(&error))?;
        // Status 200 may contain an error in the body, and a parser may see nothing in it.
        match answer.copy_object_result().and_then(|result| result.e_tag()) {
            Some(_) => Ok(()),
            None => Err(unexpected("the answer to CopyObject has no ETag")),
        }
    }

    pub(super) fn source(&self, key: &str) -> String {
        // Our keys have no character that has to be encoded. A bucket's root directory may.
        let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
        format!("{}/{}", self.bucket, encoded.replace("%2F", "/").replace('+', "%20"))
    }

    /// Deletes one object. A missing object is not an error.
    pub(crate) async fn delete(&self, key: &str) -> Result<()> {
        let answer = self.client.delete_object().bucket(&*self.bucket).key(key).send().await;
        match answer.map_err(|error| of_sdk(&error)) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Deletes at most 1000 objects. Returns those that could not be deleted, with the reason. Deletes one by
    /// one if the store does not know DeleteObjects: GCS answers 501 (minio/mc issue 4778).
    pub(crate) async fn delete_many(&self, keys: &[String]) -> Result<Vec<(String, Error)>> {
        if !self.is_without_batches.load(Ordering::Relaxed) {
            match self.delete_batch(keys).await {
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    tracing::debug!(%error, "the store lacks DeleteObjects: objects are deleted one by one");
                    self.is_without_batches.store(true, Ordering::Relaxed);
                }
                result => return result,
            }
        }
        // Directories come after what they hold, the deepest first.
        let end = OnceLock::new();
        let (directories, files): (Vec<_>, Vec<_>) = keys.iter().cloned().partition(|key| key.ends_with('/'));
        let mut failed: Vec<_> = stream::iter(files)
            .map(|key| self.delete_single(key, &end))
            .buffer_unordered(SINGLE)
            .filter_map(ready)
            .collect()
            .await;
        for directory in directories {
            failed.extend(self.delete_single(directory, &end).await);
        }
        Ok(failed)
    }

    /// Deletes one object and returns why it failed. An error that any other key would meet as well ends all:
    /// no further request is sent.
    async fn delete_single(&self, key: String, end: &OnceLock<Error>) -> Option<(String, Error)> {
        let again = |error: &Error| {
            let message = error.message().unwrap_or_default().to_owned();
            Error::new(error.kind()).with_message(message).with_retryable(error.is_retryable())
        };
        if let Some(error) = end.get() {
            return Some((key, again(error)));
        }
        let error = self.delete(&key).await.err()?;
        use ErrorKind::{RateLimited, Timeout, Unauthenticated, Unavailable};
        if matches!(error.kind(), RateLimited | Timeout | Unauthenticated | Unavailable) {
            let _ = end.set(again(&error));
        }
        Some((key, error))
    }

    async fn delete_batch(&self, keys: &[String]) -> Result<Vec<(String, Error)>> {
        let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
        let objects = objects.collect::<Result<Vec<_>, _>>().map_err(|_| unexpected("a key is missing"))?;
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let delete = delete.map_err(|_| unexpected("no key to delete"))?;
        let request = self.client.delete_objects().bucket(&*self.bucket).delete(delete);
        let answer = match self.is_strict {
            true => request.send().await,
            false => request.customize().interceptor(ContentMd5).send().await,
        };
        let answer = answer.map_err(|error: SdkError<_, _>| of_sdk(&error))?;
        let failed = answer.errors.unwrap_or_default().into_iter().filter_map(|failure| {
            let answer = crate::error::Answer {
                code: failure.code(),
                message: failure.message(),
                ..crate::error::Answer::default()
            };
            let error = crate::error::of_answer(&answer);
            (!error.is_not_found()).then(|| (failure.key.unwrap_or_default(), error))
        });
        Ok(failed.collect())
    }

    /// Presigns a URL for GET or HEAD. Sends no request, except perhaps for credentials.
    pub(crate) async fn presign(&self, key: &str, method: &Method) -> Result<Option<Url>> {
        let settings = PresigningConfig::expires_in(URL_TIME).map_err(|_| unexpected("no time for a URL"))?;
        let (client, bucket) = (&self.presigner, &*self.bucket);
        let signed = match *method {
            Method::GET => {
                let get = client.get_object().bucket(bucket).key(key);
                unlogged(get.presigned(settings)).await.map_err(|error| of_sdk(&error))?
            }
            Method::HEAD => {
                let head = client.head_object().bucket(bucket).key(key);
                unlogged(head.presigned(settings)).await.map_err(|error| of_sdk(&error))?
            }
            _ => return Ok(None),
        };
        url(signed.uri()).map(Some)
    }
}

/// Keeps signing out of every log: at TRACE the SDK logs what it signs, and for a URL that includes the token.
fn unlogged<F: Future>(signing: F) -> impl Future<Output = F::Output> {
    signing.with_subscriber(NoSubscriber::default())
}

fn url(text: &str) -> Result<Url> {
    // The text is a secret, so the error does not quote it.
    text.parse().map_err(|_| unexpected("a presigned URL cannot be parsed"))
}

pub(super) fn user_metadata(marks: ObjectMetadata<'_>) -> Option<HashMap<String, String>> {
    let staged = marks.staged.map(|size| size.to_string());
    let named = [(MARK, marks.mark), (STAGE, marks.stage), (STAGED, staged.as_deref())].into_iter();
    let found: HashMap<_, _> =
        named.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    (!found.is_empty()).then_some(found)
}

fn object(
    size: Option<i64>,
    modified: Option<DateTime>,
    etag: Option<String>,
    metadata: Option<HashMap<String, String>>,
) -> Result<Object> {
    let size = size.and_then(|size| u64::try_from(size).ok());
    let mut metadata = metadata.unwrap_or_default();
    let (mark, stage) = (metadata.remove(MARK), metadata.remove(STAGE));
    let staged = metadata.remove(STAGED).and_then(|size| size.parse().ok());
    let size = size.ok_or_else(|| unexpected("the answer has no size"))?;
    Ok(Object { size, modified: time(modified), etag, mark, stage, staged })
}

pub(super) fn time(time: Option<DateTime>) -> Option<SystemTime> {
    time.and_then(|time| SystemTime::try_from(time).ok())
}

fn download(answer: GetObjectOutput, is_part: bool) -> Result<Download> {
    let GetObjectOutput { content_length, content_range, last_modified, e_tag, metadata, body, .. } = answer;
    let length = content_length.and_then(|length| u64::try_from(length).ok());
    let length = length.ok_or_else(|| unexpected("the answer has no Content-Length"))?;
    let (range, size) = match content_range {
        Some(text) => parse(&text).ok_or_else(|| unexpected("the answer's Content-Range cannot be read"))?,
        // A store may answer a range with the whole object.
        None if is_part => return Err(unexpected("the store ignored the requested range")),
        None => (0..length, length),
    };
    if range.end - range.start != length {
        return Err(unexpected("Content-Range and Content-Length of the answer disagree"));
    }
    let mut object = object(Some(0), last_modified, e_tag, metadata)?;
    object.size = size;
    Ok(Download { object, range, body })
}

/// `bytes FIRST-LAST/SIZE`.
fn parse(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?, size.parse().ok()?);
    (first <= last && last < size).then(|| (first..last + 1, size))
}

/// Whether an error says that a condition did not hold.
pub(crate) fn is_condition(error: &Error) -> bool {
    error.kind() == ErrorKind::AlreadyExists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        assert_eq!(parse("bytes 0-4/10"), Some((0..5, 10)));
        assert_eq!(parse("bytes 9-9/10"), Some((9..10, 10)));
        for text in ["bytes */10", "bytes 5-4/10", "bytes 0-10/10", "0-4/10", "bytes 0-4/*", "bytes 0-4"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
