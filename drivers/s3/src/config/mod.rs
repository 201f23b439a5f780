//! The settings of the driver.

mod assumed;
mod debug;
pub(crate) mod files;
mod parameters;
mod setters;

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use plugin_registry_core::{Result, Secret};
use url::Url;

/// Settings of an S3 driver. Each field names its parameter in distribution.
///
/// ```
/// use plugin_registry_core::{Parameters, Secret};
/// use plugin_registry_drivers_s3::{AccessKeys, S3Config, S3Credentials};
/// let keys = AccessKeys::new(Secret::new("id"), Secret::new("key"));
/// let config = S3Config::new("backup").with_region("eu-central-1").with_credentials(S3Credentials::AccessKeys(keys));
/// assert_eq!(config.region.as_deref(), Some("eu-central-1"));
///
/// // The same from the text of a file or of variables.
/// let parameters = Parameters::new()
///     .with("bucket", "backup")
///     .with("region", "eu-central-1")
///     .with("accesskey", "id")
///     .with("secretkey", "key");
/// assert_eq!(S3Config::from_parameters(&parameters)?.bucket, "backup");
/// # Ok::<(), plugin_registry_core::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct S3Config {
    /// `bucket`, required.
    pub bucket: String,
    /// `rootdirectory`: without slashes at its ends. Empty for the bucket's root.
    pub root_directory: String,
    /// `region`. Found automatically if neither it nor an endpoint is given.
    pub region: Option<String>,
    /// `regionendpoint`, with a scheme.
    pub endpoint: Option<Url>,
    /// `forcepathstyle`: the bucket is in the path, not in the host's name. By default only with an endpoint.
    pub force_path_style: Option<bool>,
    /// `accesskey`, `secretkey`, `sessiontoken`, `credentials`, `credentialsconfigpath`.
    pub credentials: S3Credentials,
    /// `tokenfiles`: the files that a profile may name as `web_identity_token_file`, letter for letter. By
    /// default none: a profile may come from a tenant's Secret, while the token belongs to this process.
    pub token_files: Vec<PathBuf>,
    /// `stsendpoint`: the token service, for a profile with a role. By default AWS's, of the region.
    pub sts_endpoint: Option<Url>,
    /// `stscabundle`: certificates in PEM that are trusted for the token service in addition to the system's.
    /// [`ca_bundle`](Self::ca_bundle) is not trusted for it, since that may come from the store's owner.
    pub sts_ca_bundle: Option<String>,
    /// `stscabundlepath`: a file to read [`sts_ca_bundle`](Self::sts_ca_bundle) from, at open.
    pub sts_ca_bundle_path: Option<PathBuf>,
    /// `secure`: HTTPS for an endpoint without a scheme. Default true.
    pub secure: bool,
    /// `skipverify`: accepts any certificate of the endpoint. Default false.
    pub skip_verify: bool,
    /// `cabundle`: certificates in PEM that are trusted for the store in addition to the system's, for this
    /// instance alone.
    pub ca_bundle: Option<String>,
    /// `proxy`: an HTTP proxy, which may hold a password.
    pub proxy: Option<Secret>,
    /// `encrypt`: server-side encryption.
    pub encrypt: bool,
    /// `keyid`: the KMS key to encrypt with.
    pub key_id: Option<String>,
    /// `storageclass`; `None` sends no header.
    pub storage_class: Option<String>,
    /// `objectacl`; `None` sends no header.
    pub object_acl: Option<String>,
    /// `useragent`.
    pub user_agent: Option<String>,
    /// `chunksize`: bytes in a part, 5 MiB to 5 GiB. Default 10 MiB.
    pub chunk_size: u64,
    /// `multipartcopychunksize`. Default 32 MiB.
    pub copy_chunk_size: u64,
    /// `multipartcopymaxconcurrency`. Default 100.
    pub copy_concurrency: usize,
    /// `multipartcopythresholdsize`: larger files are copied in parts. Default 32 MiB.
    pub copy_threshold: u64,
    /// `usedualstack`.
    pub dual_stack: bool,
    /// `accelerate`.
    pub accelerate: bool,
    /// `usefipsendpoint`.
    pub fips: bool,
    /// `redirectendpoint`: scheme and host of presigned URLs.
    pub redirect_endpoint: Option<Url>,
    /// `checksums`.
    pub checksums: Checksums,
    /// `maxconcurrency`: parts in memory at a time, gathering or on their way, of all writers of the instance.
    /// 1 counts as 2. Default 3.
    pub concurrency: usize,
    /// `maxattempts`: attempts of one request, including the first. Default 5.
    pub max_attempts: u32,
    /// `idletimeout`: a request is given up when no byte of it, or of its answer, has moved for this long.
    /// Default 60 s.
    pub idle_timeout: Duration,
    /// `answertimeout`: how long the store may take from the last byte of a request to the first of its answer.
    /// Ten times that if it makes an object of parts or copies one. Default 60 s.
    pub answer_timeout: Duration,
    /// `cabundlepath`: a file to read [`ca_bundle`](Self::ca_bundle) from, at open.
    pub ca_bundle_path: Option<PathBuf>,
    /// `conditionalwrites`: whether the store honours `If-None-Match` and `If-Match` on writes and, if
    /// [`directories`](Self::directories) is set too, `x-amz-copy-source-if-match` on copies. If it is not set
    /// and the store is not known, the driver asks it before the first write.
    pub conditional_writes: Option<bool>,
    /// `directories`: whether the store keeps keys in directories as a file system does (SeaweedFS), so that
    /// empty ones are listed. If it is not set and the store is not known, the driver asks it before the first
    /// write. Until then lists are read as if it did, which is right for any store and takes more requests.
    pub directories: Option<bool>,
}

