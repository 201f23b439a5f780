//! The storage driver contract.
//!
//! A driver maps [`StoragePath`]s to the objects of one store. Everything above it (registry, pool,
//! copy) is written against this trait alone, and the conformance suite proves each `# Behavior`
//! bullet by a function of the same name. The registry wraps every driver in
//! [`Checked`](crate::Checked), which applies the path rules, names errors, counts and traces, so a
//! driver does not repeat that.
//!
//! Rules for every method:
//!
//! - **Cancel safety**: dropping the returned future or stream leaves the store as before the call
//!   or as after it, and never holds a lock. Bytes that were staged for it are invisible and are
//!   cleaned up by the next `delete` of their directory at the latest.
//! - **At rest**: an open driver makes no request of its own and runs no task.
//! - **Errors**: [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) only when the store said so.
//! - **Memory**: a stream or a writer holds a few pieces of at most some MiB, stated by the driver.

mod derived;

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
    options::{Capabilities, PutMode, StageId, WriteOptions},
    path::StoragePath,
};

/// One store, seen as a tree of immutable or replaced-as-a-whole files.
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
    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader>;

    /// Stages a file of any size. Nothing is visible at the path before the writer's commit.
    ///
    /// # Behavior
    /// - `writer_is_invisible_before_commit`: to `stat`, `list`, `walk`, `reader`, `get_content`. A directory
    ///   that holds nothing but staged bytes may be seen as a directory.
    /// - `writer_create_forgets_an_earlier_stage`: [`WriteMode::Create`](crate::WriteMode::Create) starts at zero bytes;
    ///   committing or closing it replaces what an earlier unfinished writer staged for the path.
    /// - `writer_create_does_not_disturb_others`: several writers may be open on one path; the last
    ///   commit wins as a whole.
    /// - `writer_resume_continues_at_the_closed_size`: [`WriteMode::Resume`](crate::WriteMode::Resume) goes on at exactly the
    ///   size reached at the last successful [`FileWriter::close`], also in another process.
    /// - `writer_resume_cuts_a_torn_tail`: bytes written after that close by a writer that was
    ///   dropped or killed do not count.
    /// - `writer_resume_without_a_stage_is_not_found`.
    /// - `writer_resume_continues_a_committed_empty_file`: a visible file of zero bytes may be resumed;
    ///   a visible file with bytes, and no stage, gives `AlreadyExists`.
    /// - `writer_resume_is_exclusive`: while one resumed writer is open, another gets `Conflict`; where
    ///   [`Capabilities::exclusive_resume`] does not say so, the second to close gets it.
    /// - `writer_commit_create_only_keeps_the_first`: with [`PutMode::CreateOnly`](crate::PutMode::CreateOnly), commit gives
    ///   `AlreadyExists` when a file is at the path, and leaves it untouched.
    /// - `writer_sealed_commits_the_very_stage`: with [`WriteOptions::sealed`](crate::WriteOptions::sealed), exactly the
    ///   bytes of the stage that the writer names become visible, at its own path or at another one. A stage that
    ///   another process replaced, continued or removed meanwhile gives `Conflict` or `NotFound` at the commit at
    ///   the latest, and never its other bytes.
    async fn writer(&self, path: &StoragePath, options: WriteOptions) -> Result<Box<dyn FileWriter>>;

    /// Describes a file or a directory.
    ///
    /// # Behavior
    /// - `stat_file`: size, and the store's time of the last change.
    /// - `stat_directory`: a path with files below it is a directory of size 0.
    /// - `stat_missing_is_not_found`: `/a` is missing when only `/ab` exists.
    /// - `stat_root_always_succeeds`.
    ///
    /// By default [`stat_file`](Self::stat_file), and for what is no file the first step of a
    /// [`walk`](Self::walk).
    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        derived::stat(self, path).await
    }

    /// Describes a file; a directory is missing. One request where [`stat`](Self::stat) may need two.
    ///
    /// # Behavior
    /// - `stat_file_alone`: as `stat` for a file.
    /// - `stat_file_of_a_directory_is_not_found`: as for what is missing, and for the root.
    async fn stat_file(&self, path: &StoragePath) -> Result<FileInfo>;

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

    /// Moves one file. Durable when it returns.
    ///
    /// # Behavior
    /// - `rename_moves_and_overwrites`: the target has the source's bytes; the source is gone.
    /// - `rename_missing_source_is_not_found`: and the target is untouched. A directory is no source.
    /// - Not atomic on object stores (copy, check, delete): both may exist after a crash, never none.
    async fn rename(&self, from: &StoragePath, to: &StoragePath) -> Result<()>;

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

    /// Deletes single files, in batches where the store has them. A missing file counts as deleted; a
    /// directory is left alone, and is reported as failed where it costs nothing to tell it from a missing file.
    ///
    /// # Behavior
    /// - `delete_many_reports_each_failure`: the call itself fails only when nothing was tried.
    /// - `delete_many_ignores_missing_files`.
    async fn delete_many(&self, paths: Vec<StoragePath>) -> Result<DeleteReport>;

    /// Deletes a directory that holds nothing but `files` and what is staged for them, as the caller knows: one
    /// request where a store has to list a directory before it deletes it. By default [`delete`](Self::delete)
    /// of the directory; what is missing counts as deleted.
    ///
    /// # Behavior
    /// - `delete_known_removes_files_and_stages`: afterwards the files and their stages are missing, also the
    ///   stage that the commit of a [sealed](crate::WriteOptions::sealed) writer left, and the directory too if it
    ///   held nothing else. Other files of the directory may go or stay.
    /// - `delete_known_ignores_what_is_missing`: files, stages, the directory.
    async fn delete_known(&self, directory: &StoragePath, files: &[StoragePath]) -> Result<()> {
        let _ = files;
        match self.delete(directory).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
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

/// A staged file. Consumed by `close`, `cancel`, `commit` or `commit_to`, so a write after any of
/// them does not compile. Dropped without any of them, it behaves like a killed process: its bytes
/// since the last `close` do not count.
///
/// The first error is final: after it, every call fails, and nothing is ever committed
/// ([`Checked`](crate::Checked) enforces it).
#[async_trait]
pub trait FileWriter: fmt::Debug + Send {
    /// Appends bytes. Returns when the writer took them over, not when they are stored, so the caller
    /// can hash the next piece meanwhile.
    async fn write(&mut self, chunk: Bytes) -> Result<()>;

    /// Bytes staged in all, those of earlier writers of the same stage included.
    fn size(&self) -> u64;

    /// Identifies the stage that this writer resumed; `None` for a new one, or where the store cannot tell.
    ///
    /// # Behavior
    /// - `writer_stage_id_tells_stages_apart`: what `close` gave is what the writer that resumes it says; a
    ///   stage that was created anew has another one, even with the same size at the same path.
    fn stage_id(&self) -> Option<StageId>;

    /// Makes everything written durable and keeps it for [`WriteMode::Resume`](crate::WriteMode::Resume); still invisible. Gives the
    /// identity of what was kept.
    ///
    /// # Behavior
    /// - `writer_close_is_durable_and_invisible`.
    async fn close(self: Box<Self>) -> Result<Option<StageId>>;

    /// Throws the stage away. The visible file, if any, is untouched.
    ///
    /// # Behavior
    /// - `writer_cancel_leaves_nothing`: a later resume gives `NotFound`.
    async fn cancel(self: Box<Self>) -> Result<()>;

    /// Makes exactly [`size`](Self::size) bytes visible at the writer's path, at once and whole.
    /// Durable when it returns.
    ///
    /// # Behavior
    /// - `writer_commit_is_visible_and_whole`: also for zero bytes.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Like [`commit`](Self::commit), but makes the bytes visible at `path`: for content whose name is
    /// known only at the end. Cheaper than a commit and a rename (ADR 0004).
    ///
    /// # Behavior
    /// - `writer_commit_to_another_path`: visible there, whole; nothing is left at the writer's own path, except
    ///   that a [sealed](crate::WriteOptions::sealed) writer may leave its stage.
    async fn commit_to(self: Box<Self>, path: &StoragePath) -> Result<()>;
}
