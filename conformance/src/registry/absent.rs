//! Content that cannot be right counts as absent, so that a client pushes it again (ADR 0020).
//!
//! Every image here was left by other software: its tree is written file by file, and then damaged as old
//! stores are damaged, by full disks, killed processes and tools that copy trees.

use bytes::Bytes;
use plugin_registry::verify::VerifyScope;
use plugin_registry_core::Algorithm;

use super::{
    Client, Lab,
    fixture::{IMAGE, INDEX, Image, content, digest, index},
};

const ROOT: &str = "/docker/registry/v2";

fn data(content: &[u8]) -> String {
    let hex = digest(content).replace("sha256:", "");
    format!("{ROOT}/blobs/sha256/{}/{hex}/data", &hex[..2])
}

/// The directory of a link.
fn directory(name: &str, kind: &str, digest: &str) -> String {
    format!("{ROOT}/repositories/{name}/{kind}/{}", digest.replace(':', "/"))
}

fn layer(name: &str, content: &[u8]) -> String {
    format!("{}/link", directory(name, "_layers", &digest(content)))
}

fn revision(name: &str, manifest: &[u8]) -> String {
    format!("{}/link", directory(name, "_manifests/revisions", &digest(manifest)))
}

fn current(name: &str, tag: &str) -> String {
    format!("{ROOT}/repositories/{name}/_manifests/tags/{tag}/current/link")
}

/// Writes an image as distribution leaves it.
async fn old_image(lab: &Lab, name: &str, tag: &str, image: &Image) {
    for blob in &image.blobs {
        lab.write(&data(blob), blob.clone()).await;
        lab.write(&layer(name, blob), digest(blob)).await;
    }
    lab.write(&data(&image.manifest), image.manifest.clone()).await;
    lab.write(&revision(name, &image.manifest), image.digest()).await;
    lab.write(&current(name, tag), image.digest()).await;
}

/// The digests that the answer to a manifest PUT reports as missing.
async fn lacking(client: &Client, name: &str, image: &Image) -> Vec<String> {
    let answer = client.put_manifest(name, "again", IMAGE, &image.manifest).await.expect(400);
    assert_eq!(answer.code(), "MANIFEST_BLOB_UNKNOWN", "{answer}");
    let digest = |error: &serde_json::Value| error["detail"]["digest"].as_str().map(str::to_owned);
    answer.errors().iter().map(|error| digest(error).unwrap_or_else(|| panic!("{answer}"))).collect()
}

/// Pushes a blob as clients do, which send only what HEAD reports as missing.
async fn push_if_absent(client: &Client, name: &str, blob: &Bytes) {
    let uri = format!("/v2/{name}/blobs/{}", digest(blob));
    if client.probe(&uri).await == 404 {
        client.push(name, blob).await;
    }
}

/// Checks that a blob is absent in `name`, that asking for its bytes fails, and that it cannot be mounted.
async fn is_absent(client: &Client, name: &str, digest: &str) {
    let uri = format!("/v2/{name}/blobs/{digest}");
    client.head(&uri).send().await.refused(404, "BLOB_UNKNOWN");
    for header in [None, Some(("range", "bytes=0-3")), Some(("if-none-match", digest))] {
        let get = client.get(&uri);
        let get = match header {
            Some((header, value)) => get.header(header, value),
            None => get,
        };
        let answer = get.send().await;
        assert!(answer.status() >= 400, "{header:?}: {answer}");
    }
    for query in [format!("mount={digest}&from={name}"), format!("mount={digest}")] {
        let uri = format!("/v2/elsewhere/blobs/uploads/?{query}");
        let _ = client.post(uri).body("").send().await.expect(202);
    }
}

/// For a data file of 0 bytes, HEAD is 404, GET an error, a mount 202, and a manifest PUT names what is
/// missing.
///
/// A push by a client that asks first heals it, in every repository.
pub async fn end_2_an_empty_data_file_is_absent(lab: &Lab) {
    let image = Image::new(1);
    for name in ["old/app", "old/other"] {
        old_image(lab, name, "latest", &image).await;
    }
    for (position, blob) in image.blobs.iter().enumerate() {
        lab.write(&data(blob), "").await;
        let client = lab.another().await;
        is_absent(&client, "old/app", &digest(blob)).await;
        assert_eq!(lacking(&client, "old/app", &image).await, [digest(blob)], "blob {position}");
        push_if_absent(&client, "old/app", blob).await;
        for client in [client, lab.client(), lab.another().await] {
            let _ = client.put_manifest("old/app", "again", IMAGE, &image.manifest).await.expect(201);
            for name in ["old/app", "old/other"] {
                client.assert_blob(name, blob).await;
            }
        }
    }
}

