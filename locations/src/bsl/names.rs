//! Names of Secrets and files that belong to a location.

use std::path::{Path, PathBuf};

use plugin_registry_core::Result;

use super::{
    provider::Provider,
    resource::{BackupStorageLocation, SecretKeyRef},
};
use crate::config::mistakes::Mistakes;

/// The directory where Velero's server puts the credentials of locations by default.
pub const DEFAULT_CREDENTIALS_DIRECTORY: &str = "/tmp/credentials";

/// The key in a Secret, if a location names no other.
const SECRET_KEY: &str = "cloud";

impl BackupStorageLocation {
    /// Returns the Secret with the credentials, in the namespace of the location.
    ///
    /// It is `spec.credential`. An empty name or key means the provider's usual one (`cloud-credentials`,
    /// `cloud-credentials-azure`, `cloud-credentials-gcp`; `cloud`).
    ///
    /// # Errors
    /// Fails as [`provider`](Self::provider) does.
    pub fn credential_secret(&self) -> Result<SecretKeyRef> {
        let provider = self.provider()?;
        let given = self.spec.credential.as_ref();
        let name = given.map(|secret| secret.name.as_str()).filter(|name| !name.is_empty());
        let key = given.map(|secret| secret.key.as_str()).filter(|key| !key.is_empty());
        Ok(SecretKeyRef {
            name: name.unwrap_or(provider.secret_name()).to_owned(),
            key: key.unwrap_or(SECRET_KEY).to_owned(),
        })
    }

    /// Returns the name of the Secret that oadp-operator makes from the user's:
    /// `oadp-LOCATION-aws-registry-secret`, or `azure` for `aws`. For gcp it makes none.
    ///
    /// # Errors
    /// Fails as [`provider`](Self::provider) does, and with the same kind for a location without a name.
    pub fn registry_secret_name(&self) -> Result<Option<String>> {
        let provider = self.provider()?;
        if provider == Provider::Gcp {
            return Ok(None);
        }
        let name = self.metadata.name.as_str();
        if name.is_empty() {
            let mut mistakes = Mistakes::default();
            mistakes.add("`metadata.name`", "required, but not given");
            mistakes.finish()?;
        }
        Ok(Some(format!("oadp-{name}-{}-registry-secret", provider.as_str())))
    }

    /// Returns the file into which Velero's server writes the credentials: `BASE/NAMESPACE/SECRET-KEY`.
    ///
    /// `base` is [`DEFAULT_CREDENTIALS_DIRECTORY`] unless Velero is configured otherwise. Velero writes the
    /// file only for locations that have `spec.credential`. Whether it exists is not checked.
    ///
    /// # Errors
    /// Fails as [`provider`](Self::provider) does, and with the same kind for a location without a namespace or
    /// with a name that would lead out of the directory.
    pub fn velero_credentials_path(&self, base: &Path) -> Result<PathBuf> {
        let secret = self.credential_secret()?;
        let namespace = self.metadata.namespace.as_str();
        let mut mistakes = Mistakes::default();
        if namespace.is_empty() {
            mistakes.add("`metadata.namespace`", "required, but not given");
        }
        for (path, part) in [
            ("metadata.namespace", namespace),
            ("spec.credential.name", &secret.name),
            ("spec.credential.key", &secret.key),
        ] {
            if part.contains(['/', '\\', '\0']) || matches!(part, "." | "..") {
                mistakes.add(format_args!("`{path}`"), "has to be a name, not a path");
            }
        }
        mistakes.finish()?;
        Ok(base.join(namespace).join(format!("{}-{}", secret.name, secret.key)))
    }
}
