//! sha384 and sha512, end to end (layout facts, section 8).

use plugin_registry_core::Algorithm;
use serde_json::json;

use super::{
    Lab,
    fixture::{IMAGE, INDEX, Image, content, descriptor_as, digest, digest_as, document},
};

const OTHERS: [Algorithm; 2] = [Algorithm::Sha384, Algorithm::Sha512];

/// A blob pushed by another algorithm is found by that digest and by sha256, and is stored once.
///
/// Every answer names the digest that was asked for.
pub async fn sha512_blob_end_to_end(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 70_000);
    for algorithm in OTHERS {
        let name = algorithm.as_str();
        let digest = client.push_as(algorithm, name, &blob).await;
        for asked in [digest.clone(), super::fixture::digest(&blob)] {
            let uri = format!("/v2/{name}/blobs/{asked}");
            for call in [client.get(&uri), client.head(&uri), lab.another().await.get(&uri)] {
                let answer = call.send().await.expect(200);
                assert_eq!(answer.header("docker-content-digest"), asked);
                assert_eq!(answer.header("etag"), format!("\"{asked}\""));
                assert_eq!(answer.header("content-length"), "70000");
            }
            assert!(client.pull(name, &asked).await == blob);
            let _ = client.get(&uri).header("if-none-match", &asked).send().await.expect(304);
        }
    }
    let tree = lab.tree().await;
    let copies = tree.paths().filter(|path| path.ends_with("/data")).count();
    assert_eq!(copies, 1, "{tree:?}");
}

/// Deleting a blob by either digest removes it by both.
pub async fn sha512_blob_delete_by_either_digest(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 1000);
    for algorithm in OTHERS {
        for by_alias in [true, false] {
            let name = format!("{algorithm}/{by_alias}");
            let alias = client.push_as(algorithm, &name, &blob).await;
            let canonical = digest(&blob);
            let asked = if by_alias { &alias } else { &canonical };
            let _ = client.delete(format!("/v2/{name}/blobs/{asked}")).send().await.expect(202);
            for digest in [&alias, &canonical] {
                let uri = format!("/v2/{name}/blobs/{digest}");
                client.head(&uri).send().await.refused(404, "BLOB_UNKNOWN");
                client.delete(&uri).send().await.refused(404, "BLOB_UNKNOWN");
            }
            client.push_as(algorithm, &name, &blob).await;
            assert!(client.pull(&name, &alias).await == blob);
        }
    }
}

/// A manifest is pushed, pulled and tagged by another algorithm. It is found by sha256 as well.
pub async fn sha512_manifest_end_to_end(lab: &Lab) {
    let client = lab.client();
    for algorithm in Algorithm::ALL {
        let name = algorithm.as_str();
        let image = Image::by(algorithm, 1, |_| {});
        for blob in &image.blobs {
            client.push_as(algorithm, name, blob).await;
        }
        let digest = digest_as(algorithm, &image.manifest);
        let answer = client.put_manifest(name, &digest, IMAGE, &image.manifest).await.expect(201);
        assert_eq!(answer.header("docker-content-digest"), digest);
        assert!(answer.location().ends_with(&digest));
        let tagged = format!("{digest}?tag=latest");
        let _ = client.put_manifest(name, &tagged, IMAGE, &image.manifest).await.expect(201);
        for (reference, named) in [
            (digest.clone(), digest.clone()),
            ("latest".to_owned(), digest.clone()),
            (image.digest(), image.digest()),
        ] {
            let uri = format!("/v2/{name}/manifests/{reference}");
            for call in [client.get(&uri), client.head(&uri), lab.another().await.get(&uri)] {
                let answer = call.send().await.expect(200);
                assert_eq!(answer.header("docker-content-digest"), named, "{answer}");
                assert_eq!(answer.header("etag"), format!("\"{named}\""));
            }
            assert_eq!(client.get(&uri).send().await.body(), &image.manifest);
        }
    }
}

/// Deleting a manifest by either digest removes it by both, with the tags that name either.
pub async fn sha512_manifest_delete_by_either_digest(lab: &Lab) {
    let client = lab.client();
    let image = Image::new(1);
    for algorithm in OTHERS {
        for by_alias in [true, false] {
            let name = format!("{algorithm}/{by_alias}");
            let alias = digest_as(algorithm, &image.manifest);
            client.push_image(&name, "by256", &image).await;
            client.push_image(&name, &format!("{alias}?tag=by512"), &image).await;
            let asked = if by_alias { alias.clone() } else { image.digest() };
            let _ = client.delete(format!("/v2/{name}/manifests/{asked}")).send().await.expect(202);
            for reference in [&alias, &image.digest(), "by256", "by512"] {
                let uri = format!("/v2/{name}/manifests/{reference}");
                client.get(&uri).send().await.refused(404, "MANIFEST_UNKNOWN");
                client.delete(&uri).send().await.refused(404, "MANIFEST_UNKNOWN");
            }
            let tags = client.get(format!("/v2/{name}/tags/list")).send().await.expect(200);
            assert_eq!(tags.json()["tags"], json!([]));
        }
    }
}

/// Manifests may name their parts by any algorithm, mixed. A missing part is reported as it was named.
pub async fn sha512_references(lab: &Lab) {
    let client = lab.client();
    let image = Image::with(1, |manifest| {
        let layers = Image::by(Algorithm::Sha512, 1, |_| {});
        let layers: serde_json::Value = serde_json::from_slice(&layers.manifest).unwrap();
        manifest["layers"][1] = layers["layers"][1].clone();
    });
    client.push("a", &image.blobs[0]).await;
    client.push("a", &image.blobs[1]).await;
    // Pushed by sha256 only, it is not found by sha512.
    client.push("a", &image.blobs[2]).await;
    let answer = client.put_manifest("a", "mixed", IMAGE, &image.manifest).await.expect(400);
    let missing = digest_as(Algorithm::Sha512, &image.blobs[2]);
    assert!(answer.errors()[0]["detail"].to_string().contains(&missing), "{answer}");
    client.push_as(Algorithm::Sha512, "a", &image.blobs[2]).await;
    let _ = client.put_manifest("a", "mixed", IMAGE, &image.manifest).await.expect(201);
    let child = descriptor_as(Algorithm::Sha512, IMAGE, &image.manifest);
    let list = document(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [child]}));
    client.put_manifest("a", "list", INDEX, &list).await.refused(400, "MANIFEST_BLOB_UNKNOWN");
    let alias = digest_as(Algorithm::Sha512, &image.manifest);
    let _ = client.put_manifest("a", &alias, IMAGE, &image.manifest).await.expect(201);
    let _ = client.put_manifest("a", "list", INDEX, &list).await.expect(201);
}

/// An alias link alone, without the canonical one, leads to nothing.
pub async fn sha512_alias_needs_the_canonical_link(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 1000);
    let alias = client.push_as(Algorithm::Sha512, "a", &blob).await;
    let hex = digest(&blob).replace("sha256:", "");
    lab.remove(&format!("/docker/registry/v2/repositories/a/_layers/sha256/{hex}/link")).await;
    client.get(format!("/v2/a/blobs/{alias}")).send().await.refused(404, "BLOB_UNKNOWN");
}
