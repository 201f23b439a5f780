//! The copy itself.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicU64, Ordering},
};

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use plugin_registry::{
    integrity::{self, ContentKind, Flaw, Verdict},
    manifest::{Links, Manifest, ManifestKind, flaws_of, links_of},
};
use plugin_registry_core::{Descriptor, Digest};
use tracing::{Instrument, level_filters::LevelFilter};

use crate::{
    destination::{Destination, PutOutcome, Role},
    error::{CopyError, Result},
    log::{self, Begun},
    options::CopyOptions,
    progress::{BlobOutcome, CopyEvent, Progress},
    report::{CopyNote, CopyReport, Skipped},
    source::Source,
};

/// Deepest nesting of indexes. Real images nest no more than three.
const MAX_DEPTH: usize = 16;

/// Copies one image, byte for byte, and reports what it did.
///
/// Children come before their index, layers before the config, both before their manifest, and the image's name
/// is set last. A destination that checks references itself is given the manifest first. So what it already has
/// is neither read nor asked for one by one.
///
/// Holds [`concurrency`](CopyOptions::concurrency) blobs on the way (each takes what the source's reader and the
/// destination's writer hold), one manifest of at most 4 MiB for each level of nesting, and about 100 bytes per
/// manifest. Dropping the future stops the copy: what has arrived stays, and the name is not set.
///
/// # Errors
/// Fails with a [`CopyError`] that names the end where it happened.
pub async fn copy(
    source: &dyn Source,
    destination: &dyn Destination,
    options: &CopyOptions,
    progress: &dyn Progress,
) -> Result<CopyReport> {
    let span = log::span(source, destination);
    let copied = async {
        let begun = Begun::now(LevelFilter::INFO);
        let report = copy_image(source, destination, options, progress).await?;
        log::image(source, destination, &report, &begun);
        Ok(report)
    };
    copied.instrument(span).await
}

async fn copy_image(
    source: &dyn Source,
    destination: &dyn Destination,
    options: &CopyOptions,
    progress: &dyn Progress,
) -> Result<CopyReport> {
    let root = source.root().await?;
    let report = CopyReport::new(root.descriptor());
    let mut engine = Engine {
        source,
        destination,
        options,
        progress,
        report,
        done: HashSet::new(),
        copied: Vec::new(),
        noted: HashSet::new(),
        mended: HashSet::new(),
    };
    if options.referrers {
        engine.manifest(&root, Role::Child, 0).await?;
        engine.referrers().await?;
        engine.put(&root, Role::Root).await?;
    } else {
        engine.manifest(&root, Role::Root, 0).await?;
    }
    Ok(engine.report)
}

struct Engine<'a> {
    source: &'a dyn Source,
    destination: &'a dyn Destination,
    options: &'a CopyOptions,
    progress: &'a dyn Progress,
    report: CopyReport,
    /// Manifests that are at the destination. Each is copied once, however often it is named.
    done: HashSet<Digest>,
    /// The same manifests, in order, for their referrers.
    copied: Vec<Digest>,
    noted: HashSet<CopyNote>,
    /// Blobs that a repair found whole, or mended. Each is read once, however many manifests name it.
    mended: HashSet<Digest>,
}

