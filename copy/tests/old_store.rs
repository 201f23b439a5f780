//! Manifests that docker-registry 2.8.2 accepted and that a push today would be refused for. They are copied
//! from an old store into a layout, back into a location, and on into another one, byte for byte and with a
//! note (ADR 0021).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use bytes::Bytes;
use common::{CONFIG, Fixture, IMAGE, LAYER, image_of, index, run};
use plugin_registry::{Registry, integrity::Flaw, layout, verify::VerifyScope};
use plugin_registry_copy::CopyReport;
use plugin_registry_core::{Digest, RepositoryName, StorageDriver, StorageDriverExt};
use plugin_registry_drivers_memory::MemoryDriver;
use serde_json::{Value, json};

/// A store as distribution writes it.
#[derive(Clone, Default)]
struct Old {
    driver: MemoryDriver,
}

impl Old {
    fn name() -> RepositoryName {
        "old".parse().unwrap()
    }

    fn registry(&self) -> Registry {
        Registry::builder(self.driver.clone()).build()
    }

    async fn blob(&self, media_type: &str, content: &'static [u8]) -> Value {
        let digest = Digest::sha256(content);
        self.driver.put(&layout::blob_data(&digest), content).await.unwrap();
        self.driver.put(&layout::layer_link(&Self::name(), &digest), digest.to_string()).await.unwrap();
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": content.len() })
    }

    async fn manifest(&self, tag: &str, text: &str) -> Value {
        let digest = Digest::sha256(text.as_bytes());
        for (path, content) in [
            (layout::blob_data(&digest), text.to_owned()),
            (layout::revision_link(&Self::name(), &digest), digest.to_string()),
            (layout::tag_current(&Self::name(), &tag.parse().unwrap()), digest.to_string()),
        ] {
            self.driver.put(&path, content).await.unwrap();
        }
        json!({ "mediaType": IMAGE, "digest": digest.to_string(), "size": text.len() })
    }
}

/// Values that programs wrote instead of a size.
fn sized(mut descriptor: Value, size: Option<i64>) -> Value {
    match size {
        Some(size) => descriptor["size"] = json!(size),
        None => drop(descriptor.as_object_mut().unwrap().remove("size")),
    }
    descriptor
}

/// Copies out of the store, through a layout, into a fresh location, twice, and into another repository of it.
async fn round(old: &Old, what: &str) -> [CopyReport; 4] {
    let source = image_of(&old.registry(), "old", "1");
    let out = Fixture::default();
    let to_layout = run(&source, &out.create(Some("1")).await.unwrap()).await.expect(what);
    let registry = Registry::builder(MemoryDriver::new()).build();
    let back = image_of(&registry, "new", "1");
    let to_location = run(&out.open(Some("1")).await.unwrap(), &back).await.expect(what);
    let again = run(&source, &back).await.expect(what);
    let next = run(&back, &image_of(&registry, "next", "1")).await.expect(what);
    let report = registry.verify(VerifyScope::All, |_| ()).await.unwrap();
    assert!(report.is_sound() && !report.notes.is_empty(), "{what}: {report:?}");
    let bytes = |manifest: plugin_registry::manifest::Manifest| manifest.bytes().clone();
    let get = |registry: Registry, name: &'static str| async move {
        let name = name.parse().unwrap();
        bytes(registry.repository(name).manifests().get(&"1".parse().unwrap()).await.unwrap())
    };
    let first: Bytes = get(old.registry(), "old").await;
    for name in ["new", "next"] {
        assert_eq!(get(registry.clone(), name).await, first, "{what}");
    }
    [to_layout, to_location, again, next]
}

#[tokio::test]
async fn blobs_without_a_size_come_verbatim_and_are_noted() {
    for size in [Some(0), Some(-1), None] {
        let old = Old::default();
        let config = sized(old.blob(CONFIG, b"{}").await, size);
        let layer = sized(old.blob(LAYER, b"layer").await, size);
        let whole = old.blob(LAYER, b"whole").await;
        let manifest = common::image(&config, &[layer, whole]);
        old.manifest("1", &manifest.to_string()).await;
        for report in round(&old, &format!("{size:?}")).await {
            let noted: Vec<&Flaw> = report.notes.iter().map(|note| &note.flaw).collect();
            let expected =
                [b"{}".as_slice(), b"layer"].map(|content| Flaw::NoSize { digest: Digest::sha256(content) });
            assert_eq!(noted, expected.iter().collect::<Vec<_>>(), "{report:?}");
            assert!(report.notes.iter().all(|note| note.manifest == report.root.digest));
        }
    }
}

