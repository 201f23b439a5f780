//! One answer about wholeness: why a push is refused, what an old store may still hold, and what
//! verification says about it (design, decision 24; ADR 0021).

use bytes::Bytes;
use plugin_registry::{
    Registry,
    verify::{NoteKind, VerifyReport, VerifyScope},
};
use serde_json::{Value, json};

use super::{
    Client, Lab,
    fixture::{CONFIG, IMAGE, INDEX, Image, LAYER, content, descriptor, digest, document, index},
    old_store::store,
};

const ROOT: &str = "/docker/registry/v2";
const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";

async fn verify(lab: &Lab) -> VerifyReport {
    // A registry that remembers nothing.
    let registry = Registry::builder(lab.shared()).read_only(true).build();
    registry.verify(VerifyScope::All, |_| ()).await.unwrap()
}

fn data(content: &[u8]) -> String {
    let digest = digest(content);
    let hex = digest.strip_prefix("sha256:").unwrap();
    format!("{ROOT}/blobs/sha256/{}/{hex}/data", &hex[..2])
}

fn layer_link(name: &str, content: &[u8]) -> String {
    format!("{ROOT}/repositories/{name}/_layers/{}/link", digest(content).replace(':', "/"))
}

/// Values that old software wrote instead of a size. In the last one the size is missing.
fn odd_sizes() -> [Option<Value>; 4] {
    [Some(json!(0)), Some(json!(-1)), Some(Value::Null), None]
}

fn set_size(descriptor: &mut Value, size: Option<Value>) {
    match size {
        Some(size) => descriptor["size"] = size,
        None => drop(descriptor.as_object_mut().unwrap().remove("size")),
    }
}

/// An index that states a wrong size for a child is refused, whatever the size. Nothing is stored.
pub async fn end_7a_child_of_another_size_is_400(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let before = lab.tree().await;
    let size = image.manifest.len();
    for size in odd_sizes().into_iter().chain([Some(json!(size + 3)), Some(json!(size - 1))]) {
        let mut child = image.descriptor();
        set_size(&mut child, size);
        for client in [&client, &lab.another().await] {
            let answer = client.put_manifest("a", "index", INDEX, &index(std::slice::from_ref(&child))).await;
            answer.refused(400, "MANIFEST_INVALID");
        }
    }
    lab.tree().await.assert_is(&before);
}

/// The same holds for a config and a layer. Only the empty blob has no bytes.
pub async fn end_7a_blob_without_a_size_is_400(lab: &Lab) {
    let client = lab.client();
    client.push_image("a", "latest", &Image::new(1)).await;
    client.push("a", &Bytes::new()).await;
    let before = lab.tree().await;
    for size in odd_sizes() {
        let config = Image::with(1, |manifest| set_size(&mut manifest["config"], size.clone()));
        let layer = Image::with(1, |manifest| set_size(&mut manifest["layers"][1], size.clone()));
        for image in [config, layer] {
            client.put_manifest("a", "odd", IMAGE, &image.manifest).await.refused(400, "MANIFEST_INVALID");
        }
    }
    lab.tree().await.assert_is(&before);
    let empty = Image::with(1, |manifest| manifest["layers"][0] = descriptor(LAYER, b""));
    let _ = client.put_manifest("a", "empty", IMAGE, &empty.manifest).await.expect(201);
}

/// Such manifests as docker-registry 2.8.2 accepted them: images and indexes.
async fn old(lab: &Lab, client: &Client) -> Vec<(&'static str, Bytes)> {
    let image = Image::new(1);
    client.push_image("old", "good", &image).await;
    let mut all = Vec::new();
    for (size, tag) in odd_sizes().into_iter().zip(["zero", "negative", "null", "none"]) {
        let odd = Image::with(1, |manifest| {
            set_size(&mut manifest["config"], size.clone());
            set_size(&mut manifest["layers"][0], size.clone());
        });
        all.push((IMAGE, tag, odd.manifest));
    }
    for (size, tag) in odd_sizes().into_iter().chain([Some(json!(7))]).zip(["i0", "i1", "i2", "i3", "i7"]) {
        let mut child = image.descriptor();
        set_size(&mut child, size);
        all.push((INDEX, tag, index(&[child])));
    }
    for (_, tag, manifest) in &all {
        store(lab, "old", tag, manifest).await;
    }
    all.into_iter().map(|(media_type, _, manifest)| (media_type, manifest)).collect()
}

