//! A location where Velero keeps backups, and the configuration of a registry in its bucket.
//!
//! Everything here is a pure function of what is passed in: no file is read, no cluster is asked, and what two
//! locations say can never mix.

mod aws;
mod azure;
mod clouds;
mod credentials;
mod gcp;
mod names;
mod provider;
mod read;
mod resource;
mod settings;
mod warnings;

use plugin_registry_core::Result;

use self::settings::Settings;
pub use self::{
    credentials::LocationCredentials,
    names::DEFAULT_CREDENTIALS_DIRECTORY,
    provider::Provider,
    resource::{BackupStorageLocation, LocationMetadata, LocationSpec, ObjectStorage, SecretKeyRef},
};
use crate::{config::Config, document::expect_credentials};

impl Config {
    /// Makes a configuration from a location and its credentials.
    ///
    /// The driver is `s3` for aws, `azure` for azure and `gcs` for gcp. Images are at the root of the bucket,
    /// whatever the location's prefix, because all earlier backups have them there. Deletes are off and
    /// redirects have their default, since a location says nothing about them. A location with the access
    /// mode `ReadOnly` makes a read-only registry. Settings that Velero reads but that have no effect here
    /// are in [`ignored`](Self::ignored).
    ///
    /// Credentials are used in this order: the content of the Secret, the path of its file, OADP's registry
    /// Secret. The identity of the process itself, which the SDK of the cloud finds, is used for locations that
    /// name no Secret and no endpoint outside the cloud. Otherwise it is used only if
    /// [`LocationCredentials::ambient`] allows it: a location whose Secret is not passed is a mistake. A
    /// Secret is data (ADR 0031): it opens no file, runs no program and names no endpoint, except for the
    /// token files that [`with_token_files`](LocationCredentials::with_token_files) allows.
    ///
    /// ```
    /// use plugin_registry_locations::{BackupStorageLocation, Config, LocationCredentials};
    /// let location = BackupStorageLocation::new("velero", "default", "aws", "backup").with_config("region", "eu-west-1");
    /// let secret = "[default]\naws_access_key_id = 0123456\naws_secret_access_key = hunter2 # old\n";
    /// let config = Config::from_backup_location(&location, &LocationCredentials::from_contents(secret))?;
    /// assert_eq!(config.driver, "s3");
    /// assert_eq!(config.parameters.get("accesskey"), Some("0123456"));
    /// assert_eq!(config.parameters.get("secretkey"), Some("hunter2"));
    /// # Ok::<(), plugin_registry_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails with [`InvalidConfig`](plugin_registry_core::ErrorKind::InvalidConfig) and lists the mistakes: an
    /// unsupported provider, missing settings, unknown keys of `spec.config`, wrong values and invalid
    /// credentials. Each names its place, such as `spec.config.s3Url` or line 3 of the credentials file, and
    /// none holds a secret. Values that only the driver can judge are checked when it is opened. If the
    /// credentials are a Kubernetes Secret or still base64, that is the only mistake, with
    /// [`WrongDocument`](crate::WrongDocument) as its cause.
    pub fn from_backup_location(
        location: &BackupStorageLocation,
        credentials: &LocationCredentials,
    ) -> Result<Self> {
        let provider = location.provider()?;
        if let Some(contents) = &credentials.contents {
            expect_credentials(contents.expose(), &location.credential_secret()?.key)?;
        }
        let mut settings = Settings::new(location);
        settings.shared(provider, credentials);
        match provider {
            Provider::Aws => aws::read(&mut settings, credentials),
            Provider::Azure => azure::read(&mut settings, credentials),
            Provider::Gcp => gcp::read(&mut settings, credentials),
        }
        settings.finish(provider)
    }
}

#[cfg(test)]
mod tests;
