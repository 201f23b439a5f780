//! Layouts that lie, and what they get: a typed error, no tag, no index, nothing outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use std::{fs, os::unix::fs::symlink, sync::Arc};

use common::{CONFIG, Fixture, IMAGE, INDEX, LAYER, blob_path, digest_of, image, image_of, index, run};
use plugin_registry::Registry;
use plugin_registry_copy::{CopyError, CopyOptions, ImageReference, LayoutImage, OciLayout, copy};
use plugin_registry_core::{Digest, Operation};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;
use serde_json::{Value, json};

/// Both destinations refuse it as damaged.
async fn is_damaged(fixture: &Fixture, why: &str) {
    for error in [
        fixture.to_fresh_registry(None).await.expect_err(why),
        fixture.to_fresh_layout(None).await.expect_err(why),
    ] {
        assert!(error.is_damaged() && !error.is_not_found(), "{why}: {error}");
    }
}

async fn is_refused(fixture: &Fixture, why: &str) {
    assert!(fixture.to_fresh_registry(None).await.is_err(), "{why}");
    assert!(fixture.to_fresh_layout(None).await.is_err(), "{why}");
}

#[tokio::test]
async fn digests_never_become_paths() {
    for digest in ["sha256:../../../../etc/passwd", "../x", "sha256:", "md5:00", "sha256:..", "/etc/passwd"] {
        let fixture = Fixture::new().await;
        let entry = json!({ "mediaType": IMAGE, "digest": digest, "size": 5 });
        fixture.entries(&[("", &entry)]).await;
        is_damaged(&fixture, digest).await;

        let fixture = Fixture::new().await;
        let config = fixture.blob(CONFIG, "{}").await;
        let root = fixture.document(&image(&config, std::slice::from_ref(&entry))).await;
        fixture.entries(&[("", &root)]).await;
        is_refused(&fixture, digest).await;

        let fixture = Fixture::new().await;
        let root = fixture.document(&index(&[entry])).await;
        fixture.entries(&[("", &root)]).await;
        is_refused(&fixture, digest).await;
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let fixture = Fixture::new().await;
    let root = fixture.image("app", &["layer"]).await;
    fixture.entries(&[("", &root)]).await;
    fixture.remove(&root).await;
    is_damaged(&fixture, "the manifest").await;
    let fixture = Fixture::new().await;
    let root = fixture.image("app", &["layer"]).await;
    fixture.entries(&[("", &root)]).await;
    fixture.remove(&json!({ "digest": Digest::sha256(b"layer").to_string() })).await;
    is_damaged(&fixture, "a layer").await;
    let error = fixture.to_fresh_layout(None).await.unwrap_err().to_string();
    assert!(error.contains(&Digest::sha256(b"layer").to_string()), "{error}");
}

#[tokio::test]
async fn content_of_another_size_or_digest_is_damage() {
    for content in ["laye", "layer and more", "LAYER", ""] {
        let fixture = Fixture::new().await;
        let root = fixture.image("app", &["layer"]).await;
        fixture.entries(&[("", &root)]).await;
        fixture.file(&blob_path(&Digest::sha256(b"layer")), content).await;
        is_damaged(&fixture, content).await;
    }
    for (change, why) in [(1, "one byte more"), (-1, "one byte less")] {
        let fixture = Fixture::new().await;
        let mut root = fixture.image("app", &["layer"]).await;
        root["size"] = json!(root["size"].as_i64().unwrap() + change);
        fixture.entries(&[("", &root)]).await;
        is_damaged(&fixture, why).await;
    }
    let fixture = Fixture::new().await;
    let root = fixture.image("app", &["layer"]).await;
    fixture.entries(&[("", &root)]).await;
    fixture.file(&blob_path(&digest_of(&root)), "x".repeat(root["size"].as_u64().unwrap() as usize)).await;
    is_damaged(&fixture, "other bytes of the same size").await;
}

#[tokio::test]
async fn sizes_beyond_everything_cost_nothing() {
    for size in [json!(u64::MAX), json!(1_u64 << 62), json!(10_000_000_000_u64)] {
        let fixture = Fixture::new().await;
        let config = fixture.blob(CONFIG, "{}").await;
        let mut layer = fixture.blob(LAYER, "layer").await;
        layer["size"] = size.clone();
        let root = fixture.document(&image(&config, &[layer])).await;
        fixture.entries(&[("", &root)]).await;
        is_damaged(&fixture, &size.to_string()).await;

        let mut root = fixture.image("app", &["layer"]).await;
        root["size"] = size.clone();
        fixture.entries(&[("", &root)]).await;
        is_damaged(&fixture, &size.to_string()).await;
    }
    let fixture = Fixture::new().await;
    let padding = " ".repeat(5 << 20);
    let root = fixture.blob(IMAGE, format!("{{{padding}}}")).await;
    fixture.entries(&[("", &root)]).await;
    is_damaged(&fixture, "a manifest of 5 MiB").await;
    let fixture = Fixture::new().await;
    fixture.file("/index.json", " ".repeat(17 << 20)).await;
    is_refused(&fixture, "an index of 17 MiB").await;
}

#[tokio::test]
async fn documents_whose_content_nobody_can_tell_are_refused() {
    let fixture = Fixture::new().await;
    let config = fixture.blob(CONFIG, "{}").await;
    let child = fixture.image("child", &["layer"]).await;
    for (document, why) in [
        (json!([]), "no object"),
        (json!({}), "no form"),
        (json!({ "schemaVersion": 2, "mediaType": "application/x" }), "an unknown form"),
        (
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [child], "config": config }),
            "an index and an image at once",
        ),
        (
            json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [], "manifests": [child] }),
            "an image and an index at once",
        ),
        (
            json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [{ "digest": "blake3:00", "size": 1 }] }),
            "a layer of an unknown algorithm",
        ),
        (
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [{ "digest": "blake3:00", "size": 1 }] }),
            "a child of an unknown algorithm",
        ),
    ] {
        let root = fixture.blob(IMAGE, serde_json::to_vec(&document).unwrap()).await;
        fixture.entries(&[("", &root)]).await;
        is_refused(&fixture, why).await;
    }
}

