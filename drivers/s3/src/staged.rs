//! Finds what writers have left, makes it visible, and deletes it.

use std::{collections::HashSet, time::SystemTime};

use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use plugin_registry_core::{Error, ErrorKind, FileInfo, Result, StageId, Staged, StoragePath};

use crate::{
    client::{Condition, ObjectMetadata, Uploads, is_condition},
    content::Content,
    list::{self, Progress},
    parts::MIN_PART,
    stage::Stage,
    store::{LoadedStage, Shared, Source, Store},
    upload::Upload,
};

/// An open multipart upload.
struct OpenUpload {
    key: String,
    id: String,
    begun: Option<SystemTime>,
}

/// Finds the stage of a path. One request, two if the store keeps no metadata.
pub(crate) async fn find(store: &Store, path: &StoragePath) -> Result<Staged> {
    // No file can have this name, so nothing is staged for it.
    store.keys.visible(path)?;
    let object = store.client.head(&store.keys.staged(path)).await?;
    let staged = match (&object.stage, object.staged) {
        (Some(id), Some(size)) => value(path, id, size),
        (Some(id), None) => value(path, id, object.size).with_state(object.etag.unwrap_or_default()),
        (None, _) => {
            let found = store.stage(path).await?.ok_or(ErrorKind::NotFound)?;
            value(path, &found.stage.id, found.stage.size)
        }
    };
    Ok(staged.with_modified(object.modified))
}

/// The value of a stage. Its state is the ETag, if the object is the bytes themselves.
pub(crate) fn value(path: &StoragePath, id: &str, size: u64) -> Staged {
    Staged::new(path.clone(), size, StageId::of(id))
}

/// Opens a stage, if it has not been replaced.
pub(crate) async fn open(store: &Store, staged: &Staged) -> Result<LoadedStage> {
    let found = store.stage(&staged.path).await?.ok_or(ErrorKind::NotFound)?;
    if StageId::of(&found.stage.id) != staged.id {
        return Err(stage_conflict());
    }
    if found.stage.size != staged.size {
        return Err(Error::new(ErrorKind::Unavailable).with_message("a stage was cut off in transit"));
    }
    Ok(found)
}

/// Opens a stage to continue it. Fails if a commit has begun, which may have used up its upload.
pub(crate) async fn resume(store: &Store, staged: &Staged) -> Result<LoadedStage> {
    let found = open(store, staged).await?;
    if found.stage.upload.as_ref().is_some_and(|upload| upload.is_ending) {
        return Err(Error::new(ErrorKind::NotFound).with_message("a commit of this stage has begun"));
    }
    Ok(found)
}

/// Lets the store copy the bytes of a stage, or sends them again if it cannot.
pub(crate) async fn commit(store: &Shared, staged: &Staged, to: &StoragePath) -> Result<()> {
    let key = store.keys.file(to)?;
    let features = store.before_writing().await?;
    let etag = Some(staged.state()).filter(|etag| !etag.is_empty() && features.conditional_copies);
    if let Some(etag) = etag.filter(|_| staged.size <= store.copy_threshold) {
        match store.copy_bytes(&store.keys.staged(&staged.path), etag, &key).await {
            Err(error) if !error.is_retryable() => {
                tracing::debug!(%error, "the store does not copy a stage: its bytes are read and sent again");
            }
            copied => return copied,
        }
    }
    let mut found = open(store, staged).await?;
    let Some(promised) = &mut found.stage.upload else {
        return store.overwrite(&key, found.tail.into()).await;
    };
    // From here on no writer that has resumed it can close: that would promise bytes of an upload that is used
    // up.
    if !std::mem::replace(&mut promised.is_ending, true) {
        let object = found.stage.encode(&found.tail.clone().into())?.into();
        replace(store, &staged.path, object, found.etag.as_deref(), metadata_of(&found.stage)).await?;
    }
    commit_parts(store, &staged.path, found, &key).await
}

