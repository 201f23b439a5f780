//! Many tasks push the very same image.

use std::sync::Arc;

use bytes::Bytes;
use plugin_registry_conformance::{
    layout::Tree,
    registry::fixture::{self, Image, content, descriptor},
};
use plugin_registry_core::{Digest, RepositoryName};
use plugin_registry_testkit::model::invariants::{assert_sound, uploads};
use serde_json::json;
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    peer::{How, SOURCE, Via},
    world::{Count, Setting, World, run, seed},
};

const TASKS: usize = 48;

/// A config, a small layer and one that is large enough to be hashed beside the I/O.
fn image() -> Image {
    let blobs = vec![Bytes::from_static(b"{\"os\":\"linux\"}"), content(1, 40_000), content(2, 1_300_000)];
    let manifest = fixture::document(&json!({
        "schemaVersion": 2,
        "mediaType": fixture::IMAGE,
        "config": descriptor(fixture::CONFIG, &blobs[0]),
        "layers": [descriptor(fixture::LAYER, &blobs[1]), descriptor(fixture::LAYER, &blobs[2])],
    }));
    Image { blobs, manifest, media_type: fixture::IMAGE }
}

/// The one tree that may come out, whichever task was faster.
fn expected(image: &Image, name: &str) -> Tree {
    const ROOT: &str = "/docker/registry/v2";
    let mut files = Vec::new();
    let link = |path: String, digest: &str| {
        (format!("{ROOT}/repositories/{path}/link"), Bytes::from(digest.to_owned()))
    };
    for bytes in image.blobs.iter().chain([&image.manifest]) {
        let hex = Digest::sha256(bytes).hex();
        files.push((format!("{ROOT}/blobs/sha256/{}/{hex}/data", &hex[..2]), bytes.clone()));
    }
    for blob in &image.blobs {
        let digest = Digest::sha256(blob);
        for name in [name, SOURCE] {
            files.push(link(format!("{name}/_layers/sha256/{}", digest.hex()), &digest.to_string()));
        }
    }
    let digest = Digest::sha256(&image.manifest);
    for place in ["revisions", "tags/latest/index"] {
        files.push(link(format!("{name}/_manifests/{place}/sha256/{}", digest.hex()), &digest.to_string()));
    }
    files.push(link(format!("{name}/_manifests/tags/latest/current"), &digest.to_string()));
    Tree::of(files)
}

/// Every task pushes every blob in a different way and puts the manifest. Once that is answered, all of it
/// can be read at every registry (I1). In the end each digest is stored once, and nothing else is there.
pub(crate) fn at_once(setting: Setting) {
    run(async {
        let world = World::new(setting, seed()).await;
        let image = Arc::new(image());
        let (source, name): (RepositoryName, RepositoryName) =
            (SOURCE.parse().unwrap(), "ns/app".parse().unwrap());
        for blob in &image.blobs {
            world.peers[0].push(How::Put, &world.peers, &mut world.dice(TASKS), &source, blob).await;
        }
        let (start, pulls) = (Arc::new(Barrier::new(TASKS)), Arc::new(Count::default()));
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (world, image, name) = (world.clone(), image.clone(), name.clone());
            let (start, pulls) = (start.clone(), pulls.clone());
            tasks.spawn(async move {
                let mut dice = world.dice(task);
                let peer = world.peer(&mut dice).clone();
                start.wait().await;
                for blob in &image.blobs {
                    let how = How::ALL[task % How::ALL.len()];
                    peer.push(how, &world.peers, &mut dice, &name, blob).await;
                    let digest = Digest::sha256(blob);
                    for peer in &world.peers {
                        let read = peer.blob(Via::any(&mut dice), &name, &digest).await;
                        assert_eq!(read.as_ref(), Some(blob), "task {task}: acknowledged, and not there");
                        pulls.add(1);
                    }
                }
                let tag = "latest".parse().unwrap();
                assert_eq!(peer.put(Via::any(&mut dice), &name, &tag, &image.manifest).await, Ok(()));
                for peer in &world.peers {
                    let (_, read) = peer.manifest(Via::any(&mut dice), &name, &tag).await.unwrap();
                    assert_eq!(read, image.manifest);
                    pulls.add(1);
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        assert_sound(&*world.raw).await;
        Tree::read(&*world.raw).await.assert_is(&expected(&image, "ns/app"));
        assert!(uploads(&*world.raw).await.is_empty());
        let pushes = TASKS * (image.blobs.len() + 1);
        println!(
            "{setting:?}, seed {}: the same image at once: {TASKS} tasks, {pushes} pushes, {} pulls checked",
            world.seed,
            pulls.get()
        );
    });
}
