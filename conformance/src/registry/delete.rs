//! end-9 and end-10: deleting tags, manifests and blobs.

use bytes::Bytes;
use plugin_registry_core::Algorithm;
use serde_json::json;

use super::{
    Lab,
    fixture::{IMAGE, INDEX, Image, content, digest, digest_as, index},
};

/// A delete by tag is 202, and only the tag is gone.
pub async fn end_9_delete_tag(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    for tag in ["v1", "v1.0", "v1-rc", "v"] {
        client.push_image("a", tag, &image).await;
    }
    let answer = client.delete("/v2/a/manifests/v1").send().await.expect(202);
    assert_eq!(answer.header("content-length"), "0");
    client.get("/v2/a/manifests/v1").send().await.refused(404, "MANIFEST_UNKNOWN");
    for reference in ["v1.0", "v1-rc", "v", &image.digest()] {
        let _ = client.get(format!("/v2/a/manifests/{reference}")).send().await.expect(200);
    }
    assert_eq!(client.get("/v2/a/tags/list").send().await.json()["tags"], json!(["v", "v1-rc", "v1.0"]));
    client.delete("/v2/a/manifests/v1").send().await.refused(404, "MANIFEST_UNKNOWN");
}

/// Tags may be named like the staged bytes of drivers, or like directories of the layout.
///
/// They are listed and deleted as any other tag, and so are the manifests that have one.
pub async fn end_9_delete_tag_of_any_name(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    let long = "t".repeat(128);
    let tmp = "x.6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5b.tmp";
    let part = "x.6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5b.5.part";
    let tags = ["A", "_uploads", "_x", "current", &long, "x", "x.5.part", part, tmp, "x.staged"];
    let uri = |reference: &str| format!("/v2/a/manifests/{reference}");
    for tag in tags {
        client.push_image("a", tag, &image).await;
    }
    let mut sorted = tags.to_vec();
    sorted.sort_unstable();
    assert_eq!(client.get("/v2/a/tags/list").send().await.json()["tags"], json!(sorted));
    for (index, tag) in tags.iter().enumerate() {
        let _ = client.delete(uri(tag)).send().await.expect(202);
        client.get(uri(tag)).send().await.refused(404, "MANIFEST_UNKNOWN");
        for left in &tags[index + 1..] {
            let _ = client.head(uri(left)).send().await.expect(200);
        }
    }
    for tag in tags {
        client.push_image("a", tag, &image).await;
    }
    let _ = client.delete(uri(&image.digest())).send().await.expect(202);
    for tag in tags {
        client.get(uri(tag)).send().await.refused(404, "MANIFEST_UNKNOWN");
    }
}

/// A delete by digest is 202, and all tags that name it are gone. Other manifests, tags and all blobs stay.
pub async fn end_9_delete_manifest(lab: &Lab) {
    let client = lab.client();
    let (image, other) = (Image::new(1), Image::new(2));
    for tag in ["one", "two", "three"] {
        client.push_image("a", tag, &image).await;
    }
    client.push_image("a", "three", &other).await;
    client.push_image("b", "one", &image).await;
    let uri = format!("/v2/a/manifests/{}", image.digest());
    let answer = client.delete(&uri).send().await.expect(202);
    assert_eq!(answer.header("content-length"), "0");
    for gone in [&uri, "/v2/a/manifests/one", "/v2/a/manifests/two"] {
        for client in [&client, &lab.another().await] {
            client.get(gone).send().await.refused(404, "MANIFEST_UNKNOWN");
            client.head(gone).send().await.refused(404, "MANIFEST_UNKNOWN");
        }
    }
    assert_eq!(client.get("/v2/a/tags/list").send().await.json()["tags"], json!(["three"]));
    assert_eq!(client.get("/v2/a/manifests/three").send().await.expect(200).body(), &other.manifest);
    for blob in &image.blobs {
        client.assert_blob("a", blob).await;
    }
    assert_eq!(client.get("/v2/b/manifests/one").send().await.expect(200).body(), &image.manifest);
    client.delete(&uri).send().await.refused(404, "MANIFEST_UNKNOWN");
    // The manifest can be pushed again.
    let _ = client.put_manifest("a", "one", IMAGE, &image.manifest).await.expect(201);
    assert_eq!(client.get(&uri).send().await.expect(200).body(), &image.manifest);
    client.get("/v2/a/manifests/two").send().await.refused(404, "MANIFEST_UNKNOWN");
}

/// A missing manifest is 404. An invalid reference is 400.
pub async fn end_9_delete_unknown_manifest_is_404(lab: &Lab) {
    let client = lab.client();
    let image = Image::new(1);
    client.push_image("a", "latest", &image).await;
    let absent = digest(b"absent");
    let before = lab.tree().await;
    for uri in [
        "/v2/a/manifests/absent".to_owned(),
        format!("/v2/a/manifests/{absent}"),
        format!("/v2/a/manifests/{}", digest(&image.blobs[0])),
        format!("/v2/b/manifests/{}", image.digest()),
        "/v2/b/manifests/latest".to_owned(),
        format!("/v2/a/manifests/{}", digest_as(Algorithm::Sha512, &image.manifest)),
    ] {
        client.delete(uri).send().await.refused(404, "MANIFEST_UNKNOWN");
    }
    for reference in ["sha256:x", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:"] {
        client.delete(format!("/v2/a/manifests/{reference}")).send().await.refused(400, "DIGEST_INVALID");
    }
    client.delete("/v2/a/manifests/.x").send().await.refused(400, "TAG_INVALID");
    lab.tree().await.assert_is(&before);
}

