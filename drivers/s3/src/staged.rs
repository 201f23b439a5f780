//! Finding what unfinished writers have left, and throwing it away.

use std::{collections::HashSet, time::SystemTime};

use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use plugin_registry_core::{ErrorKind, FileInfo, Result, StoragePath};

use crate::{
    client::{Progress, Uploads},
    list,
    stage::Stage,
    store::Store,
};

/// An open multipart upload.
struct Open {
    key: String,
    id: String,
    begun: Option<SystemTime>,
}

/// All stages below a path and at it: those that wait to be resumed, and multipart uploads that nobody
/// promised to keep, 100,000 and a page of each at the most. Holds one page of keys, and what is staged.
pub(crate) fn list_staged<'a>(store: &'a Store, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
    stream::once(async move {
        let mut promised = HashSet::new();
        let mut found = Vec::new();
        let mut keys = list::staged_below(store, store.keys.below(path)).await?;
        if !path.is_root() {
            keys.push(store.keys.staged(path));
        }
        for key in keys {
            let Some(target) = store.keys.staged_path(&key) else { continue };
            let Some((stage, modified)) = peek(store, &key).await? else { continue };
            let modified = last_change(store, &target, stage.as_ref(), modified).await?;
            promised.extend(stage.as_ref().and_then(|stage| stage.upload.clone()));
            found.push(FileInfo::file(target, stage.map_or(0, |stage| stage.size), modified));
        }
        let root = store.keys.below(path);
        let prefix = if path.is_root() { root } else { root.trim_end_matches('/').to_owned() };
        for Open { key, id, begun } in open_uploads(store, &prefix).await? {
            let target = store.keys.path(&key);
            let Some(target) = target
                .filter(|target| path.is_root() || target == path || target.strip_prefix(path).is_some())
            else {
                continue;
            };
            if promised.contains(&id) {
                continue;
            }
            match store.client.staged_parts(&key, &id).await {
                Ok((size, last)) => found.push(FileInfo::file(target, size, last.max(begun))),
                // Finished or given up meanwhile.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(stream::iter(found).map(Ok))
    })
    .try_flatten()
    .boxed()
}

/// What is known of the stage under a key without its last bytes. Damage has an age, too.
async fn peek(store: &Store, key: &str) -> Result<Option<(Option<Stage>, Option<SystemTime>)>> {
    // A description of 10,000 parts with checksums is longer than 1 MiB.
    const ENOUGH: u64 = 4 << 20;
    let (object, bytes) = match store.fetch(key, Some((0, Some(ENOUGH - 1))), ENOUGH).await {
        Ok(found) => found,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) if error.kind() == ErrorKind::InvalidOffset => {
            let object = store.client.head(key).await?;
            let stage = object.stage.map(|id| Stage::of_bytes(id, object.size));
            return Ok(Some((stage, object.modified)));
        }
        Err(error) => return Err(error),
    };
    let stage = match object.stage {
        Some(id) => Some(Stage::of_bytes(id, object.size)),
        None => Stage::head(&bytes).map(|(stage, _)| stage),
    };
    Ok(Some((stage, object.modified)))
}

/// When the object of a stage changed, or a part came for it since.
async fn last_change(
    store: &Store,
    path: &StoragePath,
    stage: Option<&Stage>,
    modified: Option<SystemTime>,
) -> Result<Option<SystemTime>> {
    let Some(upload) = stage.and_then(|stage| stage.upload.as_ref()) else { return Ok(modified) };
    match store.client.staged_parts(&store.keys.file(path)?, upload).await {
        Ok((_, last)) => Ok(modified.max(last)),
        Err(error) if error.is_retryable() || error.kind() == ErrorKind::Unauthenticated => Err(error),
        // There is no such upload, or it may not be looked at: then the stage has its own age.
        Err(error) => {
            tracing::debug!(%path, %error, "the parts of a stage could not be looked at");
            Ok(modified)
        }
    }
}

/// The multipart uploads whose keys begin so. Credentials that may not list them are common, as Velero's
/// documentation does not ask for that right: then nothing is found.
async fn open_uploads(store: &Store, prefix: &str) -> Result<Vec<Open>> {
    let (mut found, mut from) = (Vec::new(), Some(Uploads::default()));
    let mut progress = Progress::default();
    // Some stores ignore where a page should begin, and give the first one again.
    let mut known = HashSet::new();
    while let Some(here) = from {
        let page = match store.client.list_uploads(prefix, &here).await {
            Ok(page) => page,
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
                tracing::warn!(%error, "multipart uploads that broke off cannot be found");
                return Ok(found);
            }
            Err(error) => return Err(error),
        };
        let before = found.len();
        let uploads = page.uploads.into_iter().filter(|(key, id, _)| known.insert((key.clone(), id.clone())));
        found.extend(uploads.map(|(key, id, begun)| Open { key, id, begun }));
        if found.len() >= list::COLLECTED {
            tracing::warn!(
                uploads = found.len(),
                "the rest of the open uploads is found when these are gone"
            );
            break;
        }
        from = page.next;
        if from.is_some() {
            progress.turn(found.len() > before)?;
        }
    }
    Ok(found)
}

/// Throws away what is staged for a path and changed before a time of the store's clock.
pub(crate) async fn delete_staged(store: &Store, path: &StoragePath, before: SystemTime) -> Result<usize> {
    let is_old = |time: Option<SystemTime>| time.is_some_and(|time| time < before);
    let key = match store.keys.visible(path) {
        // Nothing is staged for what no file can be.
        Err(error) if error.is_not_found() => return Ok(0),
        key => key?,
    };
    let staged = store.keys.staged(path);
    let stage = peek(store, &staged).await?;
    let promised = stage.as_ref().and_then(|(stage, _)| stage.as_ref()?.upload.clone());
    let (mut deleted, mut is_busy) = (0, false);
    for Open { key: found, id, begun } in open_uploads(store, &key).await? {
        if found != key || promised.as_ref() == Some(&id) {
            continue;
        }
        let last = match store.client.staged_parts(&key, &id).await {
            Ok((_, last)) => last.max(begun),
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error),
        };
        if is_old(last) {
            store.client.abort(&key, &id).await?;
            deleted += 1;
        } else {
            is_busy = true;
        }
    }
    // Whoever has resumed it sends parts: of its own upload, or, where it had none, of one that it does not name yet.
    if let Some((stage, modified)) = stage
        && !is_busy
        && is_old(modified)
        && is_old(last_change(store, path, stage.as_ref(), modified).await?)
    {
        if let Some(upload) = &promised {
            store.client.abort(&key, upload).await?;
        }
        store.remove_stage(path).await?;
        deleted += 1;
    }
    Ok(deleted)
}
