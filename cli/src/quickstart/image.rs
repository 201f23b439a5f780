//! A real image, made of this machine's files.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use plugin_registry::manifest::{Manifest, links_of};
use plugin_registry_core::{Descriptor, Digest, MediaType};
use serde_json::json;

/// Most bytes of one file that go into a layer.
const MAX_FILE: u64 = 12 << 20;
/// Files that a Linux machine is likely to have, and that every user may read.
const CANDIDATES: [&str; 8] = [
    "/etc/os-release",
    "/usr/lib/os-release",
    "/etc/services",
    "/etc/protocols",
    "/etc/mime.types",
    "/etc/ld.so.cache",
    "/usr/share/zoneinfo/tzdata.zi",
    "/proc/cpuinfo",
];
const PLATFORMS: [&str; 2] = ["amd64", "arm64"];
/// The platform whose image gets the program; there is none for it on other machines.
const OWN_PLATFORM: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// An image in memory: an index of two platforms, at most 30 MB in all.
pub(super) struct Image {
    /// Configs and layers, each once.
    pub(super) blobs: Vec<(Descriptor, Bytes)>,
    /// The manifest of each platform.
    pub(super) manifests: Vec<Manifest>,
    /// The index of them.
    pub(super) index: Manifest,
}

struct Layer {
    descriptor: Descriptor,
    content: Bytes,
    diff_id: Digest,
    what: String,
}

impl Image {
    /// Makes it; the same files give the same image. Blocks.
    pub(super) fn make() -> io::Result<Self> {
        let shared = Layer::make("files of this machine", &machine_files())?;
        let program = Layer::make("the program that made this image", &own_executable())?;
        let mut blobs = vec![
            (shared.descriptor.clone(), shared.content.clone()),
            (program.descriptor.clone(), program.content.clone()),
        ];
        let mut manifests = Vec::new();
        let mut children = Vec::new();
        for architecture in PLATFORMS {
            let note = format!("linux/{architecture}\n").into_bytes();
            let own = Layer::make("the platform", &[("etc/platform".to_owned(), note)])?;
            // A program of this platform would not run on the others, so only one platform has it.
            let is_own = architecture == OWN_PLATFORM;
            let layers: Vec<&Layer> =
                if is_own { vec![&shared, &program, &own] } else { vec![&shared, &own] };
            let config = config(architecture, &layers)?;
            let descriptor = Descriptor::of(MediaType::ImageConfig, &config);
            let manifest = manifest(&descriptor, &layers)?;
            children.push(json!({
                "mediaType": manifest.media_type().as_ref(),
                "digest": manifest.digest().to_string(),
                "size": manifest.bytes().len(),
                "platform": { "os": "linux", "architecture": architecture },
            }));
            blobs.push((own.descriptor, own.content));
            blobs.push((descriptor, config));
            manifests.push(manifest);
        }
        let index = document(&json!({
            "schemaVersion": 2,
            "mediaType": MediaType::ImageIndex.as_ref(),
            "manifests": children,
            "annotations": { "org.opencontainers.image.title": "plugin-registry quickstart" },
        }))?;
        Ok(Self { blobs, manifests, index })
    }

    /// Bytes of everything, each content once.
    pub(super) fn size(&self) -> u64 {
        let blobs = self.blobs.iter().map(|(blob, _)| blob.size);
        let manifests = self.manifests.iter().chain([&self.index]).map(|one| one.bytes().len() as u64);
        blobs.chain(manifests).sum()
    }

    /// Bytes of everything, each blob as often as a manifest names it.
    pub(super) fn named_size(&self) -> u64 {
        let blobs = self.manifests.iter().flat_map(|manifest| links_of(manifest).blobs);
        let manifests = self.manifests.iter().chain([&self.index]).map(|one| one.bytes().len() as u64);
        blobs.map(|blob| blob.size).chain(manifests).sum()
    }
}

