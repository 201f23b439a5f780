//! Compares "Embed the registry" with the plugin that it shows, and with the manifests.

use std::fs;

use super::{Page, repository};

/// Where the page takes the libraries from. The example has them by their paths.
const SOURCE: &str = "git = \"https://github.com/plugin-registry/plugin-registry\"";

fn page() -> Page {
    Page::read(&repository(), "docs/src/how-to/embed.md")
}

/// The lines of a block of the page that has this text.
fn block(text: &str) -> Vec<String> {
    let blocks = page().blocks().into_iter().map(|block| block.lines);
    let mut found = blocks.filter(|lines| lines.iter().any(|line| line.contains(text)));
    let block = found.next().unwrap_or_else(|| panic!("no block has {text}"));
    assert!(found.next().is_none(), "two blocks have {text}");
    block
}

/// The lines of a manifest from a table's header to the next empty line.
fn table<'a>(lines: impl Iterator<Item = &'a str>, header: &str) -> Vec<&'a str> {
    lines.skip_while(|line| *line != header).skip(1).take_while(|line| !line.is_empty()).collect()
}

#[test]
fn the_page_shows_the_plugin_that_is_tested() {
    let source = fs::read_to_string(repository().join("examples/plugin.rs")).unwrap();
    // Blocks have no indentation.
    let source: Vec<&str> = source.lines().map(str::trim_start).collect();
    assert_eq!(block("async fn main() -> ExitCode {"), source);
}

#[test]
fn the_page_lists_what_the_plugin_is_built_with() {
    let shown = block("[profile.dev.package]");
    let shown = table(shown.iter().map(String::as_str), "[dependencies]");
    let manifest = fs::read_to_string(repository().join("examples/Cargo.toml")).unwrap();
    let from_source = |line: &str| match line.split_once("path = \"") {
        Some((before, rest)) => format!("{before}{SOURCE}{}", rest.split_once('"').unwrap().1),
        None => line.to_owned(),
    };
    let built: Vec<String> = table(manifest.lines(), "[dependencies]").into_iter().map(from_source).collect();
    assert!(built.len() > 5, "{built:?}");
    assert_eq!(shown, built);
}

#[test]
fn the_page_optimizes_what_this_workspace_does() {
    let shown = block("[profile.dev.package]");
    let shown = table(shown.iter().map(String::as_str), "[profile.dev.package]");
    let workspace = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    assert_eq!(shown.len(), 3);
    for line in shown {
        let package = line.strip_suffix(" = { opt-level = 3 }").unwrap_or_else(|| panic!("{line}"));
        let header = format!("[profile.dev.package.{package}]");
        assert_eq!(table(workspace.lines(), &header).first(), Some(&"opt-level = 3"), "{package}");
    }
}
