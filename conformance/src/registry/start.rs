//! end-4: starting an upload, and the single POST.

use plugin_registry_core::Algorithm;

use super::{
    Lab, body,
    client::and,
    fixture::{content, digest, digest_as},
};

/// POST returns a location with a unique session, and stores nothing that counts.
pub async fn end_4a_post_starts_a_session(lab: &Lab) {
    let client = lab.client();
    let mut seen = Vec::new();
    for uri in ["/v2/ns/app/blobs/uploads/", "/v2/ns/app/blobs/uploads"] {
        let answer = client.post(uri).body("").send().await.expect(202);
        assert_eq!(answer.header("range"), "0-0");
        assert_eq!(answer.header("content-length"), "0");
        let id = answer.header("docker-upload-uuid");
        assert!(id.len() == 36 && id.bytes().filter(|byte| *byte == b'-').count() == 4, "no UUID: {id}");
        assert!(answer.location().starts_with(&format!("/v2/ns/app/blobs/uploads/{id}")), "{answer}");
        let status = client.get(answer.location()).send().await.expect(204);
        assert_eq!(status.header("docker-upload-uuid"), id);
        seen.push(id.to_owned());
    }
    assert_ne!(seen[0], seen[1]);
    client.get("/v2/ns/app/tags/list").send().await.refused(404, "NAME_UNKNOWN");
}

/// One POST with the digest and the bytes stores the blob.
pub async fn end_4b_single_post_stores_the_blob(lab: &Lab) {
    let client = lab.client();
    for (seed, size) in [(1, 0), (2, 1), (3, 70_000), (4, (1 << 20) + 1)] {
        let blob = content(seed, size);
        let digest = digest(&blob);
        let uri = format!("/v2/ns/app/blobs/uploads/?digest={digest}");
        let answer = client.post(uri).body(blob.clone()).send().await.expect(201);
        assert_eq!(answer.header("docker-content-digest"), digest);
        assert_eq!(answer.header("content-length"), "0");
        assert!(client.get(answer.location()).send().await.expect(200).body() == &blob);
        client.assert_blob("ns/app", &blob).await;
    }
}

/// The body may come in pieces, without a length.
pub async fn end_4b_single_post_streams(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 300_001);
    for (algorithm, size) in [(Algorithm::Sha256, 1000), (Algorithm::Sha512, 70_000)] {
        let digest = digest_as(algorithm, &blob);
        let call = client.post(format!("/v2/a/blobs/uploads/?digest={digest}"));
        let answer = call.stream(body::pieces(&blob, size)).send().await.expect(201);
        assert_eq!(answer.header("docker-content-digest"), digest);
        assert!(client.pull("a", &digest).await == blob);
    }
}

/// The digest of other bytes, or an invalid one, is 400. Nothing is stored.
pub async fn end_4b_wrong_digest_is_400(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 70_000);
    let hex = "a".repeat(64);
    for digest in [
        digest(b"other"),
        digest_as(Algorithm::Sha512, b"other"),
        "sha256:baddigeststring".to_owned(),
        format!("md5:{}", "a".repeat(32)),
        format!("sha256:{}", hex.to_uppercase()),
        format!("SHA256:{hex}"),
        String::new(),
        "latest".to_owned(),
    ] {
        let uri = format!("/v2/a/blobs/uploads/?digest={digest}");
        client.post(&uri).body(blob.clone()).send().await.refused(400, "DIGEST_INVALID");
        client.post(&uri).stream(body::pieces(&blob, 999)).send().await.refused(400, "DIGEST_INVALID");
    }
    assert!(lab.tree().await.is_empty(), "{:?}", lab.tree().await);
}

/// A body that is not as long as announced is 400 `SIZE_INVALID`. Nothing is stored.
pub async fn end_4b_wrong_length_is_400(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 70_000);
    let digest = digest(&blob);
    for length in ["0", "1", "69999", "70001", "10000000000", "x", "-1", "18446744073709551616"] {
        let call = client.post(format!("/v2/a/blobs/uploads/?digest={digest}"));
        let call = call.header("content-length", length).stream(body::pieces(&blob, 4096));
        call.send().await.refused(400, "SIZE_INVALID");
    }
    assert!(lab.tree().await.is_empty(), "{:?}", lab.tree().await);
}

