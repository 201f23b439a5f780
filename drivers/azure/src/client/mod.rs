//! The SDK, set up for one location. Its types do not leave this module and `error`.
//!
//! `azure_storage_blob` reads, writes, describes, copies and deletes blobs. What it lacks goes through the
//! same pipeline as requests of this crate: lists with a delimiter, and deletes in batches. So all of them
//! have the same authorization, retries and connections.

mod authorization;
mod batch;
mod blobs;
mod blocks;
mod copy;
mod listing;
mod retry;
mod transport;
mod upload;

use std::{fmt, sync::Arc};

use azure_core::http::{
    ClientOptions, Context, HttpClient as SdkHttpClient, Pipeline, Request, RetryOptions,
    Transport as SdkTransport,
    policies::{Policy, PolicyResult},
};
use azure_storage_blob::{BlobClient, BlobContainerClient, BlobContainerClientOptions};
use plugin_registry_core::{Error, ErrorKind, Result, shown_name};
use plugin_registry_drivers_objects::connections::{HttpClient, Trust, certificates};
use url::Url;

use self::{authorization::Authorization, copy::Polls, retry::Retries, transport::Transport};
pub(crate) use self::{
    batch::{MAX_BATCH, Removal},
    blobs::{Blob, BlobMetadata, Condition},
    blocks::BlockId,
};
use crate::{config::AzureConfig, error::of_sdk};

/// The version of the service whose requests this driver makes itself. The SDK's own requests name theirs.
const VERSION: &str = "2026-04-06";

/// The requests that a driver makes, with the crate's types. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AzureClient(Arc<Inner>);

struct Inner {
    container: BlobContainerClient,
    pipeline: Pipeline,
    name: String,
    polls: Polls,
    authorization: Authorization,
}

impl AzureClient {
    /// Sets up the client. Makes no request.
    ///
    /// # Errors
    /// `InvalidConfig` for invalid settings.
    pub(crate) fn open(config: &AzureConfig) -> Result<Self> {
        let (url, authorization) = (container_url(config)?, Authorization::new(config)?);
        let transport: Arc<dyn SdkHttpClient> = Arc::new(Transport {
            connections: connections(config)?,
            limits: transport::limits(config.idle_timeout, config.answer_timeout),
        });
        let options = ClientOptions {
            per_try_policies: vec![authorization.policy()],
            retry: RetryOptions::custom(Arc::new(Retries::new(config.max_attempts.max(1)))),
            transport: Some(SdkTransport::new(transport)),
            ..ClientOptions::default()
        };
        let pipeline = Pipeline::new(
            option_env!("CARGO_PKG_NAME"),
            option_env!("CARGO_PKG_VERSION"),
            options.clone(),
            Vec::new(),
            Vec::new(),
            None,
        );
        let options = BlobContainerClientOptions { client_options: options, ..Default::default() };
        let container =
            BlobContainerClient::new(url, None, Some(options)).map_err(|error| invalid(of_sdk(&error)))?;
        let polls = Polls { most: config.max_retries, delay: config.retry_delay };
        let name = config.container.clone();
        Ok(Self(Arc::new(Inner { container, pipeline, name, polls, authorization })))
    }

    fn blob(&self, key: &str) -> BlobClient {
        self.0.container.blob_client(key)
    }

    /// The URL of the container.
    fn url(&self) -> &Url {
        self.0.container.url()
    }

    /// A URL at which the store serves a blob for a while, if this instance can sign one.
    pub(crate) fn presign(&self, key: &str) -> Result<Option<Url>> {
        self.0.authorization.presign(&self.0.name, key, self.blob(key).url().clone())
    }

    /// Sends a request of this crate, and reads its whole answer.
    async fn send(&self, mut request: Request) -> Result<azure_core::http::RawResponse> {
        request.insert_header("x-ms-version", VERSION);
        let sent = self.0.pipeline.send(&Context::new(), &mut request, None).await;
        sent.map_err(|error| of_sdk(&error))
    }
}

impl fmt::Debug for AzureClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let container = shown_name(&self.0.name).unwrap_or("…");
        f.debug_struct("AzureClient").field("container", &container).finish_non_exhaustive()
    }
}

/// Passes a request on to the next policy.
async fn send_next(context: &Context<'_>, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
    match next {
        [first, rest @ ..] => first.send(context, request, rest).await,
        [] => Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Other, "no transport")),
    }
}

/// `https://ACCOUNT.blob.REALM/CONTAINER`, or the container below `serviceurl`.
fn container_url(config: &AzureConfig) -> Result<Url> {
    let wrong =
        || Error::new(ErrorKind::InvalidConfig).with_message("check `serviceurl`, `accountname` and `realm`");
    let mut url = match &config.service_url {
        Some(url) => url.clone(),
        None => {
            let AzureConfig { account_name, realm, .. } = config;
            Url::parse(&format!("https://{account_name}.blob.{realm}/")).map_err(|_| wrong())?
        }
    };
    url.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().push(&config.container);
    Ok(url)
}

fn connections(config: &AzureConfig) -> Result<HttpClient<transport::RequestBody>> {
    let trust = if config.skip_verify {
        Trust::Any
    } else {
        // If nothing is ever encrypted, the system's certificates are not read.
        let is_plain = config.service_url.as_ref().is_some_and(|url| url.scheme() == "http");
        let own = certificates("`cabundle`", config.ca_bundle.as_deref())?;
        Trust::Known { own, system: !is_plain || config.proxy.is_some() }
    };
    HttpClient::new(trust, config.proxy.as_ref(), config.idle_timeout)
}

fn invalid(error: Error) -> Error {
    Error::new(ErrorKind::InvalidConfig).with_message(error.to_string())
}
