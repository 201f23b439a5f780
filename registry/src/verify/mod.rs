//! Verifies everything that a repository names: every link, size and digest.

mod image;
mod listing;
mod needs;
mod path_error;
mod report;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    pin::pin,
};

use plugin_registry_core::{Descriptor, Digest, RepositoryName, StorageDriverExt, StoragePath, Tag};

use self::needs::{Cause, Needs};
pub use self::report::{Finding, ImageName, Note, NoteKind, VerifyEvent, VerifyReport, VerifyScope};
use crate::{
    blob::BlobStore,
    error::{RegistryError, Result},
    integrity::{self, ContentKind, Flaw, Verdict},
    layout,
    link::LinkStore,
    manifest::{MAX_MANIFEST_SIZE, Manifest, flaws_of, links_of},
    operation::{About, Record, operation},
    options::ReferencePolicy,
    registry::Registry,
};

impl Registry {
    /// Reads all content that the repositories name and compares it with its digests.
    ///
    /// It follows every link, tag and reference, and changes nothing.
    ///
    /// Damage is what cannot be read as it was stored: by the same rules a push is refused and a copy fails
    /// ([`integrity`](crate::integrity)). An oddity that does not prevent reading is a [`Note`].
    ///
    /// Reads each blob once, and each manifest once for each repository that has it. Holds about 100 bytes per
    /// blob, the links and tags of one repository, about 200 bytes per child of its indexes, one manifest and
    /// one piece of content. Dropping the future stops it.
    ///
    /// A file that cannot be read is a [`Finding`] with its path, too, and the run continues. If the store
    /// itself fails (it is unavailable, slow, or rejects the credentials), the run ends:
    /// [`unfinished`](VerifyReport::unfinished) says why, beside what was found so far.
    ///
    /// # Errors
    /// [`RegistryError::RepositoryUnknown`](crate::RegistryError::RepositoryUnknown) for a repository that
    /// holds nothing, [`RegistryError::ManifestUnknown`](crate::RegistryError::ManifestUnknown) for an image that
    /// its repository does not have, and those of a store that fails before anything was looked at.
    pub async fn verify(
        &self,
        scope: VerifyScope,
        mut observer: impl FnMut(VerifyEvent<'_>) + Send,
    ) -> Result<VerifyReport> {
        let about = match &scope {
            VerifyScope::Image(image) => {
                About::repository(&image.repository).with_reference(&image.reference)
            }
            VerifyScope::Repository(name) => About::repository(name),
            VerifyScope::All => About::default(),
        };
        let operation = operation!("verify", self.shared, about);
        let report = self.read_all(&scope, &mut observer);
        let note = |report: &VerifyReport, record: &mut Record| {
            record.bytes = Some(report.bytes);
            record.entries = Some(report.findings.len());
        };
        operation.run(pin!(report), note).await
    }

    async fn read_all(
        &self,
        scope: &VerifyScope,
        observer: &mut (dyn FnMut(VerifyEvent<'_>) + Send),
    ) -> Result<VerifyReport> {
        let mut verification = Verification {
            registry: self,
            report: VerifyReport::default(),
            checked: HashMap::new(),
            causes: Vec::new(),
            observer,
        };
        let run = match scope {
            VerifyScope::Image(image) => verification.image(image).await,
            VerifyScope::Repository(name) => verification.repository(name).await,
            VerifyScope::All => verification.all().await,
        };
        match run {
            Ok(()) => {}
            Err(error) if verification.report.repositories == 0 => return Err(error),
            Err(error) => {
                tracing::error!(?error, "the store failed: the verification is not finished");
                verification.report.unfinished = Some(error.to_string());
            }
        }
        Ok(verification.report)
    }
}

struct Verification<'a> {
    registry: &'a Registry,
    report: VerifyReport,
    /// Content that was read, by canonical digest.
    checked: HashMap<Digest, Stored>,
    /// The findings, by their position, whose image is not known yet.
    causes: Vec<(usize, Cause)>,
    observer: &'a mut (dyn FnMut(VerifyEvent<'_>) + Send),
}

/// The content found under a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    /// Bytes that hash to it, this many.
    Sound(u64),
    /// Other bytes, which were reported.
    Damaged,
    /// Nothing, which was not reported.
    Absent,
    /// Nothing, although a manifest needs it, which was reported.
    Missed,
}

/// The links of one repository.
#[derive(Default)]
struct Linked {
    /// Revisions, and what their links lead to.
    revisions: HashMap<Digest, Digest>,
    /// Layers, and what their links lead to.
    layers: HashMap<Digest, Digest>,
    /// The sizes of sound manifests.
    sizes: HashMap<Digest, u64>,
    /// Layers without bytes that a manifest needs.
    missed: HashSet<Digest>,
    /// Others may still exist: a link could not be read or a directory could not be listed, which was
    /// reported with its own path.
    is_partial: bool,
    /// Which index has which child.
    children: Vec<(Digest, Descriptor)>,
    /// Which images need what is damaged.
    needs: Needs,
}

