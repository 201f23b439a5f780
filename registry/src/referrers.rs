//! Which manifests refer to a subject: derived from the manifests themselves (ADR 0011).

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use plugin_registry_core::{Digest, RepositoryName};
use serde::Serialize;

use crate::{error::Result, manifest::Manifest, manifests::Manifests, registry::Inner};

/// What a referrers list says of one manifest, and which subject it has. Facts about content.
#[derive(Debug)]
pub(crate) struct Facts {
    subject: Option<Digest>,
    referrer: Option<Referrer>,
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
        let referrer = subject.is_some().then(|| Referrer {
            media_type: manifest.media_type().to_string(),
            digest: manifest.digest().to_string(),
            size: manifest.bytes().len() as u64,
            artifact_type: manifest.artifact_type().map(str::to_owned),
            annotations: Some(manifest.annotations().clone()).filter(|annotations| !annotations.is_empty()),
        });
        Self { subject, referrer }
    }

    /// About the bytes that it holds.
    pub(crate) fn weight(&self) -> u32 {
        let annotations = self.referrer.iter().flat_map(|referrer| referrer.annotations.iter().flatten());
        let texts: usize = annotations.map(|(key, value)| key.len() + value.len() + 64).sum();
        u32::try_from(texts.saturating_add(320)).unwrap_or(u32::MAX)
    }
}

/// Most bytes of a page's annotations, so that a page stays below the 4 MiB of a manifest
/// (distribution-spec, "Listing Referrers").
const MAX_PAGE_BYTES: usize = 3 * 1024 * 1024;

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

    /// The referrers of `subject` after the digest `last`. All revisions are asked, so what a client listed
    /// under a fallback tag while a registry without this API served the store is found as well
    /// (distribution-spec, "Enabling the Referrers API").
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
        let mut found: BTreeMap<String, Referrer> = BTreeMap::new();
        let revisions = self.manifests().revisions().await?;
        let mut facts = stream::iter(revisions)
            .map(|(digest, is_link)| self.facts(digest, is_link))
            .buffer_unordered(self.inner.options.concurrency);
        while let Some(facts) = facts.try_next().await? {
            if let Some(referrer) = facts.and_then(|facts| facts.of_subject(subject)) {
                found.insert(referrer.digest.clone(), referrer);
            }
        }
        let mut page = ReferrerPage { referrers: Vec::new(), more: false };
        let mut bytes = 0;
        let after = found.into_iter().filter(|(digest, referrer)| {
            last.is_none_or(|last| digest.as_str() > last)
                && artifact_type.is_none_or(|wanted| referrer.artifact_type.as_deref() == Some(wanted))
        });
        for (_, referrer) in after {
            bytes += serde_json::to_string(&referrer).map_or(0, |json| json.len());
            let is_full = page.referrers.len() == limit || (bytes > MAX_PAGE_BYTES && limit != usize::MAX);
            if is_full && !page.referrers.is_empty() {
                page.more = true;
                break;
            }
            page.referrers.push(referrer);
        }
        Ok(page)
    }

    /// What a revision says of itself: remembered, or read once. A revision whose bytes are missing or
    /// damaged refers to nothing that can be shown.
    async fn facts(&self, digest: Digest, is_link: bool) -> Result<Option<Arc<Facts>>> {
        if let Some(facts) = self.inner.known.facts(&digest) {
            let is_here = is_link || self.manifests().revision(&digest).await?.is_some();
            return Ok(is_here.then_some(facts));
        }
        let manifest = match self.manifests().by_digest(&digest).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) | Err(crate::RegistryError::Damaged(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let facts = Arc::new(Facts::of(&manifest));
        self.inner.known.learned(&digest, facts.clone());
        Ok(Some(facts))
    }
}

impl Facts {
    fn of_subject(&self, subject: &Digest) -> Option<Referrer> {
        self.referrer.as_ref().filter(|_| self.subject == Some(*subject)).cloned()
    }
}
