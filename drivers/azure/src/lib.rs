//! The settings of the Azure storage driver of an embedded OCI registry.
//!
//! **The driver itself is still to come.** So far this crate reads and checks the settings, all mistakes at
//! once, under distribution's names. It does not connect to a store.
//!
//! ```
//! use plugin_registry_core::{Parameters, Secret};
//! use plugin_registry_drivers_azure::{AzureConfig, AzureCredentials, ServicePrincipal};
//!
//! let principal = ServicePrincipal::new("client", "tenant", Secret::new("…"));
//! let config = AzureConfig::new("account", "backup")
//!     .with_credentials(AzureCredentials::ClientSecret(principal))
//!     .with_realm("core.usgovcloudapi.net");
//! assert_eq!(config.service_url, None);
//!
//! let wrong = Parameters::new().with("accountname", "account").with("contaner", "backup");
//! assert_eq!(
//!     AzureConfig::from_parameters(&wrong).unwrap_err().to_string(),
//!     "azure driver: invalid configuration: 2 mistakes: `container`: required, but not given; \
//!      `contaner`: unknown, did you mean `container`?"
//! );
//! ```

mod config;
mod permissions;

pub use self::config::{AzureConfig, AzureCredentials, LeadingSlash, ServicePrincipal, WorkloadIdentity};
pub use self::permissions::PERMISSIONS;
