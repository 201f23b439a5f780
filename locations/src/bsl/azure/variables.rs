//! The variables of Azure, from the user's Secret or from OADP's.

use std::collections::BTreeMap;

use plugin_registry_core::{
    Secret,
    profiles::{MAX_FILE, SPACE, lines, pair},
};

use super::{CLIENT, KEY, SECRET, TENANT};
use crate::{
    bsl::{credentials::LocationCredentials, settings::Settings},
    config::source::shown,
};

/// The keys of OADP's Secret, by variable. The Secret has all keys; those without a value are empty.
const REGISTRY: &[(&str, &str)] = &[
    (KEY, "storage_account_key"),
    (SECRET, "client_secret_key"),
    (CLIENT, "client_id_key"),
    (TENANT, "tenant_id_key"),
];
/// The prefix of all variables, except that of a key with its own name.
const COMMON: &str = "AZURE_";
/// More unreadable lines say no more than the first ones.
const MAX_LINES: usize = 3;

pub(super) enum Variables<'a> {
    /// Lines by their names.
    File(BTreeMap<&'a str, (usize, &'a str)>),
    /// OADP's Secret by its keys, and the name of the Secret.
    Registry(&'a BTreeMap<String, Secret>, String),
}

/// The value of a variable and its place.
pub(super) struct Variable<'a> {
    pub(super) text: &'a str,
    pub(super) place: String,
}

impl<'a> Variables<'a> {
    /// Reads the variables that are given; `None` if there are none. Unreadable variables are among the
    /// mistakes. `key` is the variable of the account's key, if it has its own name.
    pub(super) fn new(
        settings: &mut Settings<'_>,
        credentials: &'a LocationCredentials,
        key: Option<&str>,
    ) -> Option<Self> {
        match (&credentials.contents, &credentials.registry) {
            (Some(contents), _) => Some(Self::file(settings, contents.expose(), key)),
            (None, Some(pairs)) => {
                let secret = settings.registry_secret();
                if !REGISTRY.iter().any(|(_, key)| pairs.contains_key(*key)) {
                    let keys: Vec<_> = REGISTRY.iter().map(|(_, key)| *key).collect();
                    settings.mistakes.add(&secret, format_args!("has none of the keys {}", keys.join(", ")));
                }
                Some(Self::Registry(pairs, secret))
            }
            (None, None) => None,
        }
    }

    fn file(settings: &mut Settings<'_>, text: &'a str, key: Option<&str>) -> Self {
        let mut variables = BTreeMap::new();
        if text.len() as u64 > MAX_FILE {
            settings.mistakes.add("credentials file", format_args!("is longer than {MAX_FILE} bytes"));
            return Self::File(variables);
        }
        let mut unread = Vec::new();
        for (number, line) in lines(text).filter(|(_, line)| !line.trim_matches(SPACE).starts_with('[')) {
            match pair(line) {
                Some((name, value)) => {
                    let name =
                        name.strip_prefix("export").filter(|name| name.starts_with(SPACE)).unwrap_or(name);
                    variables.insert(name.trim_matches(SPACE), (number, value));
                }
                None => unread.push(number),
            }
        }
        for line in unread.iter().take(MAX_LINES) {
            settings.mistakes.add(format_args!("credentials file, line {line}"), "has to be KEY=VALUE");
        }
        if text.trim().is_empty() {
            settings.mistakes.add("credentials file", "is empty");
        } else if !variables.keys().any(|name| name.starts_with(COMMON) || Some(*name) == key) {
            settings.mistakes.add("credentials file", "has no line that begins with `AZURE_`");
        }
        Self::File(variables)
    }

    /// Returns the names in a file, with their lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&'a str, usize)> {
        let lines = match self {
            Self::File(lines) => Some(lines.iter().map(|(name, (line, _))| (*name, *line))),
            Self::Registry(..) => None,
        };
        lines.into_iter().flatten()
    }

    /// Returns the place of all variables.
    pub(super) fn place(&self) -> &str {
        match self {
            Self::File(_) => "credentials file",
            Self::Registry(_, secret) => secret,
        }
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Returns a variable. In a file it may be empty; in OADP's Secret an empty one counts as unset.
    pub(super) fn get(&self, name: &str) -> Option<Variable<'a>> {
        match self {
            Self::File(lines) => {
                let (line, text) = lines.get(name)?;
                Some(Variable { text, place: format!("credentials file, line {line}") })
            }
            Self::Registry(pairs, _) => {
                let text = pairs.get(registry_key(name)?)?.expose();
                (!text.is_empty()).then(|| Variable { text, place: self.place_of(name) })
            }
        }
    }

    /// Returns a variable that is not empty.
    pub(super) fn given(&self, name: &str) -> Option<Variable<'a>> {
        self.get(name).filter(|variable| !variable.text.is_empty())
    }

    /// Returns the place where a variable would be.
    pub(super) fn place_of(&self, name: &str) -> String {
        match self {
            Self::File(_) => "credentials file".to_owned(),
            Self::Registry(_, secret) => format!("{secret}, key {}", registry_key(name).unwrap_or(name)),
        }
    }

    /// Says that a variable is missing, after [`place_of`](Self::place_of).
    pub(super) fn lack(&self, name: &str) -> String {
        match self {
            Self::File(_) => format!("has no `{}`", shown(name)),
            Self::Registry(..) => "is empty or missing".to_owned(),
        }
    }

    /// Returns the name of a variable, for messages.
    pub(super) fn shown(&self, name: &str) -> String {
        let name = if self.is_file() { name } else { registry_key(name).unwrap_or(name) };
        format!("`{}`", shown(name))
    }
}

fn registry_key(name: &str) -> Option<&'static str> {
    REGISTRY.iter().find(|(known, _)| *known == name).map(|(_, key)| *key)
}
