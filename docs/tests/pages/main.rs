//! The pages themselves: nothing in them leads nowhere. Links, anchors, files and tests that they name, their
//! place in the book, and the command lines that they show, read by the real command.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test: a failed check is a panic of it"
)]

mod commands;
mod driver;
mod example;
mod links;
mod markdown;
mod named;
mod parameters;
mod plugin;
mod recipe;
mod reference;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use plugin_registry_docs::PAGES;

use self::markdown::Page;

/// The root of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Markdown file below `docs/src`, by its path from there.
fn files() -> BTreeSet<String> {
    let root = repository().join("docs/src");
    let (mut found, mut open) = (BTreeSet::new(), vec![root.clone()]);
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.insert(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// Everything that is checked: the book, and the files in the repository's root.
fn pages() -> Vec<Page> {
    let book = files().into_iter().map(|name| format!("docs/src/{name}"));
    let root = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned);
    let pages: Vec<Page> = book.chain(root).map(|name| Page::read(&repository(), &name)).collect();
    assert!(pages.len() > 20, "only {} pages", pages.len());
    pages
}

/// Fails with all problems at once.
fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn the_examples_of_every_page_are_tested() {
    let mut listed: BTreeSet<String> = PAGES.iter().map(|page| (*page).to_owned()).collect();
    assert_eq!(listed.len(), PAGES.len(), "a page is listed twice in docs/lib.rs");
    // The list of pages has no examples.
    assert!(listed.insert("SUMMARY.md".to_owned()));
    assert_eq!(listed, files(), "the list in docs/lib.rs is not the folder docs/src");
}

#[test]
fn every_page_is_in_the_book() {
    let summary = Page::read(&repository(), "docs/src/SUMMARY.md");
    let mut listed: Vec<String> = summary.links().map(|(_, target)| target).collect();
    listed.push("SUMMARY.md".to_owned());
    listed.sort();
    assert_eq!(listed, files().into_iter().collect::<Vec<_>>(), "SUMMARY.md is not the folder docs/src");
}

/// A block without a language is Rust to rustdoc, and an ignored one is not tested.
#[test]
fn every_block_has_a_language_and_none_is_ignored() {
    let mut problems = Vec::new();
    for page in pages() {
        for block in page.blocks() {
            let place = format!("{}:{}", page.name, block.line);
            if block.language.is_empty() {
                problems.push(format!("{place}: a block without a language"));
            }
            // CONTRIBUTING.md shows a macro call that the how-to has in full.
            if block.language.contains("ignore") && page.name.starts_with("docs/") {
                problems.push(format!("{place}: an example that is not tested"));
            }
        }
    }
    assert_none(&problems);
}
