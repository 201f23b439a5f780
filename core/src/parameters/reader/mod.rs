//! Reads parameters by their types and reports all mistakes at once.

mod duration;
mod remote;

use std::{collections::BTreeSet, fmt, ops::RangeInclusive};

pub use self::{duration::go_duration, remote::store_url};
use super::{Parameters, suggest::did_you_mean};
use crate::{
    error::{Error, ErrorKind, Result},
    secret::Secret,
    shown::shown_name,
};

/// Further mistakes are only counted: a file of another kind has one in each line. The list of a credentials
/// file has eleven at most, and is reported whole.
const MAX_TOLD: usize = 20;

/// Reads [`Parameters`] key by key.
///
/// Each call returns what it can, and remembers what is wrong. [`finish`](Self::finish) reports the first
/// twenty mistakes and how many more there are, including every key that was not asked for. A mistake names the
/// key and its place and never repeats the value, which may be a misplaced secret.
///
/// An empty text counts as unset, as in distribution. Only an empty [`secret`](Self::secret) is a mistake,
/// because it hides that the real one was not found.
///
/// ```
/// use plugin_registry_core::Parameters;
/// let parameters = Parameters::new().with("bukcet", "b").with("secure", "maybe");
/// let mut reader = parameters.reader();
/// let (_bucket, _secure) = (reader.required("bucket"), reader.flag("secure"));
/// assert_eq!(
///     reader.finish().unwrap_err().to_string(),
///     "invalid configuration: 3 mistakes: `bucket`: required, but not given; \
///      `secure`: has to be true or false; `bukcet`: unknown, did you mean `bucket`?"
/// );
/// ```
#[derive(Debug)]
pub struct ParameterReader<'a> {
    parameters: &'a Parameters,
    asked: BTreeSet<&'static str>,
    /// The first mistakes.
    mistakes: Vec<String>,
    /// How many more there are.
    more: usize,
}

impl<'a> ParameterReader<'a> {
    pub(super) fn new(parameters: &'a Parameters) -> Self {
        Self { parameters, asked: BTreeSet::new(), mistakes: Vec::new(), more: 0 }
    }

    /// Returns whether there is a value that is not empty.
    pub fn is_given(&mut self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// Reads a text.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.value(key).map(str::to_owned)
    }

    /// Reads a text that has to be there. A missing one is a mistake, and returned as empty.
    pub fn required(&mut self, key: &'static str) -> String {
        let value = self.text(key);
        if value.is_none() {
            self.mistake(key, "required, but not given");
        }
        value.unwrap_or_default()
    }

    /// Reads a secret. An empty one is a mistake.
    pub fn secret(&mut self, key: &'static str) -> Option<Secret> {
        self.asked.insert(key);
        let value = &self.parameters.values.get(key)?.text;
        if value.expose().is_empty() {
            self.mistake(key, "is empty");
            return None;
        }
        Some(value.clone())
    }

