//! A caller that knows the key of the upload state, and can write the token of any session.

use plugin_registry_conformance::registry::{
    Lab,
    fixture::{content, digest},
};
use plugin_registry_core::Algorithm;

/// A session belongs to its repository, even for a caller that knows the key.
///
/// Such a caller can write a token for any session identifier. In another repository it is another session.
/// No request to it shows, changes, blocks or ends the first one.
///
/// # Panics
/// If a check fails.
pub async fn a_session_belongs_to_its_repository(lab: &Lab) {
    let client = lab.client();
    let (blob, other) = (content(1, 1000), content(2, 500));
    for begun in [0, 400] {
        let mut location = client.begin("victim").await;
        if begun > 0 {
            location = client.append(&location, &blob.slice(..begun)).await;
        }
        let path = location.split('?').next().unwrap();
        let id = path.rsplit('/').next().unwrap();
        let token = plugin_registry::fuzz::seal(
            None,
            &"forger".parse().unwrap(),
            id.parse().unwrap(),
            0,
            Algorithm::Sha256,
        );
        let forged = format!("/v2/forger/blobs/uploads/{id}?_state={token}");
        let stands = || async {
            let bare = client.get(path).send().await.expect(204);
            assert_eq!(bare.header("range"), format!("0-{}", begun.saturating_sub(1)));
            client.get(&location).send().await.expect(204)
        };
        // Without a token, no such session exists.
        let bare = forged.split('?').next().unwrap();
        client.get(bare).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        client.delete(bare).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        assert_eq!(client.get(&forged).send().await.expect(204).header("range"), "0-0");
        let _ = stands().await;
        let _ = client.delete(&forged).send().await.expect(204);
        let _ = stands().await;
        client.get(&forged).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        // On an instance that has met neither of them.
        let second = lab.another().await;
        let further = second.append(&forged, &other).await;
        let _ = second.finish(&further, &digest(&other), "").await.expect(201);
        let _ = stands().await;
        let finished = client.finish(&location, &digest(&blob), blob.slice(begun..)).await.expect(201);
        assert_eq!(finished.header("docker-content-digest"), digest(&blob));
        client.assert_blob("victim", &blob).await;
        client.get(format!("/v2/forger/blobs/{}", digest(&blob))).send().await.refused(404, "BLOB_UNKNOWN");
        lab.clear().await;
    }
}
