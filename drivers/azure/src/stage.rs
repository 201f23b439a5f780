//! Staged bytes: one blob beside the file, which holds them and nothing else.
//!
//! Its metadata names the close that wrote it. A close appends by a list of the blocks that the blob has and of new
//! ones, on the condition of its ETag: what was acknowledged stays as it is, or is part of what replaces it, whatever
//! happens. Up to a block the bytes are written in one request, and written again by the next close.

use std::time::SystemTime;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use plugin_registry_core::{Error, ErrorKind, FileInfo, Result, StageId, Staged, StoragePath};
use plugin_registry_drivers_objects::list;
use uuid::Uuid;

use crate::{
    client::{Blob, BlobMetadata, Condition, Download},
    error::is_condition,
    store::{Removal, Store, stage_conflict},
};

/// The most bytes of a stage without blocks that are read to be continued. More than a block of usual size.
const MAX_INLINE: u64 = 256 << 20;

/// How many stages are looked at in parallel.
const LOOKS: usize = 8;

/// A stage to continue.
#[derive(Debug, Default)]
pub(crate) struct LoadedStage {
    pub(crate) etag: String,
    /// The blocks that it has, in order.
    pub(crate) kept: Vec<Vec<u8>>,
    /// Its bytes, if it has no blocks.
    pub(crate) tail: Bytes,
    pub(crate) size: u64,
}

/// What a close has written.
#[derive(Debug)]
pub(crate) struct WrittenStage {
    pub(crate) id: String,
    pub(crate) etag: String,
    pub(crate) has_blocks: bool,
}

impl WrittenStage {
    /// The value of the stage.
    pub(crate) fn value(&self, path: &StoragePath, size: u64) -> Staged {
        let form = if self.has_blocks { BLOCKS } else { BYTES };
        Staged::new(path.clone(), size, StageId::of(&self.id)).with_state(format!("{form}{}", self.etag))
    }
}

/// The first character of a value's state. The ETag follows.
const BLOCKS: char = 'b';
const BYTES: char = 'p';

/// The ETag in a value, and whether the stage has blocks.
fn state(staged: &Staged) -> Result<(&str, bool)> {
    let parts = |form| staged.state().strip_prefix(form).filter(|etag| !etag.is_empty());
    let found = parts(BLOCKS).map(|etag| (etag, true)).or_else(|| parts(BYTES).map(|etag| (etag, false)));
    found.ok_or_else(stage_conflict)
}

/// Finds the stage of a path. One request.
pub(crate) async fn find(store: &Store, path: &StoragePath) -> Result<Staged> {
    // No file can have this name, so nothing is staged for it.
    store.keys.visible(path)?;
    let blob = store.client.head(&store.keys.staged(path)).await?;
    let (size, modified) = (blob.size, blob.modified);
    let (Some(id), Some(etag)) = (blob.stage, blob.etag) else {
        let message = "the stage was not written by this driver";
        return Err(Error::new(ErrorKind::Corrupted).with_message(message));
    };
    let written = WrittenStage { id, etag, has_blocks: blob.has_blocks };
    Ok(written.value(path, size).with_modified(modified))
}

/// Opens a stage to continue it, if it has not been replaced. One request.
pub(crate) async fn resume(store: &Store, staged: &Staged) -> Result<LoadedStage> {
    let key = store.keys.staged(&staged.path);
    let (etag, has_blocks) = state(staged)?;
    let loaded = |kept, tail| LoadedStage { etag: etag.to_owned(), kept, tail, size: staged.size };
    if has_blocks {
        let blocks = store.client.blocks(&key, etag).await.map_err(of_resume)?;
        if blocks.iter().map(|(_, size)| size).sum::<u64>() != staged.size {
            return Err(stage_conflict());
        }
        return Ok(loaded(blocks.into_iter().map(|(id, _)| id).collect(), Bytes::new()));
    }
    if staged.size > MAX_INLINE {
        return Err(Error::new(ErrorKind::TooLarge).with_message("the stage was written with a larger `chunksize`"));
    }
    let bytes = fetch(store, &key, etag, staged.size).await.map_err(of_resume)?;
    Ok(loaded(Vec::new(), bytes))
}

