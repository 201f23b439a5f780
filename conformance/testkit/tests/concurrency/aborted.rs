//! Clients that are cut off at any moment, and come back: what their session offers is exact, and leads to the
//! right blob.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use plugin_registry_conformance::registry::fixture::{content, digest};
use plugin_registry_core::RepositoryName;
use plugin_registry_testkit::model::invariants::{assert_sound, uploads};
use tokio::task::JoinSet;

use crate::{
    peer::{Peer, Via},
    world::{Count, Dice, Setting, World, run, seed},
};

/// The acknowledged state of one client.
#[derive(Debug, Default)]
struct Told {
    offset: AtomicUsize,
    /// Whether it has sent the PUT.
    is_ending: AtomicBool,
}

#[derive(Debug, Default)]
struct Counts {
    cut: Count,
    statuses: Count,
    /// Sessions that were gone, or at their beginning, after a PUT that was cut off.
    anew: Count,
    refused: Count,
}

pub(crate) fn uploads_cut_off(setting: Setting) {
    let clients = if matches!(setting, Setting::Memory(_)) { 48 } else { 16 };
    run(async move {
        let world = World::new(setting, seed()).await;
        let counts = Arc::new(Counts::default());
        let mut tasks = JoinSet::new();
        for client in 0..clients {
            let (world, counts) = (world.clone(), counts.clone());
            tasks.spawn(async move {
                Upload::new(world, client, counts).run().await;
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap_or_else(|error| panic!("seed {}: {error}", world.seed));
        }
        assert_sound(&*world.raw).await;
        let left = uploads(&*world.raw).await.len() as u64;
        let Counts { cut, statuses, anew, refused } = &*counts;
        println!(
            "{setting:?}, seed {}: {clients} uploads cut off {} times, {} statuses checked, {} chunks refused, \
             {} begun anew, {left} sessions left",
            world.seed,
            cut.get(),
            statuses.get(),
            refused.get(),
            anew.get(),
        );
        assert!(cut.get() > 0, "nobody was cut off");
        assert!(left <= anew.get(), "a finished session left something");
    });
}

struct Upload {
    world: World,
    dice: Dice,
    name: RepositoryName,
    blob: Bytes,
    digest: String,
    counts: Arc<Counts>,
}

impl Upload {
    fn new(world: World, client: usize, counts: Arc<Counts>) -> Self {
        let mut dice = world.dice(client);
        let blob = content(client as u64 + 1, 150_000 + dice.roll(400_000));
        Self { digest: digest(&blob), dice, name: "ns/app".parse().unwrap(), blob, counts, world }
    }

    async fn run(&mut self) {
        while !self.session().await {
            self.counts.anew.add(1);
        }
        for peer in &self.world.peers {
            let read = peer.blob(Via::any(&mut self.dice), &self.name, &self.digest.parse().unwrap()).await;
            assert_eq!(read.as_ref(), Some(&self.blob));
        }
    }

    /// Drives one session to its end; false where it was lost with a PUT.
    async fn session(&mut self) -> bool {
        let mut location = self.world.peer(&mut self.dice).http.begin(self.name.as_str()).await;
        let told = Arc::new(Told::default());
        for attempt in 0.. {
            let mut client = tokio::runtime::Handle::current().spawn(send(
                self.world.clone(),
                self.world.dice(self.dice.roll(1 << 30)),
                location.clone(),
                self.blob.clone(),
                told.clone(),
                self.counts.clone(),
            ));
            tokio::select! {
                done = &mut client => {
                    if done.unwrap() {
                        return true;
                    }
                }
                // In the end everybody gets through.
                () = self.moment(&told), if attempt < 6 => {
                    client.abort();
                    if client.await.is_ok_and(|done| done) {
                        return true;
                    }
                    self.counts.cut.add(1);
                }
            }
            let Some((offset, next)) = self.status(&location, &told).await else { return false };
            told.offset.store(offset, Ordering::SeqCst);
            told.is_ending.store(false, Ordering::SeqCst);
            location = next;
        }
        false
    }

    /// Some moment: any, or one in the middle of the PUT.
    async fn moment(&mut self, told: &Told) {
        if self.dice.percent(50) {
            return tokio::time::sleep(Duration::from_micros(self.dice.roll(8_000) as u64)).await;
        }
        while !told.is_ending.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_micros(50)).await;
        }
        for _ in 0..self.dice.roll(12) {
            tokio::task::yield_now().await;
        }
    }

    /// Where the session stands, when every registry says the same: not before what was acknowledged, and not
    /// behind what was sent.
    async fn status(&mut self, location: &str, told: &Told) -> Option<(usize, String)> {
        let acknowledged = told.offset.load(Ordering::SeqCst);
        let is_ending = told.is_ending.load(Ordering::SeqCst);
        let mut last = None;
        // Work that a dropped request began may still be running in a thread.
        for _ in 0..100 {
            self.world.settle().await;
            let mut all = Vec::new();
            for peer in &self.world.peers {
                all.extend(status(peer, location).await);
            }
            if all.len() < self.world.peers.len() {
                continue;
            }
            let offsets: Vec<_> = all.iter().map(|found| found.as_ref().map(|(offset, _)| *offset)).collect();
            // A session without bytes is known to the registry that began it, and to no other without its state.
            let is_same = offsets.iter().all(|offset| offset.unwrap_or(0) == offsets[0].unwrap_or(0));
            let is_same = is_same && last.as_ref() == Some(&offsets);
            last = Some(offsets);
            if !is_same {
                continue;
            }
            self.counts.statuses.add(1);
            // The registry that began it may offer it again after another one has just finished it.
            let is_over = is_ending && all.iter().any(Option::is_none);
            let Some((offset, next)) = all.into_iter().flatten().next().filter(|_| !is_over) else {
                assert!(
                    is_ending || acknowledged == 0,
                    "the session is lost, and {acknowledged} bytes with it"
                );
                return None;
            };
            let is_anew = is_ending && offset == 0;
            assert!(
                is_anew || acknowledged <= offset && offset <= self.blob.len(),
                "{offset} of {acknowledged}"
            );
            return Some((offset, next));
        }
        panic!("no agreement on where the session stands: {last:?}");
    }
}

