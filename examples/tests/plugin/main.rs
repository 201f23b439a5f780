//! Runs the plugin, and checks what it did by other means: the files and objects that it wrote, one by one, with
//! digests that this test computes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test: a failed check is a panic of it"
)]

mod images;
mod program;
mod rotated;

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use self::{images::Images, program::Ran};

/// Writes the configuration of a directory, and returns its path.
fn disk(place: &Path, name: &str) -> String {
    let root = place.join(format!("{name}-root"));
    let file = place.join(format!("{name}.yml"));
    let text = format!("version: 0.1\nstorage: {{filesystem: {{rootdirectory: '{}'}}}}\n", root.display());
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Checks the files of the directory that [`disk`] configures.
fn check_disk(place: &Path, name: &str, images: &Images) {
    let stored = tree(&place.join(format!("{name}-root/docker/registry/v2")));
    images::assert_same(&stored, &images.store());
}

/// All files below a directory, by their paths from there.
fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

/// Checks that a restored layout has the original images under their names.
fn check_restored(directory: &Path, images: &Images) {
    images::assert_same(&tree(&directory.join("blobs/sha256")), &images.blobs);
    let index: Value = serde_json::from_slice(&fs::read(directory.join("index.json")).unwrap()).unwrap();
    let entries = index["manifests"].as_array().unwrap().iter();
    let name = |entry: &Value| entry["annotations"]["org.opencontainers.image.ref.name"].clone();
    let found: BTreeMap<_, _> = entries
        .map(|entry| (name(entry).as_str().unwrap().to_owned(), entry["digest"].as_str().unwrap().to_owned()))
        .collect();
    let digest = |image: &images::Image| (image.name.to_owned(), format!("sha256:{}", image.manifest));
    assert_eq!(found, images.all.iter().map(digest).collect());
}

/// Checks what the first run on a location said.
fn check_said(ran: &Ran, location: &str, images: &Images) {
    for image in &images.all {
        // A copy leaves out the base if the other one has brought it.
        let (all, own) = (image.bytes, image.bytes - images.base);
        let last = ran.progress(location, image.name).pop().expect("no progress was printed");
        assert!([all, own].map(|bytes| format!("{bytes} of {bytes} bytes")).contains(&last), "{last}");
        assert!(ran.out.contains(&format!("{location}: cluster-a/images:{}\n", image.name)), "{}", ran.out);
    }
    assert!(ran.out.contains(&format!("{location}: sound, 2 manifests and 5 blobs\n")), "{}", ran.out);
}

#[test]
fn two_directories_get_the_same_backup() {
    let place = tempfile::tempdir().unwrap();
    let images = Images::write(&place.path().join("images"));
    let locations = ["one", "two"].map(|name| disk(place.path(), name));
    let ran = program::run(place.path(), &locations).ok();
    for name in ["one", "two"] {
        check_said(&ran, &format!("velero/{name}"), &images);
        check_disk(place.path(), name, &images);
        check_restored(&place.path().join("restored").join(name), &images);
    }

    // Nothing is copied twice.
    let again = program::run(place.path(), &locations).ok();
    for image in &images.all {
        assert_eq!(again.progress("velero/one", image.name), [""; 0]);
        let line = format!("velero/one {}: sha256:{}, 0 blobs copied\n", image.name, image.manifest);
        assert!(again.out.contains(&line), "{}", again.out);
    }
    check_disk(place.path(), "one", &images);
}

#[test]
fn damage_is_found_before_anything_is_restored() {
    let place = tempfile::tempdir().unwrap();
    let images = Images::write(&place.path().join("images"));
    let locations = [disk(place.path(), "one")];
    program::run(place.path(), &locations).ok();
    fs::remove_dir_all(place.path().join("restored")).unwrap();

    let data = place.path().join("one-root/docker/registry/v2").join(images.base_path());
    let mut bytes = fs::read(&data).unwrap();
    bytes[100] ^= 1;
    fs::write(&data, bytes).unwrap();
    let ran = program::run(place.path(), &locations);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.starts_with("error: velero/one: damaged: "), "{}", ran.err);
    assert!(ran.err.contains(&images.base_path()), "{}", ran.err);
    assert!(!place.path().join("restored").exists());
}

#[test]
fn what_is_missing_is_named() {
    let place = tempfile::tempdir().unwrap();
    let locations = [disk(place.path(), "one")];
    let ran = program::run(place.path(), &locations);
    let images = place.path().join("images");
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.starts_with("error: velero/one: ") && ran.err.contains(images.to_str().unwrap()),
        "{}",
        ran.err
    );
    assert!(!images.exists());

    let file = place.path().join("none.yml").to_str().unwrap().to_owned();
    let ran = program::run(place.path(), std::slice::from_ref(&file));
    assert!(ran.err.starts_with(&format!("error: {file}: ")), "{}", ran.err);
}
