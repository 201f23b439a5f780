//! A staged file: invisible bytes beside their target. Everything here blocks.

use std::{
    fs::{File, TryLockError},
    io::{self, IoSlice},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use plugin_registry_core::{Error, ErrorKind, PutMode, Result, StageId, Staged, StoragePath};
use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT},
    io::Errno,
};
use uuid::Uuid;

use crate::{
    error,
    job::CancelFlag,
    names,
    root::{self, Root},
};

/// How many scans in a row must find nothing: a scan during the rename of a close may miss both names.
const SCANS: usize = 5;

/// How long to wait for a lock. A writer that was dropped in the middle of a piece keeps its lock until that
/// piece is written.
const PATIENCE: Duration = Duration::from_millis(200);

/// A staged file that is being written. Dropping a new one removes it. One that was closed before stays and can
/// be resumed again.
#[derive(Debug)]
pub(crate) struct Stage {
    root: Arc<Root>,
    parent: StoragePath,
    dir: File,
    /// Unique: no other stage ever has this name.
    name: String,
    file: File,
    size: u64,
    /// Whether it was never closed, so that dropping it removes it.
    is_new: bool,
}

impl Stage {
    /// Creates a new stage beside `target`.
    pub(crate) fn create(root: &Arc<Root>, target: &StoragePath) -> Result<Self> {
        let (parent, name) = names::split(target)?;
        let name = names::tmp(name, &Uuid::new_v4());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(root.config.file_mode);
        let (dir, file) = root
            .in_dir(&parent, |dir| Ok(rustix::fs::openat(dir, &name, flags, mode)?))
            .map_err(error::write)?;
        Ok(Self { root: root.clone(), parent, dir, name, file: file.into(), size: 0, is_new: true })
    }

    /// Resumes a stage that was closed. Locks it against every other writer and discards what was written
    /// since.
    ///
    /// # Errors
    /// `NotFound` or `Conflict` if it was committed, continued or deleted; `Conflict` if another writer has it
    /// open; `Corrupted` if bytes are missing.
    pub(crate) fn resume(root: &Arc<Root>, staged: &Staged) -> Result<Self> {
        let (parent, target) = names::split(&staged.path)?;
        let id = Uuid::try_parse(staged.state()).map_err(|_| ErrorKind::NotFound)?;
        let name = names::part(target, &id, staged.size);
        let gone = || match Parts::find(root, &staged.path)?.largest() {
            Some(_) => Err(gone()),
            None => Err(ErrorKind::NotFound.into()),
        };
        let dir = root.open_dir(&parent).map_err(error::read)?;
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = match rustix::fs::openat(&dir, &name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return gone(),
            file => file.map_err(|error| error::write(error.into()))?.into(),
        };
        lock(&file)?;
        // The previous holder of the lock may have closed, committed or cancelled it.
        if !is_at(&file, &dir, &name) {
            return gone();
        }
        let (stored, size) = (file.metadata().map_err(error::read)?.len(), staged.size);
        if stored < size {
            let message = format!("only {stored} of the {size} acknowledged bytes are staged");
            return Err(Error::new(ErrorKind::Corrupted).with_message(message));
        }
        if stored > size {
            // A writer that was dropped or killed wrote this after the last close.
            file.set_len(size).map_err(error::write)?;
        }
        Ok(Self { root: root.clone(), parent, dir, name, file, size, is_new: false })
    }

