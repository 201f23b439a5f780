//! Deleting and moving. Everything here blocks.

use std::{ffi::CString, fs::File, io, os::fd::AsFd};

use plugin_registry_core::{Error, ErrorKind, PutMode, Result, StoragePath};
use rustix::{fs::AtFlags, io::Errno};

use crate::{
    error, names,
    root::{self, Root},
    stage::{self, Parts},
    tree,
};

/// Deletes a file with what is staged for it, or a directory with everything in it.
pub(crate) fn delete(root: &Root, path: &StoragePath) -> Result<()> {
    let (parent, name) = names::split(path)?;
    let dir = root.open_dir(&parent).map_err(error::read)?;
    let found = match root::stat_at(&dir, name) {
        Ok(stat) if root::is_dir(&stat) => {
            let name = CString::new(name).map_err(|_| ErrorKind::InvalidPath)?;
            tree::delete(root, dir.as_fd(), &name, path.as_str())?;
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
