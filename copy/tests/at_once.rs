//! Several writers of one layout at a time, with our lock and without it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use common::{Fixture, run};
use futures::{StreamExt, future::join_all};
use plugin_registry_conformance::intercept::{Intercept, Intercepted};
use plugin_registry_copy::{CopyError, LayoutImage, LayoutReference, OciLayout};
use plugin_registry_core::{ErrorKind, Operation, Result, StorageDriver, StorageDriverExt, StoragePath};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;
use serde_json::{Value, json};

const INDEX: &str = "/index.json";
const MARKER: &str = "/oci-layout";

/// Another program's change to the store after a call for this path.
type Other = Box<dyn FnMut(&str, bool) -> Option<(&'static str, Bytes)> + Send>;

/// A driver behind whose back another program writes.
#[derive(Clone)]
struct Shared {
    store: MemoryDriver,
    other: Arc<Mutex<Other>>,
}

impl Shared {
    /// `other` sees the path of each read (`false`) and each write (`true`), and says what to write then.
    fn over(
        store: &MemoryDriver,
        other: impl FnMut(&str, bool) -> Option<(&'static str, Bytes)> + Send + 'static,
    ) -> Arc<Intercepted<Self>> {
        let shared = Self { store: store.clone(), other: Arc::new(Mutex::new(Box::new(other))) };
        Arc::new(Intercepted::over(Arc::new(store.clone()), shared))
    }

    async fn after(&self, path: &StoragePath, is_write: bool) {
        let written = (self.other.lock().unwrap())(path.as_str(), is_write);
        if let Some((path, content)) = written {
            self.store.put(&path.parse().unwrap(), content).await.unwrap();
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Intercept for Shared {
    async fn call<T: Send>(
        &self,
        operation: Operation,
        path: &StoragePath,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let result = call.await;
        match operation {
            Operation::GetContent => self.after(path, false).await,
            Operation::PutContent if result.is_ok() => self.after(path, true).await,
            _ => {}
        }
        result
    }
}

fn names(index: &[u8]) -> Vec<String> {
    let index: Value = serde_json::from_slice(index).unwrap();
    let entries = index["manifests"].as_array().unwrap();
    let name =
        |entry: &Value| entry["annotations"]["org.opencontainers.image.ref.name"].as_str().map(str::to_owned);
    entries.iter().filter_map(name).collect()
}

/// An index as another program writes it, with its own image and without ours.
fn theirs(image: &Value) -> Bytes {
    let mut entry = image.clone();
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "theirs" });
    serde_json::to_vec(&json!({ "schemaVersion": 2, "manifests": [entry] })).unwrap().into()
}

async fn image(fixture: &Fixture, name: &str) -> Value {
    let image = fixture.image(name, &["layer", name]).await;
    fixture.entries(&[(name, &image)]).await;
    image
}

async fn enter(driver: Arc<dyn StorageDriver>, name: &str) -> Result<(), CopyError> {
    let source = Fixture::new().await;
    image(&source, name).await;
    let layout = OciLayout::create(driver, "target").await?;
    let destination = LayoutImage::new(layout, Some(LayoutReference::Name(name.to_owned())));
    run(&source.open(None).await?, &destination).await.map(drop)
}

async fn index(store: &MemoryDriver) -> Bytes {
    store.get_content(&INDEX.parse().unwrap(), 1 << 20).await.unwrap()
}

#[tokio::test]
async fn an_entry_that_another_program_wrote_over_is_written_again() {
    for times in 1..=3 {
        let store = MemoryDriver::new();
        let foreign = theirs(&image(&Fixture::new().await, "theirs").await);
        let mut left = times;
        let driver = Shared::over(&store, move |path, is_write| {
            let is_now = path == INDEX && is_write && left > 0;
            left -= i32::from(is_now);
            is_now.then(|| (INDEX, foreign.clone()))
        });
        enter(driver, "ours").await.unwrap();
        assert_eq!(names(&index(&store).await), ["theirs", "ours"], "{times}");
    }
}

#[tokio::test]
async fn a_program_that_never_stops_is_an_error() {
    let store = MemoryDriver::new();
    let foreign = theirs(&image(&Fixture::new().await, "theirs").await);
    let driver = Shared::over(&store, move |path, is_write| {
        (path == INDEX && is_write).then(|| (INDEX, foreign.clone()))
    });
    let error = enter(driver, "ours").await.unwrap_err();
    assert!(
        matches!(&error, CopyError::Storage { error, .. } if error.kind() == ErrorKind::Conflict),
        "{error:?}"
    );
    assert!(error.to_string().contains("index.json") && error.to_string().contains("again"), "{error}");
    assert_eq!(names(&index(&store).await), ["theirs"]);
}

#[tokio::test]
async fn a_name_that_went_to_a_later_image_is_no_loss() {
    let store = MemoryDriver::new();
    let other = Fixture::new().await;
    let later = image(&other, "theirs").await;
    let mut is_done = false;
    // The other program read what we wrote, and gave the name to its own image.
    let (before, later) = (store.clone(), Arc::new(later));
    let driver = Shared::over(&store, move |path, is_write| {
        if path != INDEX || !is_write || std::mem::replace(&mut is_done, true) {
            return None;
        }
        let written = futures::executor::block_on(index(&before));
        let mut document: Value = serde_json::from_slice(&written).unwrap();
        let entries = document["manifests"].as_array_mut().unwrap();
        entries[0].as_object_mut().unwrap().remove("annotations");
        let mut entry = (*later).clone();
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "ours" });
        entries.push(entry);
        Some((INDEX, serde_json::to_vec(&document).unwrap().into()))
    });
    enter(driver, "ours").await.unwrap();
    let document: Value = serde_json::from_slice(&index(&store).await).unwrap();
    assert_eq!(document["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(document["manifests"][1]["annotations"]["org.opencontainers.image.ref.name"], "ours");
}

#[tokio::test]
async fn two_that_make_a_layout_at_once_both_have_it() {
    let store = MemoryDriver::new();
    let mut is_done = false;
    // Right after it was seen that there is none.
    let driver = Shared::over(&store, move |path, is_write| {
        let is_now = path == MARKER && !is_write && !std::mem::replace(&mut is_done, true);
        is_now.then(|| (MARKER, Bytes::from_static(br#"{"imageLayoutVersion":"1.0.0"}"#)))
    });
    enter(driver, "ours").await.unwrap();
    assert_eq!(names(&index(&store).await), ["ours"]);
}

/// As another process opens it: a driver and a layout for each copy.
async fn enter_directory(directory: &Path, name: String) {
    let source = Fixture::new().await;
    image(&source, &name).await;
    let driver = FsDriver::open(FsConfig::new(directory).with_durable(false)).await.unwrap();
    let layout = OciLayout::create(Arc::new(driver), "target").await.unwrap().with_directory(directory);
    let destination = LayoutImage::new(layout, Some(LayoutReference::Name(name)));
    run(&source.open(None).await.unwrap(), &destination).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[expect(clippy::disallowed_methods, reason = "a host with tasks of its own")]
async fn many_tasks_of_one_process_lose_no_name() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("layout");
    let wanted: Vec<String> = (0..24).map(|number| format!("n{number:02}")).collect();
    let tasks = wanted.iter().cloned().map(|name| {
        let target = target.clone();
        tokio::task::spawn(async move { enter_directory(&target, name).await })
    });
    for task in join_all(tasks.collect::<Vec<_>>()).await {
        task.unwrap();
    }
    let mut found = names(&std::fs::read(target.join("index.json")).unwrap());
    found.sort_unstable();
    assert_eq!(found, wanted);
    // Nothing is left behind by the lock.
    let driver = FsDriver::open(FsConfig::new(&target)).await.unwrap();
    let root = StoragePath::root();
    let entries: Vec<_> = driver.list(&root, None).map(|entry| entry.unwrap().name).collect().await;
    assert_eq!(entries, ["blobs", "index.json", "oci-layout"]);
}
