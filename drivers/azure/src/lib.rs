//! The Azure storage driver of an embedded OCI registry.
//!
//! - **Few requests.** A blob of up to one block (10 MiB) is one request to its final name. Of a larger one,
//!   blocks are sent in parallel, and one request makes it visible.
//! - **Bounded memory.** All writers of an instance together hold `maxconcurrency` blocks, 30 MiB by default,
//!   and 128 KiB each. A writer whose client takes more than a second to bring a block has separate memory
//!   for that block. A resumed one also holds the bytes of its stage, if they have no blocks: less than a
//!   block.
//! - **Resumable.** What a close acknowledged is one blob beside the file, which holds the bytes and nothing
//!   else. The next close appends to it on the condition of its ETag, and a commit is one copy by the store.
//! - **Both forms of names.** Distribution up to 2.8 begins the names of blobs with a slash, 3.x does not
//!   ([`LeadingSlash`]).
//!
//! ```no_run
//! use plugin_registry_core::Secret;
//! use plugin_registry_drivers_azure::{AzureConfig, AzureCredentials, AzureDriver};
//!
//! # async fn open() -> plugin_registry_core::Result<()> {
//! let config =
//!     AzureConfig::new("account", "backup").with_credentials(AzureCredentials::SharedKey(Secret::new("…")));
//! let driver = AzureDriver::open(config).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The settings are read under distribution's names, all mistakes at once:
//!
//! ```
//! use plugin_registry_core::Parameters;
//! use plugin_registry_drivers_azure::AzureConfig;
//!
//! let wrong = Parameters::new().with("accountname", "account").with("contaner", "backup");
//! assert_eq!(
//!     AzureConfig::from_parameters(&wrong).unwrap_err().to_string(),
//!     "azure driver: invalid configuration: 2 mistakes: `container`: required, but not given; \
//!      `contaner`: unknown, did you mean `container`?"
//! );
//! ```

mod blocks;
mod client;
mod config;
mod driver;
mod eras;
mod error;
mod names;
mod permissions;
mod stage;
mod store;
mod upload;
mod writer;

pub use self::{
    config::{AzureConfig, AzureCredentials, LeadingSlash, ServicePrincipal, WorkloadIdentity},
    driver::AzureDriver,
    permissions::PERMISSIONS,
};
