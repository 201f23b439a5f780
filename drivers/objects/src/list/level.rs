//! The children of one directory.

use std::{collections::HashSet, time::SystemTime};

use plugin_registry_core::{Error, ErrorKind, Result, StoragePath};

use super::{Lister, Pages, has_any};
use crate::{
    keys::is_staged,
    reorder::{ReorderBuffer, directory_prefixes},
};

/// How many names may wait before the store is asked whether those they wait for exist: about 0.5 MB.
const MAX_HELD: usize = 4096;

/// The order in which children come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `a`, `a-b`: by the names alone.
    Names,
    /// `a-b`, `a/`: in the order of the keys below them.
    Keys,
    /// Like `Names`, but without files, one of which may have the name of a directory.
    Directories,
}

#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) name: String,
    /// Size and last change; `None` for a directory.
    pub(super) file: Option<(u64, Option<SystemTime>)>,
}

/// One level. Holds a page, and up to 4096 names that come too early.
#[derive(Debug)]
pub(super) struct Level<'a> {
    store: &'a dyn Lister,
    below: String,
    after: Option<String>,
    order: Order,
    pages: Pages<'a>,
    waiting: ReorderBuffer<Child>,
    /// Names of directories whose existence was asked for before the listing reached them.
    asked: HashSet<String>,
}

impl<'a> Level<'a> {
    pub(super) fn new(store: &'a dyn Lister, path: &StoragePath, after: Option<&str>, order: Order) -> Self {
        let below = store.keys().below(path);
        // Every greater name has a greater key, whatever the order of the store.
        let start = after.map(|after| format!("{below}{after}"));
        Self {
            store,
            pages: Pages::new(store, below.clone(), Some("/"), start),
            below,
            after: after.map(str::to_owned),
            order,
            waiting: ReorderBuffer::new(),
            asked: HashSet::new(),
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Child>> {
        loop {
            if let Some(child) = self.waiting.pop() {
                return Ok(Some(child));
            }
            if self.waiting.len() > MAX_HELD {
                self.ask().await?;
                continue;
            }
            let Some(page) = self.pages.next().await? else {
                self.waiting.end();
                return Ok(self.waiting.pop());
            };
            let files = page.objects.into_iter().map(|(key, size, modified)| (key, Some((size, modified))));
            let mut children: Vec<_> =
                files.chain(page.prefixes.into_iter().map(|key| (key, None))).collect();
            // Keys and prefixes come separately, each in the order of the store.
            children.sort_by(|(left, _), (right, _)| self.sort_key(left).cmp(self.sort_key(right)));
            for (key, file) in children {
                self.take(&key, file)?;
            }
        }
    }

    fn sort_key<'k>(&self, key: &'k str) -> &'k str {
        if self.store.has_directories() { key.trim_end_matches('/') } else { key }
    }

    fn take(&mut self, key: &str, file: Option<(u64, Option<SystemTime>)>) -> Result<()> {
        let Some(raw) = key.strip_prefix(&self.below) else { return Ok(()) };
        let name = raw.strip_suffix('/').unwrap_or(raw);
        // The position of the listing: everything still to come is greater, in the order of the store.
        self.waiting.reached(if self.order == Order::Keys { name } else { raw });
        let is_file = file.is_some();
        // Markers of directories, and names that no path has, are not children. A directory that was asked for
        // has come already.
        let is_none = raw.is_empty()
            || (is_file && (raw.ends_with('/') || is_staged(name)))
            || (is_file && self.order == Order::Directories)
            || (!is_file && self.asked.contains(name));
        let is_late = self.after.as_deref().is_none_or(|after| name > after);
        if is_none || !is_late || self.store.keys().path(&format!("{}{name}", self.below)).is_none() {
            return Ok(());
        }
        self.push(Child { name: name.to_owned(), file })
    }

    fn push(&mut self, child: Child) -> Result<()> {
        let name = child.name.as_str();
        let (order, until) = match self.order {
            Order::Names | Order::Directories => (name.as_bytes().to_vec(), until(name, &self.asked)),
            Order::Keys if child.file.is_some() => (name.as_bytes().to_vec(), String::new()),
            Order::Keys => (format!("{name}/").into_bytes(), format!("{name}/")),
        };
        self.waiting.push(order, until, child).map_err(|_| {
            let message = "the store's listing is not sorted by key: set `directories`";
            Error::new(ErrorKind::Unavailable).with_message(message)
        })
    }

    /// Asks for the directories that the first waiting name waits for. So memory stays bounded if all names
    /// have one beginning, as the tags of a version do.
    async fn ask(&mut self) -> Result<()> {
        let Some((order, _)) = self.waiting.first() else { return Ok(()) };
        let name = String::from_utf8_lossy(order).into_owned();
        for begin in directory_prefixes(&name) {
            let is_known =
                self.asked.contains(begin) || self.after.as_deref().is_some_and(|after| begin <= after);
            if !is_known && has_any(self.store, &format!("{}{begin}/", self.below)).await? {
                self.push(Child { name: begin.to_owned(), file: None })?;
            }
            self.asked.insert(begin.to_owned());
        }
        let asked = &self.asked;
        self.waiting.wait_until(|order| until(&String::from_utf8_lossy(order), asked));
        Ok(())
    }
}

/// How far a listing of keys must be before no smaller name can come.
fn until(name: &str, asked: &HashSet<String>) -> String {
    let unknown = directory_prefixes(name).filter(|begin| !asked.contains(*begin));
    unknown.map(|begin| format!("{begin}/")).max().unwrap_or_default()
}
