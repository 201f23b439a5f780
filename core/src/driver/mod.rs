//! The storage driver contract. [`StorageDriver`] documents what a driver's author has to know.

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
    permissions::Permissions,
    staged::Staged,
};

/// One store, seen as a tree of files that are replaced as a whole.
///
/// A driver maps [`StoragePath`]s to the objects of one store. Everything above it (registry, pool, copy) is
/// written against this trait alone. A function of the conformance suite proves each bullet under `# Behavior`
/// and has the bullet's name. The registry wraps every driver in [`Checked`](crate::Checked), which refuses the
/// root where a file is expected, names errors, counts, traces, and latches writers that failed. A driver does
/// not repeat that.
///
/// # Rules for every method
///
/// - **Cancel safety**: dropping the returned future or stream leaves the store as before the call or as after
///   it, and never holds a lock. Bytes that were staged for it are invisible. The next `delete` of their
///   directory cleans them up at the latest.
/// - **At rest**: an open driver makes no requests by itself and runs no task.
/// - **Errors**: return [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) only if the store said so. Messages
///   and sources never hold a secret, such as a signed URL or a header.
/// - **Memory**: a stream or a writer holds a few pieces of at most some MiB. The driver's documentation says
///   how much.
/// - **Clocks**: times are the store's, and are never compared with the local clock.
/// - **Paths**: only the listings accept the root. `/a` is not above `/ab`.
/// - **Threads**: the thread that polls a call runs every other request of the host. Work that blocks (a file, an
///   embedded database, a lock that is held for long, compressing) goes to `tokio::task::spawn_blocking`. Tokio
///   may have one thread, so `block_in_place` is not for a driver.
///
/// # Behavior
/// - `calls_do_not_block_the_runtime`: a call that changes the store, lists, or moves more than a piece waits for
///   other threads or for the network, instead of doing its work on the thread that polls it. A look at one
///   small thing (`stat`, `find_staged`, opening a reader or writer) may be answered at once from memory. A store
///   in memory has nothing to wait for.
///
/// # Staged bytes
///
/// Nothing that is written is visible before it is committed. [`writer`](Self::writer) takes one of three
/// modes:
///
/// | [`WriteMode`] | Begins | Ends |
/// |---|---|---|
/// | [`Direct`](WriteMode::Direct) | at zero bytes | `commit` or `cancel`; it is never closed |
/// | [`Stage`](WriteMode::Stage) | at zero bytes | `close`, which creates the stage of its path and never replaces one; `commit` or `cancel` |
/// | [`Resume`](WriteMode::Resume) | after the bytes of a [`Staged`] | `close`, which replaces the stage; `commit` or `cancel`, which use it up |
///
/// A path has one stage: what the last close kept. A [`Staged`] is the value of a stage. An operation on it
/// applies to exactly these bytes, or fails with `NotFound` or `Conflict`. [`close`](FileWriter::close) returns
/// it, and [`find_staged`](Self::find_staged) finds it in any other process.
/// [`commit_staged`](Self::commit_staged) makes the bytes visible without a writer.
/// [`list_staged`](Self::list_staged) and [`delete_staged`](Self::delete_staged) are for stages that no caller
/// continues.
///
/// **Identity.** Closes of different bytes never give the same [`StageId`](crate::StageId), whatever their path
/// and size. So a hash that was remembered with an id is the hash of the bytes that have this id, at any
/// instance. A driver makes the id from something unique in its store, such as a UUID in a file's name or in an
/// object's metadata. [`Staged::state`] belongs to the driver: the name or the ETag by which it finds the
/// bytes. Two values of one stage may differ in it, so compare ids.
///
/// # Wrappers
///
/// A wrapper is a driver that passes its calls on to another one. [`Checked`](crate::Checked) is one. An `Arc`
/// or a `Box` of a driver is a driver, too.
///
/// - It forwards every method, including those with a default. A default is right but slow, and does not know
///   URLs and foreign names. `#[deny(clippy::missing_trait_methods)]` on the `impl` finds a missing one.
/// - It also wraps the [`FileWriter`] if it counts, limits or changes bytes. After an error it commits nothing.
/// - It asks for [`capabilities`](Self::capabilities) each time, because a driver learns some of them from its
///   store.
/// - It returns a [`Staged`] as it got it. A wrapper that changes paths changes [`Staged::path`], both ways.
#[async_trait]
pub trait StorageDriver: fmt::Debug + Send + Sync + 'static {
    /// Returns the driver's short name, used in errors and spans: `filesystem`, `s3`, …
    fn name(&self) -> &'static str;

    /// Returns what this driver offers beyond the minimum that the contract requires.
    fn capabilities(&self) -> Capabilities;

    /// Returns what the store calls the permissions that a registry needs. The default names no store.
    fn permissions(&self) -> &'static Permissions {
        &Permissions::ANY
    }

    /// Reads a whole small file, such as a link or a manifest.
    ///
    /// # Behavior
    /// - `get_content_returns_what_was_put`: returns the exact bytes of the last completed write.
    /// - `get_content_missing_is_not_found`: also if only files below the path exist.
    /// - `get_content_over_limit_is_too_large`: fails with `TooLarge` for a file of more than `limit` bytes,
    ///   without reading all of it.
    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes>;

    /// Writes a whole small file. It is durable when the call returns.
    ///
    /// # Behavior
    /// - `put_content_replaces_completely`: shorter content leaves nothing of longer content.
    /// - `put_content_is_atomic`: a concurrent reader sees the old or the new bytes, never a mixture and never
    ///   an empty file.
    /// - `put_content_create_only_keeps_the_first`: with [`PutMode::CreateOnly`](crate::PutMode::CreateOnly),
    ///   fails with `AlreadyExists` if a file is at the path, and leaves it untouched. Of concurrent writers
    ///   exactly one wins.
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

    /// Opens a file for reading. Size and time come with the stream, in one round trip.
    ///
    /// # Behavior
    /// - `reader_streams_the_range`: yields exactly the bytes of `range`, cut at the end of the file.
    /// - `reader_at_the_end_is_empty`: an offset equal to the size yields no bytes.
    /// - `reader_beyond_the_end_is_invalid_offset`: a larger offset fails with `InvalidOffset`.
    /// - `reader_missing_is_not_found`.
    /// - `reader_survives_replacement`: if the file is replaced or deleted meanwhile, yields its old bytes to
    ///   the end, or an error; never bytes of both.
    /// - `reader_never_ends_early`: a stream of fewer bytes than announced ends in an error.
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
    ///   that holds only staged bytes may be seen as a directory.
    /// - `writer_does_not_disturb_others`: several writers may be open for one path. The last commit wins as a
    ///   whole, and no writer takes away a stage that it did not resume.
    /// - `writer_first_close_creates`: of several writers in [`WriteMode::Stage`] for one path, one can be
    ///   closed. For the others `close` fails with `Conflict`, and the stage of the first stays as it is. If
    ///   the driver has no conditional writes, two closes at the same moment may both succeed. Then one of
    ///   the two stages is found.
    /// - `writer_resume_goes_on_after_exactly_these`: [`WriteMode::Resume`] goes on after the bytes that the
    ///   [`Staged`] names, also in another process. Later bytes of a writer that was dropped or killed do not
    ///   count.
    /// - `writer_resume_of_what_is_gone_is_refused`: fails with `NotFound` or `Conflict` if the bytes were
    ///   committed, continued, replaced or deleted meanwhile: at once, or at the close or commit at the latest.
    /// - `writer_resume_is_exclusive`: of two writers that resume the same bytes, one can be closed. The other
    ///   gets `Conflict`, when it is opened or at its close, and has not touched what the first has closed.
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

    /// Finds the bytes that the last close for a path kept. Takes one request.
    ///
    /// # Behavior
    /// - `find_staged_finds_what_was_closed`: path, size and identity are those that the close returned, in
    ///   every instance. It says nothing about open writers.
    /// - `find_staged_of_nothing_is_not_found`: also if a visible file is at the path.
    async fn find_staged(&self, path: &StoragePath) -> Result<Staged>;

    /// Makes staged bytes visible at a path, all at once, without resending them if the store can copy.
    ///
    /// They are durable when the call returns. The stage is used up, or stays as it was. A caller that needs it
    /// gone deletes it with [`delete_many`](Self::delete_many) or [`delete`](Self::delete), and may commit it
    /// again before.
    ///
    /// # Behavior
    /// - `commit_staged_makes_exactly_these_visible`: at the path that they were staged for, or at another one.
    /// - `commit_staged_of_others_is_refused`: fails with `NotFound` or `Conflict` if the bytes were committed,
    ///   continued, replaced or deleted meanwhile. Then nothing is visible, and never other bytes.
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

    /// Describes a file. A directory counts as missing.
    ///
    /// # Behavior
    /// - `stat_file`: returns the size, and the store's time of the last change.
    /// - `stat_directory_is_not_found`: and so is the root.
    /// - `stat_missing_is_not_found`: `/a` is missing if only `/ab` exists.
    async fn stat(&self, path: &StoragePath) -> Result<FileInfo>;

    /// Lists one level, in byte order of the names.
    ///
    /// # Behavior
    /// - `list_yields_direct_children_in_order`: each child once, files and directories together, in byte order
    ///   of the name alone (`a` before `a-b`, also if `a` is a directory).
    /// - `list_starts_after`: only names greater than `after`, which does not have to exist.
    /// - `list_missing_is_not_found`: unless `after` is given; then an empty stream is allowed.
    /// - `list_root_always_succeeds`: an empty store has an empty root.
    /// - `list_of_a_file_is_not_found`.
    /// - Memory is bounded by a page. The filesystem holds one directory's names.
    ///
    /// The default uses [`walk`](Self::walk), which reads everything below, and holds one directory's names. It
    /// is right for any store, but slow for a large one. A store that lists by levels overrides it.
    fn list<'a>(&'a self, path: &'a StoragePath, after: Option<&'a str>) -> BoxStream<'a, Result<Entry>> {
        derived::list(self, path, after)
    }

    /// Lists all files below a path, in byte order of the whole path (`/a-b/x` before `/a/x`).
    ///
    /// # Behavior
    /// - `walk_yields_all_files_in_order`: every file below `path` with size and time, without directories.
    /// - `walk_starts_after`: only paths greater than `after`.
    /// - `walk_missing_is_not_found`: unless `after` is given. The root of an empty store is empty.
    /// - `walk_tolerates_concurrent_deletes`: files that vanish meanwhile are skipped. Any other error ends the
    ///   stream with that error.
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

    /// Finds the directories below a path that have a child whose name begins with `marker`.
    ///
    /// It never looks below such a child. So repositories are found (`_layers`, `_manifests`) at a cost that
    /// does not grow with their content. Object stores list with the delimiter `/` + `marker` (ADR 0005).
    ///
    /// # Behavior
    /// - `find_directories_finds_directories`: each one once, including nested ones. `path` itself is not reported.
    /// - `find_directories_is_depth_first`: in order of their components (`a/b` before `a-b`).
    /// - `find_directories_starts_after`: only directories later than `after` in that order.
    /// - `find_directories_missing_is_empty`.
    ///
    /// The default makes one [`list`](Self::list) for each directory whose own name does not begin with
    /// `marker`, and holds the names of one directory on each level. It suits a store without such a delimiter
    /// that implements `list` itself.
    fn find_directories<'a>(
        &'a self,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<StoragePath>> {
        derived::find_directories(self, path, marker, after)
    }

    /// Deletes a file, or a directory with everything below it, including staged bytes.
    ///
    /// A driver may leave entries that are deeper than any path reaches, and the directories above them. Then
    /// it fails with [`InvalidPath`](crate::ErrorKind::InvalidPath).
    ///
    /// # Behavior
    /// - `delete_removes_recursively`: afterwards the path is missing, and so are directories above it that
    ///   became empty.
    /// - `delete_keeps_siblings`: deleting `/a` never touches `/ab`, `/a-b`, `/a.b`.
    /// - `delete_missing_is_not_found`.
    /// - `delete_removes_staged_bytes`: those for the path and those below it. If nothing else is there, they
    ///   are removed too. The answer is then `NotFound`, as staged bytes are invisible, or success, if the store
    ///   has a directory for them. So a caller that only wants it gone accepts both
    ///   ([`delete_if_exists`](crate::StorageDriverExt::delete_if_exists)).
    async fn delete(&self, path: &StoragePath) -> Result<()>;

    /// Deletes single files and stages, in batches if the store has them.
    ///
    /// A missing file counts as deleted. A directory is left alone. It is reported as failed if the driver
    /// can tell it apart from a missing file without extra cost.
    ///
    /// # Behavior
    /// - `delete_many_reports_each_failure`: the call itself fails only if nothing was tried.
    /// - `delete_many_ignores_missing_files`: and missing stages. Directories that became empty are missing
    ///   too.
    /// - `delete_many_deletes_stages`: the given ones, and none of another path; also what the commit of a
    ///   stage left. A store that deletes by name may also delete a stage that was closed in its place
    ///   meanwhile: a caller that deletes a stage has ended the session that it belongs to.
    ///
    /// The default makes one [`stat`](Self::stat) and one [`delete`](Self::delete) for each file, which includes
    /// what is staged for it, and one [`find_staged`](Self::find_staged) and one
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

    /// Finds what unfinished writers have staged below a path.
    ///
    /// Yields for each stage its target path, its size and its last change, in no particular order. A path that
    /// was staged more than once comes more than once.
    ///
    /// # Behavior
    /// - `list_staged_finds_what_was_closed`: stages that wait to be resumed, at the path itself and below it.
    ///   Also those of open or killed writers, if the store keeps them. Never visible files.
    /// - `list_staged_yields_every_stage`: at the path and below it, however many there are. A stream that ends
    ///   without an error is complete: if the store's next page fails, the stream ends with that error.
    /// - `list_staged_tolerates_concurrent_deletes`: stages that vanish meanwhile do not end it.
    /// - `list_staged_of_nothing_is_empty`: also for a missing path.
    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>>;

    /// Finds what other programs put below a path under names that a [`StoragePath`] cannot have.
    ///
    /// Such names are `@eaDir` or `link~`, or paths longer than its 900 bytes. Every other method passes over
    /// them. Each item is a whole path as text, in no particular order. The driver does not look below such a
    /// directory.
    ///
    /// # Behavior
    /// - `list_foreign_finds_no_path`: never reports what a path can name. A missing path has nothing below it.
    ///
    /// The default finds none, which is right for a store that only this program writes to.
    fn list_foreign<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<String>> {
        let _ = path;
        stream::empty().boxed()
    }

    /// Deletes what was staged for a path and last changed before `before`, in the store's clock.
    ///
    /// Returns the number of deleted stages. A visible file is untouched.
    ///
    /// # Behavior
    /// - `delete_staged_keeps_younger_stages`: those that changed at `before` or later.
    /// - `delete_staged_keeps_the_visible_file`: and everything that is staged for other paths.
    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize>;

    /// Returns a URL at which the store itself serves the file for a while, or `None` if it cannot.
    ///
    /// The default returns `None`.
    ///
    /// # Behavior
    /// - `redirect_url_serves_the_file_or_is_none`: for GET and HEAD; the URL is a secret.
    async fn redirect_url(&self, path: &StoragePath, method: &http::Method) -> Result<Option<Url>> {
        let _ = (path, method);
        Ok(None)
    }
}

