//! Where a request's keys come from. Asked for each request, so that a rotated key is used at once.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex as Lock, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_config::{
    default_provider::credentials::DefaultCredentialsChain, profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, Result as Found, error::CredentialsError, future},
};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use plugin_registry_core::{shown_name, shown_path};
use tokio::sync::Mutex;

use crate::config::{CredentialsSource, Keys, S3Credentials};

/// Temporary keys are renewed so long before their end.
const MARGIN: Duration = Duration::from_secs(120);
/// How long whoever gives credentials may take.
pub(super) const FIND: Duration = Duration::from_secs(30);

/// The keys of the moment.
#[derive(Debug)]
pub(super) struct Current {
    source: Source,
    /// What was found last, for sources that take time to ask. Held while they are asked: one asks for all.
    found: Mutex<Option<Remembered>>,
    /// The store has refused what was found last.
    is_refused: AtomicBool,
    last: Lock<Last>,
}

/// Access keys, by which a refusal without a word is told from a missing right.
#[derive(Debug, Default)]
struct Last {
    given: String,
    /// One that was refused, and came again when another was hoped for.
    doubted: String,
    is_doubted: bool,
}

#[derive(Debug)]
enum Source {
    Fixed(Credentials),
    Chain(DefaultCredentialsChain),
    File { path: PathBuf, profile: Option<String>, provider: Box<ProviderConfig> },
    Host(Arc<dyn CredentialsSource>),
}

#[derive(Debug)]
struct Remembered {
    credentials: Credentials,
    version: Option<(SystemTime, u64)>,
}

impl Current {
    /// Asks nobody yet. `provider` says how to reach a token service.
    pub(super) async fn new(credentials: &S3Credentials, provider: ProviderConfig) -> Self {
        let source = match credentials {
            S3Credentials::Keys(keys) => Source::Fixed(of_keys(keys)),
            S3Credentials::File { path, profile } => {
                Source::File { path: path.clone(), profile: profile.clone(), provider: provider.into() }
            }
            S3Credentials::Source(source) => Source::Host(source.clone()),
            S3Credentials::Chain => {
                Source::Chain(DefaultCredentialsChain::builder().configure(provider).build().await)
            }
        };
        Self { source, found: Mutex::default(), is_refused: AtomicBool::new(false), last: Lock::default() }
    }

    /// Says that the store refused the last keys; gives whether others may be had.
    pub(super) fn refuse(&self) -> bool {
        self.is_refused.store(true, Ordering::Release);
        !matches!(self.source, Source::Fixed(_))
    }

    /// The same where the store did not say why: a right may be missing as well, so that other keys are hoped
    /// for until the same one comes again. The SDK asks more than once about an answer.
    pub(super) fn doubt(&self) -> bool {
        let mut last = self.last();
        last.is_doubted = last.given != last.doubted;
        last.is_doubted && self.refuse()
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find(&self) -> Found {
        // A token service that is silent must not stop every request behind it for ever. The SDK's own limit is
        // in its cache, which is off.
        let asked = tokio::time::timeout(FIND, self.ask()).await;
        let found = asked.map_err(|_| CredentialsError::provider_timed_out(FIND))??;
        let mut last = self.last();
        if std::mem::take(&mut last.is_doubted) && last.given == found.access_key_id() {
            last.doubted = last.given.clone();
        }
        found.access_key_id().clone_into(&mut last.given);
        Ok(found)
    }

    async fn ask(&self) -> Found {
        match &self.source {
            Source::Fixed(credentials) => return Ok(credentials.clone()),
            Source::Host(source) => {
                let keys = source.keys().await.map_err(CredentialsError::provider_error)?;
                return Ok(of_keys(&keys));
            }
            Source::Chain(_) | Source::File { .. } => {}
        }
        let mut found = self.found.lock().await;
        let version = self.version().await;
        let is_refused = self.is_refused.swap(false, Ordering::AcqRel);
        if let Some(known) = found.as_ref().filter(|known| !is_refused && known.version == version)
            && known.credentials.expiry().is_none_or(|end| SystemTime::now() + MARGIN < end)
        {
            return Ok(known.credentials.clone());
        }
        let credentials = match &self.source {
            Source::Chain(chain) => chain.provide_credentials().await?,
            Source::File { path, profile, provider } => {
                // Credentials and configuration in one file, as `aws configure` and Velero write them.
                let files = EnvConfigFiles::builder()
                    .with_file(EnvConfigFileKind::Credentials, path)
                    .with_file(EnvConfigFileKind::Config, path)
                    .build();
                let profile = profile.as_deref().unwrap_or("default");
                let provider = ProfileFileCredentialsProvider::builder()
                    .configure(provider)
                    .profile_files(files)
                    .profile_name(profile)
                    .build();
                provider.provide_credentials().await.map_err(|source| {
                    // What is not written like a name or a path may be a secret in the wrong place.
                    let profile = shown_name(profile).map(|profile| format!("profile `{profile}`"));
                    let path = path.to_str().and_then(shown_path).map(|path| format!("`{path}`"));
                    let what = format!(
                        "{} in {}",
                        profile.as_deref().unwrap_or("the profile"),
                        path.as_deref().unwrap_or("the file of `credentialsconfigpath`")
                    );
                    // The SDK repeats what it was given.
                    let source = (profile.is_some() && path.is_some()).then_some(source);
                    CredentialsError::invalid_configuration(InFile { what, source })
                })?
            }
            Source::Fixed(_) | Source::Host(_) => return Err(CredentialsError::unhandled("unreachable")),
        };
        *found = Some(Remembered { credentials: credentials.clone(), version });
        Ok(credentials)
    }

    /// When the file was changed, and its size.
    async fn version(&self) -> Option<(SystemTime, u64)> {
        let Source::File { path, .. } = &self.source else { return None };
        let path = path.clone();
        let found = tokio::task::spawn_blocking(move || std::fs::metadata(path)).await.ok()?.ok()?;
        Some((found.modified().ok()?, found.len()))
    }
}

/// The SDK does not always name the file.
#[derive(Debug)]
struct InFile {
    what: String,
    /// `None` where it would show a name that may be a secret.
    source: Option<CredentialsError>,
}

impl fmt::Display for InFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what.escape_debug())
    }
}

impl std::error::Error for InFile {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // What it says itself, the error around this one says too.
        self.source.as_ref()?.source()
    }
}

/// What the SDK asks.
#[derive(Clone, Debug)]
pub(super) struct Provider(pub(super) Arc<Current>);

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.0.find())
    }
}

fn of_keys(keys: &Keys) -> Credentials {
    let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
    let (access, secret) = (keys.access_key.expose(), keys.secret_key.expose());
    Credentials::new(access, secret, token, keys.expires, "plugin-registry")
}
