//! Listings of parts and of multipart uploads.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry_core::{ErrorKind, StorageDriver};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Kind, Server};

use crate::support::*;

/// Uploads that broke off, of five parts of ten bytes each, in pages of two.
fn filled(uploads: usize) -> Server {
    let server = Server::builder().min_part(1).page_size(2).start();
    for number in 0..uploads {
        let key = key(&format!("/up/{number}"));
        let id = server.begin_raw(&key);
        (1..=5).for_each(|part| server.put_part_raw(&key, &id, part, content(10)));
    }
    server
}

fn expected(uploads: usize) -> Vec<(String, u64)> {
    (0..uploads).map(|number| (format!("/up/{number}"), 50)).collect()
}

fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(60)
}

/// U3: more uploads, and more parts, than a page has.
#[tokio::test]
async fn uploads_and_parts_are_found_on_every_page() {
    let server = filled(7);
    let driver = open(&server).await;
    assert_eq!(stages(&driver, "/up").await.unwrap(), expected(7));
    assert_eq!(stages(&driver, "/").await.unwrap(), expected(7));
    for number in 0..7 {
        assert_eq!(driver.delete_staged(&path(&format!("/up/{number}")), later()).await.unwrap(), 1);
    }
    assert!(server.uploads().is_empty());
}

/// U3: several uploads for one key, more than a page has.
#[tokio::test]
async fn uploads_of_one_key_are_found_on_every_page() {
    let server = filled(0);
    (0..5).for_each(|_| drop(server.begin_raw(&key("/up/f"))));
    let driver = open(&server).await;
    assert_eq!(stages(&driver, "/up").await.unwrap().len(), 5);
    assert_eq!(driver.delete_staged(&path("/up/f"), later()).await.unwrap(), 5);
    assert!(server.uploads().is_empty());
}

/// U5: ListParts that ignores its marker, and gives parts twice.
#[tokio::test]
async fn parts_that_come_twice_count_once() {
    let server = filled(1);
    let driver = open(&server).await;
    server.fault(on("ListParts", Kind::MarkerIgnored).forever());
    assert_eq!(stages(&driver, "/up").await.unwrap(), expected(1));
    assert!(server.count_of("ListParts") <= 3);
}

/// F12: ListParts out of order.
#[tokio::test]
async fn parts_out_of_order_count_all_the_same() {
    let server = filled(1);
    let driver = open(&server).await;
    server.fault(on("ListParts", Kind::Unordered).forever());
    assert_eq!(stages(&driver, "/up").await.unwrap(), expected(1));
}

/// U3: ListMultipartUploads that ignores its markers, and gives uploads twice.
#[tokio::test]
async fn uploads_that_come_twice_count_once() {
    let server = filled(5);
    let driver = open(&server).await;
    server.fault(on("ListMultipartUploads", Kind::MarkerIgnored).forever());
    assert_eq!(stages(&driver, "/up").await.unwrap(), expected(5));
    (0..5).for_each(|_| drop(server.begin_raw(&key("/up/g"))));
    assert_eq!(driver.delete_staged(&path("/up/g"), later()).await.unwrap(), 5);
}

/// U4: what a resume goes on with is what its close has written down, whatever a listing would say.
#[tokio::test]
async fn a_resume_asks_no_listing() {
    let server = server();
    let driver = open(&server).await;
    close(&driver, "/f", &in_parts()).await.unwrap();
    // A stranger's upload for the same key, older and younger ones.
    server.begin_raw(&key("/f"));
    for denied in ["ListParts", "ListMultipartUploads", "ListObjectsV2"] {
        server.deny(denied);
    }
    resumed(&driver, "/f", &in_parts()).await.unwrap().commit(&path("/f")).await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), [in_parts(), in_parts()].concat());
}

