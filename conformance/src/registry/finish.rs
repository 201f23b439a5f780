//! end-6: finishing an upload.

use bytes::Bytes;
use plugin_registry_core::Algorithm;

use super::{
    Lab, body,
    client::and,
    fixture::{content, digest, digest_as},
};

/// PUT with the whole body is 201 with the blob's location and digest.
pub async fn end_6_put_with_the_whole_body(lab: &Lab) {
    let client = lab.client();
    for (seed, size) in [(1, 0), (2, 1), (3, 70_000), (4, (3 << 20) + 5)] {
        let blob = content(seed, size);
        let location = client.begin("ns/app").await;
        let done = client.finish(&location, &digest(&blob), blob.clone()).await.expect(201);
        assert_eq!(done.header("docker-content-digest"), digest(&blob));
        assert_eq!(done.header("content-length"), "0");
        assert!(client.get(done.location()).send().await.expect(200).body() == &blob);
    }
}

/// PUT may have a body of unknown length.
pub async fn end_6_put_streams(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, (1 << 20) + 5);
    for begun in [0, 500_000] {
        let name = format!("a{begun}");
        let mut location = client.begin(&name).await;
        if begun > 0 {
            location = client.append(&location, &blob.slice(..begun)).await;
        }
        let call = client.put(and(&location, &format!("digest={}", digest(&blob))));
        let _ = call.stream(body::pieces(&blob.slice(begun..), 70_000)).send().await.expect(201);
        client.assert_blob(&name, &blob).await;
    }
}

/// The last chunk may come with the PUT, with its `Content-Range` or without.
pub async fn end_6_put_with_the_last_chunk(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 3000);
    for (name, range) in [("a", Some("2000-2999")), ("b", None)] {
        let location = client.begin(name).await;
        let location = client.append(&location, &blob.slice(..2000)).await;
        let mut call = client.put(and(&location, &format!("digest={}", digest(&blob))));
        if let Some(range) = range {
            call = call.header("content-range", range);
        }
        let _ = call.body(blob.slice(2000..)).send().await.expect(201);
        client.assert_blob(name, &blob).await;
    }
}

/// A last chunk that does not begin where the upload stands is 416. The upload is kept.
pub async fn end_6_out_of_order_final_chunk_is_416(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 3000);
    let start = client.begin("a").await;
    let put = |location: &str| client.put(and(location, &format!("digest={}", digest(&blob))));
    put(&start)
        .header("content-range", "1-2999")
        .body(blob.slice(1..))
        .send()
        .await
        .refused(416, "RANGE_INVALID");
    let location = client.append(&start, &blob.slice(..1000)).await;
    for range in ["0-1999", "999-2998", "1001-3000", "2000-3999"] {
        let call = put(&location).header("content-range", range).body(blob.slice(..2000));
        call.send().await.refused(416, "RANGE_INVALID");
        assert_eq!(client.get(&location).send().await.expect(204).header("range"), "0-999");
    }
    // By the old location, the bytes belong to the beginning.
    put(&start).body(blob.clone()).send().await.refused(416, "RANGE_INVALID");
    put(&start).body("").send().await.refused(416, "RANGE_INVALID");
    let _ =
        put(&location).header("content-range", "1000-2999").body(blob.slice(1000..)).send().await.expect(201);
    client.assert_blob("a", &blob).await;
}

/// A `Content-Range` that is invalid, or disagrees with the length, is 4xx. The upload is kept.
pub async fn end_6_bad_content_range_is_4xx(lab: &Lab) {
    let client = lab.client();
    let location = client.begin("a").await;
    for range in ["x", "0-", "0-3", "4-0", "0-99999999999999999999", ""] {
        let call = client.put(and(&location, &format!("digest={}", digest(b"hello"))));
        let answer = call.header("content-range", range).body("hello").send().await;
        assert!(matches!(answer.status(), 400 | 416), "{answer}");
    }
    let _ = client.finish(&location, &digest(b"hello"), "hello").await.expect(201);
}

