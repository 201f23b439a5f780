//! The implementation of the driver contract.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use http::Method;
use plugin_registry_core::{
    ByteRange, Capabilities, DeleteReport, Entry, Error, ErrorKind, FileInfo, FileWriter, Permissions,
    PutMode, Reader, Result, Staged, StorageDriver, StoragePath, WriteMode,
};
use url::Url;

use crate::{
    FsConfig, cached, delete,
    foreign::ForeignWalk,
    job::{CancelFlag, Job},
    list, names,
    permissions::PERMISSIONS,
    reader,
    root::Root,
    stage::{self, Stage},
    staged, walk,
    writer::FsWriter,
};

/// The number of files that `delete_many` deletes in one piece of blocking work.
const DELETE_BATCH: usize = 256;

/// How often a small file is written again because its stage was deleted meanwhile.
const RETRIES: usize = 64;

/// A store in a directory. Clones share it.
///
/// ```
/// use plugin_registry_core::StorageDriverExt;
/// use plugin_registry_drivers_fs::{FsConfig, FsDriver};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> plugin_registry_core::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let root = directory.path().join("store");
/// let driver = FsDriver::open(FsConfig::new(root)).await?;
/// driver.put(&"/a/b".parse()?, "content").await?;
/// assert!(driver.exists(&"/a".parse()?).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FsDriver {
    root: Arc<Root>,
}

impl FsDriver {
    /// Opens the store. Writes nothing into an existing root, so a read-only root can be opened for reading.
    ///
    /// Needs a tokio runtime, here and in every later call.
    ///
    /// # Errors
    /// All errors name the root: [`ErrorKind::NotFound`] if it is missing and may not be created,
    /// [`ErrorKind::InvalidConfig`] if it is not a directory, otherwise the error of the system.
    pub async fn open(config: FsConfig) -> Result<Self> {
        let root = Job::spawn(move |_| Root::open(config))?.await?;
        Ok(Self { root: Arc::new(root) })
    }
}

#[async_trait]
impl StorageDriver for FsDriver {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_empty_directories(true).with_create_only(true)
    }

    fn permissions(&self) -> &'static Permissions {
        &PERMISSIONS
    }

    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes> {
        reader::read_whole(&self.root, path, limit).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
        names::check_target(path)?;
        let path = path.clone();
        let put = move |root: &Arc<Root>, abandoned: &CancelFlag| put(root, &path, content, mode, abandoned);
        self.root.run_cancellable(put).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        reader::open(&self.root, path, range).await
    }

    /// Ignores the size of a direct writer: a file that does not fit fails while it is written.
    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        Ok(Box::new(FsWriter::open(&self.root, path, mode).await?))
    }

    async fn find_staged(&self, path: &StoragePath) -> Result<Staged> {
        let path = path.clone();
        self.root.run(move |root| stage::find(root, &path)).await
    }

    async fn commit_staged(&self, staged: &Staged, to: &StoragePath) -> Result<()> {
        names::check_target(to)?;
        let (staged, to) = (staged.clone(), to.clone());
        let committed = self.root.run_cancellable(move |root, abandoned| {
            let stage = Stage::resume(root, &staged)?;
            stage.seal(true)?;
            stage.publish(&to, PutMode::Overwrite, abandoned)
        });
        committed.await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        let at_hand = cached::stat(&self.root, path);
        let path = path.clone();
        self.root.cached_or(at_hand, move |root| root.stat(&path)).await
    }

    fn list<'a>(&'a self, path: &'a StoragePath, after: Option<&'a str>) -> BoxStream<'a, Result<Entry>> {
        let entries = async move {
            let (path, after) = (path.clone(), after.map(str::to_owned));
            let entries = self.root.run(move |root| list::list(root, &path, after.as_deref())).await;
            entries.map(|entries| stream::iter(entries).map(Ok))
        };
        stream::once(entries).try_flatten().boxed()
    }

    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>> {
        walk::stream(self.root.clone(), walk::FileWalk::new(path.clone(), after.cloned()))
    }

    fn find_directories<'a>(
        &'a self,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<StoragePath>> {
        walk::stream(self.root.clone(), walk::DirectoryWalk::new(path.clone(), marker, after.cloned()))
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        let path = path.clone();
        self.root.run(move |root| delete::delete(root, &path)).await
    }

    async fn delete_many(&self, files: Vec<StoragePath>, stages: &[Staged]) -> Result<DeleteReport> {
        let mut report = DeleteReport::default();
        let mut tried = false;
        let mut stages = stages.to_vec();
        for batch in batches(&files) {
            let work = {
                let (batch, stages) = (batch.to_vec(), std::mem::take(&mut stages));
                move |root: &Arc<Root>| {
                    stages.iter().try_for_each(|staged| stage::delete(root, staged))?;
                    let delete = |path: StoragePath| (delete::delete_file(root, &path), path);
                    Ok(batch.into_iter().map(delete).collect::<Vec<_>>())
                }
            };
            match self.root.run(work).await {
                Ok(results) => {
                    for (result, path) in results {
                        match result {
                            Ok(()) => report.deleted += 1,
                            Err(error) => report.failed.push((path, error)),
                        }
                    }
                }
                Err(error) if !tried => return Err(error),
                Err(error) => {
                    let failed = |path: &StoragePath| {
                        (path.clone(), Error::new(error.kind()).with_message(error.to_string()))
                    };
                    report.failed.extend(batch.iter().map(failed));
                }
            }
            tried = true;
        }
        Ok(report)
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        walk::stream(self.root.clone(), staged::StagedWalk::new(path.clone()))
    }

    fn list_foreign<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<String>> {
        walk::stream(self.root.clone(), ForeignWalk::new(path.clone()))
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        let path = path.clone();
        self.root.run(move |root| staged::delete(root, &path, before)).await
    }

    async fn redirect_url(&self, _path: &StoragePath, _method: &Method) -> Result<Option<Url>> {
        Ok(None)
    }
}

/// Splits files into batches, at least one.
fn batches(files: &[StoragePath]) -> impl Iterator<Item = &[StoragePath]> {
    let none = files.is_empty().then_some(files);
    none.into_iter().chain(files.chunks(DELETE_BATCH))
}

/// Writes a whole file at once. A crash leaves the old file or the new one, and perhaps a stage.
fn put(
    root: &Arc<Root>,
    path: &StoragePath,
    content: Bytes,
    mode: PutMode,
    abandoned: &CancelFlag,
) -> Result<()> {
    if mode == PutMode::CreateOnly {
        // The rename decides. This only saves the write when the answer is already known.
        if root.stat(path).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
    }
    for _ in 0..RETRIES {
        match put_once(root, path, &content, mode, abandoned) {
            // The directory was deleted, and the stage with it. This file comes after that deletion.
            Err(error) if error.kind() == ErrorKind::Conflict => std::thread::yield_now(),
            put => return put,
        }
    }
    put_once(root, path, &content, mode, abandoned)
}

fn put_once(
    root: &Arc<Root>,
    path: &StoragePath,
    content: &Bytes,
    mode: PutMode,
    abandoned: &CancelFlag,
) -> Result<()> {
    let mut stage = Stage::create(root, path)?;
    stage.append(std::slice::from_ref(content))?;
    stage.seal(false)?;
    stage.publish(path, mode, abandoned)
}
