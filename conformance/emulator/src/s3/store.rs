//! The objects, and the conditions for writing them.

use std::{collections::BTreeMap, time::SystemTime};

use s3s::{
    S3Result,
    crypto::{Checksum as _, Md5},
    dto::{Checksum, ETag, ETagCondition},
    s3_error,
};

use super::{content::Content, multipart::Upload, text::hex};

/// The attributes that a writer gives to an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `x-amz-meta-*`, without the prefix.
    pub metadata: BTreeMap<String, String>,
    /// `x-amz-storage-class`.
    pub storage_class: Option<String>,
    /// `x-amz-server-side-encryption`: recorded, but never done.
    pub encryption: Option<String>,
    /// `x-amz-server-side-encryption-aws-kms-key-id`.
    pub kms_key: Option<String>,
    /// `x-amz-server-side-encryption-customer-key-md5`.
    pub customer_key_md5: Option<String>,
    /// `x-amz-acl`.
    pub acl: Option<String>,
    /// `x-amz-tagging`.
    pub tagging: Option<String>,
}

/// A stored object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its bytes.
    pub data: Content,
    /// Its ETag, without quotes.
    pub etag: String,
    /// When it was written, by the server's clock.
    pub modified: SystemTime,
    /// The attributes from its writer.
    pub attributes: Attributes,
    /// The number of its parts. Zero for a single put or a copy.
    pub parts: usize,
    pub(super) checksum: Checksum,
}

impl Object {
    pub(super) fn new(data: Content, etag: String, modified: SystemTime, attributes: Attributes) -> Self {
        Self { data, etag, modified, attributes, parts: 0, checksum: Checksum::default() }
    }

    pub(super) fn strong_etag(&self) -> ETag {
        ETag::Strong(self.etag.clone())
    }

    pub(super) fn size(&self) -> u64 {
        self.data.len() as u64
    }

    /// Whether its bytes must be restored first.
    pub(super) fn archived(&self) -> bool {
        matches!(self.attributes.storage_class.as_deref(), Some("GLACIER" | "DEEP_ARCHIVE"))
    }
}

pub(super) fn md5(data: &[u8]) -> String {
    hex(&Md5::checksum(data))
}

/// State that stays when the server forgets its requests.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) objects: BTreeMap<String, Object>,
    /// By key and upload id. Ids grow with time, so this is the order of the list.
    pub(super) uploads: BTreeMap<(String, String), Upload>,
    pub(super) uploads_begun: u64,
    /// The key that changed last, and its previous object, for lists that are late.
    pub(super) before: Option<(String, Option<Object>)>,
    /// The number of versions that are no longer current. They are not kept.
    pub(super) old_versions: usize,
    /// Keys of delete markers, and whether something was there.
    pub(super) markers: Vec<(String, bool)>,
}

impl Store {
    pub(super) fn get(&self, key: &str) -> S3Result<&Object> {
        self.objects.get(key).ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
    }

    pub(super) fn put(&mut self, key: &str, object: Object) {
        let old = self.objects.insert(key.to_owned(), object);
        self.before = Some((key.to_owned(), old));
    }

    /// What a bucket with versions does before a put.
    pub(super) fn keep_version(&mut self, key: &str) {
        self.old_versions += usize::from(self.objects.contains_key(key));
    }

    /// What a bucket with versions does for a delete.
    pub(super) fn mark_deleted(&mut self, key: &str) {
        self.keep_version(key);
        let was_there = self.objects.contains_key(key);
        self.markers.push((key.to_owned(), was_there));
        self.remove(key);
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Object> {
        let old = self.objects.remove(key);
        if old.is_some() {
            self.before = Some((key.to_owned(), old.clone()));
        }
        old
    }

    /// The objects in a list that has missed the latest change.
    pub(super) fn stale(&self) -> BTreeMap<String, Object> {
        let mut objects = self.objects.clone();
        match self.before.clone() {
            Some((key, Some(old))) => objects.insert(key, old),
            Some((key, None)) => objects.remove(&key),
            None => None,
        };
        objects
    }

    /// Checks the conditions of a write.
    pub(super) fn may_write(
        &self,
        key: &str,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result<()> {
        let object = self.objects.get(key);
        match if_none_match {
            Some(ETagCondition::Any) if object.is_some() => return Err(failed("If-None-Match")),
            Some(ETagCondition::ETag(_)) => {
                return Err(s3_error!(NotImplemented, "If-None-Match of a write is * or nothing."));
            }
            _ => {}
        }
        let Some(condition) = if_match else { return Ok(()) };
        let object = object.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))?;
        if matches(condition, object) { Ok(()) } else { Err(failed("If-Match")) }
    }
}

pub(super) fn matches(condition: &ETagCondition, object: &Object) -> bool {
    condition.as_etag().is_none_or(|etag| etag.value() == object.etag)
}

pub(super) fn failed(condition: &str) -> s3s::S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold: {}",
        condition
    )
}
