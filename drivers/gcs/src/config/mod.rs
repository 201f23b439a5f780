//! The settings of the driver.

mod files;
mod parameters;
mod setters;

use std::{fmt, path::PathBuf};

use plugin_registry_core::{Secret, shown_name};
use url::Url;

/// Settings of a driver for Google Cloud Storage. Each field names its parameter in distribution.
///
/// Only [`from_parameters`](Self::from_parameters) checks them.
///
/// ```
/// use plugin_registry_core::Parameters;
/// use plugin_registry_drivers_gcs::{GcsConfig, GcsCredentials};
/// let parameters = Parameters::new().with("bucket", "backup").with("keyfile", "/key.json");
/// let config = GcsConfig::from_parameters(&parameters)?;
/// assert_eq!(config.bucket, "backup");
/// assert!(matches!(config.credentials, GcsCredentials::KeyFile(_)));
/// # Ok::<(), plugin_registry_core::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct GcsConfig {
    /// `bucket`, required.
    pub bucket: String,
    /// `rootdirectory`: without slashes at its ends. Empty for the bucket's root.
    pub root_directory: String,
    /// `keyfile`, `credentials`, `anonymous`.
    pub credentials: GcsCredentials,
    /// `tokenfiles`: the files that a document for an external account may name, letter for letter. By default
    /// none: a document may come from a tenant's Secret, while the token belongs to this process.
    pub token_files: Vec<PathBuf>,
    /// `endpoint`: scheme and host of the JSON API, for an emulator or a private endpoint. By default Google's.
    pub endpoint: Option<Url>,
    /// `chunksize`: bytes in a chunk of an upload, a multiple of 256 KiB. Default 16 MiB.
    pub chunk_size: u64,
    /// `maxconcurrency`: operations of the driver at a time. Default 50.
    pub concurrency: usize,
    /// `useragent`.
    pub user_agent: Option<String>,
    /// `skipverify`: accepts any certificate of the store. Default false.
    pub skip_verify: bool,
    /// `cabundle`: certificates in PEM that are trusted in addition to the system's, for this instance alone.
    pub ca_bundle: Option<String>,
    /// `cabundlepath`: a file to read [`ca_bundle`](Self::ca_bundle) from, at open.
    pub ca_bundle_path: Option<PathBuf>,
    /// `proxy`: an HTTP proxy, which may hold a password.
    pub proxy: Option<Secret>,
}

/// Where requests get their credentials from.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum GcsCredentials {
    /// The application default: environment, the file of `gcloud`, the metadata server.
    #[default]
    Chain,
    /// `keyfile`: a JSON document for a service account or an external account.
    /// [`document`](GcsConfig::document) reads and checks it: the file may be a tenant's, just like the
    /// document in `credentials`.
    KeyFile(PathBuf),
    /// `credentials`: the document itself, or the keys below `credentials` put together as one.
    Json(Secret),
    /// `anonymous`: none, for an emulator or a public bucket.
    Anonymous,
}

/// Hides text that does not look like a name: it may be a secret in the wrong place.
impl fmt::Debug for GcsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcsConfig")
            .field("bucket", &shown_name(&self.bucket).unwrap_or("…"))
            .field("credentials", &self.credentials)
            .field("chunk_size", &self.chunk_size)
            .field("concurrency", &self.concurrency)
            .field("skip_verify", &self.skip_verify)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for GcsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chain => "Chain",
            Self::KeyFile(_) => "KeyFile(…)",
            Self::Json(_) => "Json(…)",
            Self::Anonymous => "Anonymous",
        })
    }
}

impl GcsConfig {
    /// Settings for a bucket, with defaults for everything else.
    #[must_use]
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            root_directory: String::new(),
            credentials: GcsCredentials::Chain,
            token_files: Vec::new(),
            endpoint: None,
            chunk_size: 16 << 20,
            concurrency: 50,
            user_agent: None,
            skip_verify: false,
            ca_bundle: None,
            ca_bundle_path: None,
            proxy: None,
        }
    }
}
