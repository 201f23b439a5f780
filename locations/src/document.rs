//! Recognizes a document that was passed in the place of another.
//!
//! People have several files side by side: a location, the Secret it names, a configuration. Reading one as
//! another gives a list of mistakes that does not say the only thing that helps.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plugin_registry_core::{Error, ErrorKind, Result, shown_words};

use crate::config::{
    source::shown,
    yaml::{self, Entry, Node, Value},
};

/// Further keys of a Secret are not listed.
const MAX_KEYS: usize = 10;

/// One kind of document was passed, and another was asked for.
///
/// It is the [cause](Error::get_ref) of an error of the kind [`InvalidConfig`](ErrorKind::InvalidConfig), so
/// that a program with an option for each can name the right one.
///
/// ```
/// use plugin_registry_locations::{Config, DocumentKind, WrongDocument};
/// let error = Config::from_yaml("apiVersion: velero.io/v1\nkind: BackupStorageLocation\n").unwrap_err();
/// let wrong = error.get_ref().and_then(|cause| cause.downcast_ref::<WrongDocument>()).unwrap();
/// assert_eq!(wrong.found, DocumentKind::Location);
/// assert!(error.to_string().ends_with("this is a BackupStorageLocation, not the configuration of a registry"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrongDocument {
    /// What was asked for.
    pub expected: DocumentKind,
    /// What was passed.
    pub found: DocumentKind,
}

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DocumentKind {
    /// The configuration of a registry, as of CNCF distribution.
    Configuration,
    /// A BackupStorageLocation of Velero.
    Location,
    /// Credentials of a cloud: AWS profiles, lines `AZURE_…=…`, Google's JSON.
    Credentials,
    /// The same, encoded as base64.
    EncodedCredentials,
    /// A Secret of Kubernetes, with credentials in one of its values.
    Secret,
    /// Another object of Kubernetes.
    OtherObject,
}

impl DocumentKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "the configuration of a registry",
            Self::Location => "a BackupStorageLocation",
            Self::Credentials => "a credentials file",
            Self::EncodedCredentials => "a credentials file that is still encoded as base64",
            Self::Secret => "a Kubernetes Secret",
            Self::OtherObject => "another Kubernetes object",
        }
    }
}

impl fmt::Display for WrongDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this is {}, not {}", self.found.as_str(), self.expected.as_str())
    }
}

impl std::error::Error for WrongDocument {}

impl WrongDocument {
    fn error(self, place: &str, advice: &str) -> Error {
        let message = format!("{place}{self}{advice}");
        Error::new(ErrorKind::InvalidConfig).with_message(message).with_source(self)
    }
}

/// Refuses what is not the configuration of a registry.
pub(crate) fn expect_configuration(root: &Node) -> Result<()> {
    let expected = DocumentKind::Configuration;
    match kind_of(root) {
        None | Some((DocumentKind::Configuration, _)) => Ok(()),
        Some((found, line)) => {
            Err(WrongDocument { expected, found }.error(&format!("`kind` (line {line}): "), ""))
        }
    }
}

/// Refuses credentials in the place of a location. They need not be YAML, so this comes before it is parsed.
pub(crate) fn expect_no_credentials(text: &str) -> Result<()> {
    let (expected, found) = (DocumentKind::Location, DocumentKind::Credentials);
    if is_credentials(text) { Err(WrongDocument { expected, found }.error("", "")) } else { Ok(()) }
}

/// Refuses a document that is no location, as far as it is clear what it is. Other kinds of objects are a
/// mistake in `kind`.
pub(crate) fn expect_location(root: &Node) -> Result<()> {
    let expected = DocumentKind::Location;
    match kind_of(root) {
        Some((found @ DocumentKind::Secret, line)) => {
            Err(WrongDocument { expected, found }.error(&format!("`kind` (line {line}): "), ""))
        }
        Some((found @ DocumentKind::Configuration, line)) => {
            Err(WrongDocument { expected, found }.error(&format!("`storage` (line {line}): "), ""))
        }
        _ => Ok(()),
    }
}

