//! The calls to a destination before anything is copied.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use std::{mem, sync::Mutex};

use async_trait::async_trait;
use common::{Fixture, image_of, index};
use plugin_registry::{
    Registry,
    manifest::{Links, Manifest},
};
use plugin_registry_copy::{
    BlobContent, BlobOutcome, CopyError, CopyOptions, Destination, PutOutcome, RegistryImage, Role, copy,
};
use plugin_registry_core::Descriptor;
use plugin_registry_drivers_memory::MemoryDriver;

/// A destination that remembers its calls.
#[derive(Debug)]
struct Asked {
    image: RegistryImage,
    calls: Mutex<Vec<&'static str>>,
}

impl Asked {
    fn note(&self, call: &'static str) {
        self.calls.lock().unwrap().push(call);
    }

    fn calls(&self) -> Vec<&'static str> {
        mem::take(&mut *self.calls.lock().unwrap())
    }
}

#[async_trait]
impl Destination for Asked {
    fn label(&self) -> String {
        Destination::label(&self.image)
    }

    fn checks_references(&self) -> bool {
        self.image.checks_references()
    }

    async fn missing(&self, links: &Links) -> Result<PutOutcome, CopyError> {
        self.note("missing");
        self.image.missing(links).await
    }

    async fn put_manifest(&self, manifest: &Manifest, role: Role) -> Result<PutOutcome, CopyError> {
        self.note("manifest");
        self.image.put_manifest(manifest, role).await
    }

    async fn put_blob(
        &self,
        descriptor: &Descriptor,
        content: BlobContent<'_>,
    ) -> Result<BlobOutcome, CopyError> {
        self.note("blob");
        self.image.put_blob(descriptor, content).await
    }

    async fn mend_blob(
        &self,
        descriptor: &Descriptor,
        content: BlobContent<'_>,
    ) -> Result<BlobOutcome, CopyError> {
        self.note("mend");
        self.image.mend_blob(descriptor, content).await
    }
}

#[tokio::test]
async fn a_destination_that_checks_references_gets_the_manifest_first() {
    let fixture = Fixture::new().await;
    let child = fixture.image("child", &["layer"]).await;
    let root = fixture.document(&index(&[child])).await;
    fixture.entries(&[("1", &root)]).await;
    let source = fixture.open(Some("1")).await.unwrap();
    let registry = Registry::builder(MemoryDriver::new()).build();
    let stored = Asked { image: image_of(&registry, "a", "1"), calls: Mutex::default() };
    let options = CopyOptions::default();

    copy(&source, &stored, &options, &()).await.unwrap();
    // The index and its child are refused, then the layer, the config and both manifests come.
    assert_eq!(stored.calls(), ["manifest", "manifest", "blob", "blob", "manifest", "manifest"]);
    copy(&source, &stored, &options, &()).await.unwrap();
    assert_eq!(stored.calls(), ["manifest"], "all is there, and nothing is asked for one by one");

    // A repair has to read what is below the index, which would be taken as it is.
    copy(&source, &stored, &options.with_repair(true), &()).await.unwrap();
    assert_eq!(stored.calls(), ["mend", "mend", "manifest", "manifest"]);
}
