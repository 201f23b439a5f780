//! The credentials of a location, as its host has them.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use plugin_registry_core::Secret;

use crate::config::source::shown;

/// Credentials for a location. `Debug` shows none of them, and they leave memory when dropped.
///
/// ```
/// use plugin_registry::config::LocationCredentials;
/// let credentials = LocationCredentials::from_file("[default]\naws_access_key_id=hunter2\n");
/// assert!(!format!("{credentials:?}").contains("hunter2"));
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct LocationCredentials {
    /// What is in the user's Secret.
    pub(super) contents: Option<Secret>,
    /// Where the same lies as a file.
    pub(super) path: Option<PathBuf>,
    /// OADP's Secret, by its keys.
    pub(super) registry: Option<BTreeMap<String, Secret>>,
    /// What `caCertRef` refers to.
    pub(super) ca_bundle: Option<String>,
}

impl fmt::Debug for LocationCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registry: Option<Vec<&str>> =
            self.registry.as_ref().map(|registry| registry.keys().map(|key| shown(key)).collect());
        f.debug_struct("LocationCredentials")
            .field("has_contents", &self.contents.is_some())
            .field("has_path", &self.path.is_some())
            .field("registry", &registry)
            .field("has_ca_bundle", &self.ca_bundle.is_some())
            .finish()
    }
}

impl LocationCredentials {
    /// None: the SDK of the cloud looks for some, in the process's environment and from the cloud itself.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// What is in the user's Secret, under the key that
    /// [`credential_secret`](super::BackupStorageLocation::credential_secret) names: the file of AWS with profiles,
    /// lines `AZURE_…=…`, or the JSON of Google. It is read as it is and never changed.
    #[must_use]
    pub fn from_file(contents: impl Into<String>) -> Self {
        Self { contents: Some(Secret::new(contents)), ..Self::default() }
    }

    /// Where the same content lies as a file, such as the one of Velero
    /// ([`velero_credentials_path`](super::BackupStorageLocation::velero_credentials_path)). Profiles of AWS that
    /// assume a role need it. Alone, the drivers for AWS and Google read the file when they need it, and again
    /// when it has changed; the one for Azure reads no file.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The keys of the Secret that oadp-operator makes
    /// ([`registry_secret_name`](super::BackupStorageLocation::registry_secret_name)). They are used only where
    /// neither a content nor a path is given.
    #[must_use]
    pub fn with_registry_secret<K: Into<String>>(
        mut self,
        pairs: impl IntoIterator<Item = (K, Secret)>,
    ) -> Self {
        self.registry = Some(pairs.into_iter().map(|(key, secret)| (key.into(), secret)).collect());
        self
    }

    /// Certificates in PEM that are trusted besides the system's: what `spec.objectStorage.caCertRef` refers to.
    #[must_use]
    pub fn with_ca_bundle(mut self, pem: impl Into<String>) -> Self {
        self.ca_bundle = Some(pem.into());
        self
    }
}
