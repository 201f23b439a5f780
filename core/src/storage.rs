//! What is opened, and by whom.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{driver::StorageDriver, error::Result, parameters::Parameters, shown::shown_name};

/// A driver's name and its parameters. `Debug` shows no value, and no name that may be a secret in its place.
///
/// ```
/// use plugin_registry_core::StorageConfig;
/// let config = StorageConfig::new("s3").with("bucket", "backup").with("region", "eu-central-1");
/// assert_eq!(config.parameters.get("bucket"), Some("backup"));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageConfig {
    /// The driver's name, in capitals or not.
    pub driver: String,
    /// Its parameters.
    pub parameters: Parameters,
    /// Whether a missing directory of the filesystem driver is made. Default: true. Otherwise it is an error, so
    /// that an absent mount is not taken for an empty store. No other driver makes anything.
    pub create_root: bool,
}

impl StorageConfig {
    /// A driver without parameters.
    #[must_use]
    pub fn new(driver: impl Into<String>) -> Self {
        Self { driver: driver.into(), parameters: Parameters::new(), create_root: true }
    }

    /// Sets one parameter.
    #[must_use]
    pub fn with(mut self, key: impl AsRef<str>, value: impl Into<String>) -> Self {
        self.parameters = self.parameters.with(key, value);
        self
    }

    /// Sets all [`parameters`](Self::parameters).
    #[must_use]
    pub fn with_parameters(mut self, parameters: Parameters) -> Self {
        self.parameters = parameters;
        self
    }

    /// Sets [`create_root`](Self::create_root).
    #[must_use]
    pub fn with_create_root(mut self, yes: bool) -> Self {
        self.create_root = yes;
        self
    }
}

impl fmt::Debug for StorageConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageConfig")
            .field("driver", &shown_name(&self.driver).unwrap_or("…"))
            .field("parameters", &self.parameters)
            .field("create_root", &self.create_root)
            .finish()
    }
}

/// Opens drivers by their names: the table of a host, such as `Drivers` of `plugin-registry-drivers`.
#[async_trait]
pub trait OpenDriver: fmt::Debug + Send + Sync + 'static {
    /// Opens a driver. Dropping the future leaves nothing behind but what the driver's own `open` says.
    ///
    /// # Errors
    /// Of the kind [`InvalidConfig`](crate::ErrorKind::InvalidConfig) for a driver that it does not have and
    /// for mistakes in the parameters, all of them at once; otherwise those of the driver.
    async fn open_driver(&self, config: &StorageConfig) -> Result<Arc<dyn StorageDriver>>;
}
