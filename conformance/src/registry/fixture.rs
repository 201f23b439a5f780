//! Content, and the documents that name it.

use bytes::Bytes;
use plugin_registry_core::{Algorithm, Digest};
use serde_json::{Value, json};

/// OCI image manifest.
pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker image manifest, schema 2.
pub const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The four types that a manifest may have.
pub const TYPES: [&str; 4] = [IMAGE, INDEX, DOCKER_IMAGE, DOCKER_LIST];
/// OCI image configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A gzipped OCI layer.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The type of `{}`.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Bytes that differ for each seed and do not compress.
#[must_use]
pub fn content(seed: u64, size: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}

/// The sha256 digest.
#[must_use]
pub fn digest(content: &[u8]) -> String {
    digest_as(Algorithm::Sha256, content)
}

/// The digest by any algorithm.
#[must_use]
pub fn digest_as(algorithm: Algorithm, content: &[u8]) -> String {
    Digest::of(algorithm, content).to_string()
}

/// A descriptor by sha256.
#[must_use]
pub fn descriptor(media_type: &str, content: &[u8]) -> Value {
    descriptor_as(Algorithm::Sha256, media_type, content)
}

/// A descriptor by any algorithm.
#[must_use]
pub fn descriptor_as(algorithm: Algorithm, media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest_as(algorithm, content), "size": content.len()})
}

/// A document as bytes.
#[must_use]
pub fn document(json: &Value) -> Bytes {
    serde_json::to_vec_pretty(json).unwrap().into()
}

/// An image: its manifest, and what the manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Configuration and layers.
    pub blobs: Vec<Bytes>,
    /// The manifest.
    pub manifest: Bytes,
    /// Its media type.
    pub media_type: &'static str,
}

impl Image {
    /// Makes an image of two small layers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(seed, |_| {})
    }

    /// Makes the same image with its manifest changed.
    #[must_use]
    pub fn with(seed: u64, change: impl FnOnce(&mut Value)) -> Self {
        Self::by(Algorithm::Sha256, seed, change)
    }

    /// Makes the same image with its parts named by another algorithm.
    #[must_use]
    pub fn by(algorithm: Algorithm, seed: u64, change: impl FnOnce(&mut Value)) -> Self {
        let config = Bytes::from(format!("{{\"architecture\":\"amd64\",\"os\":\"linux\",\"seed\":{seed}}}"));
        let layers = [content(seed * 10 + 1, 700), content(seed * 10 + 2, 3000)];
        let named: Vec<Value> = layers.iter().map(|layer| descriptor_as(algorithm, LAYER, layer)).collect();
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": descriptor_as(algorithm, CONFIG, &config),
            "layers": named,
        });
        change(&mut manifest);
        let [first, second] = layers;
        Self { blobs: vec![config, first, second], manifest: document(&manifest), media_type: IMAGE }
    }

    /// Makes an image with Docker's types.
    #[must_use]
    pub fn docker(seed: u64) -> Self {
        let image = Self::with(seed, |manifest| {
            manifest["mediaType"] = DOCKER_IMAGE.into();
            manifest["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json".into();
            for layer in manifest["layers"].as_array_mut().unwrap() {
                layer["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip".into();
            }
        });
        Self { media_type: DOCKER_IMAGE, ..image }
    }

    /// Makes an artifact that refers to `subject`.
    #[must_use]
    pub fn referring_to(subject: &[u8], seed: u64, artifact_type: Option<&str>) -> Self {
        Self::with(seed, |manifest| {
            manifest["subject"] = descriptor(IMAGE, subject);
            if let Some(artifact_type) = artifact_type {
                manifest["artifactType"] = artifact_type.into();
            }
            manifest["annotations"] = json!({"org.example.seed": seed.to_string()});
        })
    }

    /// The manifest's sha256 digest.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// The manifest's descriptor.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        descriptor(self.media_type, &self.manifest)
    }
}

/// An index of these children.
#[must_use]
pub fn index(children: &[Value]) -> Bytes {
    document(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}))
}

/// A Docker manifest list of these children.
#[must_use]
pub fn docker_list(children: &[Value]) -> Bytes {
    document(&json!({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": children}))
}
