//! end-7: which documents are manifests.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Lab, body,
    fixture::{
        CONFIG, DOCKER_IMAGE, DOCKER_LIST, EMPTY, IMAGE, INDEX, Image, LAYER, content, descriptor, digest,
        document, index,
    },
};

const MIB: usize = 1 << 20;

/// A manifest of 4 MiB is accepted and returned. One byte more is 413, with a length and without.
pub async fn end_7a_4_mib_is_the_limit(lab: &Lab) {
    let client = lab.client();
    let image = Image::new(1);
    client.push_image("a", "small", &image).await;
    let sized = |size: usize| {
        let mut json: Value = serde_json::from_slice(&image.manifest).unwrap();
        json["annotations"] = json!({"org.example.padding": ""});
        let rest = size - document(&json).len();
        json["annotations"]["org.example.padding"] = "x".repeat(rest).into();
        document(&json)
    };
    let largest = sized(4 * MIB);
    assert_eq!(largest.len(), 4 * MIB);
    let _ = client.put_manifest("a", "large", IMAGE, &largest).await.expect(201);
    assert!(client.get("/v2/a/manifests/large").send().await.expect(200).body() == &largest);
    let streamed = client.put("/v2/a/manifests/streamed").header("content-type", IMAGE);
    let _ = streamed.stream(body::pieces(&largest, 70_000)).send().await.expect(201);
    let before = lab.tree().await;
    for larger in [sized(4 * MIB + 1), sized(5 * MIB)] {
        client.put_manifest("a", "larger", IMAGE, &larger).await.refused(413, "MANIFEST_INVALID");
        let call = client.put("/v2/a/manifests/larger").header("content-type", IMAGE);
        call.stream(body::pieces(&larger, 70_000)).send().await.refused(413, "MANIFEST_INVALID");
    }
    lab.tree().await.assert_is(&before);
}

/// A media type that is not one of a manifest is 400 `MANIFEST_INVALID`, schema 1 included.
pub async fn end_7a_unknown_media_type_is_400(lab: &Lab) {
    let (client, image) = (
        lab.client(),
        Image::with(1, |manifest| {
            manifest.as_object_mut().unwrap().remove("mediaType");
        }),
    );
    client.push_image("a", "latest", &image).await;
    let before = lab.tree().await;
    for media_type in [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.oci.image.manifest.v2+json",
        "application/vnd.oci.artifact.manifest.v1+json",
        "application/octet-stream",
        "text/plain",
        CONFIG,
        "\u{2460}",
    ] {
        let answer = client.put_manifest("a", "other", media_type, &image.manifest).await;
        answer.refused(400, "MANIFEST_INVALID");
    }
    let other = Image::with(1, |manifest| manifest["mediaType"] = "text/plain".into());
    for media_type in ["text/plain", IMAGE, ""] {
        client.put_manifest("a", "other", media_type, &other.manifest).await.refused(400, "MANIFEST_INVALID");
    }
    lab.tree().await.assert_is(&before);
}

/// `mediaType` in the body and `Content-Type` must agree. Either may be missing. Parameters of the header
/// are dropped.
pub async fn end_7a_media_types_agree(lab: &Lab) {
    let client = lab.client();
    let (with, without) = (
        Image::new(1),
        Image::with(1, |manifest| {
            manifest.as_object_mut().unwrap().remove("mediaType");
        }),
    );
    let empty = Image::with(1, |manifest| manifest["mediaType"] = "".into());
    client.push_image("a", "latest", &with).await;
    let parameters = format!("{IMAGE}; charset=utf-8");
    for (image, media_type) in [
        (&with, IMAGE),
        (&with, ""),
        (&with, "application/json"),
        (&with, &parameters),
        (&without, IMAGE),
        (&without, ""),
        (&without, "application/json; charset=utf-8"),
        (&empty, IMAGE),
    ] {
        let _ = client.put_manifest("a", "t", media_type, &image.manifest).await.expect(201);
        let pulled = client.get("/v2/a/manifests/t").send().await.expect(200);
        assert_eq!((pulled.header("content-type"), pulled.body()), (IMAGE, &image.manifest));
    }
    let call = client.put("/v2/a/manifests/bare").body(without.manifest.clone());
    let _ = call.send().await.expect(201);
    for media_type in [INDEX, DOCKER_IMAGE, DOCKER_LIST] {
        client.put_manifest("a", "t", media_type, &with.manifest).await.refused(400, "MANIFEST_INVALID");
    }
    // A later reader could not know that these bytes are of a Docker type.
    client.put_manifest("a", "t", DOCKER_IMAGE, &without.manifest).await.refused(400, "MANIFEST_INVALID");
}

