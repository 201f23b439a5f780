//! Many tasks push images that share layers under the same few tags, while others pull, list and, in some
//! storms, delete.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use plugin_registry_conformance::registry::fixture::{self, content, descriptor};
use plugin_registry_core::{Digest, Reference, RepositoryName, Tag};
use plugin_registry_testkit::{
    concurrency::history::Action::{Clear, Read, Sweep, Write},
    model::invariants::uploads,
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    aftermath,
    log::{Log, What},
    peer::{How, Peer, SOURCE, Via},
    world::{Count, Dice, Setting, World, rounds, run, seed},
};

/// How many of each kind of task, and how often they act.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) pushers: usize,
    pub(crate) images: usize,
    pub(crate) pullers: usize,
    pub(crate) listers: usize,
    pub(crate) deleters: usize,
}

const TAGS: [&str; 3] = ["latest", "v1", "v1.0"];
const PIECES: usize = 6;
/// A known defect (`links`): a manifest is accepted on the strength of directories, which on a filesystem
/// outlive their links by a moment. While it is there, what was accepted says nothing of links.
const DIRECTORIES_COUNT: bool = true;

/// An image that some task pushed or is about to push.
#[derive(Clone, Debug)]
struct Pushed {
    blobs: Vec<Bytes>,
    manifest: Bytes,
}

pub(crate) struct Storm {
    pub(crate) world: World,
    pub(crate) log: Log,
    pub(crate) name: RepositoryName,
    plan: Plan,
    layers: Vec<Bytes>,
    /// The subject of the referrers.
    subject: Bytes,
    pushed: Mutex<Vec<Pushed>>,
    pushers_left: AtomicUsize,
    pulls: Count,
    refused: Count,
    deletes: Count,
}

/// Nothing is deleted: everything that was acknowledged stays, and all that a tag names is there.
pub(crate) fn of_pushes(setting: Setting) {
    let images = if matches!(setting, Setting::Memory(_)) { 20 } else { 8 };
    run(storm(setting, Plan { pushers: 8, images, pullers: 10, listers: 6, deleters: 0 }));
}

/// Tags, manifests and blobs are deleted meanwhile.
pub(crate) fn of_deletes(setting: Setting) {
    let images = if matches!(setting, Setting::Memory(_)) { 20 } else { 8 };
    run(storm(setting, Plan { pushers: 8, images, pullers: 8, listers: 4, deleters: 6 }));
}

/// The same, again and again, by more tasks.
pub(crate) fn long(setting: Setting) {
    for round in 0..rounds() {
        let deleters = if round % 2 == 0 { 0 } else { 8 };
        run(storm(setting, Plan { pushers: 12, images: 40, pullers: 12, listers: 8, deleters }));
    }
}

async fn storm(setting: Setting, plan: Plan) {
    let world = World::new(setting, seed()).await;
    let layers: Vec<Bytes> = (0..PIECES).map(|n| content(n as u64 + 1, 100 + n * n * 900)).collect();
    let storm = Storm {
        log: Log::default(),
        name: "ns/app".parse().unwrap(),
        plan,
        layers,
        subject: Bytes::new(),
        pushed: Mutex::default(),
        pushers_left: AtomicUsize::new(plan.pushers),
        pulls: Count::default(),
        refused: Count::default(),
        deletes: Count::default(),
        world,
    };
    let storm = Arc::new(storm.begin().await);
    let mut tasks = JoinSet::new();
    for task in 0..plan.pushers + plan.pullers + plan.listers + plan.deleters {
        tasks.spawn(storm.clone().act(task));
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap_or_else(|error| panic!("seed {}: {error}", storm.world.seed));
    }
    storm.look_at_all().await;
    let judged = storm.log.judge();
    let excepted = aftermath::check(&storm).await;
    assert!(uploads(&*storm.world.raw).await.is_empty(), "something is left of finished uploads");
    let Plan { deleters, .. } = plan;
    let Storm { world, pulls, refused, deletes, .. } = &*storm;
    println!(
        "{setting:?}, seed {}: {} tasks, {} of them deleting: {} calls on {} keys explained, {} pulls and {} \
         listings checked, {} deletes, {} manifests refused for what was deleted, {} pulls of tags \
         that were gone, excepted at the end: {excepted}",
        world.seed,
        plan.pushers + plan.pullers + plan.listers + deleters,
        deleters,
        judged.calls,
        judged.keys,
        pulls.get(),
        judged.listings,
        deletes.get(),
        refused.get(),
        judged.unknown,
    );
    assert!(pulls.get() > 0 && judged.listings > 0);
    assert_eq!(deletes.get() > 0, deleters > 0);
}

