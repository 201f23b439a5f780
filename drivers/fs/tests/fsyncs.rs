//! How many fsyncs each write costs, counted by strace: one of the file, one of its directory, one for
//! each new directory above. And which path each is of, before or after which rename.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod common;

use std::process::Command;

use bytes::Bytes;
use common::{open, path};
use plugin_registry_core::{StorageDriver, StorageDriverExt, WriteMode};
use plugin_registry_drivers_fs::FsConfig;

/// Runs the test of that name, which is ignored otherwise, and gives the lines of these calls.
fn trace(test: &str, calls: &str) -> Option<Vec<String>> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let run = Command::new("strace")
        .args(["-f", "-qq", "-y", "-s", "400", "-e", &format!("trace={calls}"), "-o"])
        .arg(log.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .output();
    match run {
        Ok(output) if output.status.success() => {
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
            let log = std::fs::read_to_string(log.path()).unwrap();
            Some(log.lines().map(str::to_owned).collect())
        }
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("ptrace") => {
            println!("SKIPPED: strace may not trace here");
            None
        }
        Ok(output) => panic!("{output:?}"),
        Err(error) => {
            println!("SKIPPED: no strace: {error}");
            None
        }
    }
}

fn fsyncs(test: &str) -> Option<usize> {
    let lines = trace(test, "fsync,fdatasync,sync_file_range,syncfs,sync")?;
    Some(lines.iter().filter(|line| line.contains("sync(") || line.contains("range(")).count())
}

/// The files that are made, synced and renamed, in order, by paths below the store. `f.tmp` is the stage of
/// `f`.
fn steps(test: &str) -> Option<Vec<String>> {
    let lines = trace(test, "fsync,fdatasync,/^rename,mkdirat")?;
    Some(lines.iter().filter_map(|line| step(line)).collect())
}

fn step(line: &str) -> Option<String> {
    if line.contains(" = -1 ") || line.contains(" resumed>") {
        return None;
    }
    let (call, arguments) = line.split_once('(')?;
    let call = call.rsplit(' ').next()?;
    // The file behind a descriptor, and names.
    let opened: Vec<&str> = arguments
        .split('<')
        .skip(1)
        .filter_map(|rest| rest.split('>').next().filter(|path| path.starts_with('/')))
        .collect();
    let names: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
    let below =
        |path: &str| path.split_once("/.tmp").unwrap().1.split_once('/').map_or("", |(_, at)| at).to_owned();
    let join = |directory: &str, name: &str| plain(below(&format!("{directory}/{name}")));
    Some(match (call, opened.as_slice(), names.as_slice()) {
        ("fsync" | "fdatasync", [file], []) => format!("sync {}", plain(below(file))),
        ("mkdirat", [directory], [name]) => format!("make {}", join(directory, name)),
        (_, [from, to], [old, new]) => format!("rename {} to {}", join(from, old), join(to, new)),
        _ => panic!("{line}"),
    })
}

/// A path without the random part of a stage's name.
fn plain(path: String) -> String {
    match path.split('.').collect::<Vec<_>>()[..] {
        [target, _, "tmp"] => format!("{target}.tmp"),
        [target, _, size, "part"] => format!("{target}.{size}.part"),
        _ => path,
    }
}

/// A power cut keeps what was synced: the bytes before the name shows them, the name in its own directory, and each new
/// directory in the one above it.
#[test]
fn what_is_synced_and_when() {
    for (child, expected) in [
        ("put_existing", &["sync a/b/f.tmp", "rename a/b/f.tmp to a/b/f", "sync a/b"][..]),
        (
            "put_new",
            &[
                "make a/c",
                "make a/c/d",
                "sync a/c/d/f.tmp",
                "rename a/c/d/f.tmp to a/c/d/f",
                "sync a/c/d",
                "sync a/c",
                "sync a",
            ],
        ),
        (
            "push_5_to",
            &[
                "make u",
                "make u/v",
                "sync u/v/f.tmp",
                "make a/c",
                "rename u/v/f.tmp to a/c/f",
                "sync a/c",
                "sync a",
            ],
        ),
        (
            "resume",
            &[
                "make a/u",
                "sync a/u/f.tmp",
                "rename a/u/f.tmp to a/u/f.0.part",
                "sync a/u",
                "sync a",
                "sync a/u/f.0.part",
                "make a/c",
                "rename a/u/f.0.part to a/c/f",
                "sync a/c",
                "sync a",
            ],
        ),
    ] {
        let Some(steps) = steps(child) else { return };
        assert_eq!(steps, expected, "{child}");
    }
}

