//! Options of registries. Several registries in one process keep their own.

use plugin_registry::{ReferencePolicy, UrlPolicy};
use serde_json::json;

use super::{
    Lab,
    client::and,
    fixture::{IMAGE, INDEX, Image, content, descriptor, digest, document, index},
};

/// A read-only registry refuses every method that changes something, and changes nothing.
///
/// The answer is 405 with an `Allow` that does not name the method. Everything that reads is served.
pub async fn read_only_refuses_every_change(lab: &Lab) {
    let (writer, image) = (lab.client(), Image::new(1));
    writer.push_image("a", "latest", &image).await;
    let session = writer.begin("a").await;
    let session = writer.append(&session, &content(1, 10)).await;
    let fresh = writer.begin("a").await;
    let unknown = "/v2/a/blobs/uploads/018f0000-0000-7000-8000-000000000000".to_owned();
    let before = lab.tree().await;
    let client = lab.with(|builder| builder.read_only(true)).await;
    let (blob, manifest) = (digest(&image.blobs[0]), image.digest());
    let put = |uri: &str| and(uri, &format!("digest={}", digest(b"x")));
    for call in [
        client.put("/v2/a/manifests/latest").header("content-type", IMAGE).body(image.manifest.clone()),
        client
            .put(format!("/v2/a/manifests/{manifest}?tag=b"))
            .header("content-type", IMAGE)
            .body(image.manifest.clone()),
        client.delete("/v2/a/manifests/latest"),
        client.delete("/v2/a/manifests/absent"),
        client.delete(format!("/v2/a/manifests/{manifest}")),
        client.delete(format!("/v2/a/blobs/{blob}")),
        client.delete(format!("/v2/a/blobs/{}", digest(b"absent"))),
        client.post("/v2/a/blobs/uploads/").body(""),
        client.post(format!("/v2/a/blobs/uploads/?digest={}", digest(b"x"))).body("x"),
        client.post("/v2/a/blobs/uploads/?digest-algorithm=sha512").body(""),
        client.post(format!("/v2/b/blobs/uploads/?mount={blob}&from=a")).body(""),
        client.post(format!("/v2/b/blobs/uploads/?mount={blob}")).body(""),
        client.post(format!("/v2/b/blobs/uploads/?mount={}&from=a", digest(b"absent"))).body(""),
        client.patch(&session).body("x"),
        client.patch(&fresh).body("x"),
        client.patch(&fresh).body(""),
        client.patch(&unknown).body("x"),
        client.put(put(&session)).body("x"),
        client.put(put(&fresh)).body("x"),
        client.put(put(&unknown)).body("x"),
        client.delete(&session),
        client.delete(&fresh),
        client.delete(&unknown),
    ] {
        let answer = call.send().await.expect(405);
        for change in ["PUT", "POST", "PATCH", "DELETE"] {
            assert!(!answer.header("allow").split(", ").any(|method| method == change), "{answer}");
        }
        answer.refused(405, "UNSUPPORTED");
    }
    for uri in [
        "/v2/".to_owned(),
        "/v2/_catalog".to_owned(),
        "/v2/a/tags/list".to_owned(),
        "/v2/a/manifests/latest".to_owned(),
        format!("/v2/a/manifests/{manifest}"),
        format!("/v2/a/blobs/{blob}"),
        format!("/v2/a/referrers/{manifest}"),
    ] {
        let _ = client.get(&uri).send().await.expect(200);
        let _ = client.head(&uri).send().await.expect(200);
    }
    assert_eq!(client.get(&session).send().await.expect(204).header("range"), "0-9");
    lab.tree().await.assert_is(&before);
}

/// Without the option, every delete is refused: of a tag, a manifest, a blob or an upload.
pub async fn delete_off_refuses_every_delete(lab: &Lab) {
    let (writer, image) = (lab.client(), Image::new(1));
    writer.push_image("a", "latest", &image).await;
    let session = writer.begin("a").await;
    let session = writer.append(&session, &content(1, 10)).await;
    let before = lab.tree().await;
    for client in [
        lab.with(|builder| builder.delete(false)).await,
        lab.with(|builder| builder.delete(true).read_only(true)).await,
    ] {
        for uri in [
            "/v2/a/manifests/latest".to_owned(),
            "/v2/a/manifests/absent".to_owned(),
            format!("/v2/a/manifests/{}", image.digest()),
            format!("/v2/a/manifests/{}", digest(b"absent")),
            format!("/v2/a/blobs/{}", digest(&image.blobs[0])),
            format!("/v2/a/blobs/{}", digest(b"absent")),
            session.clone(),
        ] {
            let answer = client.delete(uri).send().await;
            assert!(!answer.header("allow").contains("DELETE"), "{answer}");
            answer.refused(405, "UNSUPPORTED");
        }
    }
    lab.tree().await.assert_is(&before);
    let client = lab.with(|builder| builder.delete(false)).await;
    let _ = client.finish(&session, &digest(&content(1, 10)), "").await.expect(201);
}