#[tokio::test]
async fn children_of_another_size_come_verbatim_and_are_noted() {
    for change in [Some(3), Some(-1), Some(i64::MIN), None] {
        let old = Old::default();
        let config = old.blob(CONFIG, b"{}").await;
        let layer = old.blob(LAYER, b"layer").await;
        let child = old.manifest("child", &common::image(&config, &[layer]).to_string()).await;
        let size = child["size"].as_i64().unwrap();
        let size = change.map(|change| if change == i64::MIN { 0 } else { size + change });
        let index = index(&[sized(child, size)]);
        old.manifest("1", &index.to_string()).await;
        for report in round(&old, &format!("{size:?}")).await {
            assert_eq!(report.notes.len(), 1, "{report:?}");
            let flaw = &report.notes[0].flaw;
            assert!(matches!(flaw, Flaw::NoSize { .. } | Flaw::ManifestSize { .. }), "{flaw:?}");
        }
    }
}

#[tokio::test]
async fn keys_in_another_case_come_verbatim_and_are_noted() {
    let old = Old::default();
    let config = old.blob(CONFIG, b"{}").await;
    let [first, second] = [old.blob(LAYER, b"first").await, old.blob(LAYER, b"second").await];
    for text in [
        format!(r#"{{"schemaVersion":2,"config":{config},"Layers":[{first},{second}]}}"#),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"Layers":[{first},{second}]}}"#),
        format!(r#"{{"schemaVersion":2,"layers":[],"Config":{config},"layer\u017f":[{first},{second}]}}"#),
    ] {
        old.manifest("1", &text).await;
        for report in round(&old, &text).await {
            assert!(
                !report.notes.is_empty() && report.notes[0].to_string().contains("the key `"),
                "{report:?}"
            );
        }
        let [to_layout, ..] = round(&old, &text).await;
        assert_eq!(to_layout.blobs_copied, 3, "what Go reads is copied: {text}");
    }
}

#[tokio::test]
async fn a_size_in_doubt_excuses_no_cut_blob() {
    let old = Old::default();
    let config = old.blob(CONFIG, b"{}").await;
    let layer = sized(old.blob(LAYER, b"layer").await, None);
    old.manifest("1", &common::image(&config, &[layer]).to_string()).await;
    let registry = old.registry();
    let source = image_of(&registry, "old", "1");
    run(&source, &image_of(&registry, "copy", "1")).await.unwrap();
    let good = Fixture::default();
    run(&source, &good.create(None).await.unwrap()).await.unwrap();
    let path = layout::blob_data(&Digest::sha256(b"layer"));
    old.driver.put(&path, "laye").await.unwrap();
    // In the same store, where the destination has the very bytes of the source.
    for name in ["copy", "fresh"] {
        let registry = old.registry();
        let error = run(&image_of(&registry, "old", "1"), &image_of(&registry, name, "1")).await.unwrap_err();
        assert!(error.is_damaged(), "{name}: {error}");
    }
    assert!(run(&source, &Fixture::default().create(None).await.unwrap()).await.unwrap_err().is_damaged());
    // From a good source it heals.
    let registry = old.registry();
    run(&good.open(None).await.unwrap(), &image_of(&registry, "copy", "1")).await.unwrap();
    assert_eq!(old.driver.get_content(&path, 100).await.unwrap(), "layer");
    assert!(registry.verify(VerifyScope::All, |_| ()).await.unwrap().is_sound());
}

#[tokio::test]
async fn a_wrong_size_of_a_blob_is_damage() {
    for sizes in [[4, 4], [6, 6], [5, 6], [6, 5]] {
        let old = Old::default();
        let config = old.blob(CONFIG, b"{}").await;
        let layer = old.blob(LAYER, b"layer").await;
        let layers = sizes.map(|size| sized(layer.clone(), Some(size)));
        old.manifest("1", &common::image(&config, &layers).to_string()).await;
        let source = image_of(&old.registry(), "old", "1");
        let registry = Registry::builder(MemoryDriver::new()).build();
        assert!(run(&source, &image_of(&registry, "a", "1")).await.unwrap_err().is_damaged(), "{sizes:?}");
        let layout = Fixture::default();
        assert!(run(&source, &layout.create(None).await.unwrap()).await.unwrap_err().is_damaged());
        assert!(!old.registry().verify(VerifyScope::All, |_| ()).await.unwrap().is_sound(), "{sizes:?}");
    }
}
