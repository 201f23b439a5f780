//! One row of the table.

use std::{collections::BTreeMap, fs, path::Path};

use plugin_registry_emulator::programs::SeaweedFs;

use crate::{
    client::Client,
    expected::{Expected, Writer},
    place::{Bucket, Place},
    programs::{OTHERS, Program, are_installed, verify},
    skopeo,
};

/// The columns of the table, in order.
pub(crate) const COLUMNS: [&str; 6] =
    ["2.8.2 → ours", "ours → 2.8.2", "3.1.1 → ours", "ours → 3.1.1", "skopeo → ours", "ours → skopeo"];
/// Of these the table for buckets has the first.
pub(crate) const BUCKET_COLUMNS: usize = 4;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/reference/interop.md");

/// A directory for one run.
pub(crate) fn directory() -> tempfile::TempDir {
    plugin_registry_conformance::scratch::scratch(env!("CARGO_TARGET_TMPDIR"))
}

/// Runs `write` on a fresh store of `server`, in the words that `dialect` understands.
pub(crate) fn written<'a>(
    server: Program,
    dialect: Program,
    root: impl Into<Place<'a>>,
    work: &Path,
    write: impl Fn(&mut Writer<'_>),
) -> Expected {
    let root = root.into();
    let running = server.start(root, work);
    let mut expected = Expected::default();
    let client = Client::new(running.address());
    write(&mut Writer { program: dialect, client: &client, expected: &mut expected, deferred: None });
    running.end().unwrap();
    root.settle();
    expected
}

/// Compares what a program shows of a store with what is expected; gives how many digests.
pub(crate) fn read<'a>(
    reader: Program,
    root: impl Into<Place<'a>>,
    work: &Path,
    expected: &Expected,
) -> usize {
    let root = root.into();
    let running = reader.start(root, work);
    let client = Client::new(running.address()).of(reader, root);
    let compared = expected.check(reader, &client);
    running.end().unwrap();
    if reader == Program::Ours {
        verify(root, work);
    } else {
        assert_no_live_garbage(reader, root, work, expected);
    }
    compared
}

/// No program takes anything that is needed for garbage.
pub(crate) fn assert_no_live_garbage<'a>(
    program: Program,
    root: impl Into<Place<'a>>,
    work: &Path,
    expected: &Expected,
) {
    let garbage = program.garbage(root, work);
    let live = expected.live();
    assert!(garbage.marked > 0 || live.is_empty(), "{program}: {garbage:?}");
    let lost: Vec<&String> = garbage.eligible.iter().filter(|digest| live.contains(*digest)).collect();
    assert!(lost.is_empty(), "{program} would delete live content: {lost:?}");
}

/// All directions of one subject.
pub(crate) fn compare(title: &str, write: fn(&mut Writer<'_>)) {
    if !are_installed(title) {
        return;
    }
    let mut counts = Vec::new();
    for other in OTHERS {
        let (theirs, ours) = (directory(), directory());
        counts.extend(both_ways(other, theirs.path().into(), ours.path().into(), write));
    }
    counts.push(skopeo::writes(write));
    counts.push(skopeo::reads(write));
    check(title, &counts);
}

/// The directions of one subject over a bucket.
pub(crate) fn compare_buckets(title: &str, write: fn(&mut Writer<'_>)) {
    let Some(emulator) = emulator(title) else { return };
    let both = |other| {
        let (theirs, ours) = (Bucket::new(emulator), Bucket::new(emulator));
        both_ways(other, (&theirs).into(), (&ours).into(), write)
    };
    check(title, &OTHERS.map(both).concat());
}

/// The same for a subject that 2.8.2 cannot write to S3, and only reads.
pub(crate) fn compare_buckets_but_one(title: &str, write: fn(&mut Writer<'_>)) {
    let Some(emulator) = emulator(title) else { return };
    let (theirs, ours, work) = (Bucket::new(emulator), Bucket::new(emulator), directory());
    let expected = written(Program::Ours, Program::V2, &ours, work.path(), write);
    let by_old = read(Program::V2, &ours, work.path(), &expected);
    let ours = Bucket::new(emulator);
    let [by_ours, by_new] = both_ways(Program::V3, (&theirs).into(), (&ours).into(), write);
    let counts = [by_old, by_ours, by_new].map(|count| count.to_string());
    check_row(title, &[&["–".to_owned()][..], &counts].concat());
}

/// The emulator for a test that needs it and all programs; otherwise the test is skipped.
pub(crate) fn emulator(title: &str) -> Option<&'static SeaweedFs> {
    are_installed(title).then(|| Bucket::emulator(title)).flatten()
}

/// A subject, written by another program and by ours into two fresh stores, which have to be equal, each read by
/// the other side.
fn both_ways(other: Program, theirs: Place<'_>, ours: Place<'_>, write: fn(&mut Writer<'_>)) -> [usize; 2] {
    let work = directory();
    let expected = written(other, other, theirs, work.path(), write);
    let again = written(Program::Ours, other, ours, work.path(), write);
    assert_eq!(format!("{again:?}"), format!("{expected:?}"));
    assert_same_trees(other, &theirs.files(), &ours.files());
    let by_ours = read(Program::Ours, theirs, work.path(), &expected);
    [by_ours, read(other, ours, work.path(), &expected)]
}

/// The row of the table in the documentation has to have these counts.
pub(crate) fn check(title: &str, counts: &[usize]) {
    assert!([COLUMNS.len(), BUCKET_COLUMNS].contains(&counts.len()));
    assert!(counts.iter().all(|count| *count > 0), "{title}: a direction without a digest: {counts:?}");
    check_row(title, &counts.iter().map(ToString::to_string).collect::<Vec<String>>());
}

fn check_row(title: &str, cells: &[String]) {
    let row = format!("| {title} | {} |", cells.join(" | "));
    println!("{row}");
    let page = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(page.lines().any(|line| line == row), "docs/src/reference/interop.md has no row\n{row}");
}

#[track_caller]
pub(crate) fn assert_same_trees(
    other: Program,
    theirs: &BTreeMap<String, Vec<u8>>,
    ours: &BTreeMap<String, Vec<u8>>,
) {
    let shown = |content: Option<&Vec<u8>>| match content {
        None => "absent".to_owned(),
        Some(content) if content.len() < 200 => String::from_utf8_lossy(content).into_owned(),
        Some(content) => format!("{} bytes", content.len()),
    };
    let paths: std::collections::BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let differences: Vec<String> = paths
        .into_iter()
        .filter(|path| theirs.get(*path) != ours.get(*path))
        .map(|path| format!("{path}: {} / {}", shown(theirs.get(path)), shown(ours.get(path))))
        .collect();
    assert!(differences.is_empty(), "the trees differ, {other} / ours:\n{}", differences.join("\n"));
}
