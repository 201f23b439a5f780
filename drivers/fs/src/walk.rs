//! Walks, depth first, a few directories at a time.

use std::{cmp::Ordering, sync::Arc, vec};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use plugin_registry_core::{ErrorKind, FileInfo, Result, StoragePath};
use rustix::fs::{AtFlags, Dir};

use crate::{
    error,
    links::{self, Links},
    list::{self, Child, ChildKind},
    root::{self, Root},
};

/// The most that one piece of blocking work reads ahead of the consumer.
const MAX_FOUND: usize = 256;
const MAX_DIRECTORIES: usize = 32;

/// How many directories are open at a time. For those above, only names are kept.
const OPEN: usize = 8;

/// A walk that continues where it stopped. Blocks.
pub(crate) trait Walk: Send + 'static {
    type Found: Send + 'static;

    /// Continues until `found` has enough, or enough directories were read. Returns whether there is more.
    fn advance(&mut self, root: &Root, found: &mut Vec<Result<Self::Found>>) -> Result<bool>;
}

/// Streams a walk. The first error ends it.
pub(crate) fn stream<W: Walk>(root: Arc<Root>, walk: W) -> BoxStream<'static, Result<W::Found>> {
    stream::unfold(Some(walk), move |walk| {
        let root = root.clone();
        async move {
            let mut walk = walk?;
            let batch = root.run(move |root| {
                let mut found = Vec::new();
                let walk = match walk.advance(root, &mut found) {
                    Ok(more) => more.then_some(walk),
                    Err(error) => {
                        found.push(Err(error));
                        None
                    }
                };
                Ok((found, walk))
            });
            Some(batch.await.unwrap_or_else(|error| (vec![Err(error)], None)))
        }
    })
    .flat_map(stream::iter)
    .boxed()
}

/// All files below a directory, in byte order of the whole path.
pub(crate) struct FileWalk {
    start: Option<StoragePath>,
    after: Option<StoragePath>,
    open: Vec<OpenDirectory>,
    links: Links,
}

struct OpenDirectory {
    path: StoragePath,
    /// `None` if many others are open below it.
    dir: Option<Dir>,
    children: vec::IntoIter<Child>,
}

impl FileWalk {
    pub(crate) fn new(path: StoragePath, after: Option<StoragePath>) -> Self {
        Self { start: Some(path), after, open: Vec::new(), links: Links::default() }
    }

    /// Enters a directory. Returns whether it exists.
    fn enter(&mut self, root: &Root, path: StoragePath) -> Result<bool> {
        let (dir, mut children) = match list::children(root, &path) {
            Err(error) if error::is_missing(&error) => return Ok(false),
            children => children.map_err(error::read)?,
        };
        self.links.resolve(root, &path, &mut children)?;
        if let Some(after) = &self.after {
            children.retain(|child| is_later(&path, child, after));
        }
        // All paths below a directory have a `/` after its name, so that determines its place in the order.
        children.sort_unstable_by(|a, b| sort_key(a).cmp(sort_key(b)));
        if let Some(far) = self.open.len().checked_sub(OPEN).and_then(|at| self.open.get_mut(at)) {
            far.dir = None;
        }
        self.open.push(OpenDirectory { path, dir: Some(dir), children: children.into_iter() });
        Ok(true)
    }
}

impl OpenDirectory {
    /// Describes a visible file in it, unless it was deleted or replaced by something else since its name was
    /// read.
    fn file(&mut self, root: &Root, name: &str, path: &StoragePath) -> Result<Option<FileInfo>> {
        let dir = match &mut self.dir {
            Some(dir) => dir,
            none => match root.open_dir(&self.path).and_then(|dir| Ok(Dir::new(dir)?)) {
                Err(error) if error::is_missing(&error) => return Ok(None),
                dir => none.insert(dir.map_err(error::read)?),
            },
        };
        match dir.fd().and_then(|dir| rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)) {
            Ok(stat) if root::is_file(&stat) => root::describe(path, &stat).map(Some),
            Ok(_) | Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error::read(error.into())),
        }
    }
}

impl Walk for FileWalk {
    type Found = FileInfo;

