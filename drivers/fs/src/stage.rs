//! A staged file: invisible bytes beside their target. Everything here blocks.

use std::{
    fs::File,
    io::{self, IoSlice},
    sync::Arc,
};

use bytes::Bytes;
use plugin_registry_core::{Error, ErrorKind, PutMode, Result, StageId, StoragePath};
use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags, StatxFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT},
    io::Errno,
};

use crate::{
    error,
    job::Abandoned,
    names,
    root::{self, Root},
};

/// A staged file that is being written. Dropped, a new one is removed; one that was closed before stays
/// for the next to resume.
#[derive(Debug)]
pub(crate) struct Stage {
    root: Arc<Root>,
    parent: StoragePath,
    dir: File,
    name: String,
    file: File,
    size: u64,
    /// Whether dropping it removes it.
    temporary: bool,
}

impl Stage {
    /// A new stage beside `target`.
    pub(crate) fn create(root: &Arc<Root>, target: &StoragePath) -> Result<Self> {
        let (parent, name) = names::split(target)?;
        let name = names::tmp(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(root.config.file_mode);
        let (dir, file) = root
            .in_dir(&parent, |dir| Ok(rustix::fs::openat(dir, &name, flags, mode)?))
            .map_err(error::write)?;
        Ok(Self { root: root.clone(), parent, dir, name, file: file.into(), size: 0, temporary: true })
    }

    /// A stage of `size` bytes that waits in the directory `parent` under `name`, already open.
    pub(crate) fn resumed(
        root: &Arc<Root>,
        parent: StoragePath,
        dir: File,
        name: String,
        file: File,
        size: u64,
    ) -> Self {
        Self { root: root.clone(), parent, dir, name, file, size, temporary: false }
    }

    /// Whether dropping it removes it.
    pub(crate) fn is_temporary(&self) -> bool {
        self.temporary
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

    /// Makes the bytes final. `touch` says that they were written over some time, and makes the file as
    /// old as this moment.
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

    /// Makes the sealed bytes visible at `target`, for good, and removes the `earlier` stages of the name.
    ///
    /// A crash before the rename leaves the stages as they are; one after it the whole file at the target,
    /// or, as the directory may not be synced yet, still the stages.
    pub(crate) fn place(
        mut self,
        target: &StoragePath,
        mode: PutMode,
        earlier: &Parts,
        abandoned: &Abandoned,
    ) -> Result<()> {
        self.require_own_name()?;
        abandoned.check()?;
        let (parent, name) = names::split(target)?;
        let moved = if parent == self.parent {
            rename(&self.dir, &self.name, &self.dir, name, mode).map(|()| None)
        } else {
            let renamed = self.root.in_dir(&parent, |dir| {
                rename(&self.dir, &self.name, dir, name, mode).map_err(|error| match error.kind() {
                    // Either directory may have gone. Without ours there is nothing to try again.
                    io::ErrorKind::NotFound if root::stat_at(&self.dir, &self.name).is_err() => {
                        Errno::STALE.into()
                    }
                    _ => error,
                })
            });
            renamed.map(|(dir, ())| Some(dir))
        };
        let dir = moved.map_err(rename_error)?;
        self.temporary = false;
        earlier.remove_except(&[&self.name])?;
        self.root.sync_entry(dir.as_ref().unwrap_or(&self.dir), &parent).map_err(error::write)
    }

    /// The identity of the staged file: its number and the moment it was made, for numbers are used again.
    /// `None` where the filesystem does not know that moment.
    pub(crate) fn id(&self) -> Option<StageId> {
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        let stat = rustix::fs::statx(&self.file, "", AtFlags::EMPTY_PATH, wanted).ok()?;
        let known = StatxFlags::from_bits_retain(stat.stx_mask).contains(wanted);
        let born = (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec);
        let device = (stat.stx_dev_major, stat.stx_dev_minor);
        known.then(|| StageId::of(format!("{device:?} {} {born:?}", stat.stx_ino)))
    }

    /// Keeps the sealed bytes of `name` for the next to resume, and removes the `earlier` stages of it.
    ///
    /// A crash before the end may leave several: then this call was not acknowledged, and any of them
    /// will do.
    pub(crate) fn keep(mut self, name: &str, earlier: &Parts, abandoned: &Abandoned) -> Result<()> {
        self.require_own_name()?;
        abandoned.check()?;
        let part = names::part(name, self.size);
        if part != self.name {
            rename(&self.dir, &self.name, &self.dir, &part, PutMode::Overwrite).map_err(rename_error)?;
        }
        self.temporary = false;
        earlier.remove_except(&[&self.name, &part])?;
        self.root.sync_entry(&self.dir, &self.parent).map_err(error::write)
    }

    /// Removes it, also one that was closed before.
    pub(crate) fn remove(mut self) -> Result<()> {
        if self.require_own_name().is_ok() {
            self.temporary = false;
            let removed = rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty());
            error::ignore_missing(removed.map_err(Into::into)).map_err(error::write)?;
        }
        Ok(())
    }

    /// Somebody else may have committed, cancelled or deleted what was closed before.
    fn require_own_name(&self) -> Result<()> {
        if self.temporary || is_at(&self.file, &self.dir, &self.name) { Ok(()) } else { Err(gone()) }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed stays invisible, and goes with its directory.
            let _ = rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty());
            self.root.prune(&self.parent);
        }
    }
}

