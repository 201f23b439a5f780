//! The names of the drivers.

use plugin_registry_core::{Error, ErrorKind, Result, did_you_mean};

/// A driver that has a crate, or will have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Memory,
    Filesystem,
    S3,
    Gcs,
    Azure,
}

/// Every name, in order.
const NAMES: &[(&str, Driver)] = &[
    ("azure", Driver::Azure),
    ("filesystem", Driver::Filesystem),
    ("gcs", Driver::Gcs),
    ("inmemory", Driver::Memory),
    ("memory", Driver::Memory),
    ("s3", Driver::S3),
    ("s3aws", Driver::S3),
];

/// The driver of a name.
pub(crate) fn named(name: &str) -> Result<Driver> {
    if let Some((_, driver)) = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Ok(*driver);
    }
    let known = || NAMES.iter().map(|(known, _)| *known);
    let rest = match did_you_mean(name, known()) {
        Some(near) => format!(", did you mean `{near}`?"),
        None => format!("; there are {}", known().collect::<Vec<_>>().join(", ")),
    };
    let message = format!("there is no driver `{}`{rest}", name.escape_debug());
    Err(Error::new(ErrorKind::InvalidConfig).with_message(message))
}

impl Driver {
    /// The error of a build without it.
    pub(crate) fn lacking(self) -> Error {
        let (name, feature) = match self {
            Self::Memory => ("inmemory", "memory"),
            Self::Filesystem => ("filesystem", "fs"),
            Self::S3 => ("s3", "s3"),
            Self::Gcs => ("gcs", "gcs"),
            Self::Azure => ("azure", "azure"),
        };
        Error::new(ErrorKind::InvalidConfig).with_message(format!(
            "this build has no driver `{name}`: build plugin-registry-drivers with the feature `{feature}`"
        ))
    }
}
