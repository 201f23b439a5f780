//! What `rm` says goes and stays.

use std::fs;

use serde_json::json;

use crate::common::{Backup, files};

#[test]
fn a_dry_run_says_the_same_and_removes_nothing() {
    let backup = Backup::make();
    let digest = backup.document["digest"].as_str().unwrap().to_owned();
    let by_digest = format!("quickstart/app@{digest}");
    let bytes = backup.document["imageBytes"].clone();
    let targets: [&[&str]; 3] = [&["quickstart/app:1.0"], &[&by_digest], &["quickstart/app", "--all"]];
    for target in targets {
        // The tag that the last round removed.
        let source = format!("oci:{}", backup.image().display());
        backup.run(&["copy", &source, "registry:quickstart/app:1.0", "--repair", "--quiet"]).ok();
        let before = files(backup.root().as_ref());
        let arguments = [&["rm"], target, &["--format", "json"]].concat();
        let mut planned = backup.run(&[&arguments[..], &["--dry-run"]].concat()).ok().json();
        assert_eq!(files(backup.root().as_ref()), before, "{target:?}");
        let text = backup.run(&[&["rm"], target, &["--dry-run"]].concat()).ok().out;
        assert!(text.starts_with("would remove "), "{text}");
        let done = backup.run(&arguments).ok().json();
        assert_eq!((&planned["dryRun"], &done["dryRun"]), (&json!(true), &json!(false)));
        planned["dryRun"] = json!(false);
        assert_eq!(planned, done);
        assert_ne!(files(backup.root().as_ref()), before, "{target:?}");
        assert_eq!(done["tags"], json!(["1.0"]));
        assert_eq!((&done["stays"]["manifests"], &done["stays"]["blobs"]), (&json!(3), &json!(6)), "{done}");
        assert_eq!(
            done["stays"]["bytes"],
            if target.len() == 1 { bytes.clone() } else { json!(null) },
            "{done}"
        );
        // Bytes stay, as they say.
        let blobs = |files: &[(std::path::PathBuf, Vec<u8>)]| {
            files.iter().filter(|(path, _)| path.starts_with("docker/registry/v2/blobs")).count()
        };
        assert_eq!(blobs(&files(backup.root().as_ref())), blobs(&before));
    }
    backup.run(&["verify", "--all"]).ok();
}

#[test]
fn a_manifest_that_other_tags_hold_is_named() {
    let backup = Backup::make();
    let digest = backup.document["digest"].as_str().unwrap();
    let alone = backup.run(&["rm", "quickstart/app:1.0", "--dry-run"]).ok().out;
    assert!(alone.contains(&format!("\nstays: the manifest, under its digest {digest}\n")), "{alone}");
    for tag in ["2.0", "latest"] {
        let target = format!("registry:quickstart/app:{tag}");
        backup.run(&["copy", "registry:quickstart/app:1.0", &target, "--quiet"]).ok();
    }
    let text = backup.run(&["rm", "quickstart/app:1.0"]).ok().out;
    assert!(
        text.contains(&format!("\nstays: the manifest {digest}, which other tags hold: 2.0, latest\n")),
        "{text}"
    );
    assert!(
        text.contains("stays: the bytes of 3 manifests and 6 blobs, ") && text.contains("garbage collection")
    );
    let text = backup.run(&["rm", &format!("quickstart/app@{digest}")]).ok().out;
    assert!(text.contains(" with 2 tags: 2.0, latest\n"), "{text}");
    let children = text.lines().filter(|line| line.contains("the manifest of a platform, under its digest"));
    assert_eq!(children.count(), 2, "{text}");
}

/// Damage is a reason to remove an image, and does not hinder it.
#[test]
fn a_damaged_image_can_be_removed() {
    let backup = Backup::make();
    let digest = backup.document["digest"].as_str().unwrap();
    let hex = digest.strip_prefix("sha256:").unwrap();
    let blobs = format!("{}/docker/registry/v2/blobs/sha256/{}/{hex}/data", backup.root(), &hex[..2]);
    fs::write(blobs, "damaged").unwrap();
    let text = backup.run(&["rm", "quickstart/app:1.0"]).ok().out;
    assert!(text.contains("cannot be counted: the image is damaged or incomplete"), "{text}");
    backup.run(&["rm", &format!("quickstart/app@{digest}")]).ok();
}

#[test]
fn what_is_not_there_is_2_in_a_dry_run_too() {
    let backup = Backup::make();
    let digest = format!("quickstart/app@sha256:{}", "a".repeat(64));
    for target in [&["quickstart/app:nope"][..], &["no/such:1"], &[&digest], &["no/such", "--all"]] {
        let texts = [&["--dry-run"][..], &[]].map(|dry_run| {
            let ran = backup.run(&[&["rm"], target, dry_run].concat());
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{target:?}: {ran:?}");
            ran.err
        });
        assert_eq!(texts[0], texts[1], "{target:?}");
    }
}
