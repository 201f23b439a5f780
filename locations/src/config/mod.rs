//! The configuration of a registry, read from the file and the variables of CNCF distribution.
//!
//! The host passes in the text of a file ([`Config::from_yaml`]), variables ([`Config::from_env`]) or both.
//! With both, each variable replaces one leaf of the file ([`Config::from_yaml_and_env`],
//! [`Config::merge_env`]).

#[cfg(test)]
mod canary;
pub(crate) mod cleartext;
mod env;
mod fingerprint;
mod keys;
mod log;
pub(crate) mod mistakes;
mod names;
mod pairs;
mod principal;
mod purge;
mod raw;
mod read;
pub(crate) mod source;
mod walk;
mod warning;
pub(crate) mod yaml;

use std::{fmt, sync::Arc};

use plugin_registry::{ReferencePolicy, Registry, RegistryBuilder};
use plugin_registry_core::{Parameters, Result, Secret, StorageConfig, StorageDriver};

pub(crate) use self::fingerprint::{Fingerprint, FingerprintKey};
use self::raw::{Found, Raw};
pub use self::{
    log::{LogFormatter, LogSettings},
    pairs::EnvPairs,
    purge::PurgeSettings,
    source::{Ignored, Source},
    warning::{Warning, WarningKind},
};
use crate::document::expect_configuration;

/// The settings of distribution (version 0.1) that concern an embedded registry.
///
/// They come from distribution's file and its variables. The driver's parameters stay text as written: an
/// access key `0123456` is not a number. Nothing is read but the texts that are passed in: no file, no
/// environment. `Debug` shows no value that may be a secret.
///
/// ```
/// use plugin_registry_locations::Config;
/// let config = Config::from_yaml(
///     "version: 0.1
/// storage:
///   s3:
///     bucket: backup
///     accesskey: 0123456
///   delete:
///     enabled: true
/// redis:
///   addr: localhost:6379
/// ",
/// )?;
/// assert_eq!(config.driver, "s3");
/// assert_eq!(config.parameters.get("accesskey"), Some("0123456"));
/// assert!(config.delete);
/// assert!(config.ignored[0].to_string().starts_with("line 8: redis is ignored: "));
///
/// let config = config.merge_env([("REGISTRY_STORAGE_S3_BUCKET", "other"), ("PATH", "/bin")])?;
/// assert_eq!(config.parameters.get("bucket"), Some("other"));
/// assert_eq!(config.parameters.get("accesskey"), Some("0123456"));
/// # Ok::<(), plugin_registry_core::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// The name of the driver under `storage`.
    pub driver: String,
    /// The driver's parameters. A parameter in its own section has a name such as `credentials.type`.
    pub parameters: Parameters,
    /// `storage.delete.enabled`. Default: false.
    pub delete: bool,
    /// The inverse of `storage.redirect.disable`, if it is set. Distribution redirects by default; an
    /// embedded registry does not.
    pub redirect: Option<bool>,
    /// `storage.maintenance.readonly.enabled`. Default: false.
    pub read_only: bool,
    /// The smaller of `catalog.maxentries` and `tags.maxtags`, if either is set; 0 counts as unset.
    pub max_page_size: Option<usize>,
    /// `validation.manifests.indexes.platforms`: `all` is [`ReferencePolicy::Complete`], `none` is
    /// [`ReferencePolicy::SparseIndexes`]. `list` requires all platforms, which is more than it asks for.
    pub references: Option<ReferencePolicy>,
    /// `http.addr`, for a host that listens; the registry itself does not.
    pub addr: Option<String>,
    /// `http.secret`: the key of the upload state.
    pub secret: Option<Secret>,
    /// `log.level`, `log.formatter` and `log.fields`. Without `log.level`, the level is read from the older
    /// `loglevel`. `warning`, `trace`, `fatal` and `panic` are levels too; the last two count as `error`.
    pub log: LogSettings,
    /// `storage.maintenance.uploadpurging`, if it or one of its keys is set and `enabled` is not false.
    /// Default: none. Distribution purges by default.
    pub purge: Option<PurgeSettings>,
    /// Keys of distribution that have no effect here, in the order of the file, then of the variables' names,
    /// those of the driver last.
    pub ignored: Vec<Ignored>,
    /// The raw settings that all of this was read from, for variables that are laid on top.
    raw: Raw,
}

impl Config {
    /// Reads the text of a file. At most 1 MiB; aliases, tags of values except `!!str`, and multiple documents
    /// are mistakes.
    ///
    /// # Errors
    /// Fails with [`InvalidConfig`](plugin_registry_core::ErrorKind::InvalidConfig) and lists the mistakes with
    /// their lines: invalid YAML, unknown keys, wrong values, no driver or more than one. The driver's
    /// parameters are checked when the driver is opened. An object of Kubernetes, such as a
    /// BackupStorageLocation, is one mistake, with [`WrongDocument`](crate::WrongDocument) as its cause.
    pub fn from_yaml(text: &str) -> Result<Self> {
        Self::read(Self::found(text)?)
    }

