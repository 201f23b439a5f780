//! Content that other software left in a store is read as it is.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Lab,
    fixture::{DOCKER_IMAGE, DOCKER_LIST, IMAGE, INDEX, Image, content, descriptor, digest, document},
};

const SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
const UNSIGNED: &str = "application/vnd.docker.distribution.manifest.v1+json";

/// Writes a manifest to the store as distribution would.
pub(super) async fn store(lab: &Lab, name: &str, tag: &str, manifest: &Bytes) {
    let digest = digest(manifest);
    let hex = digest.strip_prefix("sha256:").unwrap();
    let root = "/docker/registry/v2";
    let manifests = format!("{root}/repositories/{name}/_manifests");
    lab.write(&format!("{root}/blobs/sha256/{}/{hex}/data", &hex[..2]), manifest.clone()).await;
    lab.write(&format!("{manifests}/revisions/sha256/{hex}/link"), digest.clone()).await;
    lab.write(&format!("{manifests}/tags/{tag}/index/sha256/{hex}/link"), digest.clone()).await;
    lab.write(&format!("{manifests}/tags/{tag}/current/link"), digest).await;
}

/// Schema 1, manifests of unknown types, and documents that are not manifests are served verbatim.
///
/// Their type is the one that the document states.
pub async fn end_3_old_manifests_are_read_verbatim(lab: &Lab) {
    let schema1 = json!({
        "schemaVersion": 1, "name": "ns/app", "tag": "latest", "architecture": "amd64",
        "fsLayers": [{"blobSum": digest(b"x")}], "history": [{"v1Compatibility": "{}"}],
    });
    let mut signed = schema1.clone();
    signed["signatures"] = json!([{"header": {"alg": "ES256"}, "signature": "x", "protected": "y"}]);
    let oci = Image::with(1, |manifest| {
        manifest.as_object_mut().unwrap().remove("mediaType");
    });
    let unknown = json!({"schemaVersion": 2, "mediaType": "application/vnd.example.thing.v7+json", "x": 1});
    // Our own push would refuse these, but other software may have stored them.
    let odd = |change: fn(&mut Value)| Image::with(2, change).manifest;
    for (case, (manifest, media_type)) in [
        (document(&signed), Some(SIGNED)),
        (document(&schema1), Some(UNSIGNED)),
        (oci.manifest, Some(IMAGE)),
        (document(&json!({"schemaVersion": 2, "manifests": []})), Some(INDEX)),
        (Image::docker(3).manifest, Some(DOCKER_IMAGE)),
        (
            document(&json!({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": []})),
            Some(DOCKER_LIST),
        ),
        (document(&unknown), Some("application/vnd.example.thing.v7+json")),
        (odd(|m| m["layers"][0]["digest"] = "md5:x".into()), Some(IMAGE)),
        (odd(|m| m["annotations"] = json!({"number": 1})), Some(IMAGE)),
        (odd(|m| m["layers"][0]["size"] = json!(-1)), Some(IMAGE)),
        (odd(|m| m["layers"][0]["platform"] = json!("linux")), Some(IMAGE)),
        (odd(|m| m["subject"] = json!("x")), Some(IMAGE)),
        (odd(|m| m["mediaType"] = json!("text/html\r\nx-injected: 1")), None),
        (Bytes::from_static(b"no JSON at all"), None),
        (Bytes::from_static(b"[1, 2]"), None),
        (Bytes::from_static(b""), None),
        (content(1, 5000), None),
    ]
    .into_iter()
    .enumerate()
    {
        let tag = format!("t{case}");
        store(lab, "old", &tag, &manifest).await;
        for reference in [&tag, &digest(&manifest)] {
            let uri = format!("/v2/old/manifests/{reference}");
            let answer = lab.client().get(&uri).send().await.expect(200);
            assert_eq!(answer.body(), &manifest);
            assert_eq!(answer.header("docker-content-digest"), digest(&manifest));
            assert!(answer.get("x-injected").is_none(), "{answer}");
            if let Some(media_type) = media_type {
                assert_eq!(answer.header("content-type"), media_type, "{answer}");
            }
            assert!(!answer.header("content-type").is_empty());
        }
        let referrers = format!("/v2/old/referrers/{}", digest(b"x"));
        let _ = lab.client().get(referrers).send().await.expect(200);
        let _ =
            lab.client().delete(format!("/v2/old/manifests/{}", digest(&manifest))).send().await.expect(202);
    }
}

/// An image that distribution pushed can be pulled, listed, mounted from, pushed over and deleted.
pub async fn old_image_is_like_any_other(lab: &Lab) {
    let client = lab.client();
    let image = Image::docker(1);
    let root = "/docker/registry/v2";
    for blob in &image.blobs {
        let digest = digest(blob);
        let hex = digest.strip_prefix("sha256:").unwrap();
        lab.write(&format!("{root}/blobs/sha256/{}/{hex}/data", &hex[..2]), blob.clone()).await;
        lab.write(&format!("{root}/repositories/ns/old/_layers/sha256/{hex}/link"), digest).await;
    }
    store(lab, "ns/old", "latest", &image.manifest).await;
    assert_eq!(client.get("/v2/_catalog").send().await.json(), json!({"repositories": ["ns/old"]}));
    assert_eq!(client.get("/v2/ns/old/tags/list").send().await.json()["tags"], json!(["latest"]));
    assert_eq!(client.get("/v2/ns/old/manifests/latest").send().await.expect(200).body(), &image.manifest);
    for blob in &image.blobs {
        client.assert_blob("ns/old", blob).await;
        let mount = format!("/v2/new/blobs/uploads/?mount={}&from=ns/old", digest(blob));
        let _ = client.post(mount).body("").send().await.expect(201);
    }
    let _ = client.put_manifest("new", "latest", DOCKER_IMAGE, &image.manifest).await.expect(201);
    let before = lab.tree().await;
    let _ = client.put_manifest("ns/old", "latest", DOCKER_IMAGE, &image.manifest).await.expect(201);
    lab.tree().await.assert_is(&before);
    let _ = client.delete(format!("/v2/ns/old/manifests/{}", image.digest())).send().await.expect(202);
    client.get("/v2/ns/old/manifests/latest").send().await.refused(404, "MANIFEST_UNKNOWN");
    let _ = client.get("/v2/new/manifests/latest").send().await.expect(200);
}

/// A blob by sha512 is read as distribution stores it: two links, both with the sha256 digest.
pub async fn old_sha512_blob_is_read(lab: &Lab) {
    let blob = content(1, 1000);
    let (canonical, alias) =
        (digest(&blob), super::fixture::digest_as(plugin_registry_core::Algorithm::Sha512, &blob));
    let (hex, long) = (canonical.replace("sha256:", ""), alias.replace("sha512:", ""));
    let root = "/docker/registry/v2";
    lab.write(&format!("{root}/blobs/sha256/{}/{hex}/data", &hex[..2]), blob.clone()).await;
    lab.write(&format!("{root}/repositories/old/_layers/sha256/{hex}/link"), canonical.clone()).await;
    lab.write(&format!("{root}/repositories/old/_layers/sha512/{long}/link"), canonical.clone()).await;
    for digest in [canonical, alias] {
        let answer = lab.client().get(format!("/v2/old/blobs/{digest}")).send().await.expect(200);
        assert!(answer.body() == &blob);
        assert_eq!(answer.header("docker-content-digest"), digest);
    }
}

/// An upload in progress of distribution, with a visible file, can be finished. The status returns its size.
///
/// An empty one can go on. An upload without `startedat` is unknown.
pub async fn end_13_uploads_of_distribution(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 1000);
    let id = "5f0c0f5e-6a0b-4c1c-9d0a-3d6f3c1d2b4a";
    let upload = format!("/docker/registry/v2/repositories/old/_uploads/{id}");
    let location = format!("/v2/old/blobs/uploads/{id}");
    lab.write(&format!("{upload}/data"), blob.clone()).await;
    client.get(&location).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    lab.write(&format!("{upload}/startedat"), "2026-11-23T16:06:04Z").await;
    lab.write(&format!("{upload}/hashstates/sha256/1000"), content(2, 108)).await;
    for client in [&client, &lab.another().await] {
        assert_eq!(client.get(&location).send().await.expect(204).header("range"), "0-999");
        // Appending to what other software is writing is refused, and harms nothing.
        let more = client.patch(&location).header("content-range", "1000-1000").body("x").send().await;
        assert!(more.is_refusal(), "{more}");
        let wrong = client.patch(&location).header("content-range", "0-0").body("x").send().await;
        assert!(wrong.is_refusal(), "{wrong}");
    }
    let _ = client.finish(&location, &digest(&blob), "").await.expect(201);
    client.assert_blob("old", &blob).await;
    client.get(&location).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert!(!lab.tree().await.paths().any(|path| path.contains("_uploads")));
    for chunked in [true, false] {
        let client = lab.another().await;
        lab.write(&format!("{upload}/data"), "").await;
        lab.write(&format!("{upload}/startedat"), "2026-11-23T16:06:04Z").await;
        assert_eq!(client.get(&location).send().await.expect(204).header("range"), "0-0");
        let mut sent = 0;
        if chunked {
            client.append(&location, &blob.slice(..400)).await;
            assert_eq!(client.get(&location).send().await.expect(204).header("range"), "0-399");
            sent = 400;
        }
        let _ = client.finish(&location, &digest(&blob), blob.slice(sent..)).await.expect(201);
        client.assert_blob("old", &blob).await;
        assert!(!lab.tree().await.paths().any(|path| path.contains("_uploads")), "{:?}", lab.tree().await);
    }
}

/// An upload of distribution whose bytes are not those of the digest is refused.
pub async fn end_6_upload_of_distribution_with_other_bytes(lab: &Lab) {
    let client = lab.client();
    let id = "5f0c0f5e-6a0b-4c1c-9d0a-3d6f3c1d2b4a";
    let upload = format!("/docker/registry/v2/repositories/old/_uploads/{id}");
    let location = format!("/v2/old/blobs/uploads/{id}");
    lab.write(&format!("{upload}/data"), content(1, 1000)).await;
    lab.write(&format!("{upload}/startedat"), "2026-11-23T16:06:04Z").await;
    client.finish(&location, &digest(b"other"), "").await.refused(400, "DIGEST_INVALID");
    let announced =
        client.put(super::client::and(&location, &format!("digest={}", digest(&content(1, 1000)))));
    assert!(announced.header("content-length", 5).send().await.is_refusal());
    client.get(format!("/v2/old/blobs/{}", digest(b"other"))).send().await.refused(404, "BLOB_UNKNOWN");
}

/// Files that no layout knows, beside those that it knows, disturb nothing.
pub async fn foreign_files_disturb_nothing(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let root = "/docker/registry/v2";
    for (path, content) in [
        ("repositories/a/_manifests/tags/.hidden/current/link", "x"),
        ("repositories/a/_manifests/tags/file", "x"),
        ("repositories/a/_manifests/revisions/sha256/nothex/link", "x"),
        ("repositories/a/_manifests/revisions/md5/abc/link", "x"),
        ("repositories/a/_layers/sha256/nothex/link", "x"),
        ("repositories/a/note", "x"),
        ("repositories/UPPER/_layers/sha256/x/link", "x"),
        ("repositories/note", "x"),
        ("blobs/sha256/zz/note", "x"),
        ("gc/state", "x"),
        ("note", "x"),
    ] {
        lab.write(&format!("{root}/{path}"), content).await;
    }
    lab.write("/backups/b1/velero-backup.json", "{}").await;
    assert_eq!(client.get("/v2/_catalog").send().await.expect(200).json(), json!({"repositories": ["a"]}));
    assert_eq!(client.get("/v2/a/tags/list").send().await.expect(200).json()["tags"], json!(["latest"]));
    let _ = client.get(format!("/v2/a/referrers/{}", image.digest())).send().await.expect(200);
    let list = super::fixture::index(&[descriptor(IMAGE, &image.manifest)]);
    let _ = client.put_manifest("a", "list", INDEX, &list).await.expect(201);
    let _ = client.delete(format!("/v2/a/manifests/{}", image.digest())).send().await.expect(202);
    assert_eq!(client.get("/v2/a/tags/list").send().await.expect(200).json()["tags"], json!(["list"]));
    let tree = lab.tree().await;
    assert!(tree.get("/docker/registry/v2/note").is_some());
    assert!(tree.get("/backups/b1/velero-backup.json").is_some());
}
