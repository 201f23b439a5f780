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
mod refused;
mod rotated;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use plugin_registry_emulator::s3::Server;
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

/// Checks that the restored layout of the location's repository has the original images under their names.
fn check_restored(place: &Path, location: &str, images: &Images) {
    check_layout(&place.join("restored").join(location).join("cluster-a+images"), images);
}

/// Checks that a layout has the original images under their names.
fn check_layout(directory: &Path, images: &Images) {
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
        check_restored(place.path(), &format!("velero/{name}"), &images);
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

/// They have the same tags, and one is below another.
#[test]
fn each_repository_is_restored_into_its_own_layout() {
    let place = tempfile::tempdir().unwrap();
    let images = Images::write(&place.path().join("images"));
    let repositories = place.path().join("one-root/docker/registry/v2/repositories");
    for name in ["cluster-a/images/old", "cluster-b/images"] {
        for (path, link) in images.store() {
            if let Some(path) = path.strip_prefix("repositories/cluster-a/images/") {
                let file = repositories.join(name).join(path);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, link).unwrap();
            }
        }
    }
    program::run(place.path(), &[disk(place.path(), "one")]).ok();
    let restored = place.path().join("restored/velero/one");
    let layouts = ["cluster-a+images", "cluster-a+images+old", "cluster-b+images"];
    let found: BTreeSet<_> = fs::read_dir(&restored).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(found, layouts.into_iter().map(Into::into).collect());
    for layout in layouts {
        check_layout(&restored.join(layout), &images);
    }
}

/// Two BackupStorageLocations of one name.
#[test]
fn each_namespace_is_restored_into_its_own_directory() {
    let server = Server::start();
    let place = tempfile::tempdir().unwrap();
    let images = Images::write(&place.path().join("images"));
    let secret = place.path().join("cloud");
    let (access, key) = (server.access_key(), server.secret_key());
    fs::write(&secret, format!("[default]\naws_access_key_id = {access}\naws_secret_access_key = {key}\n"))
        .unwrap();
    let namespaces = ["velero", "other"];
    let locations = namespaces.map(|namespace| {
        let file = place.path().join(format!("{namespace}.yaml"));
        let bucket = rotated::resource(namespace, server.bucket(), &server.endpoint());
        fs::write(&file, bucket).unwrap();
        format!("{}={}", file.display(), secret.display())
    });
    program::run(place.path(), &locations).ok();
    for namespace in namespaces {
        check_restored(place.path(), &format!("{namespace}/bucket"), &images);
    }
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
