//! What the plugin refuses.

use std::fs;

use serde_json::{Value, json};

use super::{Images, disk, program, tree};

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

/// Otherwise it would not be in the backup, and nothing would say so.
#[test]
fn an_image_without_a_name_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let images = Images::write(&place.path().join("images"));
    let file = place.path().join("images/index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    index["manifests"][1].as_object_mut().unwrap().remove("annotations");
    fs::write(&file, index.to_string()).unwrap();
    let ran = program::run(place.path(), &[disk(place.path(), "one")]);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    let unnamed = format!(": sha256:{} has no name for a tag\n", images.all[1].manifest);
    assert!(ran.err.starts_with("error: velero/one: ") && ran.err.ends_with(&unnamed), "{}", ran.err);
    assert!(!ran.out.contains("backed up"), "{}", ran.out);
}

#[test]
fn a_layout_without_images_is_refused() {
    let place = tempfile::tempdir().unwrap();
    Images::write(&place.path().join("images"));
    let index = json!({"schemaVersion": 2, "manifests": []});
    fs::write(place.path().join("images/index.json"), index.to_string()).unwrap();
    let ran = program::run(place.path(), &[disk(place.path(), "one")]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.ends_with("images has no image\n"), "{}", ran.err);
    assert!(tree(&place.path().join("one-root")).is_empty());
}

/// The second one would be restored over the first.
#[test]
fn two_locations_of_one_name_are_refused() {
    let place = tempfile::tempdir().unwrap();
    Images::write(&place.path().join("images"));
    fs::create_dir(place.path().join("other")).unwrap();
    let locations = [disk(place.path(), "one"), disk(&place.path().join("other"), "one")];
    let ran = program::run(place.path(), &locations);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.starts_with("error: two locations have the same "), "{}", ran.err);
}
