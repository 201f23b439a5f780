//! Which manifests refer to a subject: derived from the manifests themselves (ADR 0011).

use std::{collections::BTreeMap, future::ready, pin::pin, sync::Arc};

use futures::{StreamExt, TryStreamExt};
use plugin_registry_core::{Algorithm, Digest, RepositoryName};
use serde::Serialize;

use crate::{
    error::{RegistryError, Result},
    layout,
    link::{LinkDirectory, Listed},
    manifest::{MAX_MANIFEST_SIZE, Manifest},
    manifests::Manifests,
    registry::Inner,
    turns::SMALL,
};

/// What a referrers list says of one manifest, and its subject. These are facts about content.
#[derive(Debug)]
pub(crate) struct Facts {
    subject: Option<Digest>,
    referrer: Option<Compact>,
}

/// A [`Referrer`] as it is remembered: with its annotations as text, which is their smallest form.
#[derive(Debug)]
struct Compact {
    media_type: Box<str>,
    digest: Digest,
    size: u64,
    artifact_type: Option<Box<str>>,
    /// A JSON object.
    annotations: Option<Box<str>>,
    /// About how many bytes its descriptor takes in a list.
    listed: usize,
    /// About how many bytes its [`Referrer`] takes in memory: an annotation is two strings and a part of a
    /// tree's node.
    unfolded: usize,
}

/// A descriptor in a referrers list, with the fields of the image specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Referrer {
    /// The manifest's media type.
    pub media_type: String,
    /// The manifest's digest.
    pub digest: String,
    /// The manifest's size in bytes.
    pub size: u64,
    /// Its artifact type, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its annotations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// A page of referrers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReferrerPage {
    /// The referrers, in order of their digests.
    pub referrers: Vec<Referrer>,
    /// Whether more follow after the last one.
    pub more: bool,
}

impl Facts {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let subject = manifest.subject().map(|subject| subject.digest);
        let referrer = subject.is_some().then(|| Compact::of(manifest));
        Self { subject, referrer }
    }

    /// Returns about how many bytes it holds.
    pub(crate) fn weight(&self) -> u32 {
        let listed = self.referrer.as_ref().map_or(0, |referrer| referrer.listed);
        u32::try_from(listed.saturating_add(320)).unwrap_or(u32::MAX)
    }

    fn of_subject(&self, subject: &Digest, artifact_type: Option<&str>) -> Option<&Compact> {
        let referrer = self.referrer.as_ref().filter(|_| self.subject == Some(*subject));
        referrer.filter(|referrer| {
            artifact_type.is_none_or(|wanted| referrer.artifact_type.as_deref() == Some(wanted))
        })
    }
}

impl Compact {
    fn of(manifest: &Manifest) -> Self {
        let artifact_type = manifest.artifact_type();
        let all = Some(manifest.annotations()).filter(|all| !all.is_empty());
        let annotations = all.and_then(|all| serde_json::to_string(all).ok());
        let quoted = serde_json::to_string(&artifact_type).map_or(0, |quoted| quoted.len());
        let listed = annotations.as_deref().map_or(0, str::len) + quoted;
        Self {
            media_type: manifest.media_type().to_string().into(),
            digest: manifest.digest(),
            size: manifest.bytes().len() as u64,
            artifact_type: artifact_type.map(Box::from),
            annotations: annotations.map(Box::from),
            listed,
            unfolded: listed + 160 * manifest.annotations().len(),
        }
    }

    fn unfold(&self) -> Referrer {
        let annotations = self.annotations.as_deref();
        Referrer {
            media_type: self.media_type.to_string(),
            digest: self.digest.to_string(),
            size: self.size,
            artifact_type: self.artifact_type.as_deref().map(str::to_owned),
            // We wrote this text ourselves.
            annotations: annotations.and_then(|text| serde_json::from_str(text).ok()),
        }
    }
}

/// The most bytes of annotations in a page, so that a page stays below the 4 MiB of a manifest
/// (distribution-spec, "Listing Referrers").
const MAX_PAGE_BYTES: usize = 3 * 1024 * 1024;

/// The most bytes of them in memory, where many short annotations take far more than their text.
const MAX_PAGE_MEMORY: usize = 12 * 1024 * 1024;

