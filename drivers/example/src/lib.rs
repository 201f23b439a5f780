//! The shortest complete driver: files in a map behind a lock, gone with the last clone. A writer holds all that it
//! was given, a reader a reference to stored bytes. Every listing looks at all names: `drivers/memory` skips.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream, stream::BoxStream};
use plugin_registry_core::{
    ByteRange, Capabilities, DeleteReport, Error, ErrorKind, FileInfo, FileWriter, PutMode, Reader, Result,
    StageId, Staged, StorageConfig, StorageDriver, StoragePath, WriteMode,
};
use uuid::Uuid;

/// A store in memory. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Example {
    store: Arc<Mutex<Store>>,
    max_file_size: u64,
}

type Files = BTreeMap<StoragePath, Arc<File>>;

#[derive(Debug, Default)]
struct Store {
    files: Files,
    /// The stages of closed writers, by the paths that they were opened for.
    stages: Files,
}

#[derive(Debug)]
struct File {
    info: FileInfo,
    content: Bytes,
    id: StageId,
}

#[derive(Debug)]
struct Writer {
    driver: Example,
    path: StoragePath,
    content: BytesMut,
    /// The stage that it continues. No other writer can resume that stage while this reference exists.
    resumed: Option<Arc<File>>,
}

/// Opens a new store by its parameters: `maxfilesize`, the largest file, 1 GiB unless given.
///
/// # Errors
/// Of the kind [`ErrorKind::InvalidConfig`], with all mistakes.
pub async fn open(config: StorageConfig) -> Result<Arc<dyn StorageDriver>> {
    let mut reader = config.parameters.reader();
    let max_file_size = reader.bytes("maxfilesize", 1..=1 << 40).unwrap_or(1 << 30);
    reader.finish().map_err(|error| error.with_driver("example"))?;
    Ok(Arc::new(Example::new(max_file_size)))
}

impl Example {
    /// An empty store for files of up to this many bytes.
    #[must_use]
    pub fn new(max_file_size: u64) -> Self {
        Self { store: Arc::default(), max_file_size }
    }

    /// Never held across an await: each call is one step, seen as a whole or not at all.
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A limit of the store is an error of the contract, with numbers.
    fn check_size(&self, size: usize) -> Result<()> {
        if size as u64 <= self.max_file_size {
            return Ok(());
        }
        let message = format!("{size} bytes, the limit is {}", self.max_file_size);
        Err(Error::new(ErrorKind::TooLarge).with_message(message))
    }
}

impl Store {
    fn file(&self, path: &StoragePath) -> Result<&Arc<File>> {
        Ok(self.files.get(path).ok_or(ErrorKind::NotFound)?)
    }

    fn put(&mut self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
        if mode == PutMode::CreateOnly && self.files.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.files.insert(path.clone(), file(path, content));
        Ok(())
    }

    /// The stage, if it is still the same one and no writer uses it.
    fn stage(&self, staged: &Staged) -> Result<&Arc<File>> {
        let stage = self.stages.get(&staged.path).ok_or(ErrorKind::NotFound)?;
        if stage.id != staged.id || Arc::strong_count(stage) > 1 {
            return Err(
                Error::new(ErrorKind::Conflict).with_message("another writer uses or has used this stage")
            );
        }
        Ok(stage)
    }

    /// Whether the stage of a path is what a writer resumed, or nothing for a first one.
    fn require(&self, path: &StoragePath, resumed: Option<&Arc<File>>) -> Result<()> {
        let is_same = self.stages.get(path).map(|stage| &stage.id) == resumed.map(|stage| &stage.id);
        if is_same { Ok(()) } else { Err(ErrorKind::Conflict.into()) }
    }
}

