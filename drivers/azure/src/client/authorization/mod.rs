//! Who a request comes from: a policy that each attempt passes.
//!
//! The SDK takes tokens alone, and each of its clients its own. Here a request is authorized by one policy,
//! whatever makes it: the account's key, a SAS token, or a token of an identity.

mod chain;
mod cloud;
mod sas;
mod shared_key;
mod tokens;

use std::sync::Arc;

use azure_core::{
    credentials::TokenCredential,
    http::{
        Request,
        policies::{Policy, auth::BearerTokenAuthorizationPolicy},
    },
    time::OffsetDateTime,
};
use plugin_registry_core::{Error, ErrorKind, Result, Secret};
use url::Url;

use self::{sas::SasToken, shared_key::SharedKey};
use crate::{
    config::{AzureConfig, AzureCredentials},
    error::of_sdk,
};

/// What a token is for: all storage accounts, in every cloud.
const SCOPE: &str = "https://storage.azure.com/.default";

/// The authorization of an instance.
#[derive(Clone, Debug)]
pub(super) enum Authorization {
    SharedKey(SharedKey),
    Sas(SasToken),
    Token(Arc<dyn TokenCredential>),
}

impl Authorization {
    /// Sets it up. Makes no request and opens no file, except that of a workload identity's token.
    ///
    /// # Errors
    /// `InvalidConfig` if the settings do not fit together.
    pub(super) fn new(config: &AzureConfig) -> Result<Self> {
        let authorization = match &config.credentials {
            AzureCredentials::SharedKey(key) => Self::SharedKey(SharedKey::new(&config.account_name, key)),
            AzureCredentials::Sas(token) => Self::Sas(SasToken::new(token)?),
            identity => Self::Token(tokens::credential(identity, config)?),
        };
        let is_plain =
            config.service_url.as_ref().is_some_and(|url| url.scheme() == "http" && !is_loopback(url));
        if is_plain && !matches!(authorization, Self::SharedKey(_)) {
            let message =
                "`serviceurl`: has to be https without `accountkey`: a token would travel unencrypted";
            return Err(Error::new(ErrorKind::InvalidConfig).with_message(message));
        }
        Ok(authorization)
    }

    pub(super) fn policy(&self) -> Arc<dyn Policy> {
        match self {
            Self::SharedKey(key) => Arc::new(key.clone()),
            Self::Sas(token) => Arc::new(token.clone()),
            // It asks for a new token before the old one expires, and after a refusal.
            Self::Token(credential) => {
                Arc::new(BearerTokenAuthorizationPolicy::new(credential.clone(), [SCOPE]))
            }
        }
    }

    /// Authorizes a request that is a part of another one.
    pub(super) async fn authorize(&self, request: &mut Request) -> Result<()> {
        match self {
            Self::SharedKey(key) => {
                key.authorize(request, OffsetDateTime::now_utc()).map_err(|error| of_sdk(&error))
            }
            Self::Sas(token) => {
                token.extend(request.url_mut());
                Ok(())
            }
            Self::Token(credential) => {
                let token = credential.get_token(&[SCOPE], None).await.map_err(|error| of_sdk(&error))?;
                request.insert_header("authorization", format!("Bearer {}", token.token.secret()));
                Ok(())
            }
        }
    }

    /// The URL of the source of a copy, as the store can read it.
    pub(super) fn source(&self, url: &Url) -> Secret {
        match self {
            Self::Sas(token) => token.add_to(url.clone()),
            // Within an account, the authorization of the copy is that of its source.
            Self::SharedKey(_) | Self::Token(_) => Secret::new(url.as_str()),
        }
    }

    /// A URL at which the store serves a blob for a while, if this instance can sign one.
    pub(super) fn presign(&self, container: &str, key: &str, url: Url) -> Result<Option<Url>> {
        match self {
            Self::SharedKey(signer) => sas::presign(signer, container, key, url).map(Some),
            // A SAS token of an instance allows more than this one blob, and a token of an identity signs
            // nothing.
            Self::Sas(_) | Self::Token(_) => Ok(None),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
