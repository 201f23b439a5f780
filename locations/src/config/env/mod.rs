//! From variables to settings: each variable is one leaf, laid over the settings of the file.

mod service;

use std::collections::{BTreeMap, BTreeSet};

use plugin_registry_core::{Parameters, Secret};

use super::{
    keys::{DRIVERS, Key, ROOT, Rows, SECRET, STORAGE, VERSION, find, join, near},
    names::{self, Parameter, Written},
    raw::{Driver, Found},
    source::{Source, shown},
    walk::walk_variable,
    yaml::{self, Value},
};

const PREFIX: &str = "REGISTRY_";
const OF_A_SERVICE: &str = "Kubernetes sets it for a service with this name";
const CONFIGURATION_PATH: &str = "configuration_path";
const NO_FILE: &str = "the host passes in the text of the file";
const NO_SECTION: &str = "has to be a map in braces; or set a variable for each of its keys";

/// Lays variables over what was found, and ignores those of other programs. They are applied in the order of
/// their names, so the order in which they come does not matter.
pub(super) fn overlay<K, V>(found: &mut Found, pairs: impl IntoIterator<Item = (K, V)>)
where
    K: AsRef<str>,
    V: Into<Secret>,
{
    let mut variables: BTreeMap<String, Vec<Variable>> = BTreeMap::new();
    for (name, text) in pairs {
        let name = name.as_ref();
        if let Some(rest) = name.strip_prefix(PREFIX) {
            let (rest, source) = (rest.to_lowercase(), Source::Named(name.to_owned()));
            variables.entry(name.to_uppercase()).or_default().push(Variable {
                rest,
                source,
                text: text.into(),
            });
        }
    }
    let fields = found.raw.fields.keys().map(String::as_str).collect();
    let mut overlay = Overlay { found, fields, driver: None, parameters: Vec::new() };
    for (name, same) in &variables {
        match same.as_slice() {
            [variable] => overlay.variable(variable),
            // Which one counts would depend on the order.
            _ => {
                overlay.found.mistakes.add(format_args!("`{}`", Source::Named(name.clone())), "is set twice")
            }
        }
    }
    overlay.drivers();
}

struct Variable {
    /// The name without its prefix, in lower case.
    rest: String,
    source: Source,
    text: Secret,
}

struct Overlay<'a, 'v> {
    found: &'a mut Found,
    /// The names of the log's fields.
    fields: Written,
    /// The driver that `REGISTRY_STORAGE` names.
    driver: Option<Driver>,
    /// Variables for drivers. They are applied once it is clear which driver is meant.
    parameters: Vec<Given<'v>>,
}

/// A variable for a driver.
struct Given<'v> {
    driver: String,
    /// The part of the name behind the driver's.
    rest: Option<&'v str>,
    variable: &'v Variable,
}

