//! The source of a request's keys. It is asked for each request, so that a rotated key is used at once.

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
    default_provider::credentials::DefaultCredentialsChain, imds::client::error::ImdsError,
    provider_config::ProviderConfig,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, Result as Found, error::CredentialsError, future},
};
use aws_sdk_s3::config::Region;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use plugin_registry_core::{ErrorKind, Secret, profiles, shown_name, shown_path};
use tokio::{sync::Mutex, time::Instant};

use super::sts::TokenService;
use crate::{
    config::{AccessKeys, CredentialsSource, S3Config, S3Credentials},
    files::read_text,
};

/// Temporary keys are renewed this long before they expire.
const REFRESH_MARGIN: Duration = Duration::from_secs(120);
/// How long a renewal may take while the keys are valid, and how long to wait before the next one if it fails.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a credentials provider has to answer.
pub(super) const PROVIDER_TIMEOUT: Duration = Duration::from_secs(30);

/// The current keys.
pub(super) struct CredentialsCache {
    source: Source,
    /// The keys found last, for sources that take time to ask. Locked while they are asked: one caller asks for
    /// all.
    found: Mutex<Option<CachedCredentials>>,
    /// The store has refused the keys found last.
    is_refused: AtomicBool,
    last: Lock<LastKeys>,
}

/// The last access keys. They help to distinguish refused keys from a missing right if a refusal has no code.
#[derive(Default)]
struct LastKeys {
    given: String,
    /// A key that was refused, and was returned again when another was hoped for.
    doubted: String,
    is_doubted: bool,
}

enum Source {
    Fixed(Credentials),
    Chain(DefaultCredentialsChain),
    Profile(Box<Profile>),
    Host(Arc<dyn CredentialsSource>),
}

/// A profile of a credentials file, which is data (ADR 0031).
struct Profile {
    text: Text,
    name: String,
    service: TokenService,
}

enum Text {
    Given(Secret),
    File(PathBuf),
}

struct CachedCredentials {
    credentials: Credentials,
    version: Option<(SystemTime, u64)>,
    /// When a request for other keys last failed.
    failed: Option<Instant>,
}

/// Shows only the kind. The SDK logs it at TRACE with each request. The access key, a profile's name or a path
/// may be a secret in the wrong place.
impl fmt::Debug for CredentialsCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            Source::Fixed(_) => "Keys(…)",
            Source::Chain(_) => "Chain",
            Source::Profile(_) => "Profile(…)",
            Source::Host(_) => "Source(…)",
        })
    }
}

impl CachedCredentials {
    /// Whether the keys are valid for longer than this.
    fn lasts(&self, time: Duration) -> bool {
        self.credentials.expiry().is_none_or(|end| SystemTime::now() + time < end)
    }
}

impl CredentialsCache {
    /// Sends no request yet. `services` are the connections to credentials providers.
    pub(super) async fn new(config: &S3Config, region: &str, services: SharedHttpClient) -> Self {
        let of_profile = |text: Text, name: &Option<String>, services| {
            let name = name.clone().unwrap_or_else(|| profiles::DEFAULT.to_owned());
            let service = TokenService::new(config, region, services);
            Source::Profile(Box::new(Profile { text, name, service }))
        };
        let source = match &config.credentials {
            S3Credentials::AccessKeys(keys) => Source::Fixed(of_keys(keys)),
            S3Credentials::Text { text, profile } => of_profile(Text::Given(text.clone()), profile, services),
            S3Credentials::File { path, profile } => of_profile(Text::File(path.clone()), profile, services),
            S3Credentials::Source(source) => Source::Host(source.clone()),
            S3Credentials::Chain => {
                // The chain's first link is the process environment: a host that asks for the chain asks for
                // that.
                let provider = ProviderConfig::without_region()
                    .with_http_client(services)
                    .with_region(Some(Region::new(region.to_owned())));
                Source::Chain(DefaultCredentialsChain::builder().configure(provider).build().await)
            }
        };
        Self { source, found: Mutex::default(), is_refused: AtomicBool::new(false), last: Lock::default() }
    }

    /// Records that the store refused the last keys. Returns whether others may be available.
    pub(super) fn refuse(&self) -> bool {
        self.is_refused.store(true, Ordering::Release);
        !matches!(self.source, Source::Fixed(_))
    }

    /// Does the same if the store gave no reason. A right may be missing instead, so other keys are hoped for
    /// until the same key comes again. The SDK asks more than once about one answer.
    pub(super) fn doubt(&self) -> bool {
        let mut last = self.last();
        last.is_doubted = last.given != last.doubted;
        last.is_doubted && self.refuse()
    }

