//! Names of images and repositories that are wrong or not there: the error says what to write, or what there is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use common::{Backup, run};

const TAGS: &str = "`quickstart/app` has the tags 1.0.";
const REPOSITORIES: &str = "The registry has the repositories quickstart/app, quickstart/copy.";

#[test]
fn a_missing_tag_lists_those_that_there_are() {
    let backup = Backup::make();
    let out = format!("oci:{}", backup.path("out").display());
    let near = format!("\n  Did you mean `quickstart/app:1.0`? {TAGS}\n");
    let far = format!("\n  {TAGS}\n");
    let latest = format!("\n  Without a tag or a digest, the tag `latest` is meant. {TAGS}\n");
    for (arguments, hint) in [
        (&["inspect", "quickstart/app:1.1"][..], &near),
        (&["rm", "quickstart/app:1.1"], &near),
        (&["copy", "registry:quickstart/app:1.1", &out], &near),
        (&["inspect", "quickstart/app:nightly"], &far),
        (&["inspect", "quickstart/app"], &latest),
        (&["copy", "registry:quickstart/app", &out], &latest),
    ] {
        let ran = backup.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.err.ends_with(hint.as_str()), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn a_missing_repository_lists_those_that_there_are() {
    let backup = Backup::make();
    let out = format!("oci:{}", backup.path("out").display());
    let near = format!("\n  Did you mean `quickstart/app`? {REPOSITORIES}\n");
    let far = format!("\n  {REPOSITORIES}\n");
    for (arguments, hint) in [
        (&["inspect", "quickstart/ap:1.0"][..], &near),
        (&["tags", "quickstart/ap"], &near),
        (&["verify", "quickstart/ap"], &near),
        (&["rm", "quickstart/ap", "--all"], &near),
        (&["rm", "quickstart/ap:1.0"], &near),
        (&["copy", "registry:quickstart/ap:1.0", &out], &near),
        (&["tags", "elsewhere"], &far),
    ] {
        let ran = backup.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.err.ends_with(hint.as_str()), "{arguments:?}: {ran:?}");
    }
    let ran = backup.run(&["inspect", "oci:dir"]);
    assert!(ran.err.contains("oci:DIR would be an image layout"), "{ran:?}");
    let empty = backup.path("empty");
    std::fs::create_dir_all(empty.join("docker/registry/v2/blobs/sha256")).unwrap();
    let ran = run(["tags", "a", "--root", &empty.display().to_string()]);
    assert!(ran.err.contains("The registry has no repositories."), "{ran:?}");
}

/// Nothing is opened for these: the arguments alone are wrong.
#[test]
fn a_wrong_reference_says_what_to_write() {
    for (arguments, expected) in [
        (
            &["inspect", "oci:./dir"][..],
            "this is an image layout, and the command reads the registry of --root",
        ),
        (&["inspect", "docker://alpine:3"], "this is an image elsewhere"),
        (&["tags", "ns/app:1.0"], "write the repository alone, without a tag or a digest: `ns/app`"),
        (&["copy", "ns/app:1.0", "oci:out"], "did you mean `registry:ns/app:1.0`?"),
        (&["copy", "./image", "registry:a"], "did you mean `oci:./image`?"),
        (
            &["copy", "docker://alpine:3", "registry:a"],
            "is in a remote registry, which cannot be reached yet",
        ),
    ] {
        let ran = run(arguments.iter().copied().chain(["--root", "nowhere"]));
        assert_eq!(ran.code, 64, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(expected), "{arguments:?}: {ran:?}");
    }
}
