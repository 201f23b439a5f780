//! end-7: pushing manifests.

use bytes::Bytes;
use plugin_registry_core::Algorithm;
use serde_json::{Value, json};

use super::{
    Lab, body,
    fixture::{
        CONFIG, DOCKER_IMAGE, DOCKER_LIST, EMPTY, IMAGE, INDEX, Image, LAYER, content, descriptor, digest,
        digest_as, document, index,
    },
};

const MIB: usize = 1 << 20;

/// 201 with a pullable location and the digest, by tag and by digest.
pub async fn end_7a_put_is_201_with_location_and_digest(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    let digest = image.digest();
    for reference in ["latest", &digest, "another_Tag-1.0", "_"] {
        let answer = client.push_image("ns/app", reference, &image).await;
        assert_eq!(answer.header("docker-content-digest"), digest);
        assert_eq!(answer.header("content-length"), "0");
        assert!(answer.get("oci-subject").is_none() && answer.get("oci-tag").is_none(), "{answer}");
        assert_eq!(client.get(answer.location()).send().await.expect(200).body(), &image.manifest);
        let pulled = client.get(format!("/v2/ns/app/manifests/{reference}")).send().await.expect(200);
        assert_eq!(pulled.body(), &image.manifest);
    }
    let tags = client.get("/v2/ns/app/tags/list").send().await.expect(200);
    assert_eq!(tags.json()["tags"], json!(["_", "another_Tag-1.0", "latest"]));
}

/// A digest in the path that is not that of the bytes is 400 `DIGEST_INVALID`; nothing is stored.
pub async fn end_7a_another_digest_is_400(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    for blob in &image.blobs {
        client.push("a", blob).await;
    }
    let before = lab.tree().await;
    for reference in [
        digest(b"other"),
        digest_as(Algorithm::Sha384, b"other"),
        digest_as(Algorithm::Sha512, b"other"),
        "sha256:baddigeststring".to_owned(),
        format!("md5:{}", "a".repeat(32)),
    ] {
        client.put_manifest("a", &reference, IMAGE, &image.manifest).await.refused(400, "DIGEST_INVALID");
    }
    lab.tree().await.assert_is(&before);
}

/// A tag outside of the grammar is 400; nothing is stored.
pub async fn end_7a_bad_tag_is_400(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let before = lab.tree().await;
    let long = "a".repeat(129);
    for tag in [".a", "-a", "a%20b", "%c3%a4", "a@b", "a+b", "a%00", &long] {
        client.put_manifest("a", tag, IMAGE, &image.manifest).await.refused(400, "TAG_INVALID");
    }
    lab.tree().await.assert_is(&before);
    let _ = client.put_manifest("a", &"a".repeat(128), IMAGE, &image.manifest).await.expect(201);
}

/// 4 MiB is accepted and comes back; one byte more is 413, with a length and without.
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

/// A media type that is none of a manifest's is 400 `MANIFEST_INVALID`, schema 1 included.
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

/// `mediaType` in the body and `Content-Type` have to agree; either may be missing; parameters of the
/// header are dropped.
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
    // Nothing would tell a later reader that these bytes are Docker's.
    client.put_manifest("a", "t", DOCKER_IMAGE, &without.manifest).await.refused(400, "MANIFEST_INVALID");
}

/// A document that is not of its type's shape is 400 `MANIFEST_INVALID`; nothing is stored.
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

/// An object with the same key twice is 400, wherever it is and however the key is written
/// (CVE-2021-41190 is a confusion of types).
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

