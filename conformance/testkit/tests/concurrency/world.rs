//! Stores with one registry or two over them, and what tasks need to act at random.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use plugin_registry::{Registry, RegistryBuilder};
use plugin_registry_conformance::registry::{Client, Wrapped};
use plugin_registry_core::StorageDriver;
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;

use crate::peer::Peer;

/// A call that waits for ever fails by name.
const DEADLINE: Duration = Duration::from_secs(300);

/// The store below the registries, and how many registries there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    Memory(usize),
    Fs(usize),
}

/// One store and the registries over it, each with its own driver, as in separate processes.
#[derive(Clone)]
pub(crate) struct World {
    #[expect(dead_code, reason = "shown by Debug when a check fails")]
    pub(crate) setting: Setting,
    pub(crate) seed: u64,
    /// The store behind the registries' backs.
    pub(crate) raw: Arc<dyn StorageDriver>,
    pub(crate) peers: Vec<Peer>,
    directory: Option<Arc<tempfile::TempDir>>,
}

impl World {
    pub(crate) async fn new(setting: Setting, seed: u64) -> Self {
        Self::with(setting, seed, |builder| builder).await
    }

    /// With other options of the registries.
    pub(crate) async fn with(
        setting: Setting,
        seed: u64,
        options: impl Fn(RegistryBuilder) -> RegistryBuilder,
    ) -> Self {
        let memory = MemoryDriver::new();
        let directory = matches!(setting, Setting::Fs(_)).then(|| Arc::new(tempfile::tempdir().unwrap()));
        let open = || open(&memory, directory.as_deref());
        let mut peers = Vec::new();
        let (Setting::Memory(count) | Setting::Fs(count)) = setting;
        for _ in 0..count {
            // Waits around each call, so that tasks meet there, also on a store that never waits.
            let driver = Arc::new(Wrapped::new(open().await));
            let registry = options(Registry::builder(driver).delete(true).automatic_crossmount(true)).build();
            peers.push(Peer { http: Client::new(&registry), registry });
        }
        Self { setting, seed, raw: open().await, peers, directory }
    }

    pub(crate) fn is_memory(&self) -> bool {
        self.directory.is_none()
    }

    /// Where the store is, on a filesystem.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.directory.as_ref().unwrap().path()
    }

    /// Separate dice for each task.
    pub(crate) fn dice(&self, task: usize) -> Dice {
        Dice(self.seed ^ (task as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Any of the registries.
    pub(crate) fn peer(&self, dice: &mut Dice) -> &Peer {
        &self.peers[dice.roll(self.peers.len())]
    }

    /// Gives a driver that has its own threads the time to end what dropped requests have begun.
    pub(crate) async fn settle(&self) {
        if !self.is_memory() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn open(memory: &MemoryDriver, directory: Option<&tempfile::TempDir>) -> Arc<dyn StorageDriver> {
    let Some(at) = directory else { return Arc::new(memory.clone()) };
    // Whether the disk has it makes no difference to who sees what.
    let config = FsConfig::new(at.path()).with_durable(false);
    Arc::new(FsDriver::open(config).await.unwrap())
}

/// Random numbers: splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of `0..sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }

    pub(crate) fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.roll(choices.len())]
    }

    /// With this probability in a hundred.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }

    /// Lets others go first, for a while or not at all.
    pub(crate) async fn dawdle(&mut self) {
        match self.roll(8) {
            0 => tokio::time::sleep(Duration::from_micros(self.roll(400) as u64)).await,
            turns => {
                for _ in 0..turns / 2 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// Counts that several tasks add to.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The seed of a run, from `CONCURRENCY_SEED` or from the time. It repeats what each task wants to do, but
/// not how the machine schedules the threads.
#[expect(clippy::disallowed_methods, reason = "a failed run is repeated with its seed")]
pub(crate) fn seed() -> u64 {
    let given = std::env::var("CONCURRENCY_SEED").ok().map(|seed| seed.parse().unwrap());
    let now = || SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
    given.unwrap_or_else(now)
}

/// How many rounds the tests on demand make: `CONCURRENCY_ROUNDS`, or 20.
#[expect(clippy::disallowed_methods, reason = "how long somebody wants to wait")]
pub(crate) fn rounds() -> usize {
    std::env::var("CONCURRENCY_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap())
}

/// Runs a test on four threads.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let done = runtime.block_on(async { tokio::time::timeout(DEADLINE, test).await });
    assert!(done.is_ok(), "no end after {DEADLINE:?}");
}
