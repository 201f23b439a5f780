//! Random sequences on registries and on the model.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry::{Registry, upload::UploadId};
use plugin_registry_core::{FileInfo, StorageDriver, StoragePath};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::{
    act::{Asked, act},
    call::{By, Call, Mode, Named, Pick, What},
    counts::Counts,
    gate::Gate,
    generate::calls,
    invariants,
    outcome::{Outcome, Refusal},
    state::{Files, Model},
    step::Sent,
    world::{ALGORITHMS, BILL, REPOSITORIES, SIGNATURE, TAGS, WORLD},
};
use plugin_registry_conformance::{driver::Store, intercept::Intercepted, layout::Tree};

/// Registries that make the calls. One more is opened at the end of each sequence.
const REGISTRIES: usize = 2;

/// Runs `cases` random sequences on stores that `open` gives. The same seed gives the same sequences.
///
/// # Panics
/// If outcomes differ from those of the model, with the shortest sequence found and the seed.
pub fn check(cases: u32, seed: u64, open: impl AsyncFn() -> Store) -> Counts {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let counts = RefCell::new(Counts::default());
    let outcome = TestRunner::new_with_rng(config, rng).run(&calls(), |calls| {
        let counted = runtime.block_on(async { sequence(open().await, &calls).await });
        counts.borrow_mut().add(counted.map_err(TestCaseError::fail)?);
        Ok(())
    });
    match outcome {
        Ok(()) => counts.into_inner(),
        Err(TestError::Fail(reason, calls)) => {
            let (reason, calls) = runtime.block_on(shortest(&open, reason.to_string(), calls));
            panic!("{reason}\nseed {seed}, shortest sequence:\n{}", shown(&calls))
        }
        Err(TestError::Abort(reason)) => panic!("seed {seed}: {reason}"),
    }
}

/// Removes one call after another as long as the rest still fails.
async fn shortest(
    open: &impl AsyncFn() -> Store,
    mut reason: String,
    mut calls: Vec<Call>,
) -> (String, Vec<Call>) {
    let mut without = calls.len();
    while without > 0 {
        without -= 1;
        let mut fewer = calls.clone();
        fewer.remove(without);
        if let Err(fault) = sequence(open().await, &fewer).await {
            (reason, calls) = (fault, fewer);
            without = calls.len();
        }
    }
    (reason, calls)
}

/// Runs one sequence.
///
/// # Errors
/// What differs from the model.
pub(super) async fn sequence(store: Store, calls: &[Call]) -> Result<Counts, String> {
    let mut run = Run::new(store).await;
    for (number, call) in calls.iter().enumerate() {
        run.step(call).await.map_err(|fault| format!("call {number}, {call}: {fault}"))?;
    }
    run.finish().await.map_err(|fault| format!("at the end: {fault}"))?;
    run.counts.sequences = 1;
    Ok(run.counts)
}

struct Run {
    store: Store,
    /// The store itself, without a registry.
    driver: Arc<dyn StorageDriver>,
    registries: Vec<(Gate, Registry)>,
    ids: Vec<UploadId>,
    /// The states that the outcomes so far allow: more than one after a call was dropped.
    possible: Vec<Model>,
    counts: Counts,
}

impl Run {
    async fn new(store: Store) -> Self {
        let driver = store.open().await;
        let mut registries = Vec::new();
        for _ in 0..REGISTRIES {
            registries.push(open(&store, Mode::Default).await);
        }
        let possible = vec![Model::new(REGISTRIES + 1)];
        Self { store, driver, registries, ids: Vec::new(), possible, counts: Counts::default() }
    }

    /// Makes a call, and compares its outcome and the store with what the model allows.
    async fn step(&mut self, call: &Call) -> Result<(), String> {
        let outcome = self.compare(call).await?;
        self.counts.count(&call.what.name(), &outcome);
        Ok(())
    }