/// Whatever it is made of, a stage is found by one look, and its bytes are not read.
#[tokio::test]
async fn a_stage_is_found_by_one_look() {
    let server = server();
    let (driver, other) = (open(&server).await, open(&server).await);
    for bytes in [Bytes::new(), content(700), in_parts()] {
        let closed = close(&driver, "/up/f", &bytes).await.unwrap();
        let again = after(&driver, &closed, &content(10)).await.unwrap().close().await.unwrap();
        assert_ne!(closed.id, again.id, "another one after each close");
        server.forget();
        let found = other.find_staged(&path("/up/f")).await.unwrap();
        assert_eq!(
            (&found.path, found.size, &found.id),
            (&path("/up/f"), bytes.len() as u64 + 10, &again.id)
        );
        assert_eq!(server.counts().into_iter().collect::<Vec<_>>(), [("HeadObject", 1)]);
        // A stage that was found works like one that was closed.
        commit_staged(&other, &found, "/up/f").await.unwrap();
        assert_eq!(stored(&server, "/up/f").unwrap(), [bytes, content(10)].concat());
        forget(&other, &found).await;
        server.forget();
        assert_eq!(
            kind(other.find_staged(&path("/up/f")).await),
            ErrorKind::NotFound,
            "a visible file is none"
        );
        assert_eq!(server.count(), 1);
        server.clear();
    }
}

/// A store that drops metadata is read instead.
#[tokio::test]
async fn a_stage_without_metadata_is_found_in_its_description() {
    for bytes in [content(700), in_parts()] {
        let server = server();
        let driver = S3Driver::open(config(&server).with_conditional_writes(false)).await.unwrap();
        let closed = close(&driver, "/up/f", &bytes).await.unwrap();
        server.change_raw(&key("/up/f.staged"), |object| object.attributes.metadata.clear());
        for other in [&driver, &open(&server).await] {
            let found = other.find_staged(&path("/up/f")).await.unwrap();
            assert_eq!((found.size, &found.id), (bytes.len() as u64, &closed.id));
        }
        let writer = after(&driver, &closed, &in_parts()).await.unwrap();
        server.change_raw(&key("/up/f.staged"), |object| object.attributes.metadata.clear());
        let closed = writer.close().await.unwrap();
        server.change_raw(&key("/up/f.staged"), |object| object.attributes.metadata.clear());
        commit_staged(&driver, &closed, "/f").await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), [bytes, in_parts()].concat());
    }
}

/// A resume asks only for the object, which tells it everything.
#[tokio::test]
async fn a_resume_is_one_request_and_a_close_another() {
    let server = server();
    let driver = open(&server).await;
    server.put_raw(&key("/few"), "a file that is there does not matter");
    for (at, bytes) in [("/few", content(100)), ("/parts", in_parts())] {
        server.forget();
        let closed = close(&driver, at, &bytes).await.unwrap();
        let puts = server.requests_of("PutObject");
        assert_eq!(puts.len(), 1, "{at}");
        assert!(puts[0].headers.contains_key("if-none-match"), "{at}");
        assert_eq!(server.count(), if at == "/few" { 1 } else { 1 + 1 + 3 }, "{at}: {:?}", server.counts());
        server.forget();
        let writer = after(&driver, &closed, &content(10)).await.unwrap();
        assert_eq!(server.counts().into_iter().collect::<Vec<_>>(), [("GetObject", 1)], "{at}");
        writer.close().await.unwrap();
        assert_eq!(
            server.counts().into_iter().collect::<Vec<_>>(),
            [("GetObject", 1), ("PutObject", 1)],
            "{at}"
        );
        assert!(server.requests()[1].headers.contains_key("if-match"), "{at}");
    }
}

