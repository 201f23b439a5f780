//! end-13 and end-14: status and cancellation of upload sessions.

use futures::future::join;

use super::{
    Lab, body,
    client::and,
    fixture::{content, digest},
};

/// GET and HEAD are 204 with the location and the range of the acknowledged bytes.
pub async fn end_13_status_is_204_with_location_and_range(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 3000);
    let mut location = client.begin("ns/app").await;
    let mut sent = 0;
    for (end, range) in [(0, "0-0"), (1, "0-0"), (2, "0-1"), (1000, "0-999"), (3000, "0-2999")] {
        if end > sent {
            location = client.append(&location, &blob.slice(sent..end)).await;
            sent = end;
        }
        for call in [client.get(&location), client.head(&location)] {
            let answer = call.send().await.expect(204);
            assert_eq!(answer.header("range"), range);
            assert!(answer.header("location").contains(answer.header("docker-upload-uuid")));
            assert!(answer.get("content-length").is_none(), "RFC 9110, section 8.6: {answer}");
        }
    }
    let status = client.get(&location).send().await.expect(204);
    let _ = client.finish(&status.location(), &digest(&blob), "").await.expect(201);
}

/// An unknown session is 404.
pub async fn end_13_unknown_session_is_404(lab: &Lab) {
    let client = lab.client();
    let unknown = "/v2/a/blobs/uploads/018f0000-0000-7000-8000-000000000000";
    for call in [client.get(unknown), client.head(unknown)] {
        call.send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

/// A cancel is 204, and the session with all its bytes is gone: every request is 404 on every instance.
pub async fn end_14_cancel_is_204(lab: &Lab) {
    let client = lab.client();
    for sent in [0, 10, 70_000] {
        let start = client.begin("a").await;
        let mut location = start.clone();
        if sent > 0 {
            location = client.append(&location, &content(1, sent)).await;
        }
        let answer = client.delete(&location).send().await.expect(204);
        assert!(location.contains(answer.header("docker-upload-uuid")));
        assert!(lab.tree().await.is_empty(), "{:?}", lab.tree().await);
        for old in [&start, &location] {
            client.get(old).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
            client.patch(old).body("x").send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
            client.delete(old).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
            let put = and(old, &format!("digest={}", digest(b"x")));
            client.put(put).body("x").send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
        if sent > 0 {
            lab.another().await.get(&location).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
        assert!(lab.tree().await.is_empty());
    }
}

/// Another instance can cancel what this one began.
pub async fn end_14_cancel_on_another_instance(lab: &Lab) {
    let client = lab.client();
    let location = client.begin("a").await;
    let location = client.append(&location, &content(1, 100)).await;
    let _ = lab.another().await.delete(&location).send().await.expect(204);
    assert!(lab.tree().await.is_empty());
    client.get(&location).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    client.patch(&location).body("x").send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    client.finish(&location, &digest(&content(1, 100)), "").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
}

/// A session of another repository cannot be cancelled, and other sessions are not touched.
pub async fn end_14_cancel_only_this_session(lab: &Lab) {
    let client = lab.client();
    let keep = client.begin("a").await;
    let keep = client.append(&keep, &content(1, 100)).await;
    let gone = client.begin("a").await;
    let gone = client.append(&gone, &content(2, 100)).await;
    let stranger = gone.replace("/v2/a/", "/v2/b/");
    assert!(client.delete(stranger).send().await.expect(404).is_refusal());
    let _ = client.delete(&gone).send().await.expect(204);
    assert_eq!(client.get(&keep).send().await.expect(204).header("range"), "0-99");
    let _ = client.finish(&keep, &digest(&content(1, 100)), "").await.expect(201);
}

/// A cancel ends a PATCH or PUT whose body never ends.
///
/// Until then that request holds the session. The cancel is 204, the running request is 404, and nothing is
/// left.
pub async fn end_14_cancel_ends_what_is_under_way(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 3000);
    for begun in [0, 1000] {
        for is_last in [false, true] {
            let mut location = client.begin("a").await;
            if begun > 0 {
                location = client.append(&location, &blob.slice(..begun)).await;
            }
            let put = and(&location, &format!("digest={}", digest(&blob)));
            let call = if is_last { client.put(put) } else { client.patch(&location) };
            let (body, stalled) = body::stalled(&blob.slice(begun..2000), 100);
            let mut running = Box::pin(call.stream(body).send());
            assert!(stalled.drive(&mut running).await.is_none());
            let (ended, cancelled) = join(running, client.delete(&location).send()).await;
            let _ = cancelled.expect(204);
            ended.refused(404, "BLOB_UPLOAD_UNKNOWN");
            client.get(&location).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
            client.patch(&location).body("x").send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
            assert!(lab.tree().await.is_empty(), "{:?}", lab.tree().await);
        }
    }
}
