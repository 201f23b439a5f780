//! Confined access to the root directory. Everything here blocks.

use std::{
    fs::{DirBuilder, File},
    io,
    os::{fd::AsFd, unix::fs::DirBuilderExt},
    path::Path,
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, SystemTime},
};

use cap_std::{
    ambient_authority,
    fs::{Dir, OpenOptions, OpenOptionsExt},
};
use plugin_registry_core::{Error, ErrorKind, FileInfo, Result, StoragePath, shown_path};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use tokio::sync::Semaphore;

use crate::{
    FsConfig,
    ancestors::Ancestors,
    cached, error,
    job::{CancelFlag, Job},
    names,
};

/// How often a creation is retried because its directory was empty and therefore removed meanwhile.
const RETRIES: usize = 64;

/// The open root directory.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) config: FsConfig,
    pub(crate) ancestors: Ancestors,
    /// The number of files that are open for streams.
    pub(crate) streams: Arc<AtomicUsize>,
    /// Whether data that the kernel has in memory is read in the caller's thread.
    pub(crate) is_cached: bool,
    permits: Arc<Semaphore>,
    dir: Dir,
}

impl Root {
    /// Opens the root. Writes nothing, except that it creates a missing root.
    pub(crate) fn open(config: FsConfig) -> Result<Self> {
        // A value that does not look like a path may be a secret in the wrong place.
        let shown = config.root.to_str().and_then(shown_path).unwrap_or("the root directory");
        let named = |error: Error| error.with_raw_path(shown).with_driver("filesystem");
        if config.root.as_os_str().is_empty() {
            let error = Error::new(ErrorKind::InvalidConfig).with_message("the root directory is not given");
            return Err(named(error));
        }
        let dir = match Dir::open_ambient_dir(&config.root, ambient_authority()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && config.create_root => {
                make_root(&config, &config.root).map_err(error::write).map_err(named)?;
                Dir::open_ambient_dir(&config.root, ambient_authority())
            }
            opened => opened,
        };
        let dir = dir.map_err(|source| {
            named(match source.kind() {
                io::ErrorKind::NotFound => {
                    Error::new(ErrorKind::NotFound).with_message("the root directory does not exist")
                }
                io::ErrorKind::NotADirectory => {
                    Error::new(ErrorKind::InvalidConfig).with_message("the root is not a directory")
                }
                _ => error::read(source),
            })
        })?;
        let threads = config.max_threads.clamp(1, Semaphore::MAX_PERMITS);
        let permits = Arc::new(Semaphore::new(threads));
        let is_cached = config.cached_reads && cached::is_local(&dir);
        let (streams, ancestors) = (Arc::default(), Ancestors::default());
        Ok(Self { permits, streams, ancestors, is_cached, dir, config })
    }

