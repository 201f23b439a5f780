//! A directory is not a link. On a filesystem it exists before its link. It stays behind when a process is
//! killed between the two, and after a delete by distribution, whose filesystem driver deletes only the file.

use std::fs;

use plugin_registry::layout;
use plugin_registry_conformance::registry::fixture::Image;
use plugin_registry_core::{Digest, Reference, RepositoryName, StoragePath};

use crate::{
    peer::{How, Via},
    world::{Setting, World, run},
};

/// Makes the directory of a link, as it is between two calls of a process that is killed there.
fn make_directory(world: &World, link: &StoragePath) {
    fs::create_dir_all(world.path().join(link.parent().unwrap().as_relative())).unwrap();
}

#[test]
fn a_blob_without_a_link_is_lacking() {
    run(async {
        let world = World::new(Setting::Fs(1), 1).await;
        let (image, peer) = (Image::new(1), &world.peers[0]);
        let (elsewhere, name): (RepositoryName, RepositoryName) =
            ("elsewhere".parse().unwrap(), "ns/app".parse().unwrap());
        for blob in &image.blobs {
            // The bytes are in the store, by another repository.
            peer.push(How::Put, &world.peers, &mut world.dice(1), &elsewhere, blob).await;
            make_directory(&world, &layout::layer_link(&name, &Digest::sha256(blob)));
        }
        let tag: Reference = "v1".parse().unwrap();
        let put = peer.put(Via::Http, &name, &tag, &image.manifest).await;
        for blob in &image.blobs {
            let is_there = peer.has_blob(Via::Http, &name, &Digest::sha256(blob)).await;
            assert!(is_there || put.is_err(), "the manifest was accepted, and its blob is unknown");
        }
    });
}

#[test]
fn a_manifest_without_a_link_is_no_referrer() {
    run(async {
        let world = World::new(Setting::Fs(1), 1).await;
        let (subject, peer) = (Image::new(1), &world.peers[0]);
        let referrer = Image::referring_to(&subject.manifest, 2, None);
        for (image, tag) in [(&subject, "v1"), (&referrer, "signature")] {
            peer.http.push_image("ns/app", tag, image).await;
        }
        let name: RepositoryName = "ns/app".parse().unwrap();
        let link = layout::revision_link(&name, &Digest::sha256(&referrer.manifest));
        // As distribution deletes it.
        fs::remove_file(world.path().join(link.as_relative())).unwrap();
        let digest = Reference::Digest(Digest::sha256(&referrer.manifest));
        assert!(peer.manifest(Via::Http, &name, &digest).await.is_none());
        let listing = peer.referrers(Via::Http, &name, &Digest::sha256(&subject.manifest)).await;
        assert!(listing.names.is_empty(), "a deleted manifest is listed: {:?}", listing.names);
    });
}
