//! Servers that give ETags without quotes.

use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, WriteOptions};
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
    for mode in [PutMode::CreateOnly, PutMode::Overwrite] {
        write(&driver, "/f", &in_parts(), mode).await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), in_parts());
    }
}

/// 1c: a stage goes on, and its condition compares unquoted ETags.
#[tokio::test]
async fn a_resume_goes_on_with_unquoted_etags() {
    let (server, driver) = unquoted().await;
    written(&driver, "/f", &in_parts(), WriteOptions::create()).await.unwrap().close().await.unwrap();
    for _ in 0..2 {
        written(&driver, "/f", &in_parts(), WriteOptions::resume()).await.unwrap().close().await.unwrap();
    }
    let second = written(&driver, "/f", &content(10), WriteOptions::resume()).await.unwrap();
    let first = written(&driver, "/f", &content(20), WriteOptions::resume()).await.unwrap();
    first.close().await.unwrap();
    assert_eq!(kind(second.close().await.map(drop)), ErrorKind::Conflict);
    driver.writer(&path("/f"), WriteOptions::resume()).await.unwrap().commit().await.unwrap();
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
    server.put_raw(&key("/a"), in_parts());
    driver.rename(&path("/a"), &path("/b")).await.unwrap();
    let driver = S3Driver::open(config(&server).with_copy_threshold(10)).await.unwrap();
    driver.rename(&path("/b"), &path("/c")).await.unwrap();
    assert_eq!(server.objects().into_iter().collect::<Vec<_>>(), [(key("/c"), in_parts())]);
}
