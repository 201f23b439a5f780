//! Reads data that the kernel has in memory in the caller's thread. A hop to another thread and back costs
//! more than a whole small read (ADR 0040).
//!
//! A path is opened only as far as the kernel knows each name (`RESOLVE_CACHED`). Bytes come only from its page
//! cache (`RWF_NOWAIT`), and no access time is written (`O_NOATIME`). All of this is done only on local
//! filesystems, which describe a file without a network request. In every other case the result is `None`, and
//! blocking work has to find out.

use std::{ops::Range, os::fd::AsFd};

use bytes::Bytes;
use plugin_registry_core::{FileInfo, Result, StoragePath};

use crate::root::Root;

/// The most bytes that are copied in the caller's thread: about 10 microseconds.
pub(crate) const SMALL: u64 = 64 << 10;

/// Describes a visible file.
pub(crate) fn stat(root: &Root, path: &StoragePath) -> Option<Result<FileInfo>> {
    if root.is_cached { system::stat(root, path) } else { None }
}

/// Looks at a visible file, then reads a range of at most `most` and at most [`SMALL`] bytes of it.
pub(crate) fn read(
    root: &Root,
    path: &StoragePath,
    most: u64,
    range: impl FnOnce(&FileInfo) -> Result<Range<u64>>,
) -> Option<Result<(FileInfo, Range<u64>, Bytes)>> {
    if !root.is_cached {
        return None;
    }
    let (file, info) = match system::open_file(root, path)? {
        Ok(opened) => opened,
        Err(error) => return Some(Err(error)),
    };
    let range = match range(&info) {
        Ok(range) => range,
        Err(error) => return Some(Err(error)),
    };
    let size = Some(range.end - range.start).filter(|size| *size <= SMALL.min(most))?;
    let mut buffer = vec![0; usize::try_from(size).ok()?];
    let is_whole = buffer.is_empty() || system::read(&file, &mut buffer, range.start) == Some(buffer.len());
    is_whole.then(|| Ok((info, range, buffer.into())))
}

/// Whether the files below a directory are local to this machine.
pub(crate) fn is_local(directory: &impl AsFd) -> bool {
    system::is_local(directory)
}

#[cfg(target_os = "linux")]
mod system {
    use std::{fs::File, io::IoSliceMut, os::fd::AsFd};

    use plugin_registry_core::{FileInfo, Result, StoragePath};
    use rustix::{
        fs::{Mode, OFlags, ResolveFlags},
        io::{Errno, ReadWriteFlags},
    };

    use crate::{
        error,
        root::{Root, describe},
    };

    /// ext2 to ext4, XFS, Btrfs, F2FS, ZFS, bcachefs, tmpfs and ramfs: `linux/magic.h`, and the sources of ZFS and
    /// bcachefs.
    const LOCAL: [u64; 8] =
        [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x2fc1_2fc1, 0xca45_1a4e, 0x0102_1994, 0x8584_58f6];

    pub(super) fn is_local(directory: &impl AsFd) -> bool {
        let kind = rustix::fs::fstatfs(directory).ok().and_then(|system| u64::try_from(system.f_type).ok());
        kind.is_some_and(|kind| LOCAL.contains(&kind))
    }

    pub(super) fn open_file(root: &Root, path: &StoragePath) -> Option<Result<(File, FileInfo)>> {
        // Writing an access time may wait for the journal. Only a file's owner may leave it out.
        open(root, path, OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOATIME)
    }

    pub(super) fn stat(root: &Root, path: &StoragePath) -> Option<Result<FileInfo>> {
        open(root, path, OFlags::PATH).map(|opened| opened.map(|(_, info)| info))
    }

    fn open(root: &Root, path: &StoragePath, flags: OFlags) -> Option<Result<(File, FileInfo)>> {
        // As confined as cap-std makes it. Another filesystem below the root may be a remote one.
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV
            | ResolveFlags::CACHED;
        let relative = if path.is_root() { "." } else { path.as_relative() };
        match rustix::fs::openat2(root.dir(), relative, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Ok(file) => {
                let stat = rustix::fs::fstat(&file).map_err(|errno| error::read(errno.into()));
                Some(stat.and_then(|stat| Ok((file.into(), describe(path, &stat)?))))
            }
            Err(Errno::NOENT) => Some(Err(error::read(Errno::NOENT.into()))),
            // Not known without the disk, or not that simple.
            Err(_) => None,
        }
    }

    pub(super) fn read(file: &File, buffer: &mut [u8], offset: u64) -> Option<usize> {
        rustix::io::preadv2(file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT).ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::{fs::File, os::fd::AsFd};

    use plugin_registry_core::{FileInfo, Result, StoragePath};

    use crate::root::Root;

    pub(super) fn is_local(_: &impl AsFd) -> bool {
        false
    }

    pub(super) fn open_file(_: &Root, _: &StoragePath) -> Option<Result<(File, FileInfo)>> {
        None
    }

    pub(super) fn stat(_: &Root, _: &StoragePath) -> Option<Result<FileInfo>> {
        None
    }

    pub(super) fn read(_: &File, _: &mut [u8], _: u64) -> Option<usize> {
        None
    }
}
