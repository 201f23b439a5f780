//! Which of many blobs a repository has, in few driver calls.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::Bound,
};

use futures::{StreamExt, TryStreamExt, stream};
use plugin_registry_core::{Algorithm, Descriptor, Digest};

use super::Blobs;
use crate::{error::Result, layout, link::LinkDirectory};

/// Stores list in pages of about this many entries.
const LIST_PAGE: usize = 1000;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    sizes: HashMap<Digest, u64>,
    /// Whether this registry stored the bytes of every blob a moment ago: the image is being pushed now.
    pub(crate) fresh: bool,
}

impl Presence {
    /// Returns the size of a linked and stored blob. Bytes of another size than wanted count as absent, so that
    /// the right ones are pushed, unless this registry has hashed them: then the descriptor is wrong.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        self.sizes.get(digest).copied()
    }
}

impl Blobs {
    /// Looks up all of `wanted`. Links are always looked up live, in one listing. Only the fact that bytes of a
    /// digest are in the store is remembered for a while (ADR 0012).
    pub(crate) async fn presence(&self, wanted: &[Descriptor]) -> Result<Presence> {
        let linked = self.linked(wanted).await?;
        let stated: HashSet<(Digest, u64)> = wanted.iter().map(|one| (one.digest, one.size)).collect();
        // Old programs wrote a size of 0 if they did not know it.
        let is_stated = |digest, size| stated.contains(&(digest, size)) || stated.contains(&(digest, 0));
        let known = &self.repository.shared.cache;
        let fresh = linked.values().all(|canonical| known.blob(canonical).is_some_and(|seen| seen.stored));
        let sizes = stream::iter(linked)
            .map(|(digest, canonical)| async move {
                let size = match known.blob(&canonical) {
                    Some(seen) if seen.stored || is_stated(digest, seen.size) => Some(seen.size),
                    _ => self.store().stat(&canonical).await?,
                };
                let is_right = |size| is_stated(digest, size) || known.size(&canonical) == Some(size);
                Ok::<_, crate::RegistryError>(size.filter(|size| is_right(*size)).map(|size| (digest, size)))
            })
            .buffer_unordered(self.repository.shared.options.concurrency)
            .try_filter_map(|found| async move { Ok(found) })
            .try_collect()
            .await?;
        Ok(Presence { sizes, fresh })
    }

    /// Returns the canonical digests of those that have a link.
    async fn linked(&self, wanted: &[Descriptor]) -> Result<HashMap<Digest, Digest>> {
        let mut found = HashMap::new();
        let (canonical, mut single): (BTreeSet<Digest>, BTreeSet<Digest>) =
            wanted.iter().map(|descriptor| descriptor.digest).partition(Digest::is_canonical);
        match canonical.first() {
            Some(first) if canonical.len() > 1 => {
                let directory = layout::layers(&self.repository.name, Algorithm::Sha256);
                let links = LinkDirectory::from(directory, first);
                single.extend(self.list_links(&links, &canonical, &mut found).await?);
            }
            _ => single.extend(canonical),
        }
        let concurrency = self.repository.shared.options.concurrency;
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

    /// Lists the canonical links from the first to the last wanted one. Returns those that have to be read one
    /// by one, because the listing did not reach them or does not say that they are links.
    ///
    /// A page is one round trip, and so are as many reads as are made at a time. The listing continues while
    /// its pages hold at least that many of the wanted links.
    async fn list_links(
        &self,
        links: &LinkDirectory,
        wanted: &BTreeSet<Digest>,
        found: &mut HashMap<Digest, Digest>,
    ) -> Result<Vec<Digest>> {
        let mut entries = links.list(&self.repository.shared.driver).enumerate();
        let (mut rest, mut on_page, mut reached) = (Vec::new(), 0, Bound::Unbounded);
        while let Some((position, listed)) = entries.next().await {
            let listed = listed?;
            if let Some(digest) = listed.digest {
                reached = Bound::Excluded(digest);
                if wanted.contains(&digest) {
                    on_page += 1;
                    if listed.is_link {
                        found.insert(digest, digest);
                    } else {
                        rest.push(digest);
                    }
                }
                if wanted.last().is_none_or(|last| digest >= *last) {
                    break;
                }
            }
            if (position + 1).is_multiple_of(LIST_PAGE)
                && std::mem::take(&mut on_page) < self.repository.shared.options.concurrency
            {
                rest.extend(wanted.range((reached, Bound::Unbounded)));
                break;
            }
        }
        Ok(rest)
    }
}
