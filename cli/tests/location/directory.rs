//! `location check` of a directory.

use std::fs;

use serde_json::{Value, json};

use crate::{Files, check, common::files, steady};

const STEPS: &str = "list: passed (… ms)
missing: passed (… ms)
write: passed (… ms)
read: passed (… ms)
replace: passed (… ms)
conditional write: passed (… ms)
stage: passed (… ms)
find stages: passed (… ms)
delete: passed (… ms)
layout: no registry yet at docker/registry/v2
";

#[test]
fn named_in_each_way() {
    let place = Files::new();
    let root = place.root();
    let config = format!("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {root}\n");
    let config = place.write("config.yml", config);
    let variables =
        format!("REGISTRY_STORAGE=filesystem\nREGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY={root}\n");
    let env = place.write("r.env", variables);
    let head = format!(
        "driver: filesystem\n  rootdirectory: {root}\nchanges: pushes, and deletes by `rm`; no deletes by clients\n"
    );
    for (arguments, head) in [
        (["--root", root.as_str()], ""),
        (["--config", &config], head.as_str()),
        (["--env-file", &env], head.as_str()),
    ] {
        let ran = check(&arguments).ok();
        assert_eq!((steady(&ran.out), ran.err.as_str()), (format!("{head}{STEPS}"), ""));
        assert!(files(root.as_ref()).is_empty(), "the probe took everything away");
    }
}

#[test]
fn as_json() {
    let place = Files::new();
    let root = place.root();
    let document = check(&["--root", &root, "--format", "json"]).ok().json();
    let probe = &document["probe"];
    assert_eq!((&probe["driver"], &probe["usable"]), (&json!("filesystem"), &json!(true)));
    let verbs: Vec<&Value> = probe["steps"].as_array().unwrap().iter().map(|step| &step["verb"]).collect();
    assert_eq!(
        verbs,
        [
            "list",
            "missing",
            "write",
            "read",
            "replace",
            "conditional_write",
            "stage",
            "find_stages",
            "delete"
        ]
        .iter()
        .collect::<Vec<_>>()
    );
    assert!(document.get("driver").is_none() && document.get("error").is_none(), "{document}");
}

#[test]
fn read_only_writes_nothing() {
    let place = Files::new();
    let root = place.root();
    let ran = check(&["--root", &root, "--read-only"]).ok();
    assert!(ran.out.contains("write: skipped: the registry is read-only\n"), "{ran:?}");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
}

#[test]
fn a_missing_directory_is_2_and_not_made() {
    let place = Files::new();
    let root = place.path("none");
    let ran = check(&["--root", &root]);
    let hint = "  Check the path; a mount may be missing. `copy` into a registry makes its directory.\n";
    assert_eq!((ran.code, ran.err), (2, format!("error: the registry `{root}` does not exist\n{hint}")));
    let config = format!("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {root}\n");
    let config = place.write("config.yml", config);
    let ran = check(&["--config", &config]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.out.starts_with("driver: filesystem\n") && ran.err.ends_with(hint), "{ran:?}");
    assert!(!fs::exists(root).unwrap());
}
