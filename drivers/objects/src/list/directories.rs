//! Directories with a marked child: how repositories are found.

use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use plugin_registry_core::{Error, ErrorKind, Result, StoragePath};

use super::{
    Lister, Pages, has_any,
    level::{Level, Order},
};
use crate::reorder::{ReorderBuffer, component_sort_key, directory_prefixes};

/// Lists as S3 does with the delimiter `/` + marker: one request for 1000 directories, whatever they hold.
/// Stores that lose directories from page to page, or do not know such a delimiter, are asked directory by
/// directory.
pub fn find_directories<'a>(
    store: &'a dyn Lister,
    path: &'a StoragePath,
    marker: &'a str,
    after: Option<&'a StoragePath>,
) -> BoxStream<'a, Result<StoragePath>> {
    stream::once(async move {
        let mut search = Search::new(store, path, marker, after);
        match search.first_page().await {
            Ok(true) => Ok(search.into_stream().boxed()),
            Err(error) if !is_about_the_delimiter(&error) => Err(error),
            Ok(false) | Err(_) => Ok(by_levels(store, path, marker, after.cloned())),
        }
    })
    .try_flatten()
    .boxed()
}

#[derive(Debug)]
struct Search<'a> {
    store: &'a dyn Lister,
    below: String,
    path: &'a StoragePath,
    marker: &'a str,
    delimiter: String,
    after: Option<&'a StoragePath>,
    pages: Pages<'a>,
    waiting: ReorderBuffer<StoragePath>,
    /// The directory found last.
    last: Option<StoragePath>,
}

/// How a search continues.
enum State<'a> {
    Pages(Box<Search<'a>>),
    Levels(BoxStream<'a, Result<StoragePath>>),
}

impl<'a> Search<'a> {
    fn new(
        store: &'a dyn Lister,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> Self {
        let below = store.keys().below(path);
        // `a-b` and `a/b` come after `a`, in either order: everything before its first component is done.
        let first = after.and_then(|after| after.strip_prefix(path)?.split('/').next().map(str::to_owned));
        let start = first.filter(|_| !store.has_directories()).map(|first| format!("{below}{first}"));
        let delimiter = format!("/{marker}");
        let pages = Pages::new(store, below.clone(), Some(&delimiter), start);
        Self {
            store,
            below,
            path,
            marker,
            delimiter,
            after,
            pages,
            waiting: ReorderBuffer::new(),
            last: None,
        }
    }

    /// Whether the store lists in this way, and without loss.
    async fn first_page(&mut self) -> Result<bool> {
        let is_understood = self.next_page().await?;
        Ok(is_understood && (self.pages.is_done || !self.store.has_directories()))
    }

    async fn next_page(&mut self) -> Result<bool> {
        let Some(page) = self.pages.next().await? else {
            self.waiting.end();
            return Ok(true);
        };
        let below = self.below.as_str();
        let relative = |key: &str| key.strip_prefix(below).map(str::to_owned);
        let is_ignored = page
            .objects
            .iter()
            .filter_map(|(key, ..)| relative(key))
            .any(|key| key.contains(self.delimiter.as_str()));
        let is_cut_short = page.prefixes.iter().any(|prefix| !prefix.ends_with(self.delimiter.as_str()));
        if is_ignored || is_cut_short {
            return Ok(false);
        }
        let mut found: Vec<String> = page.prefixes.iter().filter_map(|prefix| relative(prefix)).collect();
        found.sort();
        for raw in found {
            self.waiting.reached(&raw);
            let Some(name) = raw.strip_suffix(self.delimiter.as_str()) else { continue };
            // This is below a marked child of the directory itself.
            if name.starts_with(self.delimiter.trim_start_matches('/')) {
                continue;
            }
            let Ok(directory) = self.path.join(name) else { continue };
            if is_later(&directory, self.after) {
                let pushed =
                    self.waiting.push(component_sort_key(name), until(name, &self.delimiter), directory);
                pushed.map_err(|_| {
                    Error::new(ErrorKind::Unavailable)
                        .with_message("an unsorted listing")
                        .with_retryable(false)
                })?;
            }
        }
        if self.pages.is_done {
            self.waiting.end();
        }
        Ok(true)
    }

    fn into_stream(self) -> impl futures::Stream<Item = Result<StoragePath>> + Send + 'a {
        stream::try_unfold(State::Pages(Box::new(self)), |state| async move {
            let mut search = match state {
                State::Pages(search) => search,
                State::Levels(levels) => return one(levels).await,
            };
            loop {
                if let Some(directory) = search.waiting.pop() {
                    search.last = Some(directory.clone());
                    return Ok(Some((directory, State::Pages(search))));
                }
                if search.pages.is_done {
                    return Ok(None);
                }
                let is_understood = match search.next_page().await {
                    // MinIO may return the same page for ever (minio issue 20682).
                    Err(error) if error.kind() == ErrorKind::Unavailable && !error.is_retryable() => false,
                    result => result?,
                };
                if !is_understood {
                    // The earlier pages had nothing in them that would have shown it.
                    let after = search.last.or_else(|| search.after.cloned());
                    return one(by_levels(search.store, search.path, search.marker, after)).await;
                }
            }
        })
    }
}

