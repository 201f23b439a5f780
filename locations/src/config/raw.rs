//! Settings, still as text: the form in which files, variables and locations are laid over each other.

use std::{collections::BTreeMap, fmt};

use plugin_registry_core::{Parameters, Secret};

use super::{
    keys,
    mistakes::Mistakes,
    source::{Ignored, Source, shown},
};

/// Settings leaf by leaf, each with its source. Setting a leaf again replaces it and nothing else.
#[derive(Clone, Default)]
pub(super) struct Raw {
    /// The settings that are read, by the paths in `keys`.
    pub(super) settings: Parameters,
    /// `log.fields`, by their dotted names.
    pub(super) fields: BTreeMap<String, String>,
    pub(super) driver: Option<Driver>,
    /// The driver's parameters.
    pub(super) parameters: Parameters,
    /// The service principal, given under OADP's names, by our names.
    pub(super) principal: BTreeMap<&'static str, (Secret, Source)>,
    pub(super) ignored: Vec<Ignored>,
}

/// The name of a driver.
#[derive(Clone)]
pub(super) struct Driver {
    pub(super) name: String,
    pub(super) source: Source,
}

/// The raw form while it is being made, with the mistakes so far.
#[derive(Default)]
pub(super) struct Found {
    pub(super) raw: Raw,
    pub(super) mistakes: Mistakes,
}

impl Raw {
    /// Starts with nothing but the version, which only a file has to state.
    pub(super) fn new() -> Self {
        let mut raw = Self::default();
        raw.settings = raw.settings.with(keys::VERSION, "0.1");
        raw
    }

    /// Sets one of the paths in `keys`.
    pub(super) fn set(&mut self, path: &'static str, text: impl Into<String>, source: &Source) {
        let settings = std::mem::take(&mut self.settings);
        self.settings = settings.with_from(path, text, source.to_string());
    }

    /// Sets the driver and its parameters, and drops the parameters of the previous driver.
    pub(super) fn set_driver(&mut self, name: impl Into<String>, source: Source, parameters: Parameters) {
        self.driver = Some(Driver { name: name.into(), source });
        self.parameters = parameters;
        self.principal.clear();
    }

    /// Sets a parameter of the driver.
    pub(super) fn set_parameter(&mut self, name: &str, text: impl Into<String>, source: &Source) {
        let parameters = std::mem::take(&mut self.parameters);
        self.parameters = parameters.with_from(name, text, source.to_string());
    }

    /// Notes a key that has no effect.
    pub(super) fn ignore(&mut self, key: impl Into<String>, source: Source, reason: &'static str) {
        self.ignored.push(Ignored { key: key.into(), source, reason });
    }
}

impl Found {
    pub(super) fn mistake(&mut self, path: &str, source: &Source, what: impl fmt::Display) {
        self.mistakes.add(format_args!("`{}` ({source})", shown(path)), what);
    }

    pub(super) fn unknown(&mut self, path: &str, source: &Source, near: Option<String>) {
        match near {
            Some(near) => self.mistake(path, source, format_args!("unknown, did you mean `{near}`?")),
            None => self.mistake(path, source, "unknown"),
        }
    }
}

impl From<Raw> for Found {
    fn from(raw: Raw) -> Self {
        Self { raw, mistakes: Mistakes::default() }
    }
}

impl fmt::Debug for Raw {
    /// Everything in it is shown by the settings that are read from it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