/// A child of an index can be deleted, and so can the index, in either order.
pub async fn end_9_delete_index_and_children(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    let list = index(&[image.descriptor()]);
    for first in ["index", "child"] {
        client.push_image(first, "image", &image).await;
        let _ = client.put_manifest(first, "index", INDEX, &list).await.expect(201);
        let mut both = [digest(&list), image.digest()];
        if first == "child" {
            both.reverse();
        }
        for digest in both {
            let _ = client.delete(format!("/v2/{first}/manifests/{digest}")).send().await.expect(202);
        }
        assert_eq!(client.get(format!("/v2/{first}/tags/list")).send().await.json()["tags"], json!([]));
    }
}

/// A manifest whose bytes are damaged or missing can still be deleted.
pub async fn end_9_delete_damaged_manifest(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    let digest = image.digest();
    let hex = digest.strip_prefix("sha256:").unwrap();
    let data = format!("/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
    for missing in [false, true] {
        client.push_image("a", "latest", &image).await;
        if missing {
            lab.remove(&data).await;
        } else {
            lab.write(&data, "damaged").await;
        }
        let _ = client.delete(format!("/v2/a/manifests/{digest}")).send().await.expect(202);
        for reference in ["latest", &digest] {
            let uri = format!("/v2/a/manifests/{reference}");
            client.get(uri).send().await.refused(404, "MANIFEST_UNKNOWN");
        }
    }
}

/// A delete is 202, and the blob is gone from this repository at once, on every instance.
///
/// Other repositories keep it, including one that mounted it.
pub async fn end_10_delete_blob_is_gone_at_once_and_here_only(lab: &Lab) {
    let client = lab.client();
    let another = lab.another().await;
    let blob = content(1, 1000);
    let digest = client.push("a", &blob).await;
    let mount = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
    let _ = client.post(mount).body("").send().await.expect(201);
    client.push("c", &blob).await;
    for name in ["a", "b", "c"] {
        client.assert_blob(name, &blob).await;
        another.assert_blob(name, &blob).await;
    }
    for gone in ["b", "a"] {
        let uri = format!("/v2/{gone}/blobs/{digest}");
        let answer = client.delete(&uri).send().await.expect(202);
        assert_eq!(answer.header("content-length"), "0");
        for client in [&client, &another] {
            client.head(&uri).send().await.refused(404, "BLOB_UNKNOWN");
            client.get(&uri).send().await.refused(404, "BLOB_UNKNOWN");
            client.get(&uri).header("range", "bytes=0-1").send().await.refused(404, "BLOB_UNKNOWN");
            client.get(&uri).header("if-none-match", &digest).send().await.refused(404, "BLOB_UNKNOWN");
            client.assert_blob("c", &blob).await;
        }
        client.delete(&uri).send().await.refused(404, "BLOB_UNKNOWN");
        another.delete(&uri).send().await.refused(404, "BLOB_UNKNOWN");
    }
    // A mount from a repository where it was deleted does not find it, nor does a manifest that names it.
    let mount = format!("/v2/d/blobs/uploads/?mount={digest}&from=a");
    let _ = client.post(mount).body("").send().await.expect(202);
    let image = Image::new(1);
    client.push_image("a", "latest", &image).await;
    let _ = client
        .delete(format!("/v2/a/blobs/{}", super::fixture::digest(&image.blobs[1])))
        .send()
        .await
        .expect(202);
    client.put_manifest("a", "again", IMAGE, &image.manifest).await.refused(400, "MANIFEST_BLOB_UNKNOWN");
    client.push("a", &blob).await;
    client.assert_blob("a", &blob).await;
}

/// A missing blob is 404.
pub async fn end_10_delete_unknown_blob_is_404(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 1000);
    client.push("a", &blob).await;
    let before = lab.tree().await;
    for uri in [
        format!("/v2/a/blobs/{}", digest(b"absent")),
        format!("/v2/b/blobs/{}", digest(&blob)),
        format!("/v2/a/blobs/{}", digest_as(Algorithm::Sha512, &blob)),
    ] {
        client.delete(uri).send().await.refused(404, "BLOB_UNKNOWN");
    }
    lab.tree().await.assert_is(&before);
}

/// Deleting one blob of many leaves the others, also if it is the empty one.
pub async fn end_10_delete_one_of_many(lab: &Lab) {
    let client = lab.client();
    let blobs: Vec<Bytes> = (0..20).map(|seed| content(seed, seed as usize)).collect();
    for blob in &blobs {
        client.push("a", blob).await;
    }
    for (position, blob) in blobs.iter().enumerate() {
        let _ = client.delete(format!("/v2/a/blobs/{}", digest(blob))).send().await.expect(202);
        for (other, blob) in blobs.iter().enumerate() {
            let status = client.probe(format!("/v2/a/blobs/{}", digest(blob))).await;
            assert_eq!(status, if other <= position { 404 } else { 200 });
        }
    }
}
