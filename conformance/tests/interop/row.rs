//! One row of the table.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    client::Client,
    expected::{Expected, Writer},
    programs::{OTHERS, Program, are_installed, plugin_registry},
    skopeo,
};

/// The columns of the table, in order.
pub(crate) const COLUMNS: [&str; 6] =
    ["2.8.2 → ours", "ours → 2.8.2", "3.1.1 → ours", "ours → 3.1.1", "skopeo → ours", "ours → skopeo"];

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/reference/interop.md");

/// A directory for one run.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Runs `write` on a fresh store of `server`, in the words that `dialect` understands.
pub(crate) fn written(
    server: Program,
    dialect: Program,
    root: &Path,
    work: &Path,
    write: impl Fn(&mut Writer<'_>),
) -> Expected {
    let running = server.start(root, work);
    let mut expected = Expected::default();
    let client = Client::new(running.address());
    write(&mut Writer { program: dialect, client: &client, expected: &mut expected, deferred: None });
    running.end().unwrap();
    expected
}

/// Compares what a program shows of a store with what is expected; gives how many digests.
pub(crate) fn read(reader: Program, root: &Path, work: &Path, expected: &Expected) -> usize {
    let running = reader.start(root, work);
    let client = Client::new(running.address());
    let compared = expected.check(reader, &client);
    running.end().unwrap();
    if reader == Program::Ours {
        plugin_registry(&["verify", "--all", "--quiet", "--root", root.to_str().unwrap()]);
    } else {
        assert_no_live_garbage(reader, root, work, expected);
    }
    compared
}

/// Nothing that is needed is garbage for anybody.
pub(crate) fn assert_no_live_garbage(program: Program, root: &Path, work: &Path, expected: &Expected) {
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
        let (theirs, ours, work) = (directory(), directory(), directory());
        let expected = written(other, other, theirs.path(), work.path(), write);
        let again = written(Program::Ours, other, ours.path(), work.path(), write);
        assert_eq!(format!("{again:?}"), format!("{expected:?}"));
        assert_same_trees(other, &files(theirs.path()), &files(ours.path()));
        counts.push(read(Program::Ours, theirs.path(), work.path(), &expected));
        counts.push(read(other, ours.path(), work.path(), &expected));
    }
    counts.push(skopeo::writes(write));
    counts.push(skopeo::reads(write));
    check(title, &counts);
}

/// The row of the table in the documentation has to have these counts.
pub(crate) fn check(title: &str, counts: &[usize]) {
    assert_eq!(counts.len(), COLUMNS.len());
    assert!(counts.iter().all(|count| *count > 0), "{title}: a direction without a digest: {counts:?}");
    let cells: Vec<String> = counts.iter().map(ToString::to_string).collect();
    let row = format!("| {title} | {} |", cells.join(" | "));
    println!("{row}");
    let page = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(page.lines().any(|line| line == row), "docs/src/reference/interop.md has no row\n{row}");
}

/// All files below a directory but those of uploads, by path.
pub(crate) fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "_uploads") {
                    directories.push(path);
                }
            } else {
                let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(relative, fs::read(&path).unwrap());
            }
        }
    }
    found
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
