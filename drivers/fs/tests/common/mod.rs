//! Helpers that the tests share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part, and is a crate of its own")]

use std::path::PathBuf;

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry_core::{
    Checked, ErrorKind, FileWriter, Result, Staged, StorageDriver, StoragePath, WriteMode,
};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use tempfile::TempDir;

/// A store in its own directory.
pub struct Store {
    pub driver: Checked<FsDriver>,
    pub directory: TempDir,
}

impl Store {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let driver = open(FsConfig::new(directory.path())).await;
        Self { driver, directory }
    }

    /// The same in memory where there is such a filesystem: for tests that make much and prove nothing about disks.
    pub async fn in_memory() -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let driver = open(FsConfig::new(directory.path())).await;
        Self { driver, directory }
    }

    /// Another driver over the same directory, as another process has it.
    pub async fn again(&self) -> Checked<FsDriver> {
        open(FsConfig::new(self.directory.path())).await
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// All names in a directory of the disk, hidden ones too.
    pub fn on_disk(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.file(directory)) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub async fn get(&self, at: &str) -> Result<Bytes> {
        self.driver.get_content(&path(at), 1 << 30).await
    }

    pub async fn names(&self, at: &str) -> Vec<String> {
        let at = path(at);
        self.driver.list(&at, None).map_ok(|entry| entry.name).try_collect().await.unwrap()
    }

    pub async fn walked(&self, at: &str, after: Option<&str>) -> Vec<String> {
        let (at, after) = (path(at), after.map(path));
        let walk = self.driver.walk(&at, after.as_ref());
        walk.map_ok(|info| info.path.to_string()).try_collect().await.unwrap()
    }

    pub async fn writer(&self, at: &str, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        self.driver.writer(&path(at), mode).await
    }

    /// Goes on with what is staged.
    pub async fn resume(&self, at: &str) -> Result<Box<dyn FileWriter>> {
        let staged = self.driver.find_staged(&path(at)).await?;
        self.writer(at, WriteMode::Resume(staged)).await
    }

    /// All names in a directory of the disk, with the random part of those of stages left out.
    pub fn on_disk_plain(&self, directory: &str) -> Vec<String> {
        let plain = |name: String| match name.split('.').collect::<Vec<_>>()[..] {
            [target, _, size, "part"] => format!("{target}.{size}.part"),
            _ => name,
        };
        self.on_disk(directory).into_iter().map(plain).collect()
    }

    /// The only stage in a directory of the disk.
    pub fn part(&self, directory: &str) -> PathBuf {
        let parts = self.on_disk(directory).into_iter().filter(|name| name.ends_with(".part"));
        let [name] = &parts.collect::<Vec<_>>()[..] else { panic!("one stage in {directory}") };
        self.file(directory).join(name)
    }

    /// Stages bytes and closes them to be resumed.
    pub async fn close(&self, at: &str, content: &'static str) -> Staged {
        let mut writer = self.writer(at, WriteMode::Stage).await.unwrap();
        writer.write(content.into()).await.unwrap();
        writer.close().await.unwrap()
    }
}

pub async fn open(config: FsConfig) -> Checked<FsDriver> {
    Checked::new(std::sync::Arc::new(FsDriver::open(config).await.unwrap()))
}

pub fn path(text: &str) -> StoragePath {
    text.parse().unwrap()
}

pub fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("this should have failed"),
        Err(error) => error.kind(),
    }
}
