//! Bodies that break off: the rest is asked for, of the same object.

use futures::StreamExt;
use plugin_registry_core::{ByteRange, ErrorKind, StorageDriver, WriteMode};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Kind, Length, Server};

use crate::support::*;

const GET: &str = "GetObject";

async fn filled() -> (Server, S3Driver) {
    let server = server();
    let driver = open(&server).await;
    server.put_raw(&key("/f"), content(50_000));
    (server, driver)
}

fn cut(keep: usize, length: Length) -> Kind {
    Kind::Truncated { keep, length }
}

/// U16, F6, F8: an announced length that does not come, by a clean end or a reset, at any place.
#[tokio::test]
async fn a_body_that_breaks_off_is_read_to_its_end() {
    for keep in [0, 1, 1000, 48_999] {
        for fault in [cut(keep, Length::Announced), Kind::ResetSending { after: keep }] {
            let (server, driver) = filled().await;
            server.fault(on(GET, fault.clone()));
            assert_eq!(read(&driver, "/f").await.unwrap(), content(50_000), "{fault:?}");
            let range = ByteRange::new(100, 49_000);
            server.fault(on(GET, fault.clone()));
            let found = read_range(&driver, "/f", range).await.unwrap();
            assert_eq!(found, content(50_000)[100..49_100], "{fault:?}");
            assert_eq!(server.count_of(GET), 4, "{fault:?}");
        }
    }
}

/// U16: again and again, with a few bytes more each time.
#[tokio::test]
async fn a_body_that_breaks_off_often_is_read_to_its_end() {
    let (server, driver) = filled().await;
    server.fault(on(GET, cut(5_000, Length::Announced)).times(9));
    assert_eq!(read(&driver, "/f").await.unwrap(), content(50_000));
    assert_eq!(server.count_of(GET), 10);
}

/// U16: a body that never brings a byte is an error, after a few attempts.
#[tokio::test]
async fn a_body_that_never_comes_is_an_error() {
    let (server, driver) = filled().await;
    server.fault(on(GET, cut(0, Length::Announced)).forever());
    let at = path("/f");
    let (read, got) = futures::join!(read(&driver, "/f"), driver.get_content(&at, 1 << 20));
    for error in [failure(read.map(drop)), failure(got.map(drop))] {
        assert!(error.kind() == ErrorKind::Unavailable && error.is_retryable(), "{error}");
    }
    assert!(server.count_of(GET) <= 15);
}

/// F8: a length that is honest about what comes, and so less than the range: an error, never a short read.
#[tokio::test]
async fn a_range_that_is_cut_and_looks_whole_is_an_error() {
    for length in [Length::Honest, Length::Chunked] {
        let (server, driver) = filled().await;
        server.fault(on(GET, cut(1000, length)).forever());
        let found = read_range(&driver, "/f", ByteRange::new(10, 20_000)).await;
        assert_eq!(kind(found), ErrorKind::Unavailable, "{length:?}");
        let found = read_range(&driver, "/f", ByteRange::from(10)).await;
        assert_eq!(kind(found), ErrorKind::Unavailable, "{length:?}");
    }
}

/// F8: without any length the driver cannot know whether a body is whole.
#[tokio::test]
async fn a_body_without_a_length_is_an_error() {
    let (server, driver) = filled().await;
    server.fault(on(GET, cut(1000, Length::Chunked)).forever());
    assert_eq!(kind(read(&driver, "/f").await), ErrorKind::Unavailable);
    assert_eq!(kind(driver.get_content(&path("/f"), 1 << 20).await), ErrorKind::Unavailable);
}

/// F9: everything instead of a range, on the first request and on one for the rest.
#[tokio::test]
async fn a_range_that_is_ignored_is_an_error() {
    let (server, driver) = filled().await;
    server.fault(on(GET, Kind::RangeIgnored));
    assert_eq!(kind(read_range(&driver, "/f", ByteRange::new(10, 100)).await), ErrorKind::Unavailable);
    server.fault(on(GET, cut(1000, Length::Announced)));
    server.fault(on(GET, Kind::RangeIgnored));
    assert_eq!(kind(read(&driver, "/f").await), ErrorKind::Unavailable);
}

