//! What is staged: invisible, resumable, exclusive, and gone when it should be.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Store, kind, path};
use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, StorageDriverExt, WriteOptions};

const UUID: &str = "6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5b";
const PIECE: usize = 1 << 20;

#[tokio::test]
async fn leftovers_are_invisible_and_go_with_their_directory() {
    let store = Store::new().await;
    store.driver.put(&path("/a/link"), "x").await.unwrap();
    let left = [format!("link.{UUID}.tmp"), format!("data.{UUID}.tmp"), "data.77.part".to_owned()];
    for name in &left {
        std::fs::write(store.file("a").join(name), "left").unwrap();
    }
    for name in ["v1.tmp", "v1.5.part"] {
        std::fs::create_dir(store.file("a").join(name)).unwrap();
        std::fs::write(store.file("a").join(name).join("link"), "y").unwrap();
    }
    assert_eq!(store.names("/a").await, ["link", "v1.5.part", "v1.tmp"]);
    assert_eq!(store.walked("/", None).await, ["/a/link", "/a/v1.5.part/link", "/a/v1.tmp/link"]);
    for name in &left {
        let at = path(&format!("/a/{name}"));
        assert_eq!(kind(store.driver.stat(&at).await), ErrorKind::NotFound);
        assert_eq!(kind(store.get(at.as_str()).await), ErrorKind::NotFound);
        assert_eq!(kind(store.driver.reader(&at, Default::default()).await), ErrorKind::NotFound);
        assert_eq!(kind(store.driver.delete(&at).await), ErrorKind::NotFound);
        assert_eq!(kind(store.driver.rename(&at, &path("/b")).await), ErrorKind::NotFound);
        assert_eq!(kind(store.driver.put(&at, "x").await), ErrorKind::InvalidPath);
        assert_eq!(kind(store.driver.rename(&path("/a/link"), &at).await), ErrorKind::InvalidPath);
        assert_eq!(store.driver.delete_many(vec![at]).await.unwrap().deleted, 1);
    }
    assert_eq!(store.on_disk("a").len(), 6);
    store.driver.delete(&path("/a")).await.unwrap();
    assert!(store.on_disk("").is_empty());
}

#[tokio::test]
async fn a_torn_tail_is_cut() {
    let store = Store::new().await;
    store.close("/u/data", "12345").await;
    assert_eq!(store.on_disk("u"), ["data.5.part"]);
    std::fs::write(store.file("u/data.5.part"), "12345torn").unwrap();
    let other = store.again().await;
    let mut writer = other.writer(&path("/u/data"), WriteOptions::resume()).await.unwrap();
    assert_eq!(writer.size(), 5);
    writer.write("67".into()).await.unwrap();
    writer.close().await.unwrap();
    assert_eq!(store.on_disk("u"), ["data.7.part"]);
    // Dropped with a written piece: as torn as killed.
    let mut writer = store.writer("/u/data", WriteOptions::resume()).await.unwrap();
    writer.write(vec![0; 3 * PIECE].into()).await.unwrap();
    drop(writer);
    let writer = loop {
        match store.writer("/u/data", WriteOptions::resume()).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                tokio::time::sleep(Duration::from_millis(1)).await
            }
            writer => break writer.unwrap(),
        }
    };
    assert_eq!(writer.size(), 7);
    writer.commit().await.unwrap();
    assert_eq!(store.on_disk("u"), ["data"]);
    assert_eq!(store.get("/u/data").await.unwrap(), "1234567");
}

#[tokio::test]
async fn a_stage_that_is_too_short_is_corrupted() {
    let store = Store::new().await;
    store.close("/u/data", "12345").await;
    std::fs::write(store.file("u/data.5.part"), "123").unwrap();
    assert_eq!(kind(store.writer("/u/data", WriteOptions::resume()).await), ErrorKind::Corrupted);
}

#[tokio::test]
async fn resuming_is_exclusive() {
    let store = Store::new().await;
    let other = store.again().await;
    let resume = async || other.writer(&path("/u/data"), WriteOptions::resume()).await;
    store.close("/u/data", "12345").await;
    let writer = store.writer("/u/data", WriteOptions::resume()).await.unwrap();
    assert_eq!(kind(resume().await), ErrorKind::Conflict);
    writer.close().await.unwrap();
    let writer = resume().await.unwrap();
    assert_eq!(kind(resume().await), ErrorKind::Conflict);
    writer.commit().await.unwrap();
    assert_eq!(kind(resume().await), ErrorKind::AlreadyExists);
    store.driver.put(&path("/u/data"), "").await.unwrap();
    let mut writer = resume().await.unwrap();
    assert_eq!(writer.size(), 0);
    assert_eq!(kind(resume().await), ErrorKind::Conflict);
    writer.write("new".into()).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(store.get("/u/data").await.unwrap(), "new");
    store.driver.delete(&path("/u/data")).await.unwrap();
    assert_eq!(kind(resume().await), ErrorKind::NotFound);
}

