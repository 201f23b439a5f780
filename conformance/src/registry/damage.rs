//! Damage in the store is never served as good, and a push repairs it (design, decision 12).

use std::convert::Infallible;

use bytes::Bytes;
use futures::stream;
use plugin_registry::{Registry, RegistryError, blob::BlobState};
use plugin_registry_core::{Algorithm, Descriptor, MediaType};

use super::{
    Lab, body,
    client::and,
    fixture::{IMAGE, Image, content, digest, digest_as},
};

fn data(content: &[u8]) -> String {
    let digest = digest(content);
    let hex = digest.strip_prefix("sha256:").unwrap();
    format!("/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2])
}

/// The ways in which stored bytes go bad.
fn damaged(blob: &Bytes) -> Vec<Bytes> {
    let flip = |at: usize| {
        let mut bytes = blob.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    };
    vec![
        flip(0),
        flip(blob.len() / 2),
        flip(blob.len() - 1),
        blob.slice(..blob.len() - 1),
        Bytes::from([blob, &b"x"[..]].concat()),
        blob.slice(..blob.len() / 2),
        Bytes::new(),
        content(99, blob.len()),
    ]
}

/// A whole blob whose stored bytes are others never ends cleanly.
///
/// A client that reads to the end notices. A client that counts bytes does not get all of them.
pub async fn end_2_damaged_blob_never_ends_cleanly(lab: &Lab) {
    for (seed, size) in [(1, 1), (2, 5000), (3, (2 << 20) + 5)] {
        let blob = content(seed, size);
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = lab.client().push_as(algorithm, "a", &blob).await;
            for bad in damaged(&blob) {
                lab.write(&data(&blob), bad.clone()).await;
                for client in [lab.client(), lab.another().await] {
                    let answer = client.get(format!("/v2/a/blobs/{digest}")).send().await;
                    if answer.status() != 200 {
                        assert!(answer.status() >= 400, "{answer}");
                        continue;
                    }
                    let received = answer.broken();
                    assert!(received.is_some(), "{} bytes ended cleanly", answer.body().len());
                    let announced: usize = answer.header("content-length").parse().unwrap();
                    assert!(received.unwrap().len() < announced || announced == 0, "{answer}");
                }
            }
        }
    }
}

/// A push of the right bytes repairs the blob, in every way to push and for all damage.
pub async fn end_6_push_repairs_a_damaged_blob(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 5000);
    let digest = client.push("a", &blob).await;
    for (case, bad) in damaged(&blob).into_iter().enumerate() {
        for way in ["post", "put", "chunks", "sha512", "other"] {
            lab.write(&data(&blob), bad.clone()).await;
            let name = if way == "other" { "b" } else { "a" };
            match way {
                "post" => {
                    let uri = format!("/v2/a/blobs/uploads/?digest={digest}");
                    let _ = client.post(uri).body(blob.clone()).send().await.expect(201);
                }
                "chunks" => {
                    let location = client.begin("a").await;
                    let location = client.append(&location, &blob.slice(..1000)).await;
                    let _ = client.finish(&location, &digest, blob.slice(1000..)).await.expect(201);
                }
                "sha512" => {
                    client.push_as(Algorithm::Sha512, "a", &blob).await;
                }
                _ => {
                    client.push(name, &blob).await;
                }
            }
            client.assert_blob("a", &blob).await;
            client.assert_blob(name, &blob).await;
            assert_eq!(lab.tree().await.get(&data(&blob)), Some(&blob), "{way}, damage {case}");
        }
    }
}

/// Bytes that were read and do not hash to their digest are replaced at once, for every repository that shares
/// them. Reading writes nothing, wrong content changes nothing, and nothing needs the right to delete.
pub async fn damaged_blobs_are_found_and_replaced(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 5000);
    client.push("a", &blob).await;
    client.push("b", &blob).await;
    let registry = Registry::builder(lab.shared()).build();
    let blobs = |name: &str| registry.repository(name.parse().unwrap()).blobs();
    let descriptor = Descriptor::of(MediaType::ImageLayerGzip, &blob);
    let state = async |name: &str| blobs(name).examine(&descriptor).await.unwrap();
    let of = |bytes: &Bytes| stream::iter([Ok::<_, Infallible>(bytes.clone())]);
    assert_eq!((state("a").await, state("c").await), (BlobState::Whole, BlobState::Unlinked));
    for bad in damaged(&blob) {
        lab.write(&data(&blob), bad.clone()).await;
        let before = lab.tree().await;
        assert_eq!((state("b").await, state("c").await), (BlobState::Damaged, BlobState::Damaged));
        let refused = blobs("a").replace(&descriptor, of(&bad)).await;
        assert!(matches!(refused, Err(RegistryError::Mismatch(_))), "{refused:?}");
        let read_only = Registry::builder(lab.shared()).read_only(true).build();
        let refused =
            read_only.repository("a".parse().unwrap()).blobs().replace(&descriptor, of(&blob)).await;
        assert!(matches!(refused, Err(RegistryError::ReadOnly)), "{refused:?}");
        lab.tree().await.assert_is(&before);
        blobs("a").replace(&descriptor, of(&blob)).await.unwrap();
        assert_eq!((state("a").await, state("b").await), (BlobState::Whole, BlobState::Whole));
        client.assert_blob("b", &blob).await;
    }
    let other_size = Descriptor::new(MediaType::ImageLayerGzip, descriptor.digest, 4999);
    assert_eq!(blobs("a").examine(&other_size).await.unwrap(), BlobState::Damaged);
    lab.remove(&data(&blob)).await;
    assert_eq!(state("a").await, BlobState::Absent);
}