/// The same holds under a digest of another algorithm. Only the empty blob is empty, by every algorithm.
pub async fn end_2_only_the_empty_blob_is_empty(lab: &Lab) {
    for algorithm in Algorithm::ALL {
        let client = lab.client();
        let empty = client.push_as(algorithm, "a", &Bytes::new()).await;
        for client in [&client, &lab.another().await] {
            let head = client.head(format!("/v2/a/blobs/{empty}")).send().await.expect(200);
            assert_eq!(head.header("content-length"), "0");
            assert!(client.pull("a", &empty).await.is_empty());
            let mount = format!("/v2/b/blobs/uploads/?mount={empty}&from=a");
            let _ = client.post(mount).body("").send().await.expect(201);
        }
        lab.write(&data(b""), "something").await;
        is_absent(&lab.another().await, "a", &empty).await;
        client.push_as(algorithm, "a", &Bytes::new()).await;
        let blob = content(1, 1000);
        let alias = client.push_as(algorithm, "a", &blob).await;
        lab.write(&data(&blob), "").await;
        for client in [&client, &lab.another().await] {
            is_absent(client, "a", &alias).await;
        }
        client.push_as(algorithm, "a", &blob).await;
        assert!(lab.another().await.pull("a", &alias).await == blob);
        lab.clear().await;
    }
}

/// An instance that has stored or read the content knows its size. With any other size the blob is absent.
pub async fn end_2_a_size_that_is_known_to_be_wrong_is_absent(lab: &Lab) {
    let blob = content(1, 5000);
    for way in ["pushed", "read"] {
        lab.client().push("a", &blob).await;
        let client = if way == "read" { lab.another().await } else { lab.client() };
        client.assert_blob("a", &blob).await;
        for bad in [blob.slice(..4999), blob.slice(..1), [&blob[..], b"x"].concat().into(), Bytes::new()] {
            lab.write(&data(&blob), bad).await;
            is_absent(&client, "a", &digest(&blob)).await;
            push_if_absent(&client, "a", &blob).await;
            lab.another().await.assert_blob("a", &blob).await;
        }
    }
}

/// Bytes of another size than the manifest states are absent for an instance that knows nothing else.
///
/// A push of the blob heals the image.
pub async fn end_7a_a_cut_data_file_is_lacking(lab: &Lab) {
    let image = Image::new(1);
    old_image(lab, "old", "latest", &image).await;
    for blob in &image.blobs {
        for bad in [blob.slice(..blob.len() - 1), [&blob[..], b"x"].concat().into(), Bytes::new()] {
            lab.write(&data(blob), bad).await;
            let client = lab.another().await;
            assert_eq!(lacking(&client, "old", &image).await, [digest(blob)]);
            client.push("old", blob).await;
            let _ = client.put_manifest("old", "again", IMAGE, &image.manifest).await.expect(201);
            lab.another().await.assert_blob("old", blob).await;
        }
    }
}

/// A link that was emptied, cut or replaced, or a directory without its link, counts as missing.
///
/// A manifest PUT names the blob, and a push heals it.
pub async fn end_7a_a_listed_directory_is_no_link(lab: &Lab) {
    let image = Image::new(1);
    old_image(lab, "old", "latest", &image).await;
    // Something to list before, between and behind.
    for seed in 0..20 {
        lab.client().push("old", &content(100 + seed, 10)).await;
    }
    for blob in &image.blobs {
        let (link, whole) = (layer("old", blob), Bytes::from(digest(blob)));
        for damage in [Some(Bytes::new()), Some(whole.slice(..70)), Some("x".repeat(72).into()), None] {
            match &damage {
                Some(content) => lab.write(&link, content.clone()).await,
                None => {
                    lab.write(&format!("{}/other", directory("old", "_layers", &digest(blob))), "x").await;
                    lab.remove(&link).await;
                }
            }
            for client in [lab.client(), lab.another().await] {
                is_absent_here(&client, "old", blob).await;
                assert_eq!(lacking(&client, "old", &image).await, [digest(blob)], "{damage:?}");
            }
            push_if_absent(&lab.another().await, "old", blob).await;
            assert_eq!(lab.tree().await.get(&link), Some(&whole));
            let client = lab.another().await;
            let _ = client.put_manifest("old", "again", IMAGE, &image.manifest).await.expect(201);
        }
        // White space around the digest is not damage.
        lab.write(&link, format!("{}\n", digest(blob))).await;
        let client = lab.another().await;
        let _ = client.put_manifest("old", "again", IMAGE, &image.manifest).await.expect(201);
    }
}

