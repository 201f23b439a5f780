//! Symbolic links to directories that a listing follows (ADR 0037). Everything here blocks.

use plugin_registry_core::{Error, ErrorKind, FileInfo, Result, StoragePath};
use rustix::fs::Stat;

use crate::{
    error,
    list::{Child, ChildKind},
    root::{self, Root},
};

/// The most links to directories that one listing follows: links that lead to each other multiply.
const MAX_LINKS: usize = 10_000;

/// How many links a listing has followed.
#[derive(Debug, Default)]
pub(crate) struct Links(usize);

impl Links {
    /// Turns links to directories among the children into directories. Removes a link that leads to no file or
    /// directory in the root, or to a directory that contains the link.
    pub(crate) fn resolve(
        &mut self,
        root: &Root,
        directory: &StoragePath,
        children: &mut Vec<Child>,
    ) -> Result<()> {
        if children.iter().all(|child| child.kind != ChildKind::Link) {
            return Ok(());
        }
        let mut above = None;
        for mut child in std::mem::take(children) {
            if child.kind == ChildKind::Link {
                let Some(stat) = target(root, &directory.join(&child.name)?)? else { continue };
                if root::is_dir(&stat) {
                    let above = match &mut above {
                        Some(above) => above,
                        none => none.insert(ids(root, directory)?),
                    };
                    if above.contains(&root::id(&stat)) {
                        continue;
                    }
                    self.count()?;
                    child.kind = ChildKind::Directory;
                } else if !root::is_file(&stat) {
                    continue;
                }
            }
            children.push(child);
        }
        Ok(())
    }

    fn count(&mut self) -> Result<()> {
        self.0 += 1;
        if self.0 > MAX_LINKS {
            let message = format!("more than {MAX_LINKS} symbolic links to directories in one listing");
            return Err(Error::new(ErrorKind::TooLarge).with_message(message));
        }
        Ok(())
    }
}

/// The visible file that a link leads to, unless the target is missing from the root.
pub(crate) fn follow(root: &Root, path: &StoragePath) -> Result<Option<FileInfo>> {
    let Some(stat) = target(root, path)? else { return Ok(None) };
    match root::describe(path, &stat) {
        Err(error) if is_nowhere(&error) => Ok(None),
        info => info.map(Some),
    }
}

fn target(root: &Root, path: &StoragePath) -> Result<Option<Stat>> {
    match root.stat_raw(path) {
        // A link that the system refuses may lead to anything.
        Err(error) if error::is_refused(&error) => Err(error::read(error)),
        stat => match stat.map_err(error::read) {
            Err(error) if is_nowhere(&error) => Ok(None),
            stat => stat.map(Some),
        },
    }
}

fn is_nowhere(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::InvalidPath)
}

/// Device and inode of a directory and of all directories above it on this path that still exist.
fn ids(root: &Root, directory: &StoragePath) -> Result<Vec<(u64, u64)>> {
    let mut ids = Vec::new();
    let mut at = Some(directory.clone());
    while let Some(path) = at {
        ids.extend(target(root, &path)?.as_ref().map(root::id));
        at = path.parent();
    }
    Ok(ids)
}
