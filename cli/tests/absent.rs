//! A directory without a registry is never taken for an empty registry, and a purge reports what it does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

use common::{Backup, files, run};
use serde_json::json;
use tempfile::TempDir;

const UPLOAD: &str = "docker/registry/v2/repositories/a/_uploads/6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5b";

fn write(root: &Path, path: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "x").unwrap();
}

/// Every command that reads.
const READING: [&[&str]; 9] = [
    &["ls"],
    &["tags", "a"],
    &["inspect", "a:1"],
    &["rm", "a:1"],
    &["rm", "a", "--all"],
    &["verify", "--all"],
    &["verify", "a"],
    &["verify", "a:1"],
    &["purge"],
];

#[test]
fn a_directory_without_a_registry_is_2() {
    for foreign in [
        &[][..],
        &["backups/one/velero-backup.json", "docker-compose.yml"],
        &["other/docker/registry/v2/blobs/x"],
        &["docker/registry/v2/gc/probe/x/object"],
    ] {
        let place = TempDir::new().unwrap();
        let (root, layout) =
            (place.path().join("root"), format!("oci:{}", place.path().join("out").display()));
        fs::create_dir(&root).unwrap();
        foreign.iter().for_each(|path| write(&root, path));
        let before = files(&root);
        let name = root.display().to_string();
        let copy = ["copy", "registry:a:1", &layout];
        for arguments in READING.into_iter().chain([&copy[..]]) {
            let ran = run(arguments.iter().copied().chain(["--root", &name]));
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{foreign:?} {arguments:?}: {ran:?}");
            let message = format!(
                "error: no registry here: no blobs and no repositories at `docker/registry/v2` in `{name}`\n  \
                 Check the root directory; a mount may be missing."
            );
            assert!(ran.err.contains(&message), "{ran:?}");
        }
        assert_eq!(files(&root), before);
        assert!(!place.path().join("out").exists(), "nothing was made");
        // A new location has none, and that is no failure.
        let check = run(["location", "check", "--root", &name]);
        assert_eq!(check.code, 0, "{check:?}");
    }
}

/// An empty `docker/registry/v2` is what an absent mount leaves. A directory of blobs or repositories counts.
#[test]
fn an_empty_directory_does_not_count_and_an_upload_does() {
    let place = TempDir::new().unwrap();
    let root = place.path().display().to_string();
    fs::create_dir_all(place.path().join("docker/registry/v2")).unwrap();
    assert_eq!(run(["verify", "--all", "--root", &root]).code, 2);
    write(place.path(), &format!("{UPLOAD}/data"));
    for (arguments, code) in [
        (&["ls"][..], 0),
        (&["verify", "--all"], 0),
        (&["purge"], 0),
        (&["tags", "a"], 2),
        (&["verify", "b"], 2),
    ] {
        let ran = run(arguments.iter().copied().chain(["--root", &root]));
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        assert!(!ran.err.contains("no registry here"), "{ran:?}");
    }
}

#[test]
fn a_configuration_is_named_with_its_directory() {
    let place = TempDir::new().unwrap();
    let root = place.path().join("root");
    fs::create_dir(&root).unwrap();
    let config = place.path().join("config.yml");
    fs::write(
        &config,
        format!("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n", root.display()),
    )
    .unwrap();
    let ran = run(["verify", "--all", "--config", &config.display().to_string()]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
    let message = format!(
        "error: `{}`: no registry here: no blobs and no repositories at `docker/registry/v2` in `{}`",
        config.display(),
        root.display()
    );
    assert!(ran.err.starts_with(&message), "{ran:?}");
}

#[test]
fn no_create_makes_nothing() {
    let backup = Backup::make();
    let source = format!("oci:{}", backup.image().display());
    let (fresh, out) = (backup.path("fresh"), backup.path("out"));
    let root = fresh.display().to_string();
    let copy = ["copy", &source, "registry:a:1", "--no-create", "--quiet", "--root"];
    let absent = run(copy.iter().copied().chain([root.as_str()]));
    assert_eq!(absent.code, 2, "{absent:?}");
    assert!(absent.err.contains("does not exist") && !fresh.exists(), "{absent:?}");
    fs::create_dir(&fresh).unwrap();
    let empty = run(copy.iter().copied().chain([root.as_str()]));
    assert_eq!(empty.code, 2, "{empty:?}");
    assert!(empty.err.contains("no registry here"), "{empty:?}");
    assert!(files(&fresh).is_empty());
    let target = format!("oci:{}", out.display());
    let layout = backup.run(&["copy", "registry:quickstart/app:1.0", &target, "--no-create"]);
    assert_ne!(layout.code, 0, "{layout:?}");
    assert!(!out.exists());
    // Where there is one, it is used.
    backup.run(&["copy", &source, "registry:a:1", "--no-create", "--quiet"]).ok();
    backup.run(&["verify", "a:1"]).ok();
}

/// A staged file of a writer that was killed, as the filesystem driver names it.
fn stage(root: &Path, number: u8, age: Duration) {
    let blob = root.join("docker/registry/v2/blobs/sha256/aa").join("a".repeat(64));
    fs::create_dir_all(&blob).unwrap();
    let path = blob.join(format!("data.6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5{number}.tmp"));
    fs::write(&path, vec![0; 1000]).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

/// Three staged files of one path are three, those that are too young are counted, and a dry run says the same.
#[test]
fn a_purge_reports_every_stage() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let place = TempDir::new().unwrap();
    let root = place.path().display().to_string();
    (1..4).for_each(|number| stage(place.path(), number, 8 * DAY));
    (4..6).for_each(|number| stage(place.path(), number, 5 * DAY));
    let purge = |arguments: &[&str]| {
        let all = ["purge", "--root", &root].into_iter().chain(arguments.iter().copied());
        run(all).ok()
    };
    let dry = purge(&["--dry-run"]).out;
    assert!(dry.contains("\nwould delete 0 uploads and 3 staged files, 2.93 KiB\n"), "{dry}");
    assert!(
        dry.contains("\nkept 0 uploads and 2 staged files younger than 7days; the oldest is due in "),
        "{dry}"
    );
    let document = purge(&["--dry-run", "--format", "json"]).json();
    assert_eq!((&document["bytes"], &document["keptStaged"]), (&json!(3000), &json!(2)));
    let due = document["nextDueSeconds"].as_u64().unwrap();
    assert!((1..=2 * 24 * 60 * 60 + 1).contains(&due), "{document}");
    assert_eq!(files(place.path()).len(), 5, "a dry run deletes nothing");

    let purged = purge(&["--format", "json"]).json();
    assert_eq!(purged["staged"].as_array().map(Vec::len), Some(3), "{purged}");
    assert_eq!((&purged["bytes"], &purged["keptStaged"]), (&json!(3000), &json!(2)));
    assert_eq!(files(place.path()).len(), 2);
    let rest = purge(&["--older-than", "1day"]).out;
    assert!(rest.ends_with("deleted 0 uploads and 2 staged files, 1.95 KiB\n"), "{rest}");
    assert!(files(place.path()).is_empty());
}
