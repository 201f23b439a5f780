//! The configuration of a registry, from the file and the variables that CNCF distribution reads.
//!
//! A file ([`Config::from_yaml`]) and variables ([`Config::from_env`]) are texts that the host passes in; where both
//! are given, each variable replaces one leaf of the file ([`Config::from_yaml_and_env`], [`Config::merge_env`]).

#[cfg(test)]
mod canary;
mod duration;
mod env;
mod fingerprint;
mod keys;
mod location;
mod log;
mod names;
mod pairs;
mod plain;
mod principal;
mod purge;
mod raw;
mod read;
mod source;
mod walk;
mod yaml;

use std::{fmt, sync::Arc};

use plugin_registry_core::{Parameters, Result, Secret, StorageConfig, StorageDriver};

pub(crate) use self::fingerprint::{Fingerprint, FingerprintKey};
use self::raw::{Found, Raw};
pub use self::{
    location::{
        BackupStorageLocation, DEFAULT_CREDENTIALS_DIRECTORY, LocationCredentials, LocationMetadata,
        LocationSpec, ObjectStorage, Provider, SecretKeyRef,
    },
    log::{LogFormatter, LogSettings},
    pairs::EnvPairs,
    purge::PurgeSettings,
    source::{Ignored, Source},
};
use crate::registry::{ReferencePolicy, Registry, RegistryBuilder};

/// What a file of distribution (version 0.1) and its variables say that concerns an embedded registry.
///
/// Parameters of the driver are the texts as they are written: an access key `0123456` is not a number. Nothing
/// is read but the texts that are passed in: no file, no environment. `Debug` shows no value that may be a secret.
///
/// ```
/// use plugin_registry::config::Config;
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
    /// Its parameters. Those in a section of their own have names such as `credentials.type`.
    pub parameters: Parameters,
    /// `storage.delete.enabled`. Default: false.
    pub delete: bool,
    /// The contrary of `storage.redirect.disable`, where the file says it. Distribution redirects unless told
    /// otherwise, an embedded registry does not.
    pub redirect: Option<bool>,
    /// `storage.maintenance.readonly.enabled`. Default: false.
    pub read_only: bool,
    /// The smaller of `catalog.maxentries` and `tags.maxtags`, where the file has one; 0 is as good as none.
    pub max_page: Option<usize>,
    /// `validation.manifests.indexes.platforms`: `all` is [`ReferencePolicy::Complete`], `none` is
    /// [`ReferencePolicy::SparseIndexes`], and `list` requires all, which is more than it asks for.
    pub references: Option<ReferencePolicy>,
    /// `http.addr`, for whoever listens; the registry does not.
    pub addr: Option<String>,
    /// `http.secret`: the key of the upload state.
    pub secret: Option<Secret>,
    /// `log.level`, `log.formatter` and `log.fields`. The level is also read from the older `loglevel`, where
    /// `log.level` is not given; `warning`, `trace`, `fatal` and `panic` are levels too, the last two as `error`.
    pub log: LogSettings,
    /// `storage.maintenance.uploadpurging`, where it or one of its keys is given and `enabled` is not false.
    /// Default: none; distribution purges unless told otherwise.
    pub purge: Option<PurgeSettings>,
    /// What distribution knows and what changes nothing here, in the order of the file, then of the variables' names.
    pub ignored: Vec<Ignored>,
    /// What all of it was read from, for what comes on top.
    raw: Raw,
}

impl Config {
    /// Reads the text of a file. At most 1 MiB; anchors, tags and several documents are not read.
    ///
    /// # Errors
    /// One of the kind [`InvalidConfig`](plugin_registry_core::ErrorKind::InvalidConfig) that lists the mistakes
    /// with their lines: what is no YAML, unknown keys, wrong values, no driver or more than one. The driver's
    /// parameters are checked by whoever opens it.
    pub fn from_yaml(text: &str) -> Result<Self> {
        Self::read(walk::walk(yaml::parse(text)?))
    }

    /// Reads variables alone: names and values, where a value may be a secret.
    ///
    /// Names that do not begin with `REGISTRY_` are passed over, so the whole environment of a process may be
    /// given. The order does not matter. Values are texts and never YAML, except a map in braces for a section
    /// that holds no secret: `REGISTRY_LOG_FIELDS={service: backup}`.
    ///
    /// ```
    /// use plugin_registry::config::Config;
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
    /// As of [`from_yaml`](Self::from_yaml), with the names of variables instead of lines. No value of a driver's
    /// parameter and no secret is repeated.
    pub fn from_env<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<str>,
        V: Into<Secret>,
    {
        Self::with_env(Raw::new().into(), pairs)
    }

    /// Reads a file with variables on top: each replaces one leaf, and nothing else. Naming another driver drops
    /// the parameters of the file's, and no other key of `storage`; naming the same one keeps them.
    ///
    /// # Errors
    /// Those of [`from_yaml`](Self::from_yaml) and [`from_env`](Self::from_env), all mistakes of both at once;
    /// those of the file alone if it is no YAML.
    pub fn from_yaml_and_env<K, V>(text: &str, pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<str>,
        V: Into<Secret>,
    {
        Self::with_env(walk::walk(yaml::parse(text)?), pairs)
    }

    /// Lays variables over what this was read from, as [`from_yaml_and_env`](Self::from_yaml_and_env) does, and
    /// reads it anew. Public fields that were changed since are as they had been read.
    ///
    /// # Errors
    /// Those of [`from_env`](Self::from_env).
    pub fn merge_env<K, V>(&self, pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<str>,
        V: Into<Secret>,
    {
        Self::with_env(self.raw.clone().into(), pairs)
    }

    fn with_env<K, V>(mut found: Found, pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<str>,
        V: Into<Secret>,
    {
        env::overlay(&mut found, pairs);
        Self::read(found)
    }

    /// What a location says; everything else is as by default, until variables come on top.
    fn of_location(
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

    /// What to open.
    #[must_use]
    pub fn storage(&self) -> StorageConfig {
        StorageConfig::new(&self.driver).with_parameters(self.parameters.clone())
    }

    /// Begins a registry over the opened driver, with everything that the file says about it.
    #[must_use]
    pub fn builder(&self, driver: Arc<dyn StorageDriver>) -> RegistryBuilder {
        let mut builder = Registry::builder(driver).delete(self.delete).read_only(self.read_only);
        if let Some(redirect) = self.redirect {
            builder = builder.redirect(redirect);
        }
        if let Some(entries) = self.max_page {
            builder = builder.max_page(entries);
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
            .field("max_page", &self.max_page)
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
