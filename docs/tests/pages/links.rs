//! Relative links and anchors.

use std::path::Path;

use super::{Page, assert_none, pages, repository};

/// Why a link leads nowhere, if it does not lead to a file, or not to a heading of it.
fn problem(root: &Path, page: &Page, target: &str) -> Option<String> {
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let folder = Path::new(&page.name).parent().unwrap();
    let path = if file.is_empty() { Path::new(&page.name).to_owned() } else { folder.join(file) };
    if !root.join(&path).exists() {
        return Some("there is no such file".to_owned());
    }
    let in_book = page.name.starts_with("docs/src/");
    let below_book = root.join(&path).canonicalize().unwrap().starts_with(root.join("docs/src"));
    if in_book && !below_book {
        return Some("it leads out of the book".to_owned());
    }
    let anchor = anchor?;
    let anchors = Page::read(root, path.to_str().unwrap()).anchors();
    (!anchors.iter().any(|known| known == anchor)).then(|| format!("there is no heading `{anchor}`"))
}

#[test]
fn every_relative_link_leads_somewhere() {
    let root = repository().canonicalize().unwrap();
    let (mut problems, mut checked) = (Vec::new(), 0);
    for page in pages() {
        for (line, target) in page.links() {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            if let Some(problem) = problem(&root, &page, &target) {
                problems.push(format!("{}:{line}: {target}: {problem}", page.name));
            }
        }
    }
    assert_none(&problems);
    assert!(checked > 100, "only {checked} links were found");
}
