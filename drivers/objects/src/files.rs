//! Files that settings name.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use plugin_registry_core::{Error, ErrorKind, Result, profiles::MAX_FILE, shown_path};

/// Reads the certificates of the file that a setting names, as PEM. Runs on the runtime's blocking threads.
///
/// # Errors
/// [`InvalidConfig`](ErrorKind::InvalidConfig) names the setting if the file cannot be read, is longer than 1
/// MiB or holds no certificate.
pub async fn read_certificates(key: &str, path: PathBuf) -> Result<String> {
    // A value that does not look like a path may be a secret in the wrong place.
    let shown = path.to_str().and_then(shown_path).map_or("the file".to_owned(), |path| format!("`{path}`"));
    let wrong =
        |what: &str| Error::new(ErrorKind::InvalidConfig).with_message(format!("`{key}`: {shown} {what}"));
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
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
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
