//! How a command ends when it does not succeed.

use std::fmt::{self, Write as _};

use plugin_registry::RegistryError;
use plugin_registry_copy::CopyError;
use plugin_registry_core::{ErrorKind, Operation};

use crate::hint::of_document;

pub(crate) use crate::outcome::Outcome;

const NOT_A_LAYOUT: &str = "Name a directory with an OCI image layout, or an empty one to write to. \
     `skopeo copy docker-archive:FILE oci:DIR` makes one from the output of `docker save`.";

/// Why a command did not succeed, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    outcome: Outcome,
    message: String,
    hint: Option<String>,
    cause: Option<Cause>,
    is_silent: bool,
}

/// The facts about a failure of a store, for a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) kind: ErrorKind,
    pub(crate) driver: Option<&'static str>,
    pub(crate) operation: Option<Operation>,
}

impl Failure {
    pub(crate) fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        Self { outcome, message: message.into(), hint: None, cause: None, is_silent: false }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Outcome::Failed, message)
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Outcome::Usage, message)
    }

    /// Says before the message where the mistake is.
    pub(crate) fn in_place(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Ends with another exit code.
    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Adds what to do.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert(hint.into());
        self
    }

    /// Says what to do, in place of a hint that knew less.
    pub(crate) fn with_only_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// Whether there is nothing to report: the reader of the output went away by itself.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// Whether something was asked for that is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.outcome == Outcome::NotFound
    }

    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Parts of it may be foreign text. Line breaks are kept; other control characters are escaped.
        let is_quote = |c: char| matches!(c, '"' | '\'' | '\\');
        for (number, line) in self.message.split('\n').enumerate() {
            f.write_str(if number == 0 { "error: " } else { "\n" })?;
            line.chars()
                .flat_map(|c| c.escape_debug().skip(usize::from(is_quote(c))))
                .try_for_each(|c| f.write_char(c))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  {hint}")?;
        }
        Ok(())
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let message = error.to_string();
        match &error {
            RegistryError::Damaged(_) => Self::new(Outcome::Damaged, message),
            RegistryError::Storage(storage) => Self::of_storage(storage, message),
            error if error.is_not_found() => Self::new(Outcome::NotFound, message),
            _ => Self::failed(message),
        }
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        let message = error.to_string();
        match &error {
            error if error.is_damaged() => Self::new(Outcome::Damaged, message),
            error if error.is_not_found() => Self::new(Outcome::NotFound, message),
            CopyError::NotALayout { .. } => Self::failed(message).with_hint(NOT_A_LAYOUT),
            CopyError::Ambiguous { .. } => Self::failed(message)
                .with_hint("Write oci:DIR:NAME, or oci:DIR@DIGEST if several images have the same name."),
            CopyError::Registry { error: RegistryError::Storage(storage), .. }
            | CopyError::Storage { error: storage, .. } => Self::of_storage(storage, message),
            _ => Self::failed(message),
        }
    }
}

impl From<plugin_registry_core::Error> for Failure {
    fn from(error: plugin_registry_core::Error) -> Self {
        let message = error.to_string();
        let failure = Self::of_storage(&error, message);
        match of_document(&error) {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let is_silent = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { is_silent, ..Self::failed(format!("the output cannot be written: {error}")) }
    }
}

impl Failure {
    fn of_storage(error: &plugin_registry_core::Error, message: String) -> Self {
        let failure = match error.kind() {
            ErrorKind::Corrupted => Self::new(Outcome::Damaged, message),
            ErrorKind::NoSpace => {
                Self::failed(message).with_hint("Free some space in the store and run it again.")
            }
            ErrorKind::PermissionDenied if error.driver() == Some("filesystem") => Self::failed(message)
                .with_hint("Run it as the user who owns the directory, or change its mode."),
            _ => Self::failed(message),
        };
        let cause = Cause { kind: error.kind(), driver: error.driver(), operation: error.operation() };
        Self { cause: Some(cause), ..failure }
    }
}