/// A stage that was closed long ago, and a writer that has resumed it and is sending.
#[tokio::test]
async fn a_stage_is_as_young_as_its_parts() {
    let (server, hour) = (server(), Duration::from_secs(3600));
    let driver = open(&server).await;
    close(&driver, "/up/f", &in_parts()).await.unwrap();
    server.age(hour);
    let writer = resumed(&driver, "/up/f", &in_parts()).await.unwrap();
    let sent = || server.uploads()[0].parts.len();
    until(|| sent() >= 4).await;
    // The numbers of its parts were reserved, too, which made the object of the stage young.
    server.set_modified(&key("/up/f.staged"), SystemTime::now() - hour);
    let before = SystemTime::now() - hour / 2;
    let at = path("/up");
    let found: Vec<_> = driver.list_staged(&at).try_collect().await.unwrap();
    assert!(found.len() == 1 && found[0].modified.unwrap() > before, "{found:?}");
    assert_eq!(driver.delete_staged(&path("/up/f"), before).await.unwrap(), 0);
    writer.commit(&path("/up/f")).await.unwrap();
    assert_eq!(stored(&server, "/up/f").unwrap(), [in_parts(), in_parts()].concat());

    // A stage that had no upload: the object does not name the upload of the writer that resumed it.
    close(&driver, "/up/h", &content(100)).await.unwrap();
    server.age(hour);
    let writer = resumed(&driver, "/up/h", &in_parts()).await.unwrap();
    until(|| !server.uploads().is_empty() && sent() >= 3).await;
    let before = SystemTime::now() - hour / 2;
    assert_eq!(driver.delete_staged(&path("/up/h"), before).await.unwrap(), 0);
    writer.commit(&path("/up/h")).await.unwrap();
    assert_eq!(stored(&server, "/up/h").unwrap(), [content(100), in_parts()].concat());

    // Once no writer sends any more, it is old.
    close(&driver, "/up/g", &in_parts()).await.unwrap();
    server.age(hour);
    assert_eq!(driver.delete_staged(&path("/up/g"), before).await.unwrap(), 1);
    assert!(server.uploads().is_empty());
}

/// U3: Velero's documentation does not ask for the right to list multipart uploads.
#[tokio::test]
async fn without_the_right_to_list_uploads_everything_else_works() {
    for refused in
        [Kind::access_denied(), Kind::error(501, "NotImplemented"), Kind::error(405, "MethodNotAllowed")]
    {
        let server = server();
        let driver = open(&server).await;
        server.fault(on("ListMultipartUploads", refused.clone()).forever());
        for at in ["/up/f", "/up/g"] {
            close(&driver, at, &in_parts()).await.unwrap();
        }
        let size = in_parts().len() as u64;
        let both = [("/up/f".to_owned(), size), ("/up/g".to_owned(), size)];
        assert_eq!(stages(&driver, "/up").await.unwrap(), both, "{refused:?}");
        assert_eq!(driver.delete_staged(&path("/up/f"), later()).await.unwrap(), 1);
        // It holds only stages: the answer is "not found", but they are deleted.
        assert_eq!(kind(driver.delete(&path("/up")).await), ErrorKind::NotFound);
        assert!(server.objects().is_empty() && server.uploads().is_empty(), "{refused:?}");
    }
}

/// G9: any other failure to list them is not an empty list.
#[tokio::test]
async fn uploads_that_could_not_be_listed_are_an_error() {
    for operation in ["ListMultipartUploads", "ListParts"] {
        for fault in [Kind::error(500, "InternalError"), Kind::Close, Kind::slow_down(None)] {
            let server = filled(3);
            let driver = S3Driver::open(config(&server).with_max_attempts(2)).await.unwrap();
            server.fault(on(operation, fault.clone()).forever());
            let expected =
                if fault == Kind::slow_down(None) { ErrorKind::RateLimited } else { ErrorKind::Unavailable };
            assert_eq!(kind(stages(&driver, "/up").await), expected, "{operation} {fault:?}");
            assert_eq!(kind(driver.delete_staged(&path("/up/1"), later()).await), expected);
            assert_eq!(server.uploads().len(), 3);
        }
    }
}

/// An upload that is finished between the two listings.
#[tokio::test]
async fn an_upload_that_ends_meanwhile_is_left_out() {
    let server = filled(3);
    let driver = open(&server).await;
    server.fault(on("ListParts", Kind::error(404, "NoSuchUpload")).nth(2));
    assert_eq!(stages(&driver, "/up").await.unwrap().len(), 2);
}

/// The age of an upload is that of its last part, by the store's clock.
#[tokio::test]
async fn what_is_still_being_written_is_kept() {
    let server = filled(1);
    let driver = open(&server).await;
    server.age(Duration::from_secs(7200));
    let upload = server.uploads().remove(0);
    server.put_part_raw(&upload.key, &upload.id, 6, content(10));
    let before = SystemTime::now() - Duration::from_secs(3600);
    assert_eq!(driver.delete_staged(&path("/up/0"), before).await.unwrap(), 0);
    server.age(Duration::from_secs(7200));
    assert_eq!(driver.delete_staged(&path("/up/0"), before).await.unwrap(), 1);
    assert!(server.uploads().is_empty());
}
