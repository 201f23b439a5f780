//! OCI layouts as places of the command: many writers at once, archives, names that are not there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use common::{Backup, command, run};
use serde_json::Value;

fn names(layout: &Path) -> Vec<String> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let entries = index["manifests"].as_array().unwrap().iter();
    let name =
        |entry: &Value| entry["annotations"]["org.opencontainers.image.ref.name"].as_str().map(str::to_owned);
    let mut names: Vec<String> = entries.filter_map(name).collect();
    names.sort_unstable();
    names
}

#[test]
fn processes_at_once_lose_no_name() {
    let backup = Backup::make();
    let source = format!("oci:{}", backup.image().display());
    let out = backup.path("out");
    let wanted: Vec<String> = (0..12).map(|number| format!("n{number:02}")).collect();
    let start = |name: &String| {
        let target = format!("oci:{}:{name}", out.display());
        let mut copy = command();
        copy.args(["copy", &source, &target, "--quiet"]).stdout(Stdio::null()).stderr(Stdio::piped());
        copy.spawn().unwrap()
    };
    for copy in wanted.iter().map(start).collect::<Vec<_>>() {
        let ended = copy.wait_with_output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    }
    assert_eq!(names(&out), wanted);
}

/// The kernel holds the lock, so that it ends with its process, however that ends.
#[test]
fn a_writer_waits_for_the_lock_of_another_process() {
    let backup = Backup::make();
    let source = format!("oci:{}", backup.image().display());
    let out = backup.path("out");
    fs::create_dir(&out).unwrap();
    let lock = fs::File::open(&out).unwrap();
    lock.lock().unwrap();
    let mut copy = command();
    let target = format!("oci:{}:1", out.display());
    let mut copy =
        copy.args(["copy", &source, &target]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let digest = backup.document["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
    // The manifest is stored right before it is entered.
    while !out.join("blobs/sha256").join(&digest).exists() {
        assert!(copy.try_wait().unwrap().is_none(), "it ended without the lock");
        thread::yield_now();
    }
    assert!(copy.try_wait().unwrap().is_none() && !out.join("index.json").exists());
    drop(lock);
    assert!(copy.wait().unwrap().success());
    assert_eq!(names(&out), ["1"]);
}

#[test]
fn an_archive_is_told_what_to_do() {
    let backup = Backup::make();
    let archive = backup.path("image.tar");
    fs::write(&archive, "not even an archive").unwrap();
    let (layout, inside) =
        (format!("oci:{}", archive.display()), format!("oci:{}", backup.image().display()));
    for arguments in [["copy", &layout, "registry:a"], ["copy", &inside, &layout]] {
        let ran = backup.run(&arguments);
        assert_eq!(ran.code, 1, "{ran:?}");
        let told = "image.tar` is a file, not a directory\n  Unpack an archive of an OCI layout";
        assert!(ran.err.contains(told) && ran.err.contains("tar -xf FILE -C DIR"), "{ran:?}");
    }
    let ran = run(["verify", "--all", "--root", &archive.display().to_string()]);
    assert!(ran.err.contains("image.tar` is a file, not a directory\n  Name a directory."), "{ran:?}");
    // What `docker save` wrote, unpacked.
    let saved = backup.path("saved");
    fs::create_dir(&saved).unwrap();
    fs::write(saved.join("manifest.json"), "[]").unwrap();
    let ran = backup.run(&["copy", &format!("oci:{}", saved.display()), "registry:a"]);
    assert!(ran.err.contains("skopeo copy docker-archive:FILE oci:DIR"), "{ran:?}");
}

#[test]
fn what_is_not_there_is_told_with_what_there_is() {
    let backup = Backup::make();
    let image = backup.image().display().to_string();
    let ran = backup.run(&["copy", &format!("oci:{image}:nope"), "registry:a"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("has no image named `nope`; there are: 1.0"), "{ran:?}");
    let ran =
        backup.run(&["copy", "registry:quickstart/copy", &format!("oci:{}", backup.path("out").display())]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("`quickstart/copy` has the tags stable."), "{ran:?}");
    assert!(!backup.path("out").exists());
    // Two images of one name: the message says how to name one, and that works.
    let index = backup.image().join("index.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    let entry = document["manifests"][0].clone();
    let digest = entry["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let nested: Value =
        serde_json::from_slice(&fs::read(backup.image().join("blobs/sha256").join(digest)).unwrap()).unwrap();
    let mut child = nested["manifests"][0].clone();
    child["annotations"] = entry["annotations"].clone();
    document["manifests"].as_array_mut().unwrap().push(child.clone());
    fs::write(&index, document.to_string()).unwrap();
    let ran = backup.run(&["copy", &format!("oci:{image}:1.0"), "registry:a"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let child = child["digest"].as_str().unwrap();
    assert!(ran.err.contains(&format!("@{child}")) && ran.err.contains("oci:DIR@DIGEST"), "{ran:?}");
    for reference in [format!("oci:{image}@{child}"), format!("oci:{image}:1.0@{child}")] {
        let ran = backup.run(&["copy", &reference, "registry:a", "--format", "json"]).ok();
        assert_eq!(ran.json()["digest"], child);
    }
}

/// An image of a private repository is as private as the user's other files.
#[test]
fn a_layout_is_as_private_as_the_umask_says() {
    let backup = Backup::make();
    for (umask, file_mode, dir_mode) in [("077", 0o600, 0o700), ("027", 0o640, 0o750), ("022", 0o644, 0o755)]
    {
        let out = backup.path(&format!("of/{umask}"));
        let copied = Command::new("sh")
            .args([
                "-c",
                "umask \"$0\" && exec \"$@\"",
                umask,
                env!("CARGO_BIN_EXE_plugin-registry"),
                "copy",
                "--quiet",
            ])
            .arg(format!("oci:{}", backup.image().display()))
            .arg(format!("oci:{}:one", out.display()))
            .output()
            .unwrap();
        assert!(copied.status.success(), "{copied:?}");
        let mut seen = 0;
        let mut open = vec![out];
        while let Some(at) = open.pop() {
            let metadata = fs::symlink_metadata(&at).unwrap();
            let mode = if metadata.is_dir() { dir_mode } else { file_mode };
            assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{} under {umask}", at.display());
            seen += 1;
            if metadata.is_dir() {
                open.extend(fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        // The layout, its two documents, `blobs`, `sha256`, and blobs.
        assert!(seen > 6, "{seen}");
    }
}
