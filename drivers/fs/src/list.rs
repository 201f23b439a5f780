//! Lists what is visible in a directory.

use std::io;

use plugin_registry_core::{Entry, EntryKind, MAX_PATH_LEN, Result, StoragePath};
use rustix::{
    fs::{AtFlags, Dir, DirEntry, FileType},
    io::Errno,
};

use crate::{
    error,
    links::{self, Links},
    names,
    root::Root,
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
    /// A staged file, which only [`everything`] shows.
    Staged,
}

/// The children of a directory in byte order of their names. Blocks.
pub(crate) fn list(root: &Root, path: &StoragePath, after: Option<&str>) -> Result<Vec<Entry>> {
    let mut children = match children(root, path) {
        // The directory is gone: nothing is left of a listing that had begun.
        Err(error) if after.is_some() && error::is_missing(&error) => return Ok(Vec::new()),
        children => children.map_err(error::read)?.1,
    };
    children.retain(|child| after.is_none_or(|after| child.name.as_str() > after));
    Links::default().resolve(root, path, &mut children)?;
    children.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut entries = Vec::with_capacity(children.len());
    for child in children {
        let kind = match child.kind {
            ChildKind::File => Some(EntryKind::File),
            ChildKind::Directory => Some(EntryKind::Directory),
            ChildKind::Link => links::follow(root, &path.join(&child.name)?)?.map(|_| EntryKind::File),
            ChildKind::Staged => None,
        };
        entries.extend(kind.map(|kind| Entry::new(child.name, kind)));
    }
    Ok(entries)
}

/// A directory and its visible children, in no particular order. A link may lead nowhere.
pub(crate) fn children(root: &Root, path: &StoragePath) -> io::Result<(Dir, Vec<Child>)> {
    let (dir, mut children) = everything(root, path)?;
    children.retain(|child| child.kind != ChildKind::Staged);
    Ok((dir, children))
}

/// A directory and its children, including staged files, in no particular order.
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
        let Some(file_type) = file_type(&dir, &entry)? else { continue };
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

/// The type of an entry, even if the filesystem leaves it out of a listing. `None` if the entry is gone.
pub(crate) fn file_type(dir: &Dir, entry: &DirEntry) -> io::Result<Option<FileType>> {
    match entry.file_type() {
        FileType::Unknown => {
            match rustix::fs::statat(dir.fd()?, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => Ok(None),
                stat => Ok(Some(FileType::from_raw_mode(stat?.st_mode))),
            }
        }
        known => Ok(Some(known)),
    }
}
