//! Stores that ask for a slower pace, and the bounds of patience.

use std::time::{Duration, Instant};

use plugin_registry_core::{ErrorKind, PutMode, StorageDriver};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Kind, Server};

use crate::support::*;

fn gap(server: &Server, operation: &str) -> Duration {
    let requests = server.requests_of(operation);
    requests[1].began - requests[0].began
}

/// F5, U28: `Retry-After` says when.
#[tokio::test]
async fn retry_after_is_obeyed() {
    let server = server();
    let driver = open(&server).await;
    server.put_raw(&key("/f"), "x");
    for operation in ["GetObject", "PutObject", "UploadPart"] {
        server.fault(on(operation, Kind::slow_down(Some(1))));
    }
    let began = Instant::now();
    let all = (read(&driver, "/f"), put(&driver, "/g", "y", PutMode::CreateOnly), async {
        write(&driver, "/h", &in_parts()).await
    });
    let (read, put, written) = futures::join!(all.0, all.1, all.2);
    assert_eq!(read.unwrap(), b"x");
    put.unwrap();
    written.unwrap();
    assert_eq!(stored(&server, "/h").unwrap(), in_parts());
    assert!(gap(&server, "GetObject") >= Duration::from_secs(1), "{:?}", gap(&server, "GetObject"));
    assert!(gap(&server, "PutObject") >= Duration::from_secs(1), "{:?}", gap(&server, "PutObject"));
    assert!(began.elapsed() < Duration::from_secs(30));
}

/// F5, U28: a store that never stops saying so.
#[tokio::test]
async fn attempts_are_bounded() {
    for (fault, expected) in [
        (Kind::slow_down(None), ErrorKind::RateLimited),
        (Kind::slow_down(Some(0)), ErrorKind::RateLimited),
        (Kind::error(429, "TooManyRequests"), ErrorKind::RateLimited),
        (Kind::error(500, "InternalError"), ErrorKind::Unavailable),
        (Kind::error(502, ""), ErrorKind::Unavailable),
        (Kind::error(503, "ServiceUnavailable"), ErrorKind::Unavailable),
        (Kind::error(504, ""), ErrorKind::Timeout),
        (Kind::Close, ErrorKind::Unavailable),
    ] {
        let server = server();
        let driver = S3Driver::open(config(&server).with_max_attempts(3)).await.unwrap();
        server.fault(on("GetObject", fault.clone()).forever());
        let error = failure(driver.get_content(&path("/f"), 10).await);
        assert_eq!((error.kind(), error.is_retryable()), (expected, true), "{fault:?}: {error}");
        assert_eq!(server.count(), 3, "{fault:?}");
    }
}

/// U28: what another attempt will not change is not attempted again.
#[tokio::test]
async fn a_clear_no_is_not_repeated() {
    for (fault, expected) in [
        (Kind::access_denied(), ErrorKind::PermissionDenied),
        (Kind::error(400, "InvalidArgument"), ErrorKind::Other),
        (Kind::error(404, "NoSuchBucket"), ErrorKind::InvalidConfig),
        (Kind::error(403, "SecondLevelDomainForbidden"), ErrorKind::InvalidConfig),
        (Kind::error(405, "MethodNotAllowed"), ErrorKind::PermissionDenied),
        (Kind::error(501, "NotImplemented"), ErrorKind::Unsupported),
        (Kind::error(507, "XMinioStorageFull"), ErrorKind::NoSpace),
        (Kind::error(403, "QuotaExceeded"), ErrorKind::NoSpace),
        (Kind::error(403, "InvalidObjectState"), ErrorKind::PermissionDenied),
    ] {
        let server = server();
        let driver = open(&server).await;
        // From then on it is known that no checksum is refused.
        put(&driver, "/f", "x", PutMode::Overwrite).await.unwrap();
        server.forget();
        server.fault(on("PutObject", fault.clone()).forever());
        let error = failure(put(&driver, "/f", "x", PutMode::Overwrite).await);
        assert_eq!((error.kind(), error.is_retryable()), (expected, false), "{fault:?}: {error}");
        assert_eq!(server.count(), 1, "{fault:?}");
    }
}

/// By default, the SDK has one budget of repetitions for a whole process. A store that is down must not cost
/// another store its repetitions.
#[tokio::test]
async fn a_store_that_is_down_costs_another_one_no_attempts() {
    let (down, up) = (server(), server());
    let bad = S3Driver::open(config(&down).with_max_attempts(10)).await.unwrap();
    down.fault(on("HeadObject", Kind::slow_down(Some(0))).forever());
    for _ in 0..20 {
        assert_eq!(kind(bad.stat(&path("/f")).await), ErrorKind::RateLimited);
    }
    let good = open(&up).await;
    up.put_raw(&key("/f"), "x");
    up.fault(on("HeadObject", Kind::slow_down(Some(0))).times(4));
    good.stat(&path("/f")).await.unwrap();
}
