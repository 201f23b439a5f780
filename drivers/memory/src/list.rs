//! Lazy listings: each step is a few look-ups and jumps over everything below a directory.

use std::{cmp::Ordering, ops::Bound};

use plugin_registry_core::{Entry, EntryKind, ErrorKind, FileInfo, Result, StoragePath};

use crate::store::{Files, Shared, below, has_prefix};

/// Greater than every character of a path, so `name` + this comes after all names that begin with `name`.
const LAST: char = '\u{7f}';

/// The children of a directory in byte order of their names.
pub(crate) fn list(
    store: Shared,
    path: &StoragePath,
    after: Option<&str>,
) -> impl Iterator<Item = Result<Entry>> + Send + use<> {
    let prefix = below(path);
    let mut may_be_empty = after.is_some() || path.is_root();
    let mut last = Some(after.unwrap_or_default().to_owned());
    std::iter::from_fn(move || {
        let found = next_child(store.lock().files(), &prefix, last.as_deref()?);
        last = found.as_ref().map(|entry| entry.name.clone());
        let may_end = std::mem::replace(&mut may_be_empty, true);
        match found {
            Some(entry) => Some(Ok(entry)),
            None => (!may_end).then(|| Err(ErrorKind::NotFound.into())),
        }
    })
}

/// All files below a directory in byte order of their paths.
pub(crate) fn walk(
    store: Shared,
    path: &StoragePath,
    after: Option<&StoragePath>,
) -> impl Iterator<Item = Result<FileInfo>> + Send + use<> {
    let prefix = below(path);
    let mut may_be_empty = after.is_some() || path.is_root();
    let first = after.map_or("", StoragePath::as_str).max(&prefix);
    let mut last = Some(first.to_owned());
    std::iter::from_fn(move || {
        let lower = Bound::Excluded(last.as_deref()?);
        let found = store
            .lock()
            .files()
            .range::<str, _>((lower, Bound::Unbounded))
            .next()
            .and_then(|(key, file)| key.0.as_str().starts_with(&prefix).then(|| file.info(&key.0)));
        last = found.as_ref().map(|info| info.path.as_str().to_owned());
        let may_end = std::mem::replace(&mut may_be_empty, true);
        match found {
            Some(info) => Some(Ok(info)),
            None => (!may_end).then(|| Err(ErrorKind::NotFound.into())),
        }
    })
}

/// The directories below `path` with a child that begins with `marker`, depth first.
pub(crate) fn find_directories(
    store: Shared,
    path: &StoragePath,
    marker: &str,
    after: Option<&StoragePath>,
) -> impl Iterator<Item = Result<StoragePath>> + Send + use<> {
    let marker = marker.to_owned();
    let mut open = after.map_or_else(
        || vec![Directory { path: path.clone(), last: String::new() }],
        |after| open_directories(path, &marker, after),
    );
    std::iter::from_fn(move || {
        loop {
            let directory = open.last_mut()?;
            let store = store.lock();
            let prefix = below(&directory.path);
            let Some(child) = next_child(store.files(), &prefix, &directory.last) else {
                drop(store);
                open.pop();
                continue;
            };
            if child.name.starts_with(&marker) {
                directory.last = format!("{marker}{LAST}");
                continue;
            }
            let child_path = directory.path.join(&child.name);
            directory.last = child.name;
            if child.kind == EntryKind::File {
                continue;
            }
            let child_path = match child_path {
                Ok(child_path) => child_path,
                Err(error) => return Some(Err(error)),
            };
            let marked = has_prefix(store.files(), &format!("{child_path}/{marker}"));
            open.push(Directory { path: child_path.clone(), last: String::new() });
            if marked {
                return Some(Ok(child_path));
            }
        }
    })
}

/// A directory whose children up to `last` are done.
struct Directory {
    path: StoragePath,
    last: String,
}

/// The directories that are open when a listing of `base` has just reported `after`.
fn open_directories(base: &StoragePath, marker: &str, after: &StoragePath) -> Vec<Directory> {
    let mut directory = Directory { path: base.clone(), last: String::new() };
    let Some(rest) = after.strip_prefix(base) else {
        return if after.components().cmp(base.components()) == Ordering::Greater {
            Vec::new()
        } else {
            vec![directory]
        };
    };
    let mut open = Vec::new();
    for component in rest.split('/') {
        let child = directory.path.join(component);
        open.push(Directory { last: component.to_owned(), ..directory });
        match child {
            Ok(path) if !component.starts_with(marker) => directory = Directory { path, last: String::new() },
            _ => return open,
        }
    }
    open.push(directory);
    open
}

/// The first child of the directory `prefix` (with its `/`) whose name is greater than `after`.
///
/// Keys are in the order of the whole path, where `a-b` comes before `a/x`. Children are in the order of their
/// names, where `a` comes before `a-b`. So the first key after `after` belongs either to the wanted child, or
/// to one whose name begins with the wanted name and `-` or `.`, the characters before `/`.
fn next_child(files: &Files, prefix: &str, after: &str) -> Option<Entry> {
    let mut bound = Bound::Excluded(format!("{prefix}{after}"));
    loop {
        let lower = bound.as_ref().map(String::as_str);
        let (key, _) = files.range::<str, _>((lower, Bound::Unbounded)).next()?;
        let rest = key.0.as_str().strip_prefix(prefix)?;
        let (name, kind) = match rest.split_once('/') {
            Some((name, _)) => (name, EntryKind::Directory),
            None => (rest, EntryKind::File),
        };
        if name <= after {
            // A directory that was listed before. `0` follows `/`.
            bound = Bound::Included(format!("{prefix}{name}0"));
            continue;
        }
        let shorter = name.match_indices(['-', '.']).filter_map(|(end, _)| name.get(..end));
        let mut hidden =
            shorter.filter(|short| *short > after && has_prefix(files, &format!("{prefix}{short}/")));
        return Some(match hidden.next() {
            Some(short) => Entry::new(short, EntryKind::Directory),
            None => Entry::new(name, kind),
        });
    }
}