/// A file that is being written.
///
/// `close`, `cancel` and `commit` consume it, so a write after any of them does not compile. If it is dropped
/// without any of them, it behaves like a killed process: its bytes do not count.
///
/// The first error is final: after it, every call but `cancel` fails, and nothing is ever committed
/// ([`Checked`](crate::Checked) enforces it).
#[async_trait]
pub trait FileWriter: fmt::Debug + Send {
    /// Appends bytes. Returns when the writer has taken them over, not when they are stored, so the caller can
    /// hash the next piece meanwhile.
    async fn write(&mut self, chunk: Bytes) -> Result<()>;

    /// Returns the total number of bytes, including those that it resumed.
    fn size(&self) -> u64;

    /// Makes everything written durable and keeps it, still invisible.
    ///
    /// It is for [`WriteMode::Resume`] and [`commit_staged`](StorageDriver::commit_staged). A writer in
    /// [`WriteMode::Direct`] is never closed.
    ///
    /// # Behavior
    /// - `writer_close_is_durable_and_invisible`.
    /// - `writer_close_gives_an_identity_of_its_own`: no two closes of different bytes give the same one.
    async fn close(self: Box<Self>) -> Result<Staged>;

    /// Throws away what was written and what was resumed. A visible file is untouched.
    ///
    /// # Behavior
    /// - `writer_cancel_leaves_nothing`.
    async fn cancel(self: Box<Self>) -> Result<()>;

    /// Makes exactly [`size`](Self::size) bytes visible at a path, all at once, durable when it returns.
    ///
    /// The path is the writer's, or another one for content whose name is known only at the end (ADR 0004).
    ///
    /// # Cancel safety
    /// If the call is dropped, all of the file becomes visible or nothing. A stage that was resumed is gone, is as
    /// it was closed, or holds the whole file and can only be committed or deleted: the commit had begun.
    ///
    /// # Behavior
    /// - `writer_commit_is_visible_and_whole`: also for zero bytes.
    /// - `writer_commit_to_another_path`: the bytes are visible there. Nothing is left at the writer's own
    ///   path.
    async fn commit(self: Box<Self>, to: &StoragePath) -> Result<()>;
}
