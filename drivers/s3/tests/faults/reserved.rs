//! Part numbers of a stage: a writer that continues another writer's upload reserves some before it sends a
//! part.

use std::time::Duration;

use bytes::Bytes;
use plugin_registry_core::{ErrorKind, FileWriter, Result, WriteMode};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Kind, Server};

use crate::support::*;

/// How many numbers one request reserves.
const NUMBERS: i32 = 100;

fn sevens(parts: usize) -> Bytes {
    Bytes::from(vec![7; parts * PART])
}

/// The numbers of the parts that were sent, in the order of their arrival.
fn numbers(server: &Server) -> Vec<i32> {
    let number = |query: &str| {
        let number = query.split('&').find_map(|pair| pair.strip_prefix("partNumber="));
        number.unwrap().parse().unwrap()
    };
    server.requests_of("UploadPart").iter().map(|request| number(&request.query)).collect()
}

async fn write_more(writer: &mut Box<dyn FileWriter>, bytes: &Bytes) -> Result<()> {
    for piece in bytes.chunks(700) {
        writer.write(bytes.slice_ref(piece)).await?;
    }
    Ok(())
}

/// A writer is dropped while its parts are on their way, in a store that carries out the requests that it has
/// read. The parts arrive after another writer has closed the stage, and do not replace its parts.
#[tokio::test]
async fn acknowledged_parts_stay() {
    let server = Server::builder().min_part(1).orphans(true).start();
    let (driver, other) = (open(&server).await, open(&server).await);
    let staged = close(&driver, "/f", &in_parts()).await.unwrap();
    server.forget();
    server.fault(on("UploadPart", Kind::Delay(Duration::from_secs(3))).times(2));
    let torn = after(&driver, &staged, &sevens(2)).await.unwrap();
    let sent = || server.requests_of("UploadPart").iter().filter(|part| part.bytes_in > 0).count();
    until(|| sent() == 2).await;
    drop(torn);
    let closed = after(&other, &staged, &in_parts()).await.unwrap().close().await.unwrap();
    until(|| server.requests_of("UploadPart").iter().all(|part| part.ended.is_some())).await;
    let (parts, puts) = (server.requests_of("UploadPart"), server.requests_of("PutObject"));
    let [late, ..] = &parts[..] else { panic!("no part") };
    assert!(late.ended > puts.last().unwrap().ended, "it comes after the close: {late:?}");
    assert_eq!(server.uploads()[0].parts.len(), 3 + 2 + 3, "and it has come");
    commit_staged(&driver, &closed, "/f").await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), [in_parts(), in_parts()].concat());
}

/// The other way round: the writer that is dropped found the stage as the other writer left it.
#[tokio::test]
async fn a_torn_writer_between_two_closes_leaves_no_part() {
    let server = Server::builder().min_part(1).orphans(true).start();
    let driver = open(&server).await;
    let mut staged = close(&driver, "/f", &in_parts()).await.unwrap();
    for _ in 0..3 {
        server.forget();
        server.fault(on("UploadPart", Kind::Delay(Duration::from_millis(200))).times(2));
        let torn = after(&driver, &staged, &sevens(2)).await.unwrap();
        let sent = || server.requests_of("UploadPart").iter().filter(|part| part.bytes_in > 0).count();
        until(|| sent() == 2).await;
        drop(torn);
        staged = after(&driver, &staged, &in_parts()).await.unwrap().close().await.unwrap();
        until(|| server.requests_of("UploadPart").iter().all(|part| part.ended.is_some())).await;
    }
    commit_staged(&driver, &staged, "/f").await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), in_parts().repeat(4));
}

