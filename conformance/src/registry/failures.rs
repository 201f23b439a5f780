//! A store that fails: the answer reports the failure, and never claims that something is missing.

use http::Method;
use plugin_registry::{Registry, layout};
use plugin_registry_core::{ErrorKind, Operation};
use serde_json::json;

use super::{
    Client, Lab, Wrapped,
    client::Call,
    fixture::{IMAGE, INDEX, Image, content, digest, index},
};

const OPERATIONS: [Operation; 15] = [
    Operation::GetContent,
    Operation::PutContent,
    Operation::Reader,
    Operation::Writer,
    Operation::FindStaged,
    Operation::CommitStaged,
    Operation::Stat,
    Operation::List,
    Operation::FindDirectories,
    Operation::Delete,
    Operation::DeleteMany,
    Operation::WriterWrite,
    Operation::WriterClose,
    Operation::WriterCommit,
    Operation::WriterCancel,
];

const READS: [Operation; 6] = [
    Operation::GetContent,
    Operation::Reader,
    Operation::FindStaged,
    Operation::Stat,
    Operation::List,
    Operation::FindDirectories,
];

/// The status and code of each kind of failure.
const KINDS: [(ErrorKind, u16, &str); 9] = [
    (ErrorKind::PermissionDenied, 403, "DENIED"),
    (ErrorKind::Unauthenticated, 403, "DENIED"),
    (ErrorKind::NoSpace, 507, "UNAVAILABLE"),
    (ErrorKind::ReadOnly, 405, "UNSUPPORTED"),
    (ErrorKind::RateLimited, 429, "TOOMANYREQUESTS"),
    (ErrorKind::Timeout, 503, "UNAVAILABLE"),
    (ErrorKind::Unavailable, 503, "UNAVAILABLE"),
    (ErrorKind::Corrupted, 500, "UNKNOWN"),
    (ErrorKind::Other, 500, "UNKNOWN"),
];

/// Whichever driver call fails, and why, the answer is never a 404 or a false success.
///
/// A request that does not need the call is answered as usual. Any other request reports the failure.
/// Existing content stays.
pub async fn storage_failures_are_never_not_found(lab: &Lab) {
    let sound = lab.client();
    let (old, new, gone) = (Image::new(1), Image::new(2), Image::new(3));
    sound.push_image("a", "latest", &old).await;
    for blob in &new.blobs {
        sound.push("a", blob).await;
    }
    for operation in OPERATIONS {
        for (kind, status, code) in KINDS {
            if kind == ErrorKind::ReadOnly && READS.contains(&operation) {
                // No store reports this for a read.
                continue;
            }
            let driver = Wrapped::new(lab.shared()).failing(move |this| (this == operation).then_some(kind));
            let failing =
                Client::new(&Registry::builder(driver).delete(true).automatic_crossmount(true).build());
            // Begun on the sound registry, so that there is something to lose.
            let session = sound.begin("a").await;
            let session = sound.append(&session, &content(5, 100)).await;
            sound.push_image("a", "tag", &gone).await;
            sound.push_image("a", "gone", &gone).await;
            for (expected, call) in requests(&failing, &session, [&old, &new, &gone]) {
                let answer = call.send().await;
                // A mount whose source cannot be read becomes an upload.
                if answer.status() == expected || (expected, answer.status()) == (201, 202) {
                    continue;
                }
                let what = format!("{operation} {kind:?}: {answer}");
                assert_eq!(answer.status(), status, "{what}");
                if answer.get("content-type").is_some() && !answer.body().is_empty() {
                    assert_eq!(answer.code(), code, "{what}");
                    let text = String::from_utf8_lossy(answer.body()).into_owned();
                    assert!(!text.contains("/docker/"), "no path of the store is told: {what}");
                }
            }
            assert!(matches!(sound.get(&session).send().await.status(), 204 | 404));
            let _ = sound.delete(&session).send().await;
            // However far a change got, what remains is whole.
            let pulled = sound.get("/v2/a/manifests/latest").send().await;
            match pulled.status() {
                200 => assert!([&old.manifest, &new.manifest].contains(&pulled.body()), "{pulled}"),
                _ => pulled.refused(404, "MANIFEST_UNKNOWN"),
            }
            sound.push_image("a", "latest", &old).await;
            for blob in &new.blobs {
                sound.push("a", blob).await;
            }
        }
    }
}

