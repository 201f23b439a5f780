//! Compares the how-to with the example of a driver.

use std::fs;

use super::{Page, repository};

#[test]
fn the_example_is_as_the_how_to_shows_it() {
    let page = Page::read(&repository(), "docs/src/how-to/add-a-driver.md");
    let source = fs::read_to_string(repository().join("drivers/example/src/lib.rs")).unwrap();
    let shown = page.blocks().into_iter().find(|block| block.lines.join("\n").contains("pub async fn open("));
    let visible: Vec<String> =
        shown.unwrap().lines.into_iter().filter(|line| !line.starts_with("# ")).collect();
    // Blocks have no indentation.
    let lines = source.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    assert!(visible.len() > 4 && lines.contains(&visible.join("\n")), "not in the example: {visible:#?}");
    let says = "in one file of less than 220 lines of code";
    assert!(page.prose().iter().any(|(_, line)| line.contains(says)), "the page does not say: {says}");
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let code = source.lines().filter(is_code).count();
    assert!((150..220).contains(&code), "{code} lines of code");
}
