//! The copy itself.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicU64, Ordering},
};

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use plugin_registry::{Manifest, ManifestKind, layout};
use plugin_registry_core::{Descriptor, Digest};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    destination::{Destination, PutOutcome, Role},
    error::{CopyError, Result},
    options::CopyOptions,
    progress::{BlobOutcome, Event, Progress},
    report::{CopyReport, Skipped},
    source::Source,
};

/// Deepest nesting of indexes. Nobody nests more than three.
const MAX_DEPTH: usize = 16;

/// Copies one image, byte for byte, and tells what it did.
///
/// Children come before their index, layers before the config, both before their manifest, and the
/// image's name is set last. A destination that checks references itself is given the manifest
/// first: what it has already is then neither read nor asked for one by one.
///
/// Holds [`parallel`](CopyOptions::parallel) blobs on the way (each what the source's reader and the
/// destination's writer hold), one manifest of at most 4 MiB for each level of nesting, and about 100 bytes a
/// manifest. Dropping the future stops the copy; what has arrived stays, the name is not set.
///
/// # Errors
/// [`CopyError`], naming the end where it happened.
#[tracing::instrument(level = "debug", skip_all, fields(source = %source.place(), destination = %destination.place()))]
pub async fn copy(
    source: &dyn Source,
    destination: &dyn Destination,
    options: &CopyOptions,
    progress: &dyn Progress,
) -> Result<CopyReport> {
    let root = source.root().await?;
    let report = CopyReport::new(root.descriptor());
    let mut engine =
        Engine { source, destination, options, progress, report, done: HashSet::new(), copied: Vec::new() };
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
    /// Manifests that are at the destination: each is copied once, however often it is named.
    done: HashSet<Digest>,
    /// The same, in order, for their referrers.
    copied: Vec<Digest>,
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
                let problem = "indexes are nested too deep";
                return Err(CopyError::Unsupported { digest: descriptor.digest, problem });
            }
            check_form(manifest)?;
            self.progress.on(Event::Manifest(&descriptor));
            let links = layout::links_of(manifest);
            // Optional blobs are nothing that a destination asks for, so there it has to be asked.
            let looks_below = self.options.repair && !links.manifests.is_empty();
            let begins_with_manifest =
                self.destination.checks_references() && links.optional_blobs.is_empty() && !looks_below;
            let lacking = if begins_with_manifest {
                self.destination.put_manifest(manifest, role).await?
            } else {
                self.destination.lacking(&links).await?
            };
            let is_stored = begins_with_manifest && lacking == PutOutcome::Stored;
            let (blobs, mut manifests) = match lacking {
                PutOutcome::Stored => (Vec::new(), Vec::new()),
                PutOutcome::Lacking { blobs, manifests } => (blobs, manifests),
            };
            if looks_below {
                manifests.clone_from(&links.manifests);
            }
            let named = links.blobs.iter().chain(&links.optional_blobs);
            let absent: HashSet<Digest> = blobs.iter().map(|blob| blob.digest).collect();
            for present in named.filter(|named| !absent.contains(&named.digest)) {
                self.report.blobs_present += 1;
                self.report.bytes_deduplicated += present.size;
            }
            self.report.manifests_present += links.manifests.len() - manifests.len();
            self.children(&manifests, depth).await?;
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

    /// Gives a manifest whose content is there to the destination.
    async fn put(&self, manifest: &Manifest, role: Role) -> Result<()> {
        let PutOutcome::Lacking { blobs, manifests } = self.destination.put_manifest(manifest, role).await?
        else {
            return Ok(());
        };
        Err(CopyError::StillMissing {
            place: self.destination.place(),
            manifest: manifest.digest(),
            missing: blobs.into_iter().chain(manifests).collect(),
        })
    }

    fn stored(&mut self, manifest: &Manifest) {
        let descriptor = manifest.descriptor();
        self.progress.on(Event::Stored(&descriptor));
        self.report.manifests += 1;
        self.report.bytes_copied += descriptor.size;
        if self.done.insert(descriptor.digest) {
            self.copied.push(descriptor.digest);
        }
    }

    /// Copies those children of an index that the destination lacks, one after the other.
    async fn children(&mut self, children: &[Descriptor], depth: usize) -> Result<()> {
        for child in children {
            if self.done.contains(&child.digest) {
                continue;
            }
            match self.fetch(child).await {
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
    async fn fetch(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let manifest = self.source.manifest(descriptor).await?;
        let size = manifest.bytes().len() as u64;
        if size == descriptor.size {
            return Ok(manifest);
        }
        Err(CopyError::Damaged {
            place: self.source.place(),
            what: format!("manifest {}", descriptor.digest),
            problem: format!("it has {size} bytes, its index says {}", descriptor.size),
        })
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
        // Schema 1 names no sizes.
        let is_sized = !matches!(manifest.kind(), ManifestKind::Schema1 { .. });
        let (configs, layers): (Vec<_>, Vec<_>) =
            blobs.into_iter().partition(|blob| Some(blob.digest) == config);
        for group in [layers, configs] {
            let this = &*self;
            let ended: Vec<(Descriptor, BlobOutcome, u64)> = stream::iter(group)
                .map(|blob| this.blob(blob, is_sized, optional))
                .buffered(self.options.parallel.max(1))
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
        self.progress.on(Event::BlobStarted(&descriptor));
        let content = self.source.blob(&descriptor.digest, is_sized.then_some(descriptor.size));
        let moved = AtomicU64::new(0);
        let content = content.inspect(|bytes| {
            moved.fetch_add(bytes, Ordering::Relaxed);
            self.progress.on(Event::BlobMoved(&descriptor, bytes));
        });
        let outcome = match self.destination.put_blob(&descriptor, content).await {
            Err(CopyError::NotFound { .. }) if optional.contains(&descriptor.digest) => BlobOutcome::Skipped,
            Err(CopyError::NotFound { place, what }) => return Err(CopyError::Incomplete { place, what }),
            outcome => outcome?,
        };
        self.progress.on(Event::BlobEnded(&descriptor, outcome));
        let moved = moved.into_inner();
        Ok((descriptor, outcome, moved))
    }

    fn count(&mut self, descriptor: Descriptor, outcome: BlobOutcome, moved: u64) {
        match outcome {
            BlobOutcome::Copied => {
                self.report.blobs_copied += 1;
                self.report.bytes_copied += moved;
            }
            BlobOutcome::Deduplicated => {
                self.report.blobs_deduplicated += 1;
                self.report.bytes_deduplicated += descriptor.size;
            }
            BlobOutcome::Skipped => self.report.skipped.push(Skipped::NonDistributable(descriptor)),
        }
    }

    /// Copies what refers to the manifests that were copied, and what refers to that.
    async fn referrers(&mut self) -> Result<()> {
        let mut next = 0;
        while let Some(subject) = self.copied.get(next).copied() {
            next += 1;
            for referrer in self.source.referrers(&subject).await? {
                if !self.done.contains(&referrer.digest) {
                    let manifest = self.fetch(&referrer).await?;
                    self.manifest(&manifest, Role::Referrer, 0).await?;
                }
            }
        }
        Ok(())
    }
}

/// Refuses a manifest when something that it may name would not be copied: its form is not known, it is
/// two forms at once, or one of its descriptors cannot be read.
fn check_form(manifest: &Manifest) -> Result<()> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Form {
        config: Option<IgnoredAny>,
        layers: Option<Vec<IgnoredAny>>,
        manifests: Option<Vec<IgnoredAny>>,
        fs_layers: Option<Vec<IgnoredAny>>,
    }
    let digest = manifest.digest();
    let unsupported = |problem| Err(CopyError::Unsupported { digest, problem });
    let Ok(form) = serde_json::from_slice::<Form>(manifest.bytes()) else {
        return unsupported("it is no JSON object");
    };
    let count = |list: &Option<Vec<IgnoredAny>>| list.as_ref().map_or(0, Vec::len);
    let is_whole = match manifest.kind() {
        ManifestKind::Image { config, layers } => {
            form.manifests.is_none()
                && form.fs_layers.is_none()
                && config.is_some() == form.config.is_some()
                && layers.len() == count(&form.layers)
        }
        ManifestKind::Index { manifests } => {
            form.config.is_none()
                && form.layers.is_none()
                && form.fs_layers.is_none()
                && manifests.len() == count(&form.manifests)
        }
        ManifestKind::Schema1 { layers } => {
            form.manifests.is_none() && form.layers.is_none() && layers.len() == count(&form.fs_layers)
        }
        _ => return unsupported("its form is not known, so nobody can say what belongs to it"),
    };
    if is_whole { Ok(()) } else { unsupported("it is of two forms, or a descriptor in it cannot be read") }
}
