//! `get_content` and `put_content`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use plugin_registry_core::{ByteRange, ErrorKind, PutMode, StorageDriver};
use tokio::task::JoinSet;

use super::{
    Context,
    context::{
        LIMIT, assert_bytes, assert_file, assert_missing, drain, get, kind, put, read_all, write_file,
    },
    sample,
};

/// `get_content` returns the exact bytes of the last completed write, in whichever way they were written.
pub async fn get_content_returns_what_was_put(cx: &Context) {
    let file = cx.path("dir/file");
    for (seed, size) in [(1, 0), (2, 1), (3, 100), (4, 4096), (5, (1 << 20) + 1), (6, 5)] {
        let content = sample::bytes(seed, size);
        put(cx.driver(), &file, content.clone()).await;
        assert_file(cx.driver(), &file, &content).await;
        assert_file(&*cx.reopen().await, &file, &content).await;
    }
    let content = sample::bytes(7, 70_000);
    write_file(cx.driver(), &file, content.clone()).await;
    assert_file(cx.driver(), &file, &content).await;
}

/// `get_content` fails with `NotFound`, also if only files below the path exist.
pub async fn get_content_missing_is_not_found(cx: &Context) {
    assert_missing(cx.driver(), &cx.path("missing")).await;
    cx.put_all(&["dir/file", "dir-x", "dir.x"]).await;
    for rest in ["dir", "di", "dir/fil", "dir/file2", "dir/file/below"] {
        let result = cx.driver().get_content(&cx.path(rest), LIMIT).await;
        assert_eq!(kind(result), ErrorKind::NotFound, "{rest}");
    }
}

/// `get_content` returns `limit` bytes but not one more, however large the file is.
pub async fn get_content_over_limit_is_too_large(cx: &Context) {
    let file = cx.path("file");
    for size in [1, 1000, 3 << 20] {
        let content = sample::bytes(size, size as usize);
        write_file(cx.driver(), &file, content.clone()).await;
        for limit in [size, size + 1] {
            let found = cx.driver().get_content(&file, limit).await.unwrap();
            assert_bytes("get_content", &file, &found, &content);
        }
        for limit in [0, size - 1, size / 2] {
            let found = cx.driver().get_content(&file, limit).await;
            assert_eq!(
                kind(found),
                ErrorKind::TooLarge,
                "get_content of {file}: {size} bytes, limit {limit}"
            );
        }
    }
    put(cx.driver(), &file, "").await;
    assert_bytes("get_content", &file, &cx.driver().get_content(&file, 0).await.unwrap(), b"");
    let before = cx.driver().metrics().snapshot();
    let large = sample::Large::new(1, 16 << 20);
    let mut writer = super::context::direct(cx.driver(), &file).await;
    for piece in large.pieces() {
        writer.write(piece).await.unwrap();
    }
    writer.commit(&file).await.unwrap();
    assert_eq!(kind(cx.driver().get_content(&file, 10).await), ErrorKind::TooLarge);
    let read = cx.driver().metrics().snapshot().since(&before).bytes_read();
    assert_eq!(read, 0, "get_content of {file}: it reads what it refuses");
}

/// Shorter content leaves nothing of longer content.
pub async fn put_content_replaces_completely(cx: &Context) {
    let file = cx.path("file");
    for (seed, size) in [(1, 100_000), (2, 10), (3, 0), (4, 99_999), (5, 1)] {
        let content = sample::bytes(seed, size);
        put(cx.driver(), &file, content.clone()).await;
        assert_file(cx.driver(), &file, &content).await;
    }
    write_file(cx.driver(), &file, sample::bytes(6, 2 << 20)).await;
    put(cx.driver(), &file, "short").await;
    assert_file(cx.driver(), &file, &Bytes::from("short")).await;
}

/// Concurrent readers of a file that is replaced see only whole contents.
pub async fn put_content_is_atomic(cx: &Context) {
    race(cx, "small", [1, 10, 100, 3]).await;
    race(cx, "large", [70_000, 1, 2 << 20, 4096]).await;
}