    /// Whether it was never closed.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Writes the chunks at the end, in as few calls as the system allows.
    pub(crate) fn append(&mut self, chunks: &[Bytes]) -> Result<()> {
        let chunks = chunks.iter().filter(|chunk| !chunk.is_empty());
        let mut slices: Vec<IoSlice<'_>> = chunks.map(|chunk| IoSlice::new(chunk)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            match rustix::io::pwritev(&self.file, rest, self.size) {
                Ok(0) => return Err(error::write(io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    self.size += written as u64;
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error::write(error.into())),
            }
        }
        Ok(())
    }

    /// Makes the bytes final. `touch` says that they were written over some time, and sets the file's time to
    /// now.
    pub(crate) fn seal(&self, touch: bool) -> Result<()> {
        self.seal_io(touch).map_err(error::write)
    }

    fn seal_io(&self, touch: bool) -> io::Result<()> {
        if !self.root.config.umask {
            rustix::fs::fchmod(&self.file, Mode::from_raw_mode(self.root.config.file_mode))?;
        }
        if touch {
            let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
            let times = Timestamps { last_access: time(UTIME_OMIT), last_modification: time(UTIME_NOW) };
            rustix::fs::futimens(&self.file, &times)?;
        }
        if self.root.config.durable { self.file.sync_all() } else { Ok(()) }
    }

    /// Makes the sealed bytes visible at `target`, for good. The stage's name belongs to this stage alone: if
    /// the name is gone, so are the bytes, and the error is `Conflict`.
    ///
    /// A crash before the rename leaves the stage as it is. A crash after it leaves the whole file at the
    /// target, or still the stage, as the directory may not be synced yet.
    pub(crate) fn publish(
        mut self,
        target: &StoragePath,
        mode: PutMode,
        abandoned: &CancelFlag,
    ) -> Result<()> {
        abandoned.check()?;
        let (parent, name) = names::split(target)?;
        let moved = if parent == self.parent {
            rename(&self.dir, &self.name, &self.dir, name, mode).map(|()| None)
        } else {
            let renamed = self.root.in_dir(&parent, |dir| {
                rename(&self.dir, &self.name, dir, name, mode).map_err(|error| match error.kind() {
                    // Either directory may have gone. If ours has, there is nothing to retry.
                    io::ErrorKind::NotFound if root::stat_at(&self.dir, &self.name).is_err() => {
                        Errno::STALE.into()
                    }
                    _ => error,
                })
            });
            renamed.map(|(dir, ())| Some(dir))
        };
        let dir = moved.map_err(rename_error)?;
        self.is_new = false;
        if dir.is_some() {
            self.root.prune(&self.parent);
        }
        self.root.sync_entry(dir.as_ref().unwrap_or(&self.dir), &parent).map_err(error::write)
    }

    /// Keeps the sealed bytes of `path` for a later resume, under a name that was never used before. If a path
    /// has several new stages, one is kept and the others get `Conflict`.
    pub(crate) fn persist(mut self, path: &StoragePath, abandoned: &CancelFlag) -> Result<Staged> {
        abandoned.check()?;
        let id = Uuid::new_v4();
        let (_, name) = names::split(path)?;
        let part = names::part(name, &id, self.size);
        // No other part can appear between the look and the rename. A filesystem without locks does without
        // this.
        lock(&self.dir)?;
        if self.is_new && Parts::find_in(&self.dir, name).map_err(error::read)?.next().is_some() {
            return Err(Error::new(ErrorKind::Conflict).with_message("another writer has closed a stage"));
        }
        rename(&self.dir, &self.name, &self.dir, &part, PutMode::Overwrite).map_err(rename_error)?;
        self.is_new = false;
        // The next writer does not have to wait for the disk.
        let _ = self.dir.unlock();
        self.root.sync_entry(&self.dir, &self.parent).map_err(error::write)?;
        Ok(staged(path, &id, self.size))
    }

    /// Removes the stage, even if it was closed before.
    pub(crate) fn remove(mut self) -> Result<()> {
        self.is_new = false;
        let removed = rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty());
        error::ignore_missing(removed.map_err(Into::into)).map_err(error::write)?;
        self.root.prune(&self.parent);
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.is_new {
            // If it cannot be removed, it stays invisible and is deleted with its directory.
            let _ = rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty());
            self.root.prune(&self.parent);
        }
    }
}

/// The parts that closed writers of one file left to be resumed, as of one moment. The call must not remove
/// parts that another writer closes later.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    dir: Option<File>,
    found: Vec<Part>,
}

/// A stage that waits to be resumed. Ordered by size.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    size: u64,
    id: Uuid,
}

impl Parts {
    pub(crate) fn find(root: &Root, path: &StoragePath) -> Result<Self> {
        let (parent, name) = names::split(path)?;
        let dir = match root.open_dir(&parent) {
            Err(error) if error::is_missing(&error) => return Ok(Self::default()),
            dir => dir.map_err(error::read)?,
        };
        let found = Self::find_in(&dir, name).map_err(error::read)?.collect();
        Ok(Self { dir: Some(dir), found })
    }

