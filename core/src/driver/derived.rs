//! What the contract makes of a driver's other methods where the driver has nothing better.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};

use super::StorageDriver;
use crate::{
    error::{Error, ErrorKind, Result},
    file::{Entry, EntryKind, FileInfo},
    path::StoragePath,
};

/// A file, else a directory if there is something below.
pub(super) async fn stat<D: StorageDriver + ?Sized>(driver: &D, path: &StoragePath) -> Result<FileInfo> {
    if !path.is_root() {
        match driver.stat_file(path).await {
            Err(error) if error.is_not_found() => {}
            found => return found,
        }
        driver.walk(path, None).try_next().await?.ok_or(ErrorKind::NotFound)?;
    }
    Ok(FileInfo::directory(path.clone()))
}

/// The first component of everything below, in order of the names: a walk meets `a-b/x` before `a/x`.
pub(super) fn list<'a, D: StorageDriver + ?Sized>(
    driver: &'a D,
    path: &'a StoragePath,
    after: Option<&'a str>,
) -> BoxStream<'a, Result<Entry>> {
    let children = async move {
        // Paths below greater names are greater too. What is no name has no path: then from the start.
        let begin = after.and_then(|name| path.join(name).ok());
        let mut children = BTreeMap::new();
        let mut files = driver.walk(path, begin.as_ref());
        while let Some(info) = files.try_next().await? {
            let Some(rest) = info.path.strip_prefix(path) else { continue };
            let (name, kind) = match rest.split_once('/') {
                Some((name, _)) => (name, EntryKind::Directory),
                None => (rest, EntryKind::File),
            };
            if after.is_none_or(|after| name > after) && !children.contains_key(name) {
                children.insert(name.to_owned(), kind);
            }
        }
        Ok::<_, Error>(stream::iter(children).map(|(name, kind)| Ok(Entry::new(name, kind))))
    };
    stream::once(children).try_flatten().boxed()
}

/// Level by level, depth first, and never below a child that is marked.
pub(super) fn list_marked<'a, D: StorageDriver + ?Sized>(
    driver: &'a D,
    path: &'a StoragePath,
    marker: &'a str,
    after: Option<&'a StoragePath>,
) -> BoxStream<'a, Result<StoragePath>> {
    let is_later = move |found: &StoragePath| after.is_none_or(|it| found.components().gt(it.components()));
    let leads_on = move |found: &StoragePath| {
        is_later(found) || after.is_some_and(|it| it == found || it.strip_prefix(found).is_some())
    };
    // Directories to look at, the next one last.
    stream::try_unfold(vec![path.clone()], move |mut open| async move {
        while let Some(directory) = open.pop() {
            let level = level(driver, &directory, marker).await?;
            open.extend(level.directories.into_iter().rev().filter(leads_on));
            if level.is_marked && directory != *path && is_later(&directory) {
                return Ok(Some((directory, open)));
            }
        }
        Ok(None)
    })
    .boxed()
}

#[derive(Default)]
struct Level {
    is_marked: bool,
    directories: Vec<StoragePath>,
}

/// What is missing, or vanishes meanwhile, has nothing in it.
async fn level<D: StorageDriver + ?Sized>(
    driver: &D,
    directory: &StoragePath,
    marker: &str,
) -> Result<Level> {
    let mut level = Level::default();
    let mut children = driver.list(directory, None);
    loop {
        match children.try_next().await {
            Ok(Some(child)) if child.name.starts_with(marker) => level.is_marked = true,
            Ok(Some(child)) if child.kind == EntryKind::Directory => {
                // What is deeper than any path reaches has none.
                level.directories.extend(directory.join(&child.name));
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(level),
            Err(error) if error.is_not_found() => return Ok(level),
            Err(error) => return Err(error),
        }
    }
}