/// A config or layer that is not in the repository: 400 with one `MANIFEST_BLOB_UNKNOWN` for each, naming
/// it; nothing is stored. A blob of another repository does not help.
pub async fn end_7a_missing_blob_is_manifest_blob_unknown(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    for blob in &image.blobs {
        client.push("other", blob).await;
    }
    for present in 0..image.blobs.len() {
        let before = lab.tree().await;
        for reference in ["latest", &image.digest()] {
            let answer = client.put_manifest("a", reference, IMAGE, &image.manifest).await.expect(400);
            let missing: Vec<String> = image.blobs[present..].iter().map(|blob| digest(blob)).collect();
            let errors = answer.errors();
            assert_eq!(errors.len(), missing.len(), "{answer}");
            for (error, digest) in errors.iter().zip(&missing) {
                assert_eq!(error["code"], "MANIFEST_BLOB_UNKNOWN");
                assert!(error["detail"].to_string().contains(digest.as_str()), "{error}");
            }
        }
        lab.tree().await.assert_is(&before);
        client.push("a", &image.blobs[present]).await;
    }
    let _ = client.put_manifest("a", "latest", IMAGE, &image.manifest).await.expect(201);
}

/// A blob whose bytes are gone, or whose link is damaged, is missing.
pub async fn end_7a_blob_without_bytes_is_missing(lab: &Lab) {
    let client = lab.client();
    let image = Image::new(1);
    for blob in &image.blobs {
        client.push("a", blob).await;
    }
    let hex = digest(&image.blobs[1]).replace("sha256:", "");
    let link = format!("/docker/registry/v2/repositories/a/_layers/sha256/{hex}/link");
    lab.remove(&link).await;
    let answer = client.put_manifest("a", "latest", IMAGE, &image.manifest).await.expect(400);
    assert_eq!(answer.errors().len(), 1);
    answer.refused(400, "MANIFEST_BLOB_UNKNOWN");
    client.push("a", &image.blobs[1]).await;
    lab.remove(&format!("/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2])).await;
    let unaware = lab.another().await;
    let answer = unaware.put_manifest("a", "latest", IMAGE, &image.manifest).await;
    answer.refused(400, "MANIFEST_BLOB_UNKNOWN");
}

/// A child of an index that is not in the repository as a manifest: 400 `MANIFEST_BLOB_UNKNOWN`.
pub async fn end_7a_missing_child_is_manifest_blob_unknown(lab: &Lab) {
    let client = lab.client();
    let (first, second) = (Image::new(1), Image::new(2));
    client.push_image("a", "first", &first).await;
    client.push_image("b", "second", &second).await;
    // A blob of the same bytes is no manifest.
    client.push("a", &second.manifest).await;
    let both = index(&[first.descriptor(), second.descriptor()]);
    let answer = client.put_manifest("a", "index", INDEX, &both).await.expect(400);
    let errors = answer.errors();
    assert_eq!(errors.len(), 1, "{answer}");
    assert!(errors[0]["detail"].to_string().contains(&second.digest()), "{answer}");
    answer.refused(400, "MANIFEST_BLOB_UNKNOWN");
    client.push_image("a", &second.digest(), &second).await;
    let _ = client.put_manifest("a", "index", INDEX, &both).await.expect(201);
}

/// A descriptor whose size is not that of the content is 400.
pub async fn end_7a_another_size_is_400(lab: &Lab) {
    let client = lab.client();
    client.push_image("a", "latest", &Image::new(1)).await;
    for size in [0_u64, 699, 701, u64::MAX] {
        let wrong = Image::with(1, |manifest| manifest["layers"][0]["size"] = size.into());
        client.put_manifest("a", "wrong", IMAGE, &wrong.manifest).await.refused(400, "MANIFEST_INVALID");
    }
}

/// A manifest whose subject is not there is accepted, and the answer names the subject.
pub async fn end_7a_missing_subject_is_accepted(lab: &Lab) {
    let client = lab.client();
    let subject = Image::new(9);
    let artifact = Image::referring_to(&subject.manifest, 1, Some("application/vnd.example"));
    let answer = client.push_image("a", "artifact", &artifact).await;
    assert_eq!(answer.header("oci-subject"), subject.digest());
    let again = client.put_manifest("a", &artifact.digest(), IMAGE, &artifact.manifest).await.expect(201);
    assert_eq!(again.header("oci-subject"), subject.digest());
    let with_subject = document(&json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": subject.descriptor(),
    }));
    let answer = client.put_manifest("a", "index", INDEX, &with_subject).await.expect(201);
    assert_eq!(answer.header("oci-subject"), subject.digest());
    client.get(format!("/v2/a/manifests/{}", subject.digest())).send().await.refused(404, "MANIFEST_UNKNOWN");
    client.push_image("a", "subject", &subject).await;
}