/// As [`is_absent`], for a blob whose bytes are sound, which an anonymous mount may find.
async fn is_absent_here(client: &Client, name: &str, blob: &Bytes) {
    let uri = format!("/v2/{name}/blobs/{}", digest(blob));
    client.head(&uri).send().await.refused(404, "BLOB_UNKNOWN");
    client.get(&uri).send().await.refused(404, "BLOB_UNKNOWN");
    let mount = format!("/v2/elsewhere/blobs/uploads/?mount={}&from={name}", digest(blob));
    let _ = client.post(mount).body("").send().await.expect(202);
}

/// An alias that was emptied or cut, or leads to other content, is absent. A push heals it.
pub async fn end_2_a_damaged_alias_is_absent(lab: &Lab) {
    let (blob, other) = (content(1, 1000), content(2, 1000));
    for algorithm in [Algorithm::Sha384, Algorithm::Sha512] {
        let client = lab.client();
        let alias = client.push_as(algorithm, "a", &blob).await;
        client.push("a", &other).await;
        client.push("a", &Bytes::new()).await;
        let link = format!("{}/link", directory("a", "_layers", &alias));
        let whole = Bytes::from(digest(&blob));
        for damage in
            [Bytes::new(), whole.slice(..70), alias.clone().into(), digest(b"").into(), digest(&other).into()]
        {
            lab.write(&link, damage.clone()).await;
            // Another instance cannot know that an alias leads to other content.
            let is_plausible = damage == digest(&other);
            let another = if is_plausible { None } else { Some(lab.another().await) };
            for client in [Some(lab.client()), another].into_iter().flatten() {
                let uri = format!("/v2/a/blobs/{alias}");
                client.head(&uri).send().await.refused(404, "BLOB_UNKNOWN");
                client.get(&uri).send().await.refused(404, "BLOB_UNKNOWN");
                let mount = format!("/v2/elsewhere/blobs/uploads/?mount={alias}&from=a");
                let _ = client.post(mount).body("").send().await.expect(202);
            }
            client.push_as(algorithm, "a", &blob).await;
            assert!(lab.another().await.pull("a", &alias).await == blob);
        }
    }
}

/// For a manifest whose bytes, revision link or tag was emptied or cut, HEAD is 404 and GET never 200. A
/// push heals it.
pub async fn end_3_a_damaged_manifest_is_absent(lab: &Lab) {
    let image = Image::new(1);
    let whole = &image.manifest;
    let link = Bytes::from(image.digest());
    let damages: Vec<(String, Bytes, bool)> =
        [Bytes::new(), whole.slice(..whole.len() - 1), content(1, 5 << 20)]
            .into_iter()
            .map(|bad| (data(whole), bad, true))
            .chain([Bytes::new(), link.slice(..70)].into_iter().flat_map(|bad| {
                [(revision("old", whole), bad.clone(), true), (current("old", "latest"), bad, false)]
            }))
            .collect();
    for (path, bad, is_by_digest) in damages {
        old_image(lab, "old", "latest", &image).await;
        lab.write(&path, bad.clone()).await;
        for client in [lab.client(), lab.another().await] {
            for reference in ["latest", &image.digest()] {
                let uri = format!("/v2/old/manifests/{reference}");
                let is_damaged = is_by_digest || reference == "latest";
                let (head, get) = (client.head(&uri).send().await, client.get(&uri).send().await);
                if is_damaged {
                    head.refused(404, "MANIFEST_UNKNOWN");
                    assert!(get.status() >= 400, "{path}: {get}");
                } else {
                    assert_eq!((head.status(), get.status()), (200, 200), "{path}: {head}, {get}");
                }
            }
        }
        let pusher = lab.another().await;
        let _ = pusher.put_manifest("old", "latest", IMAGE, whole).await.expect(201);
        assert_eq!(lab.client().get("/v2/old/manifests/latest").send().await.expect(200).body(), whole);
        // The damage does not stop what looks at everything.
        lab.write(&path, bad).await;
        let referrers = format!("/v2/old/referrers/{}", digest(b"subject"));
        let _ = pusher.get(referrers).send().await.expect(200);
        let found = lab.registry().verify(VerifyScope::All, |_| ()).await.unwrap();
        assert!(found.findings.iter().any(|finding| finding.path.as_str() == path), "{path}: {found:?}");
        if path == data(whole) {
            let uri = format!("/v2/old/manifests/{}", image.digest());
            let _ = pusher.delete(uri).send().await.expect(202);
        }
    }
}

