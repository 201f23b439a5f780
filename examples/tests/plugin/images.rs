//! Two images of one layout that share a layer, and how a registry stores them.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Bytes of the shared layer, and of each image's own one.
const BASE: usize = 700_000;
const OWN: [usize; 2] = [30_000, 90_000];

/// The images.
pub(crate) struct Images {
    /// Everything, by the hexadecimal digits of its sha256.
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    pub(crate) all: Vec<Image>,
    /// Bytes of the layer that all have.
    pub(crate) base: u64,
    base_digest: String,
}

/// One image.
pub(crate) struct Image {
    pub(crate) name: &'static str,
    /// The digits of its manifest's digest.
    pub(crate) manifest: String,
    /// Bytes of its blobs.
    pub(crate) bytes: u64,
    /// The digits of their digests.
    blobs: Vec<String>,
}

impl Images {
    /// Writes them into an OCI layout, as any other program does.
    pub(crate) fn write(directory: &Path) -> Self {
        let mut images =
            Self { blobs: BTreeMap::new(), all: Vec::new(), base: 0, base_digest: String::new() };
        let base = images.add("application/vnd.oci.image.layer.v1.tar", noise(BASE, 1));
        (images.base, images.base_digest) = (size(&base), digits(&base));
        let mut entries = Vec::new();
        for (name, own) in ["1.0", "2.0"].into_iter().zip(OWN) {
            let own = images.add("application/vnd.oci.image.layer.v1.tar", noise(own, own));
            let config =
                json!({"architecture": "amd64", "os": "linux", "config": {"Labels": {"version": name}}});
            let config =
                images.add("application/vnd.oci.image.config.v1+json", config.to_string().into_bytes());
            let manifest = json!({"schemaVersion": 2, "config": config, "layers": [base, own]});
            let media_type = "application/vnd.oci.image.manifest.v1+json";
            let mut entry = images.add(media_type, manifest.to_string().into_bytes());
            let blobs = [&base, &own, &config];
            images.all.push(Image {
                name,
                manifest: digits(&entry),
                bytes: blobs.into_iter().map(size).sum(),
                blobs: blobs.map(digits).into(),
            });
            entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
            entries.push(entry);
        }
        let data = directory.join("blobs/sha256");
        fs::create_dir_all(&data).unwrap();
        for (digits, bytes) in &images.blobs {
            fs::write(data.join(digits), bytes).unwrap();
        }
        let index = json!({"schemaVersion": 2, "manifests": entries});
        fs::write(directory.join("index.json"), index.to_string()).unwrap();
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        images
    }

    /// Adds a blob and returns its descriptor.
    fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digits: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let descriptor = json!({
            "mediaType": media_type,
            "digest": format!("sha256:{digits}"),
            "size": bytes.len(),
        });
        self.blobs.insert(digits, bytes);
        descriptor
    }

    /// Every file of a registry that has these images, and nothing else, below `docker/registry/v2/`.
    pub(crate) fn store(&self) -> BTreeMap<String, Vec<u8>> {
        let data = self.blobs.iter().map(|(digits, bytes)| (data(digits), bytes.clone()));
        let mut files: BTreeMap<String, Vec<u8>> = data.collect();
        for Image { name, manifest, blobs, .. } in &self.all {
            let mut link = |path: String, digits: &str| {
                let path = format!("repositories/cluster-a/images/{path}/link");
                files.insert(path, format!("sha256:{digits}").into_bytes());
            };
            link(format!("_manifests/revisions/sha256/{manifest}"), manifest);
            link(format!("_manifests/tags/{name}/current"), manifest);
            link(format!("_manifests/tags/{name}/index/sha256/{manifest}"), manifest);
            blobs.iter().for_each(|blob| link(format!("_layers/sha256/{blob}"), blob));
        }
        files
    }

    /// Where a registry keeps the shared layer.
    pub(crate) fn base_path(&self) -> String {
        data(&self.base_digest)
    }
}

fn data(digits: &str) -> String {
    format!("blobs/sha256/{}/{digits}/data", &digits[..2])
}

fn size(descriptor: &Value) -> u64 {
    descriptor["size"].as_u64().unwrap()
}

fn digits(descriptor: &Value) -> String {
    descriptor["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned()
}

/// Bytes that no compression makes smaller, the same in every run.
fn noise(size: usize, seed: usize) -> Vec<u8> {
    let blocks =
        (0_u64..).flat_map(|block| Sha256::digest([seed as u64, block].map(u64::to_le_bytes).concat()));
    blocks.take(size).collect()
}

/// Compares names first, because bytes make long messages.
pub(crate) fn assert_same(found: &BTreeMap<String, Vec<u8>>, wanted: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (name, bytes) in found {
        assert!(*bytes == wanted[name], "{name} has other bytes");
    }
}
