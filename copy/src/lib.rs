//! Images in and out of an embedded OCI registry.
//!
//! [`copy`] moves one image, whatever it is made of, from a [`Source`] to a [`Destination`], byte for byte: an
//! index with all its children (nested ones too), configs, layers, artifacts. Both ends are a [`RegistryImage`]
//! or a [`LayoutImage`]
//! ([OCI image layout](https://github.com/opencontainers/image-spec/blob/main/image-layout.md) directories,
//! over any storage driver). An [`ImageReference`] is how a person writes them.
//!
//! What the destination already has is not read again. What arrives is verified by digest and size on the way.
//! The tag is set last, so an interrupted copy leaves the tag as it was, and running it again goes on with what
//! is missing.
//!
//! The crate starts no task, holds no state between copies and opens no connection. A thread waits while
//! another program holds the lock of a layout ([`OciLayout::with_directory`]).
//!
//! ```
//! # use plugin_registry::Registry;
//! # use plugin_registry_copy::{CopyOptions, LayoutImage, OciLayout, RegistryImage, copy};
//! # use plugin_registry_core::{StorageDriver, Tag};
//! # async fn back_up(directory: std::sync::Arc<dyn StorageDriver>, registry: Registry) -> Result<(), Box<dyn std::error::Error>> {
//! let layout = OciLayout::open(directory, "./image").await?;
//! let source = LayoutImage::new(layout, None);
//! let destination = RegistryImage::new(registry.repository("ns/app".parse()?), "1.0".parse::<Tag>()?);
//! let report = copy(&source, &destination, &CopyOptions::default(), &()).await?;
//! println!("{} bytes copied", report.bytes_copied);
//! # Ok(())
//! # }
//! ```

mod content;
mod destination;
mod engine;
mod error;
mod oci_layout;
mod options;
mod progress;
mod reference;
mod registry_image;
mod report;
mod source;

pub use self::{
    content::BlobContent,
    destination::{Destination, PutOutcome, Role},
    engine::copy,
    error::{CopyError, Result},
    oci_layout::{LayoutEntry, LayoutImage, OciLayout},
    options::CopyOptions,
    progress::{BlobOutcome, Event, Progress},
    reference::{ImageReference, LayoutReference, ReferenceError},
    registry_image::RegistryImage,
    report::{CopyNote, CopyReport, Skipped},
    source::Source,
};