macro_rules! counts {
    ($($name:ident => $count:literal, $child:ident: |$driver:ident| $body:expr;)*) => {$(
        #[test]
        fn $name() {
            if let Some(counted) = fsyncs(stringify!($child)) {
                assert_eq!(counted, $count);
            }
        }

        #[tokio::test]
        #[ignore = "the work of the test before"]
        async fn $child() {
            let directory = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(directory.path().join("a/b")).unwrap();
            std::fs::write(directory.path().join("a/b/old"), "x").unwrap();
            let durable = !stringify!($child).contains("undurable");
            let $driver = open(FsConfig::new(directory.path()).with_durable(durable)).await;
            $body
        }
    )*};
}

async fn push(driver: &impl StorageDriver, size: usize, at: &str, to: Option<&str>) {
    let mut writer = driver.writer(&path(at), WriteMode::direct()).await.unwrap();
    for _ in 0..size {
        writer.write(Bytes::from(vec![1; 1 << 20])).await.unwrap();
    }
    writer.commit(&path(to.unwrap_or(at))).await.unwrap();
}

counts! {
    put_into_an_existing_directory => 2, put_existing: |driver| driver.put(&path("/a/b/f"), "x").await.unwrap();
    put_into_two_new_directories => 4, put_new: |driver| driver.put(&path("/a/c/d/f"), "x").await.unwrap();
    push_small => 2, push_0: |driver| push(&driver, 0, "/a/b/f", None).await;
    push_large => 2, push_5: |driver| push(&driver, 5, "/a/b/f", None).await;
    push_small_elsewhere => 3, push_0_to: |driver| push(&driver, 0, "/u/v/f", Some("/a/c/f")).await;
    push_large_elsewhere => 3, push_5_to: |driver| push(&driver, 5, "/u/v/f", Some("/a/c/f")).await;
    second_push_beside_the_first => 5, push_twice: |driver| {
        push(&driver, 0, "/a/c/f", None).await;
        push(&driver, 0, "/a/c/g", None).await;
    };
    close_and_resume => 6, resume: |driver| {
        let writer = driver.writer(&path("/a/u/f"), WriteMode::Stage).await.unwrap();
        let staged = writer.close().await.unwrap();
        driver.commit_staged(&staged, &path("/a/c/f")).await.unwrap();
    };
    // The writer that made the directories never gets to sync them.
    directories_of_another_writer => 5, dropped: |driver| {
        let mut first = driver.writer(&path("/n/m/f"), WriteMode::direct()).await.unwrap();
        first.write(vec![1; 1 << 20].into()).await.unwrap();
        // Taken over only once the first piece is written.
        first.write(vec![1; 1 << 20].into()).await.unwrap();
        driver.put(&path("/n/m/l/g"), "x").await.unwrap();
        drop(first);
    };
    nothing_without_durability => 0, undurable: |driver| {
        driver.put(&path("/a/c/d/f"), "x").await.unwrap();
        push(&driver, 5, "/u/v/f", Some("/a/e/f")).await;
        let writer = driver.writer(&path("/a/u/f"), WriteMode::Stage).await.unwrap();
        let staged = writer.close().await.unwrap();
        driver.commit_staged(&staged, &path("/x/y")).await.unwrap();
        driver.delete(&path("/x")).await.unwrap();
    };
}
