//! The settings of the storage driver of an embedded OCI registry for Google Cloud Storage.
//!
//! **The driver itself is to come.** So far this crate reads the settings and checks them, all mistakes at once,
//! by the names that distribution has for them; nothing here connects to a store.
//!
//! ```
//! use plugin_registry_core::Parameters;
//! use plugin_registry_drivers_gcs::{GcsConfig, GcsCredentials};
//!
//! let config = GcsConfig::new("backup").with_credentials(GcsCredentials::KeyFile("/key.json".into()));
//! assert_eq!(config.chunk_size, 16 << 20);
//!
//! let wrong = Parameters::new().with("bucket", "backup").with("chunksize", "262145");
//! assert_eq!(
//!     GcsConfig::from_parameters(&wrong).unwrap_err().to_string(),
//!     "gcs driver: invalid configuration: `chunksize`: has to be a multiple of 262144 (256 KiB)"
//! );
//! ```

mod config;

pub use self::config::{GcsConfig, GcsCredentials};
