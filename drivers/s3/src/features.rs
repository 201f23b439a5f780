//! The kind of store: S3 itself, or a store that is like it.
//!
//! Reading assumes what is safe for every store, and asks nothing. If something cannot be known otherwise,
//! the driver asks once, before the first write (ADR 0025).

use plugin_registry_core::{Error, ErrorKind, Result};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{
    S3Config,
    client::{Condition, ObjectMetadata, S3Client},
    content::Content,
    key::ObjectKeys,
    known_stores::{KnownStore, PartialFeatures},
    list::Listing,
};

/// How a store differs from S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreFeatures {
    /// Conditions on writes are honoured. Some stores accept and ignore them (maxio issue 20).
    pub(crate) conditional_writes: bool,
    /// Keys are kept in directories. Empty directories stay and are listed, and listings are in order of the
    /// components (`a/b` before `a-b`), not of the keys' bytes. SeaweedFS.
    pub(crate) directories: bool,
    /// Conditions on what is copied are honoured, and objects keep their metadata: a stage may be plain bytes
    /// that the store copies.
    pub(crate) conditional_copies: bool,
}

/// Assumptions that work with any store: conditions are sent, and lists are read as if there were
/// directories.
const SAFE_DEFAULTS: StoreFeatures =
    StoreFeatures { conditional_writes: true, directories: true, conditional_copies: false };

/// The kind of a store, as far as it is known.
#[derive(Debug)]
pub(crate) struct FeatureDetector {
    /// From the settings, otherwise from the endpoint's host.
    configured: PartialFeatures,
    detected: OnceCell<StoreFeatures>,
}

impl FeatureDetector {
    pub(crate) fn new(config: &S3Config) -> Self {
        Self { configured: configured(config), detected: OnceCell::new() }
    }

    /// The known features, and safe values for the rest. Asks nothing.
    pub(crate) fn now(&self, client: &S3Client) -> StoreFeatures {
        let features = self.detected.get().copied().unwrap_or_else(|| known(self.traits(client)));
        features.as_seen(client)
    }

    /// The features that a write has to know. The first write asks, unless they are known from the settings,
    /// the endpoint or an answer.
    ///
    /// # Errors
    /// If the store cannot be reached, or does not know the credentials or the bucket.
    pub(crate) async fn before_writing(&self, client: &S3Client, keys: &ObjectKeys) -> Result<StoreFeatures> {
        let find = async || match self.find(client, keys).await {
            Ok(found) => Ok(found),
            // A store that is full is asked again.
            Err(error) if error.kind() == ErrorKind::NoSpace => Err(Ok(self.unknown(client, &error))),
            Err(error) => Err(Err(error)),
        };
        let features = self.detected.get_or_try_init(find).await.copied().or_else(|unset| unset)?;
        Ok(features.as_seen(client))
    }

    async fn find(&self, client: &S3Client, keys: &ObjectKeys) -> Result<StoreFeatures> {
        if is_settled(self.traits(client)) {
            return Ok(known(self.traits(client)));
        }
        let answers = match FeatureProbe::new(self, client, keys).ask().await {
            Ok(answers) => answers,
            // Credentials that may not write, or a store that accepts no writes.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnly) => {
                return Ok(self.unknown(client, &error));
            }
            Err(error) => return Err(error),
        };
        if answers.conditional_writes == Some(false) {
            tracing::warn!(
                "the store ignores conditions on writes: concurrent writers of one object do not notice each \
                 other"
            );
        }
        Ok(known(self.traits(client).or(answers)))
    }

    fn unknown(&self, client: &S3Client, error: &Error) -> StoreFeatures {
        tracing::info!(%error, "the kind of this store could not be determined");
        known(self.traits(client))
    }

    fn traits(&self, client: &S3Client) -> PartialFeatures {
        match client.observed().store() {
            Some(known) => self.configured.or(known.traits),
            None => self.configured,
        }
    }
}

impl StoreFeatures {
    /// No setting can claim that a store honours conditions on copies if it is known not to.
    fn as_seen(self, client: &S3Client) -> Self {
        let is_wrong =
            client.observed().store().is_some_and(|known| known.traits.conditional_copies == Some(false));
        Self { conditional_copies: self.conditional_copies && !is_wrong, ..self }
    }
}

/// The features that follow from the settings and the endpoint.
pub(crate) fn configured(config: &S3Config) -> PartialFeatures {
    let (conditional_writes, directories) = (config.conditional_writes, config.directories);
    let conditional_copies = match (conditional_writes, directories) {
        // Both settings leave no question open.
        (Some(writes), Some(_)) => Some(writes),
        (Some(false), None) => Some(false),
        _ => None,
    };
    let configured = PartialFeatures { conditional_writes, directories, conditional_copies };
    KnownStore::of_endpoint(config.endpoint.as_ref()).map_or(configured, |known| configured.or(known.traits))
}

