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

/// Another tag that the store refuses to read hides what stays, and is no reason to keep this one.
#[test]
fn what_cannot_be_read_does_not_hinder_a_removal() {
    let backup = Backup::make();
    backup.run(&["copy", "registry:quickstart/app:1.0", "registry:quickstart/app:2.0", "--quiet"]).ok();
    let tags = backup.path("registry/docker/registry/v2/repositories/quickstart/app/_manifests/tags");
    let link = tags.join("2.0/current/link");
    fs::remove_file(&link).unwrap();
    // It leads out of the root, so that root may not read it either.
    std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
    let planned = backup.run(&["rm", "quickstart/app:1.0", "--dry-run"]);
    assert_eq!((planned.code, planned.out.as_str()), (1, ""), "{planned:?}");
    assert!(tags.join("1.0").exists());
    let done = backup.run(&["rm", "quickstart/app:1.0", "--format", "json"]).ok().json();
    assert!(!tags.join("1.0").exists());
    assert_eq!(
        (&done["stays"]["digest"], &done["stays"]["manifests"]),
        (&backup.document["digest"], &json!(3))
    );
    let unread = done["stays"]["unread"].as_str().unwrap();
    assert!(unread.contains("a symbolic link leads out of the root"), "{done}");
    let text = backup.run(&["rm", "quickstart/app:2.0"]).ok().out;
    assert!(text.starts_with("removed tag 2.0 of quickstart/app\nwhat stays could not be read: "), "{text}");
    assert!(!tags.join("2.0").exists());
}

#[test]
fn only_so_many_tags_are_looked_at() {
    let backup = Backup::make();
    let digest = backup.document["digest"].as_str().unwrap();
    let tags = backup.path("registry/docker/registry/v2/repositories/quickstart/app/_manifests/tags");
    for number in 0..1000 {
        let directory = tags.join(format!("t{number:03}/current"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("link"), digest).unwrap();
    }
    let line = ["rm", "quickstart/app:1.0", "--dry-run"];
    let planned = backup.run(&[&line[..], &["--format", "json"]].concat()).ok().json();
    assert_eq!(planned["tagsLookedAt"], json!(1000));
    assert_eq!(planned["stays"]["tags"].as_array().unwrap().len(), 999);
    let text = backup.run(&line).ok().out;
    assert!(
        text.contains("\nonly the first 1000 tags were looked at: others may name the manifest, too\n"),
        "{text}"
    );
    fs::remove_dir_all(tags.join("t999")).unwrap();
    let planned = backup.run(&[&line[..], &["--format", "json"]].concat()).ok().json();
    assert_eq!(
        (planned.get("tagsLookedAt"), planned["stays"]["tags"].as_array().unwrap().len()),
        (None, 999)
    );
}

/// The sizes in a manifest are what its author wrote.
#[test]
fn sizes_that_cannot_be_added_up_do_not_panic() {
    let backup = Backup::make();
    let content = |digit: &str| {
        json!({ "mediaType": "application/octet-stream", "digest": format!("sha256:{}", digit.repeat(64)),
                "size": i64::MAX })
    };
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": content("a"),
        "layers": [content("b"), content("c")],
    });
    backup.put_manifest("huge", &manifest);
    let verified = backup.run(&["verify", "quickstart/app:huge"]);
    assert_eq!(verified.code, 3, "the blobs are missing, and nothing else is wrong: {verified:?}");
    let planned = backup.run(&["rm", "quickstart/app:huge", "--dry-run", "--format", "json"]).ok().json();
    assert_eq!(planned["stays"]["bytes"], json!(u64::MAX));
    backup.run(&["rm", "quickstart/app:huge"]).ok();
}

#[test]
fn a_manifest_without_tags_is_said_to_have_none() {
    let backup = Backup::make();
    backup.run(&["rm", "quickstart/app:1.0"]).ok();
    let target = format!("quickstart/app@{}", backup.document["digest"].as_str().unwrap());
    let text = backup.run(&["rm", &target, "--dry-run"]).ok().out;
    assert!(
        text.starts_with("would remove manifest ") && text.contains(" of quickstart/app; it has no tags\n"),
        "{text}"
    );
    let text = backup.run(&["rm", &target]).ok().out;
    assert!(
        text.starts_with("removed manifest ") && text.contains(" of quickstart/app; it had no tags\n"),
        "{text}"
    );
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