/// A subject by sha512 is named as it was.
pub async fn end_7a_subject_by_sha512(lab: &Lab) {
    let client = lab.client();
    let subject = digest_as(Algorithm::Sha512, b"subject");
    let artifact = Image::with(1, |manifest| {
        manifest["subject"] = json!({"mediaType": IMAGE, "digest": subject, "size": 7});
    });
    let answer = client.push_image("a", "artifact", &artifact).await;
    assert_eq!(answer.header("oci-subject"), subject);
    let referrers = client.get(format!("/v2/a/referrers/{subject}")).send().await.expect(200);
    assert_eq!(referrers.json()["manifests"][0]["digest"], artifact.digest());
}

/// Indexes of indexes, and of nothing.
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

/// Images without layers, with the empty config, with one layer twice, with inline data, with fields of
/// their own: accepted and kept.
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

/// Layers of a non-distributable type may be absent, with URLs or without; a Docker foreign layer only
/// with them; any other layer has to be there even if it has URLs. Nothing is ever fetched.
pub async fn end_7a_non_distributable_layers(lab: &Lab) {
    let client = lab.client();
    let image = Image::new(1);
    for blob in &image.blobs {
        client.push("a", blob).await;
    }
    let urls = json!(["https://example.invalid/layer"]);
    let away = |media_type: &str, urls: Option<&Value>, docker: bool| {
        let change = |manifest: &mut Value| {
            let mut layer = descriptor(media_type, b"elsewhere");
            if let Some(urls) = urls {
                layer["urls"] = urls.clone();
            }
            manifest["layers"].as_array_mut().unwrap().push(layer);
            if docker {
                manifest["mediaType"] = DOCKER_IMAGE.into();
            }
        };
        (if docker { DOCKER_IMAGE } else { IMAGE }, Image::with(1, change).manifest)
    };
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let docker_layer = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    let nondistributable = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    for (status, (media_type, bytes)) in [
        (201, away(nondistributable, Some(&urls), false)),
        (201, away(nondistributable, None, false)),
        (201, away(&format!("{nondistributable}+gzip"), Some(&urls), false)),
        (201, away(&format!("{nondistributable}+zstd"), None, false)),
        (201, away(foreign, Some(&urls), true)),
        (400, away(foreign, None, true)),
        (400, away(LAYER, Some(&urls), false)),
        (400, away(docker_layer, Some(&urls), true)),
        (400, away("application/vnd.example", Some(&urls), false)),
    ] {
        let answer = client.put_manifest("a", "t", media_type, &bytes).await.expect(status);
        if status == 201 {
            assert_eq!(client.get("/v2/a/manifests/t").send().await.expect(200).body(), &bytes);
        } else {
            answer.refused(400, "MANIFEST_BLOB_UNKNOWN");
        }
    }
    // One that is there is as welcome, whatever its URLs say.
    client.push("a", &"elsewhere".into()).await;
    let (media_type, bytes) = away(LAYER, Some(&urls), false);
    let _ = client.put_manifest("a", "t", media_type, &bytes).await.expect(201);
}

/// A config cannot be left out by a non-distributable type.
pub async fn end_7a_config_has_to_be_there(lab: &Lab) {
    let client = lab.client();
    let image = Image::with(1, |manifest| {
        manifest["config"] = descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar", b"away");
    });
    for blob in &image.blobs {
        client.push("a", blob).await;
    }
    client.put_manifest("a", "t", IMAGE, &image.manifest).await.refused(400, "MANIFEST_BLOB_UNKNOWN");
}

