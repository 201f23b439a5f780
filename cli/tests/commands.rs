//! The commands as a person or a script runs them: what they print, and their exit codes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use std::{fs, path::Path};

use common::{Backup, Ran, command, files, largest_blob, run};
use serde_json::{Value, json};
use tempfile::TempDir;

#[test]
fn quickstart_shows_a_backup_and_a_restore() {
    let backup = Backup::make();
    let document = &backup.document;
    assert_eq!(document["platforms"], json!(["linux/amd64", "linux/arm64"]));
    let steps: Vec<&str> =
        document["steps"].as_array().unwrap().iter().map(|step| step["what"].as_str().unwrap()).collect();
    assert_eq!(steps, ["make an image", "back up", "back up again", "verify", "restore", "compare"]);
    assert!(document["deduplicatedBytes"].as_u64().unwrap() > document["imageBytes"].as_u64().unwrap() / 2);
    assert!(document["imageBytes"].as_u64().unwrap() < 30_000_000);
    let restored = document["restored"].as_str().unwrap();
    assert_eq!(files(&backup.image()), files(restored.as_ref()));
    // The registry is kept, and can be looked at.
    backup.run(&["verify", "--all"]).ok();

    let text = command().arg("quickstart").env("TMPDIR", backup.directory.path()).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("driver calls") && text.contains("Look at it:"), "{text}");
}

#[test]
fn a_copy_goes_in_and_comes_out_to_the_byte() {
    let backup = Backup::make();
    let out = backup.path("out");
    let target = format!("oci:{}:1.0", out.display());
    let ran = backup.run(&["copy", "registry:quickstart/app:1.0", &target, "--format", "json"]).ok();
    let report = ran.json();
    assert_eq!(report["digest"], backup.document["digest"]);
    assert_eq!(report["blobsCopied"], backup.document["blobs"]);
    assert!(ran.err.contains("stored"), "progress is on standard error: {}", ran.err);
    assert_eq!(files(&backup.image()), files(&out));

    let source = format!("oci:{}", out.display());
    let ran = backup.run(&["copy", &source, "registry:again/app", "--quiet"]).ok();
    assert_eq!(ran.err, "");
    let tags = backup.run(&["tags", "again/app", "--format", "json"]).ok().json();
    assert_eq!(tags, json!({ "name": "again/app", "tags": ["latest"] }));
    let text = backup.run(&["copy", &source, "registry:again/app"]).ok().out;
    assert!(text.contains("0 blobs moved"), "{text}");
    // Between layouts no registry is needed.
    let other = backup.path("other");
    run(["copy", &source, &format!("oci:{}", other.display())]).ok();
    assert_eq!(files(&out.join("blobs")), files(&other.join("blobs")));
}