/// Makes an object of a stage in parts that no writer continues.
///
/// An upload with this mark and this size has only one content: sizes grow with each close, and one writer
/// closes at a time. So an object with both was made by an earlier attempt that was interrupted.
pub(crate) async fn commit_parts(
    store: &Shared,
    path: &StoragePath,
    found: LoadedStage,
    to: &str,
) -> Result<()> {
    let LoadedStage { stage, tail, .. } = found;
    let promised = stage.upload.as_ref().ok_or(ErrorKind::Other)?;
    let own = store.keys.file(path)?;
    let mut upload = Upload::from_staged(store.clone(), own.clone(), promised);
    let sent = async {
        if !tail.is_empty() {
            upload.take_last();
            upload.send(tail.into(), None).await?;
        }
        upload.wait_for_parts().await
    };
    let etag = match sent.await {
        Err(error) if error.is_not_found() => match store.client.head(&own).await {
            Ok(object) if object.mark.as_ref() == Some(&promised.mark) && object.size == stage.size => {
                object.etag
            }
            Err(asked) if !asked.is_not_found() => return Err(asked),
            _ => return Err(error),
        },
        sent => {
            sent?;
            upload.complete().await?
        }
    };
    let mut rest = vec![store.keys.staged(path)];
    if own != to {
        // Visible under its own key first, then copied by the store, then deleted from its own key. A crash in
        // between leaves a file in an upload's directory, and the stage, to be committed again.
        let source = Source { key: &own, etag: etag.as_deref(), mark: &promised.mark };
        store.copy(&source, to, stage.size).await?;
        rest.push(own);
    }
    store.try_delete(rest).await;
    Ok(())
}

/// Aborts the multipart upload of a stage, if it has one and still exists.
pub(crate) async fn abort(store: &Store, staged: &Staged) -> Result<()> {
    // An object with an ETag is the bytes themselves. Fewer bytes than any part are not in an upload.
    if !staged.state().is_empty() || staged.size < MIN_PART.min(store.chunk_size) {
        return Ok(());
    }
    let found = match open(store, staged).await {
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Corrupted) =>
        {
            return Ok(());
        }
        found => found?,
    };
    match &found.stage.upload {
        Some(upload) => store.client.abort(&store.keys.file(&staged.path)?, &upload.id).await,
        None => Ok(()),
    }
}

/// Rewrites the object of a stage, if it still has this ETag.
pub(crate) async fn replace(
    store: &Shared,
    path: &StoragePath,
    object: Content,
    etag: Option<&str>,
    marks: ObjectMetadata<'_>,
) -> Result<Option<String>> {
    let key = store.keys.staged(path);
    match etag {
        Some(etag) if store.features().conditional_writes => {
            store.put_if(&key, object, Condition::Same(etag), marks).await.map_err(|error| {
                if is_condition(&error) || error.is_not_found() { stage_conflict() } else { error }
            })
        }
        _ => store.client.put(&key, object, Condition::Any, marks).await,
    }
}

/// The metadata of a stage's object.
pub(crate) fn metadata_of(stage: &Stage) -> ObjectMetadata<'_> {
    ObjectMetadata { mark: None, stage: Some(&stage.id), staged: Some(stage.size) }
}

pub(crate) fn stage_conflict() -> Error {
    Error::new(ErrorKind::Conflict).with_message("another writer has closed this stage meanwhile")
}

