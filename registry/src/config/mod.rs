//! The configuration of a registry, from the file that CNCF distribution reads.

mod fingerprint;
mod keys;
mod location;
mod log;
mod purge;
mod walk;
mod yaml;

use std::{fmt, sync::Arc};

use plugin_registry_core::{Parameters, Result, Secret, StorageConfig, StorageDriver};

pub(crate) use self::fingerprint::{Fingerprint, FingerprintKey};
pub use self::{
    location::{
        BackupStorageLocation, DEFAULT_CREDENTIALS_DIRECTORY, LocationCredentials, LocationMetadata,
        LocationSpec, ObjectStorage, Provider, SecretKeyRef,
    },
    log::{LogFormatter, LogSettings},
    purge::PurgeSettings,
};
use crate::registry::{ReferencePolicy, Registry, RegistryBuilder};

/// What a file of distribution (version 0.1) says that concerns an embedded registry.
///
/// Parameters of the driver are the texts as they are written: an access key `0123456` is not a number. Nothing
/// is read but the text that is passed in: no file, no environment.
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
/// log:
///   level: debug
/// ",
/// )?;
/// assert_eq!(config.driver, "s3");
/// assert_eq!(config.parameters.get("accesskey"), Some("0123456"));
/// assert!(config.delete);
/// assert_eq!(config.ignored[0].to_string(), "line 8: log is ignored: the log is the host's");
/// # Ok::<(), plugin_registry_core::Error>(())
/// ```
#[derive(Clone, Debug)]
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
    /// `log.level`, `log.formatter` and `log.fields`.
    pub log: LogSettings,
    /// `storage.maintenance.uploadpurging`, where it is given and enabled. Default: none; distribution purges
    /// unless told otherwise.
    pub purge: Option<PurgeSettings>,
    /// The keys that distribution knows and that change nothing here, in the order of the file.
    pub ignored: Vec<Ignored>,
}

/// A key that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// Its path, such as `http.tls`.
    pub key: String,
    /// Its line, from 1; 0 where it is not in a file.
    pub line: usize,
    /// Why.
    pub reason: &'static str,
}

impl Config {
    /// Reads the text of a file. At most 1 MiB; anchors, tags and several documents are not read.
    ///
    /// # Errors
    /// One of the kind [`InvalidConfig`](plugin_registry_core::ErrorKind::InvalidConfig) that lists all mistakes
    /// with their lines: what is no YAML, unknown keys, wrong values, no driver or more than one. The driver's
    /// parameters are checked by whoever opens it.
    pub fn from_yaml(text: &str) -> Result<Self> {
        let found = walk::walk(yaml::parse(text)?);
        let mut reader = found.settings.reader();
        for mistake in found.mistakes {
            reader.note(mistake);
        }
        let version = reader.required(keys::VERSION);
        if !matches!(version.as_str(), "" | "0.1") {
            reader.mistake(keys::VERSION, "has to be 0.1");
        }
        let driver = found.driver.unwrap_or_default();
        if driver.is_empty() {
            reader.note("`storage`: a driver is required, such as `s3` or `filesystem`, but not given");
        }
        let mut page = |key| reader.number(key, 0..=u64::from(u32::MAX)).filter(|entries| *entries > 0);
        let max_page = [page(keys::MAX_ENTRIES), page(keys::MAX_TAGS)].into_iter().flatten().min();
        let references = reader.choice(keys::PLATFORMS, &["all", "none", "list"]).map(|word| match word {
            "none" => ReferencePolicy::SparseIndexes,
            _ => ReferencePolicy::Complete,
        });
        let config = Self {
            driver,
            parameters: found.parameters,
            delete: reader.flag(keys::DELETE).unwrap_or_default(),
            redirect: reader.flag(keys::NO_REDIRECT).map(|disabled| !disabled),
            read_only: reader.flag(keys::READ_ONLY).unwrap_or_default(),
            max_page: max_page.and_then(|entries| usize::try_from(entries).ok()),
            references,
            addr: reader.text(keys::ADDR),
            secret: reader.is_given(keys::SECRET).then(|| reader.secret(keys::SECRET)).flatten(),
            log: LogSettings::default(),
            purge: None,
            ignored: found.ignored,
        };
        reader.finish()?;
        Ok(config)
    }

    /// What a location says; everything else is as by default.
    fn of_location(
        driver: &str,
        parameters: Parameters,
        read_only: bool,
        ignored: Vec<(String, &'static str)>,
    ) -> Self {
        let ignored = ignored.into_iter().map(|(key, reason)| Ignored { key, line: 0, reason }).collect();
        Self {
            driver: driver.to_owned(),
            parameters,
            delete: false,
            redirect: None,
            read_only,
            max_page: None,
            references: None,
            addr: None,
            secret: None,
            log: LogSettings::default(),
            purge: None,
            ignored,
        }
    }

    /// What to open.
    #[must_use]
    pub fn storage(&self) -> StorageConfig {
        StorageConfig::new(&self.driver).with_parameters(self.parameters.clone())
    }

    /// Begins a registry over the opened driver, with everything that the file says about it.
    #[must_use]
    pub fn builder(&self, driver: Arc<dyn StorageDriver>) -> RegistryBuilder {
        let mut builder = Registry::builder_shared(driver).delete(self.delete).read_only(self.read_only);
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

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        write!(f, "{} is ignored: {}", self.key, self.reason)
    }
}

#[cfg(test)]
mod tests;
