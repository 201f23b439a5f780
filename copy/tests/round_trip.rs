//! Content comes out as it went in, byte for byte, and is moved once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use std::sync::Mutex;

use bytes::Bytes;
use common::{Fixture, IMAGE, LAYER, digest_of, image, image_of, index, run};
use plugin_registry::{ReferencePolicy, Registry, layout};
use plugin_registry_copy::{
    BlobOutcome, CopyError, CopyEvent, CopyOptions, LayoutImage, LayoutReference, OciLayout, RegistryImage,
    Skipped, copy,
};
use plugin_registry_core::{Algorithm, Digest, Reference, StorageDriver, StorageDriverExt, Tag, docker};
use plugin_registry_drivers_memory::MemoryDriver;
use serde_json::json;

/// An index of two images that share a layer, one of them in a nested index.
async fn tree() -> Fixture {
    let fixture = Fixture::new().await;
    let one = fixture.image("one", &["shared", "own one", ""]).await;
    let two = fixture.image("two", &["shared", "own two"]).await;
    let nested = fixture.document(&index(&[two])).await;
    let root = fixture.document(&index(&[one, nested])).await;
    fixture.entries(&[("1.0", &root)]).await;
    fixture
}

#[tokio::test]
async fn an_index_comes_out_as_it_went_in() {
    let fixture = tree().await;
    let registry = Registry::builder(MemoryDriver::new()).build();
    let stored = image_of(&registry, "ns/app", "1.0");
    let report = run(&fixture.open(Some("1.0")).await.unwrap(), &stored).await.unwrap();
    assert_eq!((report.manifests, report.blobs_copied, report.blobs_present), (4, 6, 1));
    assert_eq!(report.manifests_present, 0);

    let out = Fixture::default();
    let report = run(&stored, &out.create(Some("1.0")).await.unwrap()).await.unwrap();
    assert_eq!((report.manifests, report.blobs_copied, report.blobs_present), (4, 6, 1));
    assert_eq!(out.blobs().await, fixture.blobs().await);
    assert_eq!(out.files().await.len(), fixture.files().await.len(), "nothing else is written");
    let entries = OciLayout::open(out.shared(), "out").await.unwrap().entries().await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].name.as_deref(), Some("1.0"));
    assert_eq!(entries[0].descriptor, report.root);
}

#[tokio::test]
async fn what_is_there_is_not_read_again() {
    let fixture = tree().await;
    let registry = Registry::builder(MemoryDriver::new()).build();
    let source = fixture.open(None).await.unwrap();
    run(&source, &image_of(&registry, "ns/app", "1.0")).await.unwrap();

    let again = run(&source, &image_of(&registry, "ns/app", "2.0")).await.unwrap();
    assert_eq!((again.manifests, again.manifests_present), (1, 2), "the manifest is put first");
    assert_eq!((again.blobs_copied, again.blobs_deduplicated), (0, 0));

    let elsewhere = run(&source, &image_of(&registry, "other", "1.0")).await.unwrap();
    assert_eq!((elsewhere.blobs_copied, elsewhere.blobs_deduplicated, elsewhere.blobs_present), (0, 6, 1));
    assert_eq!(elsewhere.bytes_deduplicated, again_bytes(&fixture).await);

    let out = Fixture::default();
    let target = out.create(None).await.unwrap();
    run(&source, &target).await.unwrap();
    let again = run(&source, &target).await.unwrap();
    assert_eq!((again.blobs_copied, again.blobs_present), (0, 7));
    assert_eq!(OciLayout::open(out.shared(), "out").await.unwrap().entries().await.unwrap().len(), 1);
}

/// Bytes of the blobs of `tree`, the shared layer twice.
async fn again_bytes(fixture: &Fixture) -> u64 {
    let blobs = fixture.blobs().await;
    let blobs = blobs.values().filter(|content| !content.starts_with(b"{"));
    blobs.map(|content| content.len() as u64).sum::<u64>() + "shared".len() as u64
}