/// Lists all stages at and below a path: those that wait to be resumed, and multipart uploads that no close
/// promised to keep. At most 100,000 and a page of each. Holds one page of keys, and what is staged.
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
            promised.extend(stage.as_ref().and_then(|stage| Some(stage.upload.as_ref()?.id.clone())));
            found.push(FileInfo::new(target, stage.map_or(0, |stage| stage.size), modified));
        }
        let stages = found.len();
        let root = store.keys.below(path);
        let prefix = if path.is_root() { root } else { root.trim_end_matches('/').to_owned() };
        for OpenUpload { key, id, begun } in open_uploads(store, &prefix).await? {
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
                Ok((size, last)) => {
                    let last = last.max(begun);
                    // These may be the parts of a writer that has resumed the stage: `delete_staged` keeps it.
                    let resumed = found.iter_mut().take(stages).find(|stage| stage.path == target);
                    if let Some(stage) = resumed {
                        stage.modified = stage.modified.max(last);
                    }
                    found.push(FileInfo::new(target, size, last));
                }
                // Completed or aborted meanwhile.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(stream::iter(found).map(Ok))
    })
    .try_flatten()
    .boxed()
}

/// The facts about the stage under a key, without its last bytes. A damaged stage has an age, too.
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
    let stage = match object.stage.filter(|_| object.staged.is_none()) {
        Some(id) => Some(Stage::of_bytes(id, object.size)),
        None => Stage::head(&bytes).map(|(stage, _)| stage),
    };
    Ok(Some((stage, object.modified)))
}

/// When the object of a stage last changed, or a part came for it since.
async fn last_change(
    store: &Store,
    path: &StoragePath,
    stage: Option<&Stage>,
    modified: Option<SystemTime>,
) -> Result<Option<SystemTime>> {
    let Some(upload) = stage.and_then(|stage| stage.upload.as_ref()) else { return Ok(modified) };
    match store.client.staged_parts(&store.keys.file(path)?, &upload.id).await {
        Ok((_, last)) => Ok(modified.max(last)),
        Err(error) if error.is_retryable() || error.kind() == ErrorKind::Unauthenticated => Err(error),
        // There is no such upload, or it may not be read: then the stage has its own age.
        Err(error) => {
            tracing::debug!(%path, %error, "the parts of a stage could not be listed");
            Ok(modified)
        }
    }
}

/// The multipart uploads whose keys begin with a prefix. Credentials often may not list them, as Velero's
/// documentation does not ask for that right: then nothing is found.
async fn open_uploads(store: &Store, prefix: &str) -> Result<Vec<OpenUpload>> {
    let (mut found, mut from) = (Vec::new(), Some(Uploads::default()));
    let mut progress = Progress::default();
    // Some stores ignore where a page should begin, and return the first one again.
    let mut known = HashSet::new();
    while let Some(here) = from {
        let page = match store.client.list_uploads(prefix, &here).await {
            Ok(page) => page,
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
                tracing::warn!(%error, "multipart uploads that broke off cannot be listed");
                return Ok(found);
            }
            Err(error) => return Err(error),
        };
        let before = found.len();
        let uploads = page.uploads.into_iter().filter(|(key, id, _)| known.insert((key.clone(), id.clone())));
        found.extend(uploads.map(|(key, id, begun)| OpenUpload { key, id, begun }));
        if found.len() >= list::COLLECTED {
            tracing::warn!(
                uploads = found.len(),
                "too many open uploads for one list: the rest is found once these are gone"
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

/// Deletes what is staged for a path and changed before a time of the store's clock.
pub(crate) async fn delete_staged(store: &Store, path: &StoragePath, before: SystemTime) -> Result<usize> {
    let is_old = |time: Option<SystemTime>| time.is_some_and(|time| time < before);
    let key = match store.keys.visible(path) {
        // No file can have this name, so nothing is staged for it.
        Err(error) if error.is_not_found() => return Ok(0),
        key => key?,
    };
    let staged = store.keys.staged(path);
    let stage = peek(store, &staged).await?;
    let promised = stage.as_ref().and_then(|(stage, _)| Some(stage.as_ref()?.upload.as_ref()?.id.clone()));
    let (mut deleted, mut is_busy) = (0, false);
    for OpenUpload { key: found, id, begun } in open_uploads(store, &key).await? {
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
    // A writer that has resumed the stage sends parts: to the stage's upload or, if it had none, to one that
    // the stage does not name yet.
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
