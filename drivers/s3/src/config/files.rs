//! The files that the settings name.

use plugin_registry_core::{Error, ErrorKind, Result, shown_path};

use super::S3Config;

impl S3Config {
    /// Reads what the settings name by path: [`ca_bundle_path`](Self::ca_bundle_path) becomes
    /// [`ca_bundle`](Self::ca_bundle). Without paths it does nothing. The credentials' file is not read here,
    /// since it changes.
    ///
    /// # Errors
    /// Of the kind [`ErrorKind::InvalidConfig`] for a file that cannot be read or holds no certificate.
    pub async fn read_files(mut self) -> Result<Self> {
        let Some(path) = self.ca_bundle_path.take() else { return Ok(self) };
        // What is not written like a path may be a secret in the wrong place.
        let shown =
            path.to_str().and_then(shown_path).map_or("the file".to_owned(), |path| format!("`{path}`"));
        let wrong = |what: &str| {
            Error::new(ErrorKind::InvalidConfig)
                .with_driver("s3")
                .with_message(format!("`cabundlepath`: {shown} {what}"))
        };
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
        let pem = match read {
            Ok(Ok(pem)) => pem,
            Ok(Err(error)) => return Err(wrong("cannot be read").with_source(error)),
            Err(error) => return Err(wrong("was not read to its end").with_source(error)),
        };
        if !is_pem(&pem) {
            return Err(wrong("holds no certificate in PEM"));
        }
        self.ca_bundle = Some(pem);
        Ok(self)
    }
}

/// Whether this looks like certificates in PEM; the TLS library looks closer.
fn is_pem(text: &str) -> bool {
    text.contains("-----BEGIN CERTIFICATE-----")
}

#[cfg(test)]
mod tests {
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
        assert!(empty.to_string().contains("holds no certificate in PEM"), "{empty}");
        let pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
        std::fs::write(&path, pem).unwrap();
        let read = config().read_files().await.unwrap();
        assert_eq!((read.ca_bundle.as_deref(), read.ca_bundle_path), (Some(pem), None));
        assert_eq!(S3Config::new("b").read_files().await.unwrap().ca_bundle, None);
    }
}
