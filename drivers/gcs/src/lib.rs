//! The settings of the Google Cloud Storage driver of an embedded OCI registry.
//!
//! **The driver itself is still to come.** So far this crate reads and checks the settings, all mistakes at
//! once, under distribution's names. It does not connect to a store.
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
mod permissions;

pub use self::config::{GcsConfig, GcsCredentials};
pub use self::permissions::PERMISSIONS;
