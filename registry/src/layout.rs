//! Where everything lies in a store, and what a manifest needs.
//!
//! The paths are a public contract: distribution 2.8 and 3.x read and write the same ones (docs, "The layout
//! promise"). All functions are pure, and all identifiers are parsed types, so no path can leave its place.

use std::collections::HashMap;

use plugin_registry_core::{
    Algorithm, Descriptor, Digest, RepositoryName, StageId, StoragePath, Tag, is_non_distributable,
};

use crate::{
    manifest::{Manifest, ManifestEntry, ManifestKind},
    upload::UploadId,
    wholeness::{Flaw, Part, named_size},
};

/// The root of the tree.
pub const ROOT: &str = "/docker/registry/v2";

/// The directory of a repository's upload sessions.
pub const UPLOADS: &str = "_uploads";

/// Returns [`ROOT`] as a path.
#[must_use]
pub fn root() -> StoragePath {
    path(ROOT.to_owned())
}

/// The path of a small object that is written to read the store's clock, and deleted at once.
pub(crate) fn clock_probe(id: &uuid::Uuid) -> StoragePath {
    path(format!("{ROOT}/gc/clock/{id}"))
}

/// Returns a directory for the few small objects of one probe of a location, which deletes it.
///
/// It is beside `blobs` and `repositories`, which are all that distribution 2.8 and 3.x walk. The S3 driver's
/// own questions to a store are here too, each below another UUID.
#[must_use]
pub fn probe(id: &uuid::Uuid) -> StoragePath {
    path(format!("{ROOT}/gc/probe/{id}"))
}

/// Returns the directory of all repositories.
#[must_use]
pub fn repositories() -> StoragePath {
    path(format!("{ROOT}/repositories"))
}

/// Returns the directory of one repository. Nested repositories are below it as well.
#[must_use]
pub fn repository(name: &RepositoryName) -> StoragePath {
    path(format!("{ROOT}/repositories/{name}"))
}

/// Returns the directory of all blobs.
#[must_use]
pub fn blobs() -> StoragePath {
    path(format!("{ROOT}/blobs"))
}

/// Returns the path of the bytes of a blob or manifest.
#[must_use]
pub fn blob_data(digest: &Digest) -> StoragePath {
    let hex = digest.hex();
    let prefix = hex.get(..2).unwrap_or_default();
    path(format!("{ROOT}/blobs/{}/{prefix}/{hex}/data", digest.algorithm()))
}

/// Returns the directory of the layer links of one algorithm, with a directory per digest.
#[must_use]
pub fn layers(name: &RepositoryName, algorithm: Algorithm) -> StoragePath {
    path(format!("{ROOT}/repositories/{name}/_layers/{algorithm}"))
}

/// Returns the path of the link that puts a blob into a repository.
#[must_use]
pub fn layer_link(name: &RepositoryName, digest: &Digest) -> StoragePath {
    path(format!("{ROOT}/repositories/{name}/_layers/{}/{}/link", digest.algorithm(), digest.hex()))
}

/// Returns the directory of a repository's revisions of one algorithm, with a directory per digest.
#[must_use]
pub fn revisions(name: &RepositoryName, algorithm: Algorithm) -> StoragePath {
    path(format!("{ROOT}/repositories/{name}/_manifests/revisions/{algorithm}"))
}

/// Returns the path of the link that puts a manifest into a repository.
#[must_use]
pub fn revision_link(name: &RepositoryName, digest: &Digest) -> StoragePath {
    path(format!(
        "{ROOT}/repositories/{name}/_manifests/revisions/{}/{}/link",
        digest.algorithm(),
        digest.hex()
    ))
}

/// Returns the directory of a repository's tags, with a directory per tag.
#[must_use]
pub fn tags(name: &RepositoryName) -> StoragePath {
    path(format!("{ROOT}/repositories/{name}/_manifests/tags"))
}

/// Returns the directory of one tag.
#[must_use]
pub fn tag(name: &RepositoryName, tag: &Tag) -> StoragePath {
    path(format!("{ROOT}/repositories/{name}/_manifests/tags/{tag}"))
}

/// Returns the path of the link to what a tag names now.
#[must_use]
pub fn tag_current(name: &RepositoryName, tag: &Tag) -> StoragePath {
    path(format!("{ROOT}/repositories/{name}/_manifests/tags/{tag}/current/link"))
}