/// PUT without a valid digest is 400. The session stays.
pub async fn end_6_bad_digest_is_400(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 1000);
    let location = client.begin("a").await;
    let location = client.append(&location, &blob.slice(..500)).await;
    let hex = "a".repeat(64);
    for query in [
        String::new(),
        "digest".to_owned(),
        "digest=".to_owned(),
        "digest=sha256:baddigeststring".to_owned(),
        format!("digest=md5:{}", "a".repeat(32)),
        format!("digest=sha256:{}", hex.to_uppercase()),
        format!("digest={hex}"),
        format!("digest=sha512:{hex}"),
        format!("digests={}", digest(&blob)),
    ] {
        client
            .put(and(&location, &query))
            .body(blob.slice(500..))
            .send()
            .await
            .refused(400, "DIGEST_INVALID");
        assert_eq!(client.get(&location).send().await.expect(204).header("range"), "0-499");
    }
    let _ = client.finish(&location, &digest(&blob), blob.slice(500..)).await.expect(201);
}

/// The digest of other bytes is 400, however the bytes came. Nothing becomes visible.
///
/// A PUT that brought bytes can be repeated with the right ones.
pub async fn end_6_wrong_digest_is_400(lab: &Lab) {
    let client = lab.client();
    let (blob, other) = (content(1, 1000), content(2, 1000));
    for algorithm in Algorithm::ALL {
        let right = digest_as(algorithm, &blob);
        for begun in [0, 500] {
            let name = format!("{algorithm}/{begun}");
            let start = format!("/v2/{name}/blobs/uploads/?digest-algorithm={algorithm}");
            let mut location = client.post(start).body("").send().await.expect(202).location();
            if begun > 0 {
                location = client.append(&location, &blob.slice(..begun)).await;
            }
            let wrong = client.finish(&location, &right, other.slice(begun..)).await;
            wrong.refused(400, "DIGEST_INVALID");
            client.get(format!("/v2/{name}/blobs/{right}")).send().await.refused(404, "BLOB_UNKNOWN");
            let _ = client.finish(&location, &right, blob.slice(begun..)).await.expect(201);
            assert!(client.pull(&name, &right).await == blob);
        }
        let name = format!("{algorithm}/whole");
        let location = client.begin(&name).await;
        let location = client.append(&location, &other).await;
        client.finish(&location, &right, "").await.refused(400, "DIGEST_INVALID");
        client.get(format!("/v2/{name}/blobs/{right}")).send().await.refused(404, "BLOB_UNKNOWN");
    }
    let tree = lab.tree().await;
    for path in tree.paths().filter(|path| path.contains("/blobs/")) {
        assert!(tree.get(path).unwrap() == &blob, "{path}");
    }
}

/// A body that is not as long as announced is 400 `SIZE_INVALID`. Nothing becomes visible, and the PUT can
/// be repeated.
pub async fn end_6_body_of_another_length_is_400(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 3000);
    for begun in [0, 1000] {
        let name = format!("a{begun}");
        let mut location = client.begin(&name).await;
        if begun > 0 {
            location = client.append(&location, &blob.slice(..begun)).await;
        }
        let rest = blob.slice(begun..);
        for length in [0, 1, rest.len() - 1, rest.len() + 1, 10_000_000_000] {
            let call = client.put(and(&location, &format!("digest={}", digest(&blob))));
            let call = call.header("content-length", length).stream(body::pieces(&rest, 700));
            call.send().await.refused(400, "SIZE_INVALID");
            let blob_uri = format!("/v2/{name}/blobs/{}", digest(&blob));
            client.get(blob_uri).send().await.refused(404, "BLOB_UNKNOWN");
        }
        let _ = client.finish(&location, &digest(&blob), rest).await.expect(201);
        client.assert_blob(&name, &blob).await;
    }
}

