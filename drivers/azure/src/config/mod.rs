//! The settings of the driver.

mod files;
mod parameters;
mod setters;

use std::{fmt, path::PathBuf, time::Duration};

use plugin_registry_core::{Secret, shown_name};
use url::Url;

/// Settings of an Azure driver. Each field names its parameter in distribution.
///
/// Only [`from_parameters`](Self::from_parameters) checks them.
///
/// ```
/// use plugin_registry_core::Parameters;
/// use plugin_registry_drivers_azure::{AzureConfig, AzureCredentials};
/// let parameters = Parameters::new()
///     .with("accountname", "account")
///     .with("accountkey", "bm90IGEga2V5")
///     .with("container", "backup");
/// let config = AzureConfig::from_parameters(&parameters)?;
/// assert_eq!((config.account_name.as_str(), config.container.as_str()), ("account", "backup"));
/// assert!(matches!(config.credentials, AzureCredentials::SharedKey(_)));
/// # Ok::<(), plugin_registry_core::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct AzureConfig {
    /// `accountname`, required.
    pub account_name: String,
    /// `container`, required.
    pub container: String,
    /// `accountkey`, and the parameters below `credentials`.
    pub credentials: AzureCredentials,
    /// A principal that the host found in its environment, for [`AzureCredentials::Chain`]. No parameter sets
    /// it.
    pub environment: Option<ServicePrincipal>,
    /// Whether programs may be run for a token. No parameter sets it. Default false.
    pub programs: bool,
    /// `realm`: the domain of the cloud. Default `core.windows.net`.
    pub realm: String,
    /// `serviceurl`: the URL of the account. By default `https://ACCOUNT.blob.REALM`.
    pub service_url: Option<Url>,
    /// `rootdirectory`: without slashes at its ends. Empty for the container's root.
    pub root_directory: String,
    /// `leadingslash`: whether the names of blobs begin with a slash. Default [`LeadingSlash::Detect`].
    pub leading_slash: LeadingSlash,
    /// `max_retries`: how often the status of a copy that makes no progress is requested again. 0 means
    /// never, which the parameter calls -1. Default 5.
    pub max_retries: u32,
    /// `retry_delay`: the wait before the first of these requests. Before the second it is twice as long,
    /// before the third three times, and so on. Default 100 ms.
    pub retry_delay: Duration,
    /// `skipverify`: accepts any certificate of the store. Default false.
    pub skip_verify: bool,
    /// `cabundle`: certificates in PEM that are trusted in addition to the system's, for this instance alone.
    pub ca_bundle: Option<String>,
    /// `cabundlepath`: a file to read [`ca_bundle`](Self::ca_bundle) from, at open.
    pub ca_bundle_path: Option<PathBuf>,
    /// `proxy`: an HTTP proxy, which may hold a password.
    pub proxy: Option<Secret>,
    /// `chunksize`: bytes in a block, 1 MiB to 4000 MiB. Default 10 MiB.
    pub chunk_size: u64,
    /// `maxconcurrency`: blocks in memory at a time, gathering or on their way, of all writers of the
    /// instance. 1 counts as 2. Default 3.
    pub concurrency: usize,
    /// `maxattempts`: attempts of one request, including the first. Default 5.
    pub max_attempts: u32,
    /// `idletimeout`: a request is given up when no byte of it, or of its answer, has moved for this long.
    /// Default 60 s.
    pub idle_timeout: Duration,
    /// `answertimeout`: how long the store may take from the last byte of a request to the first of its
    /// answer. Ten times that if it makes a blob of blocks or copies one. Default 60 s.
    pub answer_timeout: Duration,
}

/// Where requests get their credentials from.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum AzureCredentials {
    /// `default_credentials`: the first identity of this process that gives a token: that of
    /// [`environment`](AzureConfig::environment), its workload identity, its managed identity and, if
    /// [`programs`](AzureConfig::programs) are allowed, that of the Azure CLI.
    #[default]
    Chain,
    /// `accountkey`, in base64: the key of the account.
    SharedKey(Secret),
    /// `client_secret`: a service principal.
    ClientSecret(ServicePrincipal),
    /// `workload_identity`: an application that trusts any holder of the token in a file.
    WorkloadIdentity(WorkloadIdentity),
    /// `managed_identity`: that of this machine, or the one with this client.
    ManagedIdentity(Option<String>),
    /// `azure_cli`: whoever has logged in there. Runs the program `az`, which
    /// [`programs`](AzureConfig::programs) have to be allowed for.
    Cli,
    /// `sastoken`: a shared access signature, as the query of a URL.
    Sas(Secret),
}

