//! What a registry remembers between requests.
//!
//! All of it is bounded, and none of it ever says that something is in a repository (ADR 0012). A size may say
//! that stored bytes are not the content (ADR 0020).

pub(crate) mod lru;

use std::{sync::Arc, time::Duration};

use plugin_registry_core::Digest;

use self::lru::{Cache, Expiry};
use crate::manifest::summary::ManifestSummary;

/// Bounded caches of one registry.
#[derive(Debug)]
pub(crate) struct ContentCache {
    /// Sizes of blobs whose bytes this registry stored or saw a moment ago. No operation of the registry
    /// deletes bytes; the time limit bounds how long a foreign garbage collection goes unnoticed.
    blobs: Cache<Digest, CachedBlob>,
    /// Sizes of content that this registry has hashed itself: facts about content, true for ever.
    sizes: Cache<Digest, u64>,
    /// Canonical digests by those of other algorithms, hashed by this registry itself: facts about content.
    aliases: Cache<Digest, Digest>,
    /// The facts that a manifest states about itself. They never change.
    summary: Cache<Digest, Arc<ManifestSummary>>,
}

/// A blob whose bytes were in the store a moment ago.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CachedBlob {
    /// The size in bytes.
    pub(crate) size: u64,
    /// Whether this registry stored the bytes itself: an image is being pushed.
    pub(crate) stored: bool,
}

impl ContentCache {
    /// About 100 bytes an entry: at most 2 MiB.
    const BLOBS: u64 = 16 * 1024;
    /// About 100 bytes an entry: at most 2 MiB.
    const SIZES: u64 = 16 * 1024;
    /// About 200 bytes an entry: at most 2 MiB.
    const ALIASES: u64 = 8 * 1024;
    /// Weight in bytes of all remembered facts: at most 8 MiB.
    const SUMMARIES: u64 = 8 * 1024 * 1024;

    pub(crate) fn new(blob_cache_ttl: Duration) -> Self {
        Self {
            blobs: Cache::new(Self::BLOBS, Expiry::TimeToLive(blob_cache_ttl)),
            sizes: Cache::new(Self::SIZES, Expiry::Never),
            aliases: Cache::new(Self::ALIASES, Expiry::Never),
            summary: Cache::new(Self::SUMMARIES, Expiry::Never),
        }
    }

    pub(crate) fn blob(&self, canonical: &Digest) -> Option<CachedBlob> {
        self.blobs.get(canonical)
    }

    pub(crate) fn insert_seen(&self, canonical: &Digest, size: u64) {
        let stored = self.blob(canonical).is_some_and(|seen| seen.stored && seen.size == size);
        self.blobs.insert(*canonical, CachedBlob { size, stored }, 1);
    }

    pub(crate) fn insert_stored(&self, canonical: &Digest, size: u64) {
        self.blobs.insert(*canonical, CachedBlob { size, stored: true }, 1);
        self.insert_size(canonical, size);
    }

    /// Returns the size of content that was hashed, whatever the store has under its digest.
    pub(crate) fn size(&self, canonical: &Digest) -> Option<u64> {
        if canonical.is_of_empty() { Some(0) } else { self.sizes.get(canonical) }
    }

    pub(crate) fn insert_size(&self, canonical: &Digest, size: u64) {
        self.sizes.insert(*canonical, size, 1);
    }

    /// Says why `size` bytes cannot be the content of `canonical`, judging by their number alone. Only the
    /// digest of empty content has no bytes, and content that was hashed here keeps its size.
    pub(crate) fn size_problem(&self, canonical: &Digest, size: u64) -> Option<String> {
        match self.size(canonical) {
            Some(known) if known != size => Some(format!("it has {size} bytes, its content has {known}")),
            None if size == 0 => Some("it is empty, its content is not".to_owned()),
            _ => None,
        }
    }

    pub(crate) fn remove_blob(&self, canonical: &Digest) {
        self.blobs.remove(canonical);
    }

    pub(crate) fn canonical(&self, digest: &Digest) -> Option<Digest> {
        if digest.is_canonical() { Some(*digest) } else { self.aliases.get(digest) }
    }

    pub(crate) fn insert_alias(&self, digest: &Digest, canonical: &Digest) {
        if digest != canonical {
            self.aliases.insert(*digest, *canonical, 1);
        }
    }

    pub(crate) fn summary(&self, manifest: &Digest) -> Option<Arc<ManifestSummary>> {
        self.summary.get(manifest)
    }

    pub(crate) fn insert_summary(&self, manifest: &Digest, summary: Arc<ManifestSummary>) {
        let weight = summary.weight();
        self.summary.insert(*manifest, summary, weight.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_problem_only_where_it_cannot_be_right() {
        let cache = ContentCache::new(Duration::ZERO);
        let (nothing, some) = (Digest::sha256(b""), Digest::sha256(b"some"));
        let is_problem = |digest, size| cache.size_problem(digest, size).is_some();
        assert_eq!([0, 1].map(|size| is_problem(&nothing, size)), [false, true]);
        assert_eq!([0, 1, 4].map(|size| is_problem(&some, size)), [true, false, false]);
        // A blob that was seen is not cached: the store may have had a part of it only.
        cache.insert_seen(&some, 1);
        assert!(!is_problem(&some, 4));
        cache.insert_stored(&some, 4);
        assert_eq!([0, 1, 4].map(|size| is_problem(&some, size)), [true, true, false]);
    }
}
