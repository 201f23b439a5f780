//! Opens a storage driver by its name and its parameters, as distribution names them.
//!
//! | Driver | Names | Cargo feature |
//! |---|---|---|
//! | memory | `inmemory`, `memory` | `memory` |
//! | a directory | `filesystem` | `fs` |
//! | S3 | `s3`, `s3aws` | `s3` |
//!
//! ```
//! # #[cfg(feature = "memory")]
//! # fn main() -> plugin_registry_core::Result<()> {
//! use plugin_registry_drivers::{StorageConfig, open};
//! let driver = futures::executor::block_on(open(&StorageConfig::new("inmemory")))?;
//! assert_eq!(driver.name(), "inmemory");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "memory"))]
//! # fn main() {}
//! ```
//!
//! It reads no environment and keeps no table of drivers. A host with a driver of its own needs no name for it:
//! it hands the opened driver over.

#[cfg(feature = "fs")]
mod filesystem;
mod name;

use std::sync::Arc;

pub use plugin_registry_core::StorageConfig;
use plugin_registry_core::{Result, StorageDriver};

use self::name::named;

/// Opens a driver. What it does to the store, and what it needs from the caller's runtime, its own `open` says.
///
/// # Errors
/// Of the kind [`InvalidConfig`](plugin_registry_core::ErrorKind::InvalidConfig) for a driver that nobody
/// knows or this build lacks, and for mistakes in the parameters, all of them at once; otherwise those of the
/// driver.
pub async fn open(config: &StorageConfig) -> Result<Arc<dyn StorageDriver>> {
    match named(&config.driver)? {
        #[cfg(feature = "memory")]
        name::Driver::Memory => {
            let reader = config.parameters.reader();
            reader.finish().map_err(|error| error.with_driver("inmemory"))?;
            Ok(Arc::new(plugin_registry_drivers_memory::MemoryDriver::new()))
        }
        #[cfg(feature = "fs")]
        name::Driver::Filesystem => {
            let settings = filesystem::settings(config)?;
            Ok(Arc::new(plugin_registry_drivers_fs::FsDriver::open(settings).await?))
        }
        #[cfg(feature = "s3")]
        name::Driver::S3 => {
            let settings = plugin_registry_drivers_s3::S3Config::from_parameters(&config.parameters)?;
            // Boxed: the set-up of the SDK is a large future, and this one is held by whoever opens anything.
            let driver = Box::pin(plugin_registry_drivers_s3::S3Driver::open(settings)).await?;
            Ok(Arc::new(driver))
        }
        lacking => Err(lacking.lacking()),
    }
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
            (
                "filesytem",
                "invalid configuration: there is no driver `filesytem`, did you mean `filesystem`?",
            ),
            (
                "ftp",
                "invalid configuration: there is no driver `ftp`; there are azure, filesystem, gcs, inmemory, \
                 memory, s3, s3aws",
            ),
            (
                "",
                "invalid configuration: there is no driver ``; there are azure, filesystem, gcs, inmemory, \
                 memory, s3, s3aws",
            ),
        ] {
            assert_eq!(refusal(&StorageConfig::new(name)), expected);
        }
    }

    #[test]
    fn lacking_drivers_name_their_feature() {
        for name in ["gcs", "azure"] {
            let expected = format!(
                "invalid configuration: this build has no driver `{name}`: build plugin-registry-drivers with \
                 the feature `{name}`"
            );
            assert_eq!(refusal(&StorageConfig::new(name)), expected);
        }
        #[cfg(not(feature = "s3"))]
        for name in ["s3", "s3aws"] {
            let text = refusal(&StorageConfig::new(name));
            assert!(text.ends_with("with the feature `s3`"), "{text}");
        }
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

    #[cfg(feature = "s3")]
    #[test]
    fn s3_checks_its_parameters_before_anything_else() {
        for name in ["s3", "s3aws"] {
            let text = refusal(&StorageConfig::new(name).with("chunksize", "1"));
            assert!(text.starts_with("s3 driver: invalid configuration: 2 mistakes: `bucket`"), "{text}");
        }
    }
}
