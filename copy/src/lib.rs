//! Copies images into an embedded OCI registry and out of it, byte for byte.
//!
//! [`copy`] moves one image from a [`Source`] to a [`Destination`]: an index with all its children (nested ones
//! too), configs, layers, artifacts. Each end is a [`RegistryImage`], a [`LayoutImage`] in an
//! [OCI image layout](https://github.com/opencontainers/image-spec/blob/main/image-layout.md) over any storage
//! driver, or your own implementation of the traits.
//!
//! ```
//! use std::sync::Arc;
//!
//! use plugin_registry::Registry;
//! use plugin_registry_copy::{CopyOptions, LayoutImage, OciLayout, RegistryImage, copy};
//! use plugin_registry_core::Tag;
//! use plugin_registry_drivers_memory::MemoryDriver;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::builder(MemoryDriver::new()).build();
//! # let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
//! # let manifests = registry.repository("ns/app".parse()?).manifests();
//! # manifests.put(&"1.0".parse()?, None, index.into()).await?;
//! // … push the image `ns/app:1.0`
//!
//! // Out, into an OCI layout. For a directory, use the filesystem driver.
//! let layout = OciLayout::create(Arc::new(MemoryDriver::new()), "./image").await?;
//! let saved = LayoutImage::new(layout, None);
//! let image = RegistryImage::new(registry.repository("ns/app".parse()?), "1.0".parse::<Tag>()?);
//! copy(&image, &saved, &CopyOptions::default(), &()).await?;
//!
//! // In, from a layout, which is opened with `OciLayout::open` if another program wrote it.
//! let restored = RegistryImage::new(registry.repository("restored".parse()?), "1.0".parse::<Tag>()?);
//! let report = copy(&saved, &restored, &CopyOptions::default(), &()).await?;
//! println!("{} manifests, {} bytes copied", report.manifests, report.bytes_copied);
//! # assert_eq!((report.manifests, report.bytes_copied), (1, index.len() as u64));
//! # Ok(())
//! # }
//! ```
//!
//! The last argument of [`copy`] takes the events of a [`Progress`]; `&()` drops them.
//!
//! # Promises
//!
//! - Content that the destination has is not read again.
//! - What arrives is verified by digest and size on the way.
//! - The tag is set last. An interrupted copy leaves the tag as it was, and the next copy continues with what
//!   is missing.
//!
//! # What is here
//!
//! | Items | For |
//! |---|---|
//! | [`copy`], [`CopyOptions`], [`CopyReport`], [`CopyError`] | the copy itself: blobs at a time, referrers, sparse indexes, repair |
//! | [`RegistryImage`] | an image in the embedded registry |
//! | [`OciLayout`], [`LayoutImage`] | a layout, and an image in it |
//! | [`Source`], [`Destination`], [`BlobContent`] | the ends of a copy, for your own |
//! | [`Progress`], [`CopyEvent`] | what happens while it runs |
//! | [`ImageReference`] | how people write an image: `oci:./image:1.0`, `registry:ns/app:1.0` |
//!
//! The crate has no features. It reaches no remote registry yet.
//!
//! # Memory and time
//!
//! - A copy has 4 blobs on the way at a time by default. Each takes what the source's reader and the
//!   destination's writer hold.
//! - It holds one manifest of at most 4 MiB for each level of nesting, and about 100 bytes for each manifest.
//! - The `index.json` of a layout has at most 16 MiB. The worst one took 36 MB to read and 52 MB to write.
//! - The crate does not start tasks, open connections or keep state between copies. Time limits are the
//!   caller's: dropping the future stops the copy, and the tag is not set.
//! - Another program may have locked a layout's directory ([`OciLayout::with_directory`]). A thread then waits
//!   for the lock, for at most 60 s.

mod content;
mod destination;
mod engine;
mod error;
mod log;
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
    progress::{BlobOutcome, CopyEvent, Progress},
    reference::{ImageReference, LayoutReference, ReferenceError},
    registry_image::RegistryImage,
    report::{CopyNote, CopyReport, Skipped},
    source::Source,
};
