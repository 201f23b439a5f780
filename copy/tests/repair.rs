//! A repair reads what the destination has, and leaves a sound image.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use std::sync::Arc;

use bytes::Bytes;
use common::{Fixture, LAYER, digest_of, image, image_of, index, run};
use plugin_registry::{
    Registry, RegistryError, layout,
    verify::{VerifyReport, VerifyScope},
};
use plugin_registry_copy::{CopyError, CopyOptions, CopyReport, Destination, RegistryImage, Source, copy};
use plugin_registry_core::{
    ByteRange, Descriptor, Digest, MediaType, RepositoryName, StorageDriver, StorageDriverExt, StoragePath,
    Tag,
};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;
use serde_json::{Value, json};

const SHARED: &[u8] = b"shared";

/// An index of two images that share a layer, one of them in a nested index.
struct Tree {
    fixture: Fixture,
    one: Value,
    nested: Value,
    root: Value,
}

impl Tree {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let one = fixture.image("one", &["shared", "own one"]).await;
        let two = fixture.image("two", &["shared", "own two"]).await;
        let nested = fixture.document(&index(&[two])).await;
        let root = fixture.document(&index(&[one.clone(), nested.clone()])).await;
        fixture.entries(&[("1", &root)]).await;
        Self { fixture, one, nested, root }
    }
}

async fn repair(source: &dyn Source, destination: &dyn Destination) -> Result<CopyReport, CopyError> {
    copy(source, destination, &CopyOptions::default().with_repair(true), &()).await
}

/// A registry that remembers nothing. Deletes are off, as by default.
fn cold(driver: &Arc<dyn StorageDriver>) -> Registry {
    Registry::builder(driver.clone()).build()
}

async fn verify(driver: &Arc<dyn StorageDriver>) -> VerifyReport {
    cold(driver).verify(VerifyScope::All, |_| ()).await.unwrap()
}

/// The ways in which the content of a file goes bad: other bytes of the same size, fewer, none, no file.
fn damages(content: &[u8]) -> [Option<Bytes>; 4] {
    let mut flipped = content.to_vec();
    flipped[content.len() / 2] ^= 1;
    [Some(flipped.into()), Some(Bytes::copy_from_slice(&content[1..])), Some(Bytes::new()), None]
}

/// Every damage to every file of an image is mended by one repair, for all repositories that share it.
async fn mends_everything(driver: Arc<dyn StorageDriver>) {
    let tree = Tree::new().await;
    let source = tree.fixture.open(None).await.unwrap();
    for name in ["a", "b"] {
        run(&source, &image_of(&cold(&driver), name, "1")).await.unwrap();
    }
    assert!(verify(&driver).await.is_clean());
    let (name, tag): (RepositoryName, Tag) = ("a".parse().unwrap(), "1".parse().unwrap());
    let shared = Digest::sha256(SHARED);
    let config = Digest::sha256(b"config of two");
    for (path, mended) in [
        (layout::blob_data(&shared), 1),
        (layout::blob_data(&config), 1),
        (layout::layer_link(&name, &shared), 0),
        (layout::blob_data(&digest_of(&tree.one)), 0),
        (layout::blob_data(&digest_of(&tree.nested)), 0),
        (layout::blob_data(&digest_of(&tree.root)), 0),
        (layout::revision_link(&name, &digest_of(&tree.nested)), 0),
        (layout::revision_link(&name, &digest_of(&tree.root)), 0),
        (layout::tag_current(&name, &tag), 0),
    ] {
        let sound = driver.get_content(&path, 1 << 20).await.unwrap();
        for damage in damages(&sound) {
            let is_lost = damage.is_none();
            match damage.clone() {
                Some(bytes) => driver.put(&path, bytes).await.unwrap(),
                None => driver.delete(&path).await.unwrap(),
            }
            let report = verify(&driver).await;
            assert!(!report.findings.is_empty(), "{path} {damage:?}");
            let image = report.findings.iter().find_map(|finding| finding.image.clone()).unwrap();
            assert_eq!(image.to_string(), "a:1", "{path} {damage:?}: {report:?}");

            let repaired = repair(&source, &image_of(&cold(&driver), "a", "1")).await.unwrap();
            let copied = (repaired.blobs_copied, repaired.blobs_mended);
            assert_eq!(copied, (mended, if is_lost { 0 } else { mended }), "{path} {damage:?}");
            let report = verify(&driver).await;
            assert!(report.is_clean(), "{path} {damage:?}: {report:?}");
            assert_eq!(driver.get_content(&path, 1 << 20).await.unwrap(), sound, "{path}");
        }
    }
    let again = repair(&source, &image_of(&cold(&driver), "a", "1")).await.unwrap();
    assert_eq!((again.blobs_copied, again.blobs_present, again.blobs_deduplicated), (0, 6, 0), "{again:?}");
}