impl Verification<'_> {
    async fn repository(&mut self, name: &RepositoryName) -> Result<()> {
        // A repository that holds nothing at all is an error here; an empty one is not.
        let tags = self.registry.repository(name.clone()).tags().page(None, usize::MAX).await;
        let (tags, unlisted) = match tags {
            Ok(page) => (page.entries, None),
            Err(error @ RegistryError::RepositoryUnknown(_)) => {
                return if self.has_uploads_only(name).await? { Ok(()) } else { Err(error) };
            }
            Err(error) => (Vec::new(), Some(self.pass(error)?)),
        };
        self.report.repositories += 1;
        let told = self.report.findings.len();
        (self.observer)(VerifyEvent::Repository(name));
        self.note_foreign_names(name).await?;
        let mut linked = Linked::default();
        let revisions = self.linked(name, "_manifests").await?;
        let path = layout::tags(name);
        // The walk may have reported the same.
        let is_told = self.report.findings.iter().skip(told).any(|finding| finding.path == path);
        if let Some(problem) = unlisted.filter(|_| !is_told) {
            self.damage(name, path, problem, Cause::Other);
        }
        for digest in revisions.digests {
            self.revision(name, digest, &mut linked).await?;
        }
        let layers = self.linked(name, "_layers").await?;
        linked.is_partial |= revisions.is_partial || layers.is_partial;
        // The canonical ones come first, as the others count only beside them.
        let (canonical, aliases): (Vec<_>, Vec<_>) =
            layers.digests.into_iter().partition(Digest::is_canonical);
        for digest in canonical.into_iter().chain(aliases) {
            self.layer(name, digest, &mut linked).await?;
        }
        let canonical: Vec<Digest> =
            linked.revisions.keys().filter(|digest| digest.is_canonical()).copied().collect();
        for digest in canonical {
            self.manifest(name, &digest, &mut linked).await?;
        }
        let children = std::mem::take(&mut linked.children);
        for (index, child) in &children {
            self.child(name, index, child, &linked);
        }
        for tag in &tags {
            self.tag(name, tag, &mut linked).await?;
        }
        self.dangling(name, &linked);
        linked.children = children;
        self.attribute(name, &linked);
        Ok(())
    }

    async fn has_uploads_only(&self, name: &RepositoryName) -> Result<bool> {
        Ok(self.registry.shared.driver.exists(&layout::uploads(name)).await?)
    }

    async fn revision(&mut self, name: &RepositoryName, digest: Digest, linked: &mut Linked) -> Result<()> {
        let path = layout::revision_link(name, &digest);
        let cause = Cause::Manifest(digest);
        let Some(canonical) = self.follow(name, &path, &digest, cause, linked).await? else { return Ok(()) };
        linked.revisions.insert(digest, canonical);
        if canonical == digest {
            return Ok(());
        }
        match self.follow_quietly(&layout::revision_link(name, &canonical), &canonical).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                let problem = format!("the alias of {canonical} has no revision to stand for");
                self.damage(name, path, problem, Cause::Manifest(digest));
            }
            // It is reported as a revision.
            Err(error) => drop(self.pass(error)?),
        }
        Ok(())
    }

    async fn layer(&mut self, name: &RepositoryName, digest: Digest, linked: &mut Linked) -> Result<()> {
        let path = layout::layer_link(name, &digest);
        let cause = Cause::Layer(digest);
        let Some(canonical) = self.follow(name, &path, &digest, cause, linked).await? else { return Ok(()) };
        // An alias that a delete by the sha256 digest leaves does not count (ADR 0013).
        if canonical == digest || linked.layers.contains_key(&canonical) {
            linked.layers.insert(digest, canonical);
            self.content(name, &canonical).await?;
        }
        Ok(())
    }

    /// Returns where a link leads. A directory without a link is not damage: distribution on a filesystem
    /// leaves one when it deletes, and so does a push that was killed. If that lost content, the manifest,
    /// index or tag that names the content shows it.
    async fn follow(
        &mut self,
        name: &RepositoryName,
        path: &StoragePath,
        digest: &Digest,
        cause: Cause,
        linked: &mut Linked,
    ) -> Result<Option<Digest>> {
        let found = match self.follow_quietly(path, digest).await {
            Ok(None) => self
                .registry
                .shared
                .driver
                .exists(path)
                .await
                .map_err(Into::into)
                .map(|exists| (None, exists)),
            found => found.map(|target| (target, false)),
        };
        match found {
            Ok((target, is_damaged)) => {
                if is_damaged {
                    let problem = "the link is empty, or names other content".to_owned();
                    self.damage(name, path.clone(), problem, cause);
                }
                Ok(target)
            }
            Err(error) => {
                let problem = self.pass(error)?;
                self.damage(name, path.clone(), problem, Cause::Other);
                linked.is_partial = true;
                Ok(None)
            }
        }
    }

    async fn follow_quietly(&self, path: &StoragePath, digest: &Digest) -> Result<Option<Digest>> {
        LinkStore::new(&self.registry.shared.driver).follow(path, digest).await
    }

    /// Reads content once.
    async fn content(&mut self, name: &RepositoryName, digest: &Digest) -> Result<()> {
        if self.checked.contains_key(digest) {
            return Ok(());
        }
        let stored = match BlobStore::new(&self.registry.shared).verify(digest).await {
            Ok(Some(Ok(size))) => {
                self.report.blobs += 1;
                self.report.bytes += size;
                (self.observer)(VerifyEvent::Content { digest: *digest, size });
                Stored::Sound(size)
            }
            Ok(Some(Err(error))) => {
                self.damage(name, layout::blob_data(digest), error.to_string(), Cause::Content(*digest));
                Stored::Damaged
            }
            // The manifests show whether anything needs it.
            Ok(None) => Stored::Absent,
            Err(error) => {
                let cause = Cause::of_content(&error, *digest);
                let problem = self.pass(error)?;
                self.damage(name, layout::blob_data(digest), problem, cause);
                Stored::Damaged
            }
        };
        self.checked.insert(*digest, stored);
        Ok(())
    }

    async fn manifest(&mut self, name: &RepositoryName, digest: &Digest, linked: &mut Linked) -> Result<()> {
        if let Some(manifest) = self.read_manifest(name, digest, linked).await? {
            self.check_manifest(name, &manifest, linked);
        }
        Ok(())
    }

    /// Returns a manifest, unless its bytes are missing or damaged, which is reported.
    async fn read_manifest(
        &mut self,
        name: &RepositoryName,
        digest: &Digest,
        linked: &mut Linked,
    ) -> Result<Option<Manifest>> {
        let path = layout::blob_data(digest);
        let cause = Cause::Manifest(*digest);
        let bytes = match BlobStore::new(&self.registry.shared).get(digest, MAX_MANIFEST_SIZE).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                self.damage(name, path, "the manifest's bytes are missing".to_owned(), cause);
                return Ok(None);
            }
            Err(RegistryError::Damaged(problem)) => {
                self.damage(name, path, problem, cause);
                return Ok(None);
            }
            Err(error) => {
                let cause = if error.is_damage() { cause } else { Cause::Other };
                let problem = self.pass(error)?;
                self.damage(name, path, problem, cause);
                return Ok(None);
            }
        };
        let size = bytes.len() as u64;
        self.report.manifests += 1;
        self.report.bytes += size;
        (self.observer)(VerifyEvent::Content { digest: *digest, size });
        linked.sizes.insert(*digest, size);
        Ok(Some(Manifest::from_stored(*digest, bytes)))
    }

    /// Looks for everything that a manifest names, once the links and their content are known.
    fn check_manifest(&mut self, name: &RepositoryName, manifest: &Manifest, linked: &mut Linked) {
        let digest = manifest.digest();
        for flaw in flaws_of(manifest) {
            self.flaw(name, &digest, &flaw);
        }
        let links = links_of(manifest);
        for blob in &links.blobs {
            self.blob(name, &digest, blob, links.is_sized, linked);
        }
        linked.children.extend(links.manifests.into_iter().map(|child| (digest, child)));
    }

    /// Looks for a blob that a manifest needs.
    fn blob(
        &mut self,
        name: &RepositoryName,
        manifest: &Digest,
        blob: &Descriptor,
        is_sized: bool,
        linked: &mut Linked,
    ) {
        let canonical = linked.layers.get(&blob.digest).copied();
        let stored = canonical.and_then(|canonical| Some((canonical, *self.checked.get(&canonical)?)));
        let actual = match stored {
            // Damaged content was reported with its own path.
            Some((canonical, Stored::Damaged)) => {
                linked.needs.add(canonical, *manifest);
                return;
            }
            Some((canonical, Stored::Absent | Stored::Missed)) => {
                linked.missed.insert(canonical);
                linked.needs.add(canonical, *manifest);
                if self.checked.insert(canonical, Stored::Missed) == Some(Stored::Absent) {
                    let path = layout::blob_data(&canonical);
                    self.damage(name, path, "the bytes are missing".to_owned(), Cause::Content(canonical));
                }
                return;
            }
            Some((_, Stored::Sound(size))) => Some(size),
            None if self.registry.shared.options.references == ReferencePolicy::Sparse => return,
            None if linked.is_partial => return,
            None => None,
        };
        match integrity::judge(ContentKind::Blob, blob, actual) {
            Verdict::Absent => {
                let problem =
                    format!("manifest {manifest} needs {}, which is not in the repository", blob.digest);
                linked.needs.add(blob.digest, *manifest);
                let cause = Cause::Layer(blob.digest);
                self.damage(name, layout::layer_link(name, &blob.digest), problem, cause);
            }
            // Sizes that are not named were reported with the manifest.
            Verdict::Flawed(flaw) if is_sized && flaw.is_damage() => self.flaw(name, manifest, &flaw),
            Verdict::Flawed(_) | Verdict::Whole => {}
        }
    }

    fn child(&mut self, name: &RepositoryName, index: &Digest, child: &Descriptor, linked: &Linked) {
        let Some(canonical) = linked.revisions.get(&child.digest) else {
            if self.registry.shared.options.references == ReferencePolicy::Complete && !linked.is_partial {
                let problem =
                    format!("index {index} needs manifest {}, which is not in the repository", child.digest);
                let cause = Cause::Manifest(*index);
                self.damage(name, layout::revision_link(name, &child.digest), problem, cause);
            }
            return;
        };
        // A child whose bytes are missing or damaged was reported with its own path.
        match integrity::judge(ContentKind::Manifest, child, linked.sizes.get(canonical).copied()) {
            Verdict::Flawed(Flaw::NoSize { .. }) | Verdict::Absent | Verdict::Whole => {}
            Verdict::Flawed(flaw) => self.flaw(name, index, &flaw),
        }
    }

    /// Reports a flaw of a manifest, as damage or as a note.
    fn flaw(&mut self, name: &RepositoryName, manifest: &Digest, flaw: &Flaw) {
        let path = layout::revision_link(name, manifest);
        if flaw.is_damage() {
            self.damage(name, path, flaw.to_string(), Cause::Other);
        } else {
            self.note(name, path, NoteKind::Flaw, flaw.to_string());
        }
    }

    async fn tag(&mut self, name: &RepositoryName, tag: &Tag, linked: &mut Linked) -> Result<()> {
        let path = layout::tag_current(name, tag);
        let cause = Cause::Tag(tag.clone());
        let (problem, cause) = match LinkStore::new(&self.registry.shared.driver).read(&path).await {
            Ok(None) => ("the tag's link is missing or damaged".to_owned(), cause),
            Ok(Some(digest)) => match linked.revisions.get(&digest) {
                Some(canonical) => {
                    linked.needs.tag(*canonical, tag);
                    return Ok(());
                }
                None => {
                    linked.needs.tag(digest, tag);
                    if linked.is_partial {
                        return Ok(());
                    }
                    (format!("the tag names {digest}, which is not in the repository"), cause)
                }
            },
            Err(error) => (self.pass(error)?, Cause::Other),
        };
        self.damage(name, path, problem, cause);
        Ok(())
    }

    /// Counts the layer links that lead nowhere and that no manifest needs.
    fn dangling(&mut self, name: &RepositoryName, linked: &Linked) {
        let is_gone = |canonical: &Digest| {
            let stored = self.checked.get(canonical);
            matches!(stored, Some(Stored::Absent | Stored::Missed)) && !linked.missed.contains(canonical)
        };
        let gone = || linked.layers.values().filter(|canonical| is_gone(canonical));
        let count = gone().count();
        let Some(first) = gone().min() else { return };
        self.report.dangling_links += count;
        let links = if count == 1 { "layer link leads" } else { "layer links lead" };
        let text = format!(
            "{count} {links} to bytes that are gone, as after a garbage collection of distribution 2; no manifest \
             here needs them; {first} is one"
        );
        self.note(name, layout::layers(name, first.algorithm()), NoteKind::DanglingLinks, text);
    }

    fn damage(&mut self, repository: &RepositoryName, path: StoragePath, problem: String, cause: Cause) {
        let finding = Finding { repository: repository.clone(), path, problem, image: None };
        (self.observer)(VerifyEvent::Damage(&finding));
        if cause != Cause::Other {
            self.causes.push((self.report.findings.len(), cause));
        }
        self.report.findings.push(finding);
    }

    fn note(&mut self, repository: &RepositoryName, path: impl fmt::Display, kind: NoteKind, text: String) {
        let note = Note { repository: repository.clone(), path: path.to_string(), kind, text };
        (self.observer)(VerifyEvent::Note(&note));
        self.report.notes.push(note);
    }
}

const FOREIGN: &str = "no registry puts that there; it is left alone";
