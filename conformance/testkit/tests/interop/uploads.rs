//! Uploads that broke off.

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use plugin_registry_conformance::registry::fixture::{IMAGE, Image, content, descriptor, digest};
use plugin_registry_testkit::program::wait;
use serde_json::Value;

use crate::{
    client::{Client, Flow},
    expected::{Expected, Writer},
    programs::{OTHERS, Program, are_installed, plugin_registry, skopeo_command},
    row::{check, directory, read},
    skopeo as columns,
};

/// The directories of all uploads, as paths below the root.
fn left(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![root.join("docker/registry/v2/repositories")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if directory.ends_with("_uploads") {
                found.push(format!("/{}", path.strip_prefix(root).unwrap().display()));
            } else if path.is_dir() {
                directories.push(path);
            }
        }
    }
    found.sort();
    found
}

fn purge(root: &Path, arguments: &[&str]) -> Vec<String> {
    let all = [&["purge", "--format", "json", "--root", root.to_str().unwrap()], arguments].concat();
    let report: Value = serde_json::from_str(&plugin_registry(&all)).unwrap();
    assert_eq!(report["unknown"], serde_json::json!([]), "{report}");
    let uploads = report["uploads"].as_array().unwrap();
    let mut paths: Vec<String> =
        uploads.iter().map(|upload| upload["path"].as_str().unwrap().to_owned()).collect();
    paths.sort();
    paths
}

/// An image, and three uploads that are never finished: 1000 bytes, no bytes, and 5 MiB in two chunks.
fn break_off(writer: Program, root: &Path, work: &Path) -> Expected {
    let server = writer.start(root, work);
    let client = Client::new(server.address());
    let mut expected = Expected::default();
    Writer { program: writer, client: &client, expected: &mut expected, deferred: None }.image(
        "app",
        "v1",
        &Image::new(1),
    );
    let _ = client.append(&client.begin("app"), 0, &content(7, 1000));
    let empty = client.begin("app");
    let _ = client.send("PATCH", &empty, &[], &bytes::Bytes::new());
    let location = client.append(&client.begin("app"), 0, &content(8, 1 << 20));
    let _ = client.append(&location, 1 << 20, &content(9, 4 << 20));
    server.kill().unwrap();
    expected
}

/// Each program reads past the other's unfinished uploads, knows them, and purges them.
#[test]
fn uploads_left_behind() {
    let title = "uploads left behind";
    if !are_installed(title) {
        return;
    }
    let mut counts = Vec::new();
    for other in OTHERS {
        // Theirs: one is finished by ours, from the bytes on the disk; the others are purged.
        let (root, work) = (directory(), directory());
        let mut expected = break_off(other, root.path(), work.path());
        let uploads = left(root.path());
        assert_eq!(uploads.len(), 3);
        assert!(purge(root.path(), &["--older-than", "1h"]).is_empty());
        assert_eq!(purge(root.path(), &["--older-than", "0s", "--dry-run"]), uploads);
        let server = Program::Ours.start(root.path(), work.path());
        let client = Client::new(server.address());
        let mut ranges = Vec::new();
        for upload in &uploads {
            let location = format!("/v2/app/blobs/uploads/{}", upload.rsplit('/').next().unwrap());
            let status = client.get(&location).expect(204);
            let range = status.header("range").unwrap().to_owned();
            if range == "0-999" {
                let blob = content(7, 1000);
                let _ = client.finish(&location, &digest(&blob), &bytes::Bytes::new()).expect(201);
                expected.0.get_mut("app").unwrap().blobs.insert(digest(&blob), blob);
            }
            ranges.push(range);
        }
        ranges.sort();
        assert_eq!(ranges, ["0-0", "0-5242879", "0-999"], "{other}");
        server.end().unwrap();
        assert_eq!(left(root.path()).len(), 2);
        assert_eq!(purge(root.path(), &["--older-than", "0s"]).len(), 2);
        assert!(left(root.path()).is_empty());
        counts.push(read(Program::Ours, root.path(), work.path(), &expected));
        // Our uploads: the purge of the other program finds every one that has bytes.
        let (root, work) = (directory(), directory());
        let expected = break_off(Program::Ours, root.path(), work.path());
        let uploads = left(root.path());
        assert_eq!(uploads.len(), 2, "an upload without bytes leaves nothing");
        counts.push(read(other, root.path(), work.path(), &expected));
        let mut purged = other.purge(root.path());
        purged.sort();
        assert_eq!(purged, uploads, "{other} purges ours");
        assert!(left(root.path()).is_empty());
        assert_eq!(read(other, root.path(), work.path(), &expected), counts[counts.len() - 1]);
        read(Program::Ours, root.path(), work.path(), &expected);
    }
    counts.push(skopeo_is_killed());
    counts.push(server_is_killed());
    check(title, &counts);
}

