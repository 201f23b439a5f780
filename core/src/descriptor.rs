//! Descriptors and media types.

use oci_spec::image as oci;

use crate::digest::{Digest, DigestError};

pub use oci_spec::image::MediaType;

/// Docker's media types, which are not variants of [`MediaType`].
pub mod docker {
    /// Image manifest, schema 2.
    pub const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Manifest list.
    pub const MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Image configuration.
    pub const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// A gzipped layer.
    pub const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// A gzipped layer that stays where its URLs say.
    pub const FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    /// Image manifest, schema 1, signed: only read, never accepted.
    pub const SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    /// Image manifest, schema 1: only read, never accepted.
    pub const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
}

/// Identifies some content completely: its media type, digest and size in bytes (image-spec, "OCI Content
/// Descriptors").
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Descriptor {
    /// The media type, as the pushing client named it.
    pub media_type: MediaType,
    /// The digest.
    pub digest: Digest,
    /// The size in bytes.
    pub size: u64,
}

impl Descriptor {
    /// Creates a descriptor of these three.
    #[must_use]
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self { media_type, digest, size }
    }

    /// Returns the descriptor of `content` under its sha256 digest.
    #[must_use]
    pub fn of(media_type: MediaType, content: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256(content), content.len() as u64)
    }
}

impl TryFrom<&oci::Descriptor> for Descriptor {
    type Error = DigestError;

    fn try_from(descriptor: &oci::Descriptor) -> Result<Self, DigestError> {
        Ok(Self::new(
            descriptor.media_type().clone(),
            descriptor.digest().to_string().parse()?,
            descriptor.size(),
        ))
    }
}

/// Returns whether a media type is that of a layer that stays at its source, so clients do not have to push it.
///
/// See image-spec, "Non-Distributable Layers", and Docker's foreign layers.
#[must_use]
pub fn is_non_distributable(media_type: &MediaType) -> bool {
    match media_type {
        MediaType::ImageLayerNonDistributable
        | MediaType::ImageLayerNonDistributableGzip
        | MediaType::ImageLayerNonDistributableZstd => true,
        MediaType::Other(other) => other == docker::FOREIGN_LAYER,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_from_oci_spec() {
        let json = format!(
            r#"{{"mediaType":"{}","digest":"{}","size":7}}"#,
            docker::CONFIG,
            Digest::sha256(b"content")
        );
        let parsed = oci::Descriptor::try_from_json(&json);
        let descriptor = Descriptor::try_from(&parsed).unwrap();
        assert_eq!(descriptor, Descriptor::of(MediaType::from(docker::CONFIG), b"content"));
    }

    trait FromJson {
        fn try_from_json(json: &str) -> Self;
    }

    impl FromJson for oci::Descriptor {
        fn try_from_json(json: &str) -> Self {
            // An index is the smallest document of oci-spec that reads descriptors.
            let index = format!(r#"{{"schemaVersion":2,"manifests":[{json}]}}"#);
            oci::ImageIndex::from_reader(index.as_bytes()).unwrap().manifests()[0].clone()
        }
    }

    #[test]
    fn non_distributable_types() {
        assert!(is_non_distributable(&MediaType::from(docker::FOREIGN_LAYER)));
        assert!(is_non_distributable(&MediaType::ImageLayerNonDistributableZstd));
        assert!(!is_non_distributable(&MediaType::from(docker::LAYER)));
    }
}