/// Refuses an object of Kubernetes in the place of credentials, and credentials that are still encoded. `key` is
/// the one of the Secret that the location names.
pub(crate) fn expect_credentials(text: &str, key: &str) -> Result<()> {
    let wrong = |found| WrongDocument { expected: DocumentKind::Credentials, found };
    if is_encoded(text) {
        let advice = ": pass what `base64 -d` makes of it";
        return Err(wrong(DocumentKind::EncodedCredentials).error("credentials file: ", advice));
    }
    // Most files are not YAML, and no other that is has one of these keys.
    if !["kind", "data", "stringData"].iter().any(|word| text.contains(word)) {
        return Ok(());
    }
    let Ok(document) = yaml::parse(text.trim_start_matches('\u{feff}')) else { return Ok(()) };
    let found = match kind_of(&document.root) {
        Some((found, _)) if found != DocumentKind::Configuration => found,
        // A part of a Secret.
        _ if values(&document.root).next().is_some() => DocumentKind::Secret,
        _ => return Ok(()),
    };
    let advice = if found == DocumentKind::Secret { advice(&document.root, key) } else { String::new() };
    Err(wrong(found).error("credentials file: ", &advice))
}

/// Says which value of a Secret to pass.
fn advice(root: &Node, key: &str) -> String {
    let key = shown(key);
    match values(root).find(|value| value.key == key) {
        Some(value) if value.is_encoded => {
            format!(": pass the value of its key `{key}`, which `base64 -d` decodes")
        }
        Some(_) => format!(": pass the text of its key `{key}`, without the indent"),
        None => {
            let mut keys: Vec<_> = values(root).map(|value| format!("`{}`", shown(value.key))).collect();
            keys.sort_unstable();
            keys.dedup();
            let more = keys.len().saturating_sub(MAX_KEYS);
            keys.truncate(MAX_KEYS);
            let others = if more > 0 { format!(" and {more} others") } else { String::new() };
            let has = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
            format!(": the location names its key `{key}`, and it has {has}{others}")
        }
    }
}

/// A key of a Secret.
struct SecretValue<'a> {
    key: &'a str,
    is_encoded: bool,
}

/// The keys below `stringData`, which count before those below `data`.
fn values(root: &Node) -> impl Iterator<Item = SecretValue<'_>> {
    let below = |name: &'static str, is_encoded| {
        let section = entry(root, name).map(|entry| entries(&entry.node)).unwrap_or_default();
        section.iter().map(move |entry| SecretValue { key: &entry.key, is_encoded })
    };
    below("stringData", false).chain(below("data", true))
}

/// What a document is, and the line that says so.
fn kind_of(root: &Node) -> Option<(DocumentKind, usize)> {
    let Some(kind) = entry(root, "kind").filter(|kind| !kind.node.is_null()) else {
        let storage = entry(root, "storage")?;
        return Some((DocumentKind::Configuration, storage.line));
    };
    let Value::Text { text, .. } = &kind.node.value else { return None };
    let found = match text.expose() {
        "BackupStorageLocation" => DocumentKind::Location,
        "Secret" => DocumentKind::Secret,
        // Without a version, a key of that name may be a mistake of any other kind.
        other => {
            entry(root, "apiVersion")?;
            shown_words(other, "")?;
            DocumentKind::OtherObject
        }
    };
    Some((found, kind.line))
}

fn entry<'a>(root: &'a Node, key: &str) -> Option<&'a Entry> {
    entries(root).iter().find(|entry| entry.key == key)
}

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}

/// Whether the text begins like credentials: with a profile or a variable of Azure.
fn is_credentials(text: &str) -> bool {
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(['#', ';'])).unwrap_or_default();
    let profile = first.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    profile.is_some_and(|name| !name.is_empty() && !name.contains(['[', ',', '{', ':']))
        || (first.starts_with("AZURE_") && first.contains('='))
}

