//! The storage driver contract. What a driver's author has to know is on [`StorageDriver`].

mod derived;
mod pointers;

use std::{fmt, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use url::Url;

use crate::{
    error::Result,
    file::{ByteRange, DeleteReport, Entry, FileInfo, Reader},
    options::{Capabilities, PutMode, WriteMode},
    path::StoragePath,
    staged::Staged,
};

/// One store, seen as a tree of files that are replaced as a whole.
///
/// A driver maps [`StoragePath`]s to the objects of one store. Everything above it (registry, pool, copy) is written
/// against this trait alone. Each bullet below a `# Behavior` is proved by a function of that name in the conformance
/// suite. The registry wraps every driver in [`Checked`](crate::Checked), which refuses the root where a file is meant,
/// names errors, counts, traces, and latches writers that failed. A driver does not repeat that.
///
/// # Rules for every method
///
/// - **Cancel safety**: dropping the returned future or stream leaves the store as before the call
///   or as after it, and never holds a lock. Bytes that were staged for it are invisible and are
///   cleaned up by the next `delete` of their directory at the latest.
/// - **At rest**: an open driver makes no request of its own and runs no task.
/// - **Errors**: [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) only when the store said so. No message and no
///   source holds a secret, such as a signed URL or a header.
/// - **Memory**: a stream or a writer holds a few pieces of at most some MiB. The driver's documentation says how much.
/// - **Clocks**: times are the store's, and are never compared with the local clock.
/// - **Paths**: only the listings take the root. `/a` is not above `/ab`.
///
/// # Staged bytes
///
/// Nothing that is written is visible before it is committed. [`writer`](Self::writer) takes one of three modes:
///
/// | [`WriteMode`] | Begins | Ends |
/// |---|---|---|
/// | [`Direct`](WriteMode::Direct) | at zero bytes | `commit` or `cancel`; it is never closed |
/// | [`Stage`](WriteMode::Stage) | at zero bytes | `close`, which creates the stage of its path and replaces none; `commit` or `cancel` |
/// | [`Resume`](WriteMode::Resume) | after the bytes of a [`Staged`] | `close`, which replaces the stage; `commit` or `cancel`, which use it up |
///
/// A path has one stage: what the last close kept. A [`Staged`] is its value, and whatever is done with it is done with
/// exactly these bytes, or refused with `NotFound` or `Conflict`. [`close`](FileWriter::close) gives it, and in any
/// other process [`find_staged`](Self::find_staged) finds it. [`commit_staged`](Self::commit_staged) makes the bytes
/// visible without a writer. [`list_staged`](Self::list_staged) and [`delete_staged`](Self::delete_staged) are for what
/// nobody goes on with.
///
/// **Identity.** Closes of different bytes never give the same [`StageId`](crate::StageId), whatever their path and
/// size. So a hash that was remembered with an id is the hash of the bytes that have it, also at another instance. A
/// driver makes the id of what is unique in its store, such as a UUID in a file's name or in an object's metadata.
/// [`Staged::state`] is the driver's own: the name or the ETag by which it finds the bytes. Two values of one stage may
/// differ in it, so compare ids.
///
/// # Wrappers
///
/// A wrapper is a driver that passes its calls on to another one. [`Checked`](crate::Checked) is one; an `Arc` or a
/// `Box` of a driver is a driver, too.
///
/// - It forwards every method, also those with a default. A default is right but slow, and knows nothing of
///   URLs and foreign names. `#[deny(clippy::missing_trait_methods)]` on the `impl` finds one that is missing.
/// - It wraps the [`FileWriter`] as well where it counts, limits or changes bytes. After an error it commits nothing.
/// - It asks for [`capabilities`](Self::capabilities) each time, because a driver learns some of them from its store.
/// - It gives back a [`Staged`] as it got it. A wrapper that changes paths changes [`Staged::path`], both ways.
#[async_trait]
pub trait StorageDriver: fmt::Debug + Send + Sync + 'static {
    /// The driver's short name, in errors and spans: `filesystem`, `s3`, …
    fn name(&self) -> &'static str;

    /// What this driver offers beyond the least that the contract asks.
    fn capabilities(&self) -> Capabilities;

    /// Reads a whole small file: links, manifests.
    ///
    /// # Behavior
    /// - `get_content_returns_what_was_put`: the exact bytes of the last completed write.
    /// - `get_content_missing_is_not_found`: also where only files below the path exist.
    /// - `get_content_over_limit_is_too_large`: a file of more than `limit` bytes gives `TooLarge`
    ///   without reading all of it.
    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes>;

    /// Writes a whole small file. Durable when it returns.
    ///
    /// # Behavior
    /// - `put_content_replaces_completely`: a shorter content leaves nothing of a longer one.
    /// - `put_content_is_atomic`: a concurrent reader sees the old or the new bytes, never a
    ///   mixture, never an empty file.
    /// - `put_content_create_only_keeps_the_first`: with [`PutMode::CreateOnly`](crate::PutMode::CreateOnly) and a file at the
    ///   path, `AlreadyExists`, and the file is untouched; of concurrent writers exactly one wins.
    ///
    /// # Example
    /// ```
    /// use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, StorageDriverExt};
    /// # futures::executor::block_on(async {
    /// # let driver = plugin_registry_drivers_memory::MemoryDriver::new();
    /// let link = "/dir/link".parse()?;
    /// driver.put(&link, "one").await?;
    /// let second = driver.put_content(&link, "two".into(), PutMode::CreateOnly).await;
    /// assert_eq!(second.unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// assert_eq!(driver.get_content(&link, 1024).await?, "one");
    /// assert_eq!(driver.get_optional(&"/dir".parse()?, 1024).await?, None);
    /// # Ok::<(), plugin_registry_core::Error>(()) }).unwrap();
    /// ```
    async fn put_content(&self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()>;

    /// Opens a file for reading; size and time come with the stream, in one round trip.
    ///
    /// # Behavior
    /// - `reader_streams_the_range`: exactly the bytes of `range`, cut at the end of the file.
    /// - `reader_at_the_end_is_empty`: an offset equal to the size gives no bytes.
    /// - `reader_beyond_the_end_is_invalid_offset`: a larger offset gives `InvalidOffset`.
    /// - `reader_missing_is_not_found`.
    /// - `reader_survives_replacement`: a file replaced or deleted meanwhile gives its old bytes to
    ///   the end, or an error; never bytes of both.
    /// - `reader_never_ends_early`: fewer bytes than announced end in an error.
    ///
    /// # Example
    /// ```
    /// use futures::TryStreamExt;
    /// use plugin_registry_core::{ByteRange, StorageDriver, StorageDriverExt};
    /// # futures::executor::block_on(async {
    /// # let driver = plugin_registry_drivers_memory::MemoryDriver::new();
    /// let file = "/dir/file".parse()?;
    /// driver.put(&file, "0123456789").await?;
    /// let reader = driver.reader(&file, ByteRange::from(7)).await?;
    /// assert_eq!((reader.info().size, reader.content_length()), (10, 3));
    /// let pieces: Vec<_> = reader.into_stream().try_collect().await?;
    /// assert_eq!(pieces.concat(), b"789");
    /// # Ok::<(), plugin_registry_core::Error>(()) }).unwrap();
    /// ```
    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader>;

    /// Writes a file of any size. Nothing is visible before the writer's commit.
    ///
    /// # Behavior
    /// - `writer_is_invisible_before_commit`: to `stat`, `list`, `walk`, `reader`, `get_content`. A directory
    ///   that holds nothing but staged bytes may be seen as a directory.
    /// - `writer_does_not_disturb_others`: several writers may be open for one path; the last
    ///   commit wins as a whole, and none takes a stage away that it did not resume.
    /// - `writer_first_close_creates`: of writers in [`WriteMode::Stage`] for one path one may be closed. To the others
    ///   the close is a `Conflict`, and what it kept stays as it is. Where the driver has no conditional writes, two
    ///   at the same moment may both succeed: then one of the stages is found.
    /// - `writer_resume_goes_on_after_exactly_these`: [`WriteMode::Resume`] goes on after the bytes that the
    ///   [`Staged`] names, also in another process; what a writer wrote after them that was dropped or killed does
    ///   not count.
    /// - `writer_resume_of_what_is_gone_is_refused`: `NotFound` or `Conflict`, at once or at the close or commit at the
    ///   latest, where the bytes were committed, continued, replaced or deleted meanwhile.
    /// - `writer_resume_is_exclusive`: of two writers that resume the same bytes one can be closed; the other one gets
    ///   `Conflict`, when it is opened or at its close, and has not touched what the first has closed.
    ///
    /// # Example
    /// ```
    /// use plugin_registry_core::{StorageDriver, WriteMode};
    /// # futures::executor::block_on(async {
    /// # let driver = plugin_registry_drivers_memory::MemoryDriver::new();
    /// let file = "/dir/file".parse()?;
    /// let mut writer = driver.writer(&file, WriteMode::Direct { size: Some(7) }).await?;
    /// writer.write("conte".into()).await?;
    /// writer.write("nt".into()).await?;
    /// assert!(driver.stat(&file).await.unwrap_err().is_not_found());
    /// writer.commit(&file).await?;
    /// assert_eq!(driver.stat(&file).await?.size, 7);
    /// # Ok::<(), plugin_registry_core::Error>(()) }).unwrap();
    /// ```
    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>>;

    /// Finds the bytes that the last close for a path kept. One request.
    ///
    /// # Behavior
    /// - `find_staged_finds_what_was_closed`: path, size and identity are those that the close gave, in every instance.
    ///   It tells nothing of open writers.
    /// - `find_staged_of_nothing_is_not_found`: also where a visible file is at the path.
    async fn find_staged(&self, path: &StoragePath) -> Result<Staged>;

    /// Makes staged bytes visible at a path, at once and whole, without sending them again where the store can copy.
    /// Durable when it returns. The stage is used up, or stays as it was: whoever needs it gone deletes it, by
    /// [`delete_many`](Self::delete_many) or [`delete`](Self::delete), and may commit it again before.
    ///
    /// # Behavior
    /// - `commit_staged_makes_exactly_these_visible`: at the path that they were staged for, or at another one.
    /// - `commit_staged_of_others_is_refused`: `NotFound` or `Conflict` where the bytes were committed, continued,
    ///   replaced or deleted meanwhile, and nothing is visible; never other bytes.
    ///
    /// # Example
    /// ```
    /// use plugin_registry_core::{ErrorKind, StorageDriver, WriteMode};
    /// # futures::executor::block_on(async {
    /// # let driver = plugin_registry_drivers_memory::MemoryDriver::new();
    /// let (upload, blob) = ("/upload/data".parse()?, "/blob/data".parse()?);
    /// let mut writer = driver.writer(&upload, WriteMode::Stage).await?;
    /// writer.write("first, ".into()).await?;
    /// let first = writer.close().await?;
    ///
    /// // Another process.
    /// let found = driver.find_staged(&upload).await?;
    /// assert_eq!((found.size, &found.id), (7, &first.id));
    /// let mut writer = driver.writer(&upload, WriteMode::Resume(found)).await?;
    /// writer.write("second".into()).await?;
    /// let both = writer.close().await?;
    ///
    /// let refused = driver.commit_staged(&first, &blob).await;
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    /// driver.commit_staged(&both, &blob).await?;
    /// assert_eq!(driver.get_content(&blob, 100).await?, "first, second");
    /// driver.delete_many(Vec::new(), &[both]).await?;
    /// # Ok::<(), plugin_registry_core::Error>(()) }).unwrap();
    /// ```
    async fn commit_staged(&self, staged: &Staged, to: &StoragePath) -> Result<()>;

    /// Describes a file; a directory is missing.
    ///
    /// # Behavior
    /// - `stat_file`: size, and the store's time of the last change.
    /// - `stat_directory_is_not_found`: and so is the root.
    /// - `stat_missing_is_not_found`: `/a` is missing when only `/ab` exists.
    async fn stat(&self, path: &StoragePath) -> Result<FileInfo>;

    /// Lists one level, in byte order of the names.
    ///
    /// # Behavior
    /// - `list_yields_direct_children_in_order`: each child once, files and directories together,
    ///   in byte order of the name alone (`a` before `a-b`, also where `a` is a directory).
    /// - `list_starts_after`: only names greater than `after`, which need not exist.
    /// - `list_missing_is_not_found`: unless `after` is given, when an empty stream will do.
    /// - `list_root_always_succeeds`: an empty store has an empty root.
    /// - `list_of_a_file_is_not_found`.
    /// - Memory is bounded by a page; the filesystem holds one directory's names.
    ///
    /// By default made of a [`walk`](Self::walk), which reads everything below and holds one directory's names:
    /// right for any store, slow for a large one. A store that lists by levels overrides it.
    fn list<'a>(&'a self, path: &'a StoragePath, after: Option<&'a str>) -> BoxStream<'a, Result<Entry>> {
        derived::list(self, path, after)
    }

    /// Lists all files below a path, in byte order of the whole path (`/a-b/x` before `/a/x`).
    ///
    /// # Behavior
    /// - `walk_yields_all_files_in_order`: every file below `path` with size and time, no directories.
    /// - `walk_starts_after`: only paths greater than `after`.
    /// - `walk_missing_is_not_found`: unless `after` is given; the root of an empty store is empty.
    /// - `walk_tolerates_concurrent_deletes`: what vanishes meanwhile is skipped; any other error ends
    ///   the stream with that error.
    ///
    /// # Example
    /// ```
    /// use futures::TryStreamExt;
    /// use plugin_registry_core::{StorageDriver, StorageDriverExt, StoragePath};
    /// # futures::executor::block_on(async {
    /// # let driver = plugin_registry_drivers_memory::MemoryDriver::new();
    /// for path in ["/a/x", "/a-b/y", "/b"] {
    ///     driver.put(&path.parse()?, "content").await?;
    /// }
    /// let root = StoragePath::root();
    /// let walked: Vec<_> = driver.walk(&root, None).map_ok(|file| file.path.to_string()).try_collect().await?;
    /// assert_eq!(walked, ["/a-b/y", "/a/x", "/b"], "in order of the paths");
    /// let listed: Vec<_> = driver.list(&root, Some("a")).map_ok(|child| child.name).try_collect().await?;
    /// assert_eq!(listed, ["a-b", "b"], "in order of the names, after `a`");
    /// # Ok::<(), plugin_registry_core::Error>(()) }).unwrap();
    /// ```
    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>>;

    /// Finds the directories below a path that have a child whose name begins with `marker`, without
    /// ever looking below such a child: how repositories are found (`_layers`, `_manifests`) at a cost
    /// that does not grow with their content. Object stores list with the delimiter `/` + `marker`
    /// (ADR 0005).
    ///
    /// # Behavior
    /// - `list_marked_finds_directories`: each once; nested ones too; `path` itself is not reported.
    /// - `list_marked_is_depth_first`: in order of their components (`a/b` before `a-b`).
    /// - `list_marked_starts_after`: only directories later than `after` in that order.
    /// - `list_marked_missing_is_empty`.
    ///
    /// By default one [`list`](Self::list) for each directory that is not marked itself, with the names of one
    /// directory on each level in memory: what a store without such a delimiter can do, where `list` is its own.
    fn list_marked<'a>(
        &'a self,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<StoragePath>> {
        derived::list_marked(self, path, marker, after)
    }

    /// Deletes a file, or a directory with everything below it, staged bytes included. A driver may leave what is
    /// deeper than any path reaches, and what is above it; then it fails with
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath).
    ///
    /// # Behavior
    /// - `delete_removes_recursively`: afterwards the path is missing; directories that became empty
    ///   above it are missing too.
    /// - `delete_keeps_siblings`: `/a` never touches `/ab`, `/a-b`, `/a.b`.
    /// - `delete_missing_is_not_found`.
    async fn delete(&self, path: &StoragePath) -> Result<()>;

    /// Deletes single files and stages, in batches where the store has them. What is missing counts as deleted; a
    /// directory is left alone, and is reported as failed where it costs nothing to tell it from a missing file.
    ///
    /// # Behavior
    /// - `delete_many_reports_each_failure`: the call itself fails only when nothing was tried.
    /// - `delete_many_ignores_missing_files`: and stages; directories that became empty are missing too.
    /// - `delete_many_deletes_stages`: those given, and those of no other path; also what the commit of a stage left. A
    ///   store that deletes by name may take one along that was closed in its place meanwhile: whoever deletes a stage
    ///   has ended the session that it belongs to.
    ///
    /// By default one [`delete`](Self::delete) for each file, which takes what is staged for it along, and
    /// [`delete_staged`](Self::delete_staged) for each stage.
    ///
    /// # Example
    /// ```
    /// use plugin_registry_core::{StorageDriver, StorageDriverExt, WriteMode};
    /// # futures::executor::block_on(async {
    /// # let driver = plugin_registry_drivers_memory::MemoryDriver::new();
    /// let (data, started) = ("/upload/data".parse()?, "/upload/startedat".parse()?);
    /// driver.put(&started, "now").await?;
    /// let staged = driver.writer(&data, WriteMode::Stage).await?.close().await?;
    /// let report = driver.delete_many(vec![started], &[staged]).await?;
    /// assert_eq!((report.deleted, report.failed.len()), (1, 0));
    /// assert!(driver.find_staged(&data).await.unwrap_err().is_not_found());
    /// let upload = "/upload".parse()?;
    /// assert!(driver.delete(&upload).await.unwrap_err().is_not_found(), "nothing is below it");
    /// # Ok::<(), plugin_registry_core::Error>(()) }).unwrap();
    /// ```
    async fn delete_many(&self, files: Vec<StoragePath>, stages: &[Staged]) -> Result<DeleteReport> {
        derived::delete_many(self, files, stages).await
    }

    /// Finds what unfinished writers have staged below a path: for each stage the path that it is meant for,
    /// its bytes and its last change. In no order; a path that was staged more than once comes more than once.
    ///
    /// # Behavior
    /// - `list_staged_finds_what_was_closed`: stages that wait for resumption, at the path itself and below
    ///   it; those of open or killed writers too, where the store keeps them. Visible files never.
    /// - `list_staged_of_nothing_is_empty`: also for a path that is missing.
    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>>;

    /// Finds what other programs put below a path under names that no [`StoragePath`] can have, such as `@eaDir` or
    /// `link~`, or deeper than its 900 bytes reach: every other method passes over them. Each is a whole path as text,
    /// in no order; what is below such a directory is not looked at.
    ///
    /// # Behavior
    /// - `list_foreign_finds_no_path`: what a path can name is never reported; a missing path has nothing below it.
    ///
    /// By default there are none, as in a store that this program alone writes to.
    fn list_foreign<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<String>> {
        let _ = path;
        stream::empty().boxed()
    }

    /// Throws away what was staged for a path and last changed before a time of the store's clock; gives how
    /// many stages went. The visible file, if any, is untouched.
    ///
    /// # Behavior
    /// - `delete_staged_keeps_younger_stages`: what changed at `before` or later.
    /// - `delete_staged_keeps_the_visible_file`: and whatever is staged for other paths.
    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize>;

    /// A URL at which the store itself serves the file for a while, or `None` where it cannot, as by default.
    ///
    /// # Behavior
    /// - `redirect_url_serves_the_file_or_is_none`: for GET and HEAD; the URL is a secret.
    async fn redirect_url(&self, path: &StoragePath, method: &http::Method) -> Result<Option<Url>> {
        let _ = (path, method);
        Ok(None)
    }
}