#[tokio::test]
async fn between_repositories_and_between_layouts() {
    let fixture = tree().await;
    let registry = Registry::builder(MemoryDriver::new()).build();
    let (one, two) = (image_of(&registry, "one", "1"), image_of(&registry, "two", "2"));
    run(&fixture.open(None).await.unwrap(), &one).await.unwrap();
    let report = run(&one, &two).await.unwrap();
    assert_eq!((report.blobs_copied, report.blobs_deduplicated), (0, 6));

    let out = Fixture::default();
    run(&fixture.open(None).await.unwrap(), &out.create(Some("x")).await.unwrap()).await.unwrap();
    assert_eq!(out.blobs().await, fixture.blobs().await);
}

#[tokio::test]
async fn a_copy_that_was_interrupted_goes_on_where_it_stopped() {
    let fixture = tree().await;
    let lost = Digest::sha256(b"own two");
    let path = common::blob_path(&lost);
    fixture.remove(&json!({ "digest": lost.to_string() })).await;
    let registry = Registry::builder(MemoryDriver::new()).build();
    let destination = image_of(&registry, "a", "1");
    let source = fixture.open(None).await.unwrap();
    let error = run(&source, &destination).await.unwrap_err();
    assert!(
        matches!(&error, CopyError::Incomplete { what, .. } if what.contains(&lost.to_string())),
        "{error}"
    );
    assert!(error.is_damaged());
    let tags = registry.repository("a".parse().unwrap()).tags();
    assert_eq!(tags.resolve(&"1".parse::<Tag>().unwrap()).await.unwrap(), None);

    fixture.file(&path, "own two").await;
    let report = run(&source, &destination).await.unwrap();
    assert!(report.blobs_copied <= 2 && report.manifests_present >= 1, "{report:?}");
}

#[tokio::test]
async fn repair_brings_what_the_destination_lost() {
    let fixture = tree().await;
    let driver = MemoryDriver::new();
    let source = fixture.open(None).await.unwrap();
    let destination = || image_of(&Registry::builder(driver.clone()).build(), "a", "1");
    run(&source, &destination()).await.unwrap();
    let (cut, lost) = (Digest::sha256(b"own one"), Digest::sha256(b"own two"));
    driver.put(&layout::blob_data(&cut), "own").await.unwrap();
    driver.delete(&layout::blob_data(&lost)).await.unwrap();
    let trusting = run(&source, &destination()).await.unwrap();
    assert_eq!((trusting.manifests_present, trusting.blobs_copied), (2, 0));

    let repair = CopyOptions::default().with_repair(true);
    let repaired = copy(&source, &destination(), &repair, &()).await.unwrap();
    assert_eq!((repaired.manifests, repaired.blobs_copied), (4, 2));
    for content in ["own one", "own two"] {
        let path = layout::blob_data(&Digest::sha256(content.as_bytes()));
        assert_eq!(driver.get_content(&path, 1 << 20).await.unwrap(), content);
    }
    let again = copy(&source, &destination(), &repair, &()).await.unwrap();
    assert_eq!((again.manifests, again.blobs_copied), (4, 0));
}

