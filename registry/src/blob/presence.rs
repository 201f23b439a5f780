//! Which of many blobs a repository has, in few driver calls.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

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

    /// Lists the canonical links from the first to the last wanted one; gives back those that have to be read
    /// one by one: the listing did not reach them within `most` entries, or it does not prove a link.
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
        let is_proof = !self.inner.driver.capabilities().empty_directories;
        let (mut reached, mut rest) = (0, Vec::new());
        while let Some(entry) = entries.next().await {
            let name = match entry {
                Ok(entry) => entry.name,
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error.into()),
            };
            reached += 1;
            match wanted.get(&name) {
                Some(digest) if is_proof => drop(found.insert(*digest, *digest)),
                Some(digest) => rest.push(*digest),
                None => {}
            }
            if name.as_str() >= last {
                break;
            }
            if reached == most {
                let after = (Bound::Excluded(name), Bound::Unbounded);
                rest.extend(wanted.range(after).map(|(_, digest)| *digest));
                break;
            }
        }
        Ok(rest)
    }
}