#[tokio::test]
async fn everything_is_mended_in_memory() {
    mends_everything(Arc::new(MemoryDriver::new())).await;
}

#[tokio::test]
async fn everything_is_mended_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let config = FsConfig::new(directory.path()).with_durable(false);
    mends_everything(Arc::new(FsDriver::open(config).await.unwrap())).await;
}

/// What `tree` and a flipped shared layer are in one store.
async fn damaged() -> (Tree, Arc<dyn StorageDriver>, StoragePath, Bytes) {
    let tree = Tree::new().await;
    let driver: Arc<dyn StorageDriver> = Arc::new(MemoryDriver::new());
    run(&tree.fixture.open(None).await.unwrap(), &image_of(&cold(&driver), "a", "1")).await.unwrap();
    let path = layout::blob_data(&Digest::sha256(SHARED));
    let bad = Bytes::from_static(b"sharex");
    driver.put(&path, bad.clone()).await.unwrap();
    (tree, driver, path, bad)
}

/// A copy that trusts the destination leaves the damage: this is what a repair is for.
#[tokio::test]
async fn a_copy_without_repair_trusts_the_size() {
    let (tree, driver, path, bad) = damaged().await;
    run(&tree.fixture.open(None).await.unwrap(), &image_of(&cold(&driver), "a", "1")).await.unwrap();
    assert_eq!(driver.get_content(&path, 100).await.unwrap(), bad);
}

/// A source that is damaged as well changes nothing, and is named.
#[tokio::test]
async fn a_bad_source_replaces_nothing() {
    let (tree, driver, path, bad) = damaged().await;
    let own = repair(&image_of(&cold(&driver), "a", "1"), &image_of(&cold(&driver), "b", "1")).await;
    assert!(own.as_ref().is_err_and(|error| error.is_damaged()), "{own:?}");
    tree.fixture.file(&common::blob_path(&Digest::sha256(SHARED)), "shbred").await;
    let source = tree.fixture.open(None).await.unwrap();
    let error = repair(&source, &image_of(&cold(&driver), "a", "1")).await.unwrap_err();
    assert!(matches!(&error, CopyError::Damaged { place, .. } if place == "oci:fixture"), "{error}");
    assert_eq!(driver.get_content(&path, 100).await.unwrap(), bad);
}

/// A reader that began before gets the old bytes to their end, or an error, and never a mixture.
#[tokio::test]
async fn a_reader_of_the_damaged_blob_is_not_disturbed() {
    use futures::TryStreamExt;
    let (tree, driver, path, bad) = damaged().await;
    let reader = driver.reader(&path, ByteRange::full()).await.unwrap();
    repair(&tree.fixture.open(None).await.unwrap(), &image_of(&cold(&driver), "a", "1")).await.unwrap();
    let pieces: Vec<Bytes> = reader.into_stream().try_collect().await.unwrap();
    assert_eq!(pieces.concat(), bad);
    assert_eq!(driver.get_content(&path, 100).await.unwrap(), SHARED);
}

#[tokio::test]
async fn a_read_only_registry_is_not_repaired() {
    let (tree, driver, path, bad) = damaged().await;
    let registry = Registry::builder(driver.clone()).read_only(true).build();
    let error =
        repair(&tree.fixture.open(None).await.unwrap(), &image_of(&registry, "a", "1")).await.unwrap_err();
    assert!(matches!(error, CopyError::Registry { error: RegistryError::ReadOnly, .. }), "{error}");
    assert_eq!(driver.get_content(&path, 100).await.unwrap(), bad);
}

#[tokio::test]
async fn a_layout_is_repaired_too() {
    let tree = Tree::new().await;
    let source = tree.fixture.open(None).await.unwrap();
    let out = Fixture::default();
    run(&source, &out.create(Some("1")).await.unwrap()).await.unwrap();
    let sound = out.files().await;
    let shared = common::blob_path(&Digest::sha256(SHARED));
    let manifest = common::blob_path(&digest_of(&tree.one));
    for (path, mended) in [(&shared, 1), (&manifest, 0)] {
        for damage in damages(&sound[path]).into_iter().flatten() {
            out.file(path, damage).await;
            let report = repair(&source, &out.create(Some("1")).await.unwrap()).await.unwrap();
            assert_eq!(report.blobs_mended, mended, "{path}");
            assert_eq!(out.files().await, sound, "{path}");
        }
    }
}

