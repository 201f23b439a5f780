//! Staged bytes: invisible, resumable, exclusive, and gone when they should be.

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
use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, StorageDriverExt, WriteMode};

const UUID: &str = "6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5b";
const PIECE: usize = 1 << 20;

#[tokio::test]
async fn leftovers_are_invisible_and_go_with_their_directory() {
    let store = Store::new().await;
    store.driver.put(&path("/a/link"), "x").await.unwrap();
    let left = [format!("link.{UUID}.tmp"), format!("data.{UUID}.tmp"), format!("data.{UUID}.77.part")];
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
        assert_eq!(kind(store.driver.put(&at, "x").await), ErrorKind::InvalidPath);
        let writer = store.driver.writer(&path("/a/x"), WriteMode::direct()).await.unwrap();
        assert_eq!(kind(writer.commit(&at).await), ErrorKind::InvalidPath);
        assert_eq!(store.driver.delete_many(vec![at], &[]).await.unwrap().deleted, 1);
    }
    assert_eq!(store.on_disk("a").len(), 6);
    store.driver.delete(&path("/a")).await.unwrap();
    assert!(store.on_disk("").is_empty());
}

#[tokio::test]
async fn a_torn_tail_is_cut() {
    let store = Store::new().await;
    for is_committed_by_value in [false, true] {
        let staged = store.close("/u/data", "12345").await;
        assert_eq!(store.on_disk_plain("u"), ["data.5.part"]);
        std::fs::write(store.part("u"), "12345torn").unwrap();
        let other = store.again().await;
        let mut writer = other.writer(&path("/u/data"), WriteMode::Resume(staged)).await.unwrap();
        assert_eq!(writer.size(), 5);
        writer.write("67".into()).await.unwrap();
        let staged = writer.close().await.unwrap();
        assert_eq!(store.on_disk_plain("u"), ["data.7.part"]);
        // Dropped with a written piece: as torn as killed.
        let mut writer = store.writer("/u/data", WriteMode::Resume(staged.clone())).await.unwrap();
        writer.write(vec![0; 3 * PIECE].into()).await.unwrap();
        drop(writer);
        loop {
            let committed = if is_committed_by_value {
                store.driver.commit_staged(&staged, &path("/u/data")).await
            } else {
                match store.writer("/u/data", WriteMode::Resume(staged.clone())).await {
                    Ok(writer) => {
                        assert_eq!(writer.size(), 7);
                        writer.commit(&path("/u/data")).await
                    }
                    Err(error) => Err(error),
                }
            };
            match committed {
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    tokio::time::sleep(Duration::from_millis(1)).await
                }
                committed => break committed.unwrap(),
            }
        }
        assert_eq!(store.on_disk("u"), ["data"]);
        assert_eq!(store.get("/u/data").await.unwrap(), "1234567");
        store.driver.delete(&path("/u/data")).await.unwrap();
    }
}

#[tokio::test]
async fn a_stage_that_is_too_short_is_corrupted() {
    let store = Store::new().await;
    let staged = store.close("/u/data", "12345").await;
    std::fs::write(store.part("u"), "123").unwrap();
    assert_eq!(kind(store.driver.commit_staged(&staged, &path("/u/data")).await), ErrorKind::Corrupted);
    assert_eq!(kind(store.writer("/u/data", WriteMode::Resume(staged)).await), ErrorKind::Corrupted);
}

#[tokio::test]
async fn resuming_is_exclusive() {
    let store = Store::new().await;
    let other = store.again().await;
    let at = path("/u/data");
    let staged = store.close("/u/data", "12345").await;
    let resume = async |staged| other.writer(&path("/u/data"), WriteMode::Resume(staged)).await;
    let writer = store.writer("/u/data", WriteMode::Resume(staged.clone())).await.unwrap();
    assert_eq!(kind(resume(staged.clone()).await), ErrorKind::Conflict);
    assert_eq!(kind(other.commit_staged(&staged, &at).await), ErrorKind::Conflict);
    let again = writer.close().await.unwrap();
    assert_ne!(again.id, staged.id, "another close, another identity");
    assert_eq!(kind(resume(staged.clone()).await), ErrorKind::Conflict);
    let writer = resume(again.clone()).await.unwrap();
    assert_eq!(kind(resume(again.clone()).await), ErrorKind::Conflict);
    writer.commit(&at).await.unwrap();
    for staged in [staged, again] {
        assert_eq!(kind(other.commit_staged(&staged, &at).await), ErrorKind::NotFound);
        assert_eq!(kind(resume(staged).await), ErrorKind::NotFound);
    }
}

/// However many first writers there are, one stage is kept, and the others know.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_first_writers_one_is_kept() {
    let store = Store::new().await;
    for round in 0..20 {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..8_u8 {
            let driver = if task % 2 == 0 {
                store.driver.inner().clone()
            } else {
                store.again().await.inner().clone()
            };
            let at = path(&format!("/u{round}/data"));
            tasks.spawn(async move {
                let mut writer = driver.writer(&at, WriteMode::Stage).await.unwrap();
                writer.write(vec![task; 1 + task as usize].into()).await.unwrap();
                match writer.close().await {
                    Ok(staged) => Some(staged),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                        None
                    }
                }
            });
        }
        let kept: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        let [kept] = &kept[..] else { panic!("{kept:?}") };
        let at = path(&format!("/u{round}/data"));
        assert_eq!(store.driver.find_staged(&at).await.unwrap(), *kept);
        assert_eq!(store.on_disk(&format!("u{round}")).len(), 1, "and nothing else");
        store.driver.commit_staged(kept, &at).await.unwrap();
        assert_eq!(store.get(at.as_str()).await.unwrap(), vec![kept.size as u8 - 1; kept.size as usize]);
    }
}