/// A document that does not have its type's shape is 400 `MANIFEST_INVALID`. Nothing is stored.
pub async fn end_7a_bad_shape_is_400(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let before = lab.tree().await;
    let image_with = |change: fn(&mut Value)| Image::with(1, change).manifest;
    let child = image.descriptor();
    let config = descriptor(CONFIG, &image.blobs[0]);
    for (media_type, bytes) in [
        (IMAGE, Bytes::new()),
        (IMAGE, "null".into()),
        (IMAGE, "[]".into()),
        (IMAGE, "{}".into()),
        (IMAGE, "x".into()),
        (IMAGE, image.manifest.slice(..image.manifest.len() - 1)),
        (IMAGE, Bytes::from([&image.manifest[..], b"{}"].concat())),
        (IMAGE, Bytes::from([b"\xef\xbb\xbf", &image.manifest[..]].concat())),
        (IMAGE, Bytes::from([&image.manifest[..10], b"\xff", &image.manifest[10..]].concat())),
        (IMAGE, image_with(|m| m["schemaVersion"] = 1.into())),
        (IMAGE, image_with(|m| m["schemaVersion"] = "2".into())),
        (IMAGE, image_with(|m| m["schemaVersion"] = Value::Null)),
        (IMAGE, image_with(|m| m["manifests"] = json!([]))),
        (IMAGE, image_with(|m| m["config"] = Value::Null)),
        (IMAGE, image_with(|m| m["config"] = "x".into())),
        (IMAGE, image_with(|m| m["layers"] = json!({}))),
        (IMAGE, image_with(|m| m["layers"] = json!(["x"]))),
        (IMAGE, image_with(|m| m["layers"][0]["digest"] = "sha256:x".into())),
        (IMAGE, image_with(|m| m["layers"][0]["digest"] = "../../x".into())),
        (IMAGE, image_with(|m| m["layers"][0]["digest"] = Value::Null)),
        (IMAGE, image_with(|m| m["layers"][0]["size"] = (-1).into())),
        (IMAGE, image_with(|m| m["layers"][0]["size"] = "700".into())),
        (IMAGE, image_with(|m| m["subject"] = "x".into())),
        (IMAGE, image_with(|m| m["subject"] = json!({"mediaType": "x", "digest": "md5:x", "size": 1}))),
        (IMAGE, image_with(|m| m["mediaType"] = INDEX.into())),
        (IMAGE, image_with(|m| m["fsLayers"] = json!([{"blobSum": "x"}]))),
        (
            INDEX,
            document(&json!({"schemaVersion": 2, "manifests": [child.clone()], "config": config.clone()})),
        ),
        (INDEX, document(&json!({"schemaVersion": 2, "manifests": [child], "layers": [config]}))),
        (INDEX, document(&json!({"schemaVersion": 2, "manifests": {}}))),
    ] {
        client.put_manifest("a", "bad", media_type, &bytes).await.refused(400, "MANIFEST_INVALID");
    }
    lab.tree().await.assert_is(&before);
}

/// An object with a duplicate key is 400, wherever it is and however the key is written (CVE-2021-41190 is a
/// confusion of types).
pub async fn end_7a_duplicate_keys_are_400(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let text = String::from_utf8(image.manifest.to_vec()).unwrap();
    for extra in [
        format!("\"mediaType\":\"{IMAGE}\","),
        format!("\"mediaTyp\\u0065\":\"{INDEX}\","),
        "\"schemaVersion\":2,".to_owned(),
        "\"layers\":[],".to_owned(),
        "\"x\":1,\"x\":1,".to_owned(),
        "\"x\":{\"y\":[{\"z\":1,\"z\":2}]},".to_owned(),
        "\"\":1,\"\":2,".to_owned(),
    ] {
        let bytes = Bytes::from(text.replacen('{', &format!("{{{extra}"), 1));
        client.put_manifest("a", "bad", IMAGE, &bytes).await.refused(400, "MANIFEST_INVALID");
    }
}

/// Indexes of indexes, and empty ones, are accepted.
pub async fn end_7a_nested_and_empty_indexes(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "image", &image).await;
    let mut inner = index(&[]);
    let _ = client.put_manifest("a", "empty", INDEX, &inner).await.expect(201);
    inner = index(&[image.descriptor(), descriptor(INDEX, &inner)]);
    for depth in 0..10 {
        let outer = index(&[descriptor(INDEX, &inner)]);
        client.put_manifest("a", "outer", INDEX, &outer).await.refused(400, "MANIFEST_BLOB_UNKNOWN");
        let answer = client.put_manifest("a", &format!("depth{depth}"), INDEX, &inner).await.expect(201);
        assert_eq!(answer.header("docker-content-digest"), digest(&inner));
        inner = outer;
    }
    let pulled = client.get("/v2/a/manifests/depth0").send().await.expect(200);
    assert_eq!(pulled.json()["manifests"][0]["digest"], image.digest());
}

