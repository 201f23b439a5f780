//! The shared maps of files and stages, and the accounting of their bytes.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use plugin_registry_core::{Error, ErrorKind, FileInfo, PutMode, Result, StageId, Staged, StoragePath};

/// A path as a key that is looked up by text, so that a bound such as `/a/` need not be a valid path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) StoragePath);

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self.0.as_str()
    }
}

pub(crate) type Files = BTreeMap<Key, File>;

/// Content in the chunks it was written in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) pieces: Arc<[Bytes]>,
    pub(crate) size: u64,
    /// The number of the close that staged it, counted from 1.
    stage: u64,
}

impl Content {
    pub(crate) fn new(pieces: Vec<Bytes>) -> Self {
        let size = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { pieces: pieces.into(), size, stage: 0 }
    }
}

/// A visible or a staged file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) content: Content,
    pub(crate) modified: SystemTime,
}

impl File {
    pub(crate) fn info(&self, path: &StoragePath) -> FileInfo {
        FileInfo::new(path.clone(), self.content.size, Some(self.modified))
    }

    fn staged(&self, path: &StoragePath) -> Staged {
        let id = StageId::of(self.content.stage.to_be_bytes());
        Staged::new(path.clone(), self.content.size, id).with_modified(Some(self.modified))
    }
}

/// The store behind all clones of a driver and its writers.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Store>>);

impl Shared {
    /// The guard never lives across an await: every call is one synchronous step.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Store> {
        // No step leaves the maps half changed, so a panic elsewhere does not corrupt them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
pub(crate) struct Store {
    files: Files,
    /// The stages that closed writers left for resumption.
    stages: Files,
    /// Paths with an open resumed writer.
    resumed: BTreeSet<StoragePath>,
    capacity: Option<u64>,
    /// Bytes of all files, stages and open writers.
    used: u64,
    last_change: Option<SystemTime>,
    /// The number of stages closed so far.
    last_stage: u64,
}

impl Store {
    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    pub(crate) fn set_capacity(&mut self, bytes: u64) {
        self.capacity = Some(bytes);
    }

    pub(crate) fn file(&self, path: &StoragePath) -> Option<&File> {
        self.files.get(path.as_str())
    }

    /// Whether there are files below the path. One look-up.
    pub(crate) fn is_directory(&self, path: &StoragePath) -> bool {
        has_prefix(&self.files, &below(path))
    }

    /// Counts `bytes` more as used, or refuses them.
    pub(crate) fn reserve(&mut self, bytes: u64) -> Result<()> {
        self.check_room(bytes, 0)?;
        self.charge(bytes);
        Ok(())
    }

    pub(crate) fn charge(&mut self, bytes: u64) {
        self.used = self.used.saturating_add(bytes);
    }