/// Manifests that can still be pulled, but no longer be pushed, are sound and noted.
///
/// It is schema 1, an index of the form of an image, or an unknown media type.
pub async fn kinds_that_no_registry_takes_are_noted(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("old", "good", &image).await;
    let schema1 = json!({
        "schemaVersion": 1, "name": "old", "tag": "one", "architecture": "amd64",
        "fsLayers": [{"blobSum": digest(&image.blobs[1])}], "history": [{"v1Compatibility": "{}"}],
    });
    let typed =
        |media_type: &str| Image::with(1, |manifest| manifest["mediaType"] = json!(media_type)).manifest;
    let all = [document(&schema1), typed(INDEX), typed("application/vnd.example.thing.v7+json")];
    for (manifest, tag) in all.iter().zip(["one", "form", "type"]) {
        store(lab, "old", tag, manifest).await;
    }
    let report = verify(lab).await;
    assert!(report.is_sound(), "{report:?}");
    for manifest in &all {
        let hex = digest(manifest)["sha256:".len()..].to_owned();
        let noted =
            report.notes.iter().filter(|note| note.kind == NoteKind::Flaw && note.path.contains(&hex));
        let texts: Vec<_> = noted.map(|note| note.text.as_str()).collect();
        assert!(texts.iter().any(|text| text.contains("registries of today")), "{texts:?} of {report:?}");
    }
}

/// An old store's manifests with wrong sizes are served, and are sound with a note each.
///
/// They can be tagged again in their own repository. Any other repository refuses them.
pub async fn old_sizes_are_read_and_noted(lab: &Lab) {
    let client = lab.client();
    let manifests = old(lab, &client).await;
    let report = verify(lab).await;
    assert!(report.is_sound() && !report.is_clean(), "{report:?}");
    let image = Image::new(1);
    client.push_image("new", "good", &image).await;
    for (media_type, manifest) in &manifests {
        let path = format!("/v2/old/manifests/{}", digest(manifest));
        assert_eq!(client.get(&path).send().await.expect(200).body(), manifest);
        let noted = report.notes.iter().filter(|note| {
            note.kind == NoteKind::Flaw && note.path.as_str().contains(&digest(manifest)["sha256:".len()..])
        });
        assert_ne!(noted.count(), 0, "{report:?}");
        let _ = client.put_manifest("old", "again", media_type, manifest).await.expect(201);
        client.put_manifest("new", "again", media_type, manifest).await.refused(400, "MANIFEST_INVALID");
    }
    // A doubtful size does not excuse bytes that are cut.
    let cut = &image.blobs[1];
    lab.write(&data(cut), cut.slice(1..)).await;
    for (_, manifest) in manifests.iter().filter(|(media_type, _)| *media_type == IMAGE) {
        let answer = lab.another().await.put_manifest("old", "cut", IMAGE, manifest).await;
        answer.refused(400, "MANIFEST_INVALID");
    }
    assert!(!verify(lab).await.is_sound());
}

/// A blob of another size than an old manifest states is damage, as for a push.
pub async fn old_blob_of_another_size_is_damage(lab: &Lab) {
    let client = lab.client();
    client.push_image("old", "good", &Image::new(1)).await;
    for (size, tag) in [(699, "less"), (701, "more")] {
        let wrong = Image::with(1, |manifest| manifest["layers"][0]["size"] = size.into());
        store(lab, "old", tag, &wrong.manifest).await;
        assert!(!verify(lab).await.is_sound(), "{size}");
        client.put_manifest("old", "again", IMAGE, &wrong.manifest).await.refused(400, "MANIFEST_INVALID");
        let _ = client.delete(format!("/v2/old/manifests/{}", wrong.digest())).send().await.expect(202);
    }
}

