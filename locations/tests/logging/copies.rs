//! A copy leaves one line per image at info, and one per blob at debug.

use futures::executor::block_on;
use plugin_registry::Registry;
use plugin_registry_copy::{CopyOptions, RegistryImage, copy};
use plugin_registry_core::{Descriptor, MediaType, Tag};
use plugin_registry_drivers_memory::MemoryDriver;
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

use crate::events::{Listener, Seen};

const BLOBS: [&[u8]; 2] = [b"{}", b"a layer"];

fn registry(instance: &str) -> Registry {
    Registry::builder(MemoryDriver::new()).identity("velero/default", instance).build()
}

fn image(registry: &Registry, name: &str) -> RegistryImage {
    RegistryImage::new(registry.repository(name.parse().unwrap()), "v1".parse::<Tag>().unwrap())
}

/// Stores an image of two blobs as `NAME:v1`, and returns its manifest.
async fn push(registry: &Registry, name: &str) -> String {
    let repository = registry.repository(name.parse().unwrap());
    let [config, layer] = BLOBS.map(|content| Descriptor::of(MediaType::EmptyJSON, content));
    for (descriptor, content) in [(&config, BLOBS[0]), (&layer, BLOBS[1])] {
        let pieces = futures::stream::iter([Ok::<_, std::io::Error>(content.into())]);
        repository.blobs().push(descriptor, pieces).await.unwrap();
    }
    let entry = |blob: &Descriptor| {
        format!(r#"{{"mediaType":"{}","digest":"{}","size":{}}}"#, blob.media_type, blob.digest, blob.size)
    };
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
        MediaType::ImageManifest,
        entry(&config),
        entry(&layer)
    );
    repository.manifests().put(&"v1".parse().unwrap(), None, manifest.clone().into()).await.unwrap();
    manifest
}

fn run(level: LevelFilter, copies: &[(&str, &str)]) -> (Vec<Seen>, String) {
    let listener = Listener::new();
    let (source, target) = (registry("source"), registry("target"));
    let _logs = [listener.insert("source", LevelFilter::INFO), listener.insert("target", level)];
    let manifest = block_on(push(&source, "app"));
    listener.run(async {
        for (from, to) in copies {
            let (from, to) = (image(&source, from), image(&target, to));
            copy(&from, &to, &CopyOptions::default(), &()).await.unwrap();
        }
    });
    (listener.take(), manifest)
}

#[test]
fn an_instance_at_info_tells_each_image_and_nothing_else() {
    let (seen, manifest) = run(LevelFilter::INFO, &[("app", "first"), ("app", "first"), ("app", "second")]);
    assert_eq!(seen.len(), 3, "{seen:#?}");
    let blobs = BLOBS.map(<[u8]>::len).iter().sum::<usize>();
    let whole = (blobs + manifest.len()).to_string();
    let (own, blobs) = (manifest.len().to_string(), blobs.to_string());
    // New, then all there, then the bytes there and only linked.
    for (line, (to, copied, present, copied_blobs)) in seen.iter().zip([
        ("first:v1", &*whole, "0", "2"),
        ("first:v1", &*own, &*blobs, "0"),
        ("second:v1", &*own, &*blobs, "0"),
    ]) {
        assert_eq!((line.level, line.target), (Level::INFO, "plugin_registry_copy::image"));
        assert_eq!(line.message(), "image copied");
        let field = |name: &str| &*line.fields[name];
        assert_eq!(field("digest"), plugin_registry_core::Digest::sha256(manifest.as_bytes()).to_string());
        assert!(field("source").ends_with("app:v1") && field("destination").ends_with(to), "{line:#?}");
        assert_eq!((field("bytes_copied"), field("bytes_present")), (copied, present), "{line:#?}");
        assert_eq!(field("blobs_copied"), copied_blobs, "{line:#?}");
        assert!(field("elapsed_us").parse::<u64>().is_ok());
        assert_eq!((line.spans[0].0, &*line.spans[0].1["instance"]), ("copy", "target"));
    }
}

#[test]
fn at_debug_each_blob_is_told_too() {
    let (seen, _) = run(LevelFilter::DEBUG, &[("app", "first"), ("app", "second")]);
    let blobs: Vec<_> = seen.iter().filter(|line| line.target == "plugin_registry_copy::blob").collect();
    let outcomes: Vec<(&str, &str)> =
        blobs.iter().map(|line| (&*line.fields["outcome"], &*line.fields["bytes_copied"])).collect();
    assert_eq!(outcomes, [("copied", "7"), ("copied", "2"), ("present", "0"), ("present", "0")]);
    // What the quiet source did is not told.
    let others: Vec<_> =
        seen.iter().filter(|line| line.fields.get("repository").is_some_and(|name| name == "app")).collect();
    assert!(others.is_empty(), "{others:#?}");
}