/// Content that cannot be right at the destination is copied again, even without `repair`: links and data
/// that were emptied or cut, as in old stores.
#[tokio::test]
async fn what_cannot_be_right_is_copied_again() {
    let fixture = Fixture::new().await;
    let child = fixture.image("child", &["layer one", "layer two"]).await;
    let root = fixture.document(&index(std::slice::from_ref(&child))).await;
    fixture.entries(&[("image", &child), ("index", &root)]).await;
    let (layer, name) = (Digest::sha256(b"layer one"), "a".parse().unwrap());
    let (link, other) = (layout::layer_link(&name, &layer), Digest::sha256(b"other"));
    let revision = layout::revision_link(&name, &digest_of(&child));
    let manifest = layout::blob_data(&digest_of(&child));
    for (image, path, damage, copied) in [
        ("image", &link, Bytes::new(), (0, 1)),
        ("image", &link, layout::link_content(&layer).slice(..70), (0, 1)),
        ("image", &link, layout::link_content(&other).slice(..40), (0, 1)),
        ("image", &layout::blob_data(&layer), Bytes::new(), (1, 0)),
        ("image", &layout::blob_data(&layer), Bytes::from("layer"), (1, 0)),
        ("image", &manifest, Bytes::new(), (0, 0)),
        ("index", &manifest, Bytes::new(), (0, 0)),
        ("index", &revision, Bytes::new(), (0, 0)),
    ] {
        let driver = MemoryDriver::new();
        let source = fixture.open(Some(image)).await.unwrap();
        let destination = || image_of(&Registry::builder(driver.clone()).build(), "a", "1");
        run(&source, &destination()).await.unwrap();
        driver.put(path, damage.clone()).await.unwrap();
        let what = format!("{image}: {path} {damage:?}");
        let report = run(&source, &destination()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((report.blobs_copied, report.blobs_deduplicated), copied, "{what}");
        let out = Fixture::default();
        run(&destination(), &out.create(None).await.unwrap()).await.unwrap();
        assert!(out.blobs().await.contains_key(&common::blob_path(&layer)), "{what}");
    }
}

/// Data that was emptied is damage of the source, not something that was never there.
#[tokio::test]
async fn an_emptied_layer_of_the_source_is_damage() {
    let fixture = Fixture::new().await;
    let root = fixture.image("root", &["layer"]).await;
    fixture.entries(&[("", &root)]).await;
    let driver = MemoryDriver::new();
    let stored = || image_of(&Registry::builder(driver.clone()).build(), "a", "1");
    run(&fixture.open(None).await.unwrap(), &stored()).await.unwrap();
    let layer = Digest::sha256(b"layer");
    driver.put(&layout::blob_data(&layer), "").await.unwrap();
    let error = run(&stored(), &Fixture::default().create(None).await.unwrap()).await.unwrap_err();
    assert!(matches!(error, CopyError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn other_digest_algorithms_stay() {
    let fixture = Fixture::new().await;
    let config = fixture.blob(common::CONFIG, "{}").await;
    let layer = fixture.blob_as(LAYER, Digest::of(Algorithm::Sha512, b"layer"), "layer").await;
    let body = serde_json::to_vec(&image(&config, &[layer])).unwrap();
    let digest = Digest::of(Algorithm::Sha512, &body);
    let root = fixture.blob_as(IMAGE, digest, body).await;
    fixture.entries(&[("", &root)]).await;
    let registry = Registry::builder(MemoryDriver::new()).build();
    let stored = image_of(&registry, "a", "1");
    let report = run(&fixture.open(None).await.unwrap(), &stored).await.unwrap();
    assert_eq!(report.root.digest, digest);
    let out = Fixture::default();
    run(&stored, &out.create(None).await.unwrap()).await.unwrap();
    assert_eq!(out.blobs().await, fixture.blobs().await);
}

#[tokio::test]
async fn a_destination_with_a_digest_takes_that_image_only() {
    let fixture = tree().await;
    let source = fixture.open(None).await.unwrap();
    let right = OciLayout::open(fixture.shared(), "").await.unwrap().resolve(None).await.unwrap().digest;
    let wrong = Digest::sha256(b"other");
    let registry = Registry::builder(MemoryDriver::new()).build();
    let named = |digest: Digest| {
        RegistryImage::new(registry.repository("a".parse().unwrap()), Reference::Digest(digest))
    };
    assert!(run(&source, &named(wrong)).await.is_err());
    run(&source, &named(right)).await.unwrap();

    let out = Fixture::default();
    let layout = OciLayout::create(out.shared(), "out").await.unwrap();
    let target = |digest| LayoutImage::new(layout.clone(), Some(LayoutReference::Digest(digest)));
    assert!(matches!(run(&source, &target(wrong)).await, Err(CopyError::DigestMismatch { .. })));
    run(&source, &target(right)).await.unwrap();
    run(&target(right), &named(right)).await.unwrap();
}

#[tokio::test]
async fn non_distributable_layers_come_along_or_stay() {
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    for is_there in [false, true] {
        let fixture = Fixture::new().await;
        let config = fixture.blob(common::CONFIG, "{}").await;
        let mut layer = fixture.blob(foreign, "licensed").await;
        layer["urls"] = json!(["https://example.com/layer"]);
        if !is_there {
            fixture.remove(&layer).await;
        }
        let root = fixture.document(&image(&config, &[layer.clone()])).await;
        fixture.entries(&[("", &root)]).await;
        let registry = fixture.to_fresh_registry(None).await.unwrap();
        let layout = fixture.to_fresh_layout(None).await.unwrap();
        for report in [registry, layout] {
            assert_eq!(report.blobs_copied, 1 + usize::from(is_there));
            let skipped: Vec<Digest> = report
                .skipped
                .iter()
                .map(|skipped| match skipped {
                    Skipped::NonDistributable(layer) => layer.digest,
                    other => panic!("{other:?}"),
                })
                .collect();
            let expected = if is_there { vec![] } else { vec![digest_of(&layer)] };
            assert_eq!(skipped, expected);
        }
    }
}

#[tokio::test]
async fn children_that_are_not_there_are_an_error_or_skipped() {
    let fixture = Fixture::new().await;
    let here = fixture.image("here", &["layer"]).await;
    let gone = fixture.image("gone", &["other"]).await;
    fixture.remove(&gone).await;
    let root = fixture.document(&index(&[here, gone.clone()])).await;
    fixture.entries(&[("", &root)]).await;
    assert!(fixture.to_fresh_registry(None).await.unwrap_err().is_damaged());
    assert!(fixture.to_fresh_layout(None).await.unwrap_err().is_damaged());

    let options = CopyOptions::default().with_sparse(true);
    let source = fixture.open(None).await.unwrap();
    let strict = Registry::builder(MemoryDriver::new()).build();
    let refused = copy(&source, &image_of(&strict, "a", "1"), &options, &()).await.unwrap_err();
    assert!(matches!(refused, CopyError::StillMissing { .. }), "{refused}");
    for policy in [ReferencePolicy::SparseIndexes, ReferencePolicy::Sparse] {
        let registry = Registry::builder(MemoryDriver::new()).references(policy).build();
        let report = copy(&source, &image_of(&registry, "a", "1"), &options, &()).await.unwrap();
        assert_eq!(report.blobs_copied, 2, "{policy:?}");
        assert!(matches!(&report.skipped[..], [Skipped::Child(child)] if child.digest == digest_of(&gone)));
    }
}

#[tokio::test]
async fn what_refers_to_the_image_comes_along_when_asked() {
    let fixture = Fixture::new().await;
    let root = fixture.image("root", &["layer"]).await;
    let config = fixture.blob("application/vnd.oci.empty.v1+json", "{}").await;
    let mut signature = image(&config, &[]);
    signature["artifactType"] = json!("application/example.signature");
    signature["subject"] = root.clone();
    let signature = fixture.document(&signature).await;
    let mut note = image(&config, &[]);
    note["artifactType"] = json!("application/example.note");
    note["subject"] = signature.clone();
    let note = fixture.document(&note).await;
    fixture.entries(&[("1", &root), ("", &signature), ("", &note)]).await;
    let options = CopyOptions::default().with_referrers(true);

    let registry = Registry::builder(MemoryDriver::new()).build();
    let stored = image_of(&registry, "a", "1");
    copy(&fixture.open(Some("1")).await.unwrap(), &stored, &options, &()).await.unwrap();
    let repository = registry.repository("a".parse().unwrap());
    assert_eq!(repository.referrers(&digest_of(&root), None, None, 10).await.unwrap().referrers.len(), 1);
    assert_eq!(
        repository.referrers(&digest_of(&signature), None, None, 10).await.unwrap().referrers.len(),
        1
    );

    let out = Fixture::default();
    copy(&stored, &out.create(Some("1")).await.unwrap(), &options, &()).await.unwrap();
    assert_eq!(out.blobs().await, fixture.blobs().await);
    let layout = OciLayout::open(out.shared(), "out").await.unwrap();
    assert_eq!(layout.entries().await.unwrap().len(), 3);
}

#[tokio::test]
async fn schema_1_of_an_old_store_comes_out_verbatim() {
    let (driver, registry) = {
        let driver = MemoryDriver::new();
        (driver.clone(), Registry::builder(driver).build())
    };
    let name = "old".parse().unwrap();
    let layer = Digest::sha256(b"old layer");
    let body = format!(
        r#"{{"schemaVersion":1,"name":"old","tag":"1","fsLayers":[{{"blobSum":"{layer}"}},{{"blobSum":"{layer}"}}],"signatures":[]}}"#
    );
    let digest = Digest::sha256(body.as_bytes());
    for (path, content) in [
        (layout::blob_data(&layer), "old layer".to_owned()),
        (layout::layer_link(&name, &layer), layer.to_string()),
        (layout::blob_data(&digest), body.clone()),
        (layout::revision_link(&name, &digest), digest.to_string()),
        (layout::tag_current(&name, &"1".parse().unwrap()), digest.to_string()),
    ] {
        driver.put(&path, content).await.unwrap();
    }
    let out = Fixture::default();
    let report = run(&image_of(&registry, "old", "1"), &out.create(None).await.unwrap()).await;
    // Naming a layer twice is usual in schema 1.
    let report = report.unwrap();
    assert_eq!(report.blobs_copied, 1);
    assert_eq!(report.bytes_copied, 9 + body.len() as u64);
    let blobs = out.blobs().await;
    assert_eq!(blobs[&common::blob_path(&digest)], body);
    assert_eq!(&blobs[&common::blob_path(&layer)][..], b"old layer");
    let entries = OciLayout::open(out.shared(), "out").await.unwrap().entries().await.unwrap();
    assert_eq!(entries[0].descriptor.media_type.as_ref(), docker::SCHEMA1_SIGNED);
    assert!(out.to_fresh_registry(None).await.is_err(), "a registry takes no new schema 1");
    out.to_fresh_layout(None).await.unwrap();
}

#[tokio::test]
async fn blobs_travel_side_by_side_and_the_config_after_them() {
    let fixture = Fixture::new().await;
    let root = fixture.image("app", &["1", "2", "3", "4", "5", "6"]).await;
    fixture.entries(&[("", &root)]).await;
    let events = Mutex::new(Vec::new());
    let observer = |event: CopyEvent<'_>| {
        let line = match event {
            CopyEvent::BlobStarted(blob) => format!("start {}", blob.size),
            CopyEvent::BlobEnded(blob, BlobOutcome::Copied) => format!("end {}", blob.size),
            CopyEvent::Stored(_) => "stored".to_owned(),
            _ => return,
        };
        events.lock().unwrap().push(line);
    };
    let registry = Registry::builder(MemoryDriver::new()).build();
    let source = fixture.open(None).await.unwrap();
    let options = CopyOptions::default().with_concurrency(2);
    copy(&source, &image_of(&registry, "a", "1"), &options, &observer).await.unwrap();
    let events = events.into_inner().unwrap();
    let config = "config of app".len();
    assert_eq!(
        events[events.len() - 3..],
        [format!("start {config}"), format!("end {config}"), "stored".into()]
    );
    let mut under_way = 0_i32;
    for event in &events {
        under_way += i32::from(event.starts_with("start")) - i32::from(event.starts_with("end"));
        assert!(under_way <= 2);
    }
}

/// So an observer that knows the total can follow a copy to its end.
#[tokio::test]
async fn content_that_is_there_is_reported() {
    let fixture = Fixture::new().await;
    let root = fixture.image("app", &["1", "2"]).await;
    fixture.entries(&[("", &root)]).await;
    let registry = Registry::builder(MemoryDriver::new()).build();
    let source = fixture.open(None).await.unwrap();
    for (tag, blobs) in [("1", 0), ("2", 3)] {
        let present = Mutex::new(0);
        let observer = |event: CopyEvent<'_>| {
            if matches!(event, CopyEvent::Present(_)) {
                *present.lock().unwrap() += 1;
            }
        };
        let target = image_of(&registry, "a", tag);
        let report = copy(&source, &target, &CopyOptions::default(), &observer).await.unwrap();
        assert_eq!((present.into_inner().unwrap(), report.blobs_present), (blobs, blobs));
    }
}
