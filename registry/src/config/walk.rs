//! From the tree to settings: every key meets its row in the table.

use plugin_registry_core::{Parameters, did_you_mean};

use super::{
    Ignored,
    keys::{DRIVERS, Key, ROOT, STORAGE},
    yaml::{Document, Entry, Node, Value},
};

/// What the file says, still as text.
#[derive(Default)]
pub(super) struct Found {
    /// By their paths: what is read.
    pub(super) settings: Parameters,
    /// The name of the driver.
    pub(super) driver: Option<String>,
    /// Its parameters.
    pub(super) parameters: Parameters,
    pub(super) ignored: Vec<Ignored>,
    pub(super) mistakes: Vec<String>,
}

/// Walks over a document.
pub(super) fn walk(document: Document) -> Found {
    let mut found = Found { mistakes: document.mistakes, ..Found::default() };
    found.section(ROOT, document.root, "");
    found
}

impl Found {
    fn section(&mut self, keys: &'static [(&'static str, Key)], node: Node, path: &str) {
        for entry in self.entries(node, path) {
            match find(keys, &entry.key) {
                Some(key) => self.key(key, entry, path),
                None => {
                    let near = did_you_mean(&entry.key, keys.iter().map(|(name, _)| *name));
                    self.unknown(&entry, path, near);
                }
            }
        }
    }

    fn key(&mut self, key: &'static Key, entry: Entry, path: &str) {
        let Entry { key: name, line, node } = entry;
        let path = join(path, &name);
        match key {
            Key::Section(keys) => self.section(keys, node, &path),
            Key::Storage => self.storage(node),
            Key::Ignored(reason) => self.ignored.push(Ignored { key: path, line, reason }),
            Key::Read(_) if node.is_null() => {}
            Key::Read(path) => {
                if let Some(text) = self.text(node, path, line) {
                    let settings = std::mem::take(&mut self.settings);
                    self.settings = settings.with_from(path, text, format!("line {line}"));
                }
            }
        }
    }

    /// The drivers, and the keys beside them.
    fn storage(&mut self, node: Node) {
        // `storage: inmemory`
        if let (false, Value::Text { text, .. }) = (node.is_null(), &node.value) {
            self.driver = Some(text.expose().to_owned());
            return;
        }
        let line = node.line;
        let mut drivers = Vec::new();
        for entry in self.entries(node, "storage") {
            if let Some(key) = find(STORAGE, &entry.key) {
                self.key(key, entry, "storage");
                continue;
            }
            let near = did_you_mean(&entry.key, STORAGE.iter().map(|(name, _)| *name));
            match near {
                Some(_) if !DRIVERS.contains(&entry.key.as_str()) => self.unknown(&entry, "storage", near),
                _ => drivers.push(entry),
            }
        }
        if drivers.len() > 1 {
            let named = drivers.iter().map(|entry| format!("`{}` (line {})", shown(&entry.key), entry.line));
            let named = named.collect::<Vec<_>>().join(" and ");
            self.mistakes.push(format!("`storage` (line {line}): there may be only one driver, not {named}"));
        }
        let Some(Entry { key, line, node }) = drivers.into_iter().next() else {
            // Without an own mistake of its lines: what is missing has none.
            return;
        };
        let path = join("storage", &key);
        self.parameters = Parameters::new().with_source(format!("{}, line {line}", shown(&path)));
        self.driver = Some(key);
        self.parameters_of(node, "", &path);
    }

    /// The parameters of the driver; those in a section of their own are named `section.key`.
    fn parameters_of(&mut self, node: Node, prefix: &str, path: &str) {
        for Entry { key, line, node } in self.entries(node, path) {
            let (name, path) = (join(prefix, &key), join(path, &key));
            if matches!(node.value, Value::Map(_)) {
                self.parameters_of(node, &name, &path);
                continue;
            }
            let Some(text) = self.text(node, &path, line) else { continue };
            if self.parameters.get(&name).is_some() {
                self.mistake(&path, line, "is given twice");
            }
            let parameters = std::mem::take(&mut self.parameters);
            self.parameters = parameters.with_from(name, text, format!("line {line}"));
        }
    }

    fn entries(&mut self, node: Node, path: &str) -> Vec<Entry> {
        match node.value {
            Value::Map(entries) => return entries,
            Value::Refused => {}
            _ if node.is_null() => {}
            _ if path.is_empty() => self.mistakes.push("the file has to hold keys and values".to_owned()),
            _ => self.mistake(path, node.line, "has to be a section of keys and values"),
        }
        Vec::new()
    }

    fn text(&mut self, node: Node, path: &str, line: usize) -> Option<String> {
        match node.value {
            Value::Text { text, .. } => return Some(text.expose().to_owned()),
            Value::Refused => {}
            Value::List | Value::Map(_) => self.mistake(path, line, "has to be a single value"),
        }
        None
    }

    fn unknown(&mut self, entry: &Entry, path: &str, near: Option<&str>) {
        let what = match near {
            Some(near) => format!("unknown, did you mean `{}`?", join(path, near)),
            None => "unknown".to_owned(),
        };
        self.mistake(&join(path, &entry.key), entry.line, &what);
    }

    fn mistake(&mut self, path: &str, line: usize, what: &str) {
        self.mistakes.push(format!("`{}` (line {line}): {what}", shown(path)));
    }
}

fn find(keys: &'static [(&'static str, Key)], name: &str) -> Option<&'static Key> {
    keys.iter().find(|(known, _)| *known == name).map(|(_, key)| key)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A key for a message.
fn shown(key: &str) -> String {
    key.escape_debug().take(128).collect()
}