/// A tag moves to what is pushed last; what it named before stays, by digest.
pub async fn end_7a_tags_move(lab: &Lab) {
    let client = lab.client();
    let images = [Image::new(1), Image::new(2), Image::new(1), Image::docker(3)];
    for image in &images {
        client.push_image("a", "latest", image).await;
        let pulled = client.get("/v2/a/manifests/latest").send().await.expect(200);
        assert_eq!(pulled.body(), &image.manifest);
        assert_eq!(pulled.header("content-type"), image.media_type);
    }
    for image in &images {
        let _ = client.get(format!("/v2/a/manifests/{}", image.digest())).send().await.expect(200);
    }
    assert_eq!(client.get("/v2/a/tags/list").send().await.json()["tags"], json!(["latest"]));
}

/// Pushing the same again changes nothing, on this instance and on another.
pub async fn end_7a_put_again_changes_nothing(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let before = lab.tree().await;
    for client in [client, lab.another().await] {
        for reference in ["latest", &image.digest()] {
            let _ = client.put_manifest("a", reference, IMAGE, &image.manifest).await.expect(201);
            lab.tree().await.assert_is(&before);
        }
    }
}

/// A body that is not as long as announced, or breaks off, is 4xx; nothing is stored.
pub async fn end_7a_cut_manifest_is_4xx(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    // What is cut off is white space, so that what remains is a manifest, too.
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

/// By digest with `tag` parameters: each tag is set and named in `OCI-Tag`.
pub async fn end_7b_tag_parameters(lab: &Lab) {
    let client = lab.client();
    for algorithm in Algorithm::ALL {
        let image = Image::new(1);
        let name = algorithm.as_str();
        client.push_image(name, "latest", &image).await;
        let digest = digest_as(algorithm, &image.manifest);
        let tags: Vec<String> = (0..12).map(|n| format!("v1.{n}")).collect();
        let query: Vec<String> = tags.iter().map(|tag| format!("tag={tag}")).collect();
        let reference = format!("{digest}?{}", query.join("&"));
        let answer = client.put_manifest(name, &reference, IMAGE, &image.manifest).await.expect(201);
        assert_eq!(answer.header("docker-content-digest"), digest);
        let named =
            answer.headers().get_all("oci-tag").iter().flat_map(|tag| tag.to_str().unwrap().split(','));
        let named: Vec<&str> = named.map(str::trim).collect();
        assert_eq!(named, tags);
        for tag in &tags {
            let pulled = client.get(format!("/v2/{name}/manifests/{tag}")).send().await.expect(200);
            assert_eq!(pulled.body(), &image.manifest);
            assert_eq!(pulled.header("docker-content-digest"), digest);
        }
    }
}

/// A tag parameter outside of the grammar is 400; more than can be taken are 414; nothing is stored.
pub async fn end_7b_bad_tag_parameters(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let before = lab.tree().await;
    for query in ["tag=good&tag=.bad", "tag=", "tag=a%2fb", "tag=good&tag=a%0d%0ax", "tag=a+b"] {
        let reference = format!("{}?{query}", image.digest());
        client.put_manifest("a", &reference, IMAGE, &image.manifest).await.refused(400, "TAG_INVALID");
    }
    let many: Vec<String> = (0..5000).map(|n| format!("tag=t{n}")).collect();
    let reference = format!("{}?{}", image.digest(), many.join("&"));
    let _ = client.put_manifest("a", &reference, IMAGE, &image.manifest).await.expect(414);
    lab.tree().await.assert_is(&before);
}

/// The same tag twice is one tag.
pub async fn end_7b_repeated_tag_parameter(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    let reference = format!("{}?tag=a&tag=b&tag=a", image.digest());
    client.push_image("a", &reference, &image).await;
    assert_eq!(client.get("/v2/a/tags/list").send().await.json()["tags"], json!(["a", "b"]));
}

/// A large image is accepted as it is: thousands of layers, each there.
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