/// A push of other bytes does not overwrite good ones.
pub async fn end_6_a_wrong_push_leaves_good_bytes(lab: &Lab) {
    let client = lab.client();
    let blob = content(1, 5000);
    let digest = client.push("a", &blob).await;
    let before = lab.tree().await;
    for bad in damaged(&blob) {
        let uri = format!("/v2/a/blobs/uploads/?digest={digest}");
        assert!(client.post(&uri).body(bad.clone()).send().await.is_refusal());
        assert!(client.post(&uri).stream(body::broken(&bad, 100)).send().await.is_refusal());
        let location = client.begin("a").await;
        assert!(client.finish(&location, &digest, bad.clone()).await.is_refusal());
        let put = and(&location, &format!("digest={digest}"));
        assert!(client.put(put).stream(body::broken(&bad, 100)).send().await.is_refusal());
        lab.tree().await.assert_is(&before);
    }
    client.assert_blob("a", &blob).await;
}

/// A session whose staged bytes are gone does not vouch for what the store holds.
///
/// The repeated PUT is refused, or the bytes that it reports as stored are right.
pub async fn end_6_a_lost_stage_vouches_for_nothing(lab: &Lab) {
    let blob = content(1, 5000);
    let digest = digest(&blob);
    for bad in damaged(&blob) {
        for is_same_instance in [true, false] {
            let client = lab.client();
            let location = client.begin("a").await;
            let location = client.append(&location, &blob.slice(..2000)).await;
            let id = location.split(['?', '/']).find(|part| part.len() == 36).unwrap();
            let upload = format!("/docker/registry/v2/repositories/a/_uploads/{id}");
            let started = lab.tree().await.get(&format!("{upload}/startedat")).unwrap().clone();
            lab.remove(&upload).await;
            lab.write(&format!("{upload}/startedat"), started).await;
            lab.write(&data(&blob), bad.clone()).await;
            let next = if is_same_instance { client } else { lab.another().await };
            let done = next.finish(&location, &digest, blob.slice(2000..)).await;
            if done.status() == 201 {
                next.assert_blob("a", &blob).await;
            } else {
                assert!(done.is_refusal(), "{done}");
            }
            lab.clear().await;
        }
    }
}

/// A damaged manifest is never served. A push repairs it.
pub async fn end_3_damaged_manifest_is_never_served(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    client.push_image("a", "latest", &image).await;
    for bad in damaged(&image.manifest) {
        lab.write(&data(&image.manifest), bad.clone()).await;
        for client in [lab.client(), lab.another().await] {
            for reference in ["latest", &image.digest(), &digest_as(Algorithm::Sha512, &image.manifest)] {
                let answer = client.get(format!("/v2/a/manifests/{reference}")).send().await;
                assert!(answer.status() >= 400, "{answer}");
            }
        }
        let pusher = lab.another().await;
        let _ = pusher.put_manifest("a", "latest", IMAGE, &image.manifest).await.expect(201);
        assert_eq!(client.get("/v2/a/manifests/latest").send().await.expect(200).body(), &image.manifest);
    }
}

/// A manifest that names a blob of another stored size is refused by an instance that looks.
pub async fn end_7a_truncated_layer_is_noticed(lab: &Lab) {
    let (client, image) = (lab.client(), Image::new(1));
    for blob in &image.blobs {
        client.push("a", blob).await;
    }
    lab.write(&data(&image.blobs[1]), "short").await;
    let unaware = lab.another().await;
    let answer = unaware.put_manifest("a", "latest", IMAGE, &image.manifest).await.expect(400);
    assert!(matches!(&*answer.code(), "MANIFEST_INVALID" | "MANIFEST_BLOB_UNKNOWN"), "{answer}");
}