/// F9, U13: a body twice as long as its range.
#[tokio::test]
async fn a_range_that_comes_twice_is_an_error() {
    let (server, driver) = filled().await;
    server.fault(on(GET, Kind::Doubled));
    assert_eq!(kind(read_range(&driver, "/f", ByteRange::new(10, 100)).await), ErrorKind::Unavailable);
}

/// U16: replaced between a body that broke off and the request for its rest: an error, never a mixture.
#[tokio::test]
async fn an_object_that_is_replaced_meanwhile_is_never_mixed() {
    for (kept, deleted) in [(1000, false), (1000, true), (0, false)] {
        let (server, driver) = filled().await;
        server.fault(on(GET, cut(kept, Length::Announced)));
        let mut stream = driver.reader(&path("/f"), ByteRange::full()).await.unwrap().into_stream();
        let mut found = Vec::new();
        while found.len() < kept {
            found.extend_from_slice(&stream.next().await.unwrap().unwrap());
        }
        if deleted {
            server.remove_raw(&key("/f"));
        } else {
            server.put_raw(&key("/f"), vec![7; 50_000]);
        }
        let end = stream.next().await.unwrap();
        assert_eq!(kind(end), ErrorKind::Conflict, "kept {kept}, deleted {deleted}");
        assert_eq!(found, content(50_000)[..kept]);
    }
}

/// F1, F5, F6: a failure before the first byte.
#[tokio::test]
async fn a_read_that_fails_before_its_body_is_repeated() {
    let mut faults = lost_answers().to_vec();
    faults.extend([Kind::error(500, "InternalError"), Kind::error(502, ""), Kind::Close, Kind::Reset]);
    for fault in faults {
        let (server, driver) = filled().await;
        server.fault(on(GET, fault.clone()));
        assert_eq!(read(&driver, "/f").await.unwrap(), content(50_000), "{fault:?}");
        server.fault(on(GET, fault.clone()));
        assert_eq!(driver.get_content(&path("/f"), 1 << 20).await.unwrap(), content(50_000), "{fault:?}");
    }
}

/// U16: a small file that is read whole.
#[tokio::test]
async fn a_small_file_that_breaks_off_is_read_again() {
    for fault in [cut(10, Length::Announced), cut(0, Length::Announced), Kind::ResetSending { after: 10 }] {
        let (server, driver) = filled().await;
        server.fault(on(GET, fault.clone()));
        assert_eq!(driver.get_content(&path("/f"), 1 << 20).await.unwrap(), content(50_000), "{fault:?}");
    }
}

/// U16: what waits to be resumed is read whole or not at all.
#[tokio::test]
async fn a_stage_that_breaks_off_is_never_resumed_in_part() {
    for fault in [
        cut(100, Length::Announced),
        cut(100, Length::Honest),
        cut(100, Length::Chunked),
        Kind::ResetSending { after: 100 },
    ] {
        for bytes in [in_parts(), content(700)] {
            let (server, driver) = filled().await;
            let staged = close(&driver, "/g", &bytes).await.unwrap();
            server.fault(on(GET, fault.clone()));
            match driver.writer(&path("/g"), WriteMode::Resume(staged.clone())).await {
                Ok(writer) => assert_eq!(writer.size(), bytes.len() as u64, "{fault:?}"),
                Err(error) => assert!(!error.is_not_found(), "{fault:?}: {error}"),
            }
            assert!(server.faults_left().is_empty(), "{fault:?}");
            let writer = driver.writer(&path("/g"), WriteMode::Resume(staged)).await.unwrap();
            writer.commit(&path("/g")).await.unwrap();
            assert_eq!(stored(&server, "/g").unwrap(), bytes, "{fault:?}");
        }
    }
}
