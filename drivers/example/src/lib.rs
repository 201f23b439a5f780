//! The shortest complete driver: files in a map behind a lock, gone with the last clone. A writer holds all that it
//! was given, a reader a reference to stored bytes. Every listing looks at all names: `drivers/memory` skips.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream, stream::BoxStream};
use plugin_registry_core::{
    ByteRange, Capabilities, DeleteReport, Entry, EntryKind, Error, ErrorKind, FileInfo, FileWriter, PutMode,
    Reader, Result, StageId, StorageConfig, StorageDriver, StoragePath, WriteMode, WriteOptions,
};
use uuid::Uuid;

type Files = BTreeMap<StoragePath, File>;

/// A store in memory. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Example {
    store: Arc<Mutex<Store>>,
    max_file_size: u64,
}

#[derive(Debug, Default)]
struct Store {
    files: Files,
    /// What closed writers left, by the paths that they were opened for.
    stages: Files,
    /// Paths with an open resumed writer, which holds the other end.
    resumed: BTreeMap<StoragePath, Weak<()>>,
}

#[derive(Debug)]
struct File {
    info: FileInfo,
    content: Bytes,
    stage: Uuid,
}

#[derive(Debug)]
struct Writer {
    driver: Example,
    path: StoragePath,
    put: PutMode,
    content: BytesMut,
    stage: Uuid,
    resumed: Option<Arc<()>>,
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
    /// An empty store of files up to so many bytes.
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
        let message = format!("{size} bytes, the most are {}", self.max_file_size);
        Err(Error::new(ErrorKind::TooLarge).with_message(message))
    }
}

impl Store {
    fn file(&self, path: &StoragePath) -> Result<&File> {
        Ok(self.files.get(path).ok_or(ErrorKind::NotFound)?)
    }

    fn put(&mut self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
        if mode == PutMode::CreateOnly && self.files.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.files.insert(path.clone(), File::new(path, content, Uuid::nil()));
        Ok(())
    }
}

impl File {
    fn new(path: &StoragePath, content: Bytes, stage: Uuid) -> Self {
        let info = FileInfo::file(path.clone(), content.len() as u64, Some(SystemTime::now()));
        Self { info, content, stage }
    }
}

#[async_trait]
impl StorageDriver for Example {
    fn name(&self) -> &'static str {
        "example"
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default().with_create_only(true).with_exclusive_resume(true);
        capabilities.with_max_file_size(self.max_file_size)
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

    async fn writer(&self, path: &StoragePath, options: WriteOptions) -> Result<Box<dyn FileWriter>> {
        let (driver, path, put) = (self.clone(), path.clone(), options.put);
        let (mut content, mut stage, mut resumed) = (BytesMut::new(), Uuid::new_v4(), None);
        if options.mode == WriteMode::Resume {
            let mut store = self.lock();
            match (store.stages.get(&path), store.file(&path)) {
                (Some(staged), _) => (content, stage) = (BytesMut::from(&*staged.content), staged.stage),
                (None, Ok(file)) if file.content.is_empty() => {}
                (None, Ok(_)) => return Err(ErrorKind::AlreadyExists.into()),
                (None, Err(error)) => return Err(error),
            }
            store.resumed.retain(|_, writer| writer.strong_count() > 0);
            if store.resumed.contains_key(&path) {
                return Err(Error::new(ErrorKind::Conflict).with_message("another writer resumed it"));
            }
            let lease = resumed.insert(Arc::new(()));
            store.resumed.insert(path.clone(), Arc::downgrade(lease));
        }
        Ok(Box::new(Writer { driver, path, put, content, stage, resumed }))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        let store = self.lock();
        let is_directory = path.is_root() || below(&store.files, path).next().is_some();
        match store.file(path) {
            Err(_) if is_directory => Ok(FileInfo::directory(path.clone())),
            file => Ok(file?.info.clone()),
        }
    }

    async fn stat_file(&self, path: &StoragePath) -> Result<FileInfo> {
        Ok(self.lock().file(path)?.info.clone())
    }

