//! end-7, end-3: how the keys and the empty values of a manifest are read.
//!
//! Measured with Go's `encoding/json`, which distribution and nearly all clients use (ADR 0021).

use bytes::Bytes;
use plugin_registry::{
    Registry,
    verify::{VerifyReport, VerifyScope},
};
use serde_json::{Value, json};

use super::{
    Lab,
    fixture::{CONFIG, IMAGE, Image, LAYER, descriptor, digest},
    old_store::store,
};

async fn verify(lab: &Lab) -> VerifyReport {
    let registry = Registry::builder(lab.shared()).read_only(true).build();
    registry.verify(VerifyScope::All, |_| ()).await.unwrap()
}

/// The text of a manifest with one key written differently, or with an additional first entry.
fn text(image: &Image, change: impl FnOnce(String) -> String) -> Bytes {
    change(String::from_utf8(image.manifest.to_vec()).unwrap()).into()
}

/// Two keys that differ only in case are 400, and so is a key that differs from a field's name only in case.
///
/// This holds anywhere in the document. The keys of annotations are content, and may be similar.
pub async fn end_7a_keys_that_differ_in_case_are_400(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let before = lab.tree().await;
    let absent = descriptor(LAYER, b"absent").to_string();
    for extra in [
        format!("\"Layers\":[{absent}],"),
        "\"LAYERS\":null,".to_owned(),
        // Go treats these as a `k` and an `s`.
        format!("\"layer\u{17f}\":[{absent}],"),
        format!("\"layer\\u017f\":[{absent}],"),
        "\"x\":1,\"X\":2,".to_owned(),
        "\"x\":{\"y\":1,\"Y\":2},".to_owned(),
        format!("\"Config\":{absent},"),
        format!("\"MediaType\":\"{IMAGE}\","),
        "\"Annotations\":{},".to_owned(),
        format!("\"Subject\":{absent},"),
        "\"ArtifactType\":\"a/b\",".to_owned(),
        "\"Manifests\":[],".to_owned(),
    ] {
        let bytes = text(&image, |text| text.replacen('{', &format!("{{{extra}"), 1));
        client.put_manifest("a", "bad", IMAGE, &bytes).await.refused(400, "MANIFEST_INVALID");
    }
    for key in ["layers", "config", "mediaType", "schemaVersion", "digest", "size"] {
        let (first, rest) = key.split_at(1);
        for odd in [key.to_uppercase(), format!("{}{rest}", first.to_uppercase())] {
            for count in [1, usize::MAX] {
                let bytes =
                    text(&image, |text| text.replacen(&format!("\"{key}\""), &format!("\"{odd}\""), count));
                client.put_manifest("a", "bad", IMAGE, &bytes).await.refused(400, "MANIFEST_INVALID");
            }
        }
    }
    for (key, value) in [
        ("Digest", json!(digest(b"absent"))),
        ("Size", json!(1)),
        ("URLs", json!([])),
        ("Platform", json!({})),
        ("platform", json!({"os": "linux", "OS": "windows"})),
        ("platform", json!({"Architecture": "amd64"})),
        ("Data", json!("e30=")),
    ] {
        let odd = Image::with(1, |manifest| manifest["layers"][0][key] = value.clone());
        client.put_manifest("a", "bad", IMAGE, &odd.manifest).await.refused(400, "MANIFEST_INVALID");
    }
    lab.tree().await.assert_is(&before);
    let labels = json!({"org.example.Name": "a", "org.example.name": "b", "Layers": "c"});
    let good = Image::with(1, |manifest| {
        manifest["annotations"] = labels.clone();
        manifest["layers"][0]["annotations"] = labels;
        // No reader takes this for the name of a field.
        manifest["med\u{131}aType"] = "x".into();
    });
    let _ = client.put_manifest("a", "good", IMAGE, &good.manifest).await.expect(201);
}

