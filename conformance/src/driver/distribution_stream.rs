//! Distribution's driver suite, name by name: readers and writers.

use bytes::Bytes;
use plugin_registry_core::{ByteRange, Digest, ErrorKind, StorageDriver, WriteMode};
use tokio::task::JoinSet;

use super::{
    Context,
    context::{
        assert_bytes, assert_file, assert_missing, close, commit, digest, direct, drain, first, go_on, kind,
        put, read, read_all, resume, write, write_file,
    },
    sample::{self, Large},
};

async fn write_read_streams(cx: &Context, content: impl Into<Bytes>) {
    let (file, content) = (cx.path("dir/file"), content.into());
    write_file(cx.driver(), &file, content.clone()).await;
    assert_bytes("reader", &file, &read_all(cx.driver(), &file).await, &content);
}

/// `WriteReadStreams1`: one byte.
pub async fn write_read_streams_1(cx: &Context) {
    write_read_streams(cx, "a").await;
}

/// `WriteReadStreams2`: UTF-8.
pub async fn write_read_streams_2(cx: &Context) {
    write_read_streams(cx, "\u{c3}\u{9f}").await;
}

/// `WriteReadStreams3`: 32 bytes.
pub async fn write_read_streams_3(cx: &Context) {
    write_read_streams(cx, sample::bytes(3, 32)).await;
}

/// `WriteReadStreams4`: 1 MiB.
pub async fn write_read_streams_4(cx: &Context) {
    write_read_streams(cx, sample::bytes(4, 1 << 20)).await;
}

/// `WriteReadStreamsNonUTF8`.
pub async fn write_read_streams_non_utf8(cx: &Context) {
    write_read_streams(cx, Bytes::from_static(b"\x80\x80\x80\x80")).await;
}

/// `WriteReadLargeStreams`: one file of [`Sizes::large_stream`](super::Sizes::large_stream) bytes,
/// compared by digest.
pub async fn write_read_large_streams(cx: &Context) {
    let file = cx.path("dir/file");
    let large = Large::new(1, cx.sizes().large_stream);
    let mode = WriteMode::Direct { size: Some(cx.sizes().large_stream) };
    let mut writer = cx.driver().writer(&file, mode).await.unwrap();
    for piece in large.pieces() {
        writer.write(piece).await.unwrap();
    }
    assert_eq!(writer.size(), cx.sizes().large_stream);
    writer.commit(&file).await.unwrap();
    assert_eq!(cx.driver().stat(&file).await.unwrap().size, cx.sizes().large_stream);
    assert_eq!(digest(cx.driver(), &file).await, large.digest());
}

/// `ReaderWithOffset`: three chunks of 32 bytes, read from each border and from the end.
pub async fn reader_with_offset(cx: &Context) {
    let file = cx.path("dir/file");
    let content = sample::bytes(1, 96);
    put(cx.driver(), &file, content.clone()).await;
    for offset in [0, 32, 64, 95, 96] {
        let found = read(cx.driver(), &file, ByteRange::from(offset)).await.unwrap();
        assert_eq!(found, content.slice(offset as usize..));
    }
    assert_eq!(kind(cx.driver().reader(&file, ByteRange::from(97)).await), ErrorKind::InvalidOffset);
}

async fn continue_stream_append(cx: &Context, chunk: usize) {
    let file = cx.path("dir/file");
    let content = sample::bytes(1, 3 * chunk);
    let mut writer = first(cx.driver(), &file).await;
    write(&mut writer, content.slice(..chunk)).await;
    let staged = close(writer, &file).await;
    let mut writer = resume(&*cx.reopen().await, &staged).await;
    assert_eq!(writer.size(), chunk as u64);
    write(&mut writer, content.slice(chunk..2 * chunk)).await;
    close(writer, &file).await;
    let mut writer = go_on(cx.driver(), &file).await;
    assert_eq!(writer.size(), 2 * chunk as u64);
    write(&mut writer, content.slice(2 * chunk..)).await;
    writer.commit(&file).await.unwrap();
    assert_file(cx.driver(), &file, &content).await;
}

