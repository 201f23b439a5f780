//! The implementation of the driver contract.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream, stream::BoxStream};
use http::Method;
use plugin_registry_core::{
    ByteRange, Capabilities, DeleteReport, Entry, Error, ErrorKind, FileInfo, FileWriter, PutMode, Reader,
    Result, Staged, StorageDriver, StoragePath, WriteMode,
};
use url::Url;

use crate::{MemoryDriver, list, store::Content, writer::MemoryWriter};

#[async_trait]
impl StorageDriver for MemoryDriver {
    fn name(&self) -> &'static str {
        "inmemory"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_create_only(true)
    }

    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes> {
        let content = self.store.lock().file(path).ok_or(ErrorKind::NotFound)?.content.clone();
        if content.size > limit {
            let message = format!("{} bytes, the limit is {limit}", content.size);
            return Err(Error::new(ErrorKind::TooLarge).with_message(message));
        }
        Ok(match &*content.pieces {
            [] => Bytes::new(),
            [piece] => piece.clone(),
            pieces => {
                let mut all = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
                pieces.iter().for_each(|piece| all.extend_from_slice(piece));
                all.freeze()
            }
        })
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
        let pieces = if content.is_empty() { Vec::new() } else { vec![content] };
        self.store.lock().put(path, Content::new(pieces), mode)
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let (info, content) = {
            let store = self.store.lock();
            let file = store.file(path).ok_or(ErrorKind::NotFound)?;
            (file.info(path), file.content.clone())
        };
        let range = range.resolve(content.size)?;
        let pieces = slices(content, range.clone()).map(Ok);
        Ok(Reader::new(info, range, stream::iter(pieces).boxed()))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        Ok(Box::new(MemoryWriter::open(&self.store, path, mode)?))
    }

    async fn find_staged(&self, path: &StoragePath) -> Result<Staged> {
        self.store.lock().find_stage(path)
    }

    async fn commit_staged(&self, staged: &Staged, to: &StoragePath) -> Result<()> {
        self.store.lock().commit_stage(staged, to)
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        Ok(self.store.lock().file(path).ok_or(ErrorKind::NotFound)?.info(path))
    }

    fn list<'a>(&'a self, path: &'a StoragePath, after: Option<&'a str>) -> BoxStream<'a, Result<Entry>> {
        stream::iter(list::list(self.store.clone(), path, after)).boxed()
    }

    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>> {
        stream::iter(list::walk(self.store.clone(), path, after)).boxed()
    }

    fn find_directories<'a>(
        &'a self,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<StoragePath>> {
        stream::iter(list::find_directories(self.store.clone(), path, marker, after)).boxed()
    }

    /// If only staged bytes are below the path, removes them and fails with `NotFound`.
    async fn delete(&self, path: &StoragePath) -> Result<()> {
        match self.store.lock().remove_tree(path) {
            0 => Err(ErrorKind::NotFound.into()),
            _ => Ok(()),
        }
    }

    async fn delete_many(&self, files: Vec<StoragePath>, stages: &[Staged]) -> Result<DeleteReport> {
        let mut store = self.store.lock();
        stages.iter().for_each(|staged| store.delete_stage(staged));
        let mut deleted = 0;
        let mut failed = Vec::new();
        for path in files {
            if !store.remove_file(&path) && store.is_directory(&path) {
                let error = Error::new(ErrorKind::InvalidPath).with_message("this is a directory");
                failed.push((path, error));
            } else {
                deleted += 1;
            }
        }
        Ok(DeleteReport::new(deleted, failed))
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        let staged = self.store.lock().staged(path);
        stream::iter(staged).map(Ok).boxed()
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        Ok(usize::from(self.store.lock().remove_stage_before(path, before)))
    }

    async fn redirect_url(&self, _path: &StoragePath, _method: &Method) -> Result<Option<Url>> {
        Ok(None)
    }
}

