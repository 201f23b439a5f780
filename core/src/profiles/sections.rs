//! The sections of a credentials file, as written.

use std::collections::BTreeMap;

use super::{
    Mistake, Value,
    lines::{SPACE, lines, pair, without_comment},
};
use crate::shown::shown_name;

/// Further unreadable lines say no more than the first ones.
const MAX_LINES: usize = 3;
/// Further profiles are not listed.
const MAX_NAMES: usize = 10;

/// The sections of a file, in the order of their first lines.
pub(super) struct Sections<'a> {
    all: Vec<Section<'a>>,
    /// The position of a section among them, by its name and whether `profile` is before it.
    index: BTreeMap<(&'a str, bool), usize>,
    is_empty: bool,
    /// Lines before the first section.
    before: Vec<usize>,
}

/// The properties of all sections with one header.
struct Section<'a> {
    name: &'a str,
    line: usize,
    /// The last one of each name, by the names in lower case.
    properties: BTreeMap<String, (&'a str, Value<'a>)>,
    /// Lines that are not properties.
    unread: Vec<usize>,
}

/// A profile: what is below `[NAME]`, and below `[profile NAME]` if the first says nothing.
pub(super) struct Named<'s, 'a> {
    pub(super) name: &'a str,
    /// Where it begins.
    pub(super) line: usize,
    sections: [Option<&'s Section<'a>>; 2],
}

impl<'a> Sections<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        let is_empty = text.trim().is_empty();
        let mut sections = Self { all: Vec::new(), index: BTreeMap::new(), is_empty, before: Vec::new() };
        // The section that the lines belong to. Sections that are not profiles are skipped.
        let mut current = None;
        let mut is_before = true;
        let mut is_nested = false;
        for (line, written) in lines(text) {
            if let Some(header) = header(written) {
                is_before = false;
                is_nested = false;
                current = profile(header).map(|(name, is_prefixed)| sections.begin(name, is_prefixed, line));
                continue;
            }
            if is_before {
                sections.before.push(line);
                continue;
            }
            let Some(section) = current.and_then(|at: usize| sections.all.get_mut(at)) else { continue };
            // Settings of a service follow a property without a value.
            if is_nested && written.starts_with(SPACE) {
                continue;
            }
            match pair(written) {
                Some((key, text)) => {
                    is_nested = text.is_empty();
                    section.properties.insert(key.to_ascii_lowercase(), (key, Value { text, line }));
                }
                None => section.unread.push(line),
            }
        }
        sections
    }

    /// Returns the index of a section, and creates the section if it is new.
    fn begin(&mut self, name: &'a str, is_prefixed: bool, line: usize) -> usize {
        *self.index.entry((name, is_prefixed)).or_insert_with(|| {
            self.all.push(Section { name, line, properties: BTreeMap::new(), unread: Vec::new() });
            self.all.len() - 1
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<Named<'_, 'a>> {
        let found = [false, true].map(|is_prefixed| self.all.get(*self.index.get(&(name, is_prefixed))?));
        let line = found.iter().flatten().map(|section| section.line).min()?;
        let name = found.iter().flatten().next()?.name;
        Some(Named { name, line, sections: found })
    }

    /// Returns the lines that belong to no section.
    pub(super) fn unread(&self) -> Vec<Mistake> {
        let what = "is before the first profile: a profile begins with its name, such as `[default]`";
        self.before.iter().take(MAX_LINES).map(|line| Mistake::at(*line, what)).collect()
    }

    /// Says that a profile does not exist.
    pub(super) fn lacks(&self, name: &str) -> String {
        if self.is_empty {
            return "is empty".to_owned();
        }
        let named = shown_name(name);
        let what = named.map_or("of that name".to_owned(), |name| format!("`{name}`"));
        format!("has no profile {what}; {}", self.listed())
    }

    fn listed(&self) -> String {
        if self.all.is_empty() {
            return "it has no profiles".to_owned();
        }
        let mut all: Vec<&str> = self.all.iter().map(|section| section.name).collect();
        all.sort_unstable();
        all.dedup();
        let mut names: Vec<_> = all.iter().filter_map(|name| shown_name(name)).take(MAX_NAMES).collect();
        let is_all = names.len() == all.len();
        if !is_all {
            names.push("others");
        }
        let names = names
            .iter()
            .map(|name| if *name == "others" && !is_all { (*name).to_owned() } else { format!("`{name}`") });
        format!("it has {}", names.collect::<Vec<_>>().join(", "))
    }
}

impl<'a> Named<'_, 'a> {
    /// Returns the value that counts.
    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        let key = key.to_ascii_lowercase();
        self.sections.iter().flatten().find_map(|section| Some(section.properties.get(&key)?.1))
    }

    /// Returns the value that counts, if it is not empty.
    pub(super) fn given(&self, key: &str) -> Option<Value<'a>> {
        self.get(key).filter(|value| !value.text.is_empty())
    }

    /// Returns every property, once, in the order of their lines.
    pub(super) fn all(&self) -> Vec<(&'a str, Value<'a>)> {
        let mut found = BTreeMap::new();
        // A value that counts replaces one that does not.
        for (key, property) in self.sections.iter().rev().flatten().flat_map(|section| &section.properties) {
            found.insert(key, *property);
        }
        let mut found: Vec<_> = found.into_values().collect();
        found.sort_unstable_by_key(|(_, value)| value.line);
        found
    }

    /// Returns the properties that have a value.
    pub(super) fn properties(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.all().into_iter().filter(|(_, value)| !value.text.is_empty())
    }

    /// Returns the keys that count. Both come from one section, so a pair is never made of two.
    pub(super) fn keys<const N: usize>(&self, keys: [&str; N]) -> [Option<Value<'a>>; N] {
        let of = |section: &Section<'a>| keys.map(|key| section.properties.get(key).map(|(_, value)| *value));
        let mut found = self.sections.iter().flatten().map(|section| of(section));
        found.find(|values| values.iter().any(Option::is_some)).unwrap_or([None; N])
    }

    /// Returns the lines that cannot be read.
    pub(super) fn unread(&self) -> impl Iterator<Item = Mistake> {
        let lines = self.sections.iter().flatten().flat_map(|section| section.unread.iter());
        lines.take(MAX_LINES).map(|line| Mistake::at(*line, "has to be KEY = VALUE or [PROFILE]"))
    }
}

/// Returns what is between the brackets.
fn header(line: &str) -> Option<&str> {
    let (name, rest) = line.trim_matches(SPACE).strip_prefix('[')?.split_once(']')?;
    let rest = without_comment(rest);
    (rest.is_empty() || rest.starts_with(['#', ';'])).then(|| name.trim_matches(SPACE))
}

/// Returns the name of a profile, and whether `profile` is before it. Other sections, such as
/// `[sso-session NAME]`, have none.
fn profile(header: &str) -> Option<(&str, bool)> {
    match header.split_once(SPACE) {
        None => Some((header, false)),
        Some(("profile", name)) => {
            let name = name.trim_matches(SPACE);
            let unquoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
            Some((unquoted.unwrap_or(name), true))
        }
        Some(("sso-session" | "services", _)) => None,
        Some(_) => Some((header, false)),
    }
}