    async fn compare(&mut self, call: &Call) -> Result<Outcome, String> {
        let sent = self.possible[0].sent(call);
        let asked = self.asked(&call.what);
        let outcome = self.perform(call, &sent, &asked).await;
        if let What::Reopen(mode) = call.what {
            self.registries[call.on] = open(&self.store, mode).await;
        }
        if self.possible[0].look(&call.what).is_some() {
            return self.settle(&call.what, outcome);
        }
        let mut allowed: Vec<(Outcome, Model)> = Vec::new();
        for model in &self.possible {
            for branch in model.after(call, &sent) {
                if !allowed.contains(&branch) {
                    allowed.push(branch);
                }
            }
        }
        let mut after: Vec<Model> = Vec::new();
        for (expected, model) in &allowed {
            if *expected == outcome && !after.contains(model) {
                after.push(model.clone());
            }
        }
        if after.is_empty() {
            let allowed: BTreeSet<String> =
                allowed.iter().map(|(outcome, _)| format!("{outcome:?}")).collect();
            return Err(format!("{outcome:?}; allowed: {allowed:?}"));
        }
        if after != self.possible {
            if after.iter().any(|model| !self.possible.contains(model)) {
                self.counts.changes += 1;
            }
            let sizes = sizes(&*self.driver).await;
            let differences = differences(&sizes, &after[0].files(&self.ids));
            after.retain(|model| self::differences(&sizes, &model.files(&self.ids)).is_empty());
            if after.is_empty() {
                return Err(format!("{outcome:?}, but the store is another one: {}", differences.join(", ")));
            }
        }
        self.possible = after;
        Ok(outcome)
    }

    /// Compares the outcome of a look. States that would have shown something else are ruled out.
    fn settle(&mut self, what: &What, outcome: Outcome) -> Result<Outcome, String> {
        let allowed: Vec<Outcome> = self.possible.iter().filter_map(|model| model.look(what)).collect();
        if !allowed.contains(&outcome) {
            return Err(format!("{outcome:?}; allowed: {allowed:?}"));
        }
        self.possible.retain(|model| model.look(what).as_ref() == Some(&outcome));
        Ok(outcome)
    }

    fn asked(&self, what: &What) -> Asked {
        let model = &self.possible[0];
        let (pick, named) = match what {
            What::Append { session, .. } | What::Status { session } | What::Cancel { session } => {
                (*session, Named::Blob(0))
            }
            What::Finish { session, digest, .. } => (*session, *digest),
            _ => (Pick { back: 0, elsewhere: false }, Named::Blob(0)),
        };
        let id = model.session_of(pick).map_or_else(UploadId::generate, |session| self.ids[session]);
        Asked { id, repository: model.repository_of(pick), digest: model.named(pick, named) }
    }

