//! Directories: what is visible in them.

use std::io;

use plugin_registry_core::{Entry, EntryKind, ErrorKind, FileInfo, MAX_PATH_LEN, Result, StoragePath};
use rustix::{
    fs::{AtFlags, Dir, FileType},
    io::Errno,
};

use crate::{error, names, root::Root};

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
    /// A staged file, which only [`everything`] shows.
    Staged,
}

/// The children of a directory in byte order of their names. Blocks.
pub(crate) fn list(root: &Root, path: &StoragePath, after: Option<&str>) -> Result<Vec<Entry>> {
    let mut children = match children(root, path) {
        // Nothing is left of a listing that was begun.
        Err(error) if after.is_some() && error::is_missing(&error) => return Ok(Vec::new()),
        children => children.map_err(error::read)?.1,
    };
    children.retain(|child| after.is_none_or(|after| child.name.as_str() > after));
    children.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut entries = Vec::with_capacity(children.len());
    for child in children {
        let kind = match child.kind {
            ChildKind::File => Some(EntryKind::File),
            ChildKind::Directory => Some(EntryKind::Directory),
            ChildKind::Link => follow(root, path, &child.name)?.map(|info| info.kind),
            ChildKind::Staged => None,
        };
        entries.extend(kind.map(|kind| Entry::new(child.name, kind)));
    }
    Ok(entries)
}

/// A directory and its visible children, in no order. A link may lead nowhere.
pub(crate) fn children(root: &Root, path: &StoragePath) -> io::Result<(Dir, Vec<Child>)> {
    let (dir, mut children) = everything(root, path)?;
    children.retain(|child| child.kind != ChildKind::Staged);
    Ok((dir, children))
}

/// A directory and its children with the staged files, in no order.
pub(crate) fn everything(root: &Root, path: &StoragePath) -> io::Result<(Dir, Vec<Child>)> {
    let mut dir = Dir::new(root.open_dir(path)?)?;
    let longest = MAX_PATH_LEN.saturating_sub(path.as_str().len() + 1);
    let mut children = Vec::new();
    while let Some(entry) = dir.read() {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if !names::is_component(name) || name.len() > longest {
            continue;
        }
        let file_type = match entry.file_type() {
            FileType::Unknown => match rustix::fs::statat(dir.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                stat => FileType::from_raw_mode(stat?.st_mode),
            },
            known => known,
        };
        let kind = match file_type {
            FileType::Directory => ChildKind::Directory,
            FileType::RegularFile if names::is_staged(name) => ChildKind::Staged,
            FileType::RegularFile => ChildKind::File,
            FileType::Symlink => ChildKind::Link,
            _ => continue,
        };
        children.push(Child { name: name.to_owned(), kind });
    }
    Ok((dir, children))
}

/// What a symbolic link leads to, unless that is nowhere in the root.
pub(crate) fn follow(root: &Root, directory: &StoragePath, name: &str) -> Result<Option<FileInfo>> {
    use ErrorKind::{InvalidPath, NotFound, PermissionDenied};
    match root.stat(&directory.join(name)?) {
        Err(error) if matches!(error.kind(), NotFound | PermissionDenied | InvalidPath) => Ok(None),
        found => found.map(Some),
    }
}
