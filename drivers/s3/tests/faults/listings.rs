//! Listings that lie: a driver that trusted their end would miss what follows.

use plugin_registry_core::{Error, ErrorKind, PutMode, StorageDriver, StorageDriverExt};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Kind, Length, Server};

use crate::support::*;

const LIST: &str = "ListObjectsV2";

/// Files of a repository in pages of two keys.
fn filled() -> Server {
    let server = Server::builder().min_part(1).page_size(2).start();
    for name in ["a", "b", "c", "d", "e"] {
        server.put_raw(&key(&format!("/r/{name}/_layers/x")), name);
    }
    server
}

/// Every call that lists, with whether it succeeded.
async fn every_listing(driver: &S3Driver) -> Vec<(&'static str, Result<(), Error>)> {
    vec![
        ("list", names(driver, "/r", None).await.map(drop)),
        ("list after", names(driver, "/r", Some("a")).await.map(drop)),
        ("list root", names(driver, "/", None).await.map(drop)),
        ("walk", walked(driver, "/r", None).await.map(drop)),
        ("walk after", walked(driver, "/r", Some("/r/a")).await.map(drop)),
        ("find_directories", marked(driver, "/r", None).await.map(drop)),
        ("list_staged", stages(driver, "/r").await.map(drop)),
        ("delete", driver.delete(&path("/r")).await),
    ]
}

/// U6: a page that is cut, and says not how to go on.
#[tokio::test]
async fn a_cut_page_without_a_token_is_an_error() {
    let server = filled();
    let driver = open(&server).await;
    server.fault(on(LIST, Kind::NoToken).forever());
    for (call, result) in every_listing(&driver).await {
        let error = failure(result);
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, false), "{call}: {error}");
    }
    assert_eq!(server.objects().len(), 5, "nothing was deleted");
}

/// U6: the same token again and again.
#[tokio::test]
async fn a_token_that_repeats_is_an_error() {
    let server = filled();
    let driver = open(&server).await;
    server.fault(on(LIST, Kind::RepeatedToken).forever());
    for (call, result) in every_listing(&driver).await {
        let error = failure(result);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{call}: {error}");
    }
    assert_eq!(server.objects().len(), 5, "nothing was deleted");
    assert!(server.count() < 30, "none of them ran for ever");
}

/// U6: a listing that leads to itself for ever, by another token each time, with and without entries.
#[tokio::test]
async fn a_listing_without_end_is_an_error() {
    for full in [false, true] {
        let server = filled();
        let driver = open(&server).await;
        server.fault(on(LIST, Kind::FreshToken { full }).forever());
        for (call, result) in every_listing(&driver).await {
            let error = failure(result);
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{full} {call}: {error}");
        }
        assert_eq!(server.objects().len(), 5, "nothing was deleted");
        assert!(server.count() < 2_000, "none of them ran for ever: {}", server.count());
    }
}

/// The same where it leads through a few pages, again and again.
#[tokio::test]
async fn a_listing_in_a_circle_is_an_error() {
    let server = filled();
    let driver = open(&server).await;
    server.fault(on(LIST, Kind::Circle).forever());
    for (call, result) in every_listing(&driver).await {
        let error = failure(result);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{call}: {error}");
    }
    assert_eq!(server.objects().len(), 5, "nothing was deleted");
    assert!(server.count() < 2_000, "none of them ran for ever: {}", server.count());
}

/// A store may give empty pages on the way: nothing is missed behind them.
#[tokio::test]
async fn empty_pages_are_no_end() {
    let server = filled();
    let driver = open(&server).await;
    server.fault(on(LIST, Kind::FreshToken { full: false }).times(90));
    assert_eq!(names(&driver, "/r", None).await.unwrap(), ["a", "b", "c", "d", "e"]);
    assert!(server.faults_left().is_empty());
}

/// U6: a page that comes twice, and then goes on: an error, or right.
#[tokio::test]
async fn a_page_that_repeats_gives_nothing_twice() {
    let server = filled();
    let driver = open(&server).await;
    server.fault(on(LIST, Kind::RepeatedToken));
    if let Ok(found) = names(&driver, "/r", None).await {
        assert_eq!(found, ["a", "b", "c", "d", "e"]);
    }
    server.fault(on(LIST, Kind::RepeatedToken));
    assert_eq!(kind(walked(&driver, "/r", None).await), ErrorKind::Unavailable);
    server.fault(on(LIST, Kind::RepeatedToken));
    if let Ok(found) = marked(&driver, "/r", None).await {
        assert_eq!(found, ["/r/a", "/r/b", "/r/c", "/r/d", "/r/e"]);
    }
    assert!(server.faults_left().is_empty());
}

/// F12: pages in descending order: an error, or right.
#[tokio::test]
async fn an_unsorted_page_is_sorted_or_an_error() {
    let server = filled();
    let driver = open(&server).await;
    server.fault(on(LIST, Kind::Unordered).forever());
    assert_eq!(names(&driver, "/r", None).await.unwrap(), ["a", "b", "c", "d", "e"]);
    assert_eq!(names(&driver, "/r", Some("b")).await.unwrap(), ["c", "d", "e"]);
    assert_eq!(marked(&driver, "/r", None).await.unwrap().len(), 5);
    let error = failure(walked(&driver, "/r", None).await);
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("`directories`"), "{error}");
    driver.delete(&path("/r")).await.unwrap();
    assert!(server.objects().is_empty());
}

