//! Listings in pages of every size, with the readings of delimiters and `start-after` that servers have.

use std::collections::BTreeSet;

use plugin_registry_core::StorageDriver as _;
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{DelimiterRule, Server, StartAfterRule};

use crate::support::*;

const PAGES: [usize; 4] = [1, 2, 3, 1000];
const RULES: [StartAfterRule; 3] = [StartAfterRule::Items, StartAfterRule::Keys, StartAfterRule::Ignored];
const DELIMITERS: [DelimiterRule; 5] = [
    DelimiterRule::Whole,
    DelimiterRule::FirstCharacter,
    DelimiterRule::Ignored,
    DelimiterRule::Refused,
    DelimiterRule::Restarts,
];

/// Names around `/` in byte order (`-` and `.` come before it, `0` after), files that are directories as well.
const FILES: &[&str] = &[
    "/a",
    "/a-b",
    "/a-b/_layers/l",
    "/a-b/z",
    "/a.b",
    "/a.b/x",
    "/a/_layers/l",
    "/a/_manifests/m",
    "/a/b",
    "/a/b-c/_layers/l",
    "/a/b.c",
    "/a/b/_layers/l",
    "/a/b/_layers/l/deep/_layers/hidden",
    "/a0",
    "/a0/_uploads/u",
    "/a1/b/c/_layers/l",
    "/a1/b/c/d/_layers/l",
    "/b/no/mark",
    "/v1.0.1",
    "/v1.0.10",
    "/v1.0-rc.1",
    "/v1/_layers/l",
    "/v1.0/x",
];
/// Beside them, keys that are not valid paths.
const FOREIGN: &[&str] = &["/", "/a/", "/a//b", "/a-b/ü", "/c.staged", "/a/b.staged", "/d/", "/v1.0/"];

fn filled(page: usize) -> Server {
    let server = Server::builder().min_part(1).page_size(page).start();
    FILES.iter().chain(FOREIGN).for_each(|name| server.put_raw(&key(name), *name));
    server.put_raw("roo", "x");
    server.put_raw("root-b/x", "x");
    server
}

fn below<'a>(directory: &'a str) -> impl Iterator<Item = &'static str> + 'a {
    FILES.iter().copied().filter_map(move |name| name.strip_prefix(directory)?.strip_prefix('/'))
}

fn prefix(directory: &str) -> &str {
    directory.trim_end_matches('/')
}

fn expected_names(directory: &str, after: Option<&str>) -> Vec<String> {
    let mut all: BTreeSet<&str> =
        below(prefix(directory)).map(|rest| rest.split('/').next().unwrap()).collect();
    // It holds only a marker and a stage, but a listing still shows a directory.
    if directory == "/" {
        all.insert("d");
    }
    all.into_iter().filter(|name| after.is_none_or(|after| *name > after)).map(str::to_owned).collect()
}

fn expected_walk(directory: &str, after: Option<&str>) -> Vec<String> {
    let all: BTreeSet<String> =
        below(prefix(directory)).map(|rest| format!("{}/{rest}", prefix(directory))).collect();
    all.into_iter().filter(|path| after.is_none_or(|after| path.as_str() > after)).collect()
}

fn by_components(path: &str) -> Vec<&str> {
    path.split('/').collect()
}

fn expected_marked(directory: &str, after: Option<&str>) -> Vec<String> {
    let marked = |rest: &'static str| {
        let components = by_components(rest);
        let at = components.iter().position(|component| component.starts_with('_'))?;
        (at > 0).then(|| format!("{}/{}", prefix(directory), components[..at].join("/")))
    };
    let mut all: Vec<String> = below(prefix(directory)).filter_map(marked).collect();
    all.sort_by(|left, right| by_components(left).cmp(&by_components(right)));
    all.dedup();
    all.retain(|path| after.is_none_or(|after| by_components(path) > by_components(after)));
    all
}

async fn each_server(
    rules: &[StartAfterRule],
    delimiters: &[DelimiterRule],
    check: impl AsyncFn(&S3Driver, &str),
) {
    for page in PAGES {
        let server = filled(page);
        let driver = open(&server).await;
        for rule in rules {
            for delimiter in delimiters {
                server.quirks(|quirks| (quirks.start_after, quirks.delimiter) = (*rule, *delimiter));
                check(&driver, &format!("page {page} {rule:?} {delimiter:?}")).await;
            }
        }
    }
}

