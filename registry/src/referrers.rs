//! Which manifests refer to a subject: derived from the manifests themselves (ADR 0011).

use std::{collections::BTreeMap, future::ready, pin::pin, sync::Arc};

use futures::{StreamExt, TryStreamExt};
use plugin_registry_core::{Algorithm, Digest};
use serde::Serialize;

use crate::{
    error::{RegistryError, Result},
    layout,
    limiter::SMALL_MANIFEST,
    link::{LinkDirectory, Listed},
    manifest::{
        MAX_MANIFEST_SIZE,
        summary::{CompactReferrer, ManifestSummary},
    },
    manifests::Manifests,
    operation::operation,
    repository::Repository,
};

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
    pub has_more: bool,
}

impl Repository {
    /// Lists the manifests whose subject is `subject`, in order of their digests.
    ///
    /// `artifact_type` limits the list to one artifact type (distribution-spec, "Listing Referrers"). A page
    /// holds at most `limit` manifests, those after the digest `last`. It ends earlier, but is never empty, if
    /// its annotations reach 3 MiB; [`has_more`](ReferrerPage::has_more) says whether others follow.
    ///
    /// 1 driver call per page of the store, and 2 for each manifest that this registry does not remember. On a
    /// store with empty directories, 1 for each that it remembers.
    /// Memory: the page (at most 12 MiB, or one referrer), one manifest of up to 4 MiB with its parsed form,
    /// and [`concurrency`](crate::RegistryBuilder::concurrency) manifests of up to 256 KiB.
    ///
    /// # Errors
    /// Only those of the store.
    pub async fn referrers(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
        last: Option<&str>,
        limit: usize,
    ) -> Result<ReferrerPage> {
        Referrers::new(self).page(subject, artifact_type, last, limit).await
    }
}

impl Referrer {
    fn of(listed: &CompactReferrer) -> Self {
        let annotations = listed.annotations.as_deref();
        Self {
            media_type: listed.media_type.to_string(),
            digest: listed.digest.to_string(),
            size: listed.size,
            artifact_type: listed.artifact_type.as_deref().map(str::to_owned),
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

/// The result of a look at a revision.
enum Look {
    Summary(Arc<ManifestSummary>),
    /// Its manifest has to be read alone.
    Large(Listed),
    /// It has nothing to show.
    Nothing,
}

pub(crate) struct Referrers<'a> {
    repository: &'a Repository,
}

impl<'a> Referrers<'a> {
    pub(crate) fn new(repository: &'a Repository) -> Self {
        Self { repository }
    }

    fn manifests(&self) -> Manifests {
        self.repository.manifests()
    }

    /// Returns the referrers of `subject` after the digest `last`, in order of their digests.
    ///
    /// A page has at most `limit` of them, and at most 3 MiB of annotations, but at least one. All revisions
    /// are looked at, so it also finds what a client listed under a fallback tag while a registry without this
    /// API served the store (distribution-spec, "Enabling the Referrers API").
    ///
    /// Holds the page, one large manifest, and the small ones that are read at a time.
    pub(crate) async fn page(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
        last: Option<&str>,
        limit: usize,
    ) -> Result<ReferrerPage> {
        let about = self.repository.about().with_digest(subject);
        let operation = operation!("referrers", self.repository.shared, about);
        let page = self.read(subject, artifact_type, last, limit);
        operation.run(pin!(page), |page, record| record.entries = Some(page.referrers.len())).await
    }

    async fn read(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
        last: Option<&str>,
        limit: usize,
    ) -> Result<ReferrerPage> {
        let mut page = ReferrerPage { referrers: Vec::new(), has_more: false };
        if limit == 0 {
            return Ok(page);
        }
        let directory = layout::revisions(&self.repository.name, Algorithm::Sha256);
        let revisions = match last.and_then(|last| last.parse().ok()).filter(Digest::is_canonical) {
            Some(last) => LinkDirectory::from(directory, &last),
            None => LinkDirectory::all(directory),
        };
        // Entries of earlier pages are skipped.
        let after = revisions.list(&self.repository.shared.driver).try_filter(|listed| {
            ready(
                listed
                    .digest
                    .is_some_and(|digest| last.is_none_or(|last| digest.to_string().as_str() > last)),
            )
        });
        let looks =
            after.map(|listed| self.look(listed)).buffered(self.repository.shared.options.concurrency);
        let mut looks = pin!(looks);
        let (mut bytes, mut memory) = (0, 0);
        while let Some(look) = looks.try_next().await? {
            let summary = match look {
                Look::Summary(summary) => Some(summary),
                Look::Large(listed) => {
                    let _permit = self.repository.shared.limiter.parse(MAX_MANIFEST_SIZE).await;
                    self.summary(listed, MAX_MANIFEST_SIZE).await?
                }
                Look::Nothing => continue,
            };
            let referrer = summary.as_deref().and_then(|summary| summary.of_subject(subject, artifact_type));
            let Some(referrer) = referrer else { continue };
            bytes += referrer.listed;
            memory += referrer.unfolded;
            let is_full = page.referrers.len() == limit || bytes > MAX_PAGE_BYTES || memory > MAX_PAGE_MEMORY;
            if is_full && !page.referrers.is_empty() {
                page.has_more = true;
                break;
            }
            page.referrers.push(Referrer::of(referrer));
        }
        Ok(page)
    }

    /// Looks at a revision. Manifests larger than [`SMALL_MANIFEST`], which are rare, are read one after the other.
    async fn look(&self, listed: Result<Listed>) -> Result<Look> {
        let listed = listed?;
        match self.summary(listed, SMALL_MANIFEST).await {
            Ok(summary) => Ok(summary.map_or(Look::Nothing, Look::Summary)),
            Err(error) if error.is_too_large() => Ok(Look::Large(listed)),
            Err(error) => Err(error),
        }
    }

    /// Returns what a revision says of itself, remembered or read once. A revision whose bytes are missing or
    /// damaged refers to nothing that can be shown.
    async fn summary(&self, listed: Listed, limit: u64) -> Result<Option<Arc<ManifestSummary>>> {
        let Some(digest) = listed.digest else { return Ok(None) };
        if let Some(summary) = self.repository.shared.cache.summary(&digest) {
            let is_here = listed.is_link || self.manifests().revision(&digest).await?.is_some();
            return Ok(is_here.then_some(summary));
        }
        let manifest = match self.manifests().by_digest_within(&digest, limit).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) | Err(RegistryError::Damaged(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let summary = Arc::new(ManifestSummary::of(&manifest));
        self.repository.shared.cache.insert_summary(&digest, summary.clone());
        Ok(Some(summary))
    }
}