/// An application in a tenant of Entra ID, and the file of the token that it trusts. Unlike
/// [`Chain`](AzureCredentials::Chain), it takes nothing from the process environment.
#[derive(Clone)]
#[non_exhaustive]
pub struct WorkloadIdentity {
    /// `credentials.clientid`.
    pub client_id: String,
    /// `credentials.tenantid`.
    pub tenant_id: String,
    /// `credentials.tokenfile`.
    pub token_file: PathBuf,
}

/// An application with a secret in a tenant of Entra ID.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServicePrincipal {
    /// `credentials.clientid`.
    pub client_id: String,
    /// `credentials.tenantid`.
    pub tenant_id: String,
    /// `credentials.secret`.
    pub secret: Secret,
}

/// Whether the names of blobs begin with a slash, also before
/// [`root_directory`](AzureConfig::root_directory). Distribution up to 2.8 and the fork in OpenShift write
/// `/docker/…`, distribution 3.x writes `docker/…`. Neither finds what the other wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeadingSlash {
    /// `detect`: as the container already has it.
    #[default]
    Detect,
    /// `yes`: as distribution up to 2.8.
    Yes,
    /// `no`: as distribution 3.x.
    No,
}

/// Hides text that does not look like a name: it may be a secret in the wrong place.
impl fmt::Debug for AzureConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureConfig")
            .field("account_name", &shown_name(&self.account_name).unwrap_or("…"))
            .field("container", &shown_name(&self.container).unwrap_or("…"))
            .field("credentials", &self.credentials)
            .field("realm", &shown_name(&self.realm).unwrap_or("…"))
            .field("leading_slash", &self.leading_slash)
            .field("max_retries", &self.max_retries)
            .field("retry_delay", &self.retry_delay)
            .field("skip_verify", &self.skip_verify)
            .finish_non_exhaustive()
    }
}

/// Hides secrets, and names that do not look like one.
impl fmt::Debug for AzureCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain => f.write_str("Chain"),
            Self::SharedKey(key) => f.debug_tuple("SharedKey").field(key).finish(),
            Self::ClientSecret(principal) => f.debug_tuple("ClientSecret").field(principal).finish(),
            Self::WorkloadIdentity(workload) => f.debug_tuple("WorkloadIdentity").field(workload).finish(),
            Self::ManagedIdentity(client) => {
                let client = client.as_deref().map(|client| shown_name(client).unwrap_or("…"));
                f.debug_tuple("ManagedIdentity").field(&client).finish()
            }
            Self::Cli => f.write_str("Cli"),
            Self::Sas(token) => f.debug_tuple("Sas").field(token).finish(),
        }
    }
}

impl fmt::Debug for ServicePrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServicePrincipal")
            .field("client_id", &shown_name(&self.client_id).unwrap_or("…"))
            .field("tenant_id", &shown_name(&self.tenant_id).unwrap_or("…"))
            .field("secret", &self.secret)
            .finish()
    }
}

impl fmt::Debug for WorkloadIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadIdentity")
            .field("client_id", &shown_name(&self.client_id).unwrap_or("…"))
            .field("tenant_id", &shown_name(&self.tenant_id).unwrap_or("…"))
            .finish_non_exhaustive()
    }
}

impl WorkloadIdentity {
    /// Everything that is needed to request a token.
    #[must_use]
    pub fn new(
        client_id: impl Into<String>,
        tenant_id: impl Into<String>,
        token_file: impl Into<PathBuf>,
    ) -> Self {
        Self { client_id: client_id.into(), tenant_id: tenant_id.into(), token_file: token_file.into() }
    }
}

impl ServicePrincipal {
    /// Everything that is needed to request a token.
    #[must_use]
    pub fn new(client_id: impl Into<String>, tenant_id: impl Into<String>, secret: Secret) -> Self {
        Self { client_id: client_id.into(), tenant_id: tenant_id.into(), secret }
    }
}

impl AzureConfig {
    /// Settings for a container of an account, with defaults for everything else.
    #[must_use]
    pub fn new(account_name: impl Into<String>, container: impl Into<String>) -> Self {
        Self {
            account_name: account_name.into(),
            container: container.into(),
            credentials: AzureCredentials::Chain,
            environment: None,
            programs: false,
            realm: "core.windows.net".to_owned(),
            service_url: None,
            root_directory: String::new(),
            leading_slash: LeadingSlash::Detect,
            max_retries: 5,
            retry_delay: Duration::from_millis(100),
            skip_verify: false,
            ca_bundle: None,
            ca_bundle_path: None,
            proxy: None,
            chunk_size: 10 << 20,
            concurrency: 3,
            max_attempts: 5,
            idle_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(60),
        }
    }
}
