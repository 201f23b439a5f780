//! Where everything is in a store, and what a manifest needs.
//!
//! The paths are a public contract: distribution 2.8 and 3.x read and write the same ones (docs, "The layout
//! promise"). All functions are pure, and all identifiers are parsed types, so no path can leave its place.

use plugin_registry_core::{Algorithm, Digest, RepositoryName, StageId, StoragePath, Tag};

use crate::upload::id::UploadId;

/// The root of the tree.
pub const ROOT: &str = "/docker/registry/v2";

/// The directory of a repository's upload sessions.
pub const UPLOADS: &str = "_uploads";

/// Returns [`ROOT`] as a path.
#[must_use]
pub fn root() -> StoragePath {
    path(ROOT.to_owned())
}

/// Whether a directory below [`ROOT`] of this name holds the content of a registry.
pub(crate) fn is_content(name: &str) -> bool {
    matches!(name, "blobs" | "repositories")
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

#[expect(clippy::expect_used, reason = "made of parsed identifiers and below 600 bytes, it always parses")]
fn path(text: String) -> StoragePath {
    text.parse().expect("a path of parsed identifiers is one")
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
