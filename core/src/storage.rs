//! The driver that a host opens, and the trait that opens it.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{driver::StorageDriver, error::Result, parameters::Parameters, shown::shown_name};

/// A driver's name and its parameters. `Debug` shows no value, and no name that may be a misplaced secret.
///
/// ```
/// use plugin_registry_core::StorageConfig;
/// let config = StorageConfig::new("s3").with("bucket", "backup").with("region", "eu-central-1");
/// assert_eq!(config.parameters.get("bucket"), Some("backup"));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageConfig {
    /// The driver's name, in upper or lower case.
    pub driver: String,
    /// Its parameters.
    pub parameters: Parameters,
    /// Whether the filesystem driver creates its directory if it is missing. Default: true.
    ///
    /// Otherwise a missing directory is an error, so an absent mount is not taken for an empty store. No other
    /// driver creates anything.
    pub create_root: bool,
}

impl StorageConfig {
    /// Creates a config for a driver, without parameters.
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
    /// Opens a driver. Dropping the future leaves nothing behind, except what the driver's own `open`
    /// documents.
    ///
    /// # Errors
    /// Fails with [`InvalidConfig`](crate::ErrorKind::InvalidConfig) for an unknown driver and for mistakes in
    /// the parameters, all of them at once. Otherwise returns the driver's error.
    async fn open_driver(&self, config: &StorageConfig) -> Result<Arc<dyn StorageDriver>>;
}
