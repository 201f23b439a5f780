//! Finds and deletes what writers have left.

use std::time::SystemTime;

use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use plugin_registry_core::{Error, FileInfo, Result, StoragePath};
use plugin_registry_drivers_objects::list;

use crate::{
    client::{Blob, Removal},
    store::Store,
};

/// How many stages are looked at in parallel.
const LOOKS: usize = 8;

/// Lists all stages at and below a path. Holds their keys.
pub(crate) fn list_staged<'a>(store: &'a Store, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
    stream::once(async move {
        let mut keys = list::staged_below(store, store.keys.below(path)).await?;
        if !path.is_root() {
            keys.push(store.keys.staged(path));
        }
        let found = stream::iter(keys).map(move |key| async move {
            let Some(target) = store.keys.staged_path(&key) else { return Ok(None) };
            let Some(blob) = look(store, &key).await? else { return Ok(None) };
            // As young as the blocks that may have come for it: `delete_staged` keeps it as long.
            let modified = blob.modified.max(store.client.new_blocks(&key).await?);
            Ok(Some(FileInfo::new(target, blob.staged.unwrap_or(blob.size), modified)))
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

/// Deletes what is staged for a path and changed before a time of the store's clock. A writer that has
/// resumed it and sends blocks keeps it: they have no times, so those of a killed writer keep it for a week,
/// too.
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
    if modified >= before || store.client.new_blocks(&key).await?.is_some_and(|latest| latest >= before) {
        return Ok(0);
    }
    let failed = store.remove(vec![Removal { key, etag: Some(etag) }]).await;
    match failed.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(1),
    }
}
