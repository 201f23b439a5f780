//! Finds what other programs stored under names that are not valid in a path.

use plugin_registry_core::{Result, StoragePath};
use rustix::fs::{Dir, FileType};

use crate::{
    error,
    links::Links,
    list::{self, Child, ChildKind},
    names,
    root::Root,
    walk::Walk,
};

/// The most that one piece of blocking work reads ahead of the consumer.
const MAX_FOUND: usize = 256;
const MAX_DIRECTORIES: usize = 32;

/// All names below a directory that no path can have, directory by directory: other characters, or too long a
/// path.
pub(crate) struct ForeignWalk {
    /// Directories that are still to be read.
    open: Vec<StoragePath>,
    links: Links,
}

impl ForeignWalk {
    pub(crate) fn new(path: StoragePath) -> Self {
        Self { open: vec![path], links: Links::default() }
    }

    fn enter(&mut self, root: &Root, path: &StoragePath, found: &mut Vec<Result<String>>) -> Result<()> {
        let mut dir = match root.open_dir(path).and_then(|dir| Ok(Dir::new(dir)?)) {
            Err(error) if error::is_missing(&error) => return Ok(()),
            dir => dir.map_err(error::read)?,
        };
        let mut children = Vec::new();
        while let Some(entry) = dir.read() {
            let entry = entry.map_err(|error| error::read(error.into()))?;
            let name = entry.file_name().to_string_lossy();
            if matches!(&*name, "." | "..") {
                continue;
            }
            if !names::is_component(&name) || path.join(&name).is_err() {
                found.push(Ok(format!("{}/{name}", path.as_str().trim_end_matches('/'))));
                continue;
            }
            let kind = match list::file_type(&dir, &entry).map_err(error::read)? {
                Some(FileType::Directory) => ChildKind::Directory,
                Some(FileType::Symlink) => ChildKind::Link,
                _ => continue,
            };
            children.push(Child { name: name.into_owned(), kind });
        }
        drop(dir);
        self.links.resolve(root, path, &mut children)?;
        let directories = children.iter().filter(|child| child.kind == ChildKind::Directory);
        self.open.extend(directories.filter_map(|child| path.join(&child.name).ok()));
        Ok(())
    }
}

impl Walk for ForeignWalk {
    type Found = String;

    fn advance(&mut self, root: &Root, found: &mut Vec<Result<String>>) -> Result<bool> {
        for _ in 0..MAX_DIRECTORIES {
            let Some(path) = self.open.pop() else { return Ok(false) };
            self.enter(root, &path, found)?;
            if found.len() >= MAX_FOUND {
                break;
            }
        }
        Ok(true)
    }
}