    fn last(&self) -> MutexGuard<'_, LastKeys> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find(&self) -> Found {
        // A silent token service must not stop every request behind it for ever. The SDK's limit is in its
        // cache, which is off.
        let asked = tokio::time::timeout(PROVIDER_TIMEOUT, self.ask()).await;
        let found = asked.map_err(|_| CredentialsError::provider_timed_out(PROVIDER_TIMEOUT))??;
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
            Source::Chain(_) | Source::Profile(_) => {}
        }
        let mut found = self.found.lock().await;
        let version = self.version().await;
        let is_refused = self.is_refused.swap(false, Ordering::AcqRel);
        let known = found.as_mut().filter(|known| !is_refused && known.version == version);
        let mut known = known.filter(|known| known.lasts(Duration::ZERO));
        if let Some(known) = &known {
            let is_paused = known.failed.is_some_and(|failed| failed.elapsed() < REFRESH_TIMEOUT);
            if is_paused || known.lasts(REFRESH_MARGIN) {
                return Ok(known.credentials.clone());
            }
        }
        let patience = if known.is_some() { REFRESH_TIMEOUT } else { PROVIDER_TIMEOUT };
        let asked = tokio::time::timeout(patience, self.source.ask()).await;
        let asked = asked.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(patience)));
        match (asked, &mut known) {
            (Ok(credentials), _) => {
                *found = Some(CachedCredentials { credentials: credentials.clone(), version, failed: None });
                Ok(credentials)
            }
            // They are valid until they expire, whatever is wrong with the service that would renew them.
            (Err(error), Some(known)) => {
                let error = crate::error::causes(&error);
                tracing::warn!(%error, "temporary keys could not be renewed and are used until they expire");
                known.failed = Some(Instant::now());
                Ok(known.credentials.clone())
            }
            (Err(error), None) => {
                if is_refused {
                    self.is_refused.store(true, Ordering::Release);
                }
                Err(error)
            }
        }
    }

    /// The file's modification time and size.
    async fn version(&self) -> Option<(SystemTime, u64)> {
        let Source::Profile(profile) = &self.source else { return None };
        let Text::File(path) = &profile.text else { return None };
        let path = path.clone();
        let found = tokio::task::spawn_blocking(move || std::fs::metadata(path)).await.ok()?.ok()?;
        Some((found.modified().ok()?, found.len()))
    }
}

impl Source {
    async fn ask(&self) -> Found {
        match self {
            Self::Chain(chain) => chain.provide_credentials().await.map_err(nothing_found),
            Self::Profile(profile) => profile.keys().await,
            Self::Fixed(_) | Self::Host(_) => Err(CredentialsError::unhandled("unreachable")),
        }
    }
}

/// The chain asks the cloud last, so its error names a service of the cloud and hides that there is nothing
/// else either. Other errors, such as a profile that cannot be read, say what is wrong.
fn nothing_found(error: CredentialsError) -> CredentialsError {
    let is_last = matches!(error, CredentialsError::CredentialsNotLoaded(_))
        || crate::error::caused_by::<ImdsError>(&error);
    if !is_last {
        return error;
    }
    let what = "no credentials are set, and none are in the environment, in the files of this user or in the \
                cloud's metadata service";
    let last = std::error::Error::source(&error).map(crate::error::causes);
    let last = last.map(|last| format!(" (the last answer: {last})")).unwrap_or_default();
    CredentialsError::not_loaded(CredentialsFailure::refusal(format!("{what}{last}")))
}

impl Profile {
    async fn keys(&self) -> Found {
        let read;
        let text = match &self.text {
            Text::Given(text) => text,
            Text::File(path) => {
                let path = path.clone();
                let file = tokio::task::spawn_blocking(move || read_text(&path, profiles::MAX_FILE)).await;
                let text = match file {
                    Ok(Ok(text)) => text,
                    Ok(Err(error)) => {
                        return Err(self.wrong(format_args!("the file cannot be read: {error}")));
                    }
                    Err(_) => return Err(self.wrong("the file could not be read completely")),
                };
                read = Secret::new(text);
                &read
            }
        };
        match profiles::find(text.expose(), &self.name, self.service.token_files()) {
            Ok(profile) => self
                .service
                .keys(&profile)
                .await
                .map_err(|CredentialsFailure { kind, what }| self.wrong_of(kind, what)),
            Err(mistakes) => {
                let mistakes: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
                Err(self.wrong(mistakes.join("; ")))
            }
        }
    }

    /// Names the profile and the file. Text that does not look like a name or a path may be a secret in the
    /// wrong place.
    fn wrong(&self, what: impl fmt::Display) -> CredentialsError {
        self.wrong_of(ErrorKind::Unauthenticated, what)
    }

    fn wrong_of(&self, kind: ErrorKind, what: impl fmt::Display) -> CredentialsError {
        let profile = shown_name(&self.name).map(|name| format!("profile `{name}`"));
        let file = match &self.text {
            Text::Given(_) => "`credentials`".to_owned(),
            Text::File(path) => {
                let path = path.to_str().and_then(shown_path).map(|path| format!("`{path}`"));
                path.unwrap_or_else(|| "the file in `credentialsconfigpath`".to_owned())
            }
        };
        let profile = profile.as_deref().unwrap_or("the profile");
        let wrong = CredentialsFailure::of(kind, format!("{profile} in {file}: {what}"));
        match kind {
            ErrorKind::Unauthenticated => CredentialsError::invalid_configuration(wrong),
            _ => CredentialsError::provider_error(wrong),
        }
    }
}

/// The problem with a profile, or with the service that gives its keys.
#[derive(Debug)]
pub(crate) struct CredentialsFailure {
    pub(crate) kind: ErrorKind,
    what: String,
}

impl CredentialsFailure {
    pub(super) fn of(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }

    pub(super) fn refusal(what: impl Into<String>) -> Self {
        Self::of(ErrorKind::Unauthenticated, what)
    }
}

impl fmt::Display for CredentialsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for CredentialsFailure {}

/// The provider that the SDK asks.
#[derive(Clone, Debug)]
pub(super) struct Provider(pub(super) Arc<CredentialsCache>);

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.0.find())
    }
}

fn of_keys(keys: &AccessKeys) -> Credentials {
    let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
    let (access, secret) = (keys.access_key.expose(), keys.secret_key.expose());
    Credentials::new(access, secret, token, keys.expires, "plugin-registry")
}
