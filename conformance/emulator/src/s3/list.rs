//! The keys that a page of a list shows.

use std::{collections::BTreeMap, ops::Bound};

use super::options::{DelimiterRule, StartAfterRule};

/// A key, or the prefix to which a delimiter folded several keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Key(String),
    Prefix(String),
}

impl Item {
    /// The text after which the list continues behind this item. None of our keys contains the last character
    /// of Unicode, so a prefix with that character is greater than every key with the prefix.
    fn cursor(&self) -> String {
        match self {
            Self::Key(key) => key.clone(),
            Self::Prefix(prefix) => format!("{prefix}\u{10FFFF}"),
        }
    }
}

/// The parameters of a list.
#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    /// Where the previous page ended.
    pub(super) cursor: Option<&'a str>,
    pub(super) start_after: Option<&'a str>,
    pub(super) rule: StartAfterRule,
    /// A page begins with the prefix that was folded last.
    pub(super) restarts: bool,
    pub(super) max: usize,
}

/// A page, and where the next one begins.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    pub(super) next: Option<String>,
}

pub(super) fn page<T>(keys: &BTreeMap<String, T>, query: &Query<'_>) -> Page {
    let start_after = query.start_after.filter(|_| query.rule != StartAfterRule::Ignored);
    let after = query.cursor.or(start_after).filter(|after| *after >= query.prefix);
    let from = after.map_or(Bound::Included(query.prefix), Bound::Excluded);
    let mut items = Vec::<Item>::new();
    let mut folded = None::<String>;
    for key in keys.range::<str, _>((from, Bound::Unbounded)).map(|(key, _)| key) {
        let Some(rest) = key.strip_prefix(query.prefix) else { break };
        if folded.as_ref().is_some_and(|prefix| key.starts_with(prefix.as_str())) {
            continue;
        }
        let cut = query.delimiter.and_then(|delimiter| Some((rest.find(delimiter)?, delimiter.len())));
        let item = match cut {
            None => Item::Key(key.clone()),
            Some((at, length)) => {
                let prefix = key[..query.prefix.len() + at + length].to_owned();
                folded = Some(prefix.clone());
                let passed = start_after.is_some_and(|after| prefix.as_str() <= after);
                if passed && query.rule == StartAfterRule::Items {
                    continue;
                }
                Item::Prefix(prefix)
            }
        };
        if items.len() >= query.max {
            let next = match items.last() {
                Some(Item::Prefix(prefix)) if query.restarts => Some(prefix.clone()),
                last => last.map(Item::cursor),
            };
            return Page { next, items };
        }
        items.push(item);
    }
    Page { items, next: None }
}

/// The delimiter that applies.
pub(super) fn delimiter(asked: Option<&str>, rule: DelimiterRule) -> Option<&str> {
    let asked = asked.filter(|delimiter| !delimiter.is_empty())?;
    let first = asked.chars().next().map_or(0, char::len_utf8);
    match rule {
        DelimiterRule::FirstCharacter => asked.get(..first),
        DelimiterRule::Ignored if asked.len() > first => None,
        DelimiterRule::Whole | DelimiterRule::Ignored | DelimiterRule::Refused | DelimiterRule::Restarts => {
            Some(asked)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(keys: &[&str]) -> BTreeMap<String, ()> {
        keys.iter().map(|key| ((*key).to_owned(), ())).collect()
    }

    #[test]
    fn pages_fold_and_go_on() {
        let keys = store(&["a", "r/a/_layers/x", "r/a/_layers/y", "r/b/_layers/x", "r/c"]);
        let query = Query { prefix: "r/", delimiter: Some("/_layers"), max: 1, ..Query::default() };
        let first = page(&keys, &query);
        assert_eq!(first.items, [Item::Prefix("r/a/_layers".into())]);
        let second = page(&keys, &Query { cursor: first.next.as_deref(), ..query });
        assert_eq!(second.items, [Item::Prefix("r/b/_layers".into())]);
        assert!(second.next.is_some());
    }

    #[test]
    fn start_after_has_two_readings() {
        let keys = store(&["d/a", "d/b", "e"]);
        let query = Query { delimiter: Some("/"), start_after: Some("d/a"), max: 9, ..Query::default() };
        assert_eq!(page(&keys, &query).items, [Item::Key("e".into())]);
        let query = Query { rule: StartAfterRule::Keys, ..query };
        assert_eq!(page(&keys, &query).items, [Item::Prefix("d/".into()), Item::Key("e".into())]);
    }
}