    fn find_in(dir: &File, name: &str) -> io::Result<impl Iterator<Item = Part>> {
        let mut found = Vec::new();
        for entry in rustix::fs::Dir::read_from(dir)? {
            let entry = entry?;
            let Ok(candidate) = entry.file_name().to_str() else { continue };
            let Some((id, size)) = names::parse_part(name, candidate) else { continue };
            // A directory may have such a name and is ignored.
            if root::stat_at(dir, candidate).is_ok_and(|stat| root::is_file(&stat)) {
                found.push(Part { size, id });
            }
        }
        Ok(found.into_iter())
    }

    /// The part to continue with. Only a filesystem without locks can let two first writers close at once and
    /// leave several. The largest is taken, so that no acknowledged size is ever undercut.
    fn largest(self) -> Option<Part> {
        self.found.into_iter().max()
    }

    pub(crate) fn remove(&self, path: &StoragePath) -> Result<()> {
        let (Some(dir), (_, name)) = (&self.dir, names::split(path)?) else { return Ok(()) };
        self.found.iter().try_for_each(|Part { size, id }| unlink(dir, &names::part(name, id, *size)))
    }
}

/// Finds the stage of a path.
///
/// # Errors
/// `NotFound`.
pub(crate) fn find(root: &Root, path: &StoragePath) -> Result<Staged> {
    for _ in 0..SCANS {
        let parts = Parts::find(root, path)?;
        let is_over = parts.dir.is_none();
        if let Some(Part { size, id }) = parts.largest() {
            return Ok(staged(path, &id, size));
        }
        if is_over {
            break;
        }
        thread::yield_now();
    }
    Err(ErrorKind::NotFound.into())
}

/// Removes a stage. A missing stage is not an error.
pub(crate) fn delete(root: &Root, staged: &Staged) -> Result<()> {
    let (parent, name) = names::split(&staged.path)?;
    let Ok(id) = Uuid::try_parse(staged.state()) else { return Ok(()) };
    let dir = match root.open_dir(&parent) {
        Err(error) if error::is_missing(&error) => return Ok(()),
        dir => dir.map_err(error::write)?,
    };
    unlink(&dir, &names::part(name, &id, staged.size))?;
    root.prune(&parent);
    Ok(())
}

fn staged(path: &StoragePath, id: &Uuid, size: u64) -> Staged {
    Staged::new(path.clone(), size, StageId::of(id.as_bytes())).with_state(id.to_string())
}

fn unlink(dir: &File, name: &str) -> Result<()> {
    let removed = rustix::fs::unlinkat(dir, name, AtFlags::empty()).map_err(Into::into);
    error::ignore_missing(removed).map_err(error::write)
}

/// Locks a file or a directory against other processes and other writers of this process, until it is closed. A
/// filesystem without locks does without.
fn lock(file: &File) -> Result<()> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => thread::sleep(PATIENCE / 40),
            Err(TryLockError::WouldBlock) => {
                let message = "another writer that resumed this stage is still open";
                return Err(Error::new(ErrorKind::Conflict).with_message(message));
            }
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
        }
    }
}

/// Whether `file` is the one at a name.
fn is_at(file: &File, dir: &File, name: &str) -> bool {
    let (Ok(found), Ok(ours)) = (root::stat_at(dir, name), rustix::fs::fstat(file)) else { return false };
    (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)
}

fn gone() -> Error {
    Error::new(ErrorKind::Conflict)
        .with_message("the staged bytes were committed, replaced or deleted meanwhile")
}

fn rename_error(error: io::Error) -> Error {
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::STALE) => gone().with_source(error),
        _ => error::write(error),
    }
}

/// Renames a file. Never follows a link at either name.
fn rename(from: &File, old: &str, to: &File, new: &str, mode: PutMode) -> io::Result<()> {
    if mode == PutMode::Overwrite {
        return Ok(rustix::fs::renameat(from, old, to, new)?);
    }
    let renamed = match rustix::fs::renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        // The filesystem or the kernel does not know the flag. A hard link never replaces anything either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            rustix::fs::linkat(from, old, to, new, AtFlags::empty())
                .and_then(|()| rustix::fs::unlinkat(from, old, AtFlags::empty()))
        }
        renamed => renamed,
    };
    match renamed {
        Err(Errno::EXIST) if root::stat_at(to, new).is_ok_and(|stat| root::is_dir(&stat)) => {
            Err(Errno::ISDIR.into())
        }
        renamed => Ok(renamed?),
    }
}
