//! Files and tests of the repository that the pages name in code: `registry/src/layout.rs`,
//! `conformance/testkit/tests/torn_upload.rs::torn_uploads_on_fs`, and functions of the suites by their names alone.

use std::{fs, path::Path, sync::LazyLock};

use plugin_registry_conformance::{driver::BEHAVIORS, registry::REQUIREMENTS};

use super::{assert_none, pages, repository};

/// The folders whose files the pages may name.
const ROOMS: &[&str] = &[
    "core/",
    "drivers/",
    "registry/",
    "locations/",
    "copy/",
    "cli/",
    "conformance/",
    "benches/",
    "docs/",
    "examples/",
    ".ci/",
];

/// Placeholders: a driver that a reader will write.
const PLACEHOLDERS: &[&str] = &["NAME", "*"];

/// Why a named file is missing, or lacks the named function. `None` also for files outside of these folders.
fn problem(span: &str) -> Option<String> {
    let (file, function) = span.split_once("::").map_or((span, None), |(file, name)| (file, Some(name)));
    let path = repository().join(file);
    if !path.exists() {
        return Some(format!("there is no `{file}`"));
    }
    let function = function?;
    let text = fs::read_to_string(&path).unwrap();
    // The last two are rows of macros.
    let forms = [format!("fn {function}("), format!(" {function},"), format!(" {function} =>")];
    (!forms.iter().any(|form| text.contains(form))).then(|| format!("`{file}` has no `{function}`"))
}

fn is_file_of_ours(span: &str) -> bool {
    let file = span.split("::").next().unwrap();
    ROOMS.iter().any(|room| file.starts_with(room))
        && [".rs", ".md", "/"].iter().any(|end| file.ends_with(end))
        && !PLACEHOLDERS.iter().any(|placeholder| file.contains(placeholder))
}

/// The Rust sources of the rooms.
static SOURCES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let (mut sources, mut open) = (Vec::new(), Vec::new());
    open.extend(ROOMS.iter().map(|room| repository().join(room)));
    while let Some(directory) = open.pop() {
        let is_built = |path: &Path| path.file_name().is_some_and(|name| name == "target" || name == "book");
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !is_built(&path) {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.extend(fs::read_to_string(&path));
            }
        }
    }
    sources
});

/// Whether a suite has this function, or a test of another file.
fn is_function(name: &str) -> bool {
    let form = format!("fn {name}(");
    REQUIREMENTS.contains(&name)
        || BEHAVIORS.contains(&name)
        || SOURCES.iter().any(|source| source.contains(&form))
}

/// Names in the files of clouds that are as long as those of tests.
const OF_CLOUDS: &[&str] = &[
    "aws_access_key_id",
    "aws_secret_access_key",
    "service_account_impersonation_url",
    "web_identity_token_file",
];

/// Whether this is the name of a test: few other names in the pages are as long.
fn is_name_of_a_test(span: &str) -> bool {
    let is_name = span.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    is_name
        && !OF_CLOUDS.contains(&span)
        && (span.matches('_').count() > 2 || span.starts_with("catalog_") || span.starts_with("sha512_"))
}

#[test]
fn every_named_file_and_test_exists() {
    let (mut problems, mut files, mut functions) = (Vec::new(), 0, 0);
    for page in pages() {
        for (line, span) in page.code_spans() {
            let place = format!("{}:{line}", page.name);
            if is_file_of_ours(&span) {
                files += 1;
                problems.extend(problem(&span).map(|problem| format!("{place}: {problem}")));
            } else if is_name_of_a_test(&span) {
                functions += 1;
                if !is_function(&span) {
                    problems.push(format!("{place}: there is no test `{span}`"));
                }
            }
        }
    }
    assert_none(&problems);
    assert!(files > 40 && functions > 80, "only {files} files and {functions} functions were found");
}

#[test]
fn missing_files_and_functions_are_noticed() {
    for wrong in ["registry/src/none.rs", "registry/src/layout.rs::none", "conformance/none/"] {
        assert!(is_file_of_ours(wrong) && problem(wrong).is_some(), "{wrong}");
    }
    for right in ["registry/src/layout.rs", "registry/src/layout.rs::blob_data", "conformance/src/registry/"]
    {
        assert!(is_file_of_ours(right) && problem(right).is_none(), "{right}");
    }
    assert!(is_name_of_a_test("end_1_base_is_200") && is_function("end_1_base_is_200"));
    assert!(is_name_of_a_test("end_1_base_is_404") && !is_function("end_1_base_is_404"));
    assert!(!is_name_of_a_test("blob_cache_ttl"));
}