/// Whoever resumes an empty file while another does finds what the other made of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn resuming_an_empty_file_is_exclusive_to_the_end() {
    let store = Store::new().await;
    store.driver.put(&path("/u/data"), "").await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let driver = store.driver.inner().clone();
        tasks.spawn(async move {
            let mut closed = 0;
            while closed < 10 {
                match driver.writer(&path("/u/data"), WriteOptions::resume()).await {
                    Ok(mut writer) => {
                        writer.write("x".into()).await.unwrap();
                        writer.close().await.unwrap();
                        closed += 1;
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(store.writer("/u/data", WriteOptions::resume()).await.unwrap().size(), 60);
}

#[tokio::test]
async fn a_resumed_writer_never_commits_what_another_made_of_its_stage() {
    let store = Store::new().await;
    store.close("/u/data", "12345").await;
    let resumed = store.writer("/u/data", WriteOptions::resume()).await.unwrap();
    let mut writer = store.writer("/u/data", WriteOptions::create()).await.unwrap();
    writer.write("abcde".into()).await.unwrap();
    // The same size, so the same name.
    writer.close().await.unwrap();
    assert_eq!(kind(resumed.commit().await), ErrorKind::Conflict);
    let writer = store.writer("/u/data", WriteOptions::resume()).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(store.get("/u/data").await.unwrap(), "abcde");
}

#[tokio::test]
async fn creating_forgets_earlier_stages() {
    let store = Store::new().await;
    store.close("/u/data", "12345").await;
    store.close("/u/data", "12").await;
    assert_eq!(store.on_disk("u"), ["data.2.part"]);
    let writer = store.writer("/u/data", WriteOptions::create()).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(store.on_disk("u"), ["data"]);
    store.close("/u/more", "12345").await;
    let writer = store.writer("/u/more", WriteOptions::create()).await.unwrap();
    writer.commit_to(&path("/v/more")).await.unwrap();
    assert_eq!((store.on_disk("u"), store.on_disk("v")), (vec!["data".into()], vec!["more".into()]));
    store.close("/w/data", "12345").await;
    std::fs::write(store.file("w/data.9.part"), "123456789").unwrap();
    assert_eq!(store.writer("/w/data", WriteOptions::resume()).await.unwrap().size(), 9);
    let writer = store.writer("/w/data", WriteOptions::create()).await.unwrap();
    writer.cancel().await.unwrap();
    assert_eq!(store.on_disk(""), ["u", "v"]);
    store.close("/u/data", "x").await;
    store.driver.delete(&path("/u/data")).await.unwrap();
    assert_eq!(store.on_disk(""), ["v"]);
}

#[tokio::test]
async fn large_and_small_writers_end_the_same() {
    for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 3] {
        let content: Bytes = (0..size).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
        for chunk in [700_000, 5_000_000] {
            let store = Store::new().await;
            let fill = async || {
                let mut writer = store.writer("/u/data", WriteOptions::create()).await.unwrap();
                for chunk in content.chunks(chunk) {
                    writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
                }
                assert_eq!(writer.size(), size as u64);
                writer
            };
            fill().await.commit().await.unwrap();
            assert!(store.get("/u/data").await.unwrap() == content);
            let range = plugin_registry_core::ByteRange::new(1, 2 * PIECE as u64 + 1);
            if size > 0 {
                let read = store.driver.read_range(&path("/u/data"), range, 1 << 30).await.unwrap();
                assert!(read == content[1..].get(..2 * PIECE + 1).unwrap_or(&content[1..]));
            }
            fill().await.commit_to(&path("/b/data")).await.unwrap();
            assert!(store.get("/b/data").await.unwrap() == content);
            store.driver.delete(&path("/u")).await.unwrap();
            fill().await.close().await.unwrap();
            let writer = store.writer("/u/data", WriteOptions::resume()).await.unwrap();
            assert_eq!(writer.size(), size as u64);
            writer.commit_to(&path("/c/data")).await.unwrap();
            assert!(store.get("/c/data").await.unwrap() == content);
            fill().await.cancel().await.unwrap();
            assert_eq!(store.on_disk(""), ["b", "c"]);
        }
    }
}

#[tokio::test]
async fn many_small_chunks_come_in_order() {
    let store = Store::new().await;
    let mut writer = store.writer("/f", WriteOptions::create()).await.unwrap();
    let mut expected = Vec::new();
    for at in 0..3000_u32 {
        writer.write(Bytes::copy_from_slice(&at.to_le_bytes())).await.unwrap();
        expected.extend(at.to_le_bytes());
    }
    writer.commit().await.unwrap();
    assert!(store.get("/f").await.unwrap() == expected);
}

#[tokio::test]
async fn a_dropped_writer_leaves_nothing() {
    let store = Store::new().await;
    let mut writer = store.writer("/u/data", WriteOptions::create()).await.unwrap();
    for _ in 0..3 {
        writer.write(vec![0; PIECE].into()).await.unwrap();
    }
    drop(writer);
    for _ in 0..1000 {
        if store.on_disk("").is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the stage is still there: {:?}", store.on_disk("u"));
}

#[tokio::test]
async fn create_only_keeps_the_first() {
    let store = Store::new().await;
    let create_only = WriteOptions::create().with_put_mode(PutMode::CreateOnly);
    let writer = store.writer("/a/f", create_only).await.unwrap();
    let mut late = store.writer("/a/f", create_only).await.unwrap();
    late.write(vec![0; PIECE].into()).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(kind(late.commit().await), ErrorKind::AlreadyExists);
    let put = store.driver.put_content(&path("/a/f"), "x".into(), PutMode::CreateOnly).await;
    assert_eq!(kind(put), ErrorKind::AlreadyExists);
    let put = store.driver.put_content(&path("/a"), "x".into(), PutMode::CreateOnly).await;
    assert_eq!(kind(put), ErrorKind::InvalidPath);
    assert_eq!(kind(store.driver.put(&path("/a"), "x").await), ErrorKind::InvalidPath);
    assert_eq!(kind(store.driver.put(&path("/a/f/g"), "x").await), ErrorKind::InvalidPath);
    assert_eq!(store.on_disk("a"), ["f"]);
    assert_eq!(store.on_disk(""), ["a"]);
}
