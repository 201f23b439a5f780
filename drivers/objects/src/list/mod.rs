//! Listings: one level, everything below, marked directories.
//!
//! A driver gives pages of keys ([`Lister`]). Whatever order they come in, these functions keep the contract's.

mod directories;
mod level;
mod pages;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use plugin_registry_core::{Entry, EntryKind, Error, ErrorKind, FileInfo, Result, StoragePath};

pub use self::{
    directories::find_directories,
    pages::{Listing, Page, Progress},
};
use self::{
    level::{Child, Level, Order},
    pages::Pages,
};
use crate::keys::{ObjectKeys, is_staged};

/// How many keys are collected at a time, of what is deleted or staged: at most about 100 MB.
pub const COLLECTED: usize = 100_000;

/// A store that lists its keys in pages.
#[async_trait]
pub trait Lister: std::fmt::Debug + Send + Sync {
    /// The keys of the store.
    fn keys(&self) -> &ObjectKeys;

    /// Whether the store keeps its keys in directories: it lists them in another order, and may lose some from
    /// page to page.
    fn has_directories(&self) -> bool {
        false
    }

    /// Lists one page. `token` comes from the page before.
    async fn page(&self, listing: &Listing<'_>, token: Option<&str>) -> Result<Page>;
}

/// Whether there is a key below a prefix.
///
/// # Errors
/// Those of the store.
pub async fn has_any(store: &dyn Lister, prefix: &str) -> Result<bool> {
    let mut pages = Pages::new(store, prefix.to_owned(), None, None).with_limit(1);
    // A page may be empty although more come, and a marker of the directory itself is not a child of it.
    while let Some(page) = pages.next().await? {
        if page.objects.iter().any(|(key, ..)| key != prefix) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The keys below a prefix under which bytes wait to be resumed, at most [`COLLECTED`] and a page. Holds these
/// and one page.
///
/// # Errors
/// Those of the store.
pub async fn staged_below(store: &dyn Lister, prefix: String) -> Result<Vec<String>> {
    let mut pages = Pages::new(store, prefix, None, None);
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await? {
        let found = page.objects.into_iter().map(|(key, ..)| key);
        keys.extend(found.filter(|key| store.keys().staged_path(key).is_some()));
        if keys.len() >= COLLECTED {
            let staged = keys.len();
            tracing::warn!(staged, "too many stages for one list: the rest is found once these are gone");
            break;
        }
    }
    Ok(keys)
}

/// Keys below a prefix, whatever they mean: all of them, or, with `false`, the first, at most [`COLLECTED`] and
/// a page.
///
/// # Errors
/// Those of the store.
pub async fn keys_below(store: &dyn Lister, prefix: String) -> Result<(Vec<String>, bool)> {
    let mut pages = Pages::new(store, prefix, None, None);
    let mut keys = Vec::new();
    while keys.len() < COLLECTED {
        let Some(page) = pages.next().await? else { return Ok((keys, true)) };
        keys.extend(page.objects.into_iter().map(|(key, ..)| key));
    }
    Ok((keys, pages.is_done))
}

/// Lists one level, in order of the names.
pub fn list<'a>(
    store: &'a dyn Lister,
    path: &'a StoragePath,
    after: Option<&'a str>,
) -> BoxStream<'a, Result<Entry>> {
    let level = Level::new(store, path, after, Order::Names);
    let is_certain = path.is_root() || after.is_some();
    stream::try_unfold((level, is_certain), |(mut level, found)| async move {
        match level.next().await? {
            Some(Child { name, file, .. }) => {
                let kind = if file.is_some() { EntryKind::File } else { EntryKind::Directory };
                Ok(Some((Entry::new(name, kind), (level, true))))
            }
            None if found => Ok(None),
            None => Err(ErrorKind::NotFound.into()),
        }
    })
    .boxed()
}

/// Lists all files, in byte order of their paths.
pub fn walk<'a>(
    store: &'a dyn Lister,
    path: &'a StoragePath,
    after: Option<&'a StoragePath>,
) -> BoxStream<'a, Result<FileInfo>> {
    let files =
        if store.has_directories() { by_levels(store, path, after) } else { by_keys(store, path, after) };
    let is_certain = path.is_root() || after.is_some();
    // The first item shows whether the directory exists.
    stream::once(async move {
        let mut files = files;
        match files.next().await {
            Some(first) => Ok(stream::once(async { first }).chain(files).boxed()),
            None if is_certain => Ok(stream::empty().boxed()),
            None => Err(Error::from(ErrorKind::NotFound)),
        }
    })
    .try_flatten()
    .boxed()
}

/// As S3 lists, in order of the keys: one request for 1000 files.
fn by_keys<'a>(
    store: &'a dyn Lister,
    path: &'a StoragePath,
    after: Option<&'a StoragePath>,
) -> BoxStream<'a, Result<FileInfo>> {
    let below = store.keys().below(path);
    let start = after.map(|after| store.keys().below(after)).map(|key| key.trim_end_matches('/').to_owned());
    let start = start.filter(|start| *start > below);
    let pages = Pages::new(store, below, None, start);
    stream::try_unfold((pages, String::new()), |(mut pages, mut last)| async move {
        let Some(page) = pages.next().await? else { return Ok(None) };
        for (key, ..) in &page.objects {
            if *key <= last {
                let message = "the store's listing is not sorted by key: set `directories`";
                return Err(Error::new(ErrorKind::Unavailable).with_message(message));
            }
            last.clone_from(key);
        }
        Ok(Some((stream::iter(page.objects).map(Ok), (pages, last))))
    })
    .try_flatten()
    .try_filter_map(move |(key, size, modified)| async move {
        let path = store.keys().path(&key).filter(|path| !is_staged(path.as_str()));
        let path = path.filter(|path| after.is_none_or(|after| path > after));
        Ok(path.map(|path| FileInfo::new(path, size, modified)))
    })
    .boxed()
}

/// Directory by directory, for stores that list in another order.
fn by_levels<'a>(
    store: &'a dyn Lister,
    path: &'a StoragePath,
    after: Option<&'a StoragePath>,
) -> BoxStream<'a, Result<FileInfo>> {
    let stack = vec![(path.clone(), Level::new(store, path, None, Order::Keys))];
    stream::try_unfold(stack, move |mut stack| async move {
        while let Some((directory, level)) = stack.last_mut() {
            let Some(child) = level.next().await? else {
                stack.pop();
                continue;
            };
            let path = directory.join(&child.name)?;
            match child.file {
                Some((size, modified)) if after.is_none_or(|after| path > *after) => {
                    return Ok(Some((FileInfo::new(path, size, modified), stack)));
                }
                None if after.is_none_or(|after| may_hold_later(&path, after)) => {
                    let level = Level::new(store, &path, None, Order::Keys);
                    stack.push((path, level));
                }
                _ => {}
            }
        }
        Ok(None)
    })
    .boxed()
}

/// Whether a directory may have a file whose path is greater than `after`.
fn may_hold_later(directory: &StoragePath, after: &StoragePath) -> bool {
    after.strip_prefix(directory).is_some() || format!("{directory}/").as_str() > after.as_str()
}
