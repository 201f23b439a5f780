//! Manifests: bytes that are kept verbatim, and what they say.

mod decode;
mod links;
mod parse;
pub(crate) mod summary;

use bytes::Bytes;
use plugin_registry_core::{Descriptor, Digest, MediaType, docker};
use std::collections::BTreeMap;

pub use self::{
    links::{Links, flaws_of, links_of},
    parse::ManifestError,
};
use crate::integrity::Flaw;

/// The largest manifest that is accepted and served, in bytes: 4 MiB, the least that the specification asks for
/// ("Pushing Manifests").
pub const MAX_MANIFEST_SIZE: u64 = 4 * 1024 * 1024;

/// A manifest: its bytes exactly as pushed, its digest, its media type, and what it refers to.
/// Memory: the bytes (at most 4 MiB), with the parsed references at most 24 MiB.
#[derive(Clone, Debug)]
pub struct Manifest {
    digest: Digest,
    media_type: MediaType,
    bytes: Bytes,
    document: parse::Document,
}

/// The parts of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestKind {
    /// An image or artifact: OCI image manifest, Docker schema 2.
    Image {
        /// The configuration.
        config: Option<ManifestEntry>,
        /// The layers, lowest first.
        layers: Vec<ManifestEntry>,
    },
    /// A list of manifests: OCI index, Docker manifest list.
    Index {
        /// The children.
        manifests: Vec<ManifestEntry>,
    },
    /// Docker schema 1, which is only read from old stores.
    Schema1 {
        /// The layers, highest first, as the document has them.
        layers: Vec<Digest>,
    },
    /// A document of another form, kept and served as it is.
    Other,
}

/// A descriptor inside a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManifestEntry {
    /// Media type, digest, size.
    pub descriptor: Descriptor,
    /// Where else the content may be found. Never followed.
    pub urls: Vec<String>,
    /// The platform of an index entry, as `os/architecture[/variant]`.
    pub platform: Option<String>,
}

impl Manifest {
    /// Reads a manifest that a client pushes, strictly.
    ///
    /// The media type has to be one of the four known ones and agree with the body, and the body has to have
    /// the shape of its type. No key may occur twice in an object, in this case or another, and none may be a
    /// field's name except for case (CVE-2021-41190 is a confusion of types; ADR 0021).
    ///
    /// `media_type` is the request's `Content-Type` without parameters. With `None` or `application/json` it is
    /// derived from the body.
    ///
    /// # Errors
    /// [`ManifestError`] naming the first fault.
    pub fn parse(media_type: Option<&str>, bytes: Bytes) -> Result<Self, ManifestError> {
        let (media_type, document) = parse::strictly(media_type, &bytes)?;
        Ok(Self { digest: Digest::sha256(&bytes), media_type, bytes, document })
    }

    /// Reads a manifest from a store: whatever parses is served, schema 1 and unknown forms included.
    ///
    /// Its media type is the one in the document, since it is stored nowhere else. The document is read as Go
    /// reads it, which is how nearly every client does; [`flaws`](Self::flaws) lists where other readers may
    /// differ.
    #[must_use]
    pub fn from_stored(digest: Digest, bytes: Bytes) -> Self {
        let (media_type, document) = parse::leniently(&bytes);
        Self { digest, media_type, bytes, document }
    }

    /// Returns the digest that was asked for, or else the sha256 digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    pub(crate) fn with_digest(self, digest: Digest) -> Self {
        Self { digest, ..self }
    }

    /// Returns the media type.
    #[must_use]
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// Returns the bytes, exactly as pushed.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the descriptor.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest, self.bytes.len() as u64)
    }

    /// Refuses a manifest that is neither an image nor an index of one of the four media types.
    pub(crate) fn check_kind(&self) -> Result<(), ManifestError> {
        let media_type = self.media_type.as_ref();
        let is_index = matches!(self.document.kind, ManifestKind::Index { .. });
        let is_image = matches!(self.document.kind, ManifestKind::Image { .. });
        if !is_manifest_type(media_type) || !(is_index || is_image) {
            Err(ManifestError::MediaType(media_type.to_owned()))
        } else if is_index != parse::is_index_type(media_type) {
            Err(ManifestError::Shape(
                "the mediaType is that of an index, the form that of an image, or the reverse",
            ))
        } else {
            Ok(())
        }
    }

    /// Returns the flaws of its form that the document alone shows. Empty for a manifest that was pushed
    /// here. [`flaws_of`] returns all of its flaws.
    #[must_use]
    pub fn flaws(&self) -> &[Flaw] {
        &self.document.flaws
    }

    /// Returns its parts.
    #[must_use]
    pub fn kind(&self) -> &ManifestKind {
        &self.document.kind
    }

    /// Returns the manifest that this one refers to (image-spec, "subject").
    #[must_use]
    pub fn subject(&self) -> Option<&Descriptor> {
        self.document.subject.as_ref()
    }

    /// Returns the artifact type for a referrers list.
    ///
    /// It is the document's own; else, for an image, the media type of its config. An index without one has
    /// none (distribution-spec, "Listing Referrers").
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        match (&self.document.artifact_type, &self.document.kind) {
            (Some(own), _) => Some(own),
            (None, ManifestKind::Image { config: Some(config), .. }) => {
                Some(config.descriptor.media_type.as_ref())
            }
            _ => None,
        }
    }

    /// Returns the annotations.
    #[must_use]
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.document.annotations
    }
}

/// Returns whether a media type may be pushed as a manifest.
#[must_use]
pub fn is_manifest_type(media_type: &str) -> bool {
    matches!(
        media_type,
        docker::MANIFEST
            | docker::MANIFEST_LIST
            | "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.oci.image.index.v1+json"
    )
}