impl Storm {
    /// Pushes the layers to where they can be mounted from, and the subject of the referrers.
    async fn begin(mut self) -> Self {
        let (source, mut dice) = (SOURCE.parse().unwrap(), self.world.dice(999));
        let config = Bytes::from_static(b"{}");
        let (span, ()) = self
            .log
            .call(async {
                for layer in &self.layers {
                    self.world.peers[0].push(How::Push, &self.world.peers, &mut dice, &source, layer).await;
                }
            })
            .await;
        self.log.note(&self.log.repositories, SOURCE, span, Write(true));
        let image = document(&config, &[], None);
        let subject = Pushed { blobs: vec![config], manifest: image.clone() };
        assert!(self.push(&mut dice, &subject, None).await);
        self.subject = image;
        self
    }

    async fn act(self: Arc<Self>, task: usize) {
        let Plan { pushers, pullers, listers, images, .. } = self.plan;
        let mut dice = self.world.dice(task);
        if task < pushers {
            for image in 0..images {
                self.push_any(&mut dice, task * 1000 + image).await;
            }
            self.pushers_left.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        while self.pushers_left.load(Ordering::SeqCst) > 0 {
            dice.dawdle().await;
            if task < pushers + pullers {
                self.pull(&mut dice).await;
            } else if task < pushers + pullers + listers {
                self.list(&mut dice).await;
            } else {
                // Not so often that nothing is left to pull.
                tokio::time::sleep(Duration::from_millis(1 + dice.roll(6) as u64)).await;
                self.delete(&mut dice).await;
            }
        }
    }

    /// Pushes a new image, or one that another task pushed before, under one of the tags or by digest only.
    async fn push_any(&self, dice: &mut Dice, number: usize) {
        let again = dice.percent(20).then(|| self.any_pushed(dice)).flatten();
        let image = again.unwrap_or_else(|| {
            let config = Bytes::from(format!("{{\"number\":{number}}}"));
            let layers: Vec<Bytes> =
                (0..1 + dice.roll(3)).map(|_| dice.one_of(&self.layers).clone()).collect();
            let subject = dice.percent(30).then_some(&self.subject);
            let manifest = document(&config, &layers, subject);
            Pushed { blobs: [vec![config], layers].concat(), manifest }
        });
        self.pushed.lock().unwrap().push(image.clone());
        let tag: Option<Tag> = dice.percent(85).then(|| dice.one_of(&TAGS).parse().unwrap());
        // Other tasks may delete again and again what it needs.
        for _ in 0..4 {
            if self.push(dice, &image, tag.as_ref()).await {
                break;
            }
        }
        if dice.percent(30) {
            let other: RepositoryName = format!("many/{}-{}", number % 7, number).parse().unwrap();
            let layer = dice.one_of(&self.layers);
            let peer = self.world.peer(dice).clone();
            let (span, ()) =
                self.log.call(peer.push(How::Mount, &self.world.peers, dice, &other, layer)).await;
            self.log.note(&self.log.repositories, other, span, Write(true));
        }
    }

    fn any_pushed(&self, dice: &mut Dice) -> Option<Pushed> {
        let pushed = self.pushed.lock().unwrap();
        (!pushed.is_empty()).then(|| dice.one_of::<Pushed>(&pushed).clone())
    }

    /// Pushes what an image lacks, then its manifest; whether the manifest was taken.
    async fn push(&self, dice: &mut Dice, image: &Pushed, tag: Option<&Tag>) -> bool {
        let Self { log, name, world, .. } = self;
        for blob in &image.blobs {
            dice.dawdle().await;
            let (digest, peer) = (Digest::sha256(blob), world.peer(dice).clone());
            let (span, is_there) = log.call(peer.has_blob(Via::any(dice), name, &digest)).await;
            log.note(&log.layers, digest, span, Read(is_there));
            if !is_there {
                let how = *dice.one_of(&How::ALL);
                let (span, ()) = log.call(peer.push(how, &world.peers, dice, name, blob)).await;
                log.note(&log.layers, digest, span, Write(true));
                log.note(&log.repositories, name, span, Write(true));
            }
        }
        let digest = Digest::sha256(&image.manifest);
        let reference = tag.map_or(Reference::Digest(digest), |tag| Reference::Tag(tag.clone()));
        let peer = world.peer(dice).clone();
        let (span, put) = log.call(peer.put(Via::any(dice), name, &reference, &image.manifest)).await;
        match put {
            Ok(()) => {
                if let Some(tag) = tag {
                    log.note(&log.tags, tag, span, Write(Some(digest)));
                }
                log.note(&log.revisions, digest, span, Write(true));
                if !self.subject.is_empty() && refers_to(&image.manifest, &self.subject) {
                    log.note(&log.referrers, digest, span, Write(true));
                }
                // It was found that all blobs were there. A layer may be named twice.
                let named: BTreeSet<Digest> = image.blobs.iter().map(|blob| Digest::sha256(blob)).collect();
                if world.is_memory() || !DIRECTORIES_COUNT {
                    named.iter().for_each(|digest| log.note(&log.layers, digest, span, Read(true)));
                }
                true
            }
            Err(lacking) => {
                self.refused.add(1);
                assert!(self.plan.deleters > 0, "refused, and nothing was deleted: {lacking:?}");
                let lacking = BTreeSet::from_iter(lacking);
                lacking.iter().for_each(|digest| log.note(&log.layers, digest, span, Read(false)));
                false
            }
        }
    }

    /// Looks where a tag leads, or pulls what it names with all blobs.
    async fn pull(&self, dice: &mut Dice) {
        let Self { log, name, world, .. } = self;
        let (tag, peer): (Tag, &Peer) = (dice.one_of(&TAGS).parse().unwrap(), world.peer(dice));
        if dice.percent(30) {
            let tags = peer.registry.repository(name.clone()).tags();
            let (span, digest) = log.call(tags.resolve(&tag)).await;
            log.note(&log.tags, tag, span, Read(digest.unwrap()));
            return;
        }
        let (span, found) = log.call(peer.manifest(Via::any(dice), name, &Reference::Tag(tag.clone()))).await;
        let Some((digest, manifest)) = found else {
            if self.plan.deleters == 0 {
                log.note(&log.tags, tag, span, Read(None));
            } else {
                log.note_unknown(tag, span);
            }
            return;
        };
        log.note(&log.tags, tag, span, Read(Some(digest)));
        log.note(&log.revisions, digest, span, Read(true));
        self.pull_blobs(dice, peer, &manifest).await;
    }

    async fn pull_blobs(&self, dice: &mut Dice, peer: &Peer, manifest: &Bytes) {
        let Self { log, name, .. } = self;
        for (digest, size) in blobs_of(manifest) {
            let (span, blob) = log.call(peer.blob(Via::any(dice), name, &digest)).await;
            if let Some(blob) = &blob {
                assert_eq!(blob.len() as u64, size, "{digest}");
            }
            assert!(blob.is_some() || self.plan.deleters > 0, "a tag led to a manifest without {digest}");
            log.note(&log.layers, digest, span, Read(blob.is_some()));
        }
        self.pulls.add(1);
    }

    async fn list(&self, dice: &mut Dice) {
        let Self { log, name, world, .. } = self;
        let (via, peer, limit) = (Via::any(dice), world.peer(dice), 1 + dice.roll(5));
        match dice.roll(3) {
            0 => {
                let mut page = log.list(What::Tags, peer.tags(via, name, None, limit)).await;
                while page.more {
                    let after = page.names.last().cloned();
                    page = log.list(What::Tags, peer.tags(via, name, after, limit)).await;
                }
            }
            1 => {
                let limit = limit * 10;
                let mut page = log.list(What::Catalog, peer.catalog(via, None, limit)).await;
                while page.more {
                    let after = page.names.last().cloned();
                    page = log.list(What::Catalog, peer.catalog(via, after, limit)).await;
                }
            }
            _ => {
                let subject = Digest::sha256(&self.subject);
                log.list(What::Referrers, peer.referrers(via, name, &subject)).await;
            }
        }
    }

    async fn delete(&self, dice: &mut Dice) {
        let Self { log, name, world, .. } = self;
        let (via, peer) = (Via::any(dice), world.peer(dice));
        let Some(image) = self.any_pushed(dice) else { return };
        self.deletes.add(1);
        match dice.roll(4) {
            0 | 1 => {
                let tag: Tag = dice.one_of(&TAGS).parse().unwrap();
                let (span, was_there) = log.call(peer.delete(via, name, &Reference::Tag(tag.clone()))).await;
                let done = if world.is_memory() { Write(None) } else { Sweep(None) };
                log.note(&log.tags, tag, span, if was_there { done } else { Read(None) });
            }
            2 => {
                let digest = Digest::sha256(&image.manifest);
                let (span, was_there) = log.call(peer.delete(via, name, &Reference::Digest(digest))).await;
                if !was_there {
                    return log.note(&log.revisions, digest, span, Read(false));
                }
                log.note(&log.revisions, digest, span, Write(false));
                log.note(&log.referrers, digest, span, Write(false));
                for tag in TAGS {
                    log.note(&log.tags, tag, span, Clear { named: Some(digest), to: None });
                }
            }
            _ => {
                let digest = Digest::sha256(dice.one_of::<Bytes>(&image.blobs));
                let (span, was_there) = log.call(peer.delete_blob(via, name, &digest)).await;
                log.note(&log.layers, digest, span, if was_there { Write(false) } else { Read(false) });
            }
        }
    }

    /// At the end, looks at every key through every registry. So the leftovers of the storm are part of its
    /// history, and everything acknowledged and not deleted has to exist (I1).
    async fn look_at_all(&self) {
        let Self { log, name, world, .. } = self;
        let mut dice = world.dice(998);
        let keys = |map: Vec<String>| map.into_iter().map(|key| key.parse::<Digest>().unwrap());
        let revisions = log.revisions.lock().unwrap().keys().cloned().collect();
        let layers = log.layers.lock().unwrap().keys().cloned().collect();
        let (revisions, layers): (Vec<_>, Vec<_>) = (keys(revisions).collect(), keys(layers).collect());
        for peer in &world.peers {
            for tag in TAGS {
                let tag: Tag = tag.parse().unwrap();
                let tags = peer.registry.repository(name.clone()).tags();
                let (span, digest) = log.call(tags.resolve(&tag)).await;
                log.note(&log.tags, tag, span, Read(digest.unwrap()));
            }
            for digest in &revisions {
                let via = Via::any(&mut dice);
                let (span, found) = log.call(peer.manifest(via, name, &Reference::Digest(*digest))).await;
                log.note(&log.revisions, digest, span, Read(found.is_some()));
            }
            for digest in &layers {
                let (span, found) = log.call(peer.blob(Via::any(&mut dice), name, digest)).await;
                log.note(&log.layers, digest, span, Read(found.is_some()));
            }
            log.list(What::Tags, peer.tags(Via::Typed, name, None, 1000)).await;
            log.list(What::Catalog, peer.catalog(Via::Http, None, 1000)).await;
            log.list(What::Referrers, peer.referrers(Via::Http, name, &Digest::sha256(&self.subject))).await;
        }
    }
}

fn document(config: &Bytes, layers: &[Bytes], subject: Option<&Bytes>) -> Bytes {
    let layers: Vec<_> = layers.iter().map(|layer| descriptor(fixture::LAYER, layer)).collect();
    let mut json = json!({
        "schemaVersion": 2,
        "mediaType": fixture::IMAGE,
        "config": descriptor(fixture::CONFIG, config),
        "layers": layers,
    });
    if let Some(subject) = subject {
        json["subject"] = descriptor(fixture::IMAGE, subject);
    }
    fixture::document(&json)
}

fn refers_to(manifest: &Bytes, subject: &Bytes) -> bool {
    let json: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    json["subject"]["digest"] == Digest::sha256(subject).to_string()
}

/// The blobs that a manifest names, read without the registry's parser.
fn blobs_of(manifest: &Bytes) -> Vec<(Digest, u64)> {
    let json: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    let named = [&json["config"]].into_iter().chain(json["layers"].as_array().unwrap());
    let entry = |entry: &serde_json::Value| {
        (entry["digest"].as_str().unwrap().parse().unwrap(), entry["size"].as_u64().unwrap())
    };
    named.map(entry).collect()
}