impl<'v> Overlay<'_, 'v> {
    fn variable(&mut self, variable: &'v Variable) {
        let rest = variable.rest.as_str();
        let source = &variable.source;
        if let Some(name) = service::variable(rest, variable.text.expose()) {
            self.found.raw.ignore(shown(name), source.clone(), OF_A_SERVICE);
        } else if rest == CONFIGURATION_PATH {
            self.found.raw.ignore(CONFIGURATION_PATH, source.clone(), NO_FILE);
        } else if rest == VERSION {
            self.found.mistake(VERSION, source, "has to be set in the file, not by a variable");
        } else {
            self.section(ROOT, rest, "", variable);
        }
    }

    fn section(&mut self, rows: Rows, rest: &'v str, path: &str, variable: &'v Variable) {
        let (name, below) = parted(rest);
        match find(rows, name) {
            Some(key) => self.key(key, name, below, path, variable),
            None => self.unknown(rows, rest, path, variable),
        }
    }

    fn key(
        &mut self,
        key: &'static Key,
        name: &str,
        below: Option<&'v str>,
        parent: &str,
        variable: &'v Variable,
    ) {
        let path = join(parent, name);
        match (key, below) {
            (Key::Ignored(reason), _) => self.found.raw.ignore(path, variable.source.clone(), reason),
            (Key::Read(path), None) => {
                self.found.raw.set(path, variable.text.expose(), &variable.source);
            }
            (Key::Read(path), Some(below)) => {
                self.found.unknown(&join(path, below), &variable.source, None);
            }
            (Key::Section(rows) | Key::Given(_, rows), Some(below)) => {
                self.section(rows, below, &path, variable);
            }
            (Key::Section(_) | Key::Given(..) | Key::Fields, None) => {
                self.whole(key, name, parent, variable);
            }
            (Key::Fields, Some(below)) => self.field(below, variable),
            (Key::Storage, None) => self.driver(variable),
            (Key::Storage, Some(below)) => self.storage(below, &path, variable),
        }
    }

    /// Reads a map, which existing deployments have in braces. Never for what may hold a secret.
    fn whole(&mut self, key: &'static Key, name: &str, parent: &str, variable: &Variable) {
        let path = join(parent, name);
        let text = variable.text.expose();
        if text.trim().is_empty() {
            return;
        }
        if has_secret(key) {
            return self.found.mistake(&path, &variable.source, "needs a variable for each of its keys");
        }
        match yaml::parse(text) {
            Ok(document) if matches!(document.root.value, Value::Map(_)) => {
                self.found.mistakes.add_within(&variable.source, document.mistakes);
                walk_variable(key, name, document.root, parent, self.found, &variable.source);
            }
            _ => self.found.mistake(&path, &variable.source, NO_SECTION),
        }
    }

    /// Sets a field of the log. A field that is there already keeps its name as written.
    fn field(&mut self, rest: &str, variable: &Variable) {
        let known = self.fields.find(rest).map(str::to_owned);
        let name = known.unwrap_or_else(|| rest.replace('_', "."));
        self.fields.add(&name);
        self.found.raw.fields.insert(name, variable.text.expose().to_owned());
    }

    /// Handles `REGISTRY_STORAGE`, which comes before all names that begin with it.
    fn driver(&mut self, variable: &Variable) {
        let name = variable.text.expose();
        if !names::is_driver(name) {
            return self.found.mistake("storage", &variable.source, names::NO_DRIVER);
        }
        self.driver = Some(Driver { name: name.to_owned(), source: variable.source.clone() });
    }

    /// Handles a name below `storage`: a key beside the driver, or a parameter of a driver.
    fn storage(&mut self, rest: &'v str, path: &str, variable: &'v Variable) {
        let (name, below) = parted(rest);
        if let Some(key) = find(STORAGE, name) {
            return self.key(key, name, below, path, variable);
        }
        // The name of a driver may contain `_`. If the driver is known, there is no doubt.
        let named = [self.driver.as_ref(), self.found.raw.driver.as_ref()].into_iter().flatten();
        let known = named.into_iter().find_map(|Driver { name, .. }| {
            let below = match rest.strip_prefix(name.to_lowercase().as_str())? {
                "" => None,
                below => Some(below.strip_prefix('_')?),
            };
            Some((name.clone(), below))
        });
        if known.is_none() && !DRIVERS.contains(&name) && near(STORAGE, name).is_some() {
            return self.unknown(STORAGE, rest, path, variable);
        }
        let (driver, rest) = known.unwrap_or_else(|| (name.to_owned(), below));
        self.parameters.push(Given { driver, rest, variable });
    }

    /// Decides which driver it is, and sets its parameters.
    fn drivers(&mut self) {
        let raw = &self.found.raw;
        let (mut named, mut known): (Vec<(&str, Source)>, _) = (Vec::new(), BTreeSet::new());
        let first = self.driver.as_ref().or(raw.driver.as_ref());
        let first = first.map(|driver| (driver.name.as_str(), driver.source.clone()));
        let others = self.parameters.iter();
        let others = others.map(|given| (given.driver.as_str(), given.variable.source.clone()));
        for (name, source) in first.into_iter().chain(others) {
            if known.insert(names::usual(name)) {
                named.push((name, source));
            }
        }
        let Some((name, source)) = named.first().cloned() else { return };
        if named.len() > 1 {
            self.found.mistakes.add("`storage`", names::only_one(named));
            // Still set, so that too many drivers are not reported as none.
            let name = name.to_owned();
            return self.found.raw.set_driver(name, source, Parameters::new());
        }
        let name = name.to_owned();
        let is_there = raw.driver.as_ref().is_some_and(|driver| names::is_same(&driver.name, &name));
        if !is_there {
            // The place that mistakes about missing parameters name.
            let missing = format!("{PREFIX}STORAGE_{}_*", shown(&name).to_uppercase());
            self.found.raw.set_driver(name, source, Parameters::new().with_source(missing));
        } else if let Some(driver) = self.driver.take() {
            self.found.raw.driver = Some(driver);
        }
        let mut written = self.found.raw.parameters.keys().collect();
        let mut set = BTreeMap::new();
        for given in std::mem::take(&mut self.parameters) {
            self.parameter(&given, &mut written, &mut set);
        }
    }

    fn parameter(
        &mut self,
        given: &Given<'v>,
        written: &mut Written,
        set: &mut BTreeMap<String, &'v Source>,
    ) {
        let Given { driver, rest, variable } = given;
        let Variable { source, text, .. } = variable;
        let path = join("storage", shown(driver));
        let Some(rest) = rest else {
            if !matches!(text.expose().trim(), "" | "{}") {
                self.found.mistake(&path, source, "needs a variable for each of its parameters");
            }
            return;
        };
        let name = match names::parameter(driver, rest, written) {
            Parameter::Own(name) => name,
            Parameter::Principal(name) => {
                self.found.raw.principal.insert(name, (text.clone(), source.clone()));
                return;
            }
            Parameter::Ignored(_) if text.expose().is_empty() => return,
            Parameter::Ignored(reason) => {
                return self.found.raw.ignore(join(&path, rest), source.clone(), reason);
            }
        };
        // Set twice, by two names of one driver.
        if let Some(before) = set.insert(name.clone(), source) {
            let what = format!("is set twice, also by {before}");
            return self.found.mistake(&join(&path, &name), source, what);
        }
        written.add(&name);
        self.found.raw.set_parameter(&name, text.expose(), source);
    }

    /// Reports an unknown name, with its words joined if that makes a key: `MAX_ENTRIES` is `maxentries`.
    fn unknown(&mut self, rows: Rows, rest: &str, path: &str, variable: &Variable) {
        let (name, _) = parted(rest);
        let (name, near) = match near(rows, rest) {
            Some(joined) => (rest, Some(joined)),
            None => (name, near(rows, name)),
        };
        self.found.unknown(&join(path, name), &variable.source, near.map(|near| join(path, near)));
    }
}

/// Splits off the first word of a name; the rest is what follows its `_`.
fn parted(rest: &str) -> (&str, Option<&str>) {
    rest.split_once('_').map_or((rest, None), |(name, below)| (name, Some(below)))
}

/// Whether a secret is among the values that are read below a key.
fn has_secret(key: &Key) -> bool {
    match key {
        Key::Section(rows) | Key::Given(_, rows) => rows.iter().any(|(_, key)| has_secret(key)),
        Key::Read(path) => *path == SECRET,
        Key::Fields | Key::Ignored(_) => false,
        Key::Storage => true,
    }
}

#[cfg(test)]
mod tests;