/// What closed writers of one file left to be resumed, as it was at one moment: what another writer
/// closes later is not ours to remove.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    dir: Option<File>,
    found: Vec<(u64, String)>,
}

impl Parts {
    pub(crate) fn find(root: &Root, path: &StoragePath) -> Result<Self> {
        let (parent, name) = names::split(path)?;
        let dir = match root.open_dir(&parent) {
            Err(error) if error::is_missing(&error) => return Ok(Self::default()),
            dir => dir.map_err(error::read)?,
        };
        let find = || -> io::Result<Vec<(u64, String)>> {
            let mut found = Vec::new();
            for entry in rustix::fs::Dir::read_from(&dir)? {
                let entry = entry?;
                let Ok(candidate) = entry.file_name().to_str() else { continue };
                let Some(size) = names::part_size(name, candidate) else { continue };
                // A directory may have such a name, and is none of ours.
                if root::stat_at(&dir, candidate).is_ok_and(|stat| root::is_file(&stat)) {
                    found.push((size, candidate.to_owned()));
                }
            }
            Ok(found)
        };
        let found = find().map_err(error::read)?;
        Ok(Self { dir: Some(dir), found })
    }

    /// The one to resume. There are several only if a close was interrupted or two writers closed at
    /// once; the largest is taken, so that no acknowledged size is ever undercut.
    pub(crate) fn largest(self) -> Option<(File, String, u64)> {
        let (size, name) = self.found.into_iter().max()?;
        Some((self.dir?, name, size))
    }

    pub(crate) fn remove(&self) -> Result<()> {
        self.remove_except(&[])
    }

    fn remove_except(&self, kept: &[&str]) -> Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        for (_, name) in self.found.iter().filter(|(_, name)| !kept.contains(&name.as_str())) {
            let removed = rustix::fs::unlinkat(dir, name, AtFlags::empty()).map_err(Into::into);
            error::ignore_missing(removed).map_err(error::write)?;
        }
        Ok(())
    }
}

/// Whether both are the same file.
pub(crate) fn is_same(a: &File, b: &File) -> bool {
    let (Ok(a), Ok(b)) = (rustix::fs::fstat(a), rustix::fs::fstat(b)) else { return false };
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

/// Whether `file` is the one at a name.
pub(crate) fn is_at(file: &File, dir: &File, name: &str) -> bool {
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
pub(crate) fn rename(from: &File, old: &str, to: &File, new: &str, mode: PutMode) -> io::Result<()> {
    if mode == PutMode::Overwrite {
        return Ok(rustix::fs::renameat(from, old, to, new)?);
    }
    let renamed = match rustix::fs::renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        // The filesystem or the kernel does not know the flag; a link never replaces anything.
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
