//! Uploads that go on at another instance (http-api facts, section 3.2).

use plugin_registry_core::{Algorithm, Secret};

use super::{
    Lab,
    client::and,
    fixture::{content, digest, digest_as},
};

const MIB: usize = 1 << 20;

/// Another instance on the same store resumes at each acknowledged offset, and finishes.
pub async fn end_5_resume_on_another_instance_at_each_offset(lab: &Lab) {
    let blob = content(1, (2 << 20) + 9);
    let ends = [0, 1, 1000, MIB - 1, MIB, MIB + 1, blob.len()];
    for (case, stop) in ends.into_iter().enumerate() {
        let (first, second) = (lab.another().await, lab.another().await);
        let name = format!("a{case}");
        let mut location = first.begin(&name).await;
        let mut sent = 0;
        for end in ends.into_iter().take_while(|end| *end <= stop).filter(|end| *end > 0) {
            location = first.append(&location, &blob.slice(sent..end)).await;
            sent = end;
        }
        let status = second.get(&location).send().await.expect(204);
        assert_eq!(status.header("range"), format!("0-{}", sent.saturating_sub(1)), "at {stop}");
        let mut location = status.location();
        for end in ends.into_iter().filter(|end| *end > stop) {
            location = second.append(&location, &blob.slice(sent..end)).await;
            sent = end;
        }
        let _ = second.finish(&location, &digest(&blob), "").await.expect(201);
        first.assert_blob(&name, &blob).await;
    }
    assert!(!lab.tree().await.paths().any(|path| path.contains("_uploads")));
}

/// Each request of an upload may go to another instance.
pub async fn end_5_every_request_on_another_instance(lab: &Lab) {
    let blob = content(1, 300_000);
    for algorithm in Algorithm::ALL {
        let name = format!("a/{algorithm}");
        let start = format!("/v2/{name}/blobs/uploads/?digest-algorithm={algorithm}");
        let mut location = lab.another().await.post(start).body("").send().await.expect(202).location();
        for at in (0..blob.len()).step_by(70_000) {
            let chunk = blob.slice(at..blob.len().min(at + 70_000));
            location = lab.another().await.append(&location, &chunk).await;
            let status = lab.another().await.get(&location).send().await.expect(204);
            assert_eq!(status.header("range"), format!("0-{}", at + chunk.len() - 1));
            location = status.location();
        }
        let digest = digest_as(algorithm, &blob);
        let done = lab.another().await.finish(&location, &digest, "").await.expect(201);
        assert_eq!(done.header("docker-content-digest"), digest);
        assert!(lab.client().pull(&name, &digest).await == blob);
    }
}

/// Two instances take turns. The one that did not see the last chunk does not rely on its own view.
pub async fn end_5_instances_take_turns(lab: &Lab) {
    let blob = content(1, 4000);
    let (first, second) = (lab.another().await, lab.another().await);
    let mut location = first.begin("a").await;
    for (turn, at) in (0..blob.len()).step_by(500).enumerate() {
        let (now, other) = if turn % 2 == 0 { (&first, &second) } else { (&second, &first) };
        let old = location.clone();
        location = now.append(&location, &blob.slice(at..at + 500)).await;
        other.patch(&old).body(blob.slice(at..at + 500)).send().await.refused(416, "RANGE_INVALID");
        assert_eq!(other.get(&old).send().await.expect(204).header("range"), format!("0-{}", at + 499));
    }
    let _ = first.finish(&location, &digest(&blob), "").await.expect(201);
    second.assert_blob("a", &blob).await;
    second.get(&location).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
}

/// A chunk out of order is 416 also on an instance that has not seen the session before.
pub async fn end_5_out_of_order_on_another_instance_is_416(lab: &Lab) {
    let blob = content(1, 2000);
    let start = lab.client().begin("a").await;
    let location = lab.client().append(&start, &blob.slice(..1000)).await;
    for range in ["0-999", "500-1499", "1001-1999"] {
        let length: usize = if range == "1001-1999" { 999 } else { 1000 };
        let call = lab.another().await.patch(&location).header("content-range", range);
        call.body(blob.slice(..length)).send().await.refused(416, "RANGE_INVALID");
        let call = lab.another().await.put(and(&location, &format!("digest={}", digest(&blob))));
        let call = call.header("content-range", range).body(blob.slice(..length));
        call.send().await.refused(416, "RANGE_INVALID");
    }
    lab.another().await.patch(&start).body(blob.slice(..1000)).send().await.refused(416, "RANGE_INVALID");
    let _ = lab.another().await.finish(&location, &digest(&blob), blob.slice(1000..)).await.expect(201);
    lab.client().assert_blob("a", &blob).await;
}

