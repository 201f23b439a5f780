//! What a copy leaves in the log: one event per image at info, one per blob at debug. The names are documented
//! in `docs/src/how-to/logs.md`.

use std::time::Instant;

use plugin_registry::Registry;
use plugin_registry_core::Descriptor;
use tracing::{
    Span,
    level_filters::{LevelFilter, STATIC_MAX_LEVEL},
};

use crate::{destination::Destination, progress::BlobOutcome, report::CopyReport, source::Source};

/// When something began. It asks the clock only if something listens.
pub(crate) struct Begun(Option<Instant>);

impl Begun {
    /// For an event at `level`.
    pub(crate) fn now(level: LevelFilter) -> Self {
        let is_heard = level <= STATIC_MAX_LEVEL && level <= LevelFilter::current();
        Self(is_heard.then(Instant::now))
    }

    fn elapsed_us(&self) -> Option<u64> {
        self.0.map(|begun| u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

/// Makes the span of a copy. Its lines belong to the destination's registry, or else to the source's.
pub(crate) fn span(source: &dyn Source, destination: &dyn Destination) -> Span {
    let registry = destination.registry().or_else(|| source.registry());
    let registry = registry.as_ref();
    tracing::info_span!(
        "copy",
        location = registry.and_then(Registry::location),
        instance = registry.and_then(Registry::instance),
        source = %source.image(),
        destination = %destination.image(),
    )
}

/// An image is at the destination.
pub(crate) fn image(source: &dyn Source, destination: &dyn Destination, report: &CopyReport, begun: &Begun) {
    tracing::info!(
        target: "plugin_registry_copy::image",
        source = %source.image(),
        destination = %destination.image(),
        digest = %report.root.digest,
        manifests_copied = report.manifests,
        manifests_present = report.manifests_present,
        blobs_copied = report.blobs_copied,
        blobs_present = report.blobs_present + report.blobs_deduplicated,
        bytes_copied = report.bytes_copied,
        bytes_present = report.bytes_deduplicated,
        skipped = report.skipped.len(),
        elapsed_us = begun.elapsed_us(),
        "image copied"
    );
}

/// A blob is at the destination, or was left out.
pub(crate) fn blob(blob: &Descriptor, outcome: BlobOutcome, bytes: u64, begun: &Begun) {
    tracing::debug!(
        target: "plugin_registry_copy::blob",
        digest = %blob.digest,
        bytes_copied = bytes,
        elapsed_us = begun.elapsed_us(),
        outcome = match outcome {
            BlobOutcome::Copied => "copied",
            BlobOutcome::Mended => "mended",
            BlobOutcome::Present | BlobOutcome::Deduplicated => "present",
            BlobOutcome::Skipped => "skipped",
        },
        "blob copied"
    );
}
