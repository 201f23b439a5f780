//! Where identifiers lead in a store.

use plugin_registry::{layout, upload::UploadId};
use plugin_registry_core::{Algorithm, Digest, RepositoryName, StageId, StoragePath, Tag};

use super::oracle;

/// Checks that a path is sound, and that everything made of it is, too.
pub(super) fn check_path(path: &StoragePath) {
    let text = path.as_str();
    assert!(oracle::is_storage_path(text), "{text:?}");
    assert!(!path.components().any(|component| matches!(component, "" | "." | "..")), "{text:?}");
    assert_eq!(text.parse::<StoragePath>().ok().as_ref(), Some(path));
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            assert!(oracle::is_storage_path(parent.as_str()));
            assert_eq!(parent.join(name).ok().as_ref(), Some(path));
            assert_eq!(path.strip_prefix(&parent), Some(name));
        }
        (None, None) => assert!(path.is_root()),
        halves => panic!("{text:?}: {halves:?}"),
    }
    assert_eq!(path.join("..").ok(), None);
    assert_eq!(path.join("a//b").ok(), None);
}

/// Checks that paths of the layout are sound, are not the root, and are inside `base`.
fn check_inside(base: &StoragePath, paths: &[StoragePath]) {
    for path in paths {
        check_path(path);
        assert!(path.strip_prefix(base).is_some(), "{path} is not inside {base}");
        assert!(path.strip_prefix(&layout::root()).is_some(), "{path}");
    }
}

pub(super) fn check_repository(name: &RepositoryName) {
    let repository = layout::repository(name);
    check_inside(&layout::repositories(), std::slice::from_ref(&repository));
    // A repository's name is apart from its content: no name has a component like `_layers`.
    assert!(repository.components().skip(4).all(|component| !component.starts_with('_')), "{repository}");
    check_inside(&repository, &[layout::tags(name), layout::uploads(name)]);
    for algorithm in Algorithm::ALL {
        check_inside(&repository, &[layout::layers(name, algorithm), layout::revisions(name, algorithm)]);
    }
}

pub(super) fn check_tag(name: &RepositoryName, tag: &Tag) {
    let all = layout::tag(name, tag);
    check_inside(&layout::tags(name), std::slice::from_ref(&all));
    let digest = Digest::of(Algorithm::Sha512, tag.as_str().as_bytes());
    check_inside(&all, &[layout::tag_current(name, tag), layout::tag_index(name, tag, &digest)]);
}

pub(super) fn check_digest(name: &RepositoryName, digest: &Digest) {
    check_inside(&layout::blobs(), &[layout::blob_data(digest)]);
    check_inside(&layout::layers(name, digest.algorithm()), &[layout::layer_link(name, digest)]);
    check_inside(&layout::revisions(name, digest.algorithm()), &[layout::revision_link(name, digest)]);
}

pub(super) fn check_upload(name: &RepositoryName, id: &UploadId) {
    let all = layout::upload(name, id);
    check_inside(&layout::uploads(name), std::slice::from_ref(&all));
    let state = layout::upload_hash_state(name, id, &StageId::of(name.as_str()), u64::MAX);
    check_inside(&all, &[layout::upload_data(name, id), layout::upload_started_at(name, id), state]);
}