/// The bytes of a range, as slices of the stored pieces. Holds one reference to the content.
fn slices(content: Content, range: std::ops::Range<u64>) -> impl Iterator<Item = Bytes> + Send {
    let mut index = 0;
    let mut begin = 0_u64;
    std::iter::from_fn(move || {
        while !range.is_empty() && begin < range.end {
            let piece = content.pieces.get(index)?;
            let size = piece.len();
            let start = begin;
            index += 1;
            begin += size as u64;
            if begin > range.start {
                // Both ends lie within the piece, so they fit `usize`.
                let from = usize::try_from(range.start.saturating_sub(start)).unwrap_or(size);
                let to = usize::try_from(range.end - start).unwrap_or(size).min(size);
                return Some(piece.slice(from..to));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use futures::{TryStreamExt, executor::block_on};
    use plugin_registry_core::StorageDriverExt;

    use super::*;

    fn path(text: &str) -> StoragePath {
        text.parse().unwrap()
    }

    fn filled(paths: &[&str]) -> MemoryDriver {
        let driver = MemoryDriver::new();
        for text in paths {
            block_on(driver.put(&path(text), text.to_string())).unwrap();
        }
        driver
    }

    fn names(driver: &MemoryDriver, at: &str, after: Option<&str>) -> Vec<String> {
        block_on(driver.list(&path(at), after).map_ok(|entry| entry.name).try_collect()).unwrap()
    }

    fn marked(driver: &MemoryDriver, after: Option<&str>) -> Vec<String> {
        let after = after.map(path);
        let root = path("/r");
        let found = driver.find_directories(&root, "_", after.as_ref()).map_ok(|path| path.to_string());
        block_on(found.try_collect()).unwrap()
    }

    #[test]
    fn a_range_is_slices_of_the_written_chunks() {
        let driver = MemoryDriver::new();
        block_on(async {
            let mut writer = driver.writer(&path("/f"), WriteMode::direct()).await.unwrap();
            for chunk in ["abc", "", "de", "f"] {
                writer.write(Bytes::from_static(chunk.as_bytes())).await.unwrap();
            }
            assert_eq!(writer.size(), 6);
            assert!(driver.stat(&path("/f")).await.unwrap_err().is_not_found());
            writer.commit(&path("/f")).await.unwrap();
            for (range, pieces) in [
                (ByteRange::full(), vec!["abc", "de", "f"]),
                (ByteRange::new(2, 2), vec!["c", "d"]),
                (ByteRange::new(3, 2), vec!["de"]),
                (ByteRange::new(1, 1), vec!["b"]),
                (ByteRange::from(5), vec!["f"]),
                (ByteRange::from(6), vec![]),
                (ByteRange::new(2, 0), vec![]),
            ] {
                let reader = driver.reader(&path("/f"), range).await.unwrap();
                let read: Vec<Bytes> = reader.into_stream().try_collect().await.unwrap();
                assert_eq!(read, pieces, "{range:?}");
            }
            assert_eq!(driver.get_content(&path("/f"), 6).await.unwrap(), "abcdef");
        });
    }

    #[test]
    fn listings_differ_in_order() {
        let driver = filled(&["/a/x", "/a-b/y", "/a.b", "/a0", "/a-/z", "/a-b-c", "/B"]);
        let listed = ["B", "a", "a-", "a-b", "a-b-c", "a.b", "a0"];
        assert_eq!(names(&driver, "/", None), listed);
        for (index, after) in listed.iter().enumerate() {
            assert_eq!(names(&driver, "/", Some(after)), listed[index + 1..], "after {after}");
        }
        assert_eq!(names(&driver, "/", Some("a+")), listed[2..]);
        assert_eq!(names(&driver, "/", Some("a/")), listed[6..]);
        let root = path("/");
        let walked: Vec<String> =
            block_on(driver.walk(&root, None).map_ok(|info| info.path.to_string()).try_collect()).unwrap();
        assert_eq!(walked, ["/B", "/a-/z", "/a-b-c", "/a-b/y", "/a.b", "/a/x", "/a0"]);
    }

    #[test]
    fn marked_directories_come_depth_first() {
        let driver = filled(&[
            "/r/_own/x",
            "/r/a/_m/_hidden/_x/f",
            "/r/a/b/_l/f",
            "/r/a-b/_m/f",
            "/r/c/plain",
            "/r/c/d/e/_m",
            "/r2/_m/f",
        ]);
        let all = ["/r/a", "/r/a/b", "/r/a-b", "/r/c/d/e"];
        assert_eq!(marked(&driver, None), all);
        for (index, after) in all.iter().enumerate() {
            assert_eq!(marked(&driver, Some(after)), all[index + 1..], "after {after}");
        }
        assert_eq!(marked(&driver, Some("/r/a/_m/_hidden")), all[1..]);
        assert_eq!(marked(&driver, Some("/r")), all);
        assert_eq!(marked(&driver, Some("/a")), all);
        assert!(marked(&driver, Some("/r2")).is_empty());
    }

    #[test]
    fn the_capacity_counts_files_stages_and_writers() {
        let driver = MemoryDriver::new().with_capacity_limit(10);
        let full = |result: Result<()>| result.unwrap_err().kind() == ErrorKind::NoSpace;
        let (a, b) = (path("/a"), path("/b"));
        block_on(async {
            driver.put(&a, "123456").await.unwrap();
            let mut writer = driver.writer(&b, WriteMode::Stage).await.unwrap();
            writer.write("abc".into()).await.unwrap();
            assert!(full(driver.put(&path("/c"), "12").await));
            driver.put(&a, "1234567").await.unwrap();
            let staged = writer.close().await.unwrap();
            assert!(full(driver.put(&path("/c"), "1").await));
            driver.commit_staged(&staged, &b).await.unwrap();
            assert_eq!(driver.store.lock().used(), 10);
            driver.delete(&a).await.unwrap();
            let mut writer = driver.writer(&a, WriteMode::direct()).await.unwrap();
            writer.write("1234567".into()).await.unwrap();
            assert!(full(writer.write("8".into()).await));
            drop(writer);
            assert_eq!(driver.store.lock().used(), 3);
            let mut writer = driver.writer(&b, WriteMode::Stage).await.unwrap();
            writer.write("abc".into()).await.unwrap();
            let staged = writer.close().await.unwrap();
            driver.delete_many(Vec::new(), &[staged]).await.unwrap();
            assert_eq!(driver.store.lock().used(), 3);
            driver.delete(&b).await.unwrap();
            assert_eq!(driver.store.lock().used(), 0);
            let too_much = WriteMode::Direct { size: Some(11) };
            assert_eq!(driver.writer(&a, too_much).await.unwrap_err().kind(), ErrorKind::NoSpace);
        });
    }

    #[test]
    fn listings_skip_what_they_do_not_show() {
        let driver = MemoryDriver::new();
        block_on(async {
            for index in 0..20_000 {
                driver.put(&path(&format!("/repo/tags/v1.{index:05}/current/link")), "x").await.unwrap();
            }
        });
        let started = Instant::now();
        let (root, directory) = (path("/"), path("/repo/tags"));
        for _ in 0..1000 {
            let page = driver.list(&directory, Some("v1.19990")).take(100);
            assert_eq!(block_on(page.try_collect::<Vec<_>>()).unwrap().len(), 9);
            let marked = driver.find_directories(&root, "tag", None);
            assert_eq!(block_on(marked.try_collect::<Vec<_>>()).unwrap(), [path("/repo")]);
        }
        assert!(started.elapsed().as_secs() < 5, "a listing scans what it does not show");
    }
}