    /// Reads variables alone: pairs of a name and a value, which may be a secret.
    ///
    /// Names that do not begin with `REGISTRY_` are ignored, so the whole environment of a process may be
    /// passed. The order does not matter. Values are text and never YAML, except a map for a section that holds
    /// no secret: `REGISTRY_LOG_FIELDS={service: backup}`.
    ///
    /// ```
    /// use plugin_registry_locations::Config;
    /// let config = Config::from_env([
    ///     ("REGISTRY_STORAGE", "azure"),
    ///     ("REGISTRY_STORAGE_AZURE_MAX_RETRIES", "7"),
    ///     ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
    /// ])?;
    /// assert_eq!(config.parameters.get("max_retries"), Some("7"));
    /// assert!(config.delete);
    /// # Ok::<(), plugin_registry_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [`from_yaml`](Self::from_yaml) does, with the names of variables instead of lines. The error
    /// repeats no value of a driver's parameter and no secret.
    pub fn from_env<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<str>,
        V: Into<Secret>,
    {
        Self::with_env(Raw::new().into(), pairs)
    }

    /// Reads a file with variables on top: each variable replaces one leaf and nothing else.
    ///
    /// Naming another driver drops the parameters of the file's driver, but no other key of `storage`. Naming
    /// the same driver keeps them.
    ///
    /// # Errors
    /// Fails as [`from_yaml`](Self::from_yaml) and [`from_env`](Self::from_env) do, with all mistakes of both
    /// at once. If the file is not valid YAML, the error is about the file alone.
    pub fn from_yaml_and_env<K, V>(text: &str, pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<str>,
        V: Into<Secret>,
    {
        Self::with_env(Self::found(text)?, pairs)
    }

    /// Lays variables over the settings that this was read from, and reads the result.
    ///
    /// The variables count as in [`from_yaml_and_env`](Self::from_yaml_and_env). Changes made to public fields
    /// since then are lost.
    ///
    /// # Errors
    /// Fails as [`from_env`](Self::from_env) does.
    pub fn merge_env<K, V>(&self, pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<str>,
        V: Into<Secret>,
    {
        Self::with_env(self.raw.clone().into(), pairs)
    }

    fn found(text: &str) -> Result<Found> {
        let document = yaml::parse(text)?;
        expect_configuration(&document.root)?;
        Ok(walk::walk(document))
    }

    fn with_env<K, V>(mut found: Found, pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<str>,
        V: Into<Secret>,
    {
        env::overlay(&mut found, pairs);
        Self::read(found)
    }

    /// Makes the configuration of a location. All else has its default until variables are laid on top.
    pub(crate) fn of_location(
        location: Source,
        driver: &str,
        parameters: Parameters,
        read_only: bool,
        ignored: Vec<(String, &'static str)>,
    ) -> Result<Self> {
        let mut raw = Raw::new();
        if read_only {
            raw.set(keys::READ_ONLY, "true", &location);
        }
        for (key, reason) in ignored {
            raw.ignore(key, location.clone(), reason);
        }
        raw.set_driver(driver, location, parameters);
        Self::read(raw.into())
    }

    /// Returns the driver and the parameters to open.
    #[must_use]
    pub fn storage(&self) -> StorageConfig {
        StorageConfig::new(&self.driver).with_parameters(self.parameters.clone())
    }

    /// Begins a registry over the opened driver, with everything that the configuration says about it.
    #[must_use]
    pub fn builder(&self, driver: Arc<dyn StorageDriver>) -> RegistryBuilder {
        let mut builder = Registry::builder(driver).delete(self.delete).read_only(self.read_only);
        if let Some(redirect) = self.redirect {
            builder = builder.redirect(redirect);
        }
        if let Some(entries) = self.max_page_size {
            builder = builder.max_page_size(entries);
        }
        if let Some(references) = self.references {
            builder = builder.references(references);
        }
        if let Some(secret) = &self.secret {
            builder = builder.upload_key(secret.clone());
        }
        builder
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("driver", &source::shown(&self.driver))
            .field("parameters", &self.parameters)
            .field("delete", &self.delete)
            .field("redirect", &self.redirect)
            .field("read_only", &self.read_only)
            .field("max_page_size", &self.max_page_size)
            .field("references", &self.references)
            .field("addr", &self.addr.as_ref().map(|_| format_args!("…")))
            .field("secret", &self.secret)
            .field("log", &self.log)
            .field("purge", &self.purge)
            .field("ignored", &self.ignored)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