/// What a look at a revision found.
enum Look {
    Facts(Arc<Facts>),
    /// Its manifest has to be read alone.
    Large(Listed),
    /// It has nothing to show.
    Nothing,
}

pub(crate) struct Referrers<'a> {
    inner: &'a Arc<Inner>,
    repository: &'a RepositoryName,
}

impl<'a> Referrers<'a> {
    pub(crate) fn new(inner: &'a Arc<Inner>, repository: &'a RepositoryName) -> Self {
        Self { inner, repository }
    }

    fn manifests(&self) -> Manifests {
        Manifests::new(self.inner.clone(), self.repository.clone())
    }

    /// Returns the referrers of `subject` after the digest `last`, in order of their digests.
    ///
    /// A page has at most `limit` of them, and at most 3 MiB of annotations, but at least one. All revisions
    /// are looked at, so it also finds what a client listed under a fallback tag while a registry without this
    /// API served the store (distribution-spec, "Enabling the Referrers API").
    ///
    /// Holds the page, one large manifest, and the small ones that are read at a time.
    #[tracing::instrument(
        level = "error", skip(self),
        fields(
            location = self.inner.location(), instance = self.inner.instance(),
            repository = %self.repository
        )
    )]
    pub(crate) async fn page(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
        last: Option<&str>,
        limit: usize,
    ) -> Result<ReferrerPage> {
        let mut page = ReferrerPage { referrers: Vec::new(), more: false };
        if limit == 0 {
            return Ok(page);
        }
        let directory = layout::revisions(self.repository, Algorithm::Sha256);
        let revisions = match last.and_then(|last| last.parse().ok()).filter(Digest::is_canonical) {
            Some(last) => LinkDirectory::from(directory, &last),
            None => LinkDirectory::all(directory),
        };
        // Entries of earlier pages need no look.
        let after = revisions.list(&self.inner.driver).try_filter(|listed| {
            ready(
                listed
                    .digest
                    .is_some_and(|digest| last.is_none_or(|last| digest.to_string().as_str() > last)),
            )
        });
        let looks = after.map(|listed| self.look(listed)).buffered(self.inner.options.concurrency);
        let mut looks = pin!(looks);
        let (mut bytes, mut memory) = (0, 0);
        while let Some(look) = looks.try_next().await? {
            let facts = match look {
                Look::Facts(facts) => Some(facts),
                Look::Large(listed) => {
                    let _turn = self.inner.turns.parse(MAX_MANIFEST_SIZE).await;
                    self.facts(listed, MAX_MANIFEST_SIZE).await?
                }
                Look::Nothing => continue,
            };
            let referrer = facts.as_deref().and_then(|facts| facts.of_subject(subject, artifact_type));
            let Some(referrer) = referrer else { continue };
            bytes += referrer.listed;
            memory += referrer.unfolded;
            let is_full = page.referrers.len() == limit || bytes > MAX_PAGE_BYTES || memory > MAX_PAGE_MEMORY;
            if is_full && !page.referrers.is_empty() {
                page.more = true;
                break;
            }
            page.referrers.push(referrer.unfold());
        }
        Ok(page)
    }

    /// Looks at a revision. Manifests larger than [`SMALL`], which are rare, are read one after the other.
    async fn look(&self, listed: Result<Listed>) -> Result<Look> {
        let listed = listed?;
        match self.facts(listed, SMALL).await {
            Ok(facts) => Ok(facts.map_or(Look::Nothing, Look::Facts)),
            Err(error) if error.is_too_large() => Ok(Look::Large(listed)),
            Err(error) => Err(error),
        }
    }

    /// Returns what a revision says of itself, remembered or read once. A revision whose bytes are missing or
    /// damaged refers to nothing that can be shown.
    async fn facts(&self, listed: Listed, limit: u64) -> Result<Option<Arc<Facts>>> {
        let Some(digest) = listed.digest else { return Ok(None) };
        if let Some(facts) = self.inner.known.facts(&digest) {
            let is_here = listed.is_link || self.manifests().revision(&digest).await?.is_some();
            return Ok(is_here.then_some(facts));
        }
        let manifest = match self.manifests().by_digest_within(&digest, limit).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) | Err(RegistryError::Damaged(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let facts = Arc::new(Facts::of(&manifest));
        self.inner.known.learned(&digest, facts.clone());
        Ok(Some(facts))
    }
}
