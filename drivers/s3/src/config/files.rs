//! The files that the settings name.

use plugin_registry_core::Result;

use super::S3Config;
use crate::files::read_certificates;

impl S3Config {
    /// Reads the files that the settings name: [`ca_bundle_path`](Self::ca_bundle_path) becomes
    /// [`ca_bundle`](Self::ca_bundle), and likewise for the token service. Without paths it does nothing. The
    /// credentials file is not read here, since it changes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if a file cannot be read, is longer than 1 MiB or holds no certificate.
    pub async fn read_files(mut self) -> Result<Self> {
        if let Some(path) = self.ca_bundle_path.take() {
            self.ca_bundle = Some(read_certificates("cabundlepath", path).await.map_err(of_driver)?);
        }
        if let Some(path) = self.sts_ca_bundle_path.take() {
            self.sts_ca_bundle = Some(read_certificates("stscabundlepath", path).await.map_err(of_driver)?);
        }
        Ok(self)
    }
}

fn of_driver(error: plugin_registry_core::Error) -> plugin_registry_core::Error {
    error.with_driver("s3")
}

#[cfg(test)]
mod tests {
    use plugin_registry_core::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn a_bundle_is_read_from_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let config = || S3Config::new("b").with_ca_bundle_path(&path);
        let missing = config().read_files().await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::InvalidConfig);
        assert!(missing.to_string().contains("ca.pem` cannot be read"), "{missing}");
        std::fs::write(&path, "hello").unwrap();
        let empty = config().read_files().await.unwrap_err();
        assert!(empty.to_string().contains("holds no PEM certificate"), "{empty}");
        let pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
        std::fs::write(&path, pem).unwrap();
        let read = config().read_files().await.unwrap();
        assert_eq!((read.ca_bundle.as_deref(), read.ca_bundle_path), (Some(pem), None));
        #[cfg(unix)]
        {
            let endless = S3Config::new("b").with_ca_bundle_path("/dev/zero").read_files().await.unwrap_err();
            assert!(format!("{endless:?}").contains("longer than 1048576 bytes"), "{endless:?}");
        }
        assert_eq!(S3Config::new("b").read_files().await.unwrap().ca_bundle, None);
    }
}
