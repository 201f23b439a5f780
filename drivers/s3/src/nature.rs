//! What kind of store answers: S3 itself, or a store that is like it.
//!
//! Reading assumes what is safe for every store, and asks nothing. What cannot be known otherwise is asked
//! once, before the first write (ADR 0025).

use plugin_registry_core::{Error, ErrorKind, Result};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{
    S3Config,
    client::{Condition, Listing, Marks, S3Client},
    content::Content,
    key::Keys,
    known::{Known, Traits},
};

/// How a store differs from S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nature {
    /// Conditions on writes are honoured. Some stores accept and ignore them (maxio issue 20).
    pub(crate) conditions: bool,
    /// Keys lie in directories: empty directories stay and are listed, and listings are in order of the
    /// components (`a/b` before `a-b`), not of the keys' bytes. SeaweedFS.
    pub(crate) directories: bool,
    /// Conditions on what is copied are honoured, and objects keep their metadata: a stage may be plain bytes
    /// that the store copies.
    pub(crate) copies: bool,
}

/// What works with any store: conditions are sent, and lists are read as if there were directories.
const SAFE: Nature = Nature { conditions: true, directories: true, copies: false };

/// The kind of a store, as far as it is known.
#[derive(Debug)]
pub(crate) struct Natures {
    /// From the settings, otherwise from the endpoint's host.
    said: Traits,
    found: OnceCell<Nature>,
}

impl Natures {
    pub(crate) fn new(config: &S3Config) -> Self {
        Self { said: said(config), found: OnceCell::new() }
    }

    /// What is known, and what is safe for the rest. Asks nothing.
    pub(crate) fn now(&self, client: &S3Client) -> Nature {
        let nature = self.found.get().copied().unwrap_or_else(|| known(self.traits(client)));
        nature.as_seen(client)
    }

    /// What a write has to know. The first write asks, unless the settings, the endpoint or an answer have
    /// told.
    ///
    /// # Errors
    /// If the store cannot be reached, or does not know the credentials or the bucket.
    pub(crate) async fn before_writing(&self, client: &S3Client, keys: &Keys) -> Result<Nature> {
        let find = async || match self.find(client, keys).await {
            Ok(found) => Ok(found),
            // A store that is full is asked again.
            Err(error) if error.kind() == ErrorKind::NoSpace => Err(Ok(self.unknown(client, &error))),
            Err(error) => Err(Err(error)),
        };
        let nature = self.found.get_or_try_init(find).await.copied().or_else(|unset| unset)?;
        Ok(nature.as_seen(client))
    }

    async fn find(&self, client: &S3Client, keys: &Keys) -> Result<Nature> {
        if is_settled(self.traits(client)) {
            return Ok(known(self.traits(client)));
        }
        let answers = match Question::new(self, client, keys).ask().await {
            Ok(answers) => answers,
            // Credentials that may not write, or a store that accepts no writes.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnly) => {
                return Ok(self.unknown(client, &error));
            }
            Err(error) => return Err(error),
        };
        if answers.conditions == Some(false) {
            tracing::warn!(
                "the store ignores conditions on writes: concurrent writers of one object do not notice each \
                 other"
            );
        }
        Ok(known(self.traits(client).or(answers)))
    }

    fn unknown(&self, client: &S3Client, error: &Error) -> Nature {
        tracing::info!(%error, "the kind of this store could not be determined");
        known(self.traits(client))
    }

    fn traits(&self, client: &S3Client) -> Traits {
        match client.seen().store() {
            Some(known) => self.said.or(known.traits),
            None => self.said,
        }
    }
}

impl Nature {
    /// No setting can claim that a store honours conditions on copies if it is known not to.
    fn as_seen(self, client: &S3Client) -> Self {
        let is_wrong = client.seen().store().is_some_and(|known| known.traits.copies == Some(false));
        Self { copies: self.copies && !is_wrong, ..self }
    }
}

/// What the settings and the endpoint tell.
pub(crate) fn said(config: &S3Config) -> Traits {
    let (conditions, directories) = (config.conditional_writes, config.directories);
    let copies = match (conditions, directories) {
        // Both settings leave no question open.
        (Some(conditions), Some(_)) => Some(conditions),
        (Some(false), None) => Some(false),
        _ => None,
    };
    let said = Traits { conditions, directories, copies };
    Known::of_endpoint(config.endpoint.as_ref()).map_or(said, |known| said.or(known.traits))
}

fn is_settled(traits: Traits) -> bool {
    traits.conditions.is_some() && traits.directories.is_some()
}

fn known(traits: Traits) -> Nature {
    let conditions = traits.conditions.unwrap_or(SAFE.conditions);
    Nature {
        conditions,
        directories: traits.directories.unwrap_or(SAFE.directories),
        copies: traits.copies.unwrap_or(SAFE.copies) && conditions,
    }
}

/// Asks the store, by at most six requests. Its objects lie where no registry looks.
struct Question<'a> {
    natures: &'a Natures,
    client: &'a S3Client,
    keys: &'a Keys,
    place: String,
    file: String,
}

impl<'a> Question<'a> {
    fn new(natures: &'a Natures, client: &'a S3Client, keys: &'a Keys) -> Self {
        let place = keys.probe(&Uuid::new_v4().to_string());
        let file = format!("{place}a/probe.staged");
        Self { natures, client, keys, place, file }
    }

    async fn ask(&self) -> Result<Traits> {
        let conditions = self.conditions().await;
        let deleted = self.client.delete(&self.file).await.map_err(|error| during("DeleteObject", &error));
        let mut traits = Traits { conditions: conditions?, ..Traits::default() };
        // The answers so far may have identified the store.
        let directories = match (deleted, self.natures.traits(self.client).directories) {
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
            // What was found so far stands.
            Err(error) => {
                tracing::info!(%error, "an object of the store's probe may be left below `{}`", self.place);
            }
        }
        Ok(traits)
    }

    /// Whether conditions hold for an object that exists. `None` if the driver does not have to ask.
    async fn conditions(&self) -> Result<Option<bool>> {
        self.put(Condition::Any).await?;
        if self.natures.traits(self.client).conditions.is_some() {
            return Ok(None);
        }
        let other = Condition::Same("\"00000000000000000000000000000000\"");
        Ok(Some(!self.put(Condition::Absent).await? && !self.put(other).await?))
    }

    /// Whether it was written, or refused because the store does not know the header, which must not be sent
    /// then.
    async fn put(&self, condition: Condition<'_>) -> Result<bool> {
        let put = self.client.put(&self.file, Content::default(), condition, Marks::default());
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
        if self.client.seen().has_versions() {
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
