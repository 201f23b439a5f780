//! The public API of each library, as a text beside its manifest: what changes it is seen in a diff.
//!
//! After an intended change, `UPDATE_API=1 cargo test -p plugin-registry-testkit --test public_api` rewrites
//! the texts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// The package, its folder, and its features.
const LIBRARIES: &[(&str, &str, &str)] = &[
    ("plugin-registry-core", "core", ""),
    ("plugin-registry-drivers", "drivers", "memory,fs,s3,azure"),
    ("plugin-registry-drivers-memory", "drivers/memory", ""),
    ("plugin-registry-drivers-fs", "drivers/fs", ""),
    ("plugin-registry-drivers-objects", "drivers/objects", ""),
    ("plugin-registry-drivers-s3", "drivers/s3", ""),
    ("plugin-registry-drivers-gcs", "drivers/gcs", ""),
    ("plugin-registry-drivers-azure", "drivers/azure", ""),
    ("plugin-registry", "registry", ""),
    ("plugin-registry-locations", "locations", "logging"),
    ("plugin-registry-copy", "copy", ""),
    ("plugin-registry-conformance", "conformance", ""),
];

const FILE: &str = "public-api.txt";

/// A rustdoc that may write JSON on a stable toolchain. Only rustdoc sees the switch, so nothing is built
/// again.
fn rustdoc() -> PathBuf {
    let script = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rustdoc-json");
    fs::write(&script, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

fn api_of(package: &str, features: &str, rustdoc: &Path, root: &Path) -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).env("RUSTDOC", rustdoc).env("CARGO_TARGET_DIR", target);
    cargo.args(["rustdoc", "--quiet", "--lib", "--package", package, "--features", features]);
    let output = cargo.args(["--", "-Zunstable-options", "--output-format=json"]).output().unwrap();
    assert!(output.status.success(), "{package}: {}", String::from_utf8_lossy(&output.stderr));
    let json = target.join("doc").join(package.replace('-', "_")).with_extension("json");
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_auto_derived_impls(true)
        .omit_auto_trait_impls(true)
        .omit_blanket_impls(true)
        .build();
    format!("{}", api.unwrap_or_else(|error| panic!("{package}: {error}")))
}

#[expect(clippy::disallowed_methods, reason = "asks for new texts, as in other snapshot tests")]
fn is_update() -> bool {
    env::var_os("UPDATE_API").is_some()
}

#[test]
fn the_public_api_of_each_library_is_the_written_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let rustdoc = rustdoc();
    let mut changed = Vec::new();
    for (package, folder, features) in LIBRARIES {
        let (now, file) = (api_of(package, features, &rustdoc, &root), root.join(folder).join(FILE));
        let written = fs::read_to_string(&file).unwrap_or_default();
        if now == written {
            continue;
        }
        if is_update() {
            fs::write(&file, &now).unwrap();
            continue;
        }
        let gone = written.lines().filter(|line| !now.lines().any(|other| other == *line));
        let new = now.lines().filter(|line| !written.lines().any(|other| other == *line));
        changed.push(format!("{folder}/{FILE}:"));
        changed.extend(gone.map(|line| format!("- {line}")).chain(new.map(|line| format!("+ {line}"))));
    }
    assert!(
        changed.is_empty(),
        "the public API changed; if it is meant, see {}:\n{}",
        file!(),
        changed.join("\n")
    );
}
