//! The token service of AWS, which gives the keys of a role.
//!
//! The SDK's providers read any file that a profile names, and take the address of the service from the
//! process environment. This provider asks AWS, or the endpoint that the host gives, with a token from a file
//! that the host has named.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use aws_credential_types::Credentials;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, StalledStreamProtectionConfig,
    retry::{RetryConfig, RetryPartition},
};
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
    ErrorKind,
    profiles::{Profile, Role, RoleSource, is_region},
    shown,
};

use super::credentials::CredentialsFailure;
use crate::{config::S3Config, error, files::read_text};

/// The longest token: AWS accepts 20,000 characters.
const MAX_TOKEN: u64 = 32 << 10;
/// The name of a session if the profile has none.
const SESSION: &str = "plugin-registry";

#[derive(Debug)]
pub(super) struct TokenService {
    settings: Builder,
    /// The region of the settings. A profile's region applies only without it.
    given: Option<String>,
    found: String,
    has_endpoint: bool,
    tokens: Vec<PathBuf>,
}

impl TokenService {
    pub(super) fn new(config: &S3Config, region: &str, connections: SharedHttpClient) -> Self {
        let mut settings = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .http_client(connections)
            .sleep_impl(TokioSleep::new())
            .retry_config(RetryConfig::standard())
            // Its own partition: the SDK would otherwise count the attempts of all locations in a region
            // together.
            .retry_partition(RetryPartition::new(uuid::Uuid::new_v4().to_string()))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .identity_cache(IdentityCache::no_cache())
            .use_fips(config.fips)
            .use_dual_stack(config.dual_stack);
        if let Some(endpoint) = &config.sts_endpoint {
            settings = settings.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        let (given, found) = (config.region.clone(), region.to_owned());
        let has_endpoint = config.sts_endpoint.is_some();
        Self { settings, given, found, has_endpoint, tokens: config.token_files.clone() }
    }

    /// The files that a profile may name.
    pub(super) fn token_files(&self) -> &[PathBuf] {
        &self.tokens
    }

    /// Gets the keys that a profile gives. Errors contain no secret.
    pub(super) fn keys<'a>(
        &'a self,
        profile: &'a Profile<'_>,
    ) -> BoxFuture<'a, Result<Credentials, CredentialsFailure>> {
        async move {
            match profile {
                Profile::AccessKeys(keys) => {
                    let token = keys.token.map(|token| token.text.to_owned());
                    Ok(Credentials::new(keys.access.text, keys.secret.text, token, None, "plugin-registry"))
                }
                Profile::Role(role) => self.role(role).await,
                _ => Err(CredentialsFailure::refusal("it is of an unknown kind")),
            }
        }
        .boxed()
    }

    async fn role(&self, role: &Role<'_>) -> Result<Credentials, CredentialsFailure> {
        let region = match (&self.given, role.region) {
            (None, Some(region)) => region.text,
            (Some(region), _) => region,
            (None, None) => &self.found,
        };
        // It becomes part of a host name.
        if !self.has_endpoint && !is_region(region) {
            let what = "the region of the token service has to be letters, digits and `-`";
            return Err(CredentialsFailure::of(ErrorKind::InvalidConfig, what));
        }
        let settings = self.settings.clone().region(Region::new(region.to_owned()));
        let session = role.session_name.map_or(SESSION, |name| name.text);
        let answer = match &role.base {
            RoleSource::Token(path) => {
                let request = Client::from_conf(settings.build())
                    .assume_role_with_web_identity()
                    .role_arn(role.arn.text)
                    .role_session_name(session)
                    .web_identity_token(token(path).await?);
                request.send().await.map(|answer| answer.credentials).map_err(|error| refusal(&error))
            }
            RoleSource::Profile(profile) => {
                let keys = self.keys(profile).await?;
                let request = Client::from_conf(settings.credentials_provider(keys).build())
                    .assume_role()
                    .role_arn(role.arn.text)
                    .role_session_name(session)
                    .set_external_id(role.external_id.map(|id| id.text.to_owned()));
                request.send().await.map(|answer| answer.credentials).map_err(|error| refusal(&error))
            }
            _ => return Err(CredentialsFailure::refusal("it assumes its role in an unknown way")),
        };
        of_answer(answer?.ok_or_else(|| CredentialsFailure::refusal("the token service returned no keys"))?)
    }
}

fn of_answer(keys: types::Credentials) -> Result<Credentials, CredentialsFailure> {
    let end = SystemTime::try_from(keys.expiration).map_err(|_| {
        CredentialsFailure::refusal("the token service returned keys without an expiration time")
    })?;
    Ok(Credentials::new(
        keys.access_key_id,
        keys.secret_access_key,
        Some(keys.session_token),
        Some(end),
        "sts",
    ))
}

/// Reads the current token: the file is rewritten while the process runs.
async fn token(path: &Path) -> Result<String, CredentialsFailure> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_text(&path, MAX_TOKEN)).await;
    match read {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => {
            Err(CredentialsFailure::refusal(format!("the web identity token cannot be read: {error}")))
        }
        Err(_) => Err(CredentialsFailure::refusal("the web identity token could not be read completely")),
    }
}

/// The code of a service that could not reach the identity provider.
const NOT_REACHED: &str = "IDPCommunicationError";

/// Quotes the service's message. An error that is not a refusal may pass: the service is down, slow or
/// throttled.
fn refusal<E>(error: &SdkError<E>) -> CredentialsFailure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let kind = match error::of_sdk(error).kind() {
        _ if error.code() == Some(NOT_REACHED) => ErrorKind::Unavailable,
        kind @ (ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited) => kind,
        _ => ErrorKind::Unauthenticated,
    };
    match error.code() {
        Some(code) => {
            let said = error.message().map(|message| format!(": {}", shown(message))).unwrap_or_default();
            CredentialsFailure::of(
                kind,
                format!("the token service did not grant the role: {}{said}", shown(code)),
            )
        }
        None => {
            let mut said = "the role could not be requested from the token service".to_owned();
            let mut cause: Option<&dyn std::error::Error> = Some(error);
            while let Some(error) = cause {
                said.push_str(": ");
                said.push_str(&shown(&error.to_string()));
                cause = error.source();
            }
            CredentialsFailure::of(kind, said)
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::http::{HttpClient, SharedHttpConnector};

    use super::*;

    #[derive(Debug)]
    struct Nobody;

    impl HttpClient for Nobody {
        fn http_connector(
            &self,
            _: &aws_smithy_runtime_api::client::http::HttpConnectorSettings,
            _: &aws_smithy_runtime_api::client::runtime_components::RuntimeComponents,
        ) -> SharedHttpConnector {
            unreachable!("nothing is asked")
        }
    }

    /// The SDK stops repeating for all clients that share a budget. By default those are all clients of a
    /// region.
    #[test]
    fn locations_share_no_budget_of_attempts() {
        let of = || {
            let service =
                TokenService::new(&S3Config::new("bucket"), "eu-west-1", SharedHttpClient::new(Nobody));
            let settings = service.settings.region(Region::new("eu-west-1")).build();
            format!("{:?}", settings.retry_partition().unwrap())
        };
        assert_ne!(of(), of());
    }
}
