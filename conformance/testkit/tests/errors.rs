//! The rule of errors, which `core/src/error.rs` states: the text has the cause, so `source()` does not return it
//! again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The crates whose errors a host sees.
const ROOMS: [&str; 6] = ["core", "drivers", "registry", "locations", "copy", "cli"];

/// Every source file of a room that is not a test.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !matches!(name, "target" | "tests" | "benches" | "examples") {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// What breaks the rule in a text, with the line. `thiserror` makes a source of a field named `source` and of one
/// with `#[source]` or `#[from]`; only `transparent` skips it.
fn broken(text: &str) -> Vec<(usize, &str)> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let has_enum = code.contains("thiserror::Error");
    let (mut format, mut found) = ("", Vec::new());
    for (number, line) in code.lines().map(str::trim_start).enumerate() {
        if line.starts_with("//") {
            continue;
        }
        if line.starts_with("#[error(") {
            format = line;
        }
        let is_transparent = format.starts_with("#[error(transparent)");
        let is_field = has_enum && line.starts_with("source: ");
        if line.contains("#[source]") || is_field || (line.contains("#[from]") && !is_transparent) {
            found.push((number + 1, line));
        }
    }
    found
}

#[test]
fn no_error_says_its_cause_twice() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for room in ROOMS {
        sources(&root.join(room), &mut files);
    }
    assert!(files.len() > 200, "{} files", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(broken(&text), [], "{}", file.display());
    }
}

#[test]
fn what_breaks_the_rule() {
    for text in [
        "#[derive(thiserror::Error)]\nA {\n    source: B,\n}",
        "#[error(\"a: {0}\")]\nA(#[from] B),",
        "#[error(\"a\")]\nA(#[source] B),",
        "#[error(transparent)]\nA(#[from] B),\n#[error(\"c\")]\nC(#[from] D),",
    ] {
        assert_eq!(broken(text).len(), 1, "{text}");
    }
    for text in [
        "#[error(transparent)]\nA(#[from] B),",
        "#[error(\"{place}: {error}\")]",
        "// #[source]",
        "#[cfg(test)]\n#[source]",
    ] {
        assert_eq!(broken(text), [], "{text}");
    }
}