/// A file that is being written. Consumed by `close`, `cancel` or `commit`, so a write after any of
/// them does not compile. Dropped without any of them, it behaves like a killed process: its bytes
/// do not count.
///
/// The first error is final: after it, every call fails, and nothing is ever committed
/// ([`Checked`](crate::Checked) enforces it).
#[async_trait]
pub trait FileWriter: fmt::Debug + Send {
    /// Appends bytes. Returns when the writer took them over, not when they are stored, so the caller
    /// can hash the next piece meanwhile.
    async fn write(&mut self, chunk: Bytes) -> Result<()>;

    /// Bytes in all, those that it resumed included.
    fn size(&self) -> u64;

    /// Makes everything written durable and keeps it for [`WriteMode::Resume`] and
    /// [`commit_staged`](StorageDriver::commit_staged); still invisible. Not for a writer in [`WriteMode::Direct`].
    ///
    /// # Behavior
    /// - `writer_close_is_durable_and_invisible`.
    /// - `writer_close_gives_an_identity_of_its_own`: no two closes of different bytes give the same one.
    async fn close(self: Box<Self>) -> Result<Staged>;

    /// Throws away what was written, and what was resumed. The visible file, if any, is untouched.
    ///
    /// # Behavior
    /// - `writer_cancel_leaves_nothing`.
    async fn cancel(self: Box<Self>) -> Result<()>;

    /// Makes exactly [`size`](Self::size) bytes visible at a path, at once and whole: that of the writer, or another
    /// one, for content whose name is known only at the end (ADR 0004). Durable when it returns.
    ///
    /// # Behavior
    /// - `writer_commit_is_visible_and_whole`: also for zero bytes.
    /// - `writer_commit_to_another_path`: visible there; nothing is left at the writer's own path.
    async fn commit(self: Box<Self>, to: &StoragePath) -> Result<()>;
}