#[tokio::test]
async fn a_stage_is_never_taken_for_another_one() {
    let store = Store::new().await;
    let at = path("/u/data");
    let staged = store.close("/u/data", "12345").await;
    let resumed = store.writer("/u/data", WriteMode::Resume(staged.clone())).await.unwrap();
    store.driver.delete_many(Vec::new(), std::slice::from_ref(&staged)).await.unwrap();
    // The same size.
    let other = store.close("/u/data", "abcde").await;
    assert_eq!(kind(resumed.commit(&at).await), ErrorKind::Conflict);
    for refused in [
        store.driver.commit_staged(&staged, &at).await.err(),
        store.writer("/u/data", WriteMode::Resume(staged.clone())).await.err(),
    ] {
        assert_eq!(refused.unwrap().kind(), ErrorKind::Conflict);
    }
    store.driver.delete_many(Vec::new(), &[staged]).await.unwrap();
    store.driver.commit_staged(&other, &at).await.unwrap();
    assert_eq!(store.get("/u/data").await.unwrap(), "abcde");
}

#[tokio::test]
async fn writers_leave_the_stages_of_others() {
    let store = Store::new().await;
    let staged = store.close("/u/data", "12345").await;
    let direct = async || store.writer("/u/data", WriteMode::direct()).await.unwrap();
    direct().await.commit(&path("/u/data")).await.unwrap();
    assert_eq!(store.on_disk_plain("u"), ["data", "data.5.part"]);
    direct().await.commit(&path("/v/data")).await.unwrap();
    direct().await.cancel().await.unwrap();
    let first = store.writer("/u/data", WriteMode::Stage).await.unwrap();
    assert_eq!(kind(first.close().await), ErrorKind::Conflict);
    store.writer("/u/data", WriteMode::Stage).await.unwrap().cancel().await.unwrap();
    assert_eq!(store.on_disk_plain("u"), ["data", "data.5.part"]);
    store.resume("/u/data").await.unwrap().cancel().await.unwrap();
    assert_eq!(store.on_disk("u"), ["data"]);
    assert_eq!(kind(store.driver.commit_staged(&staged, &path("/w")).await), ErrorKind::NotFound);
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
                let mut writer = store.writer("/u/data", WriteMode::Stage).await.unwrap();
                for chunk in content.chunks(chunk) {
                    writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
                }
                assert_eq!(writer.size(), size as u64);
                writer
            };
            fill().await.commit(&path("/u/data")).await.unwrap();
            assert!(store.get("/u/data").await.unwrap() == content);
            let range = plugin_registry_core::ByteRange::new(1, 2 * PIECE as u64 + 1);
            if size > 0 {
                let read = store.driver.read_range(&path("/u/data"), range, 1 << 30).await.unwrap();
                assert!(read == content[1..].get(..2 * PIECE + 1).unwrap_or(&content[1..]));
            }
            fill().await.commit(&path("/b/data")).await.unwrap();
            assert!(store.get("/b/data").await.unwrap() == content);
            store.driver.delete(&path("/u")).await.unwrap();
            let staged = fill().await.close().await.unwrap();
            assert_eq!(staged.size, size as u64);
            store.driver.commit_staged(&staged, &path("/c/data")).await.unwrap();
            assert!(store.get("/c/data").await.unwrap() == content);
            fill().await.cancel().await.unwrap();
            assert_eq!(store.on_disk(""), ["b", "c"]);
        }
    }
}

#[tokio::test]
async fn many_small_chunks_come_in_order() {
    let store = Store::new().await;
    let mut writer = store.writer("/f", WriteMode::direct()).await.unwrap();
    let mut expected = Vec::new();
    for at in 0..3000_u32 {
        writer.write(Bytes::copy_from_slice(&at.to_le_bytes())).await.unwrap();
        expected.extend(at.to_le_bytes());
    }
    writer.commit(&path("/f")).await.unwrap();
    assert!(store.get("/f").await.unwrap() == expected);
}

#[tokio::test]
async fn a_dropped_writer_leaves_nothing() {
    let store = Store::new().await;
    let mut writer = store.writer("/u/data", WriteMode::direct()).await.unwrap();
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
    store.driver.put(&path("/a/f"), "").await.unwrap();
    let put = store.driver.put_content(&path("/a/f"), "x".into(), PutMode::CreateOnly).await;
    assert_eq!(kind(put), ErrorKind::AlreadyExists);
    let put = store.driver.put_content(&path("/a"), "x".into(), PutMode::CreateOnly).await;
    assert_eq!(kind(put), ErrorKind::InvalidPath);
    assert_eq!(kind(store.driver.put(&path("/a"), "x").await), ErrorKind::InvalidPath);
    assert_eq!(kind(store.driver.put(&path("/a/f/g"), "x").await), ErrorKind::InvalidPath);
    assert_eq!(store.on_disk("a"), ["f"]);
    assert_eq!(store.on_disk(""), ["a"]);
}