/// Of two that go on from the same bytes, one may send parts: the other one is refused before it sends any.
#[tokio::test]
async fn a_refused_reservation_sends_no_part() {
    for change in ["reserved", "closed", "committed", "deleted"] {
        let server = server();
        let (driver, other) = (open(&server).await, open(&server).await);
        let staged = close(&driver, "/f", &in_parts()).await.unwrap();
        let mut late = after(&driver, &staged, &Bytes::new()).await.unwrap();
        let mut open = None;
        let mut closed = None;
        match change {
            "deleted" => forget(&other, &staged).await,
            _ => {
                let first = after(&other, &staged, &in_parts()).await.unwrap();
                match change {
                    "closed" => closed = Some(first.close().await.unwrap()),
                    "committed" => first.commit(&path("/f")).await.unwrap(),
                    _ => open = Some(first),
                }
            }
        }
        until(|| change == "deleted" || server.count_of("UploadPart") >= 6).await;
        server.forget();
        let refused = kind(write_more(&mut late, &sevens(3)).await);
        let is_gone = ["committed", "deleted"].contains(&change);
        assert!(refused == ErrorKind::Conflict || (is_gone && refused == ErrorKind::NotFound), "{change}");
        drop(late);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(server.count_of("UploadPart"), 0, "{change}");
        assert_eq!(server.count_of("AbortMultipartUpload"), 0, "{change}: it is not its upload");
        if let Some(first) = open {
            closed = Some(first.close().await.unwrap());
        }
        if let Some(closed) = closed {
            commit_staged(&driver, &closed, "/f").await.unwrap();
        }
        let whole = (change != "deleted").then(|| in_parts().repeat(2));
        assert_eq!(stored(&server, "/f").map(Vec::from), whole, "{change}");
    }
}

/// The store has reserved the numbers, and its answer is lost: the writer finds out that they are its own.
#[tokio::test]
async fn a_reservation_whose_answer_was_lost_is_success() {
    let all = lost_answers().into_iter().flat_map(|lost| [(lost.clone(), false), (lost, true)]);
    at_once(all, async |(lost, forever)| {
        let server = server();
        let driver = S3Driver::open(config(&server).with_max_attempts(2)).await.unwrap();
        let other = open(&server).await;
        let staged = close(&driver, "/f", &in_parts()).await.unwrap();
        let mut late = after(&other, &staged, &Bytes::new()).await.unwrap();
        let fault = on("PutObject", lost.clone());
        server.fault(if forever { fault.forever() } else { fault });
        let writer = after(&driver, &staged, &in_parts()).await.unwrap();
        assert!(forever || server.faults_left().is_empty(), "{lost:?}");
        server.clear_faults();
        assert_eq!(kind(write_more(&mut late, &sevens(2)).await), ErrorKind::Conflict, "{lost:?} {forever}");
        let closed = writer.close().await.unwrap();
        commit_staged(&other, &closed, "/f").await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), in_parts().repeat(2), "{lost:?} {forever}");
    })
    .await;
}

/// Without an answer, and without a way to find out, no part is sent, and the stage stays usable.
#[tokio::test]
async fn a_reservation_that_is_not_known_sends_no_part() {
    let all = [
        (Kind::error(500, "InternalError"), None),
        (Kind::Close, None),
        (Kind::CloseAfter, Some(Kind::Close)),
        (Kind::error_after(500, "InternalError"), Some(Kind::access_denied())),
        // Another store answers the look.
        (Kind::access_denied(), None),
    ];
    at_once(all, async |(put, head)| {
        let server = server();
        let driver = S3Driver::open(config(&server).with_max_attempts(2)).await.unwrap();
        let staged = close(&driver, "/f", &in_parts()).await.unwrap();
        server.forget();
        server.fault(on("PutObject", put.clone()).forever());
        head.iter().for_each(|head| server.fault(on("HeadObject", head.clone()).forever()));
        let failed = kind(after(&driver, &staged, &sevens(2)).await);
        assert!(
            matches!(failed, ErrorKind::Unavailable | ErrorKind::PermissionDenied),
            "{put:?}: {failed:?}"
        );
        assert_eq!(server.count_of("UploadPart"), 0, "{put:?}");
        server.clear_faults();
        let closed = after(&driver, &staged, &in_parts()).await.unwrap().close().await.unwrap();
        commit_staged(&driver, &closed, "/f").await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), in_parts().repeat(2), "{put:?}");
    })
    .await;
}

/// It costs one request before the first part, on a condition, and none where no part is sent.
#[tokio::test]
async fn a_reservation_is_one_request() {
    let server = server();
    let driver = open(&server).await;
    let staged = close(&driver, "/f", &in_parts()).await.unwrap();
    server.forget();
    let writer = after(&driver, &staged, &in_parts()).await.unwrap();
    until(|| server.count_of("UploadPart") == 3).await;
    let operations: Vec<_> = server.requests().iter().map(|request| request.operation).collect();
    assert_eq!(operations, ["GetObject", "PutObject", "UploadPart", "UploadPart", "UploadPart"]);
    assert!(server.requests()[1].headers.contains_key("if-match"));
    let closed = writer.close().await.unwrap();
    assert_eq!(server.count(), 6);
    commit_staged(&driver, &closed, "/f").await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), in_parts().repeat(2));
}

