//! The provider of a store.

use plugin_registry_core::{Error, ErrorKind, Result, did_you_mean, shown_words};

use super::resource::BackupStorageLocation;

/// The names of providers. Each may also have [`GROUP`] before it.
const PROVIDERS: &[(&str, Provider)] =
    &[("aws", Provider::Aws), ("azure", Provider::Azure), ("gcp", Provider::Gcp)];
/// The group of Velero's resources and providers.
pub(super) const GROUP: &str = "velero.io/";

/// A provider that has a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// `aws`: S3, and every store that speaks its protocol.
    Aws,
    /// `azure`: the blobs of an Azure storage account.
    Azure,
    /// `gcp`: Google Cloud Storage.
    Gcp,
}

impl Provider {
    /// Returns its short name: `aws`, `azure`, `gcp`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
        }
    }

    /// Returns the name of its driver: `s3`, `azure`, `gcs`.
    #[must_use]
    pub fn driver(self) -> &'static str {
        match self {
            Self::Aws => "s3",
            Self::Azure => "azure",
            Self::Gcp => "gcs",
        }
    }

    /// Returns the name of the Secret with the credentials, if a location names no other.
    pub(super) fn secret_name(self) -> &'static str {
        match self {
            Self::Aws => "cloud-credentials",
            Self::Azure => "cloud-credentials-azure",
            Self::Gcp => "cloud-credentials-gcp",
        }
    }
}

impl BackupStorageLocation {
    /// Returns the provider, which may have `velero.io/` before it.
    ///
    /// # Errors
    /// Fails with [`InvalidConfig`](plugin_registry_core::ErrorKind::InvalidConfig) for any other provider,
    /// and names the provider that was probably meant.
    pub fn provider(&self) -> Result<Provider> {
        let name = self.spec.provider.as_str();
        let short = name.strip_prefix(GROUP).unwrap_or(name);
        if let Some((_, provider)) = PROVIDERS.iter().find(|(known, _)| *known == short) {
            return Ok(*provider);
        }
        let what = match did_you_mean(short, PROVIDERS.iter().map(|(known, _)| *known)) {
            _ if name.is_empty() => "required, but not given".to_owned(),
            Some(near) => format!("unsupported provider{}, did you mean `{near}`?", named(name)),
            None => format!("unsupported provider{}; use aws, azure or gcp", named(name)),
        };
        Err(Error::new(ErrorKind::InvalidConfig).with_message(format!("`spec.provider`: {what}")))
    }
}

/// Returns the name after a space, if it is written like one.
fn named(name: &str) -> String {
    shown_words(name, "._-/").map(|name| format!(" `{name}`")).unwrap_or_default()
}