fn of_resume(error: Error) -> Error {
    if is_condition(&error) || error.kind() == ErrorKind::Conflict { stage_conflict() } else { error }
}

/// Reads a small blob into memory. Retries if it breaks off.
async fn fetch(store: &Store, key: &str, etag: &str, size: u64) -> Result<Bytes> {
    let mut last = Error::new(ErrorKind::Unavailable).with_message("a stage was repeatedly cut off in transit");
    for _ in 0..3 {
        let Download { blob, body, .. } = store.client.get(key, None, Some(etag)).await?;
        if blob.size != size {
            return Err(stage_conflict());
        }
        match body.try_collect::<Vec<Bytes>>().await {
            Ok(pieces) if pieces.iter().map(Bytes::len).sum::<usize>() as u64 == size => {
                return Ok(pieces.concat().into());
            }
            Ok(_) => {}
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Lets the store copy the bytes of a stage, whose blob stays. One request, if the store copies at once.
pub(crate) async fn commit(store: &Store, staged: &Staged, to: &StoragePath) -> Result<()> {
    let key = store.keys.file(to)?;
    let (etag, _) = state(staged)?;
    copy_to_file(store, &store.keys.staged(&staged.path), etag, &key).await
}

/// Copies a blob that has this ETag to a file, without its metadata.
pub(crate) async fn copy_to_file(store: &Store, from: &str, etag: &str, to: &str) -> Result<()> {
    let mark = Uuid::new_v4().to_string();
    let metadata = BlobMetadata { mark: Some(&mark), ..BlobMetadata::default() };
    store.client.copy(from, etag, to, Condition::Any, metadata).await.map(drop)
}

/// What deletes a stage, if it still is this one.
pub(crate) fn removal(store: &Store, staged: &Staged) -> Removal {
    let etag = state(staged).ok().map(|(etag, _)| etag.to_owned());
    Removal { key: store.keys.staged(&staged.path), etag }
}

/// Lists all stages at and below a path. Holds their keys.
pub(crate) fn list_staged<'a>(store: &'a Store, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
    stream::once(async move {
        let mut keys = list::staged_below(store, store.keys.below(path)).await?;
        if !path.is_root() {
            keys.push(store.keys.staged(path));
        }
        let found = stream::iter(keys).map(move |key| async move {
            let Some(target) = store.keys.staged_path(&key) else { return Ok(None) };
            Ok(look(store, &key).await?.map(|blob| FileInfo::new(target, blob.size, blob.modified)))
        });
        Ok::<_, Error>(found.buffered(LOOKS).try_filter_map(futures::future::ok))
    })
    .try_flatten()
    .boxed()
}

async fn look(store: &Store, key: &str) -> Result<Option<Blob>> {
    match store.client.head(key).await {
        Ok(blob) => Ok(Some(blob)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes what is staged for a path and changed before a time of the store's clock. A writer that has resumed it and
/// sends blocks keeps it: they have no times, so those of a killed writer keep it for a week, too.
pub(crate) async fn delete_staged(store: &Store, path: &StoragePath, before: SystemTime) -> Result<usize> {
    match store.keys.visible(path) {
        // No file can have this name, so nothing is staged for it.
        Err(error) if error.is_not_found() => return Ok(0),
        key => drop(key?),
    }
    let key = store.keys.staged(path);
    let Some(Blob { modified: Some(modified), etag: Some(etag), .. }) = look(store, &key).await? else {
        return Ok(0);
    };
    if modified >= before || store.client.has_new_blocks(&key).await? {
        return Ok(0);
    }
    let failed = store.remove(vec![Removal { key, etag: Some(etag) }]).await;
    match failed.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(1),
    }
}
