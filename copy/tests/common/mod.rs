//! Layouts made by hand, good ones and bad ones.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry::Registry;
use plugin_registry_copy::{
    CopyError, CopyOptions, CopyReport, Destination, LayoutImage, LayoutReference, OciLayout, RegistryImage,
    Source, copy,
};
use plugin_registry_core::{Digest, StorageDriver, StorageDriverExt, StoragePath, Tag};
use plugin_registry_drivers_memory::MemoryDriver;
use serde_json::{Value, json};

pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A layout under construction.
#[derive(Clone, Default)]
pub struct Fixture {
    pub driver: MemoryDriver,
}

impl Fixture {
    pub async fn new() -> Self {
        let fixture = Self::default();
        fixture.file("/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#).await;
        fixture
    }

    pub async fn file(&self, path: &str, content: impl Into<Bytes> + Send + 'static) {
        self.driver.put(&path.parse().unwrap(), content).await.unwrap();
    }

    /// Stores content under its sha256 digest and gives its descriptor.
    pub async fn blob(&self, media_type: &str, content: impl AsRef<[u8]>) -> Value {
        self.blob_as(media_type, Digest::sha256(content.as_ref()), content).await
    }

    /// Stores content under any digest.
    pub async fn blob_as(&self, media_type: &str, digest: Digest, content: impl AsRef<[u8]>) -> Value {
        let content = Bytes::copy_from_slice(content.as_ref());
        let size = content.len();
        self.file(&blob_path(&digest), content).await;
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": size })
    }

    /// Stores a document and gives its descriptor.
    pub async fn document(&self, value: &Value) -> Value {
        let media_type = value["mediaType"].as_str().unwrap_or(IMAGE).to_owned();
        self.blob(&media_type, serde_json::to_vec(value).unwrap()).await
    }

    /// An image of one config and some layers.
    pub async fn image(&self, name: &str, layers: &[&str]) -> Value {
        let config = self.blob(CONFIG, format!("config of {name}")).await;
        let mut descriptors = Vec::new();
        for layer in layers {
            descriptors.push(self.blob(LAYER, layer).await);
        }
        self.document(&image(&config, &descriptors)).await
    }

    /// Writes `index.json` with these entries.
    pub async fn entries(&self, entries: &[(&str, &Value)]) {
        let entries: Vec<Value> = entries
            .iter()
            .map(|(name, descriptor)| {
                let mut entry = (*descriptor).clone();
                if !name.is_empty() {
                    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
                }
                entry
            })
            .collect();
        let index = json!({ "schemaVersion": 2, "manifests": entries });
        self.file("/index.json", serde_json::to_vec(&index).unwrap()).await;
    }

    pub async fn remove(&self, descriptor: &Value) {
        self.driver.delete(&blob_path(&digest_of(descriptor)).parse().unwrap()).await.unwrap();
    }

    pub fn shared(&self) -> Arc<dyn StorageDriver> {
        Arc::new(self.driver.clone())
    }

    pub async fn open(&self, name: Option<&str>) -> Result<LayoutImage, CopyError> {
        let layout = OciLayout::open(self.shared(), "fixture").await?;
        Ok(LayoutImage::new(layout, name.map(|name| LayoutReference::Name(name.to_owned()))))
    }

    pub async fn create(&self, name: Option<&str>) -> Result<LayoutImage, CopyError> {
        let layout = OciLayout::create(self.shared(), "target").await?;
        Ok(LayoutImage::new(layout, name.map(|name| LayoutReference::Name(name.to_owned()))))
    }

    /// Copies the image `name` into a fresh registry.
    pub async fn to_fresh_registry(&self, name: Option<&str>) -> Result<CopyReport, CopyError> {
        let registry = Registry::builder(MemoryDriver::new()).build();
        let destination = image_of(&registry, "a", "1");
        let result = run(&self.open(name).await?, &destination).await;
        if result.is_err() {
            let tags = registry.repository("a".parse().unwrap()).tags();
            assert_eq!(
                tags.resolve(&"1".parse::<Tag>().unwrap()).await.unwrap(),
                None,
                "the tag is set last"
            );
        }
        result
    }

    /// Copies the image `name` into a fresh layout.
    pub async fn to_fresh_layout(&self, name: Option<&str>) -> Result<CopyReport, CopyError> {
        let target = Self::default();
        let destination = target.create(None).await?;
        let result = run(&self.open(name).await?, &destination).await;
        if result.is_err() {
            assert!(!target.files().await.contains_key("/index.json"), "index.json is written last");
        }
        result
    }

    pub async fn files(&self) -> BTreeMap<String, Bytes> {
        files(&self.driver).await
    }

    pub async fn blobs(&self) -> BTreeMap<String, Bytes> {
        let mut files = self.files().await;
        files.retain(|path, _| path.starts_with("/blobs/"));
        files
    }
}

pub fn image(config: &Value, layers: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers })
}

pub fn index(manifests: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests })
}

pub fn digest_of(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

pub fn blob_path(digest: &Digest) -> String {
    format!("/blobs/{}/{}", digest.algorithm(), digest.hex())
}

pub fn image_of(registry: &Registry, name: &str, tag: &str) -> RegistryImage {
    RegistryImage::new(registry.repository(name.parse().unwrap()), tag.parse::<Tag>().unwrap())
}

pub async fn run(source: &dyn Source, destination: &dyn Destination) -> Result<CopyReport, CopyError> {
    copy(source, destination, &CopyOptions::default(), &()).await
}

pub async fn files(driver: &MemoryDriver) -> BTreeMap<String, Bytes> {
    let root = StoragePath::root();
    let paths: Vec<StoragePath> =
        driver.walk(&root, None).map_ok(|info| info.path).try_collect().await.unwrap();
    let mut files = BTreeMap::new();
    for path in paths {
        files.insert(path.to_string(), driver.get_content(&path, 64 << 20).await.unwrap());
    }
    files
}
