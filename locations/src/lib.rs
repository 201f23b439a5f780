//! The storage locations of a host: how each is configured, and one open registry for each.
//!
//! A host keeps images in several places, usually Velero's BackupStorageLocations. This crate reads such a
//! location with its credentials, or a configuration of CNCF distribution. It opens a
//! [`Registry`](plugin_registry::Registry) for each, shares it between callers, and closes it when it is no
//! longer needed. Drivers come in through [`OpenDriver`](plugin_registry_core::OpenDriver), which
//! `plugin-registry-drivers` implements.
//!
//! # From a BackupStorageLocation
//!
//! ```
//! use plugin_registry_locations::{BackupStorageLocation, Location, LocationCredentials, RegistryPool};
//! # use plugin_registry_core::{Result, StorageConfig, StorageDriver};
//! # use plugin_registry_drivers_memory::MemoryDriver;
//! # async fn in_memory(_: StorageConfig) -> Result<std::sync::Arc<dyn StorageDriver>> {
//! #     Ok(std::sync::Arc::new(MemoryDriver::new()))
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! # let drivers = plugin_registry_drivers::Drivers::empty().register("s3", in_memory)?;
//! // One pool for the host. `drivers` is `plugin_registry_drivers::Drivers::new()`, with the feature `s3`.
//! let pool = RegistryPool::builder(drivers).build();
//!
//! // The host fetches both from the cluster.
//! let resource =
//!     BackupStorageLocation::new("velero", "default", "aws", "backup").with_config("region", "eu-west-1");
//! let secret = "[default]\naws_access_key_id = id\naws_secret_access_key = key\n";
//!
//! let location = Location::from_backup_location(&resource, &LocationCredentials::from_contents(secret))?;
//! let registry = pool.get_or_open(&location).await?; // dereferences to `Registry`
//! assert_eq!(registry.location(), "velero/default");
//! assert!(registry.catalog(None, 10).await?.entries.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # From distribution's configuration
//!
//! ```
//! use plugin_registry_drivers::open;
//! use plugin_registry_locations::Config;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = "
//! version: 0.1
//! storage:
//!   inmemory:
//!   delete: {enabled: true}
//! ";
//! let config = Config::from_yaml(text)?;
//! let registry = config.builder(open(&config.storage()).await?).build();
//! assert!(registry.catalog(None, 10).await?.entries.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! | Module | What it has |
//! |---|---|
//! | [`bsl`] | a BackupStorageLocation and its credentials, and how they become a [`Config`] |
//! | [`config`] | distribution's file and its `REGISTRY_*` variables, all mistakes at once |
//! | [`pool`] | [`RegistryPool`]: the open registries by location, with rotated secrets, idle times and purges |
//! | [`probe`](mod@probe) | what a store lets a registry do, and which right is missing |
//! | [`logging`] | one log level for each instance |
//!
//! The feature `logging` adds a filter and a layer of tracing-subscriber. Without it, [`logging`] only keeps
//! the settings.
//!
//! # Memory and time
//!
//! - Configuration is passed in: the crate reads neither the process environment nor a file. A text has at most
//!   1 MiB.
//! - By default a pool holds 64 instances. One leaves after 10 minutes without use, or an hour after it was
//!   opened. Each takes what its registry and its driver say.
//! - An instance is looked up in microseconds, without a driver call. The pool has neither a task nor a timer:
//!   the host calls [`RegistryPool::sweep`], which purges 8 locations at a time, each for at most 10 minutes.
//! - A probe makes about 14 driver calls, holds a few KB, and leaves the store as it was. Its time limit is the
//!   caller's.
//! - Dropping a future is safe. An instance that leaves the pool stays open until its last user is done.

pub mod bsl;
pub mod config;
mod document;
pub mod logging;
pub mod pool;
pub mod probe;

pub use self::{
    bsl::{BackupStorageLocation, LocationCredentials},
    config::Config,
    document::{DocumentKind, WrongDocument},
    pool::{Location, PooledRegistry, RegistryPool},
    probe::probe,
};