/// A finished session is gone: every request to it is 404, and nothing of it is left in the store.
pub async fn end_6_finished_session_is_gone(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 1000);
    for chunk in [0, 400, 1000] {
        let start = client.begin("a").await;
        let mut location = start.clone();
        if chunk > 0 {
            location = client.append(&location, &blob.slice(..chunk)).await;
        }
        let _ = client.finish(&location, &digest(&blob), blob.slice(chunk..)).await.expect(201);
        for old in [&start, &location] {
            client.get(old).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
            client.patch(old).body("more").send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
            client.finish(old, &digest(&blob), "").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
            client.delete(old).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
        let tree = lab.tree().await;
        assert!(!tree.paths().any(|path| path.contains("_uploads")), "{tree:?}");
    }
}

/// Two sessions push one blob at the same time: both succeed, and one copy is stored.
pub async fn end_6_two_sessions_push_one_blob(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 300_000);
    let (first, second) = (client.begin("a").await, client.begin("b").await);
    let first = client.append(&first, &blob.slice(..100_000)).await;
    let second = client.append(&second, &blob.slice(..200_000)).await;
    let digest = digest(&blob);
    let (a, b) = futures::future::join(
        client.finish(&first, &digest, blob.slice(100_000..)),
        client.finish(&second, &digest, blob.slice(200_000..)),
    )
    .await;
    let _ = (a.expect(201), b.expect(201));
    client.assert_blob("a", &blob).await;
    client.assert_blob("b", &blob).await;
    assert_eq!(lab.tree().await.len(), 3);
}

/// The empty blob is pushed by PUT without a body, after an empty chunk, and as an empty stream.
pub async fn end_6_empty_blob(lab: &Lab) {
    let client = lab.client();
    for algorithm in Algorithm::ALL {
        let empty = digest_as(algorithm, b"");
        for way in ["put", "chunk", "stream", "bare"] {
            let name = format!("{algorithm}/{way}");
            let mut location = client.begin(&name).await;
            if way == "chunk" {
                location = client.append(&location, &Bytes::new()).await;
            }
            let call = client.put(and(&location, &format!("digest={empty}")));
            let call = match way {
                "stream" => call.stream(body::pieces(&Bytes::new(), 1)),
                "bare" => call,
                _ => call.body(""),
            };
            let _ = call.send().await.expect(201);
            assert!(client.pull(&name, &empty).await.is_empty());
        }
    }
}

/// Frames without bytes, and trailers, are not part of a blob.
pub async fn end_6_untidy_bodies(lab: &Lab) {
    let client = lab.client();
    for (seed, size) in [(1, 0), (2, 1), (3, 3000)] {
        let blob = content(seed, size);
        let digest = digest(&blob);
        for way in ["post", "put", "patch", "last"] {
            let name = format!("{way}/{size}");
            if way == "post" {
                let call = client.post(format!("/v2/{name}/blobs/uploads/?digest={digest}"));
                let _ = call.stream(body::untidy(&blob, 700)).send().await.expect(201);
            } else {
                let mut location = client.begin(&name).await;
                let mut begun = 0;
                if way == "patch" {
                    let call = client.patch(&location).stream(body::untidy(&blob, 700));
                    location = call.send().await.expect(202).location();
                    begun = size;
                } else if way == "last" {
                    begun = size / 2;
                    location = client.append(&location, &blob.slice(..begun)).await;
                }
                let call = client.put(and(&location, &format!("digest={digest}")));
                let call = call.header("content-length", size - begun);
                let _ = call.stream(body::untidy(&blob.slice(begun..), 700)).send().await.expect(201);
            }
            client.assert_blob(&name, &blob).await;
        }
    }
    assert!(!lab.tree().await.paths().any(|path| path.contains("_uploads")));
}

/// The client's parameter may come before those of the location, and may be encoded.
pub async fn end_6_location_may_carry_its_own_query(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 100);
    let location = client.begin("a").await;
    let (path, state) = location.split_once('?').unwrap();
    let encoded = digest(&blob).replace(':', "%3A");
    let call = client.put(format!("{path}?digest={encoded}&{state}"));
    let _ =
        call.header("content-type", "application/octet-stream").body(blob.clone()).send().await.expect(201);
    client.assert_blob("a", &blob).await;
}
