//! Requests that list.

use std::{collections::HashMap, ops::RangeInclusive, time::SystemTime};

use aws_smithy_types::DateTime;
use plugin_registry_core::{Error, ErrorKind, Result};
use plugin_registry_drivers_objects::list::{Listing, Page};

use super::{S3Client, objects::time};
use crate::error::of_sdk;

/// The valid numbers of parts.
const PARTS: RangeInclusive<i32> = 1..=10_000;

/// The multipart uploads of one page.
#[derive(Debug, Default)]
pub(crate) struct UploadsPage {
    /// Key, upload id, start.
    pub(crate) uploads: Vec<(String, String, Option<SystemTime>)>,
    pub(crate) next: Option<Uploads>,
}

/// Where a listing of multipart uploads goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uploads {
    key: Option<String>,
    id: Option<String>,
}

impl S3Client {
    /// Lists one page. `token` comes from the page before.
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
            return Err(broken("a truncated page does not say where the next one begins"));
        }
        // A store may return the same page for ever (minio-go issue 1704).
        if next.is_some() && next.as_deref() == token {
            return Err(broken("the store returned the same continuation token twice"));
        }
        let objects = answer.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let size = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
            // HEAD returns whole seconds, so listings do too.
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

    /// Lists one page of the open multipart uploads.
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
            return Err(broken("a truncated page of uploads does not say where the next one begins"));
        }
        let uploads = answer
            .uploads
            .unwrap_or_default()
            .into_iter()
            .filter_map(|upload| Some((upload.key?, upload.upload_id?, time(upload.initiated))));
        Ok(UploadsPage { uploads: uploads.collect(), next: is_cut.then_some(next) })
    }

    /// Bytes and last change of the parts of an upload, however they are paged. Some stores ignore where a
    /// page should begin, and return the first one again (s3-orchestrator issue 1535).
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
    // A caller that took this for the end of a listing would miss the rest.
    Error::new(ErrorKind::Unavailable).with_message(message).with_retryable(false)
}