    fn list<'a>(&'a self, path: &'a StoragePath, after: Option<&'a str>) -> BoxStream<'a, Result<Entry>> {
        let store = self.lock();
        let children = below(&store.files, path).map(|(rest, _)| match rest.split_once('/') {
            Some((name, _)) => (name, EntryKind::Directory),
            None => (rest, EntryKind::File),
        });
        let children: BTreeMap<_, _> =
            children.filter(|(name, _)| after.is_none_or(|it| *name > it)).collect();
        let entries = children.into_iter().map(|(name, kind)| Entry::new(name, kind));
        listing(entries.collect(), path.is_root() || after.is_some())
    }

    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>> {
        let store = self.lock();
        let infos = below(&store.files, path).map(|(_, file)| file.info.clone());
        let later = infos.filter(|info| after.is_none_or(|it| info.path > *it));
        listing(later.collect(), path.is_root() || after.is_some())
    }

    fn list_marked<'a>(
        &'a self,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<StoragePath>> {
        let store = self.lock();
        let marked = below(&store.files, path).filter_map(|(rest, _)| {
            let names: Vec<&str> = rest.split('/').collect();
            let depth = names.iter().position(|name| name.starts_with(marker))?;
            let names = names.get(..depth).filter(|names| !names.is_empty())?;
            let path = path.join(&names.join("/")).ok()?;
            after.is_none_or(|it| path.components().gt(it.components())).then(|| (names.to_vec(), path))
        });
        listing(marked.collect::<BTreeMap<_, _>>().into_values().collect(), true)
    }

    async fn rename(&self, source: &StoragePath, target: &StoragePath) -> Result<()> {
        let mut store = self.lock();
        let file = store.files.remove(source).ok_or(ErrorKind::NotFound)?;
        store.put(target, file.content, PutMode::Overwrite)
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        let mut store = self.lock();
        let count = store.files.len();
        let stays = |other: &StoragePath, _: &mut File| other != path && other.strip_prefix(path).is_none();
        store.stages.retain(stays);
        store.files.retain(stays);
        if store.files.len() < count { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    async fn delete_many(&self, paths: Vec<StoragePath>) -> Result<DeleteReport> {
        let mut store = self.lock();
        paths.iter().for_each(|path| drop(store.files.remove(path)));
        Ok(DeleteReport::new(paths.len(), Vec::new()))
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        let store = self.lock();
        let here = store.stages.get(path).into_iter();
        let stages = here.chain(below(&store.stages, path).map(|(_, stage)| stage));
        listing(stages.map(|stage| stage.info.clone()).collect(), true)
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        let mut store = self.lock();
        let is_old = store.stages.get(path).is_some_and(|stage| stage.info.modified < Some(before));
        if is_old {
            store.stages.remove(path);
        }
        Ok(usize::from(is_old))
    }

    async fn redirect_url(&self, _: &StoragePath, _: &http::Method) -> Result<Option<url::Url>> {
        Ok(None)
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

    fn stage_id(&self) -> Option<StageId> {
        self.resumed.as_ref().map(|_| StageId::of(self.stage))
    }

    async fn close(self: Box<Self>) -> Result<Option<StageId>> {
        let file = File::new(&self.path, self.content.freeze(), self.stage);
        self.driver.lock().stages.insert(self.path, file);
        Ok(Some(StageId::of(self.stage)))
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.driver.lock().stages.remove(&self.path);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        let path = self.path.clone();
        self.commit_to(&path).await
    }

    async fn commit_to(self: Box<Self>, path: &StoragePath) -> Result<()> {
        let mut store = self.driver.lock();
        store.put(path, self.content.freeze(), self.put)?;
        store.stages.remove(&self.path);
        Ok(())
    }
}

/// All that is below a directory, with what follows the directory in its path.
fn below<'a>(files: &'a Files, directory: &'a StoragePath) -> impl Iterator<Item = (&'a str, &'a File)> {
    files.iter().filter_map(|(path, file)| Some((path.strip_prefix(directory)?, file)))
}

fn listing<'a, T: Send + 'a>(found: Vec<T>, may_be_empty: bool) -> BoxStream<'a, Result<T>> {
    let missing = (found.is_empty() && !may_be_empty).then(|| Err(ErrorKind::NotFound.into()));
    stream::iter(found.into_iter().map(Ok).chain(missing)).boxed()
}