/// Replaces a file again and again while tasks read it, from this instance and another.
async fn race(cx: &Context, name: &str, sizes: [usize; 4]) {
    let file = cx.path(name);
    let contents: Vec<Bytes> = (1..).zip(sizes).map(|(seed, size)| sample::bytes(seed, size)).collect();
    put(cx.driver(), &file, contents[0].clone()).await;
    let mut tasks = JoinSet::new();
    let ended = Arc::new(AtomicBool::new(false));
    for (index, driver) in [cx.shared(), cx.shared(), cx.reopen().await].into_iter().enumerate() {
        let (file, contents, ended) = (file.clone(), contents.clone(), ended.clone());
        tasks.spawn(async move {
            let mut seen = 0_usize;
            while !ended.load(Ordering::Relaxed) || seen == 0 {
                let found = if index == 0 {
                    let reader = driver.reader(&file, ByteRange::full()).await.unwrap();
                    // A reader whose file was replaced may end in an error.
                    drain(reader).await.ok()
                } else {
                    Some(get(&*driver, &file).await)
                };
                if let Some(found) = found {
                    assert!(contents.contains(&found), "{} bytes of no content ever put", found.len());
                    seen += 1;
                }
                let size = driver.stat(&file).await.unwrap().size;
                assert!(contents.iter().any(|content| content.len() as u64 == size), "{size} bytes");
            }
            seen
        });
    }
    let started = Instant::now();
    let mut rounds = 0;
    while rounds < 50 || (started.elapsed() < Duration::from_millis(300) && rounds < 5000) {
        put(cx.driver(), &file, contents[rounds % contents.len()].clone()).await;
        rounds += 1;
    }
    ended.store(true, Ordering::Relaxed);
    while let Some(seen) = tasks.join_next().await {
        assert!(seen.unwrap() > 0, "{file}: a reader has seen no whole content while it was replaced");
    }
}

/// The first file stays. Of concurrent writers exactly one wins.
pub async fn put_content_create_only_keeps_the_first(cx: &Context) {
    let file = cx.path("dir/file");
    let first = Bytes::from("first");
    cx.driver().put_content(&file, first.clone(), PutMode::CreateOnly).await.unwrap();
    for second in ["", "second", "first"] {
        let result = cx.driver().put_content(&file, second.into(), PutMode::CreateOnly).await;
        assert_eq!(kind(result), ErrorKind::AlreadyExists);
        assert_file(cx.driver(), &file, &first).await;
    }
    let empty = cx.path("dir/empty");
    put(cx.driver(), &empty, "").await;
    let result = cx.driver().put_content(&empty, "x".into(), PutMode::CreateOnly).await;
    assert_eq!(kind(result), ErrorKind::AlreadyExists, "an empty file is a file");
    cx.driver().delete(&file).await.unwrap();
    cx.driver().put_content(&file, "again".into(), PutMode::CreateOnly).await.unwrap();
    if !cx.driver().capabilities().create_only {
        return cx.skip("concurrent creators: the driver does not promise create-only writes");
    }
    for round in 0..20_u64 {
        let file = cx.path(&format!("race/{round}"));
        let mut tasks = JoinSet::new();
        for (seed, driver) in (0..).zip([cx.shared(), cx.shared(), cx.reopen().await, cx.reopen().await]) {
            let file = file.clone();
            let content = sample::bytes(seed, if seed % 2 == 0 { 50_000 } else { 5 });
            tasks.spawn(async move {
                match driver.put_content(&file, content.clone(), PutMode::CreateOnly).await {
                    Ok(()) => Some(content),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
                        // The winner's file is there, whole.
                        let size = get(&*driver, &file).await.len();
                        assert!([5, 50_000].contains(&size), "{file}: {size} bytes, which no creator wrote");
                        None
                    }
                }
            });
        }
        let winners: Vec<Bytes> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "exactly one of several creators wins");
        assert_bytes("reader", &file, &read_all(cx.driver(), &file).await, &winners[0]);
    }
}
