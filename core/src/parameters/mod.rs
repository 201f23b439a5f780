//! Settings of a driver, as text.

mod reader;
mod suggest;

use std::{collections::BTreeMap, fmt};

pub use self::{
    reader::{ParameterReader, go_bool, go_duration, store_url},
    suggest::did_you_mean,
};
use crate::{secret::Secret, shown::shown_name};

/// Settings by key, from a file, a list of variables or a host.
///
/// Each value is the text as written; nothing has guessed a type. Keys are lower-cased, because variables come
/// in capitals. Any value may be a secret. So `Debug` shows only the keys, if they are written like names, and
/// the texts are wiped from memory when dropped. Code that knows the keys reads them with
/// [`reader`](Self::reader), which finds all mistakes at once and reports twenty of them.
///
/// ```
/// use plugin_registry_core::Parameters;
/// let parameters = Parameters::new().with("Bucket", "backup").with("accesskey", "0123456");
/// assert_eq!(parameters.get("accesskey"), Some("0123456"));
/// assert_eq!(format!("{parameters:?}"), r#"{"accesskey": …, "bucket": …}"#);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    values: BTreeMap<String, Value>,
    source: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
struct Value {
    text: Secret,
    source: Option<String>,
}

impl Parameters {
    /// Creates an empty set of settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value and replaces an earlier one.
    #[must_use]
    pub fn with(mut self, key: impl AsRef<str>, value: impl Into<String>) -> Self {
        self.insert(key.as_ref(), value.into(), None);
        self
    }

    /// Sets a value and its source: a line of a file, a variable, a key of a Secret. Mistakes name that place.
    #[must_use]
    pub fn with_from(
        mut self,
        key: impl AsRef<str>,
        value: impl Into<String>,
        source: impl Into<String>,
    ) -> Self {
        self.insert(key.as_ref(), value.into(), Some(source.into()));
        self
    }

    /// Removes a value, as if it had never been set.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.values.remove(&key.to_lowercase());
        self
    }

    /// Sets the source of all values that have no other source, and of missing values.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns the text of a value, which may be a secret.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(&key.to_lowercase()).map(|value| value.text.expose())
    }

    /// Returns the keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Returns whether there are no settings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Starts reading them.
    #[must_use]
    pub fn reader(&self) -> ParameterReader<'_> {
        ParameterReader::new(self)
    }

    fn insert(&mut self, key: &str, text: String, source: Option<String>) {
        self.values.insert(key.to_lowercase(), Value { text: text.into(), source });
    }

    /// Returns where a value comes from, or would come from.
    fn source_of(&self, key: &str) -> Option<&str> {
        let own = self.values.get(key).and_then(|value| value.source.as_deref());
        own.or(self.source.as_deref())
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.keys().map(|key| shown_name(key).unwrap_or("…"));
        f.debug_map().entries(names.map(|name| (name, format_args!("…")))).finish()
    }
}

impl<K: AsRef<str>, V: Into<String>> FromIterator<(K, V)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        pairs.into_iter().fold(Self::new(), |parameters, (key, value)| parameters.with(key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_lower_case_and_the_last_value_wins() {
        let parameters: Parameters = [("BUCKET", "a"), ("bucket", "b"), ("Region", "")].into_iter().collect();
        assert_eq!(parameters.keys().collect::<Vec<_>>(), ["bucket", "region"]);
        assert_eq!(parameters.get("Bucket"), Some("b"));
        assert_eq!(parameters.get("region"), Some(""));
        assert_eq!(parameters.get("none"), None);
        assert!(!parameters.is_empty() && Parameters::new().is_empty());
        assert_eq!(parameters.without("Bucket").keys().collect::<Vec<_>>(), ["region"]);
    }

    #[test]
    fn values_stay_as_they_are_written() {
        for text in ["0123456", "1e9", "a: b", "ab #c", "@abc", "'x'", "~", "null", "yes", "0x10", " a ", ""]
        {
            assert_eq!(Parameters::new().with("accesskey", text).get("accesskey"), Some(text));
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let parameters = Parameters::new().with("secretkey", "hunter2").with_from("a", "hunter2", "line 2");
        assert_eq!(format!("{parameters:?}"), r#"{"a": …, "secretkey": …}"#);
    }
}
