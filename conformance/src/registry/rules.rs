//! Rules that safety depends on, each by itself. A random model would find them only with luck.

use bytes::Bytes;
use plugin_registry::ReferencePolicy;

use super::{
    Lab,
    client::and,
    fixture::{INDEX, Image, content, digest, index},
    lab::storage,
};

/// Without anonymous mounts, a digest alone links nothing.
///
/// Not even a PUT to a session without a byte does, wherever its `Content-Range` says that its content belongs.
pub async fn end_6_a_digest_alone_links_nothing(lab: &Lab) {
    let blob = content(1, 1000);
    lab.client().push("a", &blob).await;
    let client = lab.with(|builder| builder.automatic_crossmount(false)).await;
    let (found, uri) = (digest(&blob), format!("/v2/b/blobs/{}", digest(&blob)));
    for (range, body) in [
        (None, Bytes::new()),
        (None, blob.slice(..10)),
        (Some("1000-1009"), blob.slice(..10)),
        (Some("1-9"), blob.slice(..9)),
        (Some("0-9"), blob.slice(..10)),
        (Some("0-9"), Bytes::new()),
    ] {
        let location = client.begin("b").await;
        let mut put = client.put(and(&location, &format!("digest={found}"))).body(body);
        if let Some(range) = range {
            put = put.header("content-range", range);
        }
        let answer = put.send().await;
        assert!((400..500).contains(&answer.status()), "{range:?}: {answer}");
        assert_eq!(client.probe(&uri).await, 404, "{range:?}: {answer}");
        assert_eq!(lab.another().await.probe(&uri).await, 404, "{range:?}: {answer}");
    }
}

/// The time at which a session began is written once. Later requests leave it as it is.
pub async fn end_5_the_begin_of_a_session_stays(lab: &Lab) {
    const LONG_AGO: &str = "2020-01-02T03:04:05Z";
    let (first, second) = (lab.client(), lab.another().await);
    let blob = content(1, 100);
    let location = first.begin("a").await;
    let location = first.append(&location, &blob.slice(..5)).await;
    let begun = lab.tree().await.paths().find(|path| path.ends_with("/startedat")).map(str::to_owned);
    let begun = begun.expect("a session has a begin");
    lab.write(&begun, LONG_AGO).await;
    let stays = async |after: &str| {
        let now = lab.driver().get_content(&storage(&begun), 100).await.unwrap();
        assert_eq!(now, LONG_AGO, "after {after}");
    };
    let _ = first.get(&location).send().await.expect(204);
    stays("a status").await;
    let location = first.append(&location, &blob.slice(5..10)).await;
    stays("a PATCH").await;
    let location = second.append(&location, &blob.slice(10..20)).await;
    stays("a PATCH on another instance").await;
    let _ = second.put(and(&location, "digest=sha256:00")).body("").send().await.expect(400);
    stays("a PUT that is refused").await;
    let location = lab.another().await.append(&location, &blob.slice(20..)).await;
    let _ = first.finish(&location, &digest(&blob), "").await.expect(201);
    first.assert_blob("a", &blob).await;
}

/// A child of an index counts only if its bytes are there, whatever links lead to it.
pub async fn end_7a_a_child_without_bytes_is_missing(lab: &Lab) {
    let child = Image::new(1);
    lab.client().push_image("a", "child", &child).await;
    let hex = child.digest().replace("sha256:", "");
    lab.remove(&format!("/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2])).await;
    let client = lab.with(|builder| builder.references(ReferencePolicy::Complete)).await;
    let refused = client.put_manifest("a", "index", INDEX, &index(&[child.descriptor()])).await;
    assert_eq!(refused.errors()[0]["detail"]["digest"], child.digest(), "{refused}");
    refused.refused(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(client.probe("/v2/a/manifests/index").await, 404);
}