/// Where requests get their credentials from. Asked for each request, so that a rotated key is used at once.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum S3Credentials {
    /// The chain of the SDK: environment, shared files, web identity, container, instance.
    #[default]
    Chain,
    /// Fixed keys.
    AccessKeys(AccessKeys),
    /// The content of a shared credentials file (`credentials`). Only the keys and roles of a profile are used:
    /// see [`profiles`](plugin_registry_core::profiles).
    Text {
        /// The content.
        text: Secret,
        /// The profile; `default` if not given.
        profile: Option<String>,
    },
    /// A shared credentials file (`credentialsconfigpath`), read in the same way, and again when it changes.
    File {
        /// Its path.
        path: PathBuf,
        /// The profile; `default` if not given.
        profile: Option<String>,
    },
    /// The host's own source.
    Source(Arc<dyn CredentialsSource>),
}

/// One pair of keys.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccessKeys {
    /// The access key's id.
    pub access_key: Secret,
    /// The secret key.
    pub secret_key: Secret,
    /// The token of temporary keys.
    pub session_token: Option<Secret>,
    /// When temporary keys end.
    pub expires: Option<SystemTime>,
}

/// Gives the current keys, for hosts that rotate them.
#[async_trait]
pub trait CredentialsSource: fmt::Debug + Send + Sync + 'static {
    /// The keys to sign the next request with. Called for every request, so an implementation should cache
    /// them.
    async fn keys(&self) -> Result<AccessKeys>;
}

/// Whether requests carry checksums beyond what S3 needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checksums {
    /// `automatic`: CRC32 for every upload, as in Velero and the SDK, so that buckets with Object Lock accept
    /// them. If a store refuses it, that is noticed once, and uploads continue without.
    #[default]
    Automatic,
    /// `required`: only where S3 requires one.
    Required,
    /// `supported`: CRC32 for every upload, checked by the server.
    Supported,
}

impl AccessKeys {
    /// Long-lived keys.
    #[must_use]
    pub fn new(access_key: Secret, secret_key: Secret) -> Self {
        Self { access_key, secret_key, session_token: None, expires: None }
    }

    /// Sets the token of temporary keys.
    #[must_use]
    pub fn with_session_token(mut self, token: Secret) -> Self {
        self.session_token = Some(token);
        self
    }

    /// Sets when temporary keys end.
    #[must_use]
    pub fn with_expires(mut self, time: SystemTime) -> Self {
        self.expires = Some(time);
        self
    }
}

impl S3Config {
    /// Settings for a bucket, with defaults for everything else.
    #[must_use]
    pub fn new(bucket: impl Into<String>) -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            bucket: bucket.into(),
            root_directory: String::new(),
            region: None,
            endpoint: None,
            force_path_style: None,
            credentials: S3Credentials::Chain,
            token_files: Vec::new(),
            sts_endpoint: None,
            sts_ca_bundle: None,
            sts_ca_bundle_path: None,
            secure: true,
            skip_verify: false,
            ca_bundle: None,
            proxy: None,
            encrypt: false,
            key_id: None,
            storage_class: None,
            object_acl: None,
            user_agent: None,
            chunk_size: 10 * MIB,
            copy_chunk_size: 32 * MIB,
            copy_concurrency: 100,
            copy_threshold: 32 * MIB,
            dual_stack: false,
            accelerate: false,
            fips: false,
            redirect_endpoint: None,
            checksums: Checksums::Automatic,
            concurrency: 3,
            max_attempts: 5,
            idle_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(60),
            ca_bundle_path: None,
            conditional_writes: None,
            directories: None,
        }
    }
}
