//! The pages of a listing.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    time::SystemTime,
};

use plugin_registry_core::{Error, ErrorKind, Result};

use super::Lister;

/// A page of a listing, in order of its keys if the store keeps one.
#[derive(Debug, Default)]
pub struct Page {
    /// Keys, with size and last change.
    pub objects: Vec<(String, u64, Option<SystemTime>)>,
    /// The beginnings of keys up to and including the delimiter.
    pub prefixes: Vec<String>,
    /// The token for the next page.
    pub next: Option<String>,
}

/// Which objects are listed.
#[derive(Clone, Debug, Default)]
pub struct Listing<'a> {
    /// With this beginning.
    pub prefix: &'a str,
    /// Cut after this text, if it follows the prefix.
    pub delimiter: Option<&'a str>,
    /// Only keys greater than this one. A store that cannot begin there may list more.
    pub after: Option<String>,
    /// The most keys of the page.
    pub limit: Option<i32>,
}

/// How many pages in a row may bring nothing new. Stores return empty pages while they skip deleted keys.
const BARREN: u32 = 100;
/// How many pages' first entries are remembered: enough for 65 million keys.
const REMEMBERED: usize = 1 << 16;

/// Distinguishes a listing that progresses from one that never ends: its pages are empty, or the same page
/// comes again, each time with another token.
#[derive(Debug, Default)]
pub struct Progress {
    barren: u32,
    /// The first entries of pages, as hashes.
    begins: HashSet<u64>,
}

impl Progress {
    /// Records a page that is not the last.
    ///
    /// # Errors
    /// If 100 in a row brought nothing new.
    pub fn page(&mut self, first: Option<&String>) -> Result<()> {
        if self.begins.len() >= REMEMBERED {
            self.begins.clear();
        }
        let is_new = first.is_some_and(|first| {
            self.begins.insert(BuildHasherDefault::<DefaultHasher>::default().hash_one(first))
        });
        self.turn(is_new)
    }

    /// Does the same if it is known whether a page had anything new.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub fn turn(&mut self, is_new: bool) -> Result<()> {
        self.barren = if is_new { 0 } else { self.barren + 1 };
        if self.barren < BARREN {
            Ok(())
        } else {
            Err(broken("100 consecutive pages of a listing had nothing new"))
        }
    }
}

/// The pages of one listing.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    store: &'a dyn Lister,
    prefix: String,
    delimiter: Option<String>,
    after: Option<String>,
    limit: Option<i32>,
    token: Option<String>,
    pub(super) is_done: bool,
    progress: Progress,
}

impl<'a> Pages<'a> {
    pub(super) fn new(
        store: &'a dyn Lister,
        prefix: String,
        delimiter: Option<&str>,
        after: Option<String>,
    ) -> Self {
        let (delimiter, progress) = (delimiter.map(str::to_owned), Progress::default());
        Self { store, prefix, delimiter, after, limit: None, token: None, is_done: false, progress }
    }

    /// Sets the most keys of a page.
    pub(super) fn with_limit(mut self, keys: i32) -> Self {
        self.limit = Some(keys);
        self
    }

    pub(super) async fn next(&mut self) -> Result<Option<Page>> {
        if self.is_done {
            return Ok(None);
        }
        let listing = Listing {
            prefix: &self.prefix,
            delimiter: self.delimiter.as_deref(),
            after: self.after.clone(),
            limit: self.limit,
        };
        let page = self.store.page(&listing, self.token.as_deref()).await?;
        let first = page.objects.first().map(|(key, ..)| key).or_else(|| page.prefixes.first());
        if page.next.is_some() {
            self.progress.page(first)?;
        }
        self.token.clone_from(&page.next);
        self.is_done = page.next.is_none();
        Ok(Some(page))
    }
}

fn broken(message: &'static str) -> Error {
    // A caller that took this for the end of a listing would miss the rest.
    Error::new(ErrorKind::Unavailable).with_message(message).with_retryable(false)
}