#[async_trait]
impl StorageDriver for Example {
    fn name(&self) -> &'static str {
        "example"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_create_only(true)
    }

    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes> {
        let content = self.lock().file(path)?.content.clone();
        if content.len() as u64 > limit { Err(ErrorKind::TooLarge.into()) } else { Ok(content) }
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
        self.check_size(content.len())?;
        self.lock().put(path, content, mode)
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let store = self.lock();
        let file = store.file(path)?;
        let range = range.resolve(file.info.size)?;
        let part = file.content.slice(range.start as usize..range.end as usize);
        Ok(Reader::new(file.info.clone(), range, stream::iter([Ok(part)]).boxed()))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let staged = if let WriteMode::Resume(staged) = mode { Some(staged) } else { None };
        let resumed = staged.map(|staged| self.lock().stage(&staged).cloned()).transpose()?;
        let content = resumed.as_ref().map_or_else(BytesMut::new, |stage| BytesMut::from(&*stage.content));
        Ok(Box::new(Writer { driver: self.clone(), path: path.clone(), content, resumed }))
    }

    async fn find_staged(&self, path: &StoragePath) -> Result<Staged> {
        Ok(self.lock().stages.get(path).ok_or(ErrorKind::NotFound)?.staged())
    }

    async fn commit_staged(&self, staged: &Staged, to: &StoragePath) -> Result<()> {
        let mut store = self.lock();
        let content = store.stage(staged)?.content.clone();
        store.stages.remove(&staged.path);
        store.put(to, content, PutMode::Overwrite)
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        Ok(self.lock().file(path)?.info.clone())
    }

    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>> {
        let infos = infos_below(&self.lock().files, path);
        let is_missing = infos.is_empty() && !path.is_root() && after.is_none();
        let missing = is_missing.then(|| Err(ErrorKind::NotFound.into()));
        let later = infos.into_iter().filter(move |info| after.is_none_or(|it| info.path > *it));
        stream::iter(later.map(Ok).chain(missing)).boxed()
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        let mut store = self.lock();
        let count = store.files.len();
        let stays = |other: &StoragePath, _: &mut _| other != path && other.strip_prefix(path).is_none();
        store.stages.retain(stays);
        store.files.retain(stays);
        if store.files.len() < count { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    async fn delete_many(&self, files: Vec<StoragePath>, stages: &[Staged]) -> Result<DeleteReport> {
        let mut store = self.lock();
        store.stages.retain(|_, stage| stages.iter().all(|staged| staged.id != stage.id));
        files.iter().for_each(|path| drop(store.files.remove(path)));
        Ok(DeleteReport::new(files.len(), Vec::new()))
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        let stages = &self.lock().stages;
        let here = stages.get(path).map(|stage| stage.info.clone());
        stream::iter(here.into_iter().chain(infos_below(stages, path)).map(Ok)).boxed()
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        let stages = &mut self.lock().stages;
        let is_old = stages.get(path).is_some_and(|stage| stage.info.modified < Some(before));
        Ok(usize::from(is_old && stages.remove(path).is_some()))
    }
}

#[async_trait]
impl FileWriter for Writer {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.driver.check_size(self.content.len() + chunk.len())?;
        self.content.extend_from_slice(&chunk);
        Ok(())
    }

    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    async fn close(self: Box<Self>) -> Result<Staged> {
        let mut store = self.driver.lock();
        store.require(&self.path, self.resumed.as_ref())?;
        let stage = file(&self.path, self.content.freeze());
        store.stages.insert(self.path, stage.clone());
        Ok(stage.staged())
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        let is_resumed = |stage: &File| self.resumed.as_ref().is_some_and(|resumed| resumed.id == stage.id);
        self.driver.lock().stages.retain(|_, stage| !is_resumed(stage));
        Ok(())
    }

    async fn commit(self: Box<Self>, to: &StoragePath) -> Result<()> {
        let mut store = self.driver.lock();
        if self.resumed.is_some() {
            store.require(&self.path, self.resumed.as_ref())?;
            store.stages.remove(&self.path);
        }
        store.put(to, self.content.freeze(), PutMode::Overwrite)
    }
}

impl File {
    fn staged(&self) -> Staged {
        let info = self.info.clone();
        Staged::new(info.path, info.size, self.id.clone()).with_modified(info.modified)
    }
}

fn file(path: &StoragePath, content: Bytes) -> Arc<File> {
    let id = StageId::of(Uuid::new_v4());
    let info = FileInfo::new(path.clone(), content.len() as u64, Some(SystemTime::now()));
    Arc::new(File { info, content, id })
}

fn infos_below(files: &Files, directory: &StoragePath) -> Vec<FileInfo> {
    let below = files.iter().filter(|(path, _)| path.strip_prefix(directory).is_some());
    below.map(|(_, file)| file.info.clone()).collect()
}