/// A body that breaks off is 4xx. Nothing is stored.
pub async fn end_4b_broken_body_is_4xx(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 70_000);
    let digest = digest(&blob);
    for end in [0, 1, 69_999, 70_000] {
        let call = client.post(format!("/v2/a/blobs/uploads/?digest={digest}"));
        let call = call.header("content-length", 70_000).stream(body::broken(&blob.slice(..end), 4096));
        call.send().await.refused(400, "BLOB_UPLOAD_INVALID");
    }
    assert!(lab.tree().await.is_empty(), "{:?}", lab.tree().await);
}

/// A session started for an algorithm takes a blob named by it, in chunks or at once.
pub async fn end_4c_digest_algorithm(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 70_000);
    for algorithm in Algorithm::ALL {
        let digest = digest_as(algorithm, &blob);
        let uri = format!("/v2/{algorithm}/blobs/uploads/?digest-algorithm={algorithm}");
        let location = client.post(&uri).body("").send().await.expect(202).location();
        let location = client.append(&location, &blob.slice(..30_000)).await;
        let location = client.append(&location, &blob.slice(30_000..)).await;
        let done = client.finish(&location, &digest, "").await.expect(201);
        assert_eq!(done.header("docker-content-digest"), digest);
        assert!(done.location().ends_with(&digest));
        assert!(client.pull(algorithm.as_str(), &digest).await == blob);
        let location = client.post(&uri).body("").send().await.expect(202).location();
        let done = client.finish(&location, &digest, blob.clone()).await.expect(201);
        assert_eq!(done.header("docker-content-digest"), digest);
    }
}

/// An algorithm that is not supported is 400.
pub async fn end_4c_unsupported_algorithm_is_400(lab: &Lab) {
    for algorithm in ["md5", "sha1", "blake3", "SHA512", "", "sha512:", "../sha512"] {
        let uri = format!("/v2/a/blobs/uploads/?digest-algorithm={algorithm}");
        lab.client().post(uri).body("").send().await.refused(400, "DIGEST_INVALID");
    }
}

/// The announced algorithm is only a hint. The digest of the PUT counts.
pub async fn end_4c_another_algorithm_may_finish(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 70_000);
    for announced in ["", "digest-algorithm=sha256", "digest-algorithm=sha384", "digest-algorithm=sha512"] {
        for algorithm in Algorithm::ALL {
            for chunk in [0, 30_000, 70_000] {
                let name = format!("{algorithm}/{chunk}");
                let digest = digest_as(algorithm, &blob);
                let uri = and(&format!("/v2/{name}/blobs/uploads/"), announced);
                let mut location = client.post(uri).body("").send().await.expect(202).location();
                if chunk > 0 {
                    location = client.append(&location, &blob.slice(..chunk)).await;
                }
                let done = client.finish(&location, &digest, blob.slice(chunk..)).await.expect(201);
                assert_eq!(done.header("docker-content-digest"), digest);
                assert!(client.pull(&name, &digest).await == blob);
            }
        }
    }
}

/// However many sessions are started and abandoned, nothing is stored, and the first one can still go on.
pub async fn end_4a_many_sessions(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 1000);
    let (first, begun) = (client.begin("a").await, client.begin("a").await);
    let begun = client.append(&begun, &blob.slice(..500)).await;
    let before = lab.tree().await;
    for _ in 0..6000 {
        client.begin("a").await;
    }
    lab.tree().await.assert_is(&before);
    let _ = client.finish(&begun, &digest(&blob), blob.slice(500..)).await.expect(201);
    let first = client.append(&first, &blob.slice(..500)).await;
    let _ = client.finish(&first, &digest(&blob), blob.slice(500..)).await.expect(201);
    client.assert_blob("a", &blob).await;
}
