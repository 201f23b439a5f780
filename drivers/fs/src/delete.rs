//! Deleting and moving. Everything here blocks.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use plugin_registry_core::{Error, ErrorKind, PutMode, Result, StoragePath};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags},
    io::Errno,
};

use crate::{
    error, names,
    root::{self, Root},
    stage::{self, Parts},
};

/// How often a directory is emptied again that others fill meanwhile.
const RETRIES: usize = 16;

/// Deletes a file with what is staged for it, or a directory with everything in it.
pub(crate) fn delete(root: &Root, path: &StoragePath) -> Result<()> {
    let (parent, name) = names::split(path)?;
    let dir = root.open_dir(&parent).map_err(error::read)?;
    let found = match root::stat_at(&dir, name) {
        Ok(stat) if root::is_dir(&stat) => {
            let name = CString::new(name).map_err(|_| ErrorKind::InvalidPath)?;
            delete_tree(root, dir.as_fd(), &name, path.as_str()).map_err(error::write)?;
            true
        }
        Ok(stat) if root::is_file(&stat) && names::is_staged(name) => false,
        Ok(_) => unlink(&dir, name).map_err(error::write)?,
        Err(error) if error::is_missing(&error) => false,
        Err(error) => return Err(error::read(error)),
    };
    Parts::find(root, path)?.remove()?;
    root.prune(&parent);
    if found { Ok(()) } else { Err(Error::new(ErrorKind::NotFound)) }
}

/// Deletes a file; a missing one is fine, a directory is not.
pub(crate) fn delete_file(root: &Root, path: &StoragePath) -> Result<()> {
    let (parent, name) = names::split(path)?;
    let dir = match root.open_dir(&parent) {
        Err(error) if error::is_missing(&error) => return Ok(()),
        dir => dir.map_err(error::write)?,
    };
    match root::stat_at(&dir, name) {
        Ok(stat) if root::is_dir(&stat) => {
            return Err(Error::new(ErrorKind::InvalidPath).with_message("this is a directory"));
        }
        Ok(stat) if root::is_file(&stat) && names::is_staged(name) => {}
        Ok(_) => drop(unlink(&dir, name).map_err(error::write)?),
        Err(error) => error::ignore_missing(Err(error)).map_err(error::read)?,
    }
    root.prune(&parent);
    Ok(())
}

/// Moves a file. A crash leaves it at one of its names.
pub(crate) fn rename(root: &Root, from: &StoragePath, to: &StoragePath) -> Result<()> {
    let (from_parent, from_name) = names::split(from)?;
    let (to_parent, to_name) = names::split(to)?;
    names::check_target(to)?;
    let from_dir = root.open_dir(&from_parent).map_err(error::read)?;
    let is_source = || match root::stat_at(&from_dir, from_name) {
        Ok(stat) if root::is_dir(&stat) || names::is_staged(from_name) => {
            Err(Error::new(ErrorKind::NotFound))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error::read(error)),
    };
    // Before any directory is made for a target that never comes.
    is_source()?;
    let moved = root.in_dir(&to_parent, |to_dir| {
        match stage::rename(&from_dir, from_name, to_dir, to_name, PutMode::Overwrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_source().is_err() => {
                Err(Errno::STALE.into())
            }
            result => result,
        }
    });
    let to_dir = match moved {
        Ok((to_dir, ())) => to_dir,
        Err(error) => {
            root.prune(&to_parent);
            is_source()?;
            return Err(error::write(error));
        }
    };
    root.sync_entry(&to_dir, &to_parent).map_err(error::write)?;
    if from_parent != to_parent {
        // The source's name must not come back either.
        root.sync_entry(&from_dir, &from_parent).map_err(error::write)?;
        root.prune(&from_parent);
    }
    Ok(())
}

/// Whether there was something.
fn unlink(dir: &File, name: &str) -> io::Result<bool> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(false),
        unlinked => Ok(unlinked.map(|()| true)?),
    }
}

/// Never follows a link: what is outside stays.
fn delete_tree(root: &Root, parent: BorrowedFd<'_>, name: &CStr, path: &str) -> io::Result<()> {
    for _ in 0..RETRIES {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            dir => dir?,
        };
        for (child, is_dir) in names_in(&dir)? {
            let unlinked = match is_dir {
                true => Err(Errno::ISDIR),
                false => rustix::fs::unlinkat(&dir, &child, AtFlags::empty()),
            };
            match unlinked {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) => {
                    delete_tree(root, dir.as_fd(), &child, &format!("{path}/{}", child.to_string_lossy()))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let remove = || Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?);
        match root.ancestors.remove(path, remove) {
            Err(error) if is_filled(&error) => {}
            removed => return error::ignore_missing(removed),
        }
    }
    Err(Errno::NOTEMPTY.into())
}

/// All names in a directory, and which of them are directories.
fn names_in(dir: &OwnedFd) -> io::Result<Vec<(CString, bool)>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let is_dir = match entry.file_type() {
            FileType::Unknown => {
                rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| root::is_dir(&stat))
            }
            known => known == FileType::Directory,
        };
        names.push((name.to_owned(), is_dir));
    }
    Ok(names)
}

fn is_filled(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOTEMPTY | Errno::EXIST))
}