impl Layer {
    /// A gzipped tar of these files: no times, no owners, so the same files give the same digest.
    fn make(what: &str, files: &[(String, Vec<u8>)]) -> io::Result<Self> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_mode(if path.starts_with("bin/") { 0o755 } else { 0o644 });
            header.set_size(content.len() as u64);
            header.set_mtime(0);
            tar.append_data(&mut header, path, content.as_slice())?;
        }
        let tar = tar.into_inner()?;
        let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::fast());
        gzip.write_all(&tar)?;
        let content = Bytes::from(gzip.finish()?);
        Ok(Self {
            descriptor: Descriptor::of(MediaType::ImageLayerGzip, &content),
            content,
            diff_id: Digest::sha256(&tar),
            what: what.to_owned(),
        })
    }
}

/// The [`CANDIDATES`] that this machine has. On a bare machine, at least a note.
fn machine_files() -> Vec<(String, Vec<u8>)> {
    let note = "Made by plugin-registry quickstart from files of the machine it ran on.\n";
    let mut files = vec![("etc/quickstart".to_owned(), note.as_bytes().to_vec())];
    for candidate in CANDIDATES {
        if let Ok(content) = read(Path::new(candidate)) {
            files.push((candidate.trim_start_matches('/').to_owned(), content));
        }
    }
    files
}

/// The running executable; of a larger one, its beginning.
fn own_executable() -> Vec<(String, Vec<u8>)> {
    let content = std::env::current_exe().and_then(|path| read(&path));
    vec![("bin/plugin-registry".to_owned(), content.unwrap_or_else(|_| b"#!/bin/true\n".to_vec()))]
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut content)?;
    Ok(content)
}

fn config(architecture: &str, layers: &[&Layer]) -> io::Result<Bytes> {
    let history: Vec<_> = layers
        .iter()
        .map(|layer| json!({ "created": "1970-01-01T00:00:00Z", "created_by": layer.what }))
        .collect();
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let config = json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": architecture,
        "os": "linux",
        "config": { "Cmd": ["/bin/plugin-registry", "--help"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": history,
    });
    Ok(serde_json::to_vec(&config)?.into())
}

fn manifest(config: &Descriptor, layers: &[&Layer]) -> io::Result<Manifest> {
    let descriptor = |one: &Descriptor| json!({ "mediaType": one.media_type.as_ref(), "digest": one.digest.to_string(), "size": one.size });
    let layers: Vec<_> = layers.iter().map(|layer| descriptor(&layer.descriptor)).collect();
    document(&json!({
        "schemaVersion": 2,
        "mediaType": MediaType::ImageManifest.as_ref(),
        "config": descriptor(config),
        "layers": layers,
    }))
}

fn document(value: &serde_json::Value) -> io::Result<Manifest> {
    Manifest::parse(None, serde_json::to_vec(value)?.into()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_same_files_give_the_same_layer() {
        let files = [("etc/a".to_owned(), b"content".to_vec())];
        let one = Layer::make("x", &files).unwrap();
        assert_eq!(one.descriptor, Layer::make("x", &files).unwrap().descriptor);
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(&one.content[..]).read_to_end(&mut tar).unwrap();
        assert_eq!(Digest::sha256(&tar), one.diff_id);
    }

    #[test]
    fn two_platforms_share_a_layer_and_every_blob_is_there() {
        let image = Image::make().unwrap();
        assert_eq!(image.manifests.len(), 2);
        let here: HashSet<Digest> = image.blobs.iter().map(|(blob, _)| blob.digest).collect();
        let mut named = 0;
        for manifest in &image.manifests {
            let links = links_of(manifest);
            named += links.blobs.len();
            assert!(links.blobs.iter().all(|blob| here.contains(&blob.digest)));
        }
        assert!(named > here.len(), "nothing is shared");
        assert!(image.size() < 30_000_000, "{}", image.size());
    }
}