/// An upload that no other writer knows of needs no reservation: that of a first writer, and that of a writer
/// that resumes bytes without an upload.
#[tokio::test]
async fn an_upload_of_its_own_needs_no_reservation() {
    let server = server();
    let driver = open(&server).await;
    let many = content(120 * PART);
    let staged = close(&driver, "/f", &content(100)).await.unwrap();
    server.forget();
    let writers = [
        written(&driver, "/a", &many, WriteMode::direct()).await.unwrap(),
        written(&driver, "/b", &many, WriteMode::Stage).await.unwrap(),
        after(&driver, &staged, &many).await.unwrap(),
    ];
    assert_eq!(server.count_of("PutObject"), 0);
    for writer in writers {
        writer.cancel().await.unwrap();
    }
    assert!(server.objects().is_empty() && server.uploads().is_empty());
}

/// More parts than were reserved: the same again.
#[tokio::test]
async fn more_parts_reserve_again() {
    let server = server();
    let driver = open(&server).await;
    let staged = close(&driver, "/f", &in_parts()).await.unwrap();
    server.forget();
    let many = content(250 * PART);
    let writer = after(&driver, &staged, &many).await.unwrap();
    // One for each hundred.
    assert_eq!(server.count_of("PutObject"), 3);
    let closed = writer.close().await.unwrap();
    assert_eq!((server.count_of("PutObject"), server.count_of("UploadPart")), (4, 250));
    commit_staged(&driver, &closed, "/f").await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), [in_parts(), many].concat());
}

/// A writer that another one has overtaken meanwhile reserves no more, and has spoilt nothing.
#[tokio::test]
async fn an_overtaken_writer_reserves_no_more() {
    let server = server();
    let (driver, other) = (open(&server).await, open(&server).await);
    let staged = close(&driver, "/f", &in_parts()).await.unwrap();
    let mut writer = after(&driver, &staged, &sevens(90)).await.unwrap();
    let closed = after(&other, &staged, &in_parts()).await.unwrap().close().await.unwrap();
    let before = server.count_of("UploadPart");
    assert_eq!(kind(write_more(&mut writer, &sevens(90)).await), ErrorKind::Conflict);
    drop(writer);
    assert!(server.count_of("UploadPart") <= before + NUMBERS as usize - 88, "no more than it had reserved");
    commit_staged(&driver, &closed, "/f").await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), in_parts().repeat(2));
}

/// A close gives back what was not used; one that never comes does not. The number after the last part is that of the
/// bytes after it, for a commit without a writer.
#[tokio::test]
async fn only_torn_writers_use_numbers_up() {
    let server = server();
    let driver = open(&server).await;
    let mut staged = close(&driver, "/f", &in_parts()).await.unwrap();
    for expected in [5, 9] {
        server.forget();
        staged = after(&driver, &staged, &in_parts()).await.unwrap().close().await.unwrap();
        let mut sent = numbers(&server);
        sent.sort_unstable();
        assert_eq!(sent, [expected, expected + 1, expected + 2]);
    }
    drop(after(&driver, &staged, &in_parts()).await.unwrap());
    server.forget();
    let closed = after(&driver, &staged, &in_parts()).await.unwrap().close().await.unwrap();
    assert_eq!(numbers(&server).into_iter().min(), Some(12 + NUMBERS + 2));
    commit_staged(&driver, &closed, "/f").await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), in_parts().repeat(4));
}

/// When none is left, the bytes that are staged can still be committed.
#[tokio::test]
async fn numbers_that_run_out_are_an_error() {
    let server = server();
    // Parts of later numbers are larger: from so little on, they stay small.
    let driver = S3Driver::open(config(&server).with_chunk_size(64)).await.unwrap();
    let staged = close(&driver, "/f", &content(200)).await.unwrap();
    let mut torn = 0;
    let error = loop {
        let mut writer = after(&driver, &staged, &Bytes::new()).await.unwrap();
        let reserved = server.count_of("PutObject");
        let sent = loop {
            match writer.write(sevens(2)).await {
                Ok(()) if server.count_of("PutObject") == reserved => {}
                sent => break sent,
            }
        };
        if let Err(error) = sent {
            break error;
        }
        torn += 1;
        assert!(torn <= 100, "there are 10,000 numbers");
    };
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(torn >= 99, "{torn}");
    let found = after(&driver, &staged, &content(5)).await.unwrap().close().await.unwrap();
    commit_staged(&driver, &found, "/f").await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), [content(200), content(5)].concat());
}