/// One level, in order of the names.
#[tokio::test]
async fn a_level_is_whole_and_in_order_in_pages_of_any_size() {
    each_server(&RULES[..1], &DELIMITERS[..1], async |driver, case| {
        for directory in ["/", "/a", "/a/b", "/a-b", "/a1", "/v1.0"] {
            let found = names(driver, directory, None).await.unwrap();
            assert_eq!(found, expected_names(directory, None), "{case} {directory}");
        }
    })
    .await;
}

/// One level from a name on, which need not exist.
#[tokio::test]
async fn a_level_goes_on_after_any_name() {
    each_server(&RULES, &DELIMITERS[..1], async |driver, case| {
        for directory in ["/", "/a"] {
            for after in ["0", "_", "a", "a-", "a-b", "a.", "a.b", "a0", "b", "b-c", "v1.0", "v1.0.1", "zz"] {
                let found = names(driver, directory, Some(after)).await.unwrap();
                assert_eq!(found, expected_names(directory, Some(after)), "{case} {directory} after {after}");
            }
        }
    })
    .await;
}

/// All files, in order of their paths' bytes.
#[tokio::test]
async fn a_walk_is_whole_and_in_order_in_pages_of_any_size() {
    each_server(&[StartAfterRule::Items, StartAfterRule::Ignored], &DELIMITERS[..1], async |driver, case| {
        for directory in ["/", "/a", "/a/b", "/a-b"] {
            let found = walked(driver, directory, None).await.unwrap();
            assert_eq!(found, expected_walk(directory, None), "{case} {directory}");
            for after in ["/0", "/a", "/a-b", "/a-b/y", "/a/b", "/a/b.c", "/v1.0.1", "/zz"] {
                let found = walked(driver, directory, Some(after)).await.unwrap();
                assert_eq!(found, expected_walk(directory, Some(after)), "{case} {directory} after {after}");
            }
        }
    })
    .await;
}

/// Repositories, whatever the server makes of a delimiter of two characters.
#[tokio::test]
async fn repositories_are_found_in_pages_of_any_size() {
    each_server(&RULES, &DELIMITERS, async |driver, case| {
        for directory in ["/", "/a", "/a1", "/none"] {
            let found = marked(driver, directory, None).await.unwrap();
            assert_eq!(found, expected_marked(directory, None), "{case} {directory}");
        }
    })
    .await;
}

/// Repositories from a name on.
#[tokio::test]
async fn repositories_go_on_after_any_name() {
    const AFTER: [&str; 10] =
        ["/0", "/a", "/a/b", "/a/b/x", "/a-b", "/a.b", "/a0", "/a1/b/c", "/a1/b/c/d", "/zz"];
    let check = async |driver: &S3Driver, case: &str, all: &[&str]| {
        for after in all {
            let found = marked(driver, "/", Some(after)).await.unwrap();
            assert_eq!(found, expected_marked("/", Some(after)), "{case} after {after}");
        }
    };
    each_server(&RULES, &DELIMITERS[..1], async |driver, case| check(driver, case, &AFTER).await).await;
    // Level by level, at many requests in small pages.
    each_server(&RULES[..1], &DELIMITERS[1..], async |driver, case| {
        check(driver, case, &["/a/b", "/a1/b/c"]).await;
    })
    .await;
}

/// A directory is deleted with everything in it, and without its neighbours.
#[tokio::test]
async fn a_delete_is_whole_in_pages_of_any_size() {
    for page in PAGES {
        let server = filled(page);
        let driver = open(&server).await;
        driver.delete(&path("/a")).await.unwrap();
        let keys = FILES.iter().chain(FOREIGN).map(|name| key(name));
        let mut left: Vec<_> = keys.filter(|key| key != "root/a" && !key.starts_with("root/a/")).collect();
        left.extend(["roo".to_owned(), "root-b/x".to_owned()]);
        left.sort();
        assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), left, "page {page}");
    }
}
