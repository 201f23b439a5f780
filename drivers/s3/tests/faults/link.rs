//! Slow links: a request is given up when it stands still, and never because it takes long (ADR 0023).

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use plugin_registry_core::{ByteRange, ErrorKind, StageId, Staged, StorageDriver, WriteMode};
use plugin_registry_drivers_s3::{S3Config, S3Driver};
use plugin_registry_emulator::{
    link::Link,
    s3::{Kind, Server},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::*;

/// A second is the least that can be set.
const LIMIT: Duration = Duration::from_secs(1);
const KIB: usize = 1 << 10;
/// Bytes a second: what a connection's buffers hold, about 350 KiB, is then sent in little more than the limit.
const SLOW: u64 = 300 << 10;
const FAST: u64 = 1 << 30;

fn limited(server: &Server, link: &Link) -> S3Config {
    config(server)
        .with_endpoint(link.endpoint().parse().unwrap())
        .with_chunk_size(1024 * KIB as u64)
        .with_concurrency(1)
        .with_idle_timeout(LIMIT)
        .with_answer_timeout(2 * LIMIT)
        .with_max_attempts(1)
}

async fn open(server: &Server, link: &Link) -> S3Driver {
    S3Driver::open(limited(server, link)).await.unwrap()
}

/// One put of 1 MiB, and parts of as much: each takes several times the limit.
#[tokio::test]
async fn what_is_sent_slowly_arrives() {
    for size in [1024 * KIB, 2048 * KIB + 5] {
        let server = server();
        let link = Link::start(server.address(), SLOW, FAST);
        let driver = open(&server, &link).await;
        let began = Instant::now();
        write(&driver, "/f", &content(size)).await.unwrap();
        assert!(began.elapsed() > 3 * LIMIT, "{size}: {:?} is no test of the limit", began.elapsed());
        assert!(stored(&server, "/f").unwrap() == content(size));
        let puts = server.count_of("PutObject") + server.count_of("UploadPart");
        assert_eq!(puts, size.div_ceil(1024 * KIB), "each was sent once");
    }
}

/// All the same for what comes down: a whole file in memory, and a stream.
#[tokio::test]
async fn what_comes_slowly_arrives() {
    let server = server();
    let link = Link::start(server.address(), FAST, SLOW);
    let driver = open(&server, &link).await;
    server.put_raw(&key("/f"), content(1024 * KIB));
    let began = Instant::now();
    let whole = driver.get_content(&path("/f"), 1 << 30).await.unwrap();
    assert!(began.elapsed() > 3 * LIMIT, "{:?} is no test of the limit", began.elapsed());
    assert!(whole == content(1024 * KIB));
    assert!(read_range(&driver, "/f", ByteRange::full()).await.unwrap() == whole);
    assert_eq!(server.count_of("GetObject"), 2, "each was asked for once");
}

/// A link that stands still in the middle of a put or of a part.
#[tokio::test]
async fn what_is_not_sent_any_more_is_given_up() {
    for size in [900 * KIB, 2000 * KIB] {
        let server = server();
        let link = Link::start(server.address(), SLOW, FAST);
        let driver = open(&server, &link).await;
        let bytes = content(size);
        let writing = write(&driver, "/f", &bytes);
        let stopped = async {
            while link.passed_up() < 200 << 10 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            link.set_up(0);
            Instant::now()
        };
        let (written, stopped) = futures::join!(writing, stopped);
        let waited = stopped.elapsed();
        let error = failure(written);
        assert!(error.kind() == ErrorKind::Timeout && error.is_retryable(), "{error}");
        assert!(error.to_string().contains("for 1s (`idletimeout`)"), "{error}");
        // Whether the put was done is asked for once, which ends in the same way.
        // The socket takes bytes in steps, so the last one was some time before.
        assert!(waited >= LIMIT / 4 && waited < 12 * LIMIT, "{waited:?}");
        assert_eq!(stored(&server, "/f"), None);
    }
}

/// A link that stands still while an answer comes.
#[tokio::test]
async fn what_does_not_come_any_more_is_given_up() {
    let server = server();
    let link = Link::start(server.address(), FAST, SLOW);
    let driver = open(&server, &link).await;
    server.put_raw(&key("/f"), content(1024 * KIB));
    for whole in [true, false] {
        let before = link.passed_down();
        let reading = async {
            match whole {
                true => driver.get_content(&path("/f"), 1 << 30).await.map(drop),
                false => read(&driver, "/f").await.map(drop),
            }
        };
        let stopped = async {
            while link.passed_down() - before < 200 << 10 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            link.set_down(0);
            Instant::now()
        };
        let (read, stopped) = futures::join!(reading, stopped);
        let waited = stopped.elapsed();
        let error = failure(read);
        assert!(error.kind() == ErrorKind::Timeout && error.is_retryable(), "{error}");
        assert!(error.to_string().contains("timeout`)"), "{error}");
        assert!(waited >= LIMIT / 4 && waited < 20 * LIMIT, "{waited:?}");
        link.set_down(SLOW);
    }
}

/// An answer that does not come: its own limit, ten times as long for what a store works on.
#[tokio::test]
async fn an_answer_may_take_as_long_as_is_said() {
    let server = server();
    let config = config(&server).with_answer_timeout(LIMIT).with_max_attempts(1);
    let driver = S3Driver::open(config.with_copy_threshold(1 << 20)).await.unwrap();
    let late = Kind::Delay(3 * LIMIT);
    for operation in ["CompleteMultipartUpload", "CopyObject", "HeadObject"] {
        server.fault(on(operation, late.clone()));
    }
    let written = async {
        let mut writer = driver.writer(&path("/f"), WriteMode::direct()).await?;
        writer.write(in_parts()).await?;
        writer.commit(&path("/f")).await
    };
    let asked = async {
        // For a driver that looks first, the object is there already.
        let error = failure(driver.stat(&path("/d")).await);
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(
            error.to_string().contains("within 1s after the request was sent (`answertimeout`)"),
            "{error}"
        );
        let staged = close(&driver, "/d", &content(10)).await?;
        commit_staged(&driver, &staged, "/e").await
    };
    let (written, copied) = futures::join!(written, asked);
    written.unwrap();
    copied.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), in_parts());
    assert_eq!(stored(&server, "/e").unwrap(), content(10));
    assert_eq!((server.count_of("CompleteMultipartUpload"), server.count_of("CopyObject")), (1, 1));
}

