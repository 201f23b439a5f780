//! Multipart uploads.

use std::{collections::BTreeMap, time::SystemTime};

use s3s::{
    S3Error, S3Result,
    crypto::{Checksum as _, Md5},
    dto::{Checksum, CompletedPart},
    s3_error,
};

use super::{
    checksum::{self, checksum_of},
    content::Content,
    options::Limits,
    store::{Attributes, Object, Store, md5},
    text::{hex, unhex},
};

/// One part of an open upload.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its bytes.
    pub data: Content,
    /// Its ETag, without quotes.
    pub etag: String,
    /// When it was written, by the server's clock.
    pub modified: SystemTime,
    pub(super) checksum: Checksum,
}

/// An upload that is neither completed nor aborted.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The key that it is for.
    pub key: String,
    /// Its id.
    pub id: String,
    /// When it began, by the server's clock.
    pub initiated: SystemTime,
    /// The writer's attributes for the object.
    pub attributes: Attributes,
    /// Its parts by number.
    pub parts: BTreeMap<i32, Part>,
    pub(super) algorithm: Option<String>,
    pub(super) checksum_type: Option<String>,
}

impl Store {
    pub(super) fn begin(
        &mut self,
        key: &str,
        initiated: SystemTime,
        attributes: Attributes,
        algorithm: Option<String>,
        checksum_type: Option<String>,
    ) -> String {
        self.uploads_begun += 1;
        // Ids sort by their beginnings: lists are in that order, and markers are compared as text.
        let id = format!("{:08x}{}", self.uploads_begun, md5(key.as_bytes()));
        let upload = Upload {
            key: key.to_owned(),
            id: id.clone(),
            initiated,
            attributes,
            parts: BTreeMap::new(),
            algorithm,
            checksum_type,
        };
        self.uploads.insert((key.to_owned(), id.clone()), upload);
        id
    }

    pub(super) fn upload(&self, key: &str, id: &str) -> S3Result<&Upload> {
        self.uploads.get(&(key.to_owned(), id.to_owned())).ok_or_else(no_such_upload)
    }

    pub(super) fn put_part(
        &mut self,
        key: &str,
        id: &str,
        number: i32,
        (data, etag): (Content, String),
        modified: SystemTime,
        checksum: Checksum,
    ) -> S3Result<String> {
        let upload = self.uploads.get_mut(&(key.to_owned(), id.to_owned())).ok_or_else(no_such_upload)?;
        upload.parts.insert(number, Part { data, etag: etag.clone(), modified, checksum });
        Ok(etag)
    }

    pub(super) fn abort(&mut self, key: &str, id: &str) -> S3Result<()> {
        self.uploads.remove(&(key.to_owned(), id.to_owned())).map(drop).ok_or_else(no_such_upload)
    }

    /// Makes the object from the named parts. The upload stays open if that fails.
    pub(super) fn complete(
        &mut self,
        key: &str,
        id: &str,
        named: &[CompletedPart],
        modified: SystemTime,
        limits: &Limits,
    ) -> S3Result<Object> {
        let upload = self.upload(key, id)?;
        let parts = chosen(upload, named, limits)?;
        let length = parts.iter().map(|part| part.data.len()).sum::<usize>();
        if length as u64 > limits.max_object {
            return Err(s3_error!(EntityTooLarge, "The object is larger than the maximum allowed."));
        }
        let mut data = Content::default();
        let mut sums = Vec::new();
        for part in &parts {
            data.append(&part.data);
            sums.extend(unhex(&part.etag).unwrap_or_default());
        }
        let checksums = parts.iter().map(|part| &part.checksum).collect::<Vec<_>>();
        let whole = upload.checksum_type.as_deref() == Some("FULL_OBJECT");
        let object = Object {
            checksum: checksum::combined(&checksums, whole, &data),
            data,
            etag: format!("{}-{}", hex(&Md5::checksum(&sums)), parts.len()),
            modified,
            attributes: upload.attributes.clone(),
            parts: parts.len(),
        };
        self.uploads.remove(&(key.to_owned(), id.to_owned()));
        self.put(key, object.clone());
        Ok(object)
    }
}

/// Checks the list of a completion.
fn chosen<'a>(upload: &'a Upload, named: &[CompletedPart], limits: &Limits) -> S3Result<Vec<&'a Part>> {
    if named.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    let mut parts = Vec::with_capacity(named.len());
    let mut last = 0;
    for name in named {
        let number = name.part_number.unwrap_or_default();
        if number <= last {
            return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order."));
        }
        last = number;
        let part = upload.parts.get(&number).ok_or_else(|| invalid_part(number))?;
        let etag = name.e_tag.as_ref().map(s3s::dto::ETag::value);
        if etag != Some(part.etag.as_str()) || !checksum::agrees(&checksum_of!(name), &part.checksum) {
            return Err(invalid_part(number));
        }
        parts.push(part);
    }
    let small = |part: &&Part| (part.data.len() as u64) < limits.min_part;
    if parts.iter().rev().skip(1).any(small) {
        return Err(s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed object size."
        ));
    }
    Ok(parts)
}

fn invalid_part(number: i32) -> S3Error {
    s3_error!(
        InvalidPart,
        "One or more of the specified parts could not be found, or its ETag differs: {}",
        number
    )
}

pub(super) fn no_such_upload() -> S3Error {
    s3_error!(NoSuchUpload, "The specified multipart upload does not exist.")
}
