//! Staged bytes: one blob beside the file, which holds them.
//!
//! Its metadata names the close that wrote it. A close appends by a list of the blocks that the blob has and
//! of new ones, on the condition of its ETag: what was acknowledged stays as it is, or is part of what
//! replaces it, whatever happens. Up to a block the bytes are written in one request, and written again by
//! the next close.
//!
//! A commit of a writer that has sent blocks appends in the same way, and then copies. Until it has, the
//! metadata says how many of the bytes are staged, and that they are still those of the last close.

mod list;

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry_core::{Error, ErrorKind, Result, StageId, Staged, StoragePath};
use plugin_registry_drivers_objects::reader::{Download, Downloads};

pub(crate) use self::list::{delete_staged, list_staged};
use crate::{
    client::{BlobMetadata, Condition},
    error::is_condition,
    store::{Store, stage_conflict},
};

/// The most bytes of a stage without blocks: they are read to be continued.
pub(crate) const MAX_INLINE: u64 = 64 << 20;

/// How the bytes of a stage lie in its blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Written in one request.
    Bytes,
    Blocks,
    /// The first of its blocks: others follow, of a commit that has not ended.
    FirstBlocks,
}

const FORMS: [(char, Form); 3] = [('p', Form::Bytes), ('b', Form::Blocks), ('f', Form::FirstBlocks)];

/// A stage, as its blob is now.
#[derive(Clone, Debug)]
pub(crate) struct StageState {
    pub(crate) form: Form,
    pub(crate) etag: String,
    /// What its identity is made of.
    pub(crate) id: String,
}

/// A stage to continue.
#[derive(Debug)]
pub(crate) struct LoadedStage {
    pub(crate) state: StageState,
    /// The blocks that it has, in order.
    pub(crate) kept: Vec<Vec<u8>>,
    /// Its bytes, if it has no blocks.
    pub(crate) tail: Bytes,
    pub(crate) size: u64,
}

impl StageState {
    /// The value of the stage.
    pub(crate) fn value(&self, path: &StoragePath, size: u64) -> Staged {
        let form = FORMS.iter().find(|(_, form)| *form == self.form).map_or('p', |(text, _)| *text);
        let state = format!("{form}{} {}", self.etag, self.id);
        Staged::new(path.clone(), size, StageId::of(&self.id)).with_state(state)
    }

    /// What the driver wrote into a value.
    fn of(staged: &Staged) -> Result<Self> {
        let mut text = staged.state().chars();
        let form = text.next().and_then(|first| FORMS.iter().find(|(text, _)| *text == first));
        let parts = text.as_str().rsplit_once(' ').filter(|(etag, id)| !etag.is_empty() && !id.is_empty());
        match (form, parts) {
            (Some((_, form)), Some((etag, id))) => {
                Ok(Self { form: *form, etag: etag.to_owned(), id: id.to_owned() })
            }
            _ => Err(stage_conflict()),
        }
    }
}

/// Finds the stage of a path. One request.
pub(crate) async fn find(store: &Store, path: &StoragePath) -> Result<Staged> {
    // No file can have this name, so nothing is staged for it.
    store.keys.visible(path)?;
    let blob = store.client.head(&store.keys.staged(path)).await?;
    let (Some(id), Some(etag)) = (blob.stage, blob.etag) else {
        // What is left for a moment where blocks of a writer that has gone are forgotten.
        if blob.mark.is_some() {
            return Err(ErrorKind::NotFound.into());
        }
        let message = "the stage was not written by this driver";
        return Err(Error::new(ErrorKind::Corrupted).with_message(message));
    };
    let form = match (blob.has_blocks, blob.staged) {
        (false, _) => Form::Bytes,
        (true, None) => Form::Blocks,
        (true, Some(_)) => Form::FirstBlocks,
    };
    let size = blob.staged.unwrap_or(blob.size);
    Ok(StageState { form, etag, id }.value(path, size).with_modified(blob.modified))
}