/// An image whose layer takes a moment to copy.
fn large(writer: &mut Writer<'_>) {
    let layer = content(5, 96 << 20);
    let image = Image::with(1, |manifest| {
        manifest["layers"] =
            serde_json::json!([descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &layer)]);
    });
    writer.blob("large", &layer, Flow::Whole);
    writer.blob("large", &image.blobs[0], Flow::Whole);
    writer.manifest("large", "v1", IMAGE, &image.manifest);
}

/// Waits until something is true.
fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_true() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
        sleep(Duration::from_millis(1));
    }
}

/// skopeo is killed while it pushes to us; what it left is purged, and its next try is whole.
fn skopeo_is_killed() -> usize {
    let (first, second, work) = (directory(), directory(), directory());
    let expected = crate::row::written(Program::Ours, Program::Ours, first.path(), work.path(), large);
    let (source, target) =
        (Program::Ours.start(first.path(), work.path()), Program::Ours.start(second.path(), work.path()));
    let from = format!("docker://{}/large:v1", source.address());
    let to = format!("docker://{}/large:v1", target.address());
    let mut child = skopeo_command(&["copy", "--quiet", "--preserve-digests", &from, &to]).spawn().unwrap();
    until("skopeo begins an upload", || !left(second.path()).is_empty());
    child.kill().unwrap();
    let _ = wait(&mut child, Duration::from_secs(10)).unwrap().expect("killed");
    let client = Client::new(target.address());
    let _ = client.get("/v2/large/manifests/v1").expect(404);
    let _ = client.get(&format!("/v2/large/blobs/{}", digest(&content(5, 96 << 20)))).expect(404);
    assert_eq!(left(second.path()).len(), 1, "the upload that broke off is known");
    crate::programs::skopeo(&["copy", "--quiet", "--preserve-digests", &from, &to]);
    let compared = expected.check(Program::Ours, &client);
    let _ = purge(second.path(), &["--older-than", "0s"]);
    assert!(left(second.path()).is_empty());
    source.end().unwrap();
    target.end().unwrap();
    assert_eq!(read(Program::Ours, second.path(), work.path(), &expected), compared);
    compared
}

/// Our server is killed while skopeo pulls: skopeo says that it failed, and its next try is whole.
fn server_is_killed() -> usize {
    let (root, work) = (directory(), directory());
    let expected = crate::row::written(Program::Ours, Program::Ours, root.path(), work.path(), large);
    let server = Program::Ours.start(root.path(), work.path());
    let to = directory();
    let from = format!("docker://{}/large:v1", server.address());
    let mut child =
        skopeo_command(&["copy", "--quiet", &from, &format!("dir:{}", to.path().display())]).spawn().unwrap();
    let has_bytes = || {
        let mut files = fs::read_dir(to.path()).unwrap();
        files.any(|file| file.unwrap().metadata().is_ok_and(|info| info.len() > 1 << 20))
    };
    until("skopeo begins to write", has_bytes);
    server.kill().unwrap();
    let ended = wait(&mut child, Duration::from_secs(120)).unwrap().expect("skopeo ends without its server");
    assert!(!ended.success(), "a pull that broke off is no success");
    columns::pulls(root.path(), work.path(), &expected)
}