/// Whether the store may have failed on the delimiter: NooBaa on a file system accepts only `/` and answers 500
/// (noobaa-core issue 7940). Otherwise the levels fail in the same way.
fn is_about_the_delimiter(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Unavailable | ErrorKind::Other)
}

async fn one(mut levels: BoxStream<'_, Result<StoragePath>>) -> Result<Option<(StoragePath, State<'_>)>> {
    Ok(levels.try_next().await?.map(|directory| (directory, State::Levels(levels))))
}

fn is_later(directory: &StoragePath, after: Option<&StoragePath>) -> bool {
    after.is_none_or(|after| component_sort_key(directory.as_str()) > component_sort_key(after.as_str()))
}

/// How far a listing of keys must be before nothing earlier in the order of components can come: the
/// directories above (`a/_` comes after `a/1/_`), and whatever is below a beginning (`a/…` comes after `a-b`).
fn until(name: &str, delimiter: &str) -> String {
    let above = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
    let above = above.map(|above| format!("{above}{delimiter}"));
    let below = directory_prefixes(name).map(|begin| format!("{begin}/\u{10ffff}"));
    above.chain(below).max().unwrap_or_default()
}

/// Depth first, with two requests for each directory.
fn by_levels<'a>(
    store: &'a dyn Lister,
    path: &'a StoragePath,
    marker: &'a str,
    after: Option<StoragePath>,
) -> BoxStream<'a, Result<StoragePath>> {
    let stack = vec![(path.clone(), Level::new(store, path, None, Order::Directories))];
    stream::try_unfold((stack, after), move |(mut stack, after)| async move {
        while let Some((directory, level)) = stack.last_mut() {
            let Some(child) = level.next().await? else {
                stack.pop();
                continue;
            };
            if child.name.starts_with(marker) {
                continue;
            }
            let path = directory.join(&child.name)?;
            let holds_after = after.as_ref().is_some_and(|after| after.strip_prefix(&path).is_some());
            if !is_later(&path, after.as_ref()) && !holds_after && after.as_ref() != Some(&path) {
                continue;
            }
            let level = Level::new(store, &path, None, Order::Directories);
            let is_marked = is_later(&path, after.as_ref())
                && has_any(store, &format!("{}{marker}", store.keys().below(&path))).await?;
            stack.push((path.clone(), level));
            if is_marked {
                return Ok(Some((path, (stack, after))));
            }
        }
        Ok(None)
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_as_soon_as_they_can() {
        let sorted = ["a-b/_", "a.b/_", "a/1/_", "a/_", "a/b/_", "a0/_"];
        let mut waiting = ReorderBuffer::new();
        let mut out = Vec::new();
        for raw in sorted {
            let name = raw.strip_suffix("/_").unwrap();
            waiting.reached(raw);
            waiting.push(component_sort_key(name), until(name, "/_"), name).unwrap();
            out.extend(std::iter::from_fn(|| waiting.pop()));
        }
        assert_eq!(out, ["a", "a/1", "a/b", "a-b", "a.b", "a0"]);
    }
}
