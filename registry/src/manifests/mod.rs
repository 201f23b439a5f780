//! The manifests of one repository.

mod references;

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    future::{join, try_join3},
    stream,
};
use plugin_registry_core::{Algorithm, Digest, Reference, Tag, VerifyError, shown_line};

use self::references::References;
use crate::{
    blob::BlobStore,
    error::{RegistryError, Result},
    integrity::Flaw,
    layout,
    limiter::SMALL_MANIFEST,
    link::LinkStore,
    manifest::{
        MAX_MANIFEST_SIZE, Manifest, ManifestEntry, ManifestError, ManifestKind, flaws_of,
        summary::ManifestSummary,
    },
    operation::{Record, operation},
    options::UrlPolicy,
    repository::Repository,
    tag::Tags,
};

/// The manifests of one repository: [`Repository::manifests`](crate::Repository::manifests). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Manifests {
    repository: Repository,
}

impl Repository {
    /// Returns its manifests.
    #[must_use]
    pub fn manifests(&self) -> Manifests {
        Manifests { repository: self.clone() }
    }
}

impl Manifests {
    fn links(&self) -> LinkStore<'_> {
        LinkStore::new(&self.repository.shared.driver)
    }

    fn store(&self) -> BlobStore<'_> {
        BlobStore::new(&self.repository.shared)
    }

    fn tags(&self) -> Tags {
        self.repository.tags()
    }

    fn unknown(&self, reference: &Reference) -> RegistryError {
        RegistryError::ManifestUnknown {
            repository: self.repository.name.clone(),
            reference: reference.clone(),
        }
    }

    /// Reads a manifest by tag or digest.
    ///
    /// 3 driver calls by tag, 2 by digest, in 2 and 1 round trips; 2 more for a manifest over 256 KiB. It holds
    /// at most 4 MiB, with its parsed form 24 MiB. At most 4 manifests over 256 KiB are read at a time; others
    /// wait. The returned manifest is the caller's.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`]; [`RegistryError::Damaged`] if the stored bytes do not hash to the
    /// digest.
    pub async fn get(&self, reference: &Reference) -> Result<Manifest> {
        let about = self.repository.about().with_reference(reference);
        let operation = operation!("manifest.get", self.repository.shared, about);
        operation.run(pin!(self.read(reference)), note).await
    }

    async fn read(&self, reference: &Reference) -> Result<Manifest> {
        let digest = match reference {
            Reference::Digest(digest) => *digest,
            Reference::Tag(tag) => self.tags().current(tag).await?.ok_or_else(|| self.unknown(reference))?,
        };
        let found = match self.by_digest_within(&digest, SMALL_MANIFEST).await {
            Err(error) if error.is_too_large() => {
                let _permit = self.repository.shared.limiter.parse(MAX_MANIFEST_SIZE).await;
                self.by_digest(&digest).await
            }
            found => found,
        };
        found?.ok_or_else(|| self.unknown(reference))
    }

    pub(crate) async fn by_digest(&self, digest: &Digest) -> Result<Option<Manifest>> {
        self.by_digest_within(digest, MAX_MANIFEST_SIZE).await
    }

    /// The same for at most `limit` bytes; more are an error of kind `TooLarge`.
    pub(crate) async fn by_digest_within(&self, digest: &Digest, limit: u64) -> Result<Option<Manifest>> {
        let (canonical, bytes) = if digest.is_canonical() {
            // Both in one round trip. The state of the bytes matters only if the repository has the revision.
            let (revision, bytes) = join(self.revision(digest), self.store().get(digest, limit)).await;
            match revision? {
                Some(canonical) => (Some(canonical), bytes?),
                None => (None, None),
            }
        } else {
            match self.revision(digest).await? {
                Some(canonical) => (Some(canonical), self.store().get(&canonical, limit).await?),
                None => (None, None),
            }
        };
        match (canonical, bytes) {
            // The bytes hash to their canonical digest; an alias has to agree as well.
            (Some(canonical), Some(bytes))
                if canonical != *digest && Digest::of(digest.algorithm(), &bytes) != *digest =>
            {
                Err(RegistryError::damaged(format!(
                    "the alias {digest} names {canonical}, which is other content"
                )))
            }
            (Some(_), Some(bytes)) => Ok(Some(Manifest::from_stored(*digest, bytes))),
            (Some(canonical), None) => {
                tracing::error!(repository = %self.repository.name, %canonical, "a revision's bytes are missing");
                Ok(None)
            }
            (None, _) => Ok(None),
        }
    }

    /// Returns the canonical digest of a revision of this repository. An alias counts only while the canonical
    /// revision exists too (ADR 0013).
    pub(crate) async fn revision(&self, digest: &Digest) -> Result<Option<Digest>> {
        let link = layout::revision_link(&self.repository.name, digest);
        let Some(canonical) = self.links().follow(&link, digest).await? else { return Ok(None) };
        if canonical == *digest {
            return Ok(Some(canonical));
        }
        self.links().follow(&layout::revision_link(&self.repository.name, &canonical), &canonical).await
    }

    /// Returns whether the repository has a manifest, including its bytes. A manifest with damaged bytes counts
    /// as absent, so that a push brings it again.
    ///
    /// # Errors
    /// Only those of the store.
    pub async fn exists(&self, reference: &Reference) -> Result<bool> {
        let about = self.repository.about().with_reference(reference);
        let operation = operation!("manifest.exists", self.repository.shared, about);
        let exists = async {
            match self.read(reference).await {
                Ok(_) => Ok(true),
                Err(RegistryError::ManifestUnknown { .. } | RegistryError::Damaged(_)) => Ok(false),
                Err(error) => Err(error),
            }
        };
        operation.run(pin!(exists), |exists, record| record.entries = Some(usize::from(*exists))).await
    }

    /// Stores a manifest under a tag or digest, and keeps its bytes exactly as they are.
    ///
    /// Everything that it references has to be in the repository first, as the registry's
    /// [`ReferencePolicy`](crate::ReferencePolicy) says. If not, nothing is written, and
    /// [`RegistryError::ReferencesUnknown`] names what is missing. So a copy of an image that the location may
    /// already have can put the manifest first and push only what is missing.
    ///
    /// A manifest with only a wrong size is accepted only if the repository already has it and the content
    /// hashes to its digest; checking that reads the content. So an image of an old store can get another tag,
    /// but no new image of that kind is made ([`integrity`](crate::integrity)).
    ///
    /// Order of writes: bytes, revision link, tag index, tag link. A crash in between leaves the tag as it was.
    /// 4 driver calls, plus 1 listing and 1 per blob to check what the manifest references. If the check finds
    /// a blob that was not pushed through this registry a moment ago, 3 reads come first; they save the 4 calls
    /// if the manifest is stored and tagged already.
    ///
    /// Holds the bytes (at most 4 MiB) and their parsed form until it is done: up to 36 MiB. At most 4
    /// manifests over 256 KiB are put at a time. Others wait with their bytes, which the caller holds.
    ///
    /// # Errors
    /// [`RegistryError::ManifestInvalid`], [`RegistryError::ManifestTooLarge`],
    /// [`RegistryError::ReferencesUnknown`], [`RegistryError::Mismatch`] if `reference` is the digest of other
    /// bytes.
    pub async fn put(
        &self,
        reference: &Reference,
        media_type: Option<&str>,
        bytes: Bytes,
    ) -> Result<Manifest> {
        match reference {
            Reference::Tag(tag) => self.put_tagged(None, std::slice::from_ref(tag), media_type, bytes).await,
            Reference::Digest(digest) => self.put_tagged(Some(digest), &[], media_type, bytes).await,
        }
    }

    /// Stores a manifest under a digest and any number of tags at once (distribution-spec, end-7b).
    ///
    /// Otherwise it is like [`put`](Self::put).
    ///
    /// # Errors
    /// Those of [`put`](Self::put).
    pub async fn put_tagged(
        &self,
        digest: Option<&Digest>,
        tags: &[Tag],
        media_type: Option<&str>,
        bytes: Bytes,
    ) -> Result<Manifest> {
        let about = self.repository.about().with_tags(tags);
        let about = digest.map_or(about, |digest| about.with_digest(digest));
        let operation = operation!("manifest.put", self.repository.shared, about);
        operation.run(pin!(self.store_new(digest, tags, media_type, bytes)), note).await
    }

    async fn store_new(
        &self,
        digest: Option<&Digest>,
        tags: &[Tag],
        media_type: Option<&str>,
        bytes: Bytes,
    ) -> Result<Manifest> {
        self.check_bytes(digest, &bytes)?;
        let _permit = self.repository.shared.limiter.parse(bytes.len() as u64).await;
        let manifest = Manifest::parse(media_type, bytes)?;
        self.check_urls(&manifest)?;
        let mut references = self.check_references(&manifest).await?;
        self.miss_cut_children(&manifest, &mut references).await?;
        if let Some(flaw) = references.flaws.first()
            && !self.is_old(&manifest, &references.flaws).await?
        {
            return Err(ManifestError::Flaw(flaw.clone()).into());
        }
        if !references.missing.is_empty() {
            return Err(RegistryError::ReferencesUnknown(references.missing));
        }
        self.finish(digest, tags, manifest, references.is_fresh).await
    }

    /// Stores a manifest that comes from another store, byte for byte.
    ///
    /// It accepts what clients may no longer push but [`Manifest::from_stored`] reads, and returns every flaw
    /// of it.
    ///
    /// Everything that it references has to be here, as for [`put`](Self::put). Content whose size is in doubt
    /// is read and has to hash to its digest. Content that does not, and a blob of another size than named,
    /// count as missing, so that pushing them heals them.
    ///
    /// # Errors
    /// Those of [`put`](Self::put); [`RegistryError::ManifestInvalid`] for schema 1, for media types other than
    /// the four, and for a flaw that [is damage](Flaw::is_damage).
    pub async fn put_stored(
        &self,
        digest: Option<&Digest>,
        tags: &[Tag],
        manifest: &Manifest,
    ) -> Result<Vec<Flaw>> {
        let about = self.repository.about().with_tags(tags);
        let about = digest.map_or(about, |digest| about.with_digest(digest));
        let operation = operation!("manifest.put", self.repository.shared, about);
        operation.run(pin!(self.store_old(digest, tags, manifest)), |_, record| note(manifest, record)).await
    }

    async fn store_old(
        &self,
        digest: Option<&Digest>,
        tags: &[Tag],
        manifest: &Manifest,
    ) -> Result<Vec<Flaw>> {
        let bytes = manifest.bytes().clone();
        self.check_bytes(digest, &bytes)?;
        let _permit = self.repository.shared.limiter.parse(bytes.len() as u64).await;
        let manifest = Manifest::from_stored(Digest::sha256(&bytes), bytes);
        manifest.check_kind()?;
        if let Some(damage) = flaws_of(&manifest).into_iter().find(Flaw::is_damage) {
            return Err(ManifestError::Flaw(damage).into());
        }
        self.check_urls(&manifest)?;
        let References { mut missing, flaws, is_fresh } = self.check_references(&manifest).await?;
        for flaw in &flaws {
            match flaw.doubtful() {
                Some(digest) if !missing.contains(&digest) && !self.is_sound(&digest, &manifest).await? => {
                    missing.push(digest);
                }
                _ => {}
            }
            if let Flaw::BlobSize { digest, .. } = flaw {
                missing.push(*digest);
            }
        }
        if !missing.is_empty() {
            return Err(RegistryError::ReferencesUnknown(missing));
        }
        let told = [manifest.flaws(), &flaws].concat();
        self.finish(digest, tags, manifest, is_fresh).await?;
        Ok(told)
    }

    fn check_bytes(&self, digest: Option<&Digest>, bytes: &Bytes) -> Result<()> {
        self.repository.shared.require_writable()?;
        if bytes.len() as u64 > MAX_MANIFEST_SIZE {
            return Err(RegistryError::ManifestTooLarge { limit: MAX_MANIFEST_SIZE });
        }
        let Some(expected) = digest else { return Ok(()) };
        let actual = Digest::of(expected.algorithm(), bytes);
        if actual == *expected {
            Ok(())
        } else {
            Err(VerifyError::Digest { expected: *expected, actual }.into())
        }
    }

    async fn finish(
        &self,
        digest: Option<&Digest>,
        tags: &[Tag],
        manifest: Manifest,
        is_fresh: bool,
    ) -> Result<Manifest> {
        let canonical = manifest.digest();
        let digest = digest.copied().unwrap_or(canonical);
        // An image that was not pushed through this registry a moment ago is likely to be here already. Then
        // three reads save four writes.
        if is_fresh || !self.is_complete(&digest, &manifest, tags).await? {
            self.write(&digest, &manifest, tags).await?;
        }
        self.repository.shared.cache.insert_summary(&canonical, Arc::new(ManifestSummary::of(&manifest)));
        Ok(manifest.with_digest(digest))
    }

    /// A child of another size that does not hash to its digest counts as missing: a push heals it (ADR 0020).
    async fn miss_cut_children(&self, manifest: &Manifest, references: &mut References) -> Result<()> {
        for flaw in std::mem::take(&mut references.flaws) {
            match &flaw {
                Flaw::ManifestSize { digest, .. } if !self.is_sound(digest, manifest).await? => {
                    references.missing.push(*digest);
                }
                _ => references.flaws.push(flaw),
            }
        }
        Ok(())
    }

    /// Whether the repository already has the manifest, and nothing but sizes is wrong with it.
    async fn is_old(&self, manifest: &Manifest, flaws: &[Flaw]) -> Result<bool> {
        if !self.is_complete(&manifest.digest(), manifest, &[]).await? {
            return Ok(false);
        }
        for flaw in flaws {
            let Some(digest) = flaw.doubtful().filter(|_| !flaw.is_damage()) else { return Ok(false) };
            if !self.is_sound(&digest, manifest).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether content that a manifest references is stored and hashes to its digest. Reads the content.
    async fn is_sound(&self, digest: &Digest, manifest: &Manifest) -> Result<bool> {
        let canonical = match manifest.kind() {
            ManifestKind::Index { .. } => self.revision(digest).await?,
            _ => self.repository.blobs().resolve(digest).await?,
        };
        // A non-distributable layer may be elsewhere, and so may a child if the policy allows it.
        let Some(canonical) = canonical else { return Ok(true) };
        Ok(matches!(self.store().verify(&canonical).await?, Some(Ok(_))))
    }

    async fn write(&self, digest: &Digest, manifest: &Manifest, tags: &[Tag]) -> Result<()> {
        let canonical = manifest.digest();
        self.store().put(&canonical, manifest.bytes().clone()).await?;
        self.links().write(&layout::revision_link(&self.repository.name, &canonical), &canonical).await?;
        if *digest != canonical {
            // Both links: a garbage collection of distribution follows the alias to the canonical one.
            self.links().write(&layout::revision_link(&self.repository.name, digest), &canonical).await?;
        }
        for tag in tags {
            self.tags().set(tag, digest).await?;
        }
        Ok(())
    }

    /// Whether bytes, revision and tags are all stored as this put would store them.
    async fn is_complete(&self, digest: &Digest, manifest: &Manifest, tags: &[Tag]) -> Result<bool> {
        let all_named = async {
            stream::iter(tags.to_vec())
                .map(|tag| async move {
                    Ok::<_, RegistryError>(self.tags().current(&tag).await? == Some(*digest))
                })
                .buffer_unordered(self.repository.shared.options.concurrency)
                .try_fold(true, |all, one| async move { Ok(all && one) })
                .await
        };
        let stored = async {
            match self.store().get(&manifest.digest(), MAX_MANIFEST_SIZE).await {
                Ok(bytes) => Ok(bytes.is_some_and(|bytes| bytes == manifest.bytes())),
                // The good bytes are in memory.
                Err(error) if error.is_damage() => Ok(false),
                Err(error) => Err(error),
            }
        };
        let (all_named, stored, revision) = try_join3(all_named, stored, self.revision(digest)).await?;
        Ok(all_named && stored && revision.is_some())
    }

    fn check_urls(&self, manifest: &Manifest) -> Result<()> {
        let ManifestKind::Image { layers, .. } = manifest.kind() else { return Ok(()) };
        let mut urls = layers.iter().flat_map(|layer: &ManifestEntry| &layer.urls);
        let refused = match &self.repository.shared.options.urls {
            UrlPolicy::Accept => None,
            UrlPolicy::Refuse => urls.next(),
            UrlPolicy::Prefixes(allowed) => {
                urls.find(|url| !allowed.iter().any(|prefix| url.starts_with(prefix)))
            }
        };
        refused.map_or(Ok(()), |url| Err(ManifestError::Url(shown_line(url)).into()))
    }

    /// Deletes a manifest and all tags that name it (by digest), or only a tag (by tag).
    ///
    /// Bytes, layers and the index history of other tags stay.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`]; [`RegistryError::DeletesOff`] if deletes are off.
    pub async fn delete(&self, reference: &Reference) -> Result<()> {
        let about = self.repository.about().with_reference(reference);
        let operation = operation!("manifest.delete", self.repository.shared, about);
        operation.run(pin!(self.remove(reference)), |_, _| ()).await
    }

    async fn remove(&self, reference: &Reference) -> Result<()> {
        self.repository.shared.require_delete()?;
        let digest = match reference {
            Reference::Tag(tag) => return self.tags().remove(tag).await,
            Reference::Digest(digest) => digest,
        };
        let canonical = self.revision(digest).await?.ok_or_else(|| self.unknown(reference))?;
        let names = self.names_of(&canonical, digest).await?;
        // Tags go last in a push, and so first here. A crash in between leaves an untagged manifest, which is
        // data, not a tag that leads nowhere.
        let tags = self.tags().naming(&names).await?;
        self.tags().delete_all(tags).await?;
        let links = names.iter().map(|name| layout::revision_link(&self.repository.name, name));
        self.links().remove(links.collect()).await
    }

    /// Returns all digests under which a manifest may be linked. Aliases come first, so that none ever stands
    /// alone.
    async fn names_of(&self, canonical: &Digest, asked: &Digest) -> Result<Vec<Digest>> {
        let mut names = match self.store().get(canonical, MAX_MANIFEST_SIZE).await {
            Ok(Some(bytes)) => {
                [Algorithm::Sha512, Algorithm::Sha384].map(|other| Digest::of(other, &bytes)).to_vec()
            }
            // Without good bytes, only the requested name is known. The manifest is still deleted.
            Ok(None) | Err(RegistryError::Damaged(_)) => vec![*asked],
            Err(error) => return Err(error),
        };
        names.retain(|name| name != canonical);
        names.push(*canonical);
        Ok(names)
    }
}

/// Notes which manifest it was.
fn note(manifest: &Manifest, record: &mut Record) {
    record.digest = Some(manifest.digest());
    record.bytes = Some(manifest.bytes().len() as u64);
}
