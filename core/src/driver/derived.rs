//! The default methods of the contract, for drivers that have nothing better.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};

use super::StorageDriver;
use crate::{
    error::{Error, ErrorKind, Result},
    file::{DeleteReport, Entry, EntryKind},
    path::StoragePath,
    staged::Staged,
};

/// Deletes one by one.
pub(super) async fn delete_many<D: StorageDriver + ?Sized>(
    driver: &D,
    files: Vec<StoragePath>,
    stages: &[Staged],
) -> Result<DeleteReport> {
    let mut report = DeleteReport::default();
    for staged in stages {
        if let Err(error) = delete_stage(driver, staged).await {
            report.failed.push((staged.path.clone(), error));
        }
    }
    for path in files {
        let deleted = match driver.stat(&path).await {
            // A directory is not a file.
            Ok(_) => driver.delete(&path).await,
            Err(error) => Err(error),
        };
        match deleted {
            Err(error) if !error.is_not_found() => report.failed.push((path, error)),
            _ => report.deleted += 1,
        }
    }
    Ok(report)
}

/// Later than any time of a store's clock, for stores that do not report when a stage was closed.
const LATE: Duration = Duration::from_secs(200 * 365 * 24 * 60 * 60);

async fn delete_stage<D: StorageDriver + ?Sized>(driver: &D, staged: &Staged) -> Result<()> {
    match driver.find_staged(&staged.path).await {
        Ok(found) if found.id == staged.id => {
            let after = found.modified.and_then(|closed| closed.checked_add(Duration::from_nanos(1)));
            let late = after.or_else(|| SystemTime::UNIX_EPOCH.checked_add(LATE)).ok_or(ErrorKind::Other)?;
            driver.delete_staged(&staged.path, late).await.map(drop)
        }
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Collects the first component of everything below, in order of the names: a walk meets `a-b/x` before `a/x`.
pub(super) fn list<'a, D: StorageDriver + ?Sized>(
    driver: &'a D,
    path: &'a StoragePath,
    after: Option<&'a str>,
) -> BoxStream<'a, Result<Entry>> {
    let children = async move {
        // Paths below greater names are greater too. If `after` is not a valid name, it has no path: start at
        // the beginning.
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

/// Looks level by level, depth first, and never below a marked child.
pub(super) fn find_directories<'a, D: StorageDriver + ?Sized>(
    driver: &'a D,
    path: &'a StoragePath,
    marker: &'a str,
    after: Option<&'a StoragePath>,
) -> BoxStream<'a, Result<StoragePath>> {
    let is_later = move |found: &StoragePath| after.is_none_or(|it| found.components().gt(it.components()));
    let leads_on = move |found: &StoragePath| {
        is_later(found) || after.is_some_and(|it| it == found || it.strip_prefix(found).is_some())
    };
    // The directories still to look at, the next one last.
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

/// Lists a directory. One that is missing, or vanishes meanwhile, counts as empty.
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
                // A child deeper than any path reaches has no path, and is skipped.
                level.directories.extend(directory.join(&child.name));
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(level),
            Err(error) if error.is_not_found() => return Ok(level),
            Err(error) => return Err(error),
        }
    }
}
