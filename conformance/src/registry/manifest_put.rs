//! end-7: pushing manifests.

use plugin_registry_core::Algorithm;
use serde_json::{Value, json};

use super::{
    Lab,
    fixture::{DOCKER_IMAGE, IMAGE, INDEX, Image, LAYER, descriptor, digest, digest_as, document, index},
};

/// A push is 201 with a pullable location and the digest, by tag and by digest.
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

/// A digest in the path that is not that of the bytes is 400 `DIGEST_INVALID`. Nothing is stored.
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

/// A tag outside of the grammar is 400. Nothing is stored.
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

/// A config or layer that is not in the repository is 400 `MANIFEST_BLOB_UNKNOWN`.
///
/// The answer has one error for each, which names it. Nothing is stored. A blob of another repository does
/// not help.
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

/// A child of an index that is not in the repository as a manifest is 400 `MANIFEST_BLOB_UNKNOWN`.
pub async fn end_7a_missing_child_is_manifest_blob_unknown(lab: &Lab) {
    let client = lab.client();
    let (first, second) = (Image::new(1), Image::new(2));
    client.push_image("a", "first", &first).await;
    client.push_image("b", "second", &second).await;
    // A blob of the same bytes is not a manifest.
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

/// A manifest whose subject is missing is accepted, and the answer names the subject.
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

/// A subject given by sha512 is named as it was given.
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

/// Layers of a non-distributable type may be absent, with URLs or without. A Docker foreign layer may be
/// absent only with URLs.
///
/// Any other layer must be there even if it has URLs. Nothing is ever fetched.
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
    // A layer that is there is accepted as well, whatever its URLs say.
    client.push("a", &"elsewhere".into()).await;
    let (media_type, bytes) = away(LAYER, Some(&urls), false);
    let _ = client.put_manifest("a", "t", media_type, &bytes).await.expect(201);
}

/// A config must be there, even if it has a non-distributable type.
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

/// A tag moves to the manifest that is pushed last. The earlier manifest stays, by digest.
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

/// A push by digest with `tag` parameters sets each tag and names it in `OCI-Tag`.
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

/// A tag parameter outside of the grammar is 400, and too many of them are 414. Nothing is stored.
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

/// The same tag set twice is one tag.
pub async fn end_7b_repeated_tag_parameter(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    let reference = format!("{}?tag=a&tag=b&tag=a", image.digest());
    client.push_image("a", &reference, &image).await;
    assert_eq!(client.get("/v2/a/tags/list").send().await.json()["tags"], json!(["a", "b"]));
}
