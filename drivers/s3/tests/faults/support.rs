//! Helpers that the tests share.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use plugin_registry_core::{
    ByteRange, Error, ErrorKind, FileWriter, PutMode, Result, Staged, StorageDriver, StoragePath, WriteMode,
};
use plugin_registry_drivers_s3::{S3Config, S3Driver};
use plugin_registry_emulator::s3::{Fault, Kind, Server};

use crate::common;

/// Bytes of a part: a hundred of them cost nothing.
pub(crate) const PART: usize = 1024;

/// A server that takes small parts.
pub(crate) fn server() -> Server {
    Server::builder().min_part(1).start()
}

pub(crate) fn config(server: &Server) -> S3Config {
    common::of_server(server).with_root_directory("root").with_chunk_size(PART as u64)
}

pub(crate) async fn open(server: &Server) -> S3Driver {
    S3Driver::open(config(server)).await.unwrap()
}

pub(crate) fn path(text: &str) -> StoragePath {
    text.parse().unwrap()
}

/// The key of a path.
pub(crate) fn key(path: &str) -> String {
    format!("root{path}")
}

/// Bytes of which no two pieces are alike.
pub(crate) fn content(length: usize) -> Bytes {
    let mut state = length as u32 ^ 0x9e37_79b9;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

/// Some parts and a rest.
pub(crate) fn in_parts() -> Bytes {
    content(3 * PART + 100)
}

/// A writer that has taken these bytes.
pub(crate) async fn written(
    driver: &S3Driver,
    at: &str,
    bytes: &Bytes,
    mode: WriteMode,
) -> Result<Box<dyn FileWriter>> {
    let mut writer = driver.writer(&path(at), mode).await?;
    for piece in bytes.chunks(700) {
        writer.write(bytes.slice_ref(piece)).await?;
    }
    Ok(writer)
}

pub(crate) async fn write(driver: &S3Driver, at: &str, bytes: &Bytes) -> Result<()> {
    write_to(driver, at, bytes, at).await
}

/// Writes at one path what becomes visible at another one.
pub(crate) async fn write_to(driver: &S3Driver, at: &str, bytes: &Bytes, to: &str) -> Result<()> {
    written(driver, at, bytes, WriteMode::direct()).await?.commit(&path(to)).await
}

/// Stages the first bytes of a path.
pub(crate) async fn close(driver: &S3Driver, at: &str, bytes: &Bytes) -> Result<Staged> {
    written(driver, at, bytes, WriteMode::Stage).await?.close().await
}

/// A writer that has found what is staged for a path, and has taken these bytes more.
pub(crate) async fn resumed(driver: &S3Driver, at: &str, bytes: &Bytes) -> Result<Box<dyn FileWriter>> {
    let staged = driver.find_staged(&path(at)).await?;
    written(driver, at, bytes, WriteMode::Resume(staged)).await
}

/// A writer that goes on after these bytes, and has taken some more.
pub(crate) async fn after(driver: &S3Driver, staged: &Staged, bytes: &Bytes) -> Result<Box<dyn FileWriter>> {
    written(driver, staged.path.as_str(), bytes, WriteMode::Resume(staged.clone())).await
}

pub(crate) async fn commit_staged(driver: &S3Driver, staged: &Staged, to: &str) -> Result<()> {
    driver.commit_staged(staged, &path(to)).await
}

/// Deletes a stage and nothing else.
pub(crate) async fn forget(driver: &S3Driver, staged: &Staged) {
    let report = driver.delete_many(Vec::new(), std::slice::from_ref(staged)).await.unwrap();
    report.into_result().unwrap();
}

pub(crate) async fn put(driver: &S3Driver, at: &str, text: &'static str, mode: PutMode) -> Result<()> {
    driver.put_content(&path(at), Bytes::from_static(text.as_bytes()), mode).await
}

/// All bytes of a range.
pub(crate) async fn read_range(driver: &S3Driver, at: &str, range: ByteRange) -> Result<Vec<u8>> {
    let reader = driver.reader(&path(at), range).await?;
    let pieces = reader.into_stream().try_collect::<Vec<Bytes>>().await?;
    Ok(pieces.concat())
}

pub(crate) async fn read(driver: &S3Driver, at: &str) -> Result<Vec<u8>> {
    read_range(driver, at, ByteRange::full()).await
}

pub(crate) async fn names(driver: &S3Driver, at: &str, after: Option<&str>) -> Result<Vec<String>> {
    let at = path(at);
    driver.list(&at, after).map_ok(|entry| entry.name).try_collect().await
}

pub(crate) async fn walked(driver: &S3Driver, at: &str, after: Option<&str>) -> Result<Vec<String>> {
    let (at, after) = (path(at), after.map(path));
    driver.walk(&at, after.as_ref()).map_ok(|file| file.path.as_str().to_owned()).try_collect().await
}

pub(crate) async fn marked(driver: &S3Driver, at: &str, after: Option<&str>) -> Result<Vec<String>> {
    let (at, after) = (path(at), after.map(path));
    let found = driver.find_directories(&at, "_", after.as_ref());
    found.map_ok(|directory| directory.as_str().to_owned()).try_collect().await
}

/// Path and size of every stage.
pub(crate) async fn stages(driver: &S3Driver, at: &str) -> Result<Vec<(String, u64)>> {
    let at = path(at);
    let found = driver.list_staged(&at);
    let found = found.map_ok(|file| (file.path.as_str().to_owned(), file.size));
    let mut found = found.try_collect::<Vec<_>>().await?;
    found.sort();
    Ok(found)
}

/// The bytes of an object of the store.
pub(crate) fn stored(server: &Server, at: &str) -> Option<Bytes> {
    server.object(&key(at)).map(|object| object.data.to_bytes())
}

/// Ends every open upload, as a lifecycle rule does.
pub(crate) fn end_uploads(server: &Server) {
    let kept: Vec<_> =
        server.objects().into_keys().filter_map(|key| Some((server.object(&key)?, key))).collect();
    server.clear();
    for (object, key) in kept {
        server.put_raw(&key, "");
        server.change_raw(&key, |found| *found = object);
    }
}

/// Waits, for at most five seconds, until something is so.
pub(crate) async fn until(so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it does not come to be so");
}

/// The next requests of an operation.
pub(crate) fn on(operation: &str, kind: Kind) -> Fault {
    Fault::new(kind).on(operation)
}

pub(crate) fn kind<T>(result: Result<T>) -> ErrorKind {
    failure(result).kind()
}

pub(crate) fn failure<T>(result: Result<T>) -> Error {
    result.err().unwrap_or_else(|| panic!("an error was expected"))
}

/// The ways to lose an answer after the effect.
pub(crate) fn lost_answers() -> [Kind; 4] {
    [
        Kind::error_after(500, "InternalError"),
        Kind::error_after(503, "SlowDown"),
        Kind::CloseAfter,
        Kind::ResetAfter,
    ]
}

/// Runs cases beside each other: most of their time is spent waiting.
pub(crate) async fn at_once<T, F: Future<Output = ()>>(
    cases: impl IntoIterator<Item = T>,
    run: impl Fn(T) -> F,
) {
    futures::future::join_all(cases.into_iter().map(run)).await;
}

/// Waits, for at most five seconds, until no upload is open.
pub(crate) async fn no_upload_stays(server: &Server) {
    for _ in 0..500 {
        if server.uploads().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("uploads stay open: {:?}", server.uploads().iter().map(|u| &u.key).collect::<Vec<_>>());
}

/// The first item of a stream, and how many follow.
pub(crate) async fn first_and_count<T>(
    stream: futures::stream::BoxStream<'_, Result<T>>,
    met_first: impl FnOnce(),
) -> Result<usize> {
    let mut stream = stream;
    stream.next().await.transpose()?;
    met_first();
    let mut count = 1;
    while stream.next().await.transpose()?.is_some() {
        count += 1;
    }
    Ok(count)
}
