//! Deleting. Everything here blocks.

use std::{ffi::CString, fs::File, io, os::fd::AsFd};

use plugin_registry_core::{Error, ErrorKind, Result, StoragePath};
use rustix::{fs::AtFlags, io::Errno};

use crate::{
    error, names,
    root::{self, Root},
    stage::Parts,
    tree,
};

/// Deletes a file and its staged bytes, or a directory with everything in it.
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
    Parts::find(root, path)?.remove(path)?;
    root.prune(&parent);
    if found { Ok(()) } else { Err(Error::new(ErrorKind::NotFound)) }
}

/// Deletes a file. A missing file is not an error, a directory is.
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

/// Returns whether the file existed.
fn unlink(dir: &File, name: &str) -> io::Result<bool> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(false),
        unlinked => Ok(unlinked.map(|()| true)?),
    }
}
