//! end-11: mounting blobs.

use plugin_registry::Registry;
use plugin_registry_core::{Algorithm, ErrorKind, Operation};

use super::{
    Client, Lab, Wrapped,
    fixture::{content, digest_as},
};

/// A mount of a blob of the named repository is 201 with location and digest, by each algorithm.
///
/// It can be read at once.
pub async fn end_11_mount_is_201(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 70_000);
    for algorithm in Algorithm::ALL {
        let digest = client.push_as(algorithm, &format!("from/{algorithm}"), &blob).await;
        let name = format!("to/{algorithm}");
        let uri = format!("/v2/{name}/blobs/uploads/?mount={digest}&from=from/{algorithm}");
        for _ in 0..2 {
            let answer = client.post(&uri).body("").send().await.expect(201);
            assert_eq!(answer.header("docker-content-digest"), digest);
            assert!(client.get(answer.location()).send().await.expect(200).body() == &blob);
        }
        assert!(client.pull(&name, &digest).await == blob);
        let head = client.head(format!("/v2/{name}/blobs/{digest}")).send().await.expect(200);
        assert_eq!(head.header("docker-content-digest"), digest);
        // The canonical link is there as well, so that distribution can read it.
        assert!(client.pull(&name, &super::fixture::digest(&blob)).await == blob);
    }
}

/// `from` with encoded slashes is the same repository.
pub async fn end_11_mount_from_an_encoded_name(lab: &Lab) {
    let client = lab.client();
    let digest = client.push("ns/from", &content(1, 10)).await;
    let uri = format!("/v2/a/blobs/uploads/?from=ns%2Ffrom&mount={}", digest.replace(':', "%3A"));
    let _ = client.post(uri).body("").send().await.expect(201);
}

/// A blob that the named repository does not have, although another one has it, is 202 with a session that
/// works.
pub async fn end_11_mount_of_a_missing_blob_is_202(lab: &Lab) {
    let client = lab.client();
    let (blob, absent) = (content(1, 1000), content(2, 1000));
    client.push("a", &blob).await;
    for (case, (content, algorithm, from)) in [
        (&absent, Algorithm::Sha256, "a"),
        (&blob, Algorithm::Sha256, "absent"),
        (&blob, Algorithm::Sha256, "a/b"),
        (&blob, Algorithm::Sha512, "a"),
        (&absent, Algorithm::Sha512, "absent"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("to{case}");
        let digest = digest_as(algorithm, content);
        let uri = format!("/v2/{name}/blobs/uploads/?mount={digest}&from={from}");
        let answer = client.post(uri).body("").send().await.expect(202);
        assert_eq!(answer.header("range"), "0-0");
        client.head(format!("/v2/{name}/blobs/{digest}")).send().await.refused(404, "BLOB_UNKNOWN");
        let done = client.finish(&answer.location(), &digest, content.clone()).await.expect(201);
        assert_eq!(done.header("docker-content-digest"), digest);
        assert!(client.pull(&name, &digest).await == content);
    }
}

/// A mount from the same repository is 201 if the blob is there, else 202.
pub async fn end_11_mount_from_the_same_repository(lab: &Lab) {
    let client = lab.client();
    let digest = client.push("a", &content(1, 1000)).await;
    let absent = super::fixture::digest(b"absent");
    let uri = format!("/v2/a/blobs/uploads/?mount={digest}&from=a");
    assert_eq!(client.post(uri).body("").send().await.expect(201).header("docker-content-digest"), digest);
    let uri = format!("/v2/a/blobs/uploads/?mount={absent}&from=a");
    let _ = client.post(uri).body("").send().await.expect(202);
}

/// Without `from`, a blob that is anywhere in the store is 201. A blob that is nowhere is 202.
pub async fn end_11_anonymous_mount(lab: &Lab) {
    let client = lab.client();
    let (blob, absent) = (content(1, 1000), content(2, 1000));
    let digest = client.push("a", &blob).await;
    for query in [format!("mount={digest}"), format!("mount={digest}&from=")] {
        let answer = client.post(format!("/v2/b/blobs/uploads/?{query}")).body("").send().await.expect(201);
        assert_eq!(answer.header("docker-content-digest"), digest);
        client.assert_blob("b", &blob).await;
        let _ = client.delete(answer.location()).send().await.expect(202);
    }
    let uri = format!("/v2/b/blobs/uploads/?mount={}", super::fixture::digest(&absent));
    let answer = client.post(uri).body("").send().await.expect(202);
    let _ =
        client.finish(&answer.location(), &super::fixture::digest(&absent), absent.clone()).await.expect(201);
}

/// Without `from` by sha512, the answer is 201 or 202. Then the blob is there, or the session works.
pub async fn end_11_anonymous_mount_by_sha512(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 1000);
    let digest = client.push_as(Algorithm::Sha512, "a", &blob).await;
    let answer = client.post(format!("/v2/b/blobs/uploads/?mount={digest}")).body("").send().await;
    if answer.status() == 202 {
        let _ = client.finish(&answer.location(), &digest, blob.clone()).await.expect(201);
    } else {
        assert_eq!(answer.expect(201).header("docker-content-digest"), digest);
    }
    assert!(client.pull("b", &digest).await == blob);
}