/// Returns the path of the link that says that a tag has named this manifest.
#[must_use]
pub fn tag_index(name: &RepositoryName, tag: &Tag, digest: &Digest) -> StoragePath {
    path(format!(
        "{ROOT}/repositories/{name}/_manifests/tags/{tag}/index/{}/{}/link",
        digest.algorithm(),
        digest.hex()
    ))
}

/// Returns the directory of a repository's upload sessions, with a directory per session.
#[must_use]
pub fn uploads(name: &RepositoryName) -> StoragePath {
    path(format!("{ROOT}/repositories/{name}/{UPLOADS}"))
}

/// Returns the directory of one upload session.
#[must_use]
pub fn upload(name: &RepositoryName, id: &UploadId) -> StoragePath {
    path(format!("{ROOT}/repositories/{name}/_uploads/{id}"))
}

/// Returns the path of the bytes of an upload in progress.
#[must_use]
pub fn upload_data(name: &RepositoryName, id: &UploadId) -> StoragePath {
    path(format!("{ROOT}/repositories/{name}/_uploads/{id}/data"))
}

/// Returns the path of the file that says when an upload began.
#[must_use]
pub fn upload_started_at(name: &RepositoryName, id: &UploadId) -> StoragePath {
    path(format!("{ROOT}/repositories/{name}/_uploads/{id}/startedat"))
}

/// Returns the path of the sha256 state of an upload after `offset` bytes of one stage.
///
/// Only we use it: distribution keeps its own state under `hashstates`, which cannot tell one stage from
/// another (ADR 0014).
#[must_use]
pub fn upload_hash_state(name: &RepositoryName, id: &UploadId, stage: &StageId, offset: u64) -> StoragePath {
    let stage = stage.as_str();
    path(format!("{ROOT}/repositories/{name}/_uploads/{id}/stages/{stage}/sha256/{offset}"))
}

/// Returns the bytes of a link file: the digest, without a newline.
#[must_use]
pub fn link_content(digest: &Digest) -> bytes::Bytes {
    bytes::Bytes::from(digest.to_string())
}

/// What a manifest needs to be whole. Push, verify and copy all ask this one planner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Links {
    /// Blobs that need a layer link and data in the same repository: config and layers, each once.
    pub blobs: Vec<Descriptor>,
    /// Blobs that may stay at their source: layers that occur only as non-distributable ones.
    pub optional_blobs: Vec<Descriptor>,
    /// Manifests that need a revision in the same repository: the children of an index, each once.
    pub manifests: Vec<Descriptor>,
    /// Sizes that are missing or that contradict each other.
    pub flaws: Vec<Flaw>,
    /// Whether the sizes above come from the document; schema 1 names none.
    pub is_sized: bool,
}

/// Returns what `manifest` needs.
///
/// A `subject` is not needed (distribution-spec, "Pushing Manifests with Subject").
#[must_use]
pub fn links_of(manifest: &Manifest) -> Links {
    let part =
        if matches!(manifest.kind(), ManifestKind::Index { .. }) { Part::Manifest } else { Part::Blob };
    let mut plan = Plan { part, planned: Vec::new(), places: HashMap::new(), contradictions: Vec::new() };
    let mut links = Links { is_sized: true, ..Links::default() };
    match manifest.kind() {
        ManifestKind::Image { config, layers } => {
            if let Some(config) = config {
                plan.add(&config.descriptor, true);
            }
            for layer in layers {
                plan.add(&layer.descriptor, !may_stay_away(layer));
            }
            (links.blobs, links.optional_blobs) = plan.finish(&mut links.flaws);
        }
        ManifestKind::Index { manifests } => {
            for child in manifests {
                plan.add(&child.descriptor, true);
            }
            (links.manifests, _) = plan.finish(&mut links.flaws);
        }
        ManifestKind::Schema1 { layers } => {
            let octets = plugin_registry_core::MediaType::Other("application/octet-stream".to_owned());
            for digest in layers {
                plan.add(&Descriptor::new(octets.clone(), *digest, 0), true);
            }
            (links.blobs, _) = plan.finish(&mut Vec::new());
            links.is_sized = false;
        }
        ManifestKind::Other => {}
    }
    links
}

