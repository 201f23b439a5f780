//! Requests that list.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    ops::RangeInclusive,
    time::SystemTime,
};

use aws_smithy_types::DateTime;
use plugin_registry_core::{Error, ErrorKind, Result};

use super::{S3Client, objects::time};
use crate::error::of_sdk;

/// What a part can be called.
const PARTS: RangeInclusive<i32> = 1..=10_000;

/// A page of a listing, in order of its keys as far as the store keeps one.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Keys, with size and last change.
    pub(crate) objects: Vec<(String, u64, Option<SystemTime>)>,
    /// What keys begin with up to the delimiter, included.
    pub(crate) prefixes: Vec<String>,
    /// How to go on.
    pub(crate) next: Option<String>,
}

/// Which objects are listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: Option<&'a str>,
    pub(crate) after: Option<String>,
    pub(crate) limit: Option<i32>,
}

/// The multipart uploads of one page.
#[derive(Debug, Default)]
pub(crate) struct UploadsPage {
    /// Key, upload id, begin.
    pub(crate) uploads: Vec<(String, String, Option<SystemTime>)>,
    pub(crate) next: Option<Uploads>,
}

/// So many pages in a row may bring nothing new. Stores give empty pages while they pass what was deleted.
const BARREN: u32 = 100;
/// The begins of so many pages are remembered: 65 million keys.
const REMEMBERED: usize = 1 << 16;

/// Tells a listing that goes on from one that never ends: pages without an entry, or the same one again, each with
/// another word for where to go on.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    barren: u32,
    /// What pages began with, as hashes.
    begins: HashSet<u64>,
}

impl Progress {
    /// After a page that is not the last.
    ///
    /// # Errors
    /// Where 100 in a row brought nothing new.
    pub(crate) fn page(&mut self, first: Option<&String>) -> Result<()> {
        if self.begins.len() >= REMEMBERED {
            self.begins.clear();
        }
        let is_new = first.is_some_and(|first| {
            self.begins.insert(BuildHasherDefault::<DefaultHasher>::default().hash_one(first))
        });
        self.turn(is_new)
    }

    /// The same where it is known whether a page had anything new.
    pub(crate) fn turn(&mut self, is_new: bool) -> Result<()> {
        self.barren = if is_new { 0 } else { self.barren + 1 };
        if self.barren < BARREN {
            Ok(())
        } else {
            Err(broken("100 pages of a listing in a row have nothing new"))
        }
    }
}

/// Where a listing of multipart uploads goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uploads {
    key: Option<String>,
    id: Option<String>,
}

impl S3Client {
    /// One page; `token` is what the page before gave.
    pub(crate) async fn list(&self, listing: &Listing<'_>, token: Option<&str>) -> Result<Page> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&*self.bucket)
            .prefix(listing.prefix)
            .set_delimiter(listing.delimiter.map(str::to_owned))
            .set_max_keys(listing.limit)
            .set_start_after(listing.after.clone())
            .set_continuation_token(token.map(str::to_owned));
        let answer = request.send().await.map_err(|error| of_sdk(&error))?;
        let is_cut = answer.is_truncated.unwrap_or_default();
        let next = answer.next_continuation_token.filter(|_| is_cut);
        if is_cut && next.is_none() {
            return Err(broken("a page is cut and says not how to go on"));
        }
        // A store that gives the same page for ever (minio-go issue 1704).
        if next.is_some() && next.as_deref() == token {
            return Err(broken("the store gave the same continuation token twice"));
        }
        let objects = answer.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let size = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
            // HEAD counts seconds, so everybody does.
            let modified = object.last_modified.map(|time| DateTime::from_secs(time.secs()));
            Some((object.key?, size, time(modified)))
        });
        let prefixes = answer.common_prefixes.unwrap_or_default().into_iter();
        Ok(Page {
            objects: objects.collect(),
            prefixes: prefixes.filter_map(|prefix| prefix.prefix).collect(),
            next,
        })
    }

    /// One page of the multipart uploads that are open.
    pub(crate) async fn list_uploads(&self, prefix: &str, from: &Uploads) -> Result<UploadsPage> {
        let request = self
            .client
            .list_multipart_uploads()
            .bucket(&*self.bucket)
            .prefix(prefix)
            .set_key_marker(from.key.clone())
            .set_upload_id_marker(from.id.clone());
        let answer = request.send().await.map_err(|error| of_sdk(&error))?;
        let next = Uploads { key: answer.next_key_marker, id: answer.next_upload_id_marker };
        let is_cut = answer.is_truncated.unwrap_or_default();
        if is_cut && (next == *from || next.key.is_none()) {
            return Err(broken("a page of multipart uploads is cut and says not how to go on"));
        }
        let uploads = answer
            .uploads
            .unwrap_or_default()
            .into_iter()
            .filter_map(|upload| Some((upload.key?, upload.upload_id?, time(upload.initiated))));
        Ok(UploadsPage { uploads: uploads.collect(), next: is_cut.then_some(next) })
    }

    /// Bytes and last change of the parts of an upload, whatever the pages: some stores ignore where a page
    /// should begin, and give the first one again (s3-orchestrator issue 1535).
    pub(crate) async fn staged_parts(&self, key: &str, upload: &str) -> Result<(u64, Option<SystemTime>)> {
        let mut parts: HashMap<i32, (u64, Option<SystemTime>)> = HashMap::new();
        let mut marker: Option<String> = None;
        loop {
            let request = self.client.list_parts().bucket(&*self.bucket).key(key).upload_id(upload);
            let request = request.set_part_number_marker(marker.clone());
            let answer = request.send().await.map_err(|error| of_sdk(&error))?;
            let before = parts.len();
            parts.extend(answer.parts.unwrap_or_default().into_iter().filter_map(|part| {
                let size = part.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
                let number = part.part_number.filter(|number| PARTS.contains(number))?;
                Some((number, (size, time(part.last_modified))))
            }));
            marker = answer.next_part_number_marker.filter(|_| answer.is_truncated.unwrap_or_default());
            if marker.is_none() || parts.len() == before {
                let last = parts.values().filter_map(|(_, modified)| *modified).max();
                return Ok((parts.values().map(|(size, _)| size).sum(), last));
            }
        }
    }
}

fn broken(message: &'static str) -> Error {
    // Whoever takes this for the end of a listing would miss what follows.
    Error::new(ErrorKind::Unavailable).with_message(message).with_retryable(false)
}
