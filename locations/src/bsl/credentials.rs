//! The credentials of a location, as the host has them.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use plugin_registry_core::Secret;

use crate::config::source::shown;

/// Credentials for a location. `Debug` shows none of them, and they are erased from memory when dropped.
///
/// ```
/// use plugin_registry_locations::LocationCredentials;
/// let credentials = LocationCredentials::from_contents("[default]\naws_access_key_id=hunter2\n");
/// assert!(!format!("{credentials:?}").contains("hunter2"));
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct LocationCredentials {
    /// The content of the user's Secret.
    pub(super) contents: Option<Secret>,
    /// The path of a file with the same content.
    pub(super) path: Option<PathBuf>,
    /// OADP's Secret, by its keys.
    pub(super) registry: Option<BTreeMap<String, Secret>>,
    /// What `caCertRef` refers to.
    pub(super) ca_bundle: Option<String>,
    /// The token files that the content may name.
    pub(super) token_files: Vec<PathBuf>,
    /// Whether the identity of the process may be used.
    pub(super) ambient: bool,
    /// Whether they come by another way.
    pub(super) external: bool,
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
            .field("token_files", &self.token_files.len())
            .field("ambient", &self.ambient)
            .field("external", &self.external)
            .finish()
    }
}

impl LocationCredentials {
    /// Returns empty credentials. A location that names neither a Secret nor an endpoint is opened with the
    /// identity of the process. For other locations empty credentials are a mistake, unless
    /// [`ambient`](Self::ambient) says otherwise.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Uses the identity of the process: what the SDK of the cloud finds in its environment, on its disk and
    /// from the cloud.
    ///
    /// It is used for any location, even if a tenant chose its endpoint and it names another Secret. It is
    /// never sent over http to another machine. As a token of Azure it is sent only to the hosts of Azure's
    /// clouds.
    #[must_use]
    pub fn ambient() -> Self {
        Self::none().with_ambient()
    }

    /// States that the credentials come by another way, or that none are needed.
    ///
    /// Nothing then checks whose identity is used. This is for hosts that only show the configuration, or
    /// that put keys into its parameters, as [`merge_env`](crate::config::Config::merge_env) does. Opened
    /// without them, it has the identity of the process.
    #[must_use]
    pub fn external() -> Self {
        Self { external: true, ..Self::default() }
    }

    /// Allows the identity of the process if the credentials say nothing about an identity, such as an Azure
    /// file with only a subscription in it.
    #[must_use]
    pub fn with_ambient(mut self) -> Self {
        self.ambient = true;
        self
    }

    /// Allows the credentials to name these files as the token of a web identity.
    ///
    /// A name has to match letter for letter, in `web_identity_token_file` of AWS, `credential_source.file` of
    /// Google or `AZURE_FEDERATED_TOKEN_FILE`. By default no file is allowed: the token is the host's, so a
    /// Secret that names it borrows the host's identity. Hosts in a pod pass what is mounted there:
    /// [`OPENSHIFT_TOKEN_FILE`](plugin_registry_core::profiles::OPENSHIFT_TOKEN_FILE), which OADP writes into
    /// its Secrets, or [`EKS_TOKEN_FILE`](plugin_registry_core::profiles::EKS_TOKEN_FILE).
    ///
    /// ```
    /// use plugin_registry_locations::{BackupStorageLocation, Config, LocationCredentials};
    /// use plugin_registry_core::profiles::OPENSHIFT_TOKEN_FILE;
    /// let secret = format!("[default]\nrole_arn = arn:aws:iam::1:role/r\nweb_identity_token_file = {OPENSHIFT_TOKEN_FILE}\n");
    /// let location = BackupStorageLocation::new("velero", "default", "aws", "backup");
    /// let credentials = LocationCredentials::from_contents(secret);
    /// assert!(Config::from_backup_location(&location, &credentials).is_err());
    /// let credentials = credentials.with_token_files([OPENSHIFT_TOKEN_FILE]);
    /// assert!(Config::from_backup_location(&location, &credentials).is_ok());
    /// ```
    #[must_use]
    pub fn with_token_files<P: Into<PathBuf>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.token_files.extend(paths.into_iter().map(Into::into));
        self
    }

    pub(super) fn allows_token(&self, file: &str) -> bool {
        self.token_files.iter().any(|path| path.as_os_str() == file)
    }

    /// Passes the content of the user's Secret, under the key that
    /// [`credential_secret`](super::BackupStorageLocation::credential_secret) names.
    ///
    /// It is the file of AWS with profiles, lines `AZURE_…=…`, or the JSON of Google. It is read as it is and
    /// never changed.
    #[must_use]
    pub fn from_contents(contents: impl Into<String>) -> Self {
        Self { contents: Some(Secret::new(contents)), ..Self::default() }
    }

    /// Passes the path of the credentials file instead of its content, such as Velero's
    /// ([`velero_credentials_path`](super::BackupStorageLocation::velero_credentials_path)).
    ///
    /// The drivers for AWS and Google read it when they need it, and again when it has changed. The driver for
    /// Azure reads no file. If a content is set as well, the path is not used: the checked content is the one
    /// that is used.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Passes the keys of the Secret that oadp-operator makes
    /// ([`registry_secret_name`](super::BackupStorageLocation::registry_secret_name)). They are used only if
    /// neither a content nor a path is given.
    #[must_use]
    pub fn with_registry_secret<K: Into<String>>(
        mut self,
        pairs: impl IntoIterator<Item = (K, Secret)>,
    ) -> Self {
        self.registry = Some(pairs.into_iter().map(|(key, secret)| (key.into(), secret)).collect());
        self
    }

    /// Passes PEM certificates to trust besides the system's: what `spec.objectStorage.caCertRef` refers to.
    #[must_use]
    pub fn with_ca_bundle(mut self, pem: impl Into<String>) -> Self {
        self.ca_bundle = Some(pem.into());
        self
    }
}