/// An index lacks a child whose data or link was emptied. A push of the child heals it.
pub async fn end_7a_a_damaged_child_is_lacking(lab: &Lab) {
    let (first, second) = (Image::new(1), Image::new(2));
    let both = index(&[first.descriptor(), second.descriptor()]);
    for path in [data(&second.manifest), revision("old", &second.manifest)] {
        old_image(lab, "old", "first", &first).await;
        old_image(lab, "old", "second", &second).await;
        lab.write(&path, "").await;
        let client = lab.another().await;
        let refused = client.put_manifest("old", "both", INDEX, &both).await;
        refused.refused(400, "MANIFEST_BLOB_UNKNOWN");
        let uri = format!("/v2/old/manifests/{}", second.digest());
        assert_eq!(client.probe(&uri).await, 404, "{path}");
        let _ = client.put_manifest("old", &second.digest(), IMAGE, &second.manifest).await.expect(201);
        let _ = client.put_manifest("old", "both", INDEX, &both).await.expect(201);
        lab.clear().await;
    }
}

/// An index also lacks a child whose data is cut. Its size contradicts the index, and the child is to blame.
///
/// An instance that saw the cut child sees the whole one, whichever instance it was pushed to. If a whole
/// child has another size, the index is to blame.
pub async fn end_7a_a_cut_child_is_lacking(lab: &Lab) {
    let (first, second) = (Image::new(1), Image::new(2));
    let both = index(&[first.descriptor(), second.descriptor()]);
    for way in ["itself", "another"] {
        old_image(lab, "old", "first", &first).await;
        old_image(lab, "old", "second", &second).await;
        lab.write(&data(&second.manifest), second.manifest.slice(..100)).await;
        let client = lab.another().await;
        let refused = client.put_manifest("old", "both", INDEX, &both).await;
        assert_eq!(refused.errors()[0]["detail"]["digest"], second.digest(), "{refused}");
        refused.refused(400, "MANIFEST_BLOB_UNKNOWN");
        let other = lab.another().await;
        let healer = if way == "itself" { &client } else { &other };
        let _ = healer.put_manifest("old", &second.digest(), IMAGE, &second.manifest).await.expect(201);
        let mut wrong = second.descriptor();
        wrong["size"] = 7.into();
        let refused = client.put_manifest("old", "wrong", INDEX, &index(&[wrong])).await;
        refused.refused(400, "MANIFEST_INVALID");
        let _ = client.put_manifest("old", "both", INDEX, &both).await.expect(201);
        lab.clear().await;
    }
}

/// A size that was only seen is checked again before an index is refused for it.
pub async fn end_7a_a_child_healed_elsewhere_is_seen(lab: &Lab) {
    let image = Image::new(1);
    let list = index(&[image.descriptor()]);
    old_image(lab, "old", "latest", &image).await;
    lab.write(&data(&image.manifest), image.manifest.slice(..100)).await;
    let client = lab.another().await;
    assert!(client.put_manifest("old", "list", INDEX, &list).await.is_refusal());
    lab.write(&data(&image.manifest), image.manifest.clone()).await;
    let _ = client.put_manifest("old", "list", INDEX, &list).await.expect(201);
}

/// A referrer whose revision link was emptied is not listed, not even by an instance that remembers its
/// content.
pub async fn end_12a_a_listed_directory_is_no_revision(lab: &Lab) {
    let client = lab.client();
    let subject = Image::new(1);
    let artifacts: Vec<Image> = (2..5)
        .map(|seed| Image::referring_to(&subject.manifest, seed, Some("application/vnd.example")))
        .collect();
    for artifact in &artifacts {
        client.push_image("a", &artifact.digest(), artifact).await;
    }
    let uri = format!("/v2/a/referrers/{}", subject.digest());
    let listed = async |client: &Client| {
        let answer = client.get(&uri).send().await.expect(200);
        let listed = answer.json()["manifests"].as_array().unwrap().clone();
        listed.iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&client).await.len(), 3);
    let lost = &artifacts[1];
    let link = revision("a", &lost.manifest);
    for damage in [Some(""), Some("sha256:"), None] {
        match damage {
            Some(content) => lab.write(&link, content).await,
            None => {
                lab.write(&link.replace("/link", "/signatures/x"), "x").await;
                lab.remove(&link).await;
            }
        }
        for client in [&client, &lab.another().await] {
            let listed = listed(client).await;
            assert!(listed.len() == 2 && !listed.contains(&lost.digest()), "{damage:?}: {listed:?}");
        }
        let _ = client.put_manifest("a", &lost.digest(), IMAGE, &lost.manifest).await.expect(201);
        assert_eq!(listed(&client).await.len(), 3);
    }
}
