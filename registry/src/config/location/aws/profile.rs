//! The credentials file of AWS: profiles with keys in them, or with a way to keys.

use std::collections::BTreeMap;

use plugin_registry_core::{did_you_mean, shown_name};

use crate::config::location::{
    lines::{SPACE, lines, pair, without_comment},
    settings::{Mistakes, shown},
};

const ACCESS_KEY: &str = "aws_access_key_id";
const SECRET_KEY: &str = "aws_secret_access_key";
const TOKEN: &str = "aws_session_token";

/// What makes the SDK ask somebody for keys, whatever else is in the profile.
const DELEGATES: &[&str] =
    &["role_arn", "web_identity_token_file", "credential_process", "source_profile", "credential_source"];
const SSO: &str = "sso_";
/// What oadp-operator takes for such a profile. It says only whom to ask, so that keys beside it are used.
const HINT: &str = "sts_regional_endpoints";

/// More lines that cannot be read say no more than the first ones.
const MAX_LINES: usize = 3;
/// More profiles are not listed.
const MAX_NAMES: usize = 10;

/// What a profile has.
pub(super) enum Profile<'a> {
    Keys(Keys<'a>),
    /// A way to keys, by this property.
    Delegated {
        key: &'a str,
        line: usize,
    },
    /// Neither; what is wrong is said.
    Wrong,
}

pub(super) struct Keys<'a> {
    pub(super) access: Value<'a>,
    pub(super) secret: Value<'a>,
    pub(super) token: Option<Value<'a>>,
}

#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
}

/// A profile as it is written.
struct Section<'a> {
    name: &'a str,
    line: usize,
    properties: Vec<(&'a str, Value<'a>)>,
    /// Lines that are no properties.
    unread: Vec<usize>,
}

/// Profiles by their names.
type Sections<'a> = BTreeMap<&'a str, Section<'a>>;

impl<'a> Section<'a> {
    fn read(&self, mistakes: &mut Mistakes) -> Option<Profile<'a>> {
        let is_delegate = |key: &str| DELEGATES.contains(&key) || key.starts_with(SSO);
        if let Some((key, value)) = self.delegated(is_delegate) {
            return Some(Profile::Delegated { key, line: value.line });
        }
        let keys = [ACCESS_KEY, SECRET_KEY].map(|key| self.get(key));
        if let ([None, None], Some((key, value))) = (keys, self.delegated(|key| key == HINT)) {
            return Some(Profile::Delegated { key, line: value.line });
        }
        let place = format!("credentials file, profile `{}` (line {})", shown(self.name), self.line);
        for (key, value) in [ACCESS_KEY, SECRET_KEY].into_iter().zip(keys) {
            match value {
                Some(value) if value.text.is_empty() => {
                    mistakes.add(
                        format_args!("credentials file, line {}", value.line),
                        format_args!("`{key}` is empty"),
                    );
                }
                Some(_) => {}
                None => match self.meant(key) {
                    Some(line) => mistakes
                        .add(&place, format_args!("has no `{key}`; line {line} may be meant to be it")),
                    None => mistakes.add(&place, format_args!("has no `{key}`")),
                },
            }
        }
        let [Some(access), Some(secret)] = keys.map(|value| value.filter(|value| !value.text.is_empty()))
        else {
            return None;
        };
        let token = self.get(TOKEN).filter(|value| !value.text.is_empty());
        Some(Profile::Keys(Keys { access, secret, token }))
    }

    /// The last value is the one that counts, as for the SDKs.
    fn get(&self, key: &str) -> Option<Value<'a>> {
        let mut found = self.properties.iter().rev();
        found.find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| *value)
    }

    fn delegated(&self, is_one: impl Fn(&str) -> bool) -> Option<(&'a str, Value<'a>)> {
        let given = self.properties.iter().filter(|(_, value)| !value.text.is_empty());
        given.copied().find(|(name, _)| is_one(&name.to_ascii_lowercase()))
    }

    /// The line of a key that is misspelt.
    fn meant(&self, key: &'static str) -> Option<usize> {
        let unknown = self.properties.iter().filter(|(name, _)| {
            ![ACCESS_KEY, SECRET_KEY, TOKEN].iter().any(|known| name.eq_ignore_ascii_case(known))
        });
        let mut near = unknown.filter(|(name, _)| did_you_mean(name, [ACCESS_KEY, SECRET_KEY]) == Some(key));
        near.next().map(|(_, value)| value.line)
    }
}