/// `ContinueStreamAppendLarge`: three chunks of [`Sizes::append_chunk`](super::Sizes::append_chunk) bytes.
pub async fn continue_stream_append_large(cx: &Context) {
    continue_stream_append(cx, cx.sizes().append_chunk as usize).await;
}

/// `ContinueStreamAppendSmall`: three chunks of 32 bytes.
pub async fn continue_stream_append_small(cx: &Context) {
    continue_stream_append(cx, 32).await;
}

/// `ReadNonexistentStream`: read from the start and from an offset.
pub async fn read_nonexistent_stream(cx: &Context) {
    for offset in [0, 64] {
        let result = cx.driver().reader(&cx.path("missing"), ByteRange::from(offset)).await;
        assert_eq!(kind(result), ErrorKind::NotFound);
    }
}

/// `WriteZeroByteStreamThenAppend`: a stage of zero bytes is resumed.
///
/// Distribution also appends to a visible file, and in `WriteZeroByteContentThenAppend` to one that was
/// put. Here visible files do not grow.
pub async fn write_zero_byte_stream_then_append(cx: &Context) {
    let (file, content) = (cx.path("dir/file"), sample::bytes(1, 4096));
    let mut writer = first(cx.driver(), &file).await;
    write(&mut writer, "").await;
    let empty = close(writer, &file).await;
    assert_missing(cx.driver(), &file).await;
    let mut writer = resume(&*cx.reopen().await, &empty).await;
    assert_eq!(writer.size(), 0);
    write(&mut writer, content.clone()).await;
    let staged = close(writer, &file).await;
    commit(cx.driver(), &staged, &file).await;
    assert_file(cx.driver(), &file, &content).await;
}

/// `ConcurrentStreamReads`: several readers of one file, from different offsets.
pub async fn concurrent_stream_reads(cx: &Context) {
    let (file, sizes) = (cx.path("dir/file"), cx.sizes());
    let large = Large::new(1, sizes.read_size);
    let mut writer = direct(cx.driver(), &file).await;
    for piece in large.pieces() {
        writer.write(piece).await.unwrap();
    }
    writer.commit(&file).await.unwrap();
    let expected = large.digest();
    let end = read(cx.driver(), &file, ByteRange::from(sizes.read_size / 2 + 1)).await.unwrap();
    let mut tasks = JoinSet::new();
    for index in 0..sizes.readers {
        let (driver, file, expected, end) = (cx.shared(), file.clone(), expected, end.clone());
        tasks.spawn(async move {
            if index % 3 == 2 {
                let range = ByteRange::from(driver.stat(&file).await.unwrap().size / 2 + 1);
                let found = drain(driver.reader(&file, range).await.unwrap()).await.unwrap();
                assert_bytes("reader", &file, &found, &end);
            } else {
                assert_eq!(digest(&*driver, &file).await, expected, "reader of {file}: other bytes");
            }
        });
    }
    assert_eq!(tasks.join_all().await.len(), sizes.readers);
}

/// `ConcurrentFileStreams`: several writers of different files, compared by digest.
pub async fn concurrent_file_streams(cx: &Context) {
    let sizes = cx.sizes();
    let mut tasks = JoinSet::new();
    for index in 0..sizes.writers {
        let (driver, file) = (cx.shared(), cx.path(&format!("dir/file{index:02}")));
        tasks.spawn(async move {
            let large = Large::new(index as u64, sizes.write_size);
            let mut writer = direct(&*driver, &file).await;
            for piece in large.pieces() {
                writer.write(piece).await.unwrap();
            }
            writer.commit(&file).await.unwrap();
            assert_eq!(digest(&*driver, &file).await, large.digest());
            large.digest()
        });
    }
    let digests: Vec<Digest> = tasks.join_all().await;
    assert_eq!(digests.len(), sizes.writers);
    assert_eq!(super::context::names(cx.driver(), &cx.path("dir"), None).await.len(), sizes.writers);
}