/// Unusual images are accepted and kept.
///
/// They have no layers, the empty config, one layer twice, inline data, or their own fields.
pub async fn end_7a_unusual_images_are_accepted(lab: &Lab) {
    let client = lab.client();
    let image = Image::new(1);
    for blob in &image.blobs {
        client.push("a", blob).await;
    }
    client.push("a", &"{}".into()).await;
    client.push("a", &Bytes::new()).await;
    let with = |change: &dyn Fn(&mut Value)| Image::with(1, |manifest| change(manifest)).manifest;
    let empty = descriptor(EMPTY, b"{}");
    for (case, bytes) in [
        with(&|m| m["layers"] = json!([])),
        with(&|m| {
            m["config"] = empty.clone();
            m["layers"] = json!([empty]);
            m["artifactType"] = "application/vnd.example".into();
        }),
        with(&|m| m["layers"] = json!([m["layers"][0], m["layers"][0], m["layers"][1]])),
        with(&|m| m["layers"][0] = descriptor(LAYER, b"")),
        with(&|m| m["config"]["data"] = "e30=".into()),
        with(&|m| m["layers"][0]["annotations"] = json!({"a": "b"})),
        with(&|m| m["annotations"] = json!({"": "", "a": "\u{1F600}\u{0}"})),
        with(&|m| m["org.example.field"] = json!({"deep": [[[{}]]], "number": 1.5e300})),
        with(&|m| m["layers"][0]["mediaType"] = "application/vnd.example+type".into()),
        with(&|m| m["config"]["mediaType"] = "application/vnd.example.config".into()),
    ]
    .into_iter()
    .enumerate()
    {
        let tag = format!("t{case}");
        let _ = client.put_manifest("a", &tag, IMAGE, &bytes).await.expect(201);
        let pulled = client.get(format!("/v2/a/manifests/{tag}")).send().await.expect(200);
        assert_eq!(pulled.body(), &bytes);
    }
}

/// A body that is not as long as announced, or breaks off, is 4xx. Nothing is stored.
pub async fn end_7a_cut_manifest_is_4xx(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    // Only white space is cut off, so that what remains is a manifest, too.
    let padded = Bytes::from([&image.manifest[..], &[b' '; 100]].concat());
    let before = lab.tree().await;
    for (announced, sent) in [(100, 0), (100, 50), (0, 100), (50, 100), (101, 100), (100, 99)] {
        let body = padded.slice(..image.manifest.len() + sent);
        let length = image.manifest.len() + announced;
        let call = client.put("/v2/a/manifests/cut").header("content-type", IMAGE);
        let answer = call.header("content-length", length).stream(body::pieces(&body, 100)).send().await;
        assert!(answer.is_refusal(), "{announced} announced, {sent} sent: {answer}");
    }
    for end in [0, 1, 100, image.manifest.len(), padded.len()] {
        let call = client.put("/v2/a/manifests/cut").header("content-type", IMAGE);
        let answer = call.stream(body::broken(&padded.slice(..end), 100)).send().await;
        assert!(answer.is_refusal(), "{answer}");
    }
    lab.tree().await.assert_is(&before);
}

/// A large image is accepted as it is, if each of its hundreds of layers is there.
pub async fn end_7a_many_layers(lab: &Lab) {
    let client = lab.client();
    let layers: Vec<Bytes> = (0..300).map(|seed| content(seed, 10)).collect();
    for layer in &layers {
        let uri = format!("/v2/a/blobs/uploads/?digest={}", digest(layer));
        let _ = client.post(uri).body(layer.clone()).send().await.expect(201);
    }
    let image = Image::with(1, |manifest| {
        let many = layers.iter().map(|layer| descriptor(LAYER, layer)).collect::<Vec<_>>();
        manifest["layers"] = many.into();
    });
    client.push("a", &image.blobs[0]).await;
    let _ = client.put_manifest("a", "many", IMAGE, &image.manifest).await.expect(201);
    let unaware = lab.another().await;
    let _ = unaware.put_manifest("a", "again", IMAGE, &image.manifest).await.expect(201);
    let absent = Image::with(1, |manifest| {
        let mut many: Vec<Value> = layers.iter().map(|layer| descriptor(LAYER, layer)).collect();
        many.push(descriptor(LAYER, b"absent"));
        manifest["layers"] = many.into();
    });
    for client in [client, unaware] {
        let answer = client.put_manifest("a", "many", IMAGE, &absent.manifest).await;
        answer.refused(400, "MANIFEST_BLOB_UNKNOWN");
    }
}