/// A part whose answer does not come is sent again, from its beginning.
#[tokio::test]
async fn a_part_that_stands_still_is_sent_again() {
    let server = server();
    let driver = S3Driver::open(config(&server).with_answer_timeout(LIMIT)).await.unwrap();
    server.fault(on("UploadPart", Kind::Hang));
    write(&driver, "/f", &in_parts()).await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), in_parts());
    assert_eq!(server.count_of("UploadPart"), 5);
}

/// Answers that are not objects and do not end: the driver neither reads them for ever nor holds them.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test harness")]
async fn an_answer_without_an_end_is_not_read_to_it() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let endless = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            if stream.read(&mut asked).await.is_err() {
                continue;
            }
            let piece = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            let mut next = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".as_slice();
            while stream.write_all(next).await.is_ok() {
                counted.fetch_add(next.len(), Ordering::Relaxed);
                next = piece.as_bytes();
            }
        }
    });
    let server = server();
    let config = config(&server).with_endpoint(endpoint.parse().unwrap()).with_max_attempts(1);
    let driver = S3Driver::open(config).await.unwrap();
    let error = failure(names(&driver, "/d", None).await);
    assert!(error.kind() == ErrorKind::Unavailable && !error.is_retryable(), "{error}");
    assert!(error.to_string().contains("the answer is larger than 16777216 bytes"), "{error}");
    // And what the buffers of the connection hold.
    assert!(sent.load(Ordering::Relaxed) < 32 << 20, "{} bytes were sent", sent.load(Ordering::Relaxed));
    endless.abort();
}

/// A foreign object with the name of a stage is as large as it likes.
#[tokio::test]
async fn a_foreign_object_is_not_read_as_a_stage() {
    let server = server();
    let link = Link::start(server.address(), FAST, FAST);
    let driver = S3Driver::open(limited(&server, &link).with_idle_timeout(10 * LIMIT)).await.unwrap();
    server.put_raw(&key("/f.staged"), content(64 << 20));
    let foreign = Staged::new(path("/f"), 64 << 20, StageId::of("any"));
    let resumed = driver.writer(&path("/f"), WriteMode::Resume(foreign.clone())).await;
    let error = failure(resumed.map(drop));
    assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
    assert!(error.to_string().contains("f.staged") && error.to_string().contains("67108864"), "{error}");
    for result in
        [driver.find_staged(&path("/f")).await.map(drop), commit_staged(&driver, &foreign, "/g").await]
    {
        assert!(matches!(kind(result), ErrorKind::Corrupted | ErrorKind::Conflict));
    }
    assert!(link.passed_down() < 16 << 20, "{} bytes were read", link.passed_down());
    // It stands only in the way of a stage, and a purge sees it.
    assert_eq!(kind(close(&driver, "/f", &content(10)).await), ErrorKind::Conflict);
    assert_eq!(stages(&driver, "/").await.unwrap(), [("/f".to_owned(), 0)]);
    write(&driver, "/f", &content(10)).await.unwrap();
    assert!(link.passed_down() < 32 << 20, "{} bytes were read", link.passed_down());
}