/// Whether a layer may be where its URLs say, and nowhere else.
fn may_stay_away(layer: &ManifestEntry) -> bool {
    let media_type = &layer.descriptor.media_type;
    let is_docker_foreign = matches!(media_type, plugin_registry_core::MediaType::Other(_));
    // A Docker foreign layer without URLs is available nowhere else, so it has to be here.
    is_non_distributable(media_type) && (!is_docker_foreign || !layer.urls.is_empty())
}

/// Descriptors by digest, in the order of their first entries. Content that any entry needs is needed, and
/// every named size counts, so that no entry hides another.
struct Plan {
    part: Part,
    planned: Vec<Planned>,
    places: HashMap<Digest, usize>,
    contradictions: Vec<Flaw>,
}

struct Planned {
    descriptor: Descriptor,
    is_needed: bool,
    lacks_size: bool,
}

impl Plan {
    fn add(&mut self, descriptor: &Descriptor, is_needed: bool) {
        let size = named_size(descriptor);
        let place = *self.places.entry(descriptor.digest).or_insert(self.planned.len());
        let Some(planned) = self.planned.get_mut(place) else {
            let descriptor = descriptor.clone();
            return self.planned.push(Planned { descriptor, is_needed, lacks_size: size.is_none() });
        };
        planned.lacks_size |= size.is_none();
        match (named_size(&planned.descriptor), size) {
            (Some(first), Some(second)) if first != second => {
                let (part, digest) = (self.part, descriptor.digest);
                self.contradictions.push(Flaw::TwoSizes { part, digest, first, second });
            }
            (None, Some(size)) => planned.descriptor.size = size,
            _ => {}
        }
        if is_needed && !planned.is_needed {
            planned.is_needed = true;
            planned.descriptor.media_type = descriptor.media_type.clone();
        }
    }

    fn finish(self, flaws: &mut Vec<Flaw>) -> (Vec<Descriptor>, Vec<Descriptor>) {
        let unsized_ones = self.planned.iter().filter(|planned| planned.lacks_size);
        flaws.extend(unsized_ones.map(|planned| Flaw::NoSize { digest: planned.descriptor.digest }));
        flaws.extend(self.contradictions);
        let (needed, others): (Vec<_>, Vec<_>) =
            self.planned.into_iter().partition(|planned| planned.is_needed);
        let descriptors = |planned: Vec<Planned>| planned.into_iter().map(|one| one.descriptor).collect();
        (descriptors(needed), descriptors(others))
    }
}

/// Paths are made of parsed identifiers and stay below 600 bytes, so they always parse. If that were ever
/// wrong, the result would be the root, which every file operation refuses.
fn path(text: String) -> StoragePath {
    text.parse().unwrap_or_else(|_| StoragePath::root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_distribution() {
        let name: RepositoryName = "ns/app".parse().unwrap();
        let latest: Tag = "latest".parse().unwrap();
        let digest = Digest::sha256(b"");
        let hex = digest.hex();
        let base = "/docker/registry/v2/repositories/ns/app";
        for (path, expected) in [
            (blob_data(&digest), format!("/docker/registry/v2/blobs/sha256/e3/{hex}/data")),
            (layer_link(&name, &digest), format!("{base}/_layers/sha256/{hex}/link")),
            (revision_link(&name, &digest), format!("{base}/_manifests/revisions/sha256/{hex}/link")),
            (tag_current(&name, &latest), format!("{base}/_manifests/tags/latest/current/link")),
            (
                tag_index(&name, &latest, &digest),
                format!("{base}/_manifests/tags/latest/index/sha256/{hex}/link"),
            ),
        ] {
            assert_eq!(path.as_str(), expected);
        }
        assert_eq!(link_content(&digest).len(), 71);
    }

    #[test]
    fn the_longest_path_is_a_path() {
        let name: RepositoryName = "a".repeat(255).parse().unwrap();
        let longest: Tag = "b".repeat(128).parse().unwrap();
        let digest = Digest::of(Algorithm::Sha512, b"");
        assert!(!tag_index(&name, &longest, &digest).is_root());
        assert!(!upload_hash_state(&name, &UploadId::generate(), &StageId::of(""), u64::MAX).is_root());
    }
}
