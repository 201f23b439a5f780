//! Finds and deletes staged files. Everything here blocks.

use std::{io, time::SystemTime};

use plugin_registry_core::{FileInfo, Result, StoragePath};
use rustix::{
    fs::{AtFlags, Dir},
    io::Errno,
};

use crate::{
    error,
    links::Links,
    list::{self, Child, ChildKind},
    names,
    root::{self, Root},
    walk::Walk,
};

/// The most that one piece of blocking work reads ahead of the consumer.
const MAX_FOUND: usize = 256;
const MAX_DIRECTORIES: usize = 32;

/// Lists all stages for a path and below it, directory by directory.
pub(crate) struct StagedWalk {
    start: Option<StoragePath>,
    /// Directories that are still to be read.
    open: Vec<StoragePath>,
    links: Links,
}

impl StagedWalk {
    pub(crate) fn new(path: StoragePath) -> Self {
        Self { start: Some(path), open: Vec::new(), links: Links::default() }
    }

    fn enter(&mut self, root: &Root, path: &StoragePath, found: &mut Vec<Result<FileInfo>>) -> Result<()> {
        let (dir, mut children) = match list::everything(root, path) {
            Err(error) if error::is_missing(&error) => return Ok(()),
            children => children.map_err(error::read)?,
        };
        self.links.resolve(root, path, &mut children)?;
        for child in children {
            match child.kind {
                ChildKind::Directory => self.open.extend(path.join(&child.name)),
                ChildKind::Staged => found.extend(describe(path, &dir, &child)?.map(Ok)),
                // A staged file is never a link.
                ChildKind::File | ChildKind::Link => {}
            }
        }
        Ok(())
    }
}

impl Walk for StagedWalk {
    type Found = FileInfo;

    fn advance(&mut self, root: &Root, found: &mut Vec<Result<FileInfo>>) -> Result<bool> {
        if let Some(path) = self.start.take() {
            if let Some((parent, name)) = path.parent().zip(path.file_name())
                && let Some((dir, children)) = staged_in(root, &parent)?
            {
                for child in children.iter().filter(|child| names::target(&child.name) == Some(name)) {
                    found.extend(describe(&parent, &dir, child)?.map(Ok));
                }
            }
            self.open.push(path);
        }
        for _ in 0..MAX_DIRECTORIES {
            let Some(path) = self.open.pop() else { return Ok(false) };
            self.enter(root, &path, found)?;
            if found.len() >= MAX_FOUND {
                break;
            }
        }
        Ok(!self.open.is_empty())
    }
}

/// Removes the stages of a path that changed before a given time, and returns how many.
pub(crate) fn delete(root: &Root, path: &StoragePath, before: SystemTime) -> Result<usize> {
    let (parent, name) = names::split(path)?;
    let Some((dir, children)) = staged_in(root, &parent)? else { return Ok(0) };
    let mut deleted = 0;
    for child in children.iter().filter(|child| names::target(&child.name) == Some(name)) {
        let Some(info) = describe(&parent, &dir, child)? else { continue };
        if info.modified.is_none_or(|modified| modified >= before) {
            continue;
        }
        let dir = dir.fd().map_err(|error| error::write(error.into()))?;
        match rustix::fs::unlinkat(dir, &child.name, AtFlags::empty()) {
            Ok(()) => deleted += 1,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error::write(error.into())),
        }
    }
    drop(dir);
    root.prune(&parent);
    Ok(deleted)
}

/// A directory and its staged files. `None` if the directory is missing.
fn staged_in(root: &Root, parent: &StoragePath) -> Result<Option<(Dir, Vec<Child>)>> {
    match list::everything(root, parent) {
        Err(error) if error::is_missing(&error) => Ok(None),
        children => {
            let (dir, mut children) = children.map_err(error::read)?;
            children.retain(|child| child.kind == ChildKind::Staged);
            Ok(Some((dir, children)))
        }
    }
}

/// Describes a staged file under the path that it is meant for. `None` if it has gone meanwhile, or that path
/// is not valid.
fn describe(parent: &StoragePath, dir: &Dir, child: &Child) -> Result<Option<FileInfo>> {
    let target = names::target(&child.name).filter(|name| !names::is_staged(name));
    let Some(path) = target.and_then(|name| parent.join(name).ok()) else { return Ok(None) };
    let stat = dir.fd().and_then(|dir| rustix::fs::statat(dir, &child.name, AtFlags::SYMLINK_NOFOLLOW));
    match stat {
        Ok(stat) if root::is_file(&stat) => root::describe(&path, &stat).map(Some),
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error::read(io::Error::from(error))),
    }
}
