//! end-2: pulling blobs, without ranges.

use plugin_registry_core::Algorithm;

use super::{
    Lab,
    fixture::{Image, content, digest, digest_as},
};

/// `GET` returns the bytes with their digest, size, entity tag and type.
pub async fn end_2_get_blob_gives_the_bytes(lab: &Lab) {
    let client = lab.client();
    for (seed, size) in [(1, 1), (2, 100), (3, 70_000), (4, (5 << 20) + 7)] {
        let blob = content(seed, size);
        let digest = client.push("ns/app", &blob).await;
        let answer = client.get(format!("/v2/ns/app/blobs/{digest}")).send().await.expect(200);
        assert!(answer.body() == &blob);
        assert_eq!(answer.header("docker-content-digest"), digest);
        assert_eq!(answer.header("etag"), format!("\"{digest}\""));
        assert_eq!(answer.header("content-length"), size.to_string());
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("cache-control"), "max-age=31536000");
    }
}

/// `HEAD` returns digest and size, and no body.
pub async fn end_2_head_blob_gives_digest_and_size(lab: &Lab) {
    let client = lab.client();
    let digest = client.push("ns/app", &content(1, 70_000)).await;
    let answer = client.head(format!("/v2/ns/app/blobs/{digest}")).send().await.expect(200);
    assert_eq!(answer.header("content-length"), "70000");
    assert_eq!(answer.header("docker-content-digest"), digest);
}

/// A blob that is not in the repository is 404 for GET and HEAD, whatever other repositories have.
pub async fn end_2_missing_blob_is_404(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 100);
    client.push("a", &blob).await;
    for (name, digest) in [
        ("a", digest(b"absent")),
        ("b", digest(&blob)),
        ("a/b", digest(&blob)),
        ("a", digest_as(Algorithm::Sha512, &blob)),
        ("a", digest_as(Algorithm::Sha384, b"absent")),
    ] {
        let uri = format!("/v2/{name}/blobs/{digest}");
        client.get(&uri).send().await.refused(404, "BLOB_UNKNOWN");
        client.head(&uri).send().await.refused(404, "BLOB_UNKNOWN");
    }
}

/// A digest that does not parse, or is of an unsupported algorithm, is 400.
pub async fn end_2_bad_digest_is_400(lab: &Lab) {
    let client = lab.client();
    client.push("a", &content(1, 100)).await;
    let hex = "a".repeat(64);
    for digest in [
        "sha256:".to_owned(),
        "sha256:baddigeststring".to_owned(),
        "latest".to_owned(),
        format!("md5:{}", "a".repeat(32)),
        format!("sha1:{}", "a".repeat(40)),
        format!("sha224:{}", "a".repeat(56)),
        format!("blake3:{hex}"),
        format!("sha256:{}", hex.to_uppercase()),
        format!("SHA256:{hex}"),
        format!("sha256:{hex}a"),
        format!("sha256:{}", "a".repeat(63)),
        format!("sha256:{}g", "a".repeat(63)),
        format!("sha512:{hex}"),
        format!("sha256+b64:{hex}"),
        format!(":{hex}"),
    ] {
        let uri = format!("/v2/a/blobs/{digest}");
        client.get(&uri).send().await.refused(400, "DIGEST_INVALID");
        client.head(&uri).send().await.refused(400, "DIGEST_INVALID");
        client.delete(&uri).send().await.refused(400, "DIGEST_INVALID");
    }
}

/// The empty blob is a blob like any other.
pub async fn end_2_empty_blob(lab: &Lab) {
    let client = lab.client();
    let digest = client.push("a", &content(1, 0)).await;
    assert_eq!(digest, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let uri = format!("/v2/a/blobs/{digest}");
    let answer = client.get(&uri).send().await.expect(200);
    assert!(answer.body().is_empty());
    assert_eq!(answer.header("content-length"), "0");
    assert_eq!(client.head(&uri).send().await.expect(200).header("content-length"), "0");
    assert_eq!(answer.header("docker-content-digest"), digest);
}

/// `If-None-Match` with the digest, quoted or bare, is 304. With anything else the blob is sent.
pub async fn end_2_if_none_match_is_304(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 100);
    let digest = client.push("a", &blob).await;
    let other = self::digest(b"other");
    let uri = format!("/v2/a/blobs/{digest}");
    for tag in [
        digest.clone(),
        format!("\"{digest}\""),
        format!("W/\"{digest}\""),
        format!("\"{other}\", \"{digest}\""),
        "*".to_owned(),
    ] {
        let answer = client.get(&uri).header("if-none-match", &tag).send().await.expect(304);
        assert_eq!(answer.header("etag"), format!("\"{digest}\""));
        let _ = client.head(&uri).header("if-none-match", &tag).send().await.expect(304);
    }
    for tag in [other.clone(), format!("\"{other}\""), String::new(), "\"\"".to_owned()] {
        let answer = client.get(&uri).header("if-none-match", tag).send().await.expect(200);
        assert_eq!(answer.body(), &blob);
    }
    let absent = format!("/v2/a/blobs/{other}");
    client.get(absent).header("if-none-match", "*").send().await.refused(404, "BLOB_UNKNOWN");
}

/// A manifest is not a blob of its repository, and a blob is not a manifest.
pub async fn end_2_blobs_and_manifests_are_apart(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    let manifest = image.digest();
    client.get(format!("/v2/a/blobs/{manifest}")).send().await.refused(404, "BLOB_UNKNOWN");
    let config = digest(&image.blobs[0]);
    client.get(format!("/v2/a/manifests/{config}")).send().await.refused(404, "MANIFEST_UNKNOWN");
}

/// A blob needs its link and its bytes.
///
/// Bytes without a link are in no repository. A link without bytes leads to nothing. A link to something
/// else is not followed.
pub async fn end_2_link_and_bytes_make_a_blob(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 100);
    let digest = client.push("a", &blob).await;
    let hex = digest.strip_prefix("sha256:").unwrap();
    let uri = format!("/v2/b/blobs/{digest}");
    let link = format!("/docker/registry/v2/repositories/b/_layers/sha256/{hex}/link");
    let other = self::digest(b"other");
    for damaged in ["", "sha256:", "sha256:abc", &other, &digest[..70], "\0\0\0"] {
        lab.write(&link, damaged.to_owned()).await;
        client.get(&uri).send().await.refused(404, "BLOB_UNKNOWN");
        client.head(&uri).send().await.refused(404, "BLOB_UNKNOWN");
    }
    // Tolerated on reading, never written (layout facts, section 3).
    lab.write(&link, format!("{digest}\n")).await;
    assert_eq!(client.pull("b", &digest).await, blob);
    lab.remove(&format!("/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2])).await;
    client.get(&uri).send().await.refused(404, "BLOB_UNKNOWN");
    client.head(&uri).send().await.refused(404, "BLOB_UNKNOWN");
}
