//! Locations, and the keys that tell their configurations apart.

use std::{fmt, sync::Arc};

use plugin_registry_core::Result;

use crate::{
    bsl::{BackupStorageLocation, LocationCredentials},
    config::{Config, Fingerprint, FingerprintKey},
};

/// A location: its namespace and name, and how its registry is configured.
///
/// ```
/// use plugin_registry_locations::{Config, Location};
/// let config = Config::from_yaml("version: 0.1\nstorage: inmemory\n")?;
/// let location = Location::new("velero", "default", config);
/// assert_eq!(location.to_string(), "velero/default");
/// # Ok::<(), plugin_registry_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Location {
    /// The namespace of the BackupStorageLocation.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How its registry is configured, credentials included.
    pub config: Config,
}

impl Location {
    /// Makes a location with this namespace and name.
    ///
    /// Locations with the same namespace and name are one location, whatever their configurations: the one
    /// opened last replaces the earlier ones.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, config: Config) -> Self {
        Self { namespace: namespace.into(), name: name.into(), config }
    }

    /// Makes a location from one of Velero and its credentials. Namespace and name are the location's, and the
    /// configuration is [`Config::from_backup_location`].
    ///
    /// # Errors
    /// Fails as [`Config::from_backup_location`] does.
    pub fn from_backup_location(
        location: &BackupStorageLocation,
        credentials: &LocationCredentials,
    ) -> Result<Self> {
        let config = Config::from_backup_location(location, credentials)?;
        Ok(Self::new(&location.metadata.namespace, &location.metadata.name, config))
    }

    pub(super) fn key(&self, key: &FingerprintKey) -> Key {
        Key { location: self.to_string().into(), fingerprint: key.of(&self.config) }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&label(&self.namespace, &self.name))
    }
}

/// `namespace/name`. Neither has a slash in Kubernetes. If one does, it still cannot make two locations one.
pub(super) fn label(namespace: &str, name: &str) -> String {
    let escaped = |text: &str| text.replace('%', "%25").replace('/', "%2F");
    format!("{}/{}", escaped(namespace), escaped(name))
}

/// One configuration of one location.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) location: Arc<str>,
    fingerprint: Fingerprint,
}
