//! Opens a storage driver by its name and its parameters, as CNCF distribution names them.
//!
//! A host that has a configuration opens the store of an embedded OCI registry with [`open`]. A host that wants
//! more drivers, or fewer, makes its own table of them: [`Drivers`]. The crate never reads an environment
//! variable, and the process has no table of drivers.
//!
//! ```
//! # #[cfg(feature = "memory")]
//! # fn main() -> plugin_registry_core::Result<()> {
//! use plugin_registry_drivers::{StorageConfig, open};
//!
//! # futures::executor::block_on(async {
//! let driver = open(&StorageConfig::new("inmemory")).await?;
//! assert_eq!(driver.name(), "inmemory");
//!
//! // One error lists all mistakes.
//! let config = StorageConfig::new("inmemory").with("rootdirectory", "/x");
//! let error = open(&config).await.unwrap_err().to_string();
//! assert_eq!(error, "inmemory driver: invalid configuration: `rootdirectory`: unknown");
//! # Ok::<(), plugin_registry_core::Error>(())
//! # })
//! # }
//! # #[cfg(not(feature = "memory"))]
//! # fn main() {}
//! ```
//!
//! A host registers its own driver beside the others. Configuration files can then name it, too:
//!
//! ```
//! use plugin_registry_drivers::Drivers;
//! # use plugin_registry_core::{ErrorKind, Result, StorageConfig, StorageDriver};
//! # async fn open_tape(_: StorageConfig) -> Result<std::sync::Arc<dyn StorageDriver>> {
//! #     Err(ErrorKind::Unsupported.into())
//! # }
//!
//! // async fn open_tape(config: StorageConfig) -> Result<Arc<dyn StorageDriver>>
//! let drivers = Drivers::new().register("tape", open_tape)?;
//! assert!(drivers.names().any(|name| name == "tape"));
//! # Ok::<(), plugin_registry_core::Error>(())
//! ```
//!
//! A host that passes an opened driver to its registry needs neither a name nor this crate.
//!
//! # Drivers and features
//!
//! | Driver | Names | Cargo feature | Crate |
//! |---|---|---|---|
//! | memory | `inmemory`, `memory` | `memory`, on by default | `plugin-registry-drivers-memory` |
//! | a directory | `filesystem` | `fs`, on by default | `plugin-registry-drivers-fs` |
//! | S3 | `s3`, `s3aws` | `s3` | `plugin-registry-drivers-s3` |
//! | Azure | `azure` | `azure` | `plugin-registry-drivers-azure` |
//! | Google Cloud Storage | `gcs` | still to come; its parameters are checked | `plugin-registry-drivers-gcs` |
//!
//! # What is here
//!
//! | Item | For |
//! |---|---|
//! | [`open`] | the drivers of this build |
//! | [`Drivers`] | a host's table of drivers; a pool of locations takes it as its [`OpenDriver`] |
//! | [`StorageConfig`] | a driver's name and its parameters |
//! | [`assumptions`] | what a driver assumes about its store before it has asked the store |
//!
//! # Memory and time
//!
//! - `filesystem` opens its directory in the caller's tokio runtime, and creates it by default. `s3` makes no
//!   request, except one at AWS without a region, to find it. `azure` makes two, which list.
//! - An open driver at rest makes no request and runs no task.
//! - The memory driver holds the stored bytes. The filesystem driver holds at most two pieces of 512 KiB for
//!   each reader, and the same and one chunk for each writer. The S3 and the Azure driver hold 30 MiB by
//!   default for all writers of an instance together, and a part more for each slow client. Their crates say it
//!   exactly.

mod builtin;
#[cfg(test)]
mod canary;
mod drivers;
#[cfg(feature = "fs")]
mod filesystem;

use std::sync::Arc;

pub use plugin_registry_core::{OpenDriver, StorageConfig};
use plugin_registry_core::{Result, StorageDriver};

pub use self::drivers::Drivers;

/// Opens a driver of this build: [`Drivers::open`] of [`Drivers::new`].
///
/// # Errors
/// As [`Drivers::open`].
pub async fn open(config: &StorageConfig) -> Result<Arc<dyn StorageDriver>> {
    Drivers::new().open(config).await
}

