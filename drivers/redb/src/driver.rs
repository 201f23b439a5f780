//! The implementation of the driver contract.

use std::ops::Range;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use plugin_registry_core::{
    ByteRange, Capabilities, DeleteReport, Error, ErrorKind, FileInfo, FileWriter, PutMode, Reader, Result,
    Staged, StorageDriver, StorageDriverExt, StoragePath, WriteMode,
};
use redb::WriteTransaction;

use crate::RedbDriver;
use crate::store::{
    FILES, Rows, STAGES, at, below, closed_meanwhile, delete_stage, find, info, now, put, remove, staged,
    take_stage,
};
use crate::writer::Writer;

impl RedbDriver {
    /// Lists rows. Each page is its own read transaction, so a slow listing holds none.
    fn list_rows(
        &self,
        rows: Rows,
        range: Range<String>,
        may_be_empty: bool,
    ) -> BoxStream<'_, Result<FileInfo>> {
        let pages = stream::try_unfold((range, may_be_empty), move |(range, may_be_empty)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let (found, rest) = self.call(move |store| store.list(rows, range)).await?;
            if found.is_empty() && !may_be_empty {
                return Err(Error::from(ErrorKind::NotFound));
            }
            Ok(Some((stream::iter(found).map(Ok), (rest, true))))
        });
        pages.try_flatten().boxed()
    }
}

#[async_trait]
impl StorageDriver for RedbDriver {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_create_only(true)
    }

    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes> {
        self.read_range(path, ByteRange::full(), usize::try_from(limit).unwrap_or(usize::MAX)).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
        let mut writer = Writer::new(self, path, None);
        writer.write(content).await?;
        let path = path.clone();
        let put = move |change: &WriteTransaction, row| {
            if mode == PutMode::CreateOnly && find(&change.open_table(FILES)?, &path)?.is_some() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            put(change, &path, row)
        };
        writer.end(put).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let file = path.clone();
        let snapshot = self.call(move |store| store.snapshot(&file)).await?;
        let info = snapshot.info.clone();
        let range = range.resolve(info.size)?;
        let state = (self.clone(), snapshot, range.clone());
        let pieces = stream::try_unfold(state, |(driver, snapshot, range)| async move {
            let Range { start, end } = range;
            if start == end {
                return Ok(None);
            }
            let read = driver.call(move |_| Ok((snapshot.read(start..end)?, snapshot)));
            let (piece, snapshot) = read.await?;
            let next = start + piece.len() as u64;
            Ok(Some((piece, (driver, snapshot, next..end))))
        });
        Ok(Reader::new(info, range, pieces.boxed()))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let resumed = if let WriteMode::Resume(staged) = mode { Some(staged) } else { None };
        // The end of the writer compares again.
        if let Some(staged) = &resumed
            && self.find_staged(&staged.path).await?.id != staged.id
        {
            return Err(closed_meanwhile());
        }
        Ok(Box::new(Writer::new(self, path, resumed)))
    }

    async fn find_staged(&self, path: &StoragePath) -> Result<Staged> {
        let stage = path.clone();
        Ok(staged(path, &self.call(move |store| store.find(STAGES, &stage)).await?))
    }

    async fn commit_staged(&self, staged: &Staged, to: &StoragePath) -> Result<()> {
        let (staged, to) = (staged.clone(), to.clone());
        self.change(move |change| {
            let (id, _, runs) = take_stage(change, &staged)?;
            put(change, &to, (id, now(change)?, runs))
        })
        .await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        let file = path.clone();
        Ok(info(path, &self.call(move |store| store.find(FILES, &file)).await?))
    }

    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>> {
        let mut range = below(path);
        if let Some(after) = after {
            range.start = at(after).end.clamp(range.start, range.end.clone());
        }
        self.list_rows(FILES, range, after.is_some() || path.is_root())
    }

    /// If only staged bytes are below the path, removes them and fails with `NotFound`.
    async fn delete(&self, path: &StoragePath) -> Result<()> {
        let path = path.clone();
        let deleted = self.change(move |change| {
            let mut deleted = 0;
            for range in [at(&path), below(&path)] {
                deleted += remove(change, FILES, &range)?;
                remove(change, STAGES, &range)?;
            }
            Ok(deleted)
        });
        if deleted.await? == 0 { Err(ErrorKind::NotFound.into()) } else { Ok(()) }
    }

    async fn delete_many(&self, files: Vec<StoragePath>, stages: &[Staged]) -> Result<DeleteReport> {
        let stages = stages.to_vec();
        self.change(move |change| {
            stages.iter().try_for_each(|staged| delete_stage(change, staged))?;
            for path in &files {
                remove(change, FILES, &at(path))?;
            }
            Ok(DeleteReport::new(files.len(), Vec::new()))
        })
        .await
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        stream::iter([at(path), below(path)]).flat_map(|range| self.list_rows(STAGES, range, true)).boxed()
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        let path = path.clone();
        self.change(move |change| {
            let stage = find(&change.open_table(STAGES)?, &path)?;
            let is_old = stage.is_some_and(|row| info(&path, &row).modified < Some(before));
            if is_old { remove(change, STAGES, &at(&path)) } else { Ok(0) }
        })
        .await
    }
}
