//! The mistakes of a configuration, from wherever it is read.

use std::fmt;

use plugin_registry_core::{ParameterReader, Parameters, Result};

/// The mistakes that were found so far, each with its place.
#[derive(Default)]
pub(crate) struct Mistakes(Vec<String>);

impl Mistakes {
    /// Adds what is wrong at a place.
    pub(crate) fn add(&mut self, place: impl fmt::Display, what: impl fmt::Display) {
        self.0.push(format!("{place}: {what}"));
    }

    /// Adds the mistakes of a text that was found at a place.
    pub(crate) fn add_within(&mut self, place: impl fmt::Display, mistakes: Self) {
        self.0.extend(mistakes.0.into_iter().map(|mistake| format!("{place}, {mistake}")));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Passes the mistakes to a reader, which reports them with its own.
    pub(crate) fn report(self, reader: &mut ParameterReader<'_>) {
        for mistake in self.0 {
            reader.note(mistake);
        }
    }

    /// Makes one error of all mistakes, in the form that all configuration has.
    pub(crate) fn finish(self) -> Result<()> {
        let parameters = Parameters::new();
        let mut reader = parameters.reader();
        self.report(&mut reader);
        reader.finish()
    }
}