impl Engine<'_> {
    /// Copies a manifest with everything that it names.
    fn manifest<'b>(
        &'b mut self,
        manifest: &'b Manifest,
        role: Role,
        depth: usize,
    ) -> BoxFuture<'b, Result<()>> {
        async move {
            let descriptor = manifest.descriptor();
            if depth > MAX_DEPTH {
                let problem = "indexes are nested too deeply";
                return Err(CopyError::Unsupported { digest: descriptor.digest, problem });
            }
            self.check(manifest)?;
            self.progress.on_event(CopyEvent::Manifest(&descriptor));
            let links = links_of(manifest);
            // A destination does not ask for optional blobs, so it has to be asked about them.
            let begins_with_manifest = self.destination.checks_references()
                && links.optional_blobs.is_empty()
                && !self.options.repair;
            let lacking = if self.options.repair {
                self.distrusted(&links)
            } else if begins_with_manifest {
                self.destination.put_manifest(manifest, role).await?
            } else {
                self.destination.missing(&links).await?
            };
            let is_stored = begins_with_manifest && !matches!(lacking, PutOutcome::Missing { .. });
            let (blobs, manifests) = match lacking {
                PutOutcome::Stored => (Vec::new(), Vec::new()),
                PutOutcome::Flawed(flaws) => {
                    self.notes(manifest, flaws);
                    (Vec::new(), Vec::new())
                }
                PutOutcome::Missing { blobs, manifests } => (blobs, manifests),
            };
            let named = links.blobs.iter().chain(&links.optional_blobs);
            let absent: HashSet<Digest> = blobs.iter().map(|blob| blob.digest).collect();
            for present in named.filter(|named| !absent.contains(&named.digest)) {
                self.report.blobs_present += 1;
                self.report.count_present(present);
                self.progress.on_event(CopyEvent::Present(present));
            }
            let absent: HashSet<Digest> = manifests.iter().map(|manifest| manifest.digest).collect();
            for present in links.manifests.iter().filter(|named| !absent.contains(&named.digest)) {
                self.progress.on_event(CopyEvent::Present(present));
            }
            self.report.manifests_present += links.manifests.len() - manifests.len();
            self.children(manifest, &manifests, depth).await?;
            let optional = links.optional_blobs.iter().map(|optional| optional.digest).collect();
            self.blobs(manifest, blobs, &optional).await?;
            if !is_stored {
                self.put(manifest, role).await?;
            }
            self.stored(manifest);
            Ok(())
        }
        .boxed()
    }

    /// Returns everything that a manifest names and a repair has not looked at yet.
    fn distrusted(&mut self, links: &Links) -> PutOutcome {
        let named = links.blobs.iter().chain(&links.optional_blobs);
        let blobs = named.filter(|blob| self.mended.insert(blob.digest)).cloned().collect();
        PutOutcome::Missing { blobs, manifests: links.manifests.clone() }
    }

    /// Refuses a manifest if something that it may name would not be copied. Notes what is odd but harmless.
    fn check(&mut self, manifest: &Manifest) -> Result<()> {
        let digest = manifest.digest();
        for flaw in flaws_of(manifest) {
            match flaw {
                Flaw::Unreadable { problem } => return Err(CopyError::Unsupported { digest, problem }),
                damage if damage.is_damage() => return Err(self.damaged(digest, &damage)),
                flaw => self.note(digest, flaw),
            }
        }
        Ok(())
    }

    fn damaged(&self, manifest: Digest, problem: &Flaw) -> CopyError {
        let (place, what) = (self.source.label(), format!("manifest {manifest}"));
        CopyError::Damaged { place, what, problem: problem.to_string() }
    }

    fn notes(&mut self, manifest: &Manifest, flaws: Vec<Flaw>) {
        flaws.into_iter().for_each(|flaw| self.note(manifest.digest(), flaw));
    }

    /// Adds a note once: both ends may report the same flaw.
    fn note(&mut self, manifest: Digest, flaw: Flaw) {
        let note = CopyNote { manifest, flaw };
        if self.noted.insert(note.clone()) {
            self.report.notes.push(note);
        }
    }

    /// Gives the destination a manifest whose content is there.
    async fn put(&mut self, manifest: &Manifest, role: Role) -> Result<()> {
        match self.destination.put_manifest(manifest, role).await? {
            PutOutcome::Stored => Ok(()),
            PutOutcome::Flawed(flaws) => {
                self.notes(manifest, flaws);
                Ok(())
            }
            PutOutcome::Missing { blobs, manifests } => Err(CopyError::StillMissing {
                place: self.destination.label(),
                manifest: manifest.digest(),
                missing: blobs.into_iter().chain(manifests).collect(),
            }),
        }
    }

    fn stored(&mut self, manifest: &Manifest) {
        let descriptor = manifest.descriptor();
        self.progress.on_event(CopyEvent::Stored(&descriptor));
        self.report.manifests += 1;
        self.report.bytes_copied += descriptor.size;
        if self.done.insert(descriptor.digest) {
            self.copied.push(descriptor.digest);
        }
    }

    /// Copies those children of an index that the destination lacks, one after the other.
    async fn children(&mut self, index: &Manifest, children: &[Descriptor], depth: usize) -> Result<()> {
        for child in children {
            if self.done.contains(&child.digest) {
                continue;
            }
            match self.fetch(index.digest(), child).await {
                Ok(manifest) => self.manifest(&manifest, Role::Child, depth + 1).await?,
                Err(CopyError::NotFound { .. }) if self.options.sparse => {
                    self.report.skipped.push(Skipped::Child(child.clone()));
                }
                Err(CopyError::NotFound { place, what }) => {
                    return Err(CopyError::Incomplete { place, what });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads a manifest that another one names.
    async fn fetch(&mut self, parent: Digest, descriptor: &Descriptor) -> Result<Manifest> {
        let manifest = self.source.manifest(descriptor).await?;
        let size = manifest.bytes().len() as u64;
        // Its digest was compared, so a wrong size is the descriptor's mistake, and not damage.
        if let Verdict::Flawed(flaw) = integrity::judge(ContentKind::Manifest, descriptor, Some(size)) {
            self.note(parent, flaw);
        }
        Ok(manifest)
    }

    /// Moves the blobs of an image: its layers side by side, then its config.
    async fn blobs(
        &mut self,
        manifest: &Manifest,
        blobs: Vec<Descriptor>,
        optional: &HashSet<Digest>,
    ) -> Result<()> {
        let config = match manifest.kind() {
            ManifestKind::Image { config: Some(config), .. } => Some(config.descriptor.digest),
            _ => None,
        };
        let is_sized = links_of(manifest).is_sized;
        let (configs, layers): (Vec<_>, Vec<_>) =
            blobs.into_iter().partition(|blob| Some(blob.digest) == config);
        for group in [layers, configs] {
            let this = &*self;
            let ended: Vec<(Descriptor, BlobOutcome, u64)> = stream::iter(group)
                .map(|blob| this.blob(blob, is_sized, optional))
                .buffered(self.options.concurrency.max(1))
                .try_collect()
                .await?;
            for (descriptor, outcome, moved) in ended {
                self.count(descriptor, outcome, moved);
            }
        }
        Ok(())
    }

    async fn blob(
        &self,
        descriptor: Descriptor,
        is_sized: bool,
        optional: &HashSet<Digest>,
    ) -> Result<(Descriptor, BlobOutcome, u64)> {
        self.progress.on_event(CopyEvent::BlobStarted(&descriptor));
        let begun = Begun::now(LevelFilter::DEBUG);
        let size = integrity::named_size(&descriptor).filter(|_| is_sized);
        let content = self.source.blob(&descriptor.digest, size);
        let moved = AtomicU64::new(0);
        let content = content.inspect(|bytes| {
            moved.fetch_add(bytes, Ordering::Relaxed);
            self.progress.on_event(CopyEvent::BlobMoved(&descriptor, bytes));
        });
        let put = if self.options.repair {
            self.destination.mend_blob(&descriptor, content).await
        } else {
            self.destination.put_blob(&descriptor, content).await
        };
        let outcome = match put {
            Err(CopyError::NotFound { .. }) if optional.contains(&descriptor.digest) => BlobOutcome::Skipped,
            Err(CopyError::NotFound { place, what }) => return Err(CopyError::Incomplete { place, what }),
            outcome => outcome?,
        };
        self.progress.on_event(CopyEvent::BlobEnded(&descriptor, outcome));
        let moved = moved.into_inner();
        log::blob(&descriptor, outcome, moved, &begun);
        Ok((descriptor, outcome, moved))
    }

    fn count(&mut self, descriptor: Descriptor, outcome: BlobOutcome, moved: u64) {
        match outcome {
            BlobOutcome::Copied => {
                self.report.blobs_copied += 1;
                self.report.bytes_copied += moved;
            }
            BlobOutcome::Mended => {
                self.report.blobs_copied += 1;
                self.report.blobs_mended += 1;
                self.report.bytes_copied += moved;
            }
            BlobOutcome::Present => {
                self.report.blobs_present += 1;
                self.report.count_present(&descriptor);
            }
            BlobOutcome::Deduplicated => {
                self.report.blobs_deduplicated += 1;
                self.report.count_present(&descriptor);
            }
            BlobOutcome::Skipped => {
                // Another manifest may need it.
                self.mended.remove(&descriptor.digest);
                self.report.skipped.push(Skipped::NonDistributable(descriptor));
            }
        }
    }

    /// Copies what refers to the copied manifests, and what refers to that.
    async fn referrers(&mut self) -> Result<()> {
        let mut next = 0;
        while let Some(subject) = self.copied.get(next).copied() {
            next += 1;
            for referrer in self.source.referrers(&subject).await? {
                if !self.done.contains(&referrer.digest) {
                    let manifest = self.fetch(subject, &referrer).await?;
                    self.manifest(&manifest, Role::Referrer, 0).await?;
                }
            }
        }
        Ok(())
    }
}