    async fn perform(&mut self, call: &Call, sent: &Sent, asked: &Asked) -> Outcome {
        let (gate, registry) = &self.registries[call.on];
        let ids = &mut self.ids;
        for _ in 0..200 {
            let outcome = gate.run(call.cut, act(registry, &call.what, sent, asked, ids)).await;
            let outcome = outcome.unwrap_or(Outcome::Dropped);
            let is_busy =
                matches!(&outcome, Outcome::Refused(Refusal::Unexpected(why)) if why == "UploadBusy");
            if !is_busy {
                return outcome;
            }
            // The lock of a writer that was just dropped may take a moment to go.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Outcome::Refused(Refusal::Unexpected("UploadBusy for ever".to_owned()))
    }

    /// Looks at everything through every registry and a new one, and at the store below them.
    async fn finish(&mut self) -> Result<(), String> {
        self.registries.push(open(&self.store, Mode::Default).await);
        for on in 0..=REGISTRIES {
            for (number, what) in everything(self.ids.len()).into_iter().enumerate() {
                // The new registry is asked for everything that is missing, the others for a part of it.
                let refused = matches!(self.possible[0].look(&what), Some(Outcome::Refused(_)));
                if refused && on < REGISTRIES && (number + self.counts.calls) % 5 != on {
                    continue;
                }
                let call = Call { on, cut: None, what };
                self.compare(&call).await.map_err(|fault| format!("{call}: {fault}"))?;
                self.counts.looks += 1;
            }
        }
        let tree = Tree::read(&*self.driver).await;
        let faults = invariants::faults(&tree);
        if !faults.is_empty() {
            return Err(format!("the store is not sound: {}", faults.join(", ")));
        }
        if !self.possible.iter().any(|model| is_tree(&tree, &model.files(&self.ids))) {
            return Err("the store has other content than the model".to_owned());
        }
        self.look_at_uploads().await
    }

    /// Checks that nothing is left of ended sessions.
    async fn look_at_uploads(&self) -> Result<(), String> {
        let left = invariants::uploads(&*self.driver).await;
        for (repository, id) in left {
            let session = self.ids.iter().position(|known| *known == id);
            let is_allowed = self.possible.iter().any(|model| match session {
                Some(session) => model.sessions[session].is_stored(),
                None => model.littered.contains(repository.as_str()),
            });
            if !is_allowed {
                return Err(format!("the upload {id} in {repository} has left something"));
            }
        }
        Ok(())
    }
}

/// Opens a registry over its own instance of the store.
async fn open(store: &Store, mode: Mode) -> (Gate, Registry) {
    let gate = Gate::default();
    let builder = Registry::builder(Intercepted::over(store.open().await, gate.clone()))
        .delete(mode != Mode::Keeping)
        .read_only(mode == Mode::ReadOnly)
        .automatic_crossmount(true);
    let builder = if mode == Mode::Forgetful { builder.blob_cache_ttl(Duration::ZERO) } else { builder };
    (gate, builder.build())
}

/// Calls that ask for everything that there could be.
fn everything(sessions: usize) -> Vec<What> {
    let mut all = Vec::new();
    for of in REPOSITORIES {
        for by in ALGORITHMS {
            all.push(What::Missing { of, by });
            for blob in 0..WORLD.blobs.len() {
                all.push(What::Get { of, blob, by, limit: usize::MAX });
            }
            for document in 0..WORLD.documents.len() {
                all.push(What::GetManifest { of, by: By::Digest(document, by) });
            }
        }
        for tag in TAGS {
            all.push(What::Resolve { of, tag });
            all.push(What::GetManifest { of, by: By::Tag(tag) });
        }
        all.push(What::ListTags { of, last: None, limit: usize::MAX });
        for (document, filter) in [(0, None), (1, None), (0, Some(SIGNATURE)), (1, Some(BILL))] {
            all.push(What::Referrers { of, document, by: ALGORITHMS[0], filter });
        }
    }
    all.push(What::Catalog { last: None, limit: usize::MAX });
    all.push(What::Verify { of: None });
    all.extend((0..sessions).map(|back| What::Status { session: Pick { back, elsewhere: false } }));
    all
}

/// Every file and its size.
async fn sizes(driver: &dyn StorageDriver) -> BTreeMap<String, u64> {
    let files: Vec<FileInfo> = driver.walk(&StoragePath::root(), None).try_collect().await.unwrap();
    files.into_iter().map(|file| (file.path.to_string(), file.size)).collect()
}

fn differences(actual: &BTreeMap<String, u64>, expected: &Files) -> Vec<String> {
    let surplus = actual.keys().filter(|path| !expected.contains_key(*path)).map(|path| format!("+ {path}"));
    let missing = expected.keys().filter(|path| !actual.contains_key(*path)).map(|path| format!("- {path}"));
    let other = expected.iter().filter(|(path, content)| {
        let size = content.as_ref().map(|content| content.len() as u64);
        size.is_some_and(|size| actual.get(*path).is_some_and(|actual| *actual != size))
    });
    surplus.chain(missing).chain(other.map(|(path, _)| format!("! {path}"))).collect()
}

/// Whether these are exactly the files of a store, byte for byte.
fn is_tree(tree: &Tree, expected: &Files) -> bool {
    let is_right = |(path, content): (&String, &Option<Bytes>)| {
        tree.get(path).is_some_and(|actual| content.as_ref().is_none_or(|content| content == actual))
    };
    tree.len() == expected.len() && expected.iter().all(is_right)
}

fn shown(calls: &[Call]) -> String {
    let lines: Vec<String> = calls.iter().map(|call| format!("  {call}")).collect();
    lines.join("\n")
}