/// A manifest whose parts cannot be determined is not called sound.
pub async fn old_manifests_of_unknown_form_are_not_sound(lab: &Lab) {
    let image = Image::new(1);
    for (case, manifest) in [
        document(&json!({"schemaVersion": 2, "mediaType": "application/x", "x": 1})),
        Image::with(1, |manifest| manifest["layers"][0]["digest"] = "blake3:00".into()).manifest,
        Image::with(1, |manifest| manifest["layers"] = json!({})).manifest,
        Image::with(1, |manifest| manifest["manifests"] = json!([])).manifest,
        Bytes::from_static(b"no JSON"),
    ]
    .into_iter()
    .enumerate()
    {
        lab.client().push_image("old", "good", &image).await;
        assert!(verify(lab).await.is_sound());
        store(lab, "old", "odd", &manifest).await;
        let report = verify(lab).await;
        assert_eq!(report.findings.len(), 1, "{case}: {report:?}");
        assert!(
            report.findings.iter().all(|finding| finding.image.is_none()),
            "no copy mends it: {report:?}"
        );
        lab.clear().await;
    }
}

/// No entry hides another of the same digest: what one entry needs is needed, and every size counts.
pub async fn end_7a_no_entry_hides_another(lab: &Lab) {
    let client = lab.client();
    for blob in &Image::new(1).blobs {
        client.push("a", blob).await;
    }
    let before = lab.tree().await;
    let mut away = descriptor(FOREIGN, b"elsewhere");
    away["urls"] = json!(["https://example.invalid/layer"]);
    let here = descriptor(LAYER, b"elsewhere");
    let with = |layers: &[&Value]| {
        let layers: Vec<Value> = layers.iter().map(|layer| (*layer).clone()).collect();
        Image::with(1, |manifest| manifest["layers"].as_array_mut().unwrap().extend(layers)).manifest
    };
    for layers in [[&away, &here], [&here, &away]] {
        client.put_manifest("a", "t", IMAGE, &with(&layers)).await.refused(400, "MANIFEST_BLOB_UNKNOWN");
    }
    let named_by_config = Image::with(1, |manifest| {
        manifest["layers"].as_array_mut().unwrap().insert(0, away.clone());
        manifest["config"] = descriptor(CONFIG, b"elsewhere");
    });
    let answer = client.put_manifest("a", "t", IMAGE, &named_by_config.manifest).await;
    answer.refused(400, "MANIFEST_BLOB_UNKNOWN");
    lab.tree().await.assert_is(&before);
    let _ = client.put_manifest("a", "away", IMAGE, &with(&[&away, &away])).await.expect(201);
    client.push("a", &"elsewhere".into()).await;
    let _ = client.put_manifest("a", "t", IMAGE, &with(&[&away, &here, &away])).await.expect(201);
    for size in odd_sizes().into_iter().chain([Some(json!(8)), Some(json!(10))]) {
        let mut other = here.clone();
        set_size(&mut other, size);
        for layers in [[&here, &other], [&other, &here], [&away, &other]] {
            let bytes = with(&layers);
            client.put_manifest("a", "sizes", IMAGE, &bytes).await.refused(400, "MANIFEST_INVALID");
        }
    }
    let image = Image::new(1);
    client.push_image("b", "t", &image).await;
    let mut wrong = image.descriptor();
    wrong["size"] = json!(7);
    let twice = index(&[image.descriptor(), wrong]);
    client.put_manifest("b", "sizes", INDEX, &twice).await.refused(400, "MANIFEST_INVALID");
    let twice = index(&[image.descriptor(), image.descriptor()]);
    let _ = client.put_manifest("b", "twice", INDEX, &twice).await.expect(201);
    for name in ["a", "b"] {
        let path = format!("/v2/{name}/manifests/sizes");
        client.get(path).send().await.refused(404, "MANIFEST_UNKNOWN");
    }
}

