//! Deletes a directory with everything in it, however deep it is. Everything here blocks.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    vec,
};

use plugin_registry_core::{Error, ErrorKind, MAX_PATH_LEN, Result};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags},
    io::Errno,
};

use crate::{
    error,
    root::{self, Root},
};

/// How often a directory is emptied again because others fill it meanwhile.
const RETRIES: usize = 16;

/// How many directories are open at a time. For those above, only names are kept.
const OPEN: usize = 8;

/// Deletes the directory `name` of `parent`, whose path is `path`. Never follows a link: whatever is outside
/// stays.
///
/// Directories are deleted before the files beside them, so an ancestor of a directory that is too deep keeps
/// its files.
///
/// # Errors
/// `InvalidPath` for a directory whose path would have more than [`MAX_PATH_LEN`] bytes. No path leads there,
/// so it holds nothing that this program writes.
pub(crate) fn delete(root: &Root, parent: BorrowedFd<'_>, name: &CStr, path: &str) -> Result<()> {
    let mut deletion = Deletion { root, parent, path: path.to_owned(), levels: Vec::new() };
    deletion.open(name.to_owned(), 0)?;
    while let Some(level) = deletion.levels.last_mut() {
        match level.directories.next() {
            Some(child) => deletion.enter(child)?,
            None => deletion.leave()?,
        }
    }
    Ok(())
}

/// The way down to the current position of the deletion. The last level is always open.
struct Deletion<'a> {
    root: &'a Root,
    parent: BorrowedFd<'a>,
    path: String,
    levels: Vec<Level>,
}

struct Level {
    name: CString,
    /// The length of the path above it, in bytes.
    above: usize,
    dir: Option<OwnedFd>,
    /// Device and inode, once `dir` was closed.
    id: (u64, u64),
    directories: vec::IntoIter<CString>,
    others: Vec<CString>,
    tries: usize,
}

/// A directory and its entries.
struct Opened {
    dir: OwnedFd,
    directories: Vec<CString>,
    others: Vec<CString>,
}

impl Opened {
    /// Opens a directory. `None` if it is gone. If it has become a file or a link, deletes that.
    fn at(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<Option<Self>> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let unlinked = rustix::fs::unlinkat(parent, name, AtFlags::empty());
                error::ignore_missing(unlinked.map_err(Into::into))?;
                return Ok(None);
            }
            dir => dir?,
        };
        let (directories, others) = names_in(&dir)?;
        Ok(Some(Self { dir, directories, others }))
    }
}

impl Deletion<'_> {
    fn enter(&mut self, name: CString) -> Result<()> {
        let above = self.path.len();
        self.path.push('/');
        self.path.push_str(&name.to_string_lossy());
        if self.path.len() > MAX_PATH_LEN {
            let message = format!(
                "a directory in it is too deep for a path of {MAX_PATH_LEN} bytes and was not deleted: \
                 delete it by hand"
            );
            return Err(Error::new(ErrorKind::InvalidPath).with_message(message));
        }
        self.open(name, above)
    }

    fn open(&mut self, name: CString, above: usize) -> Result<()> {
        let Some(opened) = Opened::at(self.dir(), &name).map_err(error::write)? else {
            self.path.truncate(above);
            return Ok(());
        };
        self.levels.push(Level {
            name,
            above,
            dir: Some(opened.dir),
            id: (0, 0),
            directories: opened.directories.into_iter(),
            others: opened.others,
            tries: RETRIES,
        });
        self.close_above().map_err(error::write)
    }

    /// Closes the one directory above the limit.
    fn close_above(&mut self) -> io::Result<()> {
        let far = self.levels.len().checked_sub(OPEN + 1).and_then(|at| self.levels.get_mut(at));
        if let Some(level) = far
            && let Some(dir) = level.dir.take()
        {
            level.id = id(&dir)?;
        }
        Ok(())
    }

    /// Empties the last level and removes it.
    fn leave(&mut self) -> Result<()> {
        self.open_parent().map_err(error::write)?;
        let Some((level, above)) = self.levels.split_last_mut() else { return Ok(()) };
        let Some(dir) = &level.dir else { return Ok(()) };
        for name in level.others.drain(..) {
            match rustix::fs::unlinkat(dir, &name, AtFlags::empty()) {
                // It is a directory by now. This level is then not empty, and is read again.
                Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => {}
                Err(error) => return Err(error::write(error.into())),
            }
        }
        let parent = above.last().and_then(|level| level.dir.as_ref()).map_or(self.parent, AsFd::as_fd);
        let remove = || Ok(rustix::fs::unlinkat(parent, &level.name, AtFlags::REMOVEDIR)?);
        match self.root.ancestors.remove(&self.path, remove) {
            Err(error) if is_filled(&error) && level.tries > 0 => {
                level.tries -= 1;
                // This may be a different directory of the same name.
                if let Some(opened) = Opened::at(parent, &level.name).map_err(error::write)? {
                    level.dir = Some(opened.dir);
                    (level.directories, level.others) = (opened.directories.into_iter(), opened.others);
                    return Ok(());
                }
            }
            removed => error::ignore_missing(removed).map_err(error::write)?,
        }
        self.path.truncate(level.above);
        self.levels.pop();
        Ok(())
    }

    /// Opens the level above the last one again, if it was closed. It has to be the same directory.
    fn open_parent(&mut self) -> io::Result<()> {
        let Some((level, above)) = self.levels.split_last_mut() else { return Ok(()) };
        let Some(parent) = above.last_mut().filter(|parent| parent.dir.is_none()) else { return Ok(()) };
        let Some(dir) = &level.dir else { return Ok(()) };
        let opened = rustix::fs::openat(dir, "..", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        if id(&opened)? != parent.id {
            // The directory below it was moved.
            return Err(Errno::STALE.into());
        }
        parent.dir = Some(opened);
        Ok(())
    }

    fn dir(&self) -> BorrowedFd<'_> {
        self.levels.last().and_then(|level| level.dir.as_ref()).map_or(self.parent, AsFd::as_fd)
    }
}

fn id(dir: &OwnedFd) -> io::Result<(u64, u64)> {
    Ok(root::id(&rustix::fs::fstat(dir)?))
}

/// The directories in a directory, and everything else.
fn names_in(dir: &OwnedFd) -> io::Result<(Vec<CString>, Vec<CString>)> {
    let (mut directories, mut others) = (Vec::new(), Vec::new());
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
        if is_dir { &mut directories } else { &mut others }.push(name.to_owned());
    }
    Ok((directories, others))
}

fn is_filled(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOTEMPTY | Errno::EXIST))
}
