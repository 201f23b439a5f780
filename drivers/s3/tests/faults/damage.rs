//! Damage that no driver can see, because nothing in the answer contradicts it. The registry hashes the bytes
//! that it reads, and ends in an error.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use plugin_registry::{Registry, layout};
use plugin_registry_conformance::registry::{
    Client,
    fixture::{IMAGE, Image, digest},
};
use plugin_registry_core::{ByteRange, Descriptor, Digest, MediaType};
use plugin_registry_emulator::s3::{Kind, Length, Server};

use crate::support::*;

async fn pushed(server: &Server) -> (Registry, Digest) {
    let registry = Registry::builder(open(server).await).build();
    let blob = content(5_000);
    let descriptor = Descriptor::of(MediaType::ImageLayerGzip, &blob);
    let body = stream::iter([Ok::<_, Infallible>(blob)]);
    registry.repository("ns/app".parse().unwrap()).blobs().push(&descriptor, body).await.unwrap();
    (registry, descriptor.digest)
}

async fn read_blob(registry: &Registry, digest: &Digest) -> Result<Vec<u8>, String> {
    let blobs = registry.repository("ns/app".parse().unwrap()).blobs();
    let reader = blobs.open(digest, ByteRange::full()).await.map_err(|error| error.to_string())?;
    let pieces = reader.into_stream().try_collect::<Vec<Bytes>>().await;
    Ok(pieces.map_err(|error| error.to_string())?.concat())
}

/// F8, F9, U13, U14: a flipped bit, other bytes, too many, too few: an error, never a clean end.
#[tokio::test]
async fn bytes_that_are_not_the_blobs_end_in_an_error() {
    for fault in [
        Kind::Flipped { at: 0 },
        Kind::Flipped { at: 4_999 },
        Kind::Shifted { by: 1 },
        Kind::Doubled,
        Kind::Truncated { keep: 4_999, length: Length::Honest },
        Kind::Truncated { keep: 0, length: Length::Honest },
        Kind::Truncated { keep: 4_999, length: Length::Chunked },
    ] {
        let server = server();
        let (registry, digest) = pushed(&server).await;
        assert_eq!(read_blob(&registry, &digest).await.unwrap(), content(5_000));
        server.fault(on("GetObject", fault.clone()).key("/data"));
        let error = read_blob(&registry, &digest).await.unwrap_err();
        assert!(server.faults_left().is_empty(), "{fault:?}: {error}");
        // Nothing was wrong with the blob itself.
        assert_eq!(read_blob(&registry, &digest).await.unwrap(), content(5_000), "{fault:?}");
    }
}

/// F9: the same in the rest of a body that broke off.
#[tokio::test]
async fn a_wrong_rest_ends_in_an_error() {
    for fault in [Kind::Flipped { at: 10 }, Kind::Shifted { by: 3 }, Kind::Doubled, Kind::RangeIgnored] {
        let server = server();
        let (registry, digest) = pushed(&server).await;
        server.fault(on("GetObject", Kind::ResetSending { after: 1_000 }).key("/data"));
        server.fault(on("GetObject", fault.clone()).key("/data"));
        read_blob(&registry, &digest).await.unwrap_err();
        assert!(server.faults_left().is_empty(), "{fault:?}");
    }
}

/// U14: damage that the store keeps.
#[tokio::test]
async fn a_damaged_object_ends_in_an_error() {
    let server = server();
    let (registry, digest) = pushed(&server).await;
    let blob = server.objects().into_keys().find(|key| key.ends_with("/data")).unwrap();
    server.corrupt(&blob, 77);
    read_blob(&registry, &digest).await.unwrap_err();
    server.corrupt(&blob, 77);
    assert_eq!(read_blob(&registry, &digest).await.unwrap(), content(5_000));
    server.truncate_raw(&blob, 4_000);
    read_blob(&registry, &digest).await.unwrap_err();
}

/// Consoles make folder keys, and tools that copy a tree badly leave empty objects. Neither counts as a link
/// or as content, and a look at them takes no more requests than a look at sound objects.
#[tokio::test]
async fn folder_keys_and_emptied_objects_are_no_links() {
    let server = server();
    let image = Image::new(1);
    let name = "ns/app";
    Client::new(&Registry::builder(open(&server).await).build()).push_image(name, "latest", &image).await;
    let link = |blob: &Bytes| key(layout::layer_link(&name.parse().unwrap(), &Digest::sha256(blob)).as_str());
    let data = |blob: &Bytes| key(layout::blob_data(&Digest::sha256(blob)).as_str());
    let sound = server.objects();
    let [config, first, second] = &image.blobs[..] else { panic!("an image of two layers") };
    let folder = |blob: &Bytes| {
        assert!(server.remove_raw(&link(blob)));
        server.put_raw(link(blob).strip_suffix("link").unwrap(), "");
    };
    let cases: [(&str, &dyn Fn(), &Bytes, usize); 4] = [
        // The links, the data of the other two.
        ("a folder", &|| folder(first), first, 3),
        ("the last folder", &|| folder(config), config, 3),
        // The same, and a link to be read.
        ("an emptied link", &|| server.put_raw(&link(second), ""), second, 4),
        ("emptied data", &|| server.put_raw(&data(second), ""), second, 4),
    ];
    for (what, damage, lost, requests) in cases {
        damage();
        let client = Client::new(&Registry::builder(open(&server).await).build());
        server.forget();
        let answer = client.put_manifest(name, "again", IMAGE, &image.manifest).await.expect(400);
        assert_eq!(server.count(), requests, "{what}: {:?}", server.counts());
        assert_eq!(answer.errors()[0]["detail"]["digest"], digest(lost), "{what}: {answer}");
        assert_eq!((answer.errors().len(), answer.code().as_str()), (1, "MANIFEST_BLOB_UNKNOWN"), "{what}");
        assert_eq!(client.probe(format!("/v2/{name}/blobs/{}", digest(lost))).await, 404, "{what}");
        client.push(name, lost).await;
        let _ = client.put_manifest(name, "again", IMAGE, &image.manifest).await.expect(201);
        client.assert_blob(name, lost).await;
        for (key, content) in &sound {
            assert_eq!(
                server.object(key).map(|object| object.data.to_bytes()).as_ref(),
                Some(content),
                "{what}"
            );
        }
    }
}