    /// Reads true or false, as [`go_bool`] does.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        let flag = go_bool(self.value(key)?);
        if flag.is_none() {
            self.mistake(key, "has to be true or false");
        }
        flag
    }

    /// Reads a whole number within a range, decimal or hexadecimal after `0x`.
    pub fn number(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.within(key, range, "a number", |number| number.to_string())
    }

    /// Reads a number of bytes within a range.
    pub fn bytes(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.within(key, range, "a number of bytes", |number| Size(number).to_string())
    }

    /// Reads one of some words, in upper or lower case.
    pub fn choice(&mut self, key: &'static str, allowed: &[&'static str]) -> Option<&'static str> {
        let value = self.value(key)?;
        let found = allowed.iter().find(|word| word.eq_ignore_ascii_case(value));
        if found.is_none() {
            let words = allowed.join(", ");
            self.mistake(key, format_args!("has to be one of {words}"));
        }
        found.copied()
    }

    /// Remembers a mistake if both keys are given.
    pub fn conflict(&mut self, key: &'static str, other: &'static str) {
        if self.is_given(key) && self.is_given(other) {
            self.mistake(key, format_args!("cannot be given together with `{other}`"));
        }
    }

    /// Remembers what is wrong with a value. The message must not contain the value if it can be a secret.
    pub fn mistake(&mut self, key: &str, what: impl fmt::Display) {
        let key = key.to_lowercase();
        // The reader's own keys are not secrets, however long they are.
        let named = if self.asked.contains(key.as_str()) { Some(key.as_str()) } else { shown_name(&key) };
        let named = named.unwrap_or("…");
        let mistake = match self.parameters.source_of(&key) {
            Some(source) => format!("`{named}` ({source}): {what}"),
            None => format!("`{named}`: {what}"),
        };
        self.note(mistake);
    }

    /// Remembers a mistake that is not about a value. The mistake names its place itself.
    pub fn note(&mut self, mistake: impl Into<String>) {
        if self.mistakes.len() < MAX_TOLD {
            self.mistakes.push(mistake.into());
        } else {
            self.more += 1;
        }
    }

    /// Ends the reading. Every key that was not asked for is unknown.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::InvalidConfig`] and lists the first twenty mistakes, each with its key and place
    /// and none with a secret, and how many more there are.
    pub fn finish(mut self) -> Result<()> {
        let unknown = self.parameters.keys().filter(|key| !self.asked.contains(*key));
        for key in unknown.collect::<Vec<_>>() {
            // A mistake that is only counted needs no message.
            if self.mistakes.len() == MAX_TOLD {
                self.more += 1;
                continue;
            }
            match did_you_mean(key, self.asked.iter().copied()) {
                Some(near) => self.mistake(key, format_args!("unknown, did you mean `{near}`?")),
                None => self.mistake(key, "unknown"),
            }
        }
        let message = match (self.mistakes.as_slice(), self.more) {
            ([], _) => return Ok(()),
            ([one], _) => one.clone(),
            (all, 0) => format!("{} mistakes: {}", all.len(), all.join("; ")),
            (told, more) => {
                format!("{} mistakes: {}; and {more} more", told.len() + more, told.join("; "))
            }
        };
        Err(Error::new(ErrorKind::InvalidConfig).with_message(message).with_mistakes(self.mistakes))
    }

    fn value(&mut self, key: &'static str) -> Option<&'a str> {
        self.asked.insert(key);
        self.parameters.values.get(key).map(|value| value.text.expose()).filter(|text| !text.is_empty())
    }

    fn within(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        what: &str,
        show: impl Fn(u64) -> String,
    ) -> Option<u64> {
        let value = self.value(key)?;
        let number = number(value).filter(|number| range.contains(number));
        if number.is_none() {
            let limits = match *range.end() {
                u64::MAX => format!("of at least {}", show(*range.start())),
                end => format!("from {} to {}", show(*range.start()), show(end)),
            };
            self.mistake(key, format_args!("has to be {what} {limits}"));
        }
        number
    }
}

/// Parses true or false as Go's `strconv.ParseBool` does: `1 t T TRUE true True 0 f F FALSE false False`.
///
/// ```
/// use plugin_registry_core::go_bool;
/// assert_eq!([go_bool("T"), go_bool("0"), go_bool("yes")], [Some(true), Some(false), None]);
/// ```
#[must_use]
pub fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Parses a number without a sign, and without the leading zero that some readers take for octal and others
/// ignore.
fn number(text: &str) -> Option<u64> {
    let is_number = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => is_number(digits, 16).then(|| u64::from_str_radix(digits, 16).ok())?,
        None if text.len() > 1 && text.starts_with('0') => None,
        None => is_number(text, 10).then(|| text.parse().ok())?,
    }
}

/// A number of bytes, with the round number that people remember.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
            let count = self.0 >> shift;
            if count > 0 && count << shift == self.0 {
                return write!(f, " ({count} {unit})");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
