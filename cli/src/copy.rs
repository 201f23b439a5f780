//! `copy`.

use plugin_registry::{ReferencePolicy, Registry};
use plugin_registry_copy::{
    CopyOptions, CopyReport, Destination, ImageReference, LayoutImage, OciLayout, RegistryImage, Skipped,
    Source, copy,
};
use serde::Serialize;

use crate::{
    args::Copy,
    failure::Failure,
    missing,
    output::{Bytes, Output, count},
    progress::Reporter,
    store::{self, Place},
};

/// The output of a copy.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) digest: String,
    pub(crate) media_type: String,
    pub(crate) manifests: usize,
    pub(crate) manifests_present: usize,
    pub(crate) blobs_copied: usize,
    pub(crate) blobs_mended: usize,
    pub(crate) blobs_deduplicated: usize,
    pub(crate) blobs_present: usize,
    pub(crate) bytes_copied: u64,
    pub(crate) bytes_deduplicated: u64,
    pub(crate) skipped: Vec<String>,
    pub(crate) notes: Vec<String>,
}

#[derive(Serialize)]
struct Document {
    source: String,
    destination: String,
    #[serde(flatten)]
    report: Report,
}

pub(crate) async fn run(options: Copy) -> Result<(), Failure> {
    let place = Place::of(options.root.as_deref(), &options.registry);
    let registry = Opener { place, sparse: options.sparse, creates: !options.no_create };
    let source = registry.source(&options.source).await?;
    // Problems of the source are reported before anything is created at the destination.
    if let Err(error) = source.root().await {
        let failure = Failure::from(error);
        if !failure.is_not_found() {
            return Err(failure);
        }
        return Err(match registry.instead_of(&options.source).await {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        });
    }
    let destination = registry.destination(&options.destination).await?;
    let settings = CopyOptions::default()
        .with_concurrency(options.parallel.into())
        .with_referrers(options.referrers)
        .with_sparse(options.sparse)
        .with_repair(options.repair);
    let reporter = Reporter::of_copy(options.quiet, &*source).await;
    let report = Report::from(copy(&*source, &*destination, &settings, &reporter).await?);
    drop(reporter);
    let (from, to) = (options.source.to_string(), options.destination.to_string());
    let document = Document { source: from, destination: to, report };
    Output::new(options.printing.format).print(&document, |out| {
        let Document { source, destination, report } = &document;
        writeln!(out, "{source} -> {destination}")?;
        writeln!(out, "{}", report.digest)?;
        writeln!(
            out,
            "{}; {} moved, {}",
            count(report.manifests, "manifest"),
            count(report.blobs_copied, "blob"),
            Bytes(report.bytes_copied)
        )?;
        if report.blobs_mended > 0 {
            writeln!(out, "{} replaced", count(report.blobs_mended, "damaged blob"))?;
        }
        let there = report.blobs_deduplicated + report.blobs_present;
        if there > 0 {
            writeln!(out, "{} already there, {}", count(there, "blob"), Bytes(report.bytes_deduplicated))?;
        }
        report.skipped.iter().try_for_each(|digest| writeln!(out, "left out: {digest}"))?;
        report.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))
    })
}

/// Opens the ends of a copy.
struct Opener<'a> {
    place: Option<Place<'a>>,
    sparse: bool,
    /// Whether it makes a destination that does not exist.
    creates: bool,
}

impl Opener<'_> {
    async fn source(&self, image: &ImageReference) -> Result<Box<dyn Source>, Failure> {
        match image {
            ImageReference::Layout { directory, image } => {
                let driver = store::layout(directory, false).await?;
                let layout = OciLayout::open(driver, directory.display()).await?;
                Ok(Box::new(LayoutImage::new(layout, image.clone())))
            }
            _ => {
                let registry = self.require_place()?.existing().await?.builder().read_only(true).build();
                Ok(Box::new(in_registry(&registry, image)?))
            }
        }
    }

    async fn destination(&self, image: &ImageReference) -> Result<Box<dyn Destination>, Failure> {
        match image {
            ImageReference::Layout { directory, image } => {
                let driver = store::layout(directory, self.creates).await?;
                let layout = if self.creates {
                    OciLayout::create(driver, directory.display()).await?
                } else {
                    OciLayout::open(driver, directory.display()).await?
                };
                Ok(Box::new(LayoutImage::new(layout.with_directory(directory), image.clone())))
            }
            _ => {
                let place = self.require_place()?;
                let opened = if self.creates { place.make().await? } else { place.existing().await? };
                let references =
                    if self.sparse { ReferencePolicy::SparseIndexes } else { ReferencePolicy::Complete };
                let registry = opened.builder().references(references).build();
                Ok(Box::new(in_registry(&registry, image)?))
            }
        }
    }

    /// Says what the registry has instead of a missing image.
    async fn instead_of(&self, image: &ImageReference) -> Option<String> {
        let ImageReference::Registry { repository, reference } = image else { return None };
        let registry = self.place?.open().await.ok()?.builder().read_only(true).build();
        missing::hint(&registry, repository, reference.as_ref()).await
    }

    fn require_place(&self) -> Result<Place<'_>, Failure> {
        self.place.ok_or_else(|| {
            Failure::usage("registry:… names an image in a registry, but no registry is given")
                .with_hint("Add --root DIR, --config FILE or --location FILE.")
        })
    }
}

fn in_registry(registry: &Registry, image: &ImageReference) -> Result<RegistryImage, Failure> {
    let ImageReference::Registry { repository, reference } = image else {
        return Err(Failure::failed(format!("`{image}` cannot be copied by this version")));
    };
    Ok(RegistryImage::named(registry.repository(repository.clone()), reference.clone())?)
}

impl From<CopyReport> for Report {
    fn from(report: CopyReport) -> Self {
        let skipped = report.skipped.iter().map(|skipped| match skipped {
            Skipped::NonDistributable(layer) => format!("{} (non-distributable layer)", layer.digest),
            Skipped::Child(child) => format!("{} (manifest)", child.digest),
            _ => "other content".to_owned(),
        });
        Self {
            digest: report.root.digest.to_string(),
            media_type: report.root.media_type.to_string(),
            manifests: report.manifests,
            manifests_present: report.manifests_present,
            blobs_copied: report.blobs_copied,
            blobs_mended: report.blobs_mended,
            blobs_deduplicated: report.blobs_deduplicated,
            blobs_present: report.blobs_present,
            bytes_copied: report.bytes_copied,
            bytes_deduplicated: report.bytes_deduplicated,
            skipped: skipped.collect(),
            notes: report.notes.iter().map(ToString::to_string).collect(),
        }
    }
}
