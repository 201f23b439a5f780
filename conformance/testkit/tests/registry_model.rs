//! Random sequences of calls on two registries over one store have the outcomes that a model of maps and sets
//! predicts (docs, "Run more model sequences"). Every bug that they found has a fixed test below.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test harness: a failed check is a panic of the test, and the counts are its result"
)]

use std::{
    convert::Infallible,
    hash::{BuildHasher, RandomState},
};

use bytes::Bytes;
use futures::stream::{self, Iter};
use plugin_registry::{Registry, RegistryError, Repository, layout, verify::VerifyScope};
use plugin_registry_conformance::{driver::Store, registry::on_a_runtime};
use plugin_registry_core::{Algorithm, Descriptor, Digest, MediaType, StorageDriver};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;
use plugin_registry_testkit::model::{Counts, check};

/// The outcomes that each call has to have, again and again. Without this, a run in which everything is
/// refused, or nothing ever fails, would prove nothing.
const REACHED: &[(&str, &[&str])] = &[
    ("Push", &["done", "dropped", "Body", "OtherDigest", "OtherSize", "NotAllowed"]),
    ("Start", &["done", "NotAllowed"]),
    ("Append", &["done", "dropped", "Announced", "Body", "Offset", "Session", "NotAllowed"]),
    ("Finish", &["done", "dropped", "Announced", "Body", "Offset", "OtherDigest", "Session", "NotAllowed"]),
    ("Status", &["done", "Session"]),
    ("Cancel", &["done", "dropped", "Session", "NotAllowed"]),
    ("Mount", &["done", "dropped", "Blob", "NotAllowed"]),
    ("MountAny", &["done", "dropped", "Blob"]),
    ("Stat", &["done", "Blob"]),
    ("Open", &["done", "Blob", "Range"]),
    ("Get", &["done", "Blob", "TooLarge"]),
    ("Missing", &["done"]),
    ("DeleteBlob", &["done", "Blob", "NotAllowed"]),
    ("PutManifest", &["done", "dropped", "InvalidManifest", "OtherDigest", "References", "NotAllowed"]),
    ("GetManifest", &["done", "Manifest"]),
    ("ManifestExists", &["done"]),
    ("DeleteManifest", &["done", "dropped", "Manifest", "NotAllowed"]),
    ("Resolve", &["done"]),
    ("ListTags", &["done", "Repository"]),
    ("DeleteTag", &["done", "dropped", "Manifest"]),
    ("Catalog", &["done"]),
    ("Referrers", &["done"]),
    ("Verify", &["done", "Repository"]),
    ("Reopen", &["done"]),
];

/// Each of them, in the run with a fixed seed.
const AT_LEAST: usize = 3;

fn any_seed() -> u64 {
    RandomState::new().hash_one("seed")
}

fn on_memory(cases: u32, seed: u64) -> Counts {
    println!("memory, seed {seed}");
    let counts = check(cases, seed, async || Store::of_clones(MemoryDriver::new()));
    println!("{counts}");
    counts
}

fn on_fs(cases: u32, seed: u64) -> Counts {
    println!("fs, seed {seed}");
    let counts = check(cases, seed, async || {
        let directory = plugin_registry_conformance::scratch::scratch(env!("CARGO_TARGET_TMPDIR"));
        Store::new(move || FsDriver::open(FsConfig::new(directory.path()).with_durable(false)))
    });
    println!("{counts}");
    counts
}

#[test]
fn memory_is_like_the_model() {
    assert_eq!(on_memory(1000, any_seed()).sequences, 1000);
}

#[test]
fn fs_is_like_the_model() {
    assert_eq!(on_fs(200, any_seed()).sequences, 200);
}

#[test]
fn every_call_comes_to_every_outcome() {
    let counts = on_memory(800, 1);
    for ((call, outcome), count) in &counts.outcomes {
        println!("{call} {outcome}: {count}");
        assert!(REACHED.iter().any(|(known, _)| known == call), "the table of this test lacks {call}");
    }
    for (call, outcomes) in REACHED {
        for outcome in *outcomes {
            let key = ((*call).to_owned(), (*outcome).to_owned());
            let count = counts.outcomes.get(&key).copied().unwrap_or_default();
            assert!(count >= AT_LEAST, "{call} came {count} times to {outcome}");
        }
    }
}

#[test]
fn a_seed_gives_the_same_sequences_again() {
    assert_eq!(on_memory(20, 7), on_memory(20, 7));
    assert_ne!(on_memory(20, 7), on_memory(20, 8));
}

#[test]
#[ignore = "on demand: as many sequences as PROPTEST_CASES says, from MODEL_SEED"]
fn more_sequences_on_memory() {
    let (cases, seed) = demanded();
    on_memory(cases, seed);
}

#[test]
#[ignore = "on demand: as many sequences as PROPTEST_CASES says, from MODEL_SEED"]
fn more_sequences_on_fs() {
    let (cases, seed) = demanded();
    on_fs(cases, seed);
}

/// How many sequences, and the seed.
#[expect(clippy::disallowed_methods, reason = "a test harness: how much to do is asked for by who runs it")]
fn demanded() -> (u32, u64) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
    };
    let cases = number("PROPTEST_CASES").unwrap_or(10_000);
    (u32::try_from(cases).unwrap(), number("MODEL_SEED").unwrap_or_else(any_seed))
}

// The bugs that the sequences found, each with its shortest sequence.