/// G9: a listing that failed is never an empty one.
#[tokio::test]
async fn a_listing_that_failed_is_never_not_found() {
    let faults = [
        (Kind::access_denied(), ErrorKind::PermissionDenied),
        (Kind::forbidden_without_code(), ErrorKind::PermissionDenied),
        (Kind::error(500, "InternalError"), ErrorKind::Unavailable),
        (Kind::error(502, ""), ErrorKind::Unavailable),
        (Kind::slow_down(None), ErrorKind::RateLimited),
        (Kind::error(504, ""), ErrorKind::Timeout),
        (Kind::error(404, "NoSuchBucket"), ErrorKind::InvalidConfig),
        (Kind::Close, ErrorKind::Unavailable),
        (Kind::Reset, ErrorKind::Unavailable),
        (Kind::ResetSending { after: 100 }, ErrorKind::Unavailable),
        (Kind::Truncated { keep: 100, length: Length::Honest }, ErrorKind::Unavailable),
    ];
    at_once(faults, async |(fault, expected)| {
        let server = filled();
        let driver = S3Driver::open(config(&server).with_max_attempts(2)).await.unwrap();
        server.fault(on(LIST, fault.clone()).forever());
        for (call, result) in every_listing(&driver).await {
            assert_eq!(kind(result), expected, "{call} {fault:?}");
        }
        assert_eq!(kind(driver.exists(&path("/r")).await), expected, "exists {fault:?}");
        assert_eq!(server.objects().len(), 5, "nothing was deleted");
    })
    .await;
}

/// A directory is not a file, and finding that out takes no list.
#[tokio::test]
async fn a_look_at_a_directory_asks_for_no_list() {
    let server = filled();
    let driver = open(&server).await;
    for at in ["/r", "/r/a", "/none"] {
        assert_eq!(kind(driver.stat(&path(at)).await), ErrorKind::NotFound, "{at}");
    }
    assert_eq!(server.counts().into_iter().collect::<Vec<_>>(), [("HeadObject", 3)]);
    assert!(driver.exists(&path("/r")).await.unwrap() && !driver.exists(&path("/none")).await.unwrap());
}

/// G9: the first page is right, a later one fails.
#[tokio::test]
async fn a_later_page_that_failed_is_an_error() {
    for nth in 2..=3 {
        let server = filled();
        let driver = S3Driver::open(config(&server).with_max_attempts(1)).await.unwrap();
        let fault = || {
            server.clear_faults();
            server.fault(on(LIST, Kind::error(500, "InternalError")).nth(nth));
        };
        fault();
        assert_eq!(kind(names(&driver, "/r", None).await), ErrorKind::Unavailable);
        fault();
        assert_eq!(kind(walked(&driver, "/r", None).await), ErrorKind::Unavailable);
        fault();
        assert_eq!(kind(marked(&driver, "/r", None).await), ErrorKind::Unavailable);
        fault();
        assert_eq!(kind(driver.delete(&path("/r")).await), ErrorKind::Unavailable);
        assert_eq!(server.objects().len(), 5, "nothing was deleted");
    }
}

/// Keys that others have put there: markers of directories, and names that no path has.
#[tokio::test]
async fn foreign_keys_are_nobodys_files() {
    let server = Server::builder().min_part(1).page_size(2).start();
    let driver = open(&server).await;
    let foreign = ["/", "/d/", "/d/e/", "/d//x", "/d/ä", "/d/a b", "/d/../x", "/d/.", "/d/f/_layers/", "/m/"];
    foreign.iter().for_each(|name| server.put_raw(&key(name), "foreign"));
    server.put_raw("root", "foreign");
    server.put_raw("rootless", "foreign");
    for name in ["/d/e/file", "/d/f", "/d/f/_layers/x", "/d/g"] {
        server.put_raw(&key(name), "ours");
    }
    assert_eq!(names(&driver, "/", None).await.unwrap(), ["d", "m"]);
    assert_eq!(names(&driver, "/d", None).await.unwrap(), ["e", "f", "g"]);
    assert_eq!(walked(&driver, "/", None).await.unwrap(), ["/d/e/file", "/d/f", "/d/f/_layers/x", "/d/g"]);
    assert_eq!(marked(&driver, "/", None).await.unwrap(), ["/d/f"]);
    assert_eq!(kind(names(&driver, "/m", None).await), ErrorKind::NotFound, "a marker is no child");
    assert_eq!(kind(driver.stat(&path("/m")).await), ErrorKind::NotFound);
    assert!(!driver.exists(&path("/m")).await.unwrap());
    // A directory that goes takes all of them along.
    driver.delete(&path("/d")).await.unwrap();
    let left: Vec<_> = server.objects().into_keys().collect();
    assert_eq!(left, ["root", "root/", "root/m/", "rootless"]);
}

/// F12: a list that misses the latest write; a read of the file itself does not.
#[tokio::test]
async fn a_stale_list_does_not_hide_a_file_from_a_look_at_it() {
    let server = Server::builder().min_part(1).quirks(|quirks| quirks.stale_lists = true).start();
    let driver = open(&server).await;
    put(&driver, "/d/f", "new", PutMode::CreateOnly).await.unwrap();
    assert_eq!(driver.stat(&path("/d/f")).await.unwrap().size, 3);
    assert_eq!(read(&driver, "/d/f").await.unwrap(), b"new");
    driver.delete(&path("/d/f")).await.unwrap();
    assert_eq!(kind(driver.stat(&path("/d/f")).await), ErrorKind::NotFound);
}
