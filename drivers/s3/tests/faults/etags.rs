//! Servers that give ETags without quotes.

use plugin_registry_core::ErrorKind;
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Kind, Server};

use crate::support::*;

async fn unquoted() -> (Server, S3Driver) {
    let server = Server::builder().min_part(1).quirks(|quirks| quirks.unquoted_etags = true).start();
    let driver = open(&server).await;
    (server, driver)
}

/// 1c: the ETags of parts are what Complete names.
#[tokio::test]
async fn a_complete_names_parts_by_unquoted_etags() {
    let (server, driver) = unquoted().await;
    write(&driver, "/f", &in_parts()).await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), in_parts());
}

/// 1c: a stage goes on, and its condition compares unquoted ETags.
#[tokio::test]
async fn a_resume_goes_on_with_unquoted_etags() {
    let (server, driver) = unquoted().await;
    let mut staged = close(&driver, "/f", &in_parts()).await.unwrap();
    for _ in 0..2 {
        staged = after(&driver, &staged, &in_parts()).await.unwrap().close().await.unwrap();
    }
    let second = after(&driver, &staged, &content(10)).await.unwrap();
    let first = after(&driver, &staged, &content(20)).await.unwrap();
    let closed = first.close().await.unwrap();
    assert_eq!(kind(second.close().await), ErrorKind::Conflict);
    commit_staged(&driver, &closed, "/f").await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), [in_parts().repeat(3), content(20).to_vec()].concat());
}

/// 1c: a read that breaks off goes on at the same object.
#[tokio::test]
async fn a_broken_read_goes_on_with_unquoted_etags() {
    let (server, driver) = unquoted().await;
    server.put_raw(&key("/f"), in_parts());
    server.fault(on("GetObject", Kind::ResetSending { after: 1000 }));
    assert_eq!(read(&driver, "/f").await.unwrap(), in_parts());
    let again = server.requests_of("GetObject").pop().unwrap();
    assert!(again.headers.contains_key("if-match"), "{again:?}");
}

/// 1c: copies, whole and in parts, know success by an ETag.
#[tokio::test]
async fn copies_succeed_with_unquoted_etags() {
    let (server, driver) = unquoted().await;
    write_to(&driver, "/w", &in_parts(), "/a").await.unwrap();
    let in_copies = S3Driver::open(config(&server).with_copy_threshold(10)).await.unwrap();
    write_to(&in_copies, "/w", &in_parts(), "/b").await.unwrap();
    // A stage is copied on the condition of its ETag.
    let staged = close(&driver, "/up", &content(700)).await.unwrap();
    let copies = server.count_of("CopyObject");
    commit_staged(&driver, &staged, "/c").await.unwrap();
    assert_eq!(server.count_of("CopyObject"), copies + 1);
    forget(&driver, &staged).await;
    let expected = [("/a", in_parts()), ("/b", in_parts()), ("/c", content(700))];
    let expected = expected.map(|(at, bytes)| (key(at), bytes));
    assert_eq!(server.objects().into_iter().collect::<Vec<_>>(), expected);
}