fn is_settled(traits: PartialFeatures) -> bool {
    traits.conditional_writes.is_some() && traits.directories.is_some()
}

fn known(traits: PartialFeatures) -> StoreFeatures {
    let conditional_writes = traits.conditional_writes.unwrap_or(SAFE_DEFAULTS.conditional_writes);
    StoreFeatures {
        conditional_writes,
        directories: traits.directories.unwrap_or(SAFE_DEFAULTS.directories),
        conditional_copies: traits.conditional_copies.unwrap_or(SAFE_DEFAULTS.conditional_copies)
            && conditional_writes,
    }
}

/// Asks the store, by at most six requests. Its objects are where no registry looks.
struct FeatureProbe<'a> {
    detector: &'a FeatureDetector,
    client: &'a S3Client,
    keys: &'a ObjectKeys,
    place: String,
    file: String,
}

impl<'a> FeatureProbe<'a> {
    fn new(detector: &'a FeatureDetector, client: &'a S3Client, keys: &'a ObjectKeys) -> Self {
        let place = keys.probe(&Uuid::new_v4().to_string());
        let file = format!("{place}a/probe.staged");
        Self { detector, client, keys, place, file }
    }

    async fn ask(&self) -> Result<PartialFeatures> {
        let conditions = self.conditions().await;
        let deleted = self.client.delete(&self.file).await.map_err(|error| during("DeleteObject", &error));
        let mut traits = PartialFeatures { conditional_writes: conditions?, ..PartialFeatures::default() };
        // The answers so far may have identified the store.
        let directories = match (deleted, self.detector.traits(self.client).directories) {
            (Err(error), _) => Err(error),
            (Ok(()), None) => self.directories().await,
            (Ok(()), Some(true)) => {
                self.tidy().await;
                Ok(None)
            }
            (Ok(()), Some(false)) => Ok(None),
        };
        match directories {
            Ok(directories) => traits.directories = directories,
            Err(error) if is_for_the_write_as_well(&error) => return Err(error),
            // The findings so far stand.
            Err(error) => {
                tracing::info!(%error, "an object of the store's probe may be left below `{}`", self.place);
            }
        }
        Ok(traits)
    }

    /// Whether conditions hold for an object that exists. `None` if the driver does not have to ask.
    async fn conditions(&self) -> Result<Option<bool>> {
        self.put(Condition::Any).await?;
        if self.detector.traits(self.client).conditional_writes.is_some() {
            return Ok(None);
        }
        let other = Condition::Same("\"00000000000000000000000000000000\"");
        Ok(Some(!self.put(Condition::Absent).await? && !self.put(other).await?))
    }

    /// Whether it was written, or refused because the store does not know the header, which must not be sent
    /// then.
    async fn put(&self, condition: Condition<'_>) -> Result<bool> {
        let put = self.client.put(&self.file, Content::default(), condition, ObjectMetadata::default());
        match put.await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::Conflict) => Ok(false),
            Err(error)
                if condition != Condition::Any
                    && matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Other) =>
            {
                Ok(true)
            }
            Err(error) => Err(during("PutObject", &error)),
        }
    }

    /// Whether the directory that was left empty is listed.
    async fn directories(&self) -> Result<Option<bool>> {
        let listing = Listing { prefix: &self.place, delimiter: Some("/"), ..Listing::default() };
        let page = self.client.list(&listing, None).await.map_err(|error| during("ListObjectsV2", &error))?;
        let found = !page.prefixes.is_empty();
        if found {
            self.tidy().await;
        }
        Ok(Some(found))
    }

    /// Deletes the empty directories, which would be listed for a while. The store refuses to delete those that
    /// are not empty.
    async fn tidy(&self) {
        // A bucket with versions would get a marker for each that never existed.
        if self.client.observed().has_versions() {
            return;
        }
        let above = self.keys.directories_above(&self.file);
        if let Err(error) = self.client.delete_many(&above).await {
            tracing::debug!(%error, "an empty directory of the store's probe may be left");
        }
    }
}

/// Whether the write to come would fail in the same way. Any other failure of a delete or a list does not stop
/// it.
fn is_for_the_write_as_well(error: &Error) -> bool {
    use ErrorKind::{InvalidConfig, RateLimited, Timeout, Unauthenticated, Unavailable};
    matches!(error.kind(), Unauthenticated | InvalidConfig | Unavailable | Timeout | RateLimited)
}

/// Names the request, and the settings that make it unnecessary.
fn during(request: &str, error: &Error) -> Error {
    let said = error.message().unwrap_or_default();
    let message = format!(
        "{said} ({request} was sent to determine the kind of store; with `conditionalwrites` and \
         `directories` set it is not needed)"
    );
    Error::new(error.kind()).with_message(message).with_retryable(error.is_retryable())
}
