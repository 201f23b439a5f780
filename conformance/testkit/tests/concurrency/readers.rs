//! Many readers of one blob, and what a registry remembers of blobs meanwhile (ADR 0012): nothing that it
//! remembers lets a reader read what is not there, or keeps a reader from reading what is.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry::layout;
use plugin_registry_conformance::registry::fixture::{Image, content};
use plugin_registry_core::{ByteRange, Digest, RepositoryName};
use plugin_registry_testkit::model::invariants::assert_sound;
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    peer::{How, Via},
    world::{Setting, World, run, seed},
};

const READERS: usize = 100;

/// All at once; gives how many found it, and checks all that came.
async fn read_at_once(world: &World, name: &RepositoryName, digest: Digest, via: Option<Via>) -> usize {
    let start = Arc::new(Barrier::new(READERS));
    let mut tasks = JoinSet::new();
    for reader in 0..READERS {
        let (world, name, start) = (world.clone(), name.clone(), start.clone());
        tasks.spawn(async move {
            let mut dice = world.dice(reader);
            let (via, peer) = (via.unwrap_or_else(|| Via::any(&mut dice)), world.peer(&mut dice).clone());
            start.wait().await;
            peer.blob(via, &name, &digest).await.is_some()
        });
    }
    let mut found = 0;
    while let Some(task) = tasks.join_next().await {
        found += usize::from(task.unwrap());
    }
    found
}

pub(crate) fn of_one_blob(setting: Setting) {
    for memory in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(60)] {
        run(readers(setting, memory));
    }
}

async fn readers(setting: Setting, memory: Duration) {
    let world = World::with(setting, seed(), |builder| builder.blob_cache_ttl(memory)).await;
    let name: RepositoryName = "ns/app".parse().unwrap();
    let blob: Bytes = content(7, 700_000);
    let digest = Digest::sha256(&blob);
    let mut dice = world.dice(READERS);
    world.peers[0].push(How::Push, &world.peers, &mut dice, &name, &blob).await;

    // Cold: each reader asks the store for the link and for the bytes, and no reader's answers serve another.
    let calls =
        || world.peers.iter().map(|peer| peer.registry.metrics().snapshot().driver_calls()).sum::<u64>();
    let before = calls();
    assert_eq!(read_at_once(&world, &name, digest, Some(Via::Typed)).await, READERS);
    assert_eq!(calls() - before, 2 * READERS as u64);

    // While other tasks replace the blob with the same bytes again and again, and registries remember and
    // forget it.
    let (also, others) = (world.clone(), name.clone());
    let (pushed, image) = (blob.clone(), Image { blobs: vec![blob.clone(); 2], ..naming(&blob) });
    let writer = tokio::runtime::Handle::current().spawn(async move {
        let mut dice = also.dice(READERS + 1);
        loop {
            let peer = also.peer(&mut dice).clone();
            peer.push(How::Put, &also.peers, &mut dice, &others, &pushed).await;
            let tag = "latest".parse().unwrap();
            assert_eq!(peer.put(Via::any(&mut dice), &others, &tag, &image.manifest).await, Ok(()));
        }
    });
    assert_eq!(read_at_once(&world, &name, digest, None).await, READERS);
    writer.abort();
    assert!(writer.await.unwrap_err().is_cancelled());
    world.settle().await;

    // Readers that have begun read to the end. Readers that come after the delete find nothing, remembered or
    // not.
    let mut begun = Vec::new();
    for peer in &world.peers {
        let blobs = peer.registry.repository(name.clone()).blobs();
        begun.push(blobs.open(&digest, ByteRange::full()).await.unwrap());
    }
    assert!(world.peers[0].delete_blob(Via::Typed, &name, &digest).await);
    assert_eq!(read_at_once(&world, &name, digest, None).await, 0);
    for reader in begun {
        let pieces: Vec<Bytes> = reader.into_stream().try_collect().await.unwrap();
        assert!(pieces.concat() == blob);
    }
    for peer in &world.peers {
        let refused = peer.put(Via::Typed, &name, &"v1".parse().unwrap(), &naming(&blob).manifest).await;
        assert_eq!(refused, Err(vec![digest]));
    }

    // The bytes go behind everybody's back: no reader gets any, and a push brings them again. Only a manifest
    // may be taken for a while, where they are remembered.
    for how in [How::Push, How::Put] {
        world.peers[0].push(how, &world.peers, &mut dice, &name, &blob).await;
        assert_eq!(read_at_once(&world, &name, digest, None).await, READERS);
    }
    world.raw.delete(&layout::blob_data(&digest)).await.unwrap();
    assert_eq!(read_at_once(&world, &name, digest, None).await, 0);
    tokio::time::sleep(Duration::from_millis(2)).await;
    let put = world.peers[0].put(Via::Http, &name, &"v1".parse().unwrap(), &naming(&blob).manifest).await;
    assert_eq!(put.is_ok(), memory > Duration::from_secs(1), "{memory:?}: {put:?}");
    world.peers[0].push(How::Push, &world.peers, &mut dice, &name, &blob).await;
    assert_eq!(read_at_once(&world, &name, digest, None).await, READERS);
    assert_sound(&*world.raw).await;
    println!("{setting:?}, blob memory {memory:?}: 7 times {READERS} readers of one blob");
}

/// A manifest that names the blob only.
fn naming(blob: &Bytes) -> Image {
    use plugin_registry_conformance::registry::fixture::{CONFIG, IMAGE, LAYER, descriptor, document};
    let manifest = document(&serde_json::json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": descriptor(CONFIG, blob),
        "layers": [descriptor(LAYER, blob)],
    }));
    Image { blobs: vec![blob.clone()], manifest, media_type: IMAGE }
}
