//! The outcomes of calls about blobs.

use plugin_registry_core::{Algorithm, Digest};

use super::{
    call::Name,
    outcome::Refusal,
    state::Model,
    step::{Poured, Sent, Step},
    world::WORLD,
};

/// Digest, canonical digest and size of a blob.
pub(super) type Info = (Digest, Digest, u64);

impl Model {
    pub(super) fn stat(&self, of: Name, digest: &Digest) -> Result<Info, Refusal> {
        let canonical = self.blob(of, digest).ok_or_else(|| Refusal::Blob(of.to_owned(), *digest))?;
        Ok(info(digest, canonical))
    }

    /// The range that is returned, and whether its bytes are right.
    pub(super) fn open(
        &self,
        of: Name,
        digest: &Digest,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(u64, u64, bool), Refusal> {
        let (.., size) = self.stat(of, digest)?;
        if offset > size {
            return Err(Refusal::Range);
        }
        Ok((offset, length.map_or(size, |length| size.min(offset + length)), true))
    }

    pub(super) fn get(&self, of: Name, digest: &Digest, limit: usize) -> Result<(u64, bool), Refusal> {
        let (.., size) = self.stat(of, digest)?;
        if size > limit as u64 { Err(Refusal::TooLarge) } else { Ok((size, true)) }
    }

    /// The numbers of the blobs that a repository lacks.
    pub(super) fn missing(&self, of: Name, by: Algorithm) -> Vec<usize> {
        let is_missing = |blob: &usize| self.blob(of, &WORLD.blob(*blob, by)).is_none();
        (0..WORLD.blobs.len()).filter(is_missing).collect()
    }
}

impl Step {
    /// Pushes a blob. Content that the location has is not sent again.
    ///
    /// By another algorithm, the registry must have hashed the content itself, or find its link (ADR 0013).
    pub(super) fn push(
        &mut self,
        to: Name,
        digest: &Digest,
        sent: &Sent,
        size: usize,
    ) -> Result<&'static str, Refusal> {
        self.writable()?;
        // A descriptor always has a size. A size of 0 says nothing about content that is not empty.
        let announced = sent.announced.unwrap_or(size as u64);
        let named = (announced > 0 || digest.is_of_empty()).then_some(announced);
        let canonical = match digest.is_canonical() || self.instance().hashed.contains(digest) {
            true => Some(WORLD.canonical(digest)),
            false => self.model.blob(to, digest),
        };
        let stored = canonical.filter(|canonical| self.model.data.contains(canonical));
        if stored.is_some_and(|canonical| Some(WORLD.content(&canonical).len() as u64) == named) {
            self.link(to, digest);
            return Ok("Deduplicated");
        }
        self.store(to, digest, named, sent)?;
        Ok("Stored")
    }

    /// Stores content and links it.
    pub(super) fn store(
        &mut self,
        to: Name,
        digest: &Digest,
        announced: Option<u64>,
        sent: &Sent,
    ) -> Result<(), Refusal> {
        if !digest.is_canonical() {
            // Staged in a directory of the repository until its place is known.
            let mut littered = self.model.clone();
            littered.littered.insert(to);
            std::mem::swap(&mut self.model, &mut littered);
            self.between();
            self.model = littered;
        }
        match sent.poured(announced) {
            Poured::OtherSize => return Err(Refusal::OtherSize),
            Poured::Failed => return Err(Refusal::Body),
            Poured::Whole if Digest::of(digest.algorithm(), &sent.bytes) != *digest => {
                return Err(Refusal::OtherDigest);
            }
            Poured::Whole => {}
        }
        self.model.data.insert(WORLD.canonical(digest));
        self.between();
        self.learn(digest);
        self.link(to, digest);
        Ok(())
    }

    /// Notes that the registry has hashed this content by this algorithm.
    pub(super) fn learn(&mut self, digest: &Digest) {
        if !digest.is_canonical() {
            self.instance().hashed.insert(*digest);
            self.between();
        }
    }

    /// Writes the canonical link first, so that no alias ever stands alone.
    pub(super) fn link(&mut self, to: Name, digest: &Digest) {
        for name in [WORLD.canonical(digest), *digest] {
            self.repository(to).layers.insert(name);
            self.between();
        }
    }

    pub(super) fn mount(&mut self, from: Name, to: Name, digest: &Digest) -> Result<Info, Refusal> {
        self.writable()?;
        let info = self.model.stat(from, digest)?;
        self.link(to, digest);
        Ok(info)
    }

    /// Mounts by the sha256 digest, or by another one that this registry has hashed itself.
    pub(super) fn mount_any(&mut self, to: Name, digest: &Digest) -> Result<Info, Refusal> {
        self.writable()?;
        let canonical = WORLD.canonical(digest);
        let is_found = digest.is_canonical() || self.instance().hashed.contains(digest);
        if !is_found || !self.model.data.contains(&canonical) {
            return Err(Refusal::Blob(to.to_owned(), *digest));
        }
        self.link(to, digest);
        Ok(info(digest, canonical))
    }

    /// Deletes a blob. An alias takes its canonical link along. A canonical link leaves its aliases, which
    /// no longer count.
    pub(super) fn delete_blob(&mut self, of: Name, digest: &Digest) -> Result<(), Refusal> {
        self.may_delete()?;
        let (_, canonical, _) = self.model.stat(of, digest)?;
        let layers = &mut self.repository(of).layers;
        layers.remove(digest);
        layers.remove(&canonical);
        Ok(())
    }
}

/// The information about a blob.
pub(super) fn info(digest: &Digest, canonical: Digest) -> Info {
    (*digest, canonical, WORLD.content(digest).len() as u64)
}
