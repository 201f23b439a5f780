//! Observers of a copy, and the events that they receive.

use plugin_registry_core::Descriptor;

/// An observer of a copy. It is called between pieces of work, so it should return at once.
///
/// `()` ignores all events. Every `Fn(CopyEvent<'_>)` is an observer.
pub trait Progress: Sync {
    /// Receives an event.
    fn on_event(&self, event: CopyEvent<'_>);
}

/// The events of a copy.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum CopyEvent<'a> {
    /// A manifest or index was read at the source.
    Manifest(&'a Descriptor),
    /// The destination has this blob, or this manifest with everything that it names.
    Present(&'a Descriptor),
    /// A blob begins to move.
    BlobStarted(&'a Descriptor),
    /// More of a blob has moved.
    BlobMoved(&'a Descriptor, u64),
    /// A blob is at the destination, or was left out.
    BlobEnded(&'a Descriptor, BlobOutcome),
    /// The destination has taken a manifest.
    Stored(&'a Descriptor),
}

/// How a blob came to the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlobOutcome {
    /// It was there, and a repair read it and found it whole.
    Present,
    /// It was there, but damaged, and a repair replaced it.
    Mended,
    /// Its bytes were moved.
    Copied,
    /// The destination's store had the bytes; only a link was written.
    Deduplicated,
    /// It was left out: the source does not have it, and does not have to.
    Skipped,
}

impl Progress for () {
    fn on_event(&self, _: CopyEvent<'_>) {}
}

impl<F: Fn(CopyEvent<'_>) + Sync> Progress for F {
    fn on_event(&self, event: CopyEvent<'_>) {
        self(event);
    }
}