    fn advance(&mut self, root: &Root, found: &mut Vec<Result<FileInfo>>) -> Result<bool> {
        if let Some(path) = self.start.take()
            && !self.enter(root, path)?
        {
            // The directory is gone: nothing is left of a walk that had begun.
            return if self.after.is_some() { Ok(false) } else { Err(ErrorKind::NotFound.into()) };
        }
        let mut directories = 1;
        while found.len() < MAX_FOUND && directories < MAX_DIRECTORIES {
            let Some(directory) = self.open.last_mut() else { return Ok(false) };
            let Some(child) = directory.children.next() else {
                self.open.pop();
                continue;
            };
            let Ok(path) = directory.path.join(&child.name) else { continue };
            match child.kind {
                ChildKind::Directory => {
                    directories += 1;
                    self.enter(root, path)?;
                }
                ChildKind::File => found.extend(directory.file(root, &child.name, &path)?.map(Ok)),
                ChildKind::Link => found.extend(links::follow(root, &path)?.map(Ok)),
                ChildKind::Staged => {}
            }
        }
        Ok(true)
    }
}

fn sort_key(child: &Child) -> impl Iterator<Item = u8> {
    let end = (child.kind == ChildKind::Directory).then_some(b'/');
    child.name.bytes().chain(end)
}

/// Whether a child, or anything below it, comes after `after` in byte order of the paths.
fn is_later(directory: &StoragePath, child: &Child, after: &StoragePath) -> bool {
    let Ok(path) = directory.join(&child.name) else { return false };
    match child.kind {
        ChildKind::Directory => {
            after.strip_prefix(&path).is_some()
                || path.as_str().bytes().chain([b'/']).gt(after.as_str().bytes())
        }
        ChildKind::File | ChildKind::Link | ChildKind::Staged => path > *after,
    }
}

/// The directories with a child whose name begins with a marker, in order of their components.
pub(crate) struct DirectoryWalk {
    start: Option<StoragePath>,
    marker: String,
    after: Option<StoragePath>,
    /// For each open directory, the children that are still to come.
    open: Vec<vec::IntoIter<StoragePath>>,
    links: Links,
}

impl DirectoryWalk {
    pub(crate) fn new(path: StoragePath, marker: &str, after: Option<StoragePath>) -> Self {
        let (marker, links) = (marker.to_owned(), Links::default());
        Self { start: Some(path), marker, after, open: Vec::new(), links }
    }

    /// Enters a directory. Returns whether it has a marked child, or `None` if it is missing.
    fn enter(&mut self, root: &Root, path: &StoragePath) -> Result<Option<bool>> {
        let children = match list::children(root, path) {
            Err(error) if error::is_missing(&error) => return Ok(None),
            children => children.map_err(error::read)?.1,
        };
        let (marked, mut others): (Vec<_>, Vec<_>) =
            children.into_iter().partition(|child| child.name.starts_with(&self.marker));
        self.links.resolve(root, path, &mut others)?;
        let directories = others.into_iter().filter(|child| child.kind == ChildKind::Directory);
        let mut paths: Vec<_> = directories.filter_map(|child| path.join(&child.name).ok()).collect();
        if let Some(after) = &self.after {
            paths.retain(|path| after.strip_prefix(path).is_some() || compare(path, after).is_ge());
        }
        // All are in one directory, so the paths are in the order of the names.
        paths.sort_unstable();
        self.open.push(paths.into_iter());
        Ok(Some(!marked.is_empty()))
    }
}

impl Walk for DirectoryWalk {
    type Found = StoragePath;

    fn advance(&mut self, root: &Root, found: &mut Vec<Result<StoragePath>>) -> Result<bool> {
        if let Some(path) = self.start.take()
            && self.enter(root, &path)?.is_none()
        {
            return Ok(false);
        }
        let mut directories = 1;
        while found.len() < MAX_FOUND && directories < MAX_DIRECTORIES {
            let Some(paths) = self.open.last_mut() else { return Ok(false) };
            let Some(path) = paths.next() else {
                self.open.pop();
                continue;
            };
            directories += 1;
            let is_marked = self.enter(root, &path)?.is_some_and(|is_marked| is_marked);
            if is_marked && self.after.as_ref().is_none_or(|after| compare(&path, after).is_gt()) {
                found.push(Ok(path));
            }
        }
        Ok(true)
    }
}

/// Compares paths component by component: `a/b` comes before `a-b`.
fn compare(a: &StoragePath, b: &StoragePath) -> Ordering {
    a.components().cmp(b.components())
}