/// Lists what the configured driver assumes about its store before it has asked it, one sentence each, for
/// people. Empty if the driver assumes nothing, or the settings are wrong. Makes no request.
#[must_use]
pub fn assumptions(config: &StorageConfig) -> Vec<String> {
    builtin::assumptions(config)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use plugin_registry_core::ErrorKind;

    use super::*;

    fn refusal(config: &StorageConfig) -> String {
        let error = block_on(open(config)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        error.to_string()
    }

    #[test]
    fn unknown_names_get_a_suggestion() {
        for (name, expected) in [
            ("filesytem", "invalid configuration: unknown driver `filesytem`, did you mean `filesystem`?"),
            (
                "ftp",
                "invalid configuration: unknown driver `ftp`; known drivers: azure, filesystem, gcs, \
                 inmemory, memory, s3, s3aws",
            ),
            (
                "",
                "invalid configuration: unknown driver ``; known drivers: azure, filesystem, gcs, inmemory, \
                 memory, s3, s3aws",
            ),
        ] {
            assert_eq!(refusal(&StorageConfig::new(name)), expected);
        }
    }

    #[cfg(feature = "s3")]
    #[test]
    fn what_is_assumed_of_a_store_is_said() {
        let s3 = StorageConfig::new("s3").with("bucket", "b").with("region", "eu-central-1");
        assert!(assumptions(&s3).contains(&"the store is AWS".to_owned()));
        assert_eq!(assumptions(&StorageConfig::new("s3")), [""; 0]);
        assert_eq!(assumptions(&StorageConfig::new("inmemory")), [""; 0]);
    }

    #[test]
    fn drivers_to_come_check_their_parameters_first() {
        let expected = "invalid configuration: this build has no driver `gcs`: it is not implemented yet; its \
                        parameters are valid";
        assert_eq!(refusal(&StorageConfig::new("gcs").with("bucket", "backup")), expected);
        let text = refusal(&StorageConfig::new("gcs"));
        assert!(text.contains("`bucket`: required"), "{text}");
    }

    #[cfg(feature = "azure")]
    #[test]
    fn azure_checks_its_parameters_before_anything_else() {
        let text = refusal(&StorageConfig::new("azure").with("chunksize", "1"));
        assert!(text.starts_with("azure driver: invalid configuration: 3 mistakes: `accountname`"), "{text}");
    }

    #[cfg(not(feature = "s3"))]
    #[test]
    fn lacking_drivers_name_their_feature() {
        for name in ["s3", "s3aws"] {
            let text = refusal(&StorageConfig::new(name));
            assert!(text.ends_with("with the feature `s3`"), "{text}");
        }
    }

    #[cfg(not(feature = "azure"))]
    #[test]
    fn a_build_without_azure_names_its_feature() {
        let text = refusal(&StorageConfig::new("azure"));
        assert!(text.ends_with("with the feature `azure`"), "{text}");
    }

    #[cfg(feature = "memory")]
    #[test]
    fn memory_has_two_names_and_no_parameters() {
        for name in ["inmemory", "memory", "InMemory"] {
            assert_eq!(block_on(open(&StorageConfig::new(name))).unwrap().name(), "inmemory");
        }
        let text = refusal(&StorageConfig::new("inmemory").with("rootdirectory", "/x"));
        assert_eq!(text, "inmemory driver: invalid configuration: `rootdirectory`: unknown");
    }

    #[cfg(feature = "fs")]
    #[test]
    fn failures_of_an_opening_name_the_driver() {
        // No runtime is here for its work.
        let error = block_on(open(&StorageConfig::new("filesystem"))).unwrap_err();
        assert!(error.to_string().starts_with("filesystem driver: failed: no tokio runtime: "), "{error}");
    }

    #[cfg(feature = "s3")]
    #[test]
    fn s3_checks_its_parameters_before_anything_else() {
        for name in ["s3", "s3aws"] {
            let text = refusal(&StorageConfig::new(name).with("chunksize", "1"));
            assert!(text.starts_with("s3 driver: invalid configuration: 2 mistakes: `bucket`"), "{text}");
        }
    }
}