#[tokio::test]
async fn indexes_are_nested_sixteen_deep_and_no_deeper() {
    let fixture = Fixture::new().await;
    let mut root = fixture.image("leaf", &["layer"]).await;
    for _ in 0..16 {
        root = fixture.document(&index(&[root])).await;
    }
    fixture.entries(&[("", &root)]).await;
    for result in [fixture.to_fresh_registry(None).await, fixture.to_fresh_layout(None).await] {
        assert_eq!(result.unwrap().manifests, 17);
    }
    root = fixture.document(&index(&[root])).await;
    fixture.entries(&[("", &root)]).await;
    is_refused(&fixture, "the image lies seventeen deep").await;
}

#[tokio::test]
async fn nesting_ends_and_repetition_is_copied_once() {
    let fixture = Fixture::new().await;
    let mut root = fixture.image("leaf", &["layer"]).await;
    for _ in 0..20 {
        root = fixture.document(&index(&[root])).await;
    }
    fixture.entries(&[("", &root)]).await;
    for result in [fixture.to_fresh_registry(None).await, fixture.to_fresh_layout(None).await] {
        assert!(matches!(result, Err(CopyError::Unsupported { .. })));
    }

    // Ten levels of an index that names its child and a sibling of it: 2^10 paths, 11 documents a level.
    let fixture = Fixture::new().await;
    let mut root = fixture.image("leaf", &["layer"]).await;
    for level in 0..10 {
        let mut other = index(&[root.clone()]);
        other["annotations"] = json!({ "level": level.to_string() });
        let other = fixture.document(&other).await;
        root = fixture.document(&index(&[root, other])).await;
    }
    fixture.entries(&[("", &root)]).await;
    let report = fixture.to_fresh_layout(None).await.unwrap();
    assert_eq!((report.manifests, report.blobs_copied), (21, 2));
    let report = fixture.to_fresh_registry(None).await.unwrap();
    assert_eq!((report.manifests, report.blobs_copied), (21, 2));
}

