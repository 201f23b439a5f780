//! `reader`.

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry_core::{ByteRange, Checked, ErrorKind, PutMode, StorageDriver};
use tokio::task::JoinSet;

use super::{
    Context,
    context::{
        assert_bytes, assert_missing, commit, drain, forget, kind, pause, put, read, read_all, stage,
        write_file,
    },
    faulty::{Fault, Faulty},
    sample,
};

/// `reader` yields exactly the bytes of the range, cut at the end of the file.
pub async fn reader_streams_the_range(cx: &Context) {
    for size in [1_usize, 10, 300_000, (5 << 20) + 17] {
        let file = cx.path(&format!("file{size}"));
        let content = sample::bytes(1, size);
        write_file(cx.driver(), &file, content.clone()).await;
        let end = size as u64;
        let offsets = [0, 1, end / 3, end / 2, end - 1, end, 65_535, 65_536, 262_144, 1 << 20];
        let lengths = [0, 1, 2, end / 2, end - 1, end, end + 1, 65_536, 1 << 20, u64::MAX];
        for offset in offsets.into_iter().filter(|offset| *offset <= end) {
            let rest = content.slice(offset as usize..);
            let found = read(cx.driver(), &file, ByteRange::from(offset)).await.unwrap();
            assert_bytes("reader", &file, &found, &rest);
            for length in lengths {
                let wanted = rest.slice(..rest.len().min(usize::try_from(length).unwrap_or(usize::MAX)));
                let found = read(cx.driver(), &file, ByteRange::new(offset, length)).await.unwrap();
                assert_bytes(&format!("reader for {length} bytes from {offset}"), &file, &found, &wanted);
            }
        }
        assert_bytes("reader", &file, &read_all(cx.driver(), &file).await, &content);
    }
    let file = cx.path("file10");
    let info = cx.driver().stat(&file).await.unwrap();
    let reader = cx.driver().reader(&file, ByteRange::new(2, 3)).await.unwrap();
    assert_eq!(*reader.info(), info, "the reader says what `stat` says");
    assert_eq!((reader.range(), reader.content_length()), (2..5, 3));
}

/// An offset equal to the size yields no bytes, also for an empty file.
pub async fn reader_at_the_end_is_empty(cx: &Context) {
    for size in [0, 1, 100_000] {
        let file = cx.path("file");
        put(cx.driver(), &file, sample::bytes(1, size as usize)).await;
        for range in [ByteRange::from(size), ByteRange::new(size, 5), ByteRange::new(size, 0)] {
            assert_bytes("reader", &file, &read(cx.driver(), &file, range).await.unwrap(), b"");
        }
    }
}

/// An offset beyond the size is refused with `InvalidOffset`, for any length.
pub async fn reader_beyond_the_end_is_invalid_offset(cx: &Context) {
    for size in [0, 1, 100_000] {
        let file = cx.path("file");
        put(cx.driver(), &file, sample::bytes(1, size as usize)).await;
        for offset in [size + 1, size + 1000, u64::MAX] {
            for range in [ByteRange::from(offset), ByteRange::new(offset, 0), ByteRange::new(offset, 7)] {
                assert_eq!(kind(cx.driver().reader(&file, range).await), ErrorKind::InvalidOffset);
            }
        }
    }
}

/// A missing file is not found at any offset. A directory is not a file.
pub async fn reader_missing_is_not_found(cx: &Context) {
    assert_missing(cx.driver(), &cx.path("missing")).await;
    cx.put_all(&["dir/file", "dir-x"]).await;
    for rest in ["dir", "missing", "di", "dir/file/below"] {
        for range in [ByteRange::full(), ByteRange::from(9), ByteRange::new(0, 0)] {
            assert_eq!(kind(cx.driver().reader(&cx.path(rest), range).await), ErrorKind::NotFound, "{rest}");
        }
    }
}

/// A reader of a file that is replaced or deleted meanwhile yields its old bytes to the end, or an error.
pub async fn reader_survives_replacement(cx: &Context) {
    let old = sample::bytes(1, (8 << 20) + 5);
    for (index, size) in [5, old.len(), old.len() + 77].into_iter().enumerate() {
        for step in 0..4 {
            let file = cx.path(&format!("file{index}-{step}"));
            let new = sample::bytes(2, size);
            write_file(cx.driver(), &file, old.clone()).await;
            let unread = cx.driver().reader(&file, ByteRange::full()).await.unwrap();
            let ranged = cx.driver().reader(&file, ByteRange::new(5, 6 << 20)).await.unwrap();
            let mut stream = cx.driver().reader(&file, ByteRange::full()).await.unwrap().into_stream();
            let mut begun = stream.try_next().await.unwrap().unwrap().to_vec();
            match step {
                0 => put(cx.driver(), &file, new).await,
                1 => write_file(&*cx.reopen().await, &file, new).await,
                2 => cx.driver().delete(&file).await.unwrap(),
                _ => {
                    let staged = stage(cx.driver(), &cx.path("other"), new).await;
                    commit(cx.driver(), &staged, &file).await;
                    forget(cx.driver(), &staged).await;
                }
            }
            let rest: Result<Vec<Bytes>, _> = stream.try_collect().await;
            if let Ok(rest) = rest {
                rest.iter().for_each(|piece| begun.extend_from_slice(piece));
                assert!(begun == old, "reader of {file}: bytes that were never together in it");
            }
            if let Ok(found) = drain(unread).await {
                assert!(found == old, "reader of {file}: announced as the old file, read as another");
            }
            if let Ok(found) = drain(ranged).await {
                assert!(
                    found == old.slice(5..5 + (6 << 20)),
                    "reader of {file}: not the range of the old file"
                );
            }
        }
    }
}

/// A stream of fewer bytes than announced ends in an error.
///
/// This holds while the file changes, after it was cut behind the driver's back (if the test file says
/// how), and through the wrapper if the driver does not notice.
pub async fn reader_never_ends_early(cx: &Context) {
    let file = cx.path("file");
    let sizes = [(1 << 20) + 1, 100_000, 3];
    put(cx.driver(), &file, sample::bytes(0, sizes[0])).await;
    let (driver, replaced) = (cx.shared(), file.clone());
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        for round in 0..60 {
            put(&*driver, &replaced, sample::bytes(round as u64, sizes[round % sizes.len()])).await;
            pause(1).await;
        }
    });
    while writer.try_join_next().is_none_or(|ended| ended.map(|()| false).unwrap()) {
        let reader = cx.driver().reader(&file, ByteRange::full()).await.unwrap();
        let announced = reader.content_length();
        pause(1).await;
        if let Ok(content) = drain(reader).await {
            assert_eq!(content.len() as u64, announced);
        }
    }

    let short = Checked::new(std::sync::Arc::new(Faulty::new(cx.shared(), Fault::ShortReads)));
    let reader = short.reader(&file, ByteRange::full()).await.unwrap();
    drain(reader).await.expect_err("the wrapper notices an early end");

    let Some(truncate) = cx.store().truncate() else { return };
    // Without the wrapper: the driver itself has to notice.
    let driver = cx.store().open().await;
    let content = sample::bytes(9, 8 << 20);
    for left in [0, 1, 100_000, (8 << 20) - 1] {
        driver.put_content(&file, content.clone(), PutMode::Overwrite).await.unwrap();
        let unread = driver.reader(&file, ByteRange::full()).await.unwrap();
        truncate(&file, left);
        drain(unread).await.expect_err("a file cut to less than was announced");
    }
}