#[test]
fn ls_tags_inspect_and_rm() {
    let backup = Backup::make();
    assert_eq!(backup.run(&["ls"]).ok().out, "quickstart/app\nquickstart/copy\n");
    let document = backup.run(&["ls", "--format", "json"]).ok().json();
    assert_eq!(document, json!({ "repositories": ["quickstart/app", "quickstart/copy"] }));
    assert_eq!(backup.run(&["tags", "quickstart/copy"]).ok().out, "stable\n");

    let index = backup.run(&["inspect", "quickstart/app:1.0", "--format", "json"]).ok().json();
    assert_eq!((&index["kind"], &index["digest"]), (&json!("index"), &backup.document["digest"]));
    let child = &index["manifests"][0];
    assert_eq!(child["platform"], "linux/amd64");
    let child = format!("quickstart/app@{}", child["digest"].as_str().unwrap());
    let image = backup.run(&["inspect", &child, "--format", "json"]).ok().json();
    assert_eq!(image["kind"], "image");
    assert_eq!(image["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
    assert!(backup.run(&["inspect", &child]).ok().out.contains("layer "));
    let raw = backup.run(&["inspect", "quickstart/app:1.0", "--raw"]).ok().out;
    assert_eq!(serde_json::from_str::<Value>(&raw).unwrap()["schemaVersion"], 2);
    assert_eq!(raw.len() as u64, index["size"].as_u64().unwrap());

    assert_eq!(backup.run(&["rm", "quickstart/app"]).code, 64, "a name alone removes nothing");
    let removed = backup.run(&["rm", "quickstart/app:1.0"]).ok().out;
    assert!(removed.starts_with("removed tag 1.0 of quickstart/app\n"), "{removed}");
    assert_eq!(backup.run(&["rm", "quickstart/app:1.0"]).code, 2);
    backup.run(&["inspect", &child]).ok();
    backup.run(&["rm", &child]).ok();
    assert_eq!(backup.run(&["inspect", &child]).code, 2);
    backup.run(&["rm", "quickstart/app", "--all"]).ok();
    assert_eq!(backup.run(&["rm", "quickstart/app", "--all"]).code, 2);
    assert_eq!(backup.run(&["ls"]).ok().out, "quickstart/copy\n");
    backup.run(&["verify", "--all"]).ok();
}

#[test]
fn removing_a_repository_keeps_those_below_it() {
    let backup = Backup::make();
    let source = format!("oci:{}", backup.image().display());
    backup.run(&["copy", &source, "registry:quickstart:1"]).ok();
    backup.run(&["rm", "quickstart", "--all"]).ok();
    assert_eq!(backup.run(&["ls"]).ok().out, "quickstart/app\nquickstart/copy\n");
    backup.run(&["verify", "--all"]).ok();
}

#[test]
fn damage_is_3_and_named() {
    let backup = Backup::make();
    let blob = largest_blob(&backup.root());
    let mut content = fs::read(&blob).unwrap();
    content[1000] ^= 1;
    fs::write(&blob, content).unwrap();
    let hex = blob.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();

    let ran = backup.run(&["verify", "quickstart/app", "--format", "json"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let document = ran.json();
    assert_eq!(document["sound"], false);
    assert!(document["findings"][0]["path"].as_str().unwrap().contains(&hex), "{document}");
    let text = backup.run(&["verify", "--all"]);
    assert_eq!(text.code, 3);
    assert!(text.out.contains(&hex) && text.err.contains("error: "), "{text:?}");

    let target = format!("oci:{}", backup.path("out").display());
    let ran = backup.run(&["copy", "registry:quickstart/app:1.0", &target]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(!backup.path("out/index.json").exists(), "a damaged image is not entered");

    // The command that verify prints works, as it is: nothing has to be removed before.
    let by_tag = backup.run(&["verify", "quickstart/app:1.0"]);
    assert_eq!(by_tag.code, 3, "{by_tag:?}");
    let source = format!("oci:{}", backup.image().display());
    let line = |ran: &Ran| {
        let line = ran.err.lines().find(|line| line.trim().starts_with("plugin-registry ")).unwrap();
        line.trim().replace("SRC", &source)
    };
    let command = line(&text);
    assert_eq!(line(&by_tag), command);
    assert_eq!(
        command,
        format!(
            "plugin-registry copy --repair {source} registry:quickstart/app:1.0 --root {}",
            backup.root()
        )
    );
    assert!(text.err.contains("1 problem found") && !text.err.contains("emove"), "{text:?}");
    let ran = run(command.split(' ').skip(1)).ok();
    assert!(ran.out.contains("\n1 damaged blob replaced\n"), "{ran:?}");
    for arguments in
        [&["verify", "--all"][..], &["verify", "quickstart/app:1.0"], &["verify", "quickstart/copy"]]
    {
        backup.run(arguments).ok();
    }
    let digest = backup.document["digest"].as_str().unwrap();
    backup.run(&["verify", &format!("quickstart/app@{digest}")]).ok();
    assert_eq!(backup.run(&["verify", "quickstart/app:nope"]).code, 2);
}

/// What no copy mends gets no command.
#[test]
fn a_manifest_that_is_wrong_gets_no_command() {
    let backup = Backup::make();
    let repositories = Path::new(&backup.root()).join("docker/registry/v2/repositories");
    let tag = repositories.join("quickstart/app/_manifests/tags/1.0/current/link");
    fs::remove_file(&tag).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &tag).unwrap();
    let ran = backup.run(&["verify", "--all"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.err.contains("A copy does not mend this") && !ran.err.contains("plugin-registry copy"),
        "{ran:?}"
    );
}

/// A link out of the root cannot be read, by root neither. The run goes on to what is damaged.
#[test]
fn a_file_that_cannot_be_read_is_a_finding_beside_others() {
    let backup = Backup::make();
    let blob = largest_blob(&backup.root());
    let mut content = fs::read(&blob).unwrap();
    content[1000] ^= 1;
    fs::write(&blob, content).unwrap();
    let repositories = Path::new(&backup.root()).join("docker/registry/v2/repositories");
    let tag = repositories.join("quickstart/app/_manifests/tags/1.0/current/link");
    fs::remove_file(&tag).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &tag).unwrap();
    let ran = backup.run(&["verify", "--all", "--format", "json"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let document = ran.json();
    let path = |at: usize| document["findings"][at]["path"].as_str().unwrap();
    assert_eq!(document["findings"].as_array().unwrap().len(), 2, "{document}");
    assert!(blob.ends_with(path(0).trim_start_matches('/')), "{document}");
    assert!(tag.ends_with(path(1).trim_start_matches('/')), "{document}");
    assert!(document["findings"][1]["problem"].as_str().unwrap().contains("cannot be read"), "{document}");
    assert_eq!((&document["sound"], document.get("unfinished")), (&json!(false), None));
}

#[test]
fn leftovers_and_foreign_files_are_notes() {
    let backup = Backup::make();
    let repository = Path::new(&backup.root()).join("docker/registry/v2/repositories/quickstart/app");
    // The leftovers of a garbage collection of distribution 2.8.
    for digit in ["a", "b"] {
        let hex = digit.repeat(64);
        let directory = repository.join("_layers/sha256").join(&hex);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("link"), format!("sha256:{hex}")).unwrap();
    }
    fs::write(repository.join("_layers/sha256/.DS_Store"), "x").unwrap();
    // Names that no path can have.
    fs::create_dir(repository.join("_layers/@eaDir")).unwrap();
    fs::write(repository.join("_layers/@eaDir/x"), "x").unwrap();
    fs::write(repository.join("_layers/sha256").join("a".repeat(64)).join("link~"), "x").unwrap();
    fs::write(repository.join("_manifests/tags/a b\n"), "x").unwrap();
    let ran = backup.run(&["verify", "--all"]).ok();
    assert!(ran.out.contains("/_layers/sha256/.DS_Store: no registry puts that there"), "{ran:?}");
    assert!(ran.out.contains("2 layer links lead to bytes that are gone"), "{ran:?}");
    for path in ["_layers/@eaDir: ", "/link~: ", "_manifests/tags/a b\\n: "] {
        assert!(ran.out.contains(path), "{path}: {ran:?}");
    }
    assert!(ran.out.contains("; 5 notes"), "{ran:?}");
    let document = backup.run(&["verify", "--all", "--format", "json"]).ok().json();
    assert_eq!((&document["sound"], &document["danglingLinks"]), (&json!(true), &json!(2)));
    let kinds: Vec<&Value> = document["notes"].as_array().unwrap().iter().map(|note| &note["kind"]).collect();
    assert_eq!(kinds[..4], ["foreign_name"; 4]);
    assert_eq!(kinds[4], "dangling_links");
    let strict = backup.run(&["verify", "--all", "--strict"]);
    assert_eq!(strict.code, 3, "{strict:?}");
    assert!(!strict.err.contains("--repair"), "{strict:?}");
}

/// Text of a manifest reaches the terminal escaped, whatever it is.
#[test]
fn a_manifest_steers_no_terminal() {
    let steers = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\r";
    let backup = Backup::make();
    let root = Path::new(&backup.root()).join("docker/registry/v2");
    let put = |tag: &str, manifest: &Value| {
        let bytes = serde_json::to_vec(manifest).unwrap();
        let digest = plugin_registry_core::Digest::sha256(&bytes).to_string();
        let hex = digest.strip_prefix("sha256:").unwrap();
        let manifests = root.join("repositories/quickstart/app/_manifests");
        for (directory, name, content) in [
            (root.join("blobs/sha256").join(&hex[..2]).join(hex), "data", bytes.as_slice()),
            (manifests.join("revisions/sha256").join(hex), "link", digest.as_bytes()),
            (manifests.join("tags").join(tag).join("current"), "link", digest.as_bytes()),
        ] {
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(name), content).unwrap();
        }
    };
    let child = json!({
        "mediaType": format!("application/{steers}"), "digest": format!("sha256:{}", "a".repeat(64)), "size": 1,
        "platform": { "os": steers, "architecture": steers },
    });
    let index = "application/vnd.oci.image.index.v1+json";
    put(
        "index",
        &json!({
            "schemaVersion": 2, "mediaType": index, "artifactType": steers, "manifests": [child],
            "subject": child, "annotations": { steers: steers }, steers: 1,
        }),
    );
    put("type", &json!({ "schemaVersion": 2, "mediaType": steers, "manifests": [child] }));
    put("twice", &json!({ "schemaVersion": 2, "MediaType": steers, "mediaType": steers, "manifests": [] }));
    let out = format!("oci:{}", backup.path("out-index").display());
    for arguments in [
        &["inspect", "quickstart/app:index"][..],
        &["inspect", "quickstart/app:type"],
        &["inspect", "quickstart/app:twice"],
        &["verify", "--all"],
        &["tags", "quickstart/app"],
        &["copy", "registry:quickstart/app:index", &out],
        &["copy", "registry:quickstart/app:type", "registry:other/app:1"],
        &["copy", "registry:quickstart/app:twice", "registry:other/app:2"],
    ] {
        let ran = backup.run(arguments);
        for text in [&ran.out, &ran.err] {
            let steering = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
            assert_eq!(steering, None, "{arguments:?}: {ran:?}");
        }
    }
}

#[test]
fn a_damaged_layout_is_3_and_nothing_is_stored() {
    let backup = Backup::make();
    let (path, mut content) =
        files(&backup.image().join("blobs")).into_iter().max_by_key(|(_, content)| content.len()).unwrap();
    content.push(0);
    fs::write(backup.image().join("blobs").join(path), content).unwrap();
    let root = backup.path("fresh").display().to_string();
    let source = format!("oci:{}", backup.image().display());
    let ran = run(["copy", &source, "registry:a:1", "--root", &root]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(run(["inspect", "a:1", "--root", &root]).code, 2);
}

#[test]
fn what_is_not_there_is_2() {
    let backup = Backup::make();
    let nowhere = backup.path("nowhere").display().to_string();
    let layout = format!("oci:{nowhere}");
    for arguments in [
        vec!["tags", "no/such"],
        vec!["inspect", "quickstart/app:nope"],
        vec!["inspect", "no/such"],
        vec!["verify", "no/such"],
        vec!["rm", "quickstart/app:nope"],
        vec!["copy", "registry:quickstart/app:nope", &layout],
        vec!["copy", &layout, "registry:a:1"],
    ] {
        let ran = backup.run(&arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}: {ran:?}");
        assert!(ran.err.starts_with("error: "), "{arguments:?}: {ran:?}");
    }
    for arguments in
        [vec!["ls"], vec!["tags", "a"], vec!["verify", "--all"], vec!["copy", "registry:a", &layout]]
    {
        let ran = run(arguments.iter().copied().chain(["--root", &nowhere]));
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains("does not exist"), "{ran:?}");
    }
    assert!(!backup.path("nowhere").exists(), "nothing was made");
}

#[test]
fn wrong_usage_is_64() {
    let directory = TempDir::new().unwrap();
    let root = directory.path().display().to_string();
    fs::write(directory.path().join("file"), "").unwrap();
    let file = directory.path().join("file").display().to_string();
    for arguments in [
        vec![],
        vec!["frobnicate"],
        vec!["ls"],
        vec!["ls", "--root"],
        vec!["ls", "--root", &root, "--format", "yaml"],
        vec!["tags", "NOT/A/NAME", "--root", &root],
        vec!["copy", "docker://a/b", "registry:a", "--root", &root],
        vec!["copy", "registry:a:1", "registry:b:1"],
        vec!["copy", "oci:x", "registry:a@sha256:12", "--root", &root],
        vec!["verify", "--root", &root],
        vec!["verify", "a", "--all", "--root", &root],
        vec!["serve"],
        vec!["serve", "--memory", "--root", &root],
        vec!["serve", "--memory", "--listen", "nonsense"],
        vec!["completion", "cmd.exe"],
    ] {
        let ran = run(&arguments);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{arguments:?}: {ran:?}");
        assert!(!ran.err.is_empty(), "{arguments:?}");
    }
    // These are written well, and fail.
    for arguments in
        [vec!["ls", "--root", &file], vec!["serve", "--memory", "--listen", &format!("unix:{file}")]]
    {
        let ran = run(&arguments);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn help_has_examples_and_is_0() {
    for name in ["quickstart", "copy", "ls", "tags", "inspect", "rm", "verify", "serve", "completion"] {
        let ran = run([name, "--help"]).ok();
        assert!(ran.out.contains("Examples:\n  plugin-registry "), "{name}");
    }
    assert!(run(["--help"]).ok().out.contains("Exit codes:"));
    assert!(run(["--version"]).ok().out.starts_with("plugin-registry "));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(run(["completion", shell]).ok().out.contains("quickstart"), "{shell}");
    }
}