    /// Hands work over to the blocking pool.
    pub(crate) async fn start<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>, &CancelFlag) -> Result<T> + Send + 'static,
    ) -> Result<Job<T>> {
        let root = self.clone();
        Job::start(&self.permits, move |abandoned| work(&root, abandoned)).await
    }

    /// Runs work in the blocking pool.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.start(|root, _| work(root)).await?.await
    }

    /// Takes the result if there is one already, or runs blocking work.
    pub(crate) async fn cached_or<T: Send + 'static>(
        self: &Arc<Self>,
        at_hand: Option<Result<T>>,
        work: impl FnOnce(&Arc<Self>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match at_hand {
            Some(result) => {
                // A caller that asks for many things that are in memory, or known to be missing, yields to
                // the runtime.
                tokio::task::consume_budget().await;
                result
            }
            None => self.run(work).await,
        }
    }

    /// Runs work in the blocking pool that checks whether it is still wanted.
    pub(crate) async fn run_cancellable<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>, &CancelFlag) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.start(work).await?.await
    }

    pub(crate) fn dir(&self) -> impl AsFd + '_ {
        &self.dir
    }

    /// Opens a directory, to work in it, list it or sync it.
    pub(crate) fn open_dir(&self, path: &StoragePath) -> io::Result<File> {
        self.open_flags(path, OFlags::DIRECTORY)
    }

    /// Opens a visible regular file. A pipe does not block.
    pub(crate) fn open_file(&self, path: &StoragePath) -> Result<(File, FileInfo)> {
        let file = self.open_flags(path, OFlags::NONBLOCK | OFlags::NOCTTY).map_err(error::read)?;
        let stat = rustix::fs::fstat(&file).map_err(|error| error::read(error.into()))?;
        Ok((file, describe(path, &stat)?))
    }

    /// Describes a visible file.
    pub(crate) fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        describe(path, &self.stat_raw(path).map_err(error::read)?)
    }

    /// Describes what is at a path, after following all links.
    pub(crate) fn stat_raw(&self, path: &StoragePath) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(self.open_flags(path, OPEN_PATH)?)?)
    }

    fn open_flags(&self, path: &StoragePath, flags: OFlags) -> io::Result<File> {
        let relative = if path.is_root() { "." } else { path.as_relative() };
        // Flags are a bit mask. `std` takes the same bits as a signed number.
        let flags = flags.bits().cast_signed();
        let file = self.dir.open_with(relative, OpenOptions::new().read(true).custom_flags(flags))?;
        Ok(file.into_std())
    }

    /// Opens the directory `path`, creates it and its parents where missing, and works in it. Starts again if
    /// the directory is removed while it is still empty, so `work` may be called more than once.
    pub(crate) fn in_dir<T>(
        &self,
        path: &StoragePath,
        mut work: impl FnMut(&File) -> io::Result<T>,
    ) -> io::Result<(File, T)> {
        let mut tries = RETRIES;
        loop {
            let result = self.make_dirs(path).and_then(|dir| work(&dir).map(|value| (dir, value)));
            match result {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries > 0 => tries -= 1,
                result => return result,
            }
            std::thread::yield_now();
        }
    }

    fn make_dirs(&self, path: &StoragePath) -> io::Result<File> {
        let mut missing = Vec::new();
        let mut at = path.clone();
        let mut dir = loop {
            match self.open_dir(&at) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let Some(parent) = at.parent() else { return Err(error) };
                    missing.push(std::mem::replace(&mut at, parent));
                }
                opened => break opened?,
            }
        };
        while let Some(child) = missing.pop() {
            let made = self.make_dir(&dir, &child)?;
            dir = self.open_dir(&child)?;
            if made {
                set_dir_mode(&dir, &self.config)?;
            }
        }
        Ok(dir)
    }

    fn make_dir(&self, parent: &File, path: &StoragePath) -> io::Result<bool> {
        let name = path.file_name().unwrap_or_default();
        let make = || rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(self.config.dir_mode));
        if self.config.durable {
            return self.ancestors.make(path.as_str(), make);
        }
        match make() {
            Err(Errno::EXIST) => Ok(false),
            made => Ok(made.map(|()| true)?),
        }
    }

    /// Removes a directory and those above it, as long as they are empty. It only tidies up, so it stops at the
    /// first obstacle.
    pub(crate) fn prune(&self, directory: &StoragePath) {
        let mut at = directory.clone();
        while let Some(parent) = at.parent() {
            let removed = self.ancestors.remove(at.as_str(), || self.dir.remove_dir(at.as_relative()));
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return,
                _ => at = parent,
            }
        }
    }

    /// Makes an entry of the directory `dir` at `path` survive a power cut, together with the directory itself
    /// and its parents if they are new.
    pub(crate) fn sync_entry(&self, dir: &File, path: &StoragePath) -> io::Result<()> {
        if !self.config.durable {
            return Ok(());
        }
        sync_dir(dir)?;
        for (made, making) in self.ancestors.unsynced(path) {
            let Some(parent) = made.parent() else { continue };
            match self.open_dir(&parent) {
                // Removed meanwhile, together with everything below it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                parent => sync_dir(&parent?)?,
            }
            self.ancestors.synced(&made, making);
        }
        Ok(())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const OPEN_PATH: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const OPEN_PATH: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// Describes what has this name, without following a link.
pub(crate) fn stat_at(dir: &File, name: &str) -> io::Result<Stat> {
    Ok(rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

pub(crate) fn is_dir(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Device and inode.
pub(crate) fn id(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

pub(crate) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Describes a visible file in the terms of the contract. A directory is not found.
pub(crate) fn describe(path: &StoragePath, stat: &Stat) -> Result<FileInfo> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Err(ErrorKind::NotFound.into()),
        FileType::RegularFile if path.file_name().is_some_and(names::is_staged) => {
            Err(Error::new(ErrorKind::NotFound))
        }
        FileType::RegularFile => {
            Ok(FileInfo::new(path.clone(), u64::try_from(stat.st_size).unwrap_or_default(), modified(stat)))
        }
        _ => {
            let message = "this is neither a file nor a directory";
            Err(Error::new(ErrorKind::InvalidPath).with_message(message))
        }
    }
}

fn modified(stat: &Stat) -> Option<SystemTime> {
    let nanoseconds = Duration::new(0, u32::try_from(stat.st_mtime_nsec).ok()?);
    let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let whole = match stat.st_mtime {
        0.. => SystemTime::UNIX_EPOCH.checked_add(seconds),
        _ => SystemTime::UNIX_EPOCH.checked_sub(seconds),
    };
    whole?.checked_add(nanoseconds)
}

fn sync_dir(dir: &File) -> io::Result<()> {
    match dir.sync_all() {
        // Some filesystems cannot sync a directory. Their entries are as durable as they make them.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => Ok(()),
        result => result,
    }
}

/// Sets the exact mode, unless the umask applies: then it did so when the directory was created.
fn set_dir_mode(dir: &File, config: &FsConfig) -> io::Result<()> {
    if config.umask {
        return Ok(());
    }
    let inherited = Mode::from_raw_mode(rustix::fs::fstat(dir)?.st_mode) & Mode::SGID;
    Ok(rustix::fs::fchmod(dir, Mode::from_raw_mode(config.dir_mode) | inherited)?)
}

fn make_root(config: &FsConfig, path: &Path) -> io::Result<()> {
    let is_missing = |at: &&Path| !at.as_os_str().is_empty() && !at.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    for at in missing.into_iter().rev() {
        match DirBuilder::new().mode(config.dir_mode).create(at) {
            // Another process created it first.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made?,
        }
        set_dir_mode(&File::open(at)?, config)?;
        if config.durable {
            let parent = at.parent().filter(|parent| !parent.as_os_str().is_empty());
            sync_dir(&File::open(parent.unwrap_or(Path::new(".")))?)?;
        }
    }
    Ok(())
}