/// Does something with a stage as it was when its value was made. If its blob has another ETag, but still
/// holds the bytes of the same close, it is done with the blob as it is now.
async fn with_current<'a, T, F>(
    store: &'a Store,
    staged: &'a Staged,
    act: impl Fn(StageState) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let late = match act(StageState::of(staged)?).await {
        Err(error) if error.kind() == ErrorKind::Conflict => error,
        result => return result,
    };
    let now = find(store, &staged.path).await?;
    let is_same = now.id == staged.id && now.size == staged.size && now.state() != staged.state();
    if is_same { act(StageState::of(&now)?).await } else { Err(late) }
}

/// Opens a stage to continue it, if it has not been replaced. One request.
pub(crate) async fn resume(store: &Store, staged: &Staged) -> Result<LoadedStage> {
    let key = store.keys.staged(&staged.path);
    with_current(store, staged, |state| load(store, &key, state, staged.size)).await
}

async fn load(store: &Store, key: &str, state: StageState, size: u64) -> Result<LoadedStage> {
    if state.form == Form::Bytes {
        let tail = fetch(store, key, &state.etag, size).await.map_err(of_condition)?;
        return Ok(LoadedStage { state, kept: Vec::new(), tail, size });
    }
    let kept = first_blocks(store, key, &state.etag, size).await?;
    Ok(LoadedStage { state, kept, tail: Bytes::new(), size })
}

/// The first blocks of a blob, which have this many bytes.
async fn first_blocks(store: &Store, key: &str, etag: &str, size: u64) -> Result<Vec<Vec<u8>>> {
    let (mut kept, mut counted) = (Vec::new(), 0);
    for (id, bytes) in store.client.blocks(key, etag).await? {
        if counted == size {
            break;
        }
        counted += bytes;
        kept.push(id);
    }
    if counted == size { Ok(kept) } else { Err(stage_conflict()) }
}

fn of_condition(error: Error) -> Error {
    if is_condition(&error) { stage_conflict() } else { error }
}

/// Reads a small blob into memory. Retries if it breaks off.
async fn fetch(store: &Store, key: &str, etag: &str, size: u64) -> Result<Bytes> {
    if size > MAX_INLINE {
        let message = "the stage was not written by this driver";
        return Err(Error::new(ErrorKind::Corrupted).with_message(message));
    }
    let mut last =
        Error::new(ErrorKind::Unavailable).with_message("a stage was repeatedly cut off in transit");
    for _ in 0..3 {
        let Download { object, body, .. } = store.client.download(key, None, Some(etag)).await?;
        if object.size != size {
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
    let (from, to) = (store.keys.staged(&staged.path), store.keys.file(to)?);
    with_current(store, staged, |state| async {
        let etag = match state.form {
            Form::FirstBlocks => cut(store, &from, state, staged.size).await?,
            Form::Bytes | Form::Blocks => state.etag,
        };
        store.copy_to_file(&from, &etag, &to).await
    })
    .await
}

/// Makes the blob of a stage hold the staged bytes alone. Returns its ETag.
async fn cut(store: &Store, key: &str, state: StageState, size: u64) -> Result<String> {
    let kept = first_blocks(store, key, &state.etag, size).await?;
    let metadata = BlobMetadata { stage: Some(&state.id), has_blocks: true, ..BlobMetadata::default() };
    let condition = Condition::Same(&state.etag);
    let made = store.client.commit_blocks(key, kept, &[], condition, metadata).await.map_err(of_condition)?;
    made.ok_or_else(no_etag)
}

/// Deletes a stage, if it still is this one.
pub(crate) async fn delete(store: &Store, staged: &Staged) -> Result<()> {
    let key = store.keys.staged(&staged.path);
    let deleted = with_current(store, staged, |state| {
        let (store, key) = (store, key.clone());
        async move { store.client.delete(&key, Condition::Same(&state.etag)).await.map_err(of_condition) }
    });
    match deleted.await {
        Err(error) if error.is_not_found() || error.kind() == ErrorKind::Conflict => Ok(()),
        deleted => deleted,
    }
}

/// The error of an answer that does not say which blob was written.
pub(crate) fn no_etag() -> Error {
    Error::new(ErrorKind::Unavailable).with_message("the store's answer has no ETag")
}
