//! From the tree to settings: each key is looked up in the table.

use plugin_registry_core::Parameters;

use super::{
    keys::{DRIVERS, Key, ROOT, Rows, STORAGE, find, join, near},
    names,
    raw::Found,
    source::{Source, shown},
    yaml::{Document, Entry, Node, Value},
};

/// Walks over a document.
pub(super) fn walk(document: Document) -> Found {
    let mut found = Found { mistakes: document.mistakes, ..Found::default() };
    Walk { found: &mut found, variable: None }.section(ROOT, document.root, "");
    found
}

/// Walks over a section that is the value of a variable.
pub(super) fn walk_variable(
    key: &'static Key,
    name: &str,
    root: Node,
    path: &str,
    found: &mut Found,
    variable: &Source,
) {
    let entry = Entry { key: name.to_owned(), line: root.line, node: root };
    Walk { found, variable: Some(variable) }.key(key, entry, path);
}

struct Walk<'a> {
    found: &'a mut Found,
    /// Set if the lines are those of a variable and not of the file.
    variable: Option<&'a Source>,
}

impl Walk<'_> {
    fn section(&mut self, rows: Rows, node: Node, path: &str) {
        for entry in self.entries(node, path) {
            match find(rows, &entry.key) {
                Some(key) => self.key(key, entry, path),
                None => {
                    let near = near(rows, &entry.key);
                    self.unknown(&entry, path, near);
                }
            }
        }
    }

    fn key(&mut self, key: &'static Key, entry: Entry, path: &str) {
        let Entry { key: name, line, node } = entry;
        let path = join(path, &name);
        let place = self.place(line);
        match key {
            Key::Section(rows) => self.section(rows, node, &path),
            Key::Given(given, rows) => {
                if matches!(node.value, Value::Map(_)) {
                    self.found.raw.set(given, "true", &place);
                }
                self.section(rows, node, &path);
            }
            Key::Fields => self.fields(node, "", &path),
            Key::Storage => self.storage(node),
            Key::Ignored(reason) => self.found.raw.ignore(path, place, reason),
            Key::Read(_) if node.is_null() => {}
            Key::Read(path) => {
                if let Some(text) = self.text(node, path, line) {
                    self.found.raw.set(path, text, &place);
                }
            }
        }
    }

    /// Reads the fields of the log. Fields in their own map are named `map.field`.
    fn fields(&mut self, node: Node, prefix: &str, path: &str) {
        for Entry { key, line, node } in self.entries(node, path) {
            let (name, path) = (join(prefix, &key), join(path, &key));
            if matches!(node.value, Value::Map(_)) {
                self.fields(node, &name, &path);
                continue;
            }
            if node.is_null() {
                continue;
            }
            let Some(text) = self.text(node, &path, line) else { continue };
            let before = self.found.raw.fields.insert(name, text);
            if before.is_some() && self.variable.is_none() {
                self.mistake(&path, line, "is set twice");
            }
        }
    }

    /// Reads the drivers, and the keys beside them.
    fn storage(&mut self, node: Node) {
        let line = node.line;
        // `storage: inmemory`
        if let (false, Value::Text { text, .. }) = (node.is_null(), &node.value) {
            let (name, place) = (text.expose(), self.place(line));
            if !names::is_driver(name) {
                return self.mistake("storage", line, names::NO_DRIVER);
            }
            return self.found.raw.set_driver(name, place, Parameters::new());
        }
        let mut drivers = Vec::new();
        for entry in self.entries(node, "storage") {
            if let Some(key) = find(STORAGE, &entry.key) {
                self.key(key, entry, "storage");
                continue;
            }
            let near = near(STORAGE, &entry.key);
            match near {
                Some(_) if !DRIVERS.contains(&entry.key.as_str()) => self.unknown(&entry, "storage", near),
                _ => drivers.push(entry),
            }
        }
        if drivers.len() > 1 {
            let named = drivers.iter().map(|entry| (entry.key.as_str(), self.place(entry.line)));
            let what = names::only_one(named);
            self.mistake("storage", line, &what);
        }
        let Some(Entry { key, line, node }) = drivers.into_iter().next() else {
            // No mistake is added here: what is missing has no line.
            return;
        };
        let path = join("storage", &key);
        let parameters = Parameters::new().with_source(format!("{}, line {line}", shown(&path)));
        let place = self.place(line);
        self.found.raw.set_driver(key, place, parameters);
        self.parameters_of(node, "", &path);
    }

    /// Reads the parameters of the driver. Those in their own section are named `section.key`.
    fn parameters_of(&mut self, node: Node, prefix: &str, path: &str) {
        for Entry { key, line, node } in self.entries(node, path) {
            let (name, path) = (join(prefix, &key), join(path, &key));
            if matches!(node.value, Value::Map(_)) {
                self.parameters_of(node, &name, &path);
                continue;
            }
            // As in distribution. A secret stays as written: its text is never interpreted.
            if node.is_null() && !names::is_secret(&name) {
                continue;
            }
            let Some(text) = self.text(node, &path, line) else { continue };
            if self.found.raw.parameters.get(&name).is_some() {
                self.mistake(&path, line, "is set twice");
            }
            let place = self.place(line);
            self.found.raw.set_parameter(&name, text, &place);
        }
    }

    fn entries(&mut self, node: Node, path: &str) -> Vec<Entry> {
        match node.value {
            Value::Map(entries) => return entries,
            Value::Refused => {}
            _ if node.is_null() => {}
            _ if path.is_empty() => {
                self.found.mistakes.add("the file", "has to contain keys and values");
            }
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
        let place = self.place(entry.line);
        self.found.unknown(&join(path, &entry.key), &place, near.map(|near| join(path, near)));
    }

    fn mistake(&mut self, path: &str, line: usize, what: &str) {
        let place = self.place(line);
        self.found.mistake(path, &place, what);
    }

    fn place(&self, line: usize) -> Source {
        self.variable.cloned().unwrap_or(Source::Line(line))
    }
}

#[cfg(test)]
mod tests;
