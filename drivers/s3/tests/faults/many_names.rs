//! A directory of 100,000 names with one beginning, as the tags of a version have.

use plugin_registry_core::StorageDriver;
use plugin_registry_emulator::s3::Server;

use crate::support::*;

const NAMES: usize = 100_000;

/// Enough to be more than are held.
const SOME: usize = 12_000;

fn filled(names: usize, name: impl Fn(usize) -> String) -> Server {
    let server = Server::start();
    (0..names).for_each(|number| server.put_raw(&key(&name(number)), "x"));
    server
}

/// U29, G9: every name of `v1.0.N` could be followed by `v1` and `v1.0`, which come before it: names are held
/// back, but not all of them, so the first one comes after a few pages.
#[tokio::test]
async fn names_with_one_beginning_are_listed_with_few_of_them_held() {
    let server = filled(NAMES, |number| format!("/tags/v1.0.{number}/current/link"));
    let driver = open(&server).await;
    let at = path("/tags");
    let met_first = || {
        let pages = server.count();
        assert!(pages <= 8, "the first name came after {pages} requests");
    };
    assert_eq!(first_and_count(driver.list(&at, None), met_first).await.unwrap(), NAMES);
    assert!(server.count() <= NAMES / 1000 + 5, "{} requests", server.count());
}

/// The same where `v1.0` is there, and has to come first.
#[tokio::test]
async fn a_name_that_others_begin_with_comes_before_them() {
    let server = filled(SOME, |number| format!("/tags/v1.0.{number}/link"));
    server.put_raw(&key("/tags/v1.0/link"), "x");
    let driver = open(&server).await;
    let found = names(&driver, "/tags", None).await.unwrap();
    assert_eq!(found.len(), SOME + 1);
    assert_eq!(found[0], "v1.0");
    assert!(found.is_sorted());
    assert!(server.count() <= SOME / 1000 + 6, "{} requests", server.count());
}

/// A page of tags from the middle costs no more than a page from the beginning.
#[tokio::test]
async fn a_page_from_the_middle_costs_a_few_requests() {
    use futures::{StreamExt, TryStreamExt};
    let server = filled(SOME, |number| format!("/tags/v1.0.{number}/link"));
    let driver = open(&server).await;
    let at = path("/tags");
    let page = driver.list(&at, Some("v1.0.5")).take(100).map_ok(|entry| entry.name);
    let found: Vec<String> = page.try_collect().await.unwrap();
    assert_eq!((found.len(), found[0].as_str()), (100, "v1.0.50"));
    assert!(server.count() <= 8, "{} requests", server.count());
}

/// A walk and a delete of as many files stay at a request for a thousand.
#[tokio::test]
async fn a_walk_costs_a_request_for_a_thousand_files() {
    let server = filled(SOME, |number| format!("/files/v1.0.{number}"));
    let driver = open(&server).await;
    let at = path("/files");
    let met_first = || assert_eq!(server.count(), 1);
    assert_eq!(first_and_count(driver.walk(&at, None), met_first).await.unwrap(), SOME);
    assert_eq!(server.count(), SOME / 1000);
    server.forget();
    driver.delete(&at).await.unwrap();
    assert!(server.objects().is_empty());
    assert!(server.count() <= 2 * SOME / 1000 + 2, "{} requests", server.count());
}