/// A garbage collection of distribution 2.8 leaves the layer links of what it swept.
///
/// That is not damage but one note per repository, and a push heals it. If a manifest needs the blob, it is
/// damage.
pub async fn verify_of_a_collected_store(lab: &Lab) {
    let client = lab.client();
    let image = Image::new(1);
    client.push_image("a", "latest", &image).await;
    let swept = [content(7, 100), content(8, 200)];
    for blob in &swept {
        client.push("a", blob).await;
        client.push("b", blob).await;
        lab.remove(&data(blob)).await;
    }
    let report = verify(lab).await;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.dangling_links, 4, "{report:?}");
    assert_eq!(report.notes.len(), 2, "one a repository: {report:?}");
    assert!(report.notes.iter().all(|note| note.kind == NoteKind::DanglingLinks), "{report:?}");
    let unaware = lab.another().await;
    for blob in &swept {
        for name in ["a", "b"] {
            let head = unaware.head(format!("/v2/{name}/blobs/{}", digest(blob))).send().await;
            assert_eq!(head.status(), 404);
        }
        unaware.push("a", blob).await;
    }
    let report = verify(lab).await;
    assert!(report.is_clean(), "{report:?}");
    // One repository needs the blob and another does not: it is damage where it is needed.
    client.push("b", &image.blobs[1]).await;
    lab.remove(&data(&image.blobs[1])).await;
    let report = verify(lab).await;
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert_eq!(report.findings[0].repository.as_str(), "a");
    assert_eq!(report.findings[0].path.as_str(), data(&image.blobs[1]));
    let image = report.findings[0].image.as_ref().map(ToString::to_string);
    assert!(image.is_some_and(|image| image.starts_with("a:")), "{report:?}");
    assert_eq!(report.dangling_links, 1, "{report:?}");
}

/// Files of other software among ours are notes that name the exact file. They do not affect anything else.
pub async fn verify_names_foreign_files(lab: &Lab) {
    let client = lab.client();
    let image = Image::new(1);
    client.push_image("a", "latest", &image).await;
    assert!(verify(lab).await.is_clean());
    let base = format!("{ROOT}/repositories/a");
    let hex = image.digest().replace("sha256:", "");
    let mut expected = vec![
        format!("{base}/.DS_Store"),
        format!("{base}/_layers/.DS_Store"),
        format!("{base}/_layers/sha256/Thumbs.db"),
        format!("{}.nfs0000000000a1", layer_link("a", &image.blobs[1]).replace("/link", "/")),
        format!("{base}/_manifests/.nfs0000000000a2"),
        format!("{base}/_manifests/tags/Thumbs.db"),
        format!("{base}/_manifests/tags/latest/.DS_Store"),
        format!("{base}/_manifests/revisions/sha256/.DS_Store"),
        format!("{base}/_manifests/revisions/sha256/{hex}/.DS_Store"),
    ];
    for path in &expected {
        lab.write(path, "x").await;
    }
    // A snapshot holds everything once more. It is named, but not what is in it.
    for file in ["hourly.0/link", "hourly.1/link"] {
        lab.write(&format!("{base}/_layers/sha256/.snapshot/{file}"), "x").await;
    }
    expected.push(format!("{base}/_layers/sha256/.snapshot"));
    lab.write(&format!("{base}/_uploads/.DS_Store"), "x").await;
    let before = lab.tree().await;
    let report = verify(lab).await;
    assert!(report.is_sound(), "{report:?}");
    assert!(report.notes.iter().all(|note| note.kind == NoteKind::ForeignName), "{report:?}");
    let mut named: Vec<String> = report.notes.iter().map(|note| note.path.to_string()).collect();
    named.sort();
    expected.sort();
    assert_eq!(named, expected);

    assert_eq!(client.get("/v2/_catalog").send().await.json(), json!({"repositories": ["a"]}));
    assert_eq!(client.get("/v2/a/tags/list").send().await.json()["tags"], json!(["latest"]));
    let referrers = client.get(format!("/v2/a/referrers/{}", image.digest())).send().await.expect(200);
    assert_eq!(referrers.json()["manifests"], json!([]));
    let purge = lab.registry().purge_uploads(std::time::Duration::ZERO, true).await.unwrap();
    let unknown: Vec<String> = purge.unknown.iter().map(ToString::to_string).collect();
    assert_eq!(unknown, [format!("{base}/_uploads/.DS_Store")]);
    lab.tree().await.assert_is(&before);
    let _ = client.put_manifest("a", "again", IMAGE, &image.manifest).await.expect(201);
    let _ = client.delete(format!("/v2/a/manifests/{}", image.digest())).send().await.expect(202);
    assert_eq!(client.get("/v2/a/tags/list").send().await.json()["tags"], json!([]));
    let left = lab.tree().await;
    for path in &expected {
        let is_there = left.paths().any(|left| left.starts_with(path.as_str()));
        // Files in a tag's directory are deleted with the tag.
        assert!(is_there || path.contains("/tags/latest/"), "{path} is gone");
    }
}