/// Anonymous mounts are off unless the host enables them: 202, and no link.
pub async fn end_11_anonymous_mount_is_off_by_default(lab: &Lab) {
    let digest = lab.client().push("a", &content(1, 1000)).await;
    let client = Client::new(&Registry::builder(lab.shared()).build());
    let before = lab.tree().await;
    let _ = client.post(format!("/v2/b/blobs/uploads/?mount={digest}")).body("").send().await.expect(202);
    lab.tree().await.assert_is(&before);
    let _ =
        client.post(format!("/v2/b/blobs/uploads/?mount={digest}&from=a")).body("").send().await.expect(201);
}

/// An invalid digest or `from` gives a session that works, and links nothing.
pub async fn end_11_bad_mount(lab: &Lab) {
    let client = lab.client();
    let (blob, other) = (content(1, 1000), content(2, 1000));
    let digest = client.push("a", &blob).await;
    let before = lab.tree().await;
    let bad = ["", "sha256:x", "md5:d41d8cd98f00b204e9800998ecf8427e", "latest", "../../a", "%zz"];
    let bad = bad.map(|bad| format!("mount={bad}&from=a"));
    let long = "a".repeat(256);
    let from = ["A", "..", "a/../a", "a%00", "_layers", "a:b", "a@sha256:x", "https%3A%2F%2Fa", "%ff", &long];
    let from = from.map(|from| format!("mount={digest}&from={from}"));
    let mut locations = Vec::new();
    for query in bad.into_iter().chain(from) {
        let answer = client.post(format!("/v2/b/blobs/uploads/?{query}")).body("").send().await.expect(202);
        assert_eq!(answer.header("range"), "0-0", "{query}");
        locations.push(answer.location());
    }
    lab.tree().await.assert_is(&before);
    for location in locations {
        let _ = client.finish(&location, &super::fixture::digest(&other), other.clone()).await.expect(201);
    }
}

/// A source that the store refuses to read gives a session.
///
/// If a retry may help, the answer is that error. So it is if the link cannot be written.
pub async fn end_11_mount_from_an_unreadable_source(lab: &Lab) {
    let digest = lab.client().push("a", &content(1, 1000)).await;
    let before = lab.tree().await;
    for (operation, kind, status) in [
        (Operation::GetContent, ErrorKind::PermissionDenied, 202),
        (Operation::GetContent, ErrorKind::Corrupted, 202),
        (Operation::GetContent, ErrorKind::Other, 202),
        (Operation::Stat, ErrorKind::PermissionDenied, 202),
        (Operation::GetContent, ErrorKind::Unavailable, 503),
        (Operation::GetContent, ErrorKind::RateLimited, 429),
        (Operation::Stat, ErrorKind::Timeout, 503),
        (Operation::PutContent, ErrorKind::PermissionDenied, 403),
        (Operation::PutContent, ErrorKind::NoSpace, 507),
    ] {
        let driver = Wrapped::new(lab.shared()).failing(move |this| (this == operation).then_some(kind));
        let client = Client::new(&Registry::builder(driver).build());
        let uri = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
        let answer = client.post(uri).body("").send().await;
        assert_eq!(answer.status(), status, "{operation} {kind:?}: {answer}");
    }
    lab.tree().await.assert_is(&before);
}

/// A link without bytes cannot be mounted.
pub async fn end_11_mount_needs_the_bytes(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 1000);
    let digest = client.push("a", &blob).await;
    let hex = digest.strip_prefix("sha256:").unwrap();
    lab.remove(&format!("/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2])).await;
    for query in [format!("mount={digest}&from=a"), format!("mount={digest}")] {
        let answer = client.post(format!("/v2/b/blobs/uploads/?{query}")).body("").send().await;
        let _ = answer.expect(202);
    }
    assert_eq!(client.probe(format!("/v2/b/blobs/{digest}")).await, 404);
    assert_eq!(super::fixture::digest(&blob), digest);
}