/// From an old store, such a manifest is served verbatim, and its content is what Go reads.
pub async fn old_keys_are_read_as_go_reads_them(lab: &Lab) {
    let client = lab.client();
    let image = Image::new(1);
    client.push_image("old", "good", &image).await;
    let absent = descriptor(LAYER, b"absent").to_string();
    let first = |extra: String| text(&image, |text| text.replacen('{', &format!("{{{extra}"), 1));
    let last = |extra: String| {
        text(&image, |text| format!("{},{extra}}}", text.trim_end().strip_suffix('}').unwrap()))
    };
    let lone = |key: &str, odd: &str| text(&image, |text| text.replace(key, odd));
    for (is_whole, manifest) in [
        (true, lone("\"layers\"", "\"Layers\"")),
        (true, lone("\"digest\"", "\"DIGEST\"")),
        (true, lone("\"digest\"", "\"dige\u{17f}t\"")),
        (true, lone("\"size\"", "\"Size\"")),
        (true, lone("\"config\"", "\"CONFIG\"")),
        // The last one counts.
        (true, first(format!("\"Layers\":[{absent}]") + ",")),
        (false, last(format!("\"Layers\":[{absent}]"))),
        (false, last(format!("\"layer\u{17f}\":[{absent}]"))),
        (true, last("\"Layers\":[]".to_owned())),
        (true, last("\"Layers\":null".to_owned())),
        // On top of what was read before.
        (true, last(format!("\"Config\":{{\"mediaType\":\"{CONFIG}\"}}"))),
        (false, last(format!("\"Config\":{{\"digest\":\"{}\"}}", digest(b"absent")))),
        (false, last(format!("\"Layers\":[{{\"digest\":\"{}\"}}]", digest(b"absent")))),
        (true, last("\"Layers\":[{\"mediaType\":\"a/b\"}]".to_owned())),
        (true, last("\"Config\":null".to_owned())),
    ] {
        store(lab, "old", "odd", &manifest).await;
        let pulled = client.get("/v2/old/manifests/odd").send().await.expect(200);
        assert_eq!((pulled.body(), pulled.header("content-type")), (&manifest, IMAGE));
        let report = verify(lab).await;
        let shown = String::from_utf8_lossy(&manifest);
        assert_eq!(report.is_sound(), is_whole, "{shown}: {report:?}");
        assert!(!report.notes.is_empty(), "{shown}");
        client.put_manifest("new", "odd", IMAGE, &manifest).await.refused(400, "MANIFEST_INVALID");
        let _ = client.delete(format!("/v2/old/manifests/{}", digest(&manifest))).send().await.expect(202);
    }
}

/// `null` is an empty value, as in distribution. It is refused where a value is required.
pub async fn end_7a_null_is_an_empty_value(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let set = |pointer: &'static str, value: Value| {
        move |manifest: &mut Value| {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let parent = manifest.pointer_mut(parent).unwrap();
            parent.as_object_mut().unwrap().insert(key.to_owned(), value);
        }
    };
    for pointer in [
        "/mediaType",
        "/layers",
        "/annotations",
        "/subject",
        "/artifactType",
        "/manifests",
        "/fsLayers",
        "/config/mediaType",
        "/config/urls",
        "/config/annotations",
        "/config/platform",
        "/config/data",
        "/layers/0/mediaType",
        "/layers/0/urls",
        "/layers/0/platform",
    ] {
        let odd = Image::with(1, set(pointer, Value::Null));
        let _ = client.put_manifest("a", "null", IMAGE, &odd.manifest).await.expect(201);
        let pulled = client.get("/v2/a/manifests/null").send().await.expect(200);
        assert_eq!((pulled.body(), pulled.header("content-type")), (&odd.manifest, IMAGE), "{pointer}");
    }
    for (pointer, value) in [
        ("/annotations", json!({"a": null})),
        ("/layers/0/platform", json!({"os": null, "architecture": null, "variant": null})),
        ("/layers/0/urls", json!([null])),
    ] {
        let odd = Image::with(1, set(pointer, value));
        let _ = client.put_manifest("a", "null", IMAGE, &odd.manifest).await.expect(201);
    }
    for pointer in ["/schemaVersion", "/config", "/config/digest", "/config/size", "/layers/1/digest"] {
        let odd = Image::with(1, set(pointer, Value::Null));
        client.put_manifest("a", "bad", IMAGE, &odd.manifest).await.refused(400, "MANIFEST_INVALID");
    }
    let odd = Image::with(1, |manifest| manifest["layers"][0] = Value::Null);
    client.put_manifest("a", "bad", IMAGE, &odd.manifest).await.refused(400, "MANIFEST_INVALID");
}

/// A `null` in an old manifest hides none of its content.
pub async fn old_nulls_hide_nothing(lab: &Lab) {
    let client = lab.client();
    let image = Image::new(1);
    let odd = Image::with(1, |manifest| {
        for pointer in ["/config", "/layers/0", "/layers/1"] {
            let entry = manifest.pointer_mut(pointer).unwrap();
            for key in ["mediaType", "urls", "platform", "annotations"] {
                entry[key] = Value::Null;
            }
        }
        for key in ["subject", "annotations", "artifactType", "manifests"] {
            manifest[key] = Value::Null;
        }
    });
    for blob in &image.blobs {
        client.push("old", blob).await;
    }
    store(lab, "old", "odd", &odd.manifest).await;
    assert_eq!(client.get("/v2/old/manifests/odd").send().await.expect(200).body(), &odd.manifest);
    assert!(verify(lab).await.is_clean(), "{:?}", verify(lab).await);
    for blob in &image.blobs {
        let _ = client.delete(format!("/v2/old/blobs/{}", digest(blob))).send().await.expect(202);
        let report = verify(lab).await;
        assert_eq!(report.findings.len(), 1, "{report:?}");
        client.push("old", blob).await;
    }
}