/// Reads one profile. Lines of others that cannot be read do not matter.
pub(super) fn find<'a>(text: &'a str, name: &str, mistakes: &mut Mistakes) -> Option<Profile<'a>> {
    let (sections, unread) = sections(text);
    let section = sections.get(name);
    for line in unread.iter().take(MAX_LINES) {
        let what = "is before the first profile, which begins with its name, such as `[default]`";
        mistakes.add(format_args!("credentials file, line {line}"), what);
    }
    let Some(section) = section else {
        let what = if text.trim().is_empty() {
            "is empty".to_owned()
        } else {
            match shown_name(name) {
                Some(name) => format!("has no profile `{name}`; {}", listed(&sections)),
                None => format!("has no profile of the name in `spec.config.profile`; {}", listed(&sections)),
            }
        };
        mistakes.add("credentials file", what);
        return None;
    };
    for line in section.unread.iter().take(MAX_LINES) {
        mistakes.add(format_args!("credentials file, line {line}"), "has to be KEY = VALUE or [PROFILE]");
    }
    if !unread.is_empty() || !section.unread.is_empty() {
        return None;
    }
    section.read(mistakes)
}

/// The profiles that there are.
fn listed(sections: &Sections<'_>) -> String {
    if sections.is_empty() {
        return "it has none at all".to_owned();
    }
    let names = sections.keys().filter_map(|name| shown_name(name));
    let mut names: Vec<_> = names.take(MAX_NAMES).map(|name| format!("`{name}`")).collect();
    if names.len() < sections.len() {
        names.push("others".to_owned());
    }
    format!("it has {}", names.join(", "))
}

/// All profiles, and the lines before the first one.
fn sections(text: &str) -> (Sections<'_>, Vec<usize>) {
    let mut sections = Sections::new();
    let mut unread = Vec::new();
    // The profile that the lines belong to. Other sections are skipped.
    let mut current = None;
    let mut is_before = true;
    let mut is_nested = false;
    for (number, line) in lines(text) {
        if let Some(header) = header(line) {
            is_before = false;
            is_nested = false;
            current = profile_name(header);
            if let Some(name) = current {
                let begun = || Section { name, line: number, properties: Vec::new(), unread: Vec::new() };
                sections.entry(name).or_insert_with(begun);
            }
            continue;
        }
        if is_before {
            unread.push(number);
            continue;
        }
        let Some(section) = current.and_then(|name| sections.get_mut(name)) else { continue };
        // Settings of a service are below a property without a value.
        if is_nested && line.starts_with(SPACE) {
            continue;
        }
        match pair(line) {
            Some((key, text)) => {
                is_nested = text.is_empty();
                section.properties.push((key, Value { text, line: number }));
            }
            None => section.unread.push(number),
        }
    }
    (sections, unread)
}

/// What is between the brackets.
fn header(line: &str) -> Option<&str> {
    let (name, rest) = line.trim_matches(SPACE).strip_prefix('[')?.split_once(']')?;
    let rest = without_comment(rest);
    (rest.is_empty() || rest.starts_with(['#', ';'])).then(|| name.trim_matches(SPACE))
}

/// The name of a profile; other sections, such as `[sso-session NAME]`, have none.
fn profile_name(header: &str) -> Option<&str> {
    match header.split_once(SPACE) {
        None => Some(header),
        Some(("profile", name)) => {
            let name = name.trim_matches(SPACE);
            let unquoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
            Some(unquoted.unwrap_or(name))
        }
        Some(("sso-session" | "services", _)) => None,
        Some(_) => Some(header),
    }
}
