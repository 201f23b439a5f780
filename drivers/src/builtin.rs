//! The drivers of this crate's features, under the names that distribution uses for them.

#[cfg(any(feature = "memory", feature = "fs", feature = "s3", feature = "azure"))]
use std::sync::Arc;

use plugin_registry_core::{Parameters, Result};
#[cfg(any(feature = "memory", feature = "fs", feature = "s3", feature = "azure"))]
use plugin_registry_core::{StorageConfig, StorageDriver};

use crate::drivers::{Entry, Unavailable};

/// The remedy for a driver whose settings can already be read.
const PLANNED: &str = "it is not implemented yet; its parameters are valid";

fn gcs(parameters: &Parameters) -> Result<()> {
    plugin_registry_drivers_gcs::GcsConfig::from_parameters(parameters).map(drop)
}

#[cfg(feature = "memory")]
async fn memory(config: StorageConfig) -> Result<Arc<dyn StorageDriver>> {
    config.parameters.reader().finish().map_err(|error| error.with_driver("inmemory"))?;
    Ok(Arc::new(plugin_registry_drivers_memory::MemoryDriver::new()))
}

#[cfg(feature = "fs")]
async fn filesystem(config: StorageConfig) -> Result<Arc<dyn StorageDriver>> {
    let settings = crate::filesystem::settings(&config)?;
    let opened = plugin_registry_drivers_fs::FsDriver::open(settings).await;
    Ok(Arc::new(opened.map_err(|error| error.with_driver("filesystem"))?))
}

#[cfg(feature = "s3")]
async fn s3(config: StorageConfig) -> Result<Arc<dyn StorageDriver>> {
    let settings = plugin_registry_drivers_s3::S3Config::from_parameters(&config.parameters)?;
    let opened = plugin_registry_drivers_s3::S3Driver::open(settings).await;
    Ok(Arc::new(opened.map_err(|error| error.with_driver("s3"))?))
}

#[cfg(feature = "azure")]
async fn azure(config: StorageConfig) -> Result<Arc<dyn StorageDriver>> {
    let settings = plugin_registry_drivers_azure::AzureConfig::from_parameters(&config.parameters)?;
    let opened = plugin_registry_drivers_azure::AzureDriver::open(settings).await;
    Ok(Arc::new(opened.map_err(|error| error.with_driver("azure"))?))
}

/// Lists what a driver assumes about its store.
pub(crate) fn assumptions(config: &plugin_registry_core::StorageConfig) -> Vec<String> {
    #[cfg(feature = "s3")]
    if matches!(config.driver.to_lowercase().as_str(), "s3" | "s3aws") {
        let settings = plugin_registry_drivers_s3::S3Config::from_parameters(&config.parameters);
        return settings.map(|settings| settings.assumptions()).unwrap_or_default();
    }
    let _ = config;
    Vec::new()
}

/// Lists every name that has a driver, or will have one.
pub(crate) fn entries() -> impl Iterator<Item = (&'static str, Entry)> {
    /// The driver of a feature, or an entry that says that the build lacks it.
    macro_rules! entry {
        ($name:literal, $feature:literal, $open:ident) => {{
            #[cfg(feature = $feature)]
            let entry = Entry::new($open);
            #[cfg(not(feature = $feature))]
            let entry = Entry::Unavailable(Unavailable {
                remedy: concat!("build plugin-registry-drivers with the feature `", $feature, "`"),
                check: |_| Ok(()),
            });
            ($name, entry)
        }};
    }
    [
        entry!("azure", "azure", azure),
        entry!("filesystem", "fs", filesystem),
        ("gcs", Entry::Unavailable(Unavailable { remedy: PLANNED, check: gcs })),
        entry!("inmemory", "memory", memory),
        entry!("memory", "memory", memory),
        entry!("s3", "s3", s3),
        entry!("s3aws", "s3", s3),
    ]
    .into_iter()
}
