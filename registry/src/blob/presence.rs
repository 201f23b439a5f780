//! Which of many blobs a repository has, in few driver calls.

use std::collections::{BTreeMap, HashMap};

use futures::{StreamExt, TryStreamExt, stream};
use plugin_registry_core::{Algorithm, Descriptor, Digest, StorageDriver};

use super::Blobs;
use crate::{error::Result, layout};

/// Stores list in pages of about this many entries.
const LIST_PAGE: usize = 1000;

/// What was found: the size of each blob that is linked and stored.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    sizes: HashMap<Digest, u64>,
    /// Whether this registry stored the bytes of every one a moment ago: the image is being pushed now.
    pub(crate) fresh: bool,
}

impl Presence {
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        self.sizes.get(digest).copied()
    }
}

impl Blobs {
    /// Looks all of `wanted` up. Links are always read live, in one listing; only that bytes of a digest
    /// are in the store is remembered for a while (ADR 0012).
    pub(crate) async fn presence(&self, wanted: &[Descriptor]) -> Result<Presence> {
        let linked = self.linked(wanted).await?;
        let known = &self.inner.known;
        let fresh = linked.values().all(|canonical| known.blob(canonical).is_some_and(|seen| seen.stored));
        let sizes = stream::iter(linked)
            .map(|(digest, canonical)| async move {
                let size = match known.blob(&canonical) {
                    Some(seen) => Some(seen.size),
                    None => self.store().stat(&canonical).await?,
                };
                Ok::<_, crate::RegistryError>(size.map(|size| (digest, size)))
            })
            .buffer_unordered(self.inner.options.concurrency)
            .try_filter_map(|found| async move { Ok(found) })
            .try_collect()
            .await?;
        Ok(Presence { sizes, fresh })
    }

    /// The canonical digests of those that have a link.
    async fn linked(&self, wanted: &[Descriptor]) -> Result<HashMap<Digest, Digest>> {
        let mut found = HashMap::new();
        let mut by_hex: BTreeMap<String, Digest> = BTreeMap::new();
        let mut single = Vec::new();
        for descriptor in wanted {
            if descriptor.digest.is_canonical() {
                by_hex.insert(descriptor.digest.hex(), descriptor.digest);
            } else {
                single.push(descriptor.digest);
            }
        }
        if by_hex.len() > 1 {
            // Cheaper than one call a link until the listing has more pages than there are links wanted.
            let most = by_hex.len().saturating_mul(LIST_PAGE);
            let rest = self.list_links(&by_hex, most, &mut found).await?;
            single.extend(rest);
        } else {
            single.extend(by_hex.values());
        }
        let concurrency = self.inner.options.concurrency;
        let resolved: Vec<(Digest, Option<Digest>)> = stream::iter(single)
            .map(
                |digest| async move { Ok::<_, crate::RegistryError>((digest, self.resolve(&digest).await?)) },
            )
            .buffer_unordered(concurrency)
            .try_collect()
            .await?;
        found.extend(resolved.into_iter().filter_map(|(digest, canonical)| Some((digest, canonical?))));
        Ok(found)
    }

    /// Lists the canonical links from the first to the last wanted one; gives back those that the listing
    /// did not reach within `most` entries.
    async fn list_links(
        &self,
        wanted: &BTreeMap<String, Digest>,
        most: usize,
        found: &mut HashMap<Digest, Digest>,
    ) -> Result<Vec<Digest>> {
        let directory = layout::layers(&self.repository, Algorithm::Sha256);
        let before = wanted.keys().next().and_then(|first| first.get(..63));
        let last = wanted.keys().next_back().map(String::as_str).unwrap_or_default();
        let mut entries = self.inner.driver.list(&directory, before).take(most);
        let mut reached = 0;
        while let Some(entry) = entries.next().await {
            let name = match entry {
                Ok(entry) => entry.name,
                Err(error) if error.is_not_found() => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            reached += 1;
            if let Some(digest) = wanted.get(&name) {
                found.insert(*digest, *digest);
            }
            if name.as_str() >= last {
                return Ok(Vec::new());
            }
            if reached == most {
                return Ok(wanted.range(name..).map(|(_, digest)| *digest).collect());
            }
        }
        Ok(Vec::new())
    }
}