/// Sends the rest from where the session stands; whether the blob was taken. Each request goes to any of the
/// registries.
async fn send(
    world: World,
    mut dice: Dice,
    mut location: String,
    blob: Bytes,
    told: Arc<Told>,
    counts: Arc<Counts>,
) -> bool {
    let mut at = told.offset.load(Ordering::SeqCst);
    while at < blob.len() {
        let end = blob.len().min(at + 20_000 + dice.roll(80_000));
        let call = world.peer(&mut dice).http.patch(&location).body(blob.slice(at..end));
        let answer = call.header("content-range", format!("{at}-{}", end - 1)).send().await;
        if answer.status() != 202 {
            // A request that was cut off may hold the session for a moment.
            assert!(matches!(answer.status(), 404 | 416 | 429), "{answer}");
            counts.refused.add(1);
            return false;
        }
        at = end;
        told.offset.store(at, Ordering::SeqCst);
        location = answer.location();
    }
    told.is_ending.store(true, Ordering::SeqCst);
    let answer = world.peer(&mut dice).http.finish(&location, &digest(&blob), "").await;
    assert!(matches!(answer.status(), 201 | 404 | 416 | 429), "{answer}");
    answer.status() == 201
}

/// Where one registry says that the session stands, if it does; nothing while a request that was cut off holds
/// it.
async fn status(peer: &Peer, location: &str) -> Option<Option<(usize, String)>> {
    // Without its old state, the location leads to the session as it is.
    let answer = peer.http.get(location.split('?').next().unwrap()).send().await;
    match answer.status() {
        429 => return None,
        404 => return Some(None),
        _ => {}
    }
    let answer = answer.expect(204);
    let last: usize = answer.header("range").strip_prefix("0-").unwrap().parse().unwrap();
    Some(Some((if last == 0 { 0 } else { last + 1 }, answer.location())))
}
