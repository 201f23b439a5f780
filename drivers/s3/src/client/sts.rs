//! The token service of AWS, which gives the keys of a role.
//!
//! The SDK's own providers read the files that a profile names, and ask the process environment where the service is.
//! This one asks AWS, or the endpoint that the host gives, with a token from a file that the host has named.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use aws_credential_types::Credentials;
use aws_sdk_s3::config::{BehaviorVersion, Region, StalledStreamProtectionConfig, retry::RetryConfig};
use aws_sdk_sts::{
    Client,
    config::{Builder, IdentityCache},
    error::{ProvideErrorMetadata, SdkError},
    types,
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use futures::{FutureExt, future::BoxFuture};
use plugin_registry_core::{
    profiles::{Base, Profile, Role},
    shown,
};

use crate::config::{S3Config, files::read_text};

/// The longest token: AWS takes 20,000 characters.
const MAX_TOKEN: u64 = 32 << 10;
/// The name of a session where the profile has none.
const SESSION: &str = "plugin-registry";

#[derive(Debug)]
pub(super) struct TokenService {
    settings: Builder,
    /// The region of the settings; a profile's counts where they have none.
    given: Option<String>,
    found: String,
    tokens: Vec<PathBuf>,
}

impl TokenService {
    pub(super) fn new(config: &S3Config, region: &str, connections: SharedHttpClient) -> Self {
        let mut settings = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .http_client(connections)
            .sleep_impl(TokioSleep::new())
            .retry_config(RetryConfig::standard())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .identity_cache(IdentityCache::no_cache())
            .use_fips(config.fips)
            .use_dual_stack(config.dual_stack);
        if let Some(endpoint) = &config.sts_endpoint {
            settings = settings.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        let (given, found) = (config.region.clone(), region.to_owned());
        Self { settings, given, found, tokens: config.token_files.clone() }
    }

    /// The files that a profile may name.
    pub(super) fn token_files(&self) -> &[PathBuf] {
        &self.tokens
    }

    /// The keys that a profile gives. What is wrong is said without a secret.
    pub(super) fn keys<'a>(&'a self, profile: &'a Profile<'_>) -> BoxFuture<'a, Result<Credentials, String>> {
        async move {
            match profile {
                Profile::Keys(keys) => {
                    let token = keys.token.map(|token| token.text.to_owned());
                    Ok(Credentials::new(keys.access.text, keys.secret.text, token, None, "plugin-registry"))
                }
                Profile::Role(role) => self.role(role).await,
                _ => Err("it is of a kind that is not known".to_owned()),
            }
        }
        .boxed()
    }

    async fn role(&self, role: &Role<'_>) -> Result<Credentials, String> {
        let region = match (&self.given, role.region) {
            (None, Some(region)) => region.text,
            (Some(region), _) => region,
            (None, None) => &self.found,
        };
        let settings = self.settings.clone().region(Region::new(region.to_owned()));
        let session = role.session_name.map_or(SESSION, |name| name.text);
        let answer = match &role.base {
            Base::Token(path) => {
                let request = Client::from_conf(settings.build())
                    .assume_role_with_web_identity()
                    .role_arn(role.arn.text)
                    .role_session_name(session)
                    .web_identity_token(token(path).await?);
                request.send().await.map(|answer| answer.credentials).map_err(|error| refusal(&error))
            }
            Base::Profile(profile) => {
                let keys = self.keys(profile).await?;
                let request = Client::from_conf(settings.credentials_provider(keys).build())
                    .assume_role()
                    .role_arn(role.arn.text)
                    .role_session_name(session)
                    .set_external_id(role.external_id.map(|id| id.text.to_owned()));
                request.send().await.map(|answer| answer.credentials).map_err(|error| refusal(&error))
            }
            _ => return Err("its role is asked for in a way that is not known".to_owned()),
        };
        of_answer(answer?.ok_or_else(|| "the token service gave no keys".to_owned())?)
    }
}

fn of_answer(keys: types::Credentials) -> Result<Credentials, String> {
    let end = SystemTime::try_from(keys.expiration)
        .map_err(|_| "the token service gave keys without an end".to_owned())?;
    Ok(Credentials::new(
        keys.access_key_id,
        keys.secret_access_key,
        Some(keys.session_token),
        Some(end),
        "sts",
    ))
}

/// The token of the moment: the file is written anew while the process runs.
async fn token(path: &Path) -> Result<String, String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_text(&path, MAX_TOKEN)).await;
    match read {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(format!("the token of the web identity cannot be read: {error}")),
        Err(_) => Err("the token of the web identity was not read to its end".to_owned()),
    }
}

/// What the service says, in its own words.
fn refusal<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error.code() {
        Some(code) => {
            let said = error.message().map(|message| format!(": {}", shown(message))).unwrap_or_default();
            format!("the token service does not give the role: {}{said}", shown(code))
        }
        None => {
            let mut said = "the token service cannot be asked for the role".to_owned();
            let mut cause: Option<&dyn std::error::Error> = Some(error);
            while let Some(error) = cause {
                said.push_str(": ");
                said.push_str(&shown(&error.to_string()));
                cause = error.source();
            }
            said
        }
    }
}
