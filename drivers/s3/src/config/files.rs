//! The files that the settings name.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use plugin_registry_core::{Error, ErrorKind, Result, profiles::MAX_FILE, shown_path};

use super::S3Config;

impl S3Config {
    /// Reads the files that the settings name: [`ca_bundle_path`](Self::ca_bundle_path) becomes
    /// [`ca_bundle`](Self::ca_bundle), and likewise for the token service. Without paths it does nothing. The
    /// credentials file is not read here, since it changes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if a file cannot be read, is longer than 1 MiB or holds no certificate.
    pub async fn read_files(mut self) -> Result<Self> {
        if let Some(path) = self.ca_bundle_path.take() {
            self.ca_bundle = Some(certificates("cabundlepath", path).await?);
        }
        if let Some(path) = self.sts_ca_bundle_path.take() {
            self.sts_ca_bundle = Some(certificates("stscabundlepath", path).await?);
        }
        Ok(self)
    }
}

async fn certificates(key: &str, path: PathBuf) -> Result<String> {
    // A value that does not look like a path may be a secret in the wrong place.
    let shown = path.to_str().and_then(shown_path).map_or("the file".to_owned(), |path| format!("`{path}`"));
    let wrong = |what: &str| {
        Error::new(ErrorKind::InvalidConfig)
            .with_driver("s3")
            .with_message(format!("`{key}`: {shown} {what}"))
    };
    match tokio::task::spawn_blocking(move || read_text(&path, MAX_FILE)).await {
        Ok(Ok(pem)) if is_pem(&pem) => Ok(pem),
        Ok(Ok(_)) => Err(wrong("holds no PEM certificate")),
        Ok(Err(error)) => Err(wrong(&format!("cannot be read: {error}")).with_source(error)),
        Err(error) => Err(wrong("could not be read completely").with_source(error)),
    }
}

/// Reads the text of a file, which may be anything that a user named, such as an endless device.
///
/// # Errors
/// Those of the system, and [`InvalidData`](io::ErrorKind::InvalidData) for more than `most` bytes or invalid
/// UTF-8.
pub(crate) fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {most} bytes")));
    }
    Ok(text)
}

/// Whether this looks like certificates in PEM. The TLS library looks closer.
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