/// The three policies about missing content.
pub async fn reference_policies(lab: &Lab) {
    let (present, absent) = (Image::new(1), Image::new(2));
    let complete = lab.with(|builder| builder.references(ReferencePolicy::Complete)).await;
    let sparse_indexes = lab.with(|builder| builder.references(ReferencePolicy::SparseIndexes)).await;
    let sparse = lab.with(|builder| builder.references(ReferencePolicy::Sparse)).await;
    complete.push_image("a", "present", &present).await;
    let partial = index(&[present.descriptor(), absent.descriptor()]);
    for (client, index_is_fine, image_is_fine) in
        [(&complete, false, false), (&sparse_indexes, true, false), (&sparse, true, true)]
    {
        for (bytes, media_type, is_fine) in
            [(&partial, INDEX, index_is_fine), (&absent.manifest, IMAGE, image_is_fine)]
        {
            let answer = client.put_manifest("a", "t", media_type, bytes).await;
            if is_fine {
                let _ = answer.expect(201);
                assert_eq!(client.get("/v2/a/manifests/t").send().await.expect(200).body(), bytes);
            } else {
                answer.refused(400, "MANIFEST_BLOB_UNKNOWN");
            }
        }
        let image =
            document(&json!({"schemaVersion": 2, "config": descriptor(IMAGE, b"x"), "manifests": []}));
        client.put_manifest("a", "t", IMAGE, &image).await.refused(400, "MANIFEST_INVALID");
    }
    // A manifest that one registry accepted is still checked by another one.
    complete.put_manifest("a", "t", IMAGE, &absent.manifest).await.refused(400, "MANIFEST_BLOB_UNKNOWN");
}

/// The policies about layers that name URLs. No policy ever follows one.
pub async fn url_policies(lab: &Lab) {
    let with =
        |urls: &[&str]| Image::with(1, |manifest| manifest["layers"][0]["urls"] = json!(urls)).manifest;
    let accept = lab.client();
    accept.push_image("a", "latest", &Image::new(1)).await;
    let refuse = lab.with(|builder| builder.urls(UrlPolicy::Refuse)).await;
    let prefixes = vec!["https://example.com/".to_owned(), "http://10.0.0.1/x".to_owned()];
    let some = lab.with(|builder| builder.urls(UrlPolicy::Prefixes(prefixes))).await;
    for (urls, is_allowed) in [
        (&[][..], true),
        (&["https://example.com/layer"][..], true),
        (&["https://example.com/layer", "http://10.0.0.1/xyz"][..], true),
        (&["https://example.com/layer", "https://example.org/"][..], false),
        (&["https://example.com.evil/layer"][..], false),
        (&["HTTPS://example.com/layer"][..], false),
        (&["file:///etc/passwd"][..], false),
        (&[""][..], false),
    ] {
        let manifest = with(urls);
        let _ = accept.put_manifest("a", "t", IMAGE, &manifest).await.expect(201);
        for (client, is_allowed) in [(&some, is_allowed), (&refuse, urls.is_empty())] {
            let answer = client.put_manifest("a", "t", IMAGE, &manifest).await;
            if is_allowed {
                let _ = answer.expect(201);
            } else {
                answer.refused(400, "MANIFEST_INVALID");
            }
        }
    }
}

/// Two registries with different options in one process keep their own, on one store and on two.
pub async fn two_registries_keep_their_own_options(lab: &Lab) {
    let strict = lab.with(|builder| builder.delete(false).max_page_size(1).automatic_crossmount(false)).await;
    let loose = lab.with(|builder| builder.delete(true).references(ReferencePolicy::Sparse)).await;
    let closed = lab.with(|builder| builder.read_only(true)).await;
    let apart = super::Client::new(
        &plugin_registry::Registry::builder(plugin_registry_drivers_memory::MemoryDriver::new()).build(),
    );
    let image = Image::new(1);
    for turn in 0..2 {
        strict.put_manifest("a", "t", IMAGE, &image.manifest).await.refused(400, "MANIFEST_BLOB_UNKNOWN");
        let _ = loose.put_manifest("a", "t", IMAGE, &image.manifest).await.expect(201);
        let _ = loose.put_manifest("a", "u", IMAGE, &image.manifest).await.expect(201);
        closed.post("/v2/a/blobs/uploads/").body("").send().await.refused(405, "UNSUPPORTED");
        assert_eq!(closed.get("/v2/a/tags/list?n=5").send().await.json()["tags"], json!(["t", "u"]));
        assert_eq!(strict.get("/v2/a/tags/list?n=5").send().await.json()["tags"], json!(["t"]));
        apart.get("/v2/a/tags/list").send().await.refused(404, "NAME_UNKNOWN");
        strict.delete("/v2/a/manifests/t").send().await.refused(405, "UNSUPPORTED");
        let _ = loose.delete("/v2/a/manifests/t").send().await.expect(202);
        assert_eq!(strict.probe("/v2/a/manifests/t").await, 404, "turn {turn}");
    }
}
