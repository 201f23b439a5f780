//! What the tests share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part, and is a crate of its own")]

use std::path::PathBuf;

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry_core::{
    Checked, ErrorKind, FileWriter, Result, StorageDriver, StoragePath, WriteOptions,
};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use tempfile::TempDir;

/// A store in a directory of its own.
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

    pub async fn writer(&self, at: &str, options: WriteOptions) -> Result<Box<dyn FileWriter>> {
        self.driver.writer(&path(at), options).await
    }

    /// Stages bytes and closes them to be resumed.
    pub async fn close(&self, at: &str, content: &'static str) {
        let mut writer = self.writer(at, WriteOptions::create()).await.unwrap();
        writer.write(content.into()).await.unwrap();
        writer.close().await.unwrap();
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