/// A blob that may be missing may not be damaged: if the source does not have it, that is an error.
#[tokio::test]
async fn a_damaged_optional_layer_needs_a_source() {
    let fixture = Fixture::new().await;
    let config = fixture.blob("application/vnd.oci.image.config.v1+json", "config").await;
    let mut layer = fixture.blob(LAYER, "windows").await;
    layer["mediaType"] = json!("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
    layer["urls"] = json!(["https://example.com/layer"]);
    let root = fixture.document(&image(&config, &[layer.clone()])).await;
    fixture.entries(&[("", &root)]).await;
    let driver: Arc<dyn StorageDriver> = Arc::new(MemoryDriver::new());
    let destination = || image_of(&cold(&driver), "a", "1");
    let report = repair(&fixture.open(None).await.unwrap(), &destination()).await.unwrap();
    assert_eq!((report.blobs_copied, report.skipped.len()), (2, 0));
    fixture.remove(&layer).await;
    let report = repair(&fixture.open(None).await.unwrap(), &destination()).await.unwrap();
    assert_eq!((report.blobs_present, report.skipped.len()), (2, 0), "it is whole here");
    let path = layout::blob_data(&digest_of(&layer));
    driver.put(&path, "wendows").await.unwrap();
    let error = repair(&fixture.open(None).await.unwrap(), &destination()).await.unwrap_err();
    assert!(error.is_damaged() && error.to_string().contains("has no blob"), "{error}");
    driver.delete(&path).await.unwrap();
    let report = repair(&fixture.open(None).await.unwrap(), &destination()).await.unwrap();
    assert_eq!(report.skipped.len(), 1, "what was never there may stay away");
}

/// A blob that is named by another algorithm is hashed by it, and an alias of other content is replaced.
#[tokio::test]
async fn a_blob_of_another_algorithm_is_repaired() {
    use plugin_registry_core::Algorithm;
    let fixture = Fixture::new().await;
    let digest = Digest::of(Algorithm::Sha512, b"layer");
    let layer = fixture.blob_as(LAYER, digest, "layer").await;
    let config = fixture.blob("application/vnd.oci.image.config.v1+json", "config").await;
    let root = fixture.document(&image(&config, &[layer])).await;
    fixture.entries(&[("", &root)]).await;
    let driver: Arc<dyn StorageDriver> = Arc::new(MemoryDriver::new());
    let destination = || image_of(&cold(&driver), "a", "1");
    let source = fixture.open(None).await.unwrap();
    run(&source, &destination()).await.unwrap();
    let (name, canonical) = ("a".parse().unwrap(), Digest::sha256(b"layer"));
    driver.put(&layout::blob_data(&canonical), "lbyer").await.unwrap();
    let report = repair(&source, &destination()).await.unwrap();
    assert_eq!(report.blobs_mended, 1);
    assert!(verify(&driver).await.is_clean());
    // The link of other content of the same repository.
    let wrong = layout::link_content(&Digest::sha256(b"config"));
    driver.put(&layout::layer_link(&name, &digest), wrong).await.unwrap();
    repair(&source, &destination()).await.unwrap();
    let descriptor = Descriptor::new(MediaType::ImageLayerGzip, digest, 5);
    let registry = cold(&driver);
    let blobs = registry.repository(name).blobs();
    assert_eq!(blobs.get(&descriptor.digest, 100).await.unwrap(), "layer");
}

/// The destination of a custom reference, by digest, is repaired as well.
#[tokio::test]
async fn an_image_without_a_tag_is_repaired_by_its_digest() {
    let tree = Tree::new().await;
    let driver: Arc<dyn StorageDriver> = Arc::new(MemoryDriver::new());
    let digest = digest_of(&tree.root);
    let destination = || RegistryImage::new(cold(&driver).repository("a".parse().unwrap()), digest);
    let source = tree.fixture.open(None).await.unwrap();
    run(&source, &destination()).await.unwrap();
    driver.put(&layout::blob_data(&Digest::sha256(SHARED)), "sharex").await.unwrap();
    let report = verify(&driver).await;
    let image = report.findings[0].image.as_ref().unwrap().to_string();
    assert_eq!(image, format!("a@{digest}"));
    repair(&source, &destination()).await.unwrap();
    assert!(verify(&driver).await.is_clean());
}
