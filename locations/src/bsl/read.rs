//! A location from the text of a file, YAML or JSON.

use std::collections::BTreeMap;

use plugin_registry_core::{Result, shown_words};

use super::{
    provider::GROUP,
    resource::{BackupStorageLocation, LocationMetadata, LocationSpec, ObjectStorage, SecretKeyRef},
};
use crate::{
    config::{
        mistakes::Mistakes,
        source::shown,
        yaml::{self, Entry, Node, Value},
    },
    document::{expect_location, expect_no_credentials},
};

const KIND: &str = "BackupStorageLocation";

impl BackupStorageLocation {
    /// Reads what `kubectl get backupstoragelocation NAME -o yaml` or `-o json` writes. At most 1 MiB.
    ///
    /// Texts stay as written, so that `true` and `0123` need no quotes. Unknown fields are skipped.
    ///
    /// # Errors
    /// Fails with [`InvalidConfig`](plugin_registry_core::ErrorKind::InvalidConfig) and lists the mistakes
    /// with their lines. Mistakes are text that is neither YAML nor JSON, another `kind`, such as a list of
    /// locations, several documents, and fields of another type. If the text is a Secret, credentials or a
    /// configuration, the cause is [`WrongDocument`](crate::WrongDocument).
    /// [`Config::from_backup_location`](crate::config::Config::from_backup_location) checks whether the
    /// settings make sense.
    pub fn from_text(text: &str) -> Result<Self> {
        expect_no_credentials(text)?;
        let document = yaml::parse(text.trim_start_matches('\u{feff}'))?;
        expect_location(&document.root)?;
        let mut found = Found { mistakes: document.mistakes };
        let location = found.location(document.root);
        found.mistakes.finish()?;
        Ok(location)
    }
}

/// The mistakes so far.
struct Found {
    mistakes: Mistakes,
}

impl Found {
    fn location(&mut self, root: Node) -> BackupStorageLocation {
        let mut location = BackupStorageLocation::default();
        if root.is_null() {
            self.mistakes.add("the text", "is empty");
            return location;
        }
        let Value::Map(entries) = root.value else {
            self.mistakes.add(format_args!("line {}", root.line), format_args!("has to be a {KIND}"));
            return location;
        };
        if !self.is_kind(&entries) {
            return location;
        }
        for Entry { key, node, .. } in entries {
            match key.as_str() {
                "metadata" => location.metadata = self.metadata(node),
                "spec" => location.spec = self.spec(node),
                _ => {}
            }
        }
        location
    }

    /// Whether this is a location. The fields of anything else are not read as those of a location.
    fn is_kind(&mut self, entries: &[Entry]) -> bool {
        let text = |name: &str| {
            let entry = entries.iter().find(|entry| entry.key == name && !entry.node.is_null())?;
            let Value::Text { text, .. } = &entry.node.value else { return Some((entry.line, "")) };
            Some((entry.line, text.expose()))
        };
        if let Some((line, kind)) = text("kind").filter(|(_, kind)| *kind != KIND) {
            let what = if kind.ends_with("List") {
                format!("is a list: pass one {KIND}, requested by its name")
            } else {
                format!("has to be {KIND}{}", not(kind))
            };
            self.mistakes.add(format_args!("`kind` (line {line})"), what);
            return false;
        }
        if let Some((line, version)) = text("apiVersion").filter(|(_, version)| !version.starts_with(GROUP)) {
            let what = format_args!("has to be in the group velero.io{}", not(version));
            self.mistakes.add(format_args!("`apiVersion` (line {line})"), what);
            return false;
        }
        true
    }

    fn metadata(&mut self, node: Node) -> LocationMetadata {
        let mut metadata = LocationMetadata::default();
        for Entry { key, node, .. } in self.entries(node, "metadata") {
            match key.as_str() {
                "name" => metadata.name = self.text(node, "metadata.name"),
                "namespace" => metadata.namespace = self.text(node, "metadata.namespace"),
                _ => {}
            }
        }
        metadata
    }

    fn spec(&mut self, node: Node) -> LocationSpec {
        let mut spec = LocationSpec::default();
        for Entry { key, node, .. } in self.entries(node, "spec") {
            match key.as_str() {
                "provider" => spec.provider = self.text(node, "spec.provider"),
                "config" => spec.config = self.config(node),
                "credential" => spec.credential = self.secret(node, "spec.credential"),
                "objectStorage" => spec.object_storage = self.object_storage(node),
                "accessMode" => spec.access_mode = self.text(node, "spec.accessMode"),
                _ => {}
            }
        }
        spec
    }

    fn config(&mut self, node: Node) -> BTreeMap<String, String> {
        let entries = self.entries(node, "spec.config").into_iter().filter(|entry| !entry.node.is_null());
        entries
            .map(|Entry { key, node, .. }| {
                let text = self.text(node, &format!("spec.config.{}", shown(&key)));
                (key, text)
            })
            .collect()
    }

    fn object_storage(&mut self, node: Node) -> ObjectStorage {
        const PATH: &str = "spec.objectStorage";
        let mut storage = ObjectStorage::default();
        for Entry { key, node, .. } in self.entries(node, PATH) {
            let path = format!("{PATH}.{key}");
            match key.as_str() {
                "bucket" => storage.bucket = self.text(node, &path),
                "prefix" => storage.prefix = self.text(node, &path),
                "caCert" if !node.is_null() => storage.ca_cert = Some(self.text(node, &path)),
                "caCertRef" => storage.ca_cert_ref = self.secret(node, &path),
                _ => {}
            }
        }
        storage
    }

    fn secret(&mut self, node: Node, path: &str) -> Option<SecretKeyRef> {
        if node.is_null() {
            return None;
        }
        let mut secret = SecretKeyRef::default();
        for Entry { key, node, .. } in self.entries(node, path) {
            match key.as_str() {
                "name" => secret.name = self.text(node, &format!("{path}.name")),
                "key" => secret.key = self.text(node, &format!("{path}.key")),
                _ => {}
            }
        }
        Some(secret)
    }

    fn entries(&mut self, node: Node, path: &str) -> Vec<Entry> {
        match node.value {
            Value::Map(entries) => return entries,
            Value::Refused => {}
            _ if node.is_null() => {}
            _ => self.wrong(path, node.line, "has to be a section of keys and values"),
        }
        Vec::new()
    }

    fn text(&mut self, node: Node, path: &str) -> String {
        match node.value {
            _ if node.is_null() => {}
            Value::Text { text, .. } => return text.expose().to_owned(),
            Value::Refused => {}
            Value::List | Value::Map(_) => self.wrong(path, node.line, "has to be a single value"),
        }
        String::new()
    }

    fn wrong(&mut self, path: &str, line: usize, what: &str) {
        self.mistakes.add(format_args!("`{path}` (line {line})"), what);
    }
}

/// Returns the other value in this place, if it is written like a name.
fn not(text: &str) -> String {
    shown_words(text, "._-/").map(|text| format!(", not `{text}`")).unwrap_or_default()
}