    pub(crate) fn release(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// Whether `more` bytes fit once `less` are gone.
    pub(crate) fn check_room(&self, more: u64, less: u64) -> Result<()> {
        match self.capacity {
            Some(capacity) if self.used.saturating_sub(less).saturating_add(more) > capacity => {
                let message = format!("{} of {capacity} bytes are used, {more} more do not fit", self.used);
                Err(Error::new(ErrorKind::NoSpace).with_message(message))
            }
            _ => Ok(()),
        }
    }

    /// Makes content visible that already counts as used.
    pub(crate) fn set_file(&mut self, path: &StoragePath, content: Content, mode: PutMode) -> Result<()> {
        if mode == PutMode::CreateOnly && self.file(path).is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let modified = self.now();
        let file = File { content, modified };
        if let Some(old) = self.files.insert(Key(path.clone()), file) {
            self.release(old.content.size);
        }
        Ok(())
    }

    /// Writes a whole file.
    pub(crate) fn put(&mut self, path: &StoragePath, content: Content, mode: PutMode) -> Result<()> {
        let size = content.size;
        let old = self.file(path).map(|file| file.content.size);
        if mode == PutMode::Overwrite || old.is_none() {
            self.check_room(size, old.unwrap_or(0))?;
        }
        self.set_file(path, content, mode)?;
        self.charge(size);
        Ok(())
    }

    pub(crate) fn remove_file(&mut self, path: &StoragePath) -> bool {
        let file = self.files.remove(path.as_str());
        self.release(file.as_ref().map_or(0, |file| file.content.size));
        file.is_some()
    }

    /// Removes the file or directory and every stage at and below the path. Returns how many files were
    /// removed.
    pub(crate) fn remove_tree(&mut self, path: &StoragePath) -> usize {
        let mut removed = usize::from(self.remove_file(path));
        self.remove_stage(path);
        let prefix = below(path);
        let mut bytes = 0;
        while let Some(file) = pop_below(&mut self.files, &prefix) {
            removed += 1;
            bytes += file.content.size;
        }
        while let Some(stage) = pop_below(&mut self.stages, &prefix) {
            bytes += stage.content.size;
        }
        self.release(bytes);
        removed
    }

    /// Keeps content for resumption that already counts as used.
    pub(crate) fn set_stage(&mut self, path: &StoragePath, content: Content) -> Staged {
        let modified = self.now();
        self.last_stage += 1;
        let file = File { content: Content { stage: self.last_stage, ..content }, modified };
        let staged = file.staged(path);
        if let Some(old) = self.stages.insert(Key(path.clone()), file) {
            self.release(old.content.size);
        }
        staged
    }

    pub(crate) fn find_stage(&self, path: &StoragePath) -> Result<Staged> {
        Ok(self.stages.get(path.as_str()).ok_or(ErrorKind::NotFound)?.staged(path))
    }

    /// The bytes of a stage, if it has not been replaced.
    fn stage(&self, staged: &Staged) -> Result<&Content> {
        let found = self.stages.get(staged.path.as_str()).ok_or(ErrorKind::NotFound)?;
        if found.staged(&staged.path).id != staged.id {
            let message = "another writer has closed this stage meanwhile";
            return Err(Error::new(ErrorKind::Conflict).with_message(message));
        }
        Ok(&found.content)
    }

    /// Fails if the stage is gone or was replaced.
    pub(crate) fn require(&self, staged: &Staged) -> Result<()> {
        self.stage(staged).map(drop)
    }

    /// Makes a stage visible, unless an open writer has resumed it.
    pub(crate) fn commit_stage(&mut self, staged: &Staged, to: &StoragePath) -> Result<()> {
        let content = self.stage(staged)?.clone();
        if self.resumed.contains(&staged.path) {
            return Err(busy());
        }
        // Not released: from now on the bytes count for the file.
        self.stages.remove(staged.path.as_str());
        self.set_file(to, content, PutMode::Overwrite)
    }

    pub(crate) fn delete_stage(&mut self, staged: &Staged) {
        if self.stage(staged).is_ok() {
            self.remove_stage(&staged.path);
        }
    }

    pub(crate) fn remove_stage(&mut self, path: &StoragePath) {
        if let Some(old) = self.stages.remove(path.as_str()) {
            self.release(old.content.size);
        }
    }

    /// Removes a stage that changed before a given time. Returns whether there was one.
    pub(crate) fn remove_stage_before(&mut self, path: &StoragePath, before: SystemTime) -> bool {
        let is_old = self.stages.get(path.as_str()).is_some_and(|stage| stage.modified < before);
        if is_old {
            self.remove_stage(path);
        }
        is_old
    }

    /// All stages for the path and below it.
    pub(crate) fn staged(&self, path: &StoragePath) -> Vec<FileInfo> {
        let prefix = below(path);
        let here = self.stages.get(path.as_str()).map(|stage| stage.info(path));
        let range = self.stages.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        let children = range.take_while(|(key, _)| key.0.as_str().starts_with(&prefix));
        here.into_iter().chain(children.map(|(key, stage)| stage.info(&key.0))).collect()
    }

    /// Returns the content that a resumed writer starts with. No other writer resumes the path before `unlock`.
    pub(crate) fn resume(&mut self, staged: &Staged) -> Result<Content> {
        let content = self.stage(staged)?.clone();
        if self.resumed.insert(staged.path.clone()) { Ok(content) } else { Err(busy()) }
    }

    pub(crate) fn unlock(&mut self, path: &StoragePath) {
        self.resumed.remove(path);
    }

    /// The store's clock. It never returns the same time twice and never goes backwards.
    fn now(&mut self) -> SystemTime {
        let least = self.last_change.and_then(|last| last.checked_add(Duration::from_nanos(1)));
        let now = least.map_or_else(SystemTime::now, |least| least.max(SystemTime::now()));
        self.last_change = Some(now);
        now
    }
}

fn busy() -> Error {
    Error::new(ErrorKind::Conflict).with_message("another writer that resumed this stage is still open")
}

/// The prefix of every path below this one.
pub(crate) fn below(path: &StoragePath) -> String {
    if path.is_root() { "/".to_owned() } else { format!("{path}/") }
}

/// Whether any path begins with this prefix. One look-up.
pub(crate) fn has_prefix(files: &Files, prefix: &str) -> bool {
    let mut range = files.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
    range.next().is_some_and(|(key, _)| key.0.as_str().starts_with(prefix))
}

fn pop_below<V>(map: &mut BTreeMap<Key, V>, prefix: &str) -> Option<V> {
    let (key, _) = map.range::<str, _>((Bound::Included(prefix), Bound::Unbounded)).next()?;
    let key = key.0.as_str().starts_with(prefix).then(|| key.clone())?;
    map.remove(&key)
}