#[tokio::test]
async fn other_directories_are_no_layouts() {
    let empty = MemoryDriver::new();
    for (marker, why) in [
        (None, "no marker"),
        (Some("{}"), "no version"),
        (Some("1.0.0"), "no JSON"),
        (Some(r#"{"imageLayoutVersion":"2.0.0"}"#), "another version"),
    ] {
        let fixture = Fixture { driver: MemoryDriver::new() };
        if let Some(marker) = marker {
            fixture.file("/oci-layout", marker).await;
        }
        let opened = OciLayout::open(fixture.shared(), "x").await;
        assert!(matches!(opened, Err(CopyError::NotALayout { .. })), "{why}");
        if marker.is_some() {
            assert!(OciLayout::create(fixture.shared(), "x").await.is_err(), "{why}");
        }
    }
    let fixture = Fixture { driver: empty };
    fixture.file("/thesis.txt", "years of work").await;
    let created = OciLayout::create(fixture.shared(), "home").await.unwrap_err();
    assert!(created.to_string().contains("thesis.txt"), "{created}");
    assert_eq!(fixture.files().await.len(), 1);

    let fixture = Fixture::new().await;
    let layout = OciLayout::open(fixture.shared(), "x").await.unwrap();
    assert!(matches!(layout.entries().await, Err(CopyError::NotALayout { .. })), "no index.json");
}

#[tokio::test]
async fn an_index_that_cannot_be_read_is_not_written_over() {
    let fixture = Fixture::new().await;
    let root = fixture.image("app", &["layer"]).await;
    fixture.entries(&[("", &root)]).await;
    let target = Fixture::new().await;
    for text in ["{", r#"{"manifests":[{"digest":"blake3:00","size":1}]}"#] {
        target.file("/index.json", text).await;
        let destination = target.create(Some("1")).await.unwrap();
        assert!(run(&fixture.open(None).await.unwrap(), &destination).await.unwrap_err().is_damaged());
        assert_eq!(target.files().await["/index.json"], text);
    }
}

/// The error says what is wrong with an entry, without all of its text.
#[tokio::test]
async fn a_mistake_in_an_index_is_told_in_short() {
    let fixture = Fixture::new().await;
    let text = format!(r#"{{"manifests":[{{"digest":"sha256:x","size":"{}\u001b"}}]}}"#, "A".repeat(1 << 20));
    fixture.file("/index.json", text).await;
    let error = fixture.to_fresh_registry(None).await.unwrap_err();
    let texts: Vec<String> =
        std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect();
    assert!(texts.iter().all(|text| text.len() < 1000 && !text.contains('\u{1b}')), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("`size`")), "{texts:?}");
}

#[tokio::test]
async fn several_images_need_a_name() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.image("1", &["a"]).await, fixture.image("2", &["b"]).await);
    fixture.entries(&[("one", &one), ("two", &two)]).await;
    let error = fixture.to_fresh_registry(None).await.unwrap_err();
    assert!(error.to_string().ends_with("name one of: one, two"), "{error}");
    fixture.to_fresh_registry(Some("two")).await.unwrap();
    assert!(fixture.to_fresh_registry(Some("three")).await.unwrap_err().is_not_found());
    // One image under two names is one image.
    fixture.entries(&[("one", &one), ("uno", &one)]).await;
    fixture.to_fresh_registry(None).await.unwrap();
    fixture.entries(&[("same", &one), ("same", &two)]).await;
    let error = fixture.to_fresh_registry(Some("same")).await.unwrap_err();
    let (first, second) = (digest_of(&one), digest_of(&two));
    assert!(error.to_string().ends_with(&format!("name one of: @{first}, @{second}")), "{error}");
    // What the message says to write is read, and is that image.
    for (descriptor, digest) in [(&one, first), (&two, second)] {
        for text in [format!("oci:x@{digest}"), format!("oci:x:same@{digest}")] {
            let Ok(ImageReference::Layout { image, .. }) = text.parse() else { panic!("{text}") };
            let layout = OciLayout::open(fixture.shared(), "x").await.unwrap();
            assert_eq!(layout.resolve(image.as_ref()).await.unwrap().digest, digest_of(descriptor));
        }
    }
    fixture.entries(&[]).await;
    assert!(fixture.to_fresh_registry(None).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_missing_name_is_told_with_those_that_there_are() {
    let fixture = Fixture::new().await;
    let mut images = Vec::new();
    for number in 0..14 {
        images.push(fixture.image(&number.to_string(), &["a"]).await);
    }
    let message = async |name: &str| {
        let error = fixture.to_fresh_registry(Some(name)).await.unwrap_err();
        assert!(error.is_not_found(), "{error}");
        error.to_string()
    };
    fixture.entries(&[]).await;
    assert_eq!(message("x").await, "oci:fixture has no image named `x`");
    let nasty = "\u{1b}[2J\u{202e}".to_owned() + &"long".repeat(50);
    fixture.entries(&[("1.0", &images[0]), ("", &images[1]), (&nasty, &images[2])]).await;
    let (second, told) = (digest_of(&images[1]), message("x").await);
    let expected = format!(
        "oci:fixture has no image named `x`; there are: 1.0, @{second}, \\u{{1b}}[2J\\u{{202e}}longlong"
    );
    assert!(told.starts_with(&expected) && told.ends_with('…') && told.len() < 250, "{told}");
    // Tools that export several images give each its short name, and its whole one beside it.
    let mut named = [images[0].clone(), images[1].clone()];
    for (image, repository) in named.iter_mut().zip(["app", "db"]) {
        image["annotations"] = json!({
            "org.opencontainers.image.ref.name": "1.0",
            "io.containerd.image.name": format!("docker.io/library/{repository}:1.0"),
        });
    }
    fixture.file("/index.json", index(&named).to_string()).await;
    let error = fixture.to_fresh_registry(Some("1.0")).await.unwrap_err();
    let [first, second] = [0, 1].map(|number| digest_of(&images[number]));
    let expected = format!("@{first} (docker.io/library/app:1.0), @{second} (docker.io/library/db:1.0)");
    assert!(error.to_string().ends_with(&expected), "{error}");
    // More than ten are counted.
    let names: Vec<String> = (0..14).map(|number| format!("n{number}")).collect();
    let entries: Vec<_> = names.iter().map(String::as_str).zip(&images).collect();
    fixture.entries(&entries).await;
    for told in [message("x").await, fixture.to_fresh_registry(None).await.unwrap_err().to_string()] {
        assert!(told.ends_with("n8, n9, 4 others"), "{told}");
    }
}

type Replace<'a> = Box<dyn Fn(&std::path::Path) + 'a>;

/// A layout on disk whose layer is replaced by a link.
async fn on_disk(replace: impl Fn(&std::path::Path)) -> (tempfile::TempDir, LayoutImage) {
    let fixture = Fixture::new().await;
    let root: Value = fixture.image("app", &["layer"]).await;
    fixture.entries(&[("", &root)]).await;
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("layout");
    for (path, content) in fixture.files().await {
        let path = layout.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::write(directory.path().join("secret"), "layer").unwrap();
    replace(&layout);
    let driver = FsDriver::open(FsConfig::new(&layout).with_create_root(false)).await.unwrap();
    let layout = OciLayout::open(Arc::new(driver), layout.display()).await.unwrap();
    (directory, LayoutImage::new(layout, None))
}

#[tokio::test]
async fn links_out_of_the_layout_are_not_followed() {
    let layer = blob_path(&Digest::sha256(b"layer"));
    let cases: [(&str, Replace<'_>); 4] = [
        (
            "an absolute link",
            Box::new(|layout: &std::path::Path| {
                let blob = layout.join(layer.trim_start_matches('/'));
                fs::remove_file(&blob).unwrap();
                symlink(layout.parent().unwrap().join("secret"), blob).unwrap();
            }),
        ),
        (
            "a relative link",
            Box::new(|layout| {
                let blob = layout.join(layer.trim_start_matches('/'));
                fs::remove_file(&blob).unwrap();
                symlink("../../../secret", blob).unwrap();
            }),
        ),
        (
            "a directory that leads out",
            Box::new(|layout| {
                let outside = layout.parent().unwrap().join("outside");
                fs::rename(layout.join("blobs"), &outside).unwrap();
                symlink(outside, layout.join("blobs")).unwrap();
            }),
        ),
        (
            "a loop",
            Box::new(|layout| {
                let blob = layout.join(layer.trim_start_matches('/'));
                fs::remove_file(&blob).unwrap();
                symlink(blob.file_name().unwrap(), &blob).unwrap();
            }),
        ),
    ];
    for (why, replace) in cases {
        let (_directory, source) = on_disk(replace).await;
        let registry = Registry::builder(MemoryDriver::new()).build();
        let error = run(&source, &image_of(&registry, "a", "1")).await;
        assert!(error.is_err(), "{why} was followed");
    }
    let (_directory, source) = on_disk(|_| {}).await;
    let registry = Registry::builder(MemoryDriver::new()).build();
    run(&source, &image_of(&registry, "a", "1")).await.unwrap();
}

/// Each entry of a layout may be a manifest that has to be read to know its subject.
#[tokio::test]
async fn of_an_image_that_is_named_again_and_again_one_is_read() {
    let fixture = Fixture::new().await;
    let root = fixture.image("app", &["layer"]).await;
    let mut signature = image(&fixture.blob(CONFIG, "{}").await, &[]);
    signature["subject"] = root.clone();
    let signature = fixture.document(&signature).await;
    let mut entries = vec![("1", &root)];
    entries.extend(std::iter::repeat_n(("", &signature), 5000));
    fixture.entries(&entries).await;
    let layout = OciLayout::open(fixture.shared(), "fixture").await.unwrap();
    let source =
        LayoutImage::new(layout.clone(), Some(plugin_registry_copy::LayoutReference::Name("1".to_owned())));
    let registry = Registry::builder(MemoryDriver::new()).build();
    let before = layout.metrics().snapshot();
    let options = CopyOptions::default().with_referrers(true);
    let report = copy(&source, &common::image_of(&registry, "a", "1"), &options, &()).await.unwrap();
    assert_eq!(report.manifests, 2);
    let read = layout.metrics().snapshot().since(&before).calls(Operation::GetContent);
    assert!(read <= 8, "{read} documents were read");
}

/// The name says that everything is there, signatures too.
#[tokio::test]
async fn with_referrers_the_name_is_set_last() {
    let fixture = Fixture::new().await;
    let root = fixture.image("app", &["layer"]).await;
    let lost = fixture.blob(LAYER, "lost").await;
    let mut signature = image(&fixture.blob(CONFIG, "{}").await, std::slice::from_ref(&lost));
    signature["subject"] = root.clone();
    let signature = fixture.document(&signature).await;
    fixture.entries(&[("1", &root), ("", &signature)]).await;
    let options = CopyOptions::default().with_referrers(true);
    let source = fixture.open(Some("1")).await.unwrap();
    let registry = Registry::builder(MemoryDriver::new()).build();
    let stored = common::image_of(&registry, "a", "1");
    let tag = async || {
        let tags = registry.repository("a".parse().unwrap()).tags();
        tags.resolve(&"1".parse().unwrap()).await.unwrap()
    };
    let out = Fixture::default();
    let entered = async || {
        let entries = OciLayout::open(out.shared(), "out").await.unwrap().entries().await.unwrap_or_default();
        entries.into_iter().filter(|entry| entry.name.is_some()).count()
    };
    fixture.remove(&lost).await;
    assert!(copy(&source, &stored, &options, &()).await.unwrap_err().is_damaged());
    assert_eq!(tag().await, None, "the signature did not come");
    assert!(
        copy(&source, &out.create(Some("1")).await.unwrap(), &options, &()).await.unwrap_err().is_damaged()
    );
    assert_eq!(entered().await, 0, "the signature did not come");
    // Only the entries that were left out are missing.
    fixture.blob(LAYER, "lost").await;
    copy(&source, &stored, &options, &()).await.unwrap();
    assert_eq!(tag().await, Some(digest_of(&root)));
    copy(&source, &out.create(Some("1")).await.unwrap(), &options, &()).await.unwrap();
    assert_eq!(entered().await, 1);
}
