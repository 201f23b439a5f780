//! Directories: what is visible in them.

use std::{io, os::fd::AsFd, vec};

use plugin_registry_core::{Entry, EntryKind, ErrorKind, FileInfo, MAX_PATH_LEN, Result, StoragePath};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags},
    io::Errno,
};

use crate::{
    error, names,
    root::Root,
    walk::{MAX_FOUND, Walk},
};

/// A visible child of a directory.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) kind: ChildKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildKind {
    File,
    Directory,
    Link,
}

/// The children of a directory in byte order of their names.
pub(crate) struct List {
    path: StoragePath,
    after: Option<String>,
    /// The directory and the children to come, once it is open.
    open: Option<(Dir, vec::IntoIter<Child>)>,
    any: bool,
}

impl List {
    pub(crate) fn new(path: StoragePath, after: Option<String>) -> Self {
        Self { path, after, open: None, any: false }
    }

    fn open(&self, root: &Root) -> io::Result<(Dir, vec::IntoIter<Child>)> {
        let (dir, mut children) = children(root, &self.path)?;
        if let Some(after) = &self.after {
            children.retain(|child| child.name > *after);
        }
        children.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok((dir, children.into_iter()))
    }
}

impl Walk for List {
    type Found = Entry;

    fn advance(&mut self, root: &Root, found: &mut Vec<Result<Entry>>) -> Result<bool> {
        let (dir, mut children) = match self.open.take() {
            Some(open) => open,
            None => match self.open(root) {
                // Nothing is left of a listing that was begun.
                Err(error) if self.after.is_some() && error::is_missing(&error) => return Ok(false),
                opened => opened.map_err(error::read)?,
            },
        };
        for child in children.by_ref().take(MAX_FOUND) {
            let kind = match child.kind {
                ChildKind::File => Some(EntryKind::File),
                ChildKind::Directory => {
                    has_files(dir.fd().map_err(|error| error::read(error.into()))?, &child.name)
                        .map_err(error::read)?
                        .then_some(EntryKind::Directory)
                }
                ChildKind::Link => follow(root, &self.path, &child.name)?.map(|info| info.kind),
            };
            found.extend(kind.map(|kind| Ok(Entry::new(child.name, kind))));
        }
        self.any |= !found.is_empty();
        let more = !children.as_slice().is_empty();
        if !more && !self.any && self.after.is_none() && !self.path.is_root() {
            return Err(ErrorKind::NotFound.into());
        }
        self.open = Some((dir, children));
        Ok(more)
    }
}

/// A directory and its visible children, in no order. A link may lead nowhere, a directory hold no files.
pub(crate) fn children(root: &Root, path: &StoragePath) -> io::Result<(Dir, Vec<Child>)> {
    let mut dir = Dir::new(root.open_dir(path)?)?;
    let longest = MAX_PATH_LEN.saturating_sub(path.as_str().len() + 1);
    let mut children = Vec::new();
    while let Some(child) = next_child(&mut dir)? {
        children.extend(child.filter(|child| child.name.len() <= longest));
    }
    Ok((dir, children))
}

/// The next entry, `Some(None)` if it is not visible.
fn next_child(dir: &mut Dir) -> io::Result<Option<Option<Child>>> {
    let Some(entry) = dir.read() else { return Ok(None) };
    let entry = entry?;
    let Some(name) = entry.file_name().to_str().ok().filter(|name| names::is_component(name)) else {
        return Ok(Some(None));
    };
    let file_type = match entry.file_type() {
        FileType::Unknown => match rustix::fs::statat(dir.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Some(None)),
            stat => FileType::from_raw_mode(stat?.st_mode),
        },
        known => known,
    };
    let kind = match file_type {
        FileType::Directory => ChildKind::Directory,
        FileType::RegularFile if !names::is_staged(name) => ChildKind::File,
        FileType::Symlink => ChildKind::Link,
        _ => return Ok(Some(None)),
    };
    Ok(Some(Some(Child { name: name.to_owned(), kind })))
}

/// Whether a visible file is below a directory: that makes it one, as on every store. Otherwise what is
/// staged would be seen by its directories.
///
/// Mostly a file is met at once. What may not be looked into counts as filled.
pub(crate) fn has_files(parent: impl AsFd, name: &str) -> io::Result<bool> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        // Deleted, or replaced by something else, since its name was read.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
        Err(Errno::ACCESS) => return Ok(true),
        dir => dir?,
    };
    let mut dir = Dir::new(dir)?;
    let mut directories = Vec::new();
    while let Some(child) = next_child(&mut dir)? {
        match child {
            Some(Child { name, kind: ChildKind::Directory }) => directories.push(name),
            Some(_) => return Ok(true),
            None => {}
        }
    }
    for name in directories {
        if has_files(dir.fd()?, &name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a symbolic link leads to, unless that is nowhere in the root.
pub(crate) fn follow(root: &Root, directory: &StoragePath, name: &str) -> Result<Option<FileInfo>> {
    use ErrorKind::{InvalidPath, NotFound, PermissionDenied};
    match root.stat(&directory.join(name)?) {
        Err(error) if matches!(error.kind(), NotFound | PermissionDenied | InvalidPath) => Ok(None),
        found => found.map(Some),
    }
}