/// Whether the text is base64 of credentials, with or without line breaks.
fn is_encoded(text: &str) -> bool {
    let text: String = text.split_ascii_whitespace().collect();
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.is_some_and(|text| is_credentials(&text) || text.trim_start().starts_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Node {
        yaml::parse(text).unwrap().root
    }

    fn message(result: Result<()>) -> String {
        result.map_or_else(|error| error.message().unwrap_or_default().to_owned(), |()| String::new())
    }

    const LOCATION: &str = "apiVersion: velero.io/v1\nkind: BackupStorageLocation\nspec: {}\n";
    const SECRET: &str = "apiVersion: v1\nkind: Secret\ndata:\n  cloud: W2RlZmF1bHRdCg==\n";
    const CONFIGURATION: &str = "version: 0.1\nstorage: inmemory\n";

    #[test]
    fn in_the_place_of_a_configuration() {
        for (text, expected) in [
            (CONFIGURATION, ""),
            ("kind: x\n", ""),
            ("kind:\nstorage: inmemory\n", ""),
            ("kind: [a]\napiVersion: v1\n", ""),
            (
                LOCATION,
                "`kind` (line 2): this is a BackupStorageLocation, not the configuration of a registry",
            ),
            (SECRET, "`kind` (line 2): this is a Kubernetes Secret, not the configuration of a registry"),
            (
                r#"{"apiVersion": "v1", "kind": "ConfigMap"}"#,
                "`kind` (line 1): this is another Kubernetes object, not the configuration of a registry",
            ),
        ] {
            assert_eq!(message(expect_configuration(&root(text))), expected, "{text}");
        }
    }

    #[test]
    fn in_the_place_of_a_location() {
        for (text, expected) in [
            (LOCATION, ""),
            ("spec: {}\n", ""),
            (SECRET, "`kind` (line 2): this is a Kubernetes Secret, not a BackupStorageLocation"),
            (
                CONFIGURATION,
                "`storage` (line 2): this is the configuration of a registry, not a BackupStorageLocation",
            ),
        ] {
            assert_eq!(message(expect_location(&root(text))), expected, "{text}");
        }
        for text in ["[default]\naws_access_key_id = a\n", "# mine\n\n[profile a]\n", "AZURE_CLOUD_NAME=a\n"]
        {
            let expected = "this is a credentials file, not a BackupStorageLocation";
            assert_eq!(message(expect_no_credentials(text)), expected, "{text}");
        }
        for text in [LOCATION, "[1, 2]\n", "[{a: b}]", "[]", "", "{\"a\": 1}"] {
            assert_eq!(message(expect_no_credentials(text)), "", "{text}");
        }
    }

    #[test]
    fn in_the_place_of_credentials() {
        let secret = "credentials file: this is a Kubernetes Secret, not a credentials file";
        let decode = format!("{secret}: pass the value of its key `cloud`, which `base64 -d` decodes");
        let plain = format!("{secret}: pass the text of its key `cloud`, without the indent");
        for (text, expected) in [
            (SECRET, decode.as_str()),
            ("data:\n  cloud: W2RlZmF1bHRdCg==\n", &decode),
            (r#"{"kind":"Secret","apiVersion":"v1","data":{"cloud":"W2RlZmF1bHRdCg=="}}"#, &decode),
            ("apiVersion: v1\nkind: Secret\nstringData:\n  cloud: |\n    [default]\n", &plain),
            (
                "kind: Secret\ndata: {b: eA==, a: eA==}\nstringData: {b: x}\n",
                &format!("{secret}: the location names its key `cloud`, and it has `a`, `b`"),
            ),
            ("kind: Secret\n", &format!("{secret}: the location names its key `cloud`, and it has none")),
            (LOCATION, "credentials file: this is a BackupStorageLocation, not a credentials file"),
            (
                "W2RlZmF1bHRdCmF3c19hY2Nlc3Nfa2V5\nX2lkPWEK",
                "credentials file: this is a credentials file that is still encoded as base64, not a \
                 credentials file: pass what `base64 -d` makes of it",
            ),
        ] {
            assert_eq!(message(expect_credentials(text, "cloud")), expected, "{text}");
        }
        for text in [
            "",
            "[default]\naws_access_key_id = kind\naws_secret_access_key = data:stringData\n",
            "AZURE_STORAGE_ACCOUNT_ACCESS_KEY=data==\n",
            r#"{"type": "service_account", "project_id": "data", "client_email": "kind"}"#,
            "data: x\n",
        ] {
            assert_eq!(message(expect_credentials(text, "cloud")), "", "{text}");
        }
    }

    /// Neither a value nor a key that is not written like a name.
    #[test]
    fn no_secret_is_repeated() {
        let secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";
        for text in [
            format!("kind: Secret\nstringData:\n  cloud: {secret}\n"),
            format!("kind: Secret\nstringData:\n  {secret}: a\n"),
        ] {
            let error = expect_credentials(&text, "cloud").unwrap_err();
            assert!(!format!("{error} {error:?}").contains(secret), "{error}");
        }
    }
}