fn two(store: &MemoryDriver) -> [Repository; 2] {
    [(); 2].map(|()| {
        Registry::builder(store.clone())
            .delete(true)
            .automatic_crossmount(true)
            .build()
            .repository("a".parse().unwrap())
    })
}

fn pieces<const N: usize>(
    pieces: [&'static str; N],
) -> Iter<std::array::IntoIter<Result<Bytes, Infallible>, N>> {
    stream::iter(pieces.map(|piece| Ok(Bytes::from(piece))))
}

fn descriptor(by: Algorithm, content: &str) -> Descriptor {
    let digest = Digest::of(by, content.as_bytes());
    Descriptor::new(MediaType::ImageLayer, digest, content.len() as u64)
}

fn image(config: &str, layer: &Descriptor) -> Bytes {
    let config = descriptor(Algorithm::Sha256, config);
    let entry =
        |of: &Descriptor| format!(r#"{{"mediaType":"x/y","digest":"{}","size":{}}}"#, of.digest, of.size);
    format!(r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#, entry(&config), entry(layer)).into()
}

/// A layer that was pushed by sha512 and deleted by sha256 leaves its alias link, which does not count (ADR
/// 0013). `verify` took it for the layer.
#[test]
fn verify_counts_no_alias_without_its_canonical_link() {
    on_a_runtime(async {
        let registry = Registry::builder(MemoryDriver::new()).delete(true).automatic_crossmount(true).build();
        let a = registry.repository("a".parse().unwrap());
        let layer = descriptor(Algorithm::Sha512, "layer");
        a.blobs().push(&layer, pieces(["layer"])).await.unwrap();
        a.blobs().push(&descriptor(Algorithm::Sha256, "{}"), pieces(["{}"])).await.unwrap();
        a.manifests().put(&"v1".parse().unwrap(), None, image("{}", &layer)).await.unwrap();
        assert!(registry.verify(VerifyScope::All, |_| ()).await.unwrap().is_sound());
        a.blobs().delete(&Digest::sha256(b"layer")).await.unwrap();
        assert!(matches!(a.blobs().stat(&layer.digest).await, Err(RegistryError::BlobUnknown { .. })));
        let report = registry.verify(VerifyScope::All, |_| ()).await.unwrap();
        assert_eq!(report.findings.len(), 1, "{report:?}");
    });
}

/// If this instance has not hashed the earlier bytes, wrong ones end the session (`UploadSession::finish`).
/// An instance that hashed them keeps it.
#[test]
fn a_finish_with_wrong_bytes_ends_the_session_only_elsewhere() {
    on_a_runtime(async {
        let [here, there] = two(&MemoryDriver::new());
        let digest = Digest::sha256(b"right content");
        for (finishes, is_kept) in [(&here, true), (&there, false)] {
            let session = here.uploads().start().unwrap();
            session.append(None, None, pieces(["right "])).await.unwrap();
            let other = finishes.uploads().resume(session.id()).await.unwrap();
            let refused = other.finish(Some(6), None, &digest, pieces(["rubbish"])).await;
            assert!(matches!(refused, Err(RegistryError::Mismatch(_))), "{refused:?}");
            assert_eq!(session.status().await.is_ok_and(|offset| offset == 6), is_kept);
            let repeated = other.finish(Some(6), None, &digest, pieces(["content"])).await;
            assert_eq!(repeated.is_ok(), is_kept, "{repeated:?}");
        }
    });
}

/// "`UploadUnknown` when it has ended already" (`UploadSession::cancel`).
#[test]
fn a_session_that_ended_elsewhere_cannot_be_cancelled() {
    on_a_runtime(async {
        let [here, there] = two(&MemoryDriver::new());
        let session = here.uploads().start().unwrap();
        session.append(None, None, pieces(["content"])).await.unwrap();
        let other = there.uploads().resume(session.id()).await.unwrap();
        other.finish(None, None, &Digest::sha256(b"content"), pieces([])).await.unwrap();
        assert!(matches!(session.cancel().await, Err(RegistryError::UploadUnknown)));
    });
}

/// "Nothing is written for a body without bytes" (`UploadSession::append`).
#[test]
fn pieces_without_bytes_are_no_body() {
    on_a_runtime(async {
        let store = MemoryDriver::new();
        let [here, there] = two(&store);
        let session = here.uploads().start().unwrap();
        assert_eq!(session.append(Some(0), None, pieces(["", ""])).await.unwrap(), 0);
        assert!(matches!(there.uploads().resume(session.id()).await, Err(RegistryError::UploadUnknown)));
    });
}

/// A `finish` that was dropped between commit and link may leave the session without bytes
/// (`UploadSession`). The next one, of a wrong length, got an error about the length alone, as if the bytes
/// were there.
#[test]
fn a_wrong_length_does_not_say_that_the_bytes_are_there() {
    on_a_runtime(async {
        let store = MemoryDriver::new();
        let [here, _] = two(&store);
        let session = here.uploads().start().unwrap();
        session.append(None, None, pieces(["content"])).await.unwrap();
        let digest = Digest::sha256(b"content");
        let staged = store.find_staged(&layout::upload_data(here.name(), &session.id())).await.unwrap();
        store.commit_staged(&staged, &layout::blob_data(&digest)).await.unwrap();
        let refused = session.finish(Some(7), Some(1), &digest, pieces([])).await;
        let is_offset = matches!(refused, Err(RegistryError::UploadOffset { expected: 7, actual: 0 }));
        assert!(is_offset || refused.is_ok(), "{refused:?}");
    });
}
