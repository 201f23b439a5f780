//! The committed corpus of every fuzz target, and every input that once found something, on stable: what a
//! fuzzer has seen is seen by each test run.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use plugin_registry_testkit::fuzz::{TARGETS, seeds};

/// Corpus files of one target: enough for its seeds and what coverage added, not more than a review can bear.
const MAX_FILES: usize = 60;
/// Bytes of them.
const MAX_BYTES: u64 = 150 * 1024;

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The names of the entries of a directory. Empty if there is no such directory.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    names(directory).into_iter().map(|name| directory.join(name)).collect()
}

fn replay(target: &str) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let corpus = files(&home().join("corpus").join(target));
    assert!(!corpus.is_empty(), "target {target} has no corpus");
    let bytes: u64 = corpus.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(corpus.len() <= MAX_FILES && bytes <= MAX_BYTES, "{} files, {bytes} bytes", corpus.len());
    let found = files(&home().join("regressions").join(target));
    println!("{target}: {} files of {bytes} bytes, {} findings", corpus.len(), found.len());
    // The empty input is everybody's first one.
    run(&[]);
    for file in corpus.iter().chain(&found) {
        let input = fs::read(file).unwrap();
        let verdict = catch_unwind(AssertUnwindSafe(|| run(&input)));
        assert!(verdict.is_ok(), "{target} fails on {}", file.display());
    }
}

macro_rules! targets {
    ($($target:ident,)+) => {
        const TESTED: &[&str] = &[$(stringify!($target),)+];

        mod corpus {
            $(#[test]
            fn $target() {
                super::replay(stringify!($target));
            })+
        }
    };
}

targets! {
    accept,
    content_range,
    digest,
    hash_state,
    link,
    manifest,
    range,
    reference,
    route,
    service,
    upload_state,
    verify,
}

#[test]
fn targets_files_and_folders_agree() {
    let targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert!(targets.is_sorted(), "{targets:?}");
    assert_eq!(targets, TESTED, "a target without a test here");
    let all: BTreeSet<String> = targets.iter().map(|name| (*name).to_owned()).collect();
    let binaries: BTreeSet<String> = all.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&home().join("fuzz_targets")), binaries);
    assert_eq!(names(&home().join("corpus")), all);
    assert!(names(&home().join("regressions")).is_subset(&all), "findings of no target");
    let manifest = fs::read_to_string(home().join("Cargo.toml")).unwrap();
    for target in &all {
        assert!(manifest.contains(&format!("\nname = \"{target}\"\n")), "{target} is no binary");
        let source = fs::read_to_string(home().join("fuzz_targets").join(format!("{target}.rs"))).unwrap();
        assert!(source.contains(&format!("fuzz::{target}(data)")), "{target}.rs fuzzes something else");
    }
}

#[test]
fn seeds_are_as_they_are_made() {
    let seeds = seeds();
    let different: BTreeSet<_> = seeds.iter().map(|(target, name, _)| (target, name)).collect();
    assert_eq!(different.len(), seeds.len(), "a name twice");
    for (target, name, bytes) in &seeds {
        let file = home().join("corpus").join(target).join(name);
        let committed = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(committed == *bytes, "{} is not what `seeds` makes: run write_seeds", file.display());
    }
    for (target, _) in TARGETS {
        assert!(seeds.iter().any(|(of, ..)| of == target), "{target} has no seed");
    }
}

#[test]
#[ignore = "on demand: writes the seeds into the corpus"]
fn write_seeds() {
    for (target, name, bytes) in seeds() {
        let folder = home().join("corpus").join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    }
}