/// A large upload finishes on another instance, whatever happened to its stored hash state.
///
/// The state may be there, missing, damaged or of other bytes.
pub async fn end_6_finish_a_large_upload_on_another_instance(lab: &Lab) {
    let blob = content(1, 17 * MIB + 3);
    let half = 16 * MIB + 1;
    for damage in [None, Some("remove"), Some("short"), Some("foreign")] {
        let name = format!("a-{}", damage.unwrap_or("none"));
        let start = lab.client().begin(&name).await;
        let location = lab.client().append(&start, &blob.slice(..half)).await;
        let tree = lab.tree().await;
        let is_state = |path: &&str| path.contains("/_uploads/") && path.contains("/sha256/");
        let states: Vec<String> = tree.paths().filter(is_state).map(str::to_owned).collect();
        assert!(!states.is_empty(), "a large upload has a hash state: {tree:?}");
        for state in states {
            match damage {
                Some("remove") => lab.remove(&state).await,
                Some("short") => lab.write(&state, &b"sha\x03short"[..]).await,
                // The state of other bytes, of another length.
                Some(_) => lab.write(&state, content(7, 108)).await,
                None => {}
            }
        }
        let other = lab.another().await;
        assert_eq!(other.get(&location).send().await.expect(204).header("range"), format!("0-{}", half - 1));
        let _ = other.finish(&location, &digest(&blob), blob.slice(half..)).await.expect(201);
        assert!(other.pull(&name, &digest(&blob)).await == blob);
        lab.clear().await;
    }
}

/// Instances with the same key accept each other's locations. Instances with another key refuse them.
pub async fn end_5_state_is_bound_to_the_key(lab: &Lab) {
    let one = lab.with(|builder| builder.upload_key(Secret::new("one"))).await;
    let same = lab.with(|builder| builder.upload_key(Secret::new("one"))).await;
    let two = lab.with(|builder| builder.upload_key(Secret::new("two"))).await;
    let location = one.begin("a").await;
    let location = one.append(&location, &content(1, 10)).await;
    two.get(&location).send().await.refused(404, "BLOB_UPLOAD_INVALID");
    two.patch(&location).body("x").send().await.refused(404, "BLOB_UPLOAD_INVALID");
    lab.client().get(&location).send().await.refused(404, "BLOB_UPLOAD_INVALID");
    let location = same.append(&location, &content(2, 10)).await;
    assert_eq!(one.get(location).send().await.expect(204).header("range"), "0-19");
}

/// Without a key, instances with the same location name share the state.
pub async fn end_5_state_is_bound_to_the_location(lab: &Lab) {
    let one = lab.with(|builder| builder.identity("velero/a", "1")).await;
    let same = lab.with(|builder| builder.identity("velero/a", "2")).await;
    let other = lab.with(|builder| builder.identity("velero/b", "1")).await;
    let location = one.begin("a").await;
    let location = one.append(&location, &content(1, 10)).await;
    for stranger in [&other, &lab.client()] {
        stranger.get(&location).send().await.refused(404, "BLOB_UPLOAD_INVALID");
        stranger.patch(&location).body("x").send().await.refused(404, "BLOB_UPLOAD_INVALID");
        stranger.delete(&location).send().await.refused(404, "BLOB_UPLOAD_INVALID");
    }
    let location = same.append(&location, &content(2, 10)).await;
    assert_eq!(one.get(location).send().await.expect(204).header("range"), "0-19");
}

/// An instance's memory of a session never makes it store other bytes.
///
/// Another instance ends the session, and the client starts again with its first location. Then only the
/// right bytes get a 201.
pub async fn end_6_a_stale_memory_never_stores_other_bytes(lab: &Lab) {
    let (blob, other) = (content(1, 1000), content(2, 1000));
    for way in ["cancelled", "mismatch"] {
        let stale = lab.another().await;
        let start = stale.begin(way).await;
        let location = stale.append(&start, &blob).await;
        let ending = lab.another().await;
        if way == "cancelled" {
            let _ = ending.delete(&location).send().await.expect(204);
        } else {
            ending.finish(&location, &digest(b"another"), "").await.refused(400, "DIGEST_INVALID");
        }
        let fresh = lab.another().await;
        let again = fresh.patch(&start).body(other.clone()).send().await;
        if again.status() == 404 {
            continue;
        }
        let _ = again.expect(202);
        let done = stale.finish(&location, &digest(&blob), "").await;
        if done.status() == 201 {
            fresh.assert_blob(way, &blob).await;
        } else {
            assert!(done.is_refusal(), "{done}");
        }
    }
}
