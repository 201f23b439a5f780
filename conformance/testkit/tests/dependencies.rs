//! Which crate may depend on what: reads `cargo metadata` and compares each package's normal dependencies
//! with the list of what it may have below. A new dependency enters here and, with its reason, in the root
//! `Cargo.toml`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

/// Package and everything it may depend on. `*` matches anything.
const ALLOWED: &[(&str, &str)] = &[
    ("plugin-registry-core", "async-trait bytes futures http oci-spec sha2 thiserror tracing url zeroize"),
    ("plugin-registry-drivers-memory", "plugin-registry-core async-trait bytes futures http url"),
    (
        "plugin-registry-drivers-fs",
        "plugin-registry-core async-trait bytes cap-std futures http rustix tokio tracing url uuid",
    ),
    (
        "plugin-registry-drivers-s3",
        "plugin-registry-core plugin-registry-drivers-objects async-trait aws-config aws-credential-types \
         aws-runtime aws-sdk-s3 aws-sdk-sts aws-smithy-async aws-smithy-runtime-api aws-smithy-types bytes crc32fast \
         futures http hyper-util md-5 serde serde_json tokio tracing url uuid",
    ),
    (
        "plugin-registry-drivers-objects",
        "plugin-registry-core async-trait base64 bytes futures http http-body hyper hyper-rustls hyper-util \
         percent-encoding rustls rustls-native-certs socket2 tokio tower-service tracing url",
    ),
    ("plugin-registry-drivers-gcs", "plugin-registry-core serde serde_json url"),
    (
        "plugin-registry-drivers-azure",
        "plugin-registry-core plugin-registry-drivers-objects async-trait azure_core azure_identity \
         azure_storage_blob bytes futures http http-body percent-encoding serde tokio tracing url uuid",
    ),
    (
        "plugin-registry-drivers",
        "plugin-registry-core plugin-registry-drivers-azure plugin-registry-drivers-fs plugin-registry-drivers-gcs \
         plugin-registry-drivers-memory plugin-registry-drivers-s3 async-trait",
    ),
    ("plugin-registry-drivers-example", "plugin-registry-core async-trait bytes futures http url uuid"),
    ("plugin-registry-drivers-redb", "plugin-registry-core async-trait bytes futures redb tokio uuid"),
    (
        "plugin-registry",
        "plugin-registry-core base64 bytes futures hmac http http-body http-body-util jiff lru percent-encoding \
         serde serde_json sha2 thiserror tokio tower-service tracing uuid",
    ),
    (
        "plugin-registry-locations",
        "plugin-registry plugin-registry-core base64 bytes futures hmac jiff moka serde serde-saphyr serde_json sha2 \
         tokio tracing tracing-subscriber uuid",
    ),
    (
        "plugin-registry-copy",
        "plugin-registry plugin-registry-core async-trait bytes futures serde serde_json thiserror tokio \
         tracing uuid",
    ),
    ("plugin-registry-cli", "*"),
    (
        "plugin-registry-conformance",
        "plugin-registry plugin-registry-core plugin-registry-drivers-memory async-trait bytes futures http \
         http-body http-body-util proptest serde_json tempfile tokio tower-service url",
    ),
    ("plugin-registry-testkit", "*"),
    ("plugin-registry-emulator", "*"),
    ("plugin-registry-benches", "*"),
    ("plugin-registry-docs", "*"),
    (
        "plugin-registry-examples",
        "plugin-registry plugin-registry-copy plugin-registry-drivers plugin-registry-drivers-fs \
         plugin-registry-locations futures tokio",
    ),
];

/// Never a normal dependency outside the command: servers, and other registries.
const NEVER: &[&str] = &["axum", "hyper", "hyper-util", "warp", "actix-web", "tonic", "matchit", "openssl"];

/// The features of tokio that a library may ask for: no network, no signals, no processes.
const TOKIO_FEATURES: &[&str] = &["sync", "time", "rt"];

fn packages() -> BTreeMap<String, Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|package| (package["name"].as_str().unwrap().to_owned(), package.clone())).collect()
}

fn normal(package: &Value) -> impl Iterator<Item = &Value> {
    package["dependencies"].as_array().unwrap().iter().filter(|dependency| dependency["kind"].is_null())
}

#[test]
fn every_package_depends_only_on_what_it_may() {
    let packages = packages();
    for (name, package) in &packages {
        let allowed = ALLOWED.iter().find(|(package, _)| package == name);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{name} has no row in the table of this test"));
        if *allowed == "*" {
            continue;
        }
        for dependency in normal(package) {
            let dependency = dependency["name"].as_str().unwrap();
            let listed = allowed.split_whitespace().any(|allowed| allowed == dependency);
            assert!(listed, "{name} may not depend on {dependency}");
        }
    }
    for (name, _) in ALLOWED {
        assert!(packages.contains_key(*name), "{name} is in the table but not in the workspace");
    }
}

#[test]
fn only_the_command_may_serve() {
    for (name, package) in &packages() {
        if matches!(
            name.as_str(),
            "plugin-registry-cli"
                | "plugin-registry-benches"
                | "plugin-registry-emulator"
                | "plugin-registry-testkit"
        ) {
            continue;
        }
        for dependency in normal(package) {
            let crate_name = dependency["name"].as_str().unwrap();
            // The driver of a cloud may make connections; the parts that accept some are separate features.
            let features = dependency["features"].as_array().unwrap();
            let is_client = name.starts_with("plugin-registry-drivers-")
                && matches!(crate_name, "hyper" | "hyper-util")
                && dependency["uses_default_features"] == false
                && !features.iter().any(|feature| feature.as_str().unwrap().starts_with("server"));
            assert!(is_client || !NEVER.contains(&crate_name), "{name} may not depend on {crate_name}");
        }
    }
}

#[test]
fn libraries_ask_tokio_for_no_network() {
    for name in [
        "plugin-registry",
        "plugin-registry-locations",
        "plugin-registry-copy",
        "plugin-registry-drivers-fs",
        "plugin-registry-drivers-redb",
        "plugin-registry-drivers-s3",
        "plugin-registry-drivers-objects",
        "plugin-registry-drivers-azure",
    ] {
        let packages = packages();
        let Some(package) = packages.get(name) else { panic!("{name} is missing") };
        for dependency in normal(package).filter(|dependency| dependency["name"] == "tokio") {
            assert_eq!(dependency["uses_default_features"], false, "{name}");
            for feature in dependency["features"].as_array().unwrap() {
                let feature = feature.as_str().unwrap();
                assert!(TOKIO_FEATURES.contains(&feature), "{name} asks tokio for `{feature}`");
            }
        }
    }
}

#[test]
fn only_tests_depend_on_what_tests_need() {
    for (name, package) in &packages() {
        for dependency in normal(package) {
            let dependency = dependency["name"].as_str().unwrap();
            let is_of_tests =
                ["-conformance", "-testkit", "-emulator"].iter().any(|end| dependency.ends_with(end));
            assert!(!is_of_tests || name == "plugin-registry-testkit", "{name} depends on {dependency}");
        }
    }
}
