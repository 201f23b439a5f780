//! Tokens of identities, by the SDK.

use std::sync::Arc;

use azure_core::{
    credentials::{Secret as SdkSecret, TokenCredential},
    http::{ClientOptions, HttpClient as SdkHttpClient, RetryOptions, Transport as SdkTransport},
};
use azure_identity::{
    AzureCliCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use plugin_registry_core::{Error, ErrorKind, Result, Secret};
use plugin_registry_drivers_objects::connections::{HttpClient, Trust};

use super::{chain::Chain, cloud};
use crate::{
    client::{
        retry::Retries,
        transport::{self, Transport},
    },
    config::{AzureConfig, AzureCredentials, ServicePrincipal, WorkloadIdentity},
    error::causes,
};

/// How often a provider of tokens is asked.
const ATTEMPTS: u32 = 3;

type Credential = Arc<dyn TokenCredential>;

/// The credential of an identity.
///
/// # Errors
/// `InvalidConfig` if the settings are not those of an identity, or the host has not allowed it.
pub(super) fn credential(identity: &AzureCredentials, config: &AzureConfig) -> Result<Credential> {
    match identity {
        AzureCredentials::ClientSecret(principal) => client_secret(principal, config),
        AzureCredentials::WorkloadIdentity(workload) => workload_identity(Some(workload), config),
        AzureCredentials::ManagedIdentity(client) => managed_identity(client.as_deref(), config),
        AzureCredentials::Cli => cli(config),
        AzureCredentials::Chain => chain(config),
        AzureCredentials::SharedKey(_) | AzureCredentials::Sas(_) => Err(ErrorKind::InvalidConfig.into()),
    }
}

/// The identity of this process: the principal that the host has passed in, or what the platform gives to the
/// process. The SDK reads the variables of the platform itself.
fn chain(config: &AzureConfig) -> Result<Credential> {
    let mut links: Vec<(&'static str, Credential)> = Vec::new();
    if let Some(principal) = &config.environment {
        links.push(("environment", client_secret(principal, config)?));
    }
    // It has variables and a file, or there is none.
    match workload_identity(None, config) {
        Ok(credential) => links.push(("workload identity", credential)),
        Err(error) => tracing::debug!(%error, "this process has no workload identity"),
    }
    links.push(("managed identity", managed_identity(None, config)?));
    if config.programs {
        links.push(("Azure CLI", cli(config)?));
    }
    Ok(Arc::new(Chain::new(links)))
}

fn client_secret(principal: &ServicePrincipal, config: &AzureConfig) -> Result<Credential> {
    let ServicePrincipal { client_id, tenant_id, secret } = principal;
    let options = ClientSecretCredentialOptions { client_options: options(config, config.proxy.as_ref())? };
    let secret = SdkSecret::new(secret.expose().to_owned());
    let made = ClientSecretCredential::new(tenant_id, client_id.clone(), secret, Some(options));
    Ok(made.map_err(|error| invalid(&error))?)
}

/// Of the process itself, if none is named.
fn workload_identity(named: Option<&WorkloadIdentity>, config: &AzureConfig) -> Result<Credential> {
    let client_options = options(config, config.proxy.as_ref())?;
    let options = WorkloadIdentityCredentialOptions {
        credential_options: ClientAssertionCredentialOptions { client_options },
        client_id: named.map(|named| named.client_id.clone()),
        tenant_id: named.map(|named| named.tenant_id.clone()),
        token_file_path: named.map(|named| named.token_file.clone()),
    };
    Ok(WorkloadIdentityCredential::new(Some(options)).map_err(|error| invalid(&error))?)
}

fn managed_identity(client: Option<&str>, config: &AzureConfig) -> Result<Credential> {
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: client.map(|client| UserAssignedId::ClientId(client.to_owned())),
        // It is on this machine, where no proxy leads.
        client_options: options(config, None)?,
    };
    Ok(ManagedIdentityCredential::new(Some(options)).map_err(|error| invalid(&error))?)
}

/// Runs the program `az`.
fn cli(config: &AzureConfig) -> Result<Credential> {
    if !config.programs {
        let message = "`credentials.type`: azure_cli runs a program, which this host does not allow";
        return Err(Error::new(ErrorKind::InvalidConfig).with_message(message));
    }
    Ok(AzureCliCredential::new(None).map_err(|error| invalid(&error))?)
}

/// What the SDK needs to ask for tokens. Certificates are always verified, by the system's: `skipverify` and
/// `cabundle` are about the store, and may come from its owner.
fn options(config: &AzureConfig, proxy: Option<&Secret>) -> Result<ClientOptions> {
    let trust = Trust::Known { own: Vec::new(), system: true };
    let transport: Arc<dyn SdkHttpClient> = Arc::new(Transport {
        connections: HttpClient::new(trust, proxy, config.idle_timeout)?,
        limits: transport::limits(config.idle_timeout, config.answer_timeout),
    });
    Ok(ClientOptions {
        retry: RetryOptions::custom(Arc::new(Retries::new(ATTEMPTS))),
        transport: Some(SdkTransport::new(transport)),
        cloud: Some(Arc::new(cloud::of(config))),
        ..ClientOptions::default()
    })
}

/// The SDK's words name a tenant or a file, never a secret.
fn invalid(error: &azure_core::Error) -> Error {
    Error::new(ErrorKind::InvalidConfig).with_message(causes(error))
}
