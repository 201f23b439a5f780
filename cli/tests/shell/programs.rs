//! What programs rely on: names of JSON fields, errors as JSON, exit codes.

use std::fs;

use serde_json::{Value, json};

use crate::common::{Backup, largest_blob, run};

/// Names of others, under these keys: parameters of drivers, and annotations.
const FOREIGN: [&str; 2] = ["parameters", "annotations"];

/// Collects all keys of a document.
fn keys(document: &Value, found: &mut Vec<String>) {
    match document {
        Value::Object(fields) => {
            for (key, value) in fields {
                found.push(key.clone());
                if !FOREIGN.contains(&key.as_str()) {
                    keys(value, found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

/// The names of the image specification are written like this, and so are ours.
#[test]
fn all_fields_of_all_commands_are_in_camel_case() {
    let backup = Backup::make();
    let root = backup.root();
    let config = backup.path("config.yml").display().to_string();
    let text = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {root}}}\n  \
         maintenance: {{uploadpurging: {{enabled: true}}}}\n"
    );
    fs::write(&config, text).unwrap();
    // Notes, findings, unfinished uploads, other software beside the registry.
    let repository = backup.path("registry/docker/registry/v2/repositories/quickstart/app");
    fs::write(repository.join("_layers/sha256/.DS_Store"), "x").unwrap();
    let session = repository.join("_uploads/1f0e5f4c-7a3d-4f2e-9c57-2f6a8f1f7d10");
    fs::create_dir_all(&session).unwrap();
    fs::write(session.join("data"), "x").unwrap();
    fs::write(session.join("startedat"), "2020-01-01T00:00:00Z").unwrap();
    let mut blob = fs::read(largest_blob(&root)).unwrap();
    blob[1000] ^= 1;
    fs::write(largest_blob(&root), blob).unwrap();
    let out = format!("oci:{}:1.0", backup.path("out").display());
    let image = format!("oci:{}", backup.image().display());

    let mut found: Vec<String> = Vec::new();
    keys(&backup.document, &mut found);
    for line in [
        "copy IMAGE registry:again/app:1 --quiet",
        "ls",
        "tags quickstart/app",
        "inspect quickstart/app:1.0",
        "verify --all --quiet",
        "purge --older-than 0s --dry-run",
        "rm quickstart/app:1.0 --dry-run",
        "rm quickstart/app --all --dry-run",
        "location check",
        "location show",
        "inspect quickstart/app:nope",
        "copy registry:quickstart/app:1.0 OUT --quiet",
    ] {
        let words = line.split(' ').map(|word| match word {
            "IMAGE" => &image,
            "OUT" => &out,
            word => word,
        });
        let ran = run(words.chain(["--config", &config, "--format", "json"]));
        let document = if ran.out.is_empty() { &ran.err } else { &ran.out };
        let document: Value =
            serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}: {line}: {ran:?}"));
        keys(&document, &mut found);
    }
    found.sort_unstable();
    found.dedup();
    // The names were there to be looked at.
    for name in ["hasMoreRepositories", "leftOver", "danglingLinks", "idleSeconds", "exitCode", "driverCalls"]
    {
        assert!(found.iter().any(|key| key == name), "{name}: {found:?}");
    }
    let is_camel = |key: &&String| {
        key.starts_with(|c: char| c.is_ascii_lowercase()) && key.chars().all(|c| c.is_ascii_alphanumeric())
    };
    let others: Vec<&String> = found.iter().filter(|key| !is_camel(key)).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn an_error_is_an_object_if_json_was_asked_for() {
    let backup = Backup::make();
    let ran = backup.run(&["inspect", "quickstart/app:nope", "--format", "json"]);
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert_eq!((&error["kind"], &error["exitCode"]), (&json!("not_found"), &json!(2)), "{error}");
    assert_eq!(
        (&error["command"], &error["location"]),
        (&json!("inspect"), &json!(format!("--root {}", backup.root())))
    );
    assert!(error["message"].as_str().unwrap().contains("nope") && error["hints"].is_array(), "{error}");

    let nowhere = backup.path("nowhere").display().to_string();
    let ran = run(["ls", "--format=json", "--root", &nowhere]);
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert!(!error["hints"].as_array().unwrap().is_empty(), "{error}");
    assert!(!error["message"].as_str().unwrap().starts_with("error"), "{error}");

    // A wrong command line, too, however much of it can be read.
    for line in [
        "ls --format json",
        "ls --format=json --frobnicate",
        "frobnicate --format json",
        "rm a --root . --format json",
    ] {
        let ran = run(line.split(' '));
        let error: Value =
            serde_json::from_str(&ran.err).unwrap_or_else(|error| panic!("{error}: {line}: {ran:?}"));
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{line}");
        assert_eq!((&error["kind"], &error["exitCode"]), (&json!("usage"), &json!(64)), "{error}");
        assert!(!error["hints"].as_array().unwrap().is_empty(), "{error}");
    }
    // Text stays text.
    assert!(run(["ls", "--root", &nowhere]).err.starts_with("error: "));
    assert!(run(["ls"]).err.starts_with("error: "));
}

/// A file named by mistake may be the secret itself.
#[test]
fn an_error_as_json_shows_no_secret() {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let ran = run(["ls", "--config", secret, "--format", "json"]);
    assert!(ran.code == 2 && !ran.err.contains("wJalr") && ran.err.contains("--config …"), "{ran:?}");
}

#[test]
fn the_help_and_the_page_have_every_exit_code() {
    let help = run(["--help"]).ok().out;
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/reference/command.md");
    let page = fs::read_to_string(page).unwrap();
    let codes: Vec<&str> = help
        .split_once("Exit codes:\n")
        .unwrap()
        .1
        .lines()
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(codes, ["0", "1", "2", "3", "64"]);
    let table = page.split_once("| Exit code | Means |").unwrap().1.split("\n\n").next().unwrap();
    let rows: Vec<&str> = table.lines().skip(2).map(|row| row.split('|').nth(1).unwrap().trim()).collect();
    assert_eq!(rows, codes);
}
