//! The SDK, set up for one location. Its types do not leave this module and `error`.

mod checksums;
mod credentials;
mod headers;
mod http;
mod limits;
mod listing;
mod multipart;
mod objects;
mod observed;
mod region;
mod requests;
mod retry;
mod signing;
mod sts;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Builder, IdentityCache, Region, RequestChecksumCalculation,
        ResponseChecksumValidation, StalledStreamProtectionConfig, retry::RetryConfig, retry::RetryPartition,
        timeout::TimeoutConfig,
    },
    types::{ObjectCannedAcl, ServerSideEncryption, StorageClass},
};
use aws_smithy_async::rt::sleep::TokioSleep;
use plugin_registry_core::{Error, ErrorKind, Result, shown_name};

/// The bytes of an answer.
pub(crate) use aws_sdk_s3::primitives::ByteStream as Content;

use self::checksums::ChecksumNegotiation;
pub(crate) use self::{
    credentials::CredentialsFailure,
    listing::Uploads,
    multipart::{Part, UploadId},
    objects::{Condition, Download, Object, ObjectMetadata, is_condition},
    observed::ObservedFeatures,
    retry::element,
};
use crate::config::{Checksums, S3Config};

/// A connection has to be established within this time.
const CONNECT: Duration = Duration::from_secs(10);

/// The requests that a driver makes, with the crate's types. Cheap to clone.
#[derive(Clone)]
pub(crate) struct S3Client {
    client: Client,
    /// Signs URLs for the endpoint that clients can reach.
    presigner: Client,
    bucket: Arc<str>,
    puts: Arc<PutSettings>,
    /// Over TLS a body does not have to be hashed for its signature as well.
    is_secure: bool,
    /// Checksums of uploads.
    sums: Arc<ChecksumNegotiation>,
    /// Checksums follow S3, whatever the store knows.
    is_strict: bool,
    is_without_batches: Arc<AtomicBool>,
    observed: Arc<ObservedFeatures>,
}

/// The settings that every new object gets.
#[derive(Debug)]
struct PutSettings {
    storage_class: Option<StorageClass>,
    acl: Option<ObjectCannedAcl>,
    encryption: Option<ServerSideEncryption>,
    key_id: Option<String>,
}

impl S3Client {
    /// Sets up the client. Makes no request if the region or an endpoint is known, otherwise one to the bucket.
    ///
    /// # Errors
    /// `InvalidConfig` for invalid settings.
    pub(crate) async fn open(config: &S3Config) -> Result<Self> {
        let connections = http::connections(config)?;
        let region = match (&config.region, &config.endpoint) {
            (Some(region), _) => region.clone(),
            // A self-hosted store accepts any region.
            (None, Some(_)) => "us-east-1".to_owned(),
            (None, None) => region::find(config, connections.clone()).await?,
        };
        let services = http::verified(config)?;
        let current = Arc::new(credentials::CredentialsCache::new(config, &region, services).await);
        let observed = Arc::new(ObservedFeatures::default());
        let mut builder = common(config)
            .interceptor(observed::ObserveResponses(observed.clone()))
            .http_client(connections)
            .region(Region::new(region))
            .credentials_provider(SharedCredentialsProvider::new(credentials::Provider(current.clone())))
            // The source of the keys remembers them. A second cache would serve stale ones.
            .identity_cache(IdentityCache::no_cache())
            .retry_classifier(retry::RetryAfter)
            .retry_classifier(retry::CredentialRotation(current));
        if let Some(endpoint) = &config.endpoint {
            builder = builder.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        let presigner = match &config.redirect_endpoint {
            Some(endpoint) => builder.clone().endpoint_url(endpoint.as_str().trim_end_matches('/')),
            None => builder.clone(),
        };
        let is_plain = config.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http");
        Ok(Self {
            client: Client::from_conf(builder.build()),
            presigner: Client::from_conf(presigner.build()),
            bucket: config.bucket.as_str().into(),
            puts: Arc::new(PutSettings::new(config)),
            is_secure: !is_plain,
            sums: Arc::new(ChecksumNegotiation::new(config.checksums)),
            is_strict: config.checksums == Checksums::Supported,
            is_without_batches: Arc::default(),
            observed,
        })
    }

    /// The features that the answers have shown so far.
    pub(crate) fn observed(&self) -> &ObservedFeatures {
        &self.observed
    }
}

impl PutSettings {
    fn new(config: &S3Config) -> Self {
        let encryption = match (config.encrypt, &config.key_id) {
            (true, None) => Some(ServerSideEncryption::Aes256),
            (true, Some(_)) => Some(ServerSideEncryption::AwsKms),
            (false, _) => None,
        };
        Self {
            storage_class: config.storage_class.as_deref().map(StorageClass::from),
            acl: config.object_acl.as_deref().map(ObjectCannedAcl::from),
            encryption,
            key_id: config.key_id.clone(),
        }
    }
}

/// Settings of all clients of an instance.
fn common(config: &S3Config) -> Builder {
    // Connections have their own limits: the SDK's count from the beginning of a request (ADR 0023).
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).build();
    let retries = RetryConfig::standard()
        .with_max_attempts(config.max_attempts.max(1))
        .with_initial_backoff(Duration::from_millis(100))
        .with_max_backoff(retry::MAX_WAIT);
    let validation = match config.checksums {
        Checksums::Automatic | Checksums::Required => ResponseChecksumValidation::WhenRequired,
        Checksums::Supported => ResponseChecksumValidation::WhenSupported,
    };
    // With an endpoint, the bucket is in the path, as in distribution 2.8 and the fork.
    let path_style = config.force_path_style.unwrap_or(config.endpoint.is_some());
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .timeout_config(timeouts)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(retries)
        // The SDK's retry budget is shared by the whole process unless it has a name.
        .retry_partition(RetryPartition::new(uuid::Uuid::new_v4().to_string()))
        .sleep_impl(TokioSleep::new())
        // Uploads carry the checksum that this client gives them: the SDK would add a trailer.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(validation)
        .force_path_style(path_style)
        .use_dual_stack(config.dual_stack)
        .use_fips(config.fips)
        .accelerate(config.accelerate)
        // Set explicitly to what S3 does by default, so that the process environment is not asked.
        .disable_s3_express_session_auth(false)
        .interceptor(headers::Headers { agent: config.user_agent.clone() })
}

impl fmt::Debug for S3Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bucket = shown_name(&self.bucket).unwrap_or("…");
        f.debug_struct("S3Client").field("bucket", &bucket).finish_non_exhaustive()
    }
}

/// An error in an answer that the SDK took for a success.
fn unexpected(message: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable).with_message(message)
}
