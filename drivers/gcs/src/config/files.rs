//! The file that the settings name.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use plugin_registry_core::{Error, ErrorKind, Result, Secret, profiles::MAX_FILE, shown_path};

use super::{GcsConfig, GcsCredentials, parameters::check_document};

impl GcsConfig {
    /// Returns the document that tokens are requested with, checked.
    ///
    /// It is the one in `credentials`, or the current content of `keyfile`; `None` if there is neither. This is
    /// the only way from a file to a document: a driver passes nothing else to the code that requests tokens.
    ///
    /// It is checked as data each time (ADR 0031), wherever it comes from: it may name only files in
    /// [`token_files`](Self::token_files) and URLs of Google. Blocks while a file is read.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the file cannot be read or is longer than 1 MiB, and if the document
    /// gives orders or is not valid. No message contains any of its content.
    pub fn document(&self) -> Result<Option<Secret>> {
        let (key, json) = match &self.credentials {
            GcsCredentials::Json(json) => ("credentials", json.clone()),
            GcsCredentials::KeyFile(path) => {
                let read = read(path).map_err(|error| {
                    // A value that does not look like a path may be a secret in the wrong place.
                    let shown = path.to_str().and_then(shown_path);
                    let file = shown.map_or("the file".to_owned(), |path| format!("`{path}`"));
                    wrong(format!("`keyfile`: {file} cannot be read: {error}")).with_source(error)
                })?;
                ("keyfile", read)
            }
            GcsCredentials::Chain | GcsCredentials::Anonymous => return Ok(None),
        };
        let text = json.expose().trim_start_matches('\u{feff}');
        check_document(text, &self.token_files).map_err(|what| wrong(format!("`{key}`: {what}")))?;
        Ok(Some(if text.len() == json.expose().len() { json } else { Secret::new(text) }))
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig).with_driver("gcs").with_message(message)
}

fn read(path: &Path) -> io::Result<Secret> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    let text = Secret::new(text);
    if text.expose().len() as u64 > MAX_FILE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is longer than {MAX_FILE} bytes"),
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    const EXTERNAL: &str = r#"{"type":"external_account","audience":"a","subject_token_type":"t",
        "token_url":"https://sts.googleapis.com/v1/token","credential_source":{"file":"/token"}}"#;

    /// A file is data as a content is, each time that it is read.
    #[test]
    fn a_key_file_gives_no_orders() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.json");
        let config = GcsConfig::new("backup").with_credentials(GcsCredentials::KeyFile(path.clone()));
        let allowed = config.clone().with_token_files(vec![PathBuf::from("/token")]);
        for text in [EXTERNAL.to_owned(), format!("\u{feff}{EXTERNAL}")] {
            fs::write(&path, text).unwrap();
            assert_eq!(allowed.document().unwrap().unwrap().expose(), EXTERNAL);
            let error = config.document().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.to_string().contains("`keyfile`: "), "{error}");
        }
        let orders = EXTERNAL.replace("\"file\":\"/token\"", "\"executable\":{\"command\":\"/bin/canary\"}");
        for text in [orders.as_str(), "", "{", "[]"] {
            fs::write(&path, text).unwrap();
            let error = allowed.document().unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
            let given = allowed.clone().with_credentials(GcsCredentials::Json(Secret::new(text)));
            given.document().unwrap_err();
        }
        fs::write(&path, " ".repeat(1 << 20) + EXTERNAL).unwrap();
        allowed.document().unwrap_err();
        fs::remove_file(&path).unwrap();
        let error = allowed.document().unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
        assert!(GcsConfig::new("backup").document().unwrap().is_none());
    }
}
