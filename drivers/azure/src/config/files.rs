//! The files that the settings name.

use plugin_registry_core::Result;
use plugin_registry_drivers_objects::files::read_certificates;

use super::AzureConfig;

impl AzureConfig {
    /// Reads the file that the settings name: [`ca_bundle_path`](Self::ca_bundle_path) becomes
    /// [`ca_bundle`](Self::ca_bundle). Without a path it does nothing. The token of a workload identity is
    /// not read here, since it changes.
    ///
    /// # Errors
    /// [`InvalidConfig`](plugin_registry_core::ErrorKind::InvalidConfig) if the file cannot be read, is
    /// longer than 1 MiB or holds no certificate.
    pub async fn read_files(mut self) -> Result<Self> {
        if let Some(path) = self.ca_bundle_path.take() {
            let read = read_certificates("cabundlepath", path).await;
            self.ca_bundle = Some(read.map_err(|error| error.with_driver("azure"))?);
        }
        Ok(self)
    }
}