/// Requests of all end-points, with the answer of a sound store.
fn requests(client: &Client, session: &str, [old, new, gone]: [&Image; 3]) -> Vec<(u16, Call)> {
    let (blob, manifest) = (digest(&old.blobs[1]), old.digest());
    let pushed = content(7, 3000);
    let list = index(&[old.descriptor()]);
    let put = |reference: &str, media_type: &str| {
        client.put(format!("/v2/a/manifests/{reference}")).header("content-type", media_type)
    };
    vec![
        (200, client.get("/v2/_catalog")),
        (200, client.get("/v2/a/tags/list")),
        (200, client.get("/v2/a/manifests/latest")),
        (200, client.head(format!("/v2/a/manifests/{manifest}"))),
        (200, client.get(format!("/v2/a/blobs/{blob}"))),
        (200, client.head(format!("/v2/a/blobs/{blob}"))),
        (206, client.get(format!("/v2/a/blobs/{blob}")).header("range", "bytes=1-2")),
        (200, client.get(format!("/v2/a/referrers/{manifest}"))),
        (204, client.get(session)),
        (202, client.patch(session).body(content(6, 100))),
        (201, client.post(format!("/v2/b/blobs/uploads/?mount={blob}&from=a"))),
        (201, client.post(format!("/v2/b/blobs/uploads/?mount={blob}"))),
        (201, client.post(format!("/v2/a/blobs/uploads/?digest={}", digest(&pushed))).body(pushed)),
        (201, put("list", INDEX).body(list)),
        (201, put("latest", IMAGE).body(new.manifest.clone())),
        (204, client.delete(session)),
        (202, client.delete("/v2/a/manifests/tag")),
        (202, client.delete(format!("/v2/a/manifests/{}", gone.digest()))),
        (202, client.delete(format!("/v2/a/blobs/{blob}"))),
    ]
}

/// With the option and a store that has URLs, GET and HEAD of a blob redirect to one.
///
/// Without either, the bytes are sent. Manifests, and blobs that are missing, are never redirected.
pub async fn end_2_redirect_is_an_option(lab: &Lab) {
    let image = Image::new(1);
    lab.client().push_image("a", "latest", &image).await;
    let url = "https://store.example.invalid/key?signature=secret";
    let driver = || Wrapped::new(lab.shared()).with_url(url.parse().unwrap());
    let blob = digest(&image.blobs[1]);
    let uri = format!("/v2/a/blobs/{blob}");
    let on = Client::new(&Registry::builder(driver()).redirect(true).build());
    for call in [on.get(&uri), on.head(&uri), on.get(&uri).header("range", "bytes=1-2")] {
        let answer = call.send().await.expect(307);
        assert_eq!(answer.header("location"), url);
        assert!(answer.body().is_empty());
    }
    let _ = on.get(&uri).header("if-none-match", &blob).send().await.expect(304);
    let absent = format!("/v2/a/blobs/{}", digest(b"absent"));
    on.get(absent).send().await.refused(404, "BLOB_UNKNOWN");
    on.get(format!("/v2/b/blobs/{blob}")).send().await.refused(404, "BLOB_UNKNOWN");
    assert_eq!(on.get("/v2/a/manifests/latest").send().await.expect(200).body(), &image.manifest);
    let off = Client::new(&Registry::builder(driver()).build());
    assert_eq!(off.pull("a", &blob).await, image.blobs[1]);
    let path = layout::blob_data(&blob.parse().unwrap());
    if lab.driver().redirect_url(&path, &Method::GET).await.unwrap().is_none() {
        let without_urls = lab.with(|builder| builder.redirect(true)).await;
        assert_eq!(without_urls.pull("a", &blob).await, image.blobs[1]);
    }
    assert_eq!(off.get("/v2/a/tags/list").send().await.json()["tags"], json!(["latest"]));
}
