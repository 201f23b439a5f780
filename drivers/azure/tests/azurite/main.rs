//! What the suites cannot ask of every store, over Azurite: both forms of names, blobs of other programs,
//! kinds of credentials, and writers of one name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

#[path = "../common/mod.rs"]
mod common;
mod credentials;
mod foreign;
mod forms;
mod writers;

use futures::TryStreamExt;
use plugin_registry_core::{StorageDriver, StoragePath};

fn path(text: &str) -> StoragePath {
    text.parse().unwrap()
}

/// The paths of all files.
async fn walked(driver: &dyn StorageDriver) -> Vec<String> {
    let files = driver.walk(&StoragePath::root(), None);
    files.map_ok(|file| file.path.to_string()).try_collect().await.unwrap()
}
