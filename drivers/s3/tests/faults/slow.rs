//! Time: slow servers, slow callers, and no answer at all.

use std::time::Duration;

use futures::StreamExt;
use plugin_registry_core::{ByteRange, ErrorKind, PutMode, StorageDriver, WriteMode};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Fault, Kind, Server};

use crate::support::*;

/// C12: the caller's pace is its own: whatever was sent is answered while a writer waits for it.
#[tokio::test]
async fn a_slow_caller_keeps_no_request_open() {
    let server = server();
    let driver = open(&server).await;
    let mut writer = driver.writer(&path("/f"), WriteMode::direct()).await.unwrap();
    for piece in in_parts().chunks(700) {
        writer.write(bytes::Bytes::copy_from_slice(piece)).await.unwrap();
        let mut waited = 0;
        // Parts are sent by tasks: at least one look comes after they began.
        while waited < 5 || server.requests().iter().any(|request| request.ended.is_none()) {
            waited += 1;
            assert!(waited < 500, "a request waits for the caller");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    assert_eq!(server.count_of("UploadPart"), 3, "the last part is not full yet");
    writer.commit(&path("/f")).await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), in_parts());
}

/// C12: a body in small pieces arrives whole.
#[tokio::test]
async fn a_slow_body_arrives_whole() {
    let server = server();
    let driver = open(&server).await;
    server.put_raw(&key("/f"), content(2_000));
    let trickle = Kind::Trickle { piece: 50, pause: Duration::from_millis(50) };
    server.fault(on("GetObject", trickle.clone()).times(2));
    let (read, got) =
        futures::join!(read(&driver, "/f"), async { driver.get_content(&path("/f"), 10_000).await });
    assert_eq!(read.unwrap(), content(2_000));
    assert_eq!(got.unwrap(), content(2_000));
    assert_eq!(server.count(), 2, "neither was asked for again");
}

/// C12: lists and other answers in small pieces as well.
#[tokio::test]
async fn slow_answers_arrive_whole() {
    let server = server();
    let driver = open(&server).await;
    server.put_raw(&key("/d/f"), "x");
    server.fault(Fault::new(Kind::Trickle { piece: 100, pause: Duration::from_millis(10) }).forever());
    assert_eq!(names(&driver, "/d", None).await.unwrap(), ["f"]);
    write(&driver, "/d/g", &in_parts()).await.unwrap();
    assert_eq!(stored(&server, "/d/g").unwrap(), in_parts());
}

/// C12, F18: a caller that reads with longer pauses gets everything from one request. If a body stops while
/// its connection stays, the driver asks for it again.
#[tokio::test]
async fn a_pause_of_the_caller_is_no_pause_of_the_server() {
    futures::join!(a_slow_reader(), a_body_that_stalls());
}

async fn a_slow_reader() {
    let server = server();
    let driver = S3Driver::open(config(&server).with_idle_timeout(Duration::from_secs(2))).await.unwrap();
    // More than the buffers of a connection hold.
    let bytes = content(8 << 20);
    server.put_raw(&key("/f"), bytes.clone());
    let mut stream = driver.reader(&path("/f"), ByteRange::full()).await.unwrap().into_stream();
    let mut found = stream.next().await.unwrap().unwrap().to_vec();
    tokio::time::sleep(Duration::from_secs(7)).await;
    while let Some(piece) = stream.next().await {
        found.extend_from_slice(&piece.unwrap());
    }
    assert!(found == bytes);
    assert_eq!(server.count(), 1);
}

async fn a_body_that_stalls() {
    let server = server();
    let driver = S3Driver::open(config(&server).with_idle_timeout(Duration::from_secs(2))).await.unwrap();
    server.put_raw(&key("/f"), content(2_000));
    server.fault(on("GetObject", Kind::Trickle { piece: 2_000, pause: Duration::from_secs(300) }));
    let found = tokio::time::timeout(Duration::from_secs(60), read(&driver, "/f")).await;
    assert_eq!(found.unwrap().unwrap(), content(2_000));
    assert_eq!(server.count(), 2);
}

/// A driver whose connection is open already, and that tries once. Afterwards the clock stops, and runs only
/// when there is no other work.
async fn without_time(server: &Server) -> S3Driver {
    let driver = S3Driver::open(config(server).with_max_attempts(1)).await.unwrap();
    server.put_raw(&key("/d/f"), "x");
    driver.stat(&path("/d/f")).await.unwrap();
    tokio::time::pause();
    driver
}

/// F3, F18: no answer for ever. A minute of waiting, of a clock that does not wait.
#[tokio::test]
async fn a_request_without_an_answer_ends_in_a_timeout() {
    for operation in ["HeadObject", "GetObject", "PutObject", "ListObjectsV2", "DeleteObjects"] {
        let server = server();
        let driver = without_time(&server).await;
        server.fault(on(operation, Kind::Hang).forever());
        let began = tokio::time::Instant::now();
        let result = match operation {
            "HeadObject" => driver.stat(&path("/d/f")).await.map(drop),
            "GetObject" => read(&driver, "/d/f").await.map(drop),
            "PutObject" => put(&driver, "/d/f", "new", PutMode::Overwrite).await,
            "ListObjectsV2" => names(&driver, "/d", None).await.map(drop),
            _ => driver.delete_many(vec![path("/d/f"), path("/d/g")], &[]).await.map(drop),
        };
        let error = failure(result);
        assert!(error.kind() == ErrorKind::Timeout && error.is_retryable(), "{operation}: {error}");
        let waited = began.elapsed();
        assert!(
            waited >= Duration::from_secs(50) && waited < Duration::from_secs(90),
            "{operation} {waited:?}"
        );
        tokio::time::resume();
        assert_eq!(stored(&server, "/d/f").unwrap(), "x");
    }
}
