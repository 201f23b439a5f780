//! Invariants of a store, whatever happened to it.
//!
//! Every key has a place in the layout, every link leads to content with the right hash, and every tag names
//! a revision.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry::{layout, upload::UploadId};
use plugin_registry_core::{Digest, FileInfo, RepositoryName, StorageDriver, StoragePath, Tag};

use plugin_registry_conformance::layout::Tree;

/// The meaning of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// The bytes of a blob or manifest.
    Data(Digest),
    /// Puts a blob into a repository.
    Layer(RepositoryName, Digest),
    /// Puts a manifest into a repository.
    Revision(RepositoryName, Digest),
    /// The manifest that a tag names.
    Current(RepositoryName, Tag),
    /// A manifest that a tag has named.
    Index(RepositoryName, Tag, Digest),
    /// Something of an unfinished upload.
    Upload(RepositoryName, UploadId),
}

/// A store as keys of the layout, and everything that is wrong with it.
#[derive(Default)]
struct Store {
    keys: BTreeMap<Key, Bytes>,
    faults: Vec<String>,
}

/// Reads a whole store and checks it.
///
/// Some leftovers are allowed: content that nothing names, the directories of unfinished uploads, and the
/// history of a tag whose old revisions were deleted. So is the alias link of a blob that was deleted under
/// its canonical digest, since it does not count (ADR 0013).
///
/// # Panics
/// If anything else is wrong, with a message that names all of it. Also if the store fails.
pub async fn assert_sound(driver: &dyn StorageDriver) {
    let faults = faults(&Tree::read(driver).await);
    assert!(faults.is_empty(), "the store is not sound:\n  {}", faults.join("\n  "));
}

/// Everything that is wrong with a store.
pub(super) fn faults(tree: &Tree) -> Vec<String> {
    Store::of(tree).check()
}

/// The uploads of which the store has something, visible or staged.
///
/// # Panics
/// If the store fails.
pub async fn uploads(driver: &dyn StorageDriver) -> BTreeSet<(RepositoryName, UploadId)> {
    let tree = Tree::read(driver).await;
    let root = layout::repositories();
    let staged: Vec<FileInfo> = driver.list_staged(&root).try_collect().await.unwrap();
    let staged = staged.iter().map(|file| file.path.as_str());
    tree.paths().chain(staged).filter_map(upload_of).collect()
}

/// The upload whose directory contains a path.
fn upload_of(path: &str) -> Option<(RepositoryName, UploadId)> {
    match key_of(path) {
        Some(Key::Upload(repository, id)) => Some((repository, id)),
        _ => None,
    }
}

impl Store {
    fn of(tree: &Tree) -> Self {
        let mut store = Self::default();
        for path in tree.paths() {
            match key_of(path) {
                Some(key) => {
                    store.keys.insert(key, tree.get(path).unwrap().clone());
                }
                None => store.faults.push(format!("{path} has no place in the layout")),
            }
        }
        store
    }

    /// Everything that is wrong.
    fn check(&self) -> Vec<String> {
        let mut faults = self.faults.clone();
        for (key, content) in &self.keys {
            if let Err(fault) = self.check_key(key, content) {
                faults.push(format!("{key:?}: {fault}"));
            }
        }
        faults
    }

    fn check_key(&self, key: &Key, content: &Bytes) -> Result<(), String> {
        match key {
            Key::Data(digest) => {
                ensure(digest.is_canonical(), "content is stored under its sha256 digest only")?;
                let actual = Digest::of(digest.algorithm(), content);
                ensure(actual == *digest, format_args!("{} bytes hash to {actual}", content.len()))
            }
            Key::Layer(_, digest) => {
                let target = self.target(digest, content)?;
                self.check_content(digest, &target)
            }
            Key::Revision(repository, digest) => {
                let target = self.target(digest, content)?;
                self.check_content(digest, &target)?;
                // Without the canonical link a collection of distribution skips the repository (ADR 0013).
                let canonical = Key::Revision(repository.clone(), target);
                ensure(self.keys.contains_key(&canonical), format_args!("there is no revision {target}"))
            }
            Key::Current(repository, tag) => {
                let digest = link(content)?;
                let revision = Key::Revision(repository.clone(), digest);
                ensure(self.keys.contains_key(&revision), format_args!("{digest} is no revision"))?;
                let index = Key::Index(repository.clone(), tag.clone(), digest);
                ensure(self.keys.contains_key(&index), format_args!("{digest} is not in the tag's index"))
            }
            Key::Index(.., digest) => {
                let named = link(content)?;
                ensure(named == *digest, format_args!("the link names {named}"))
            }
            Key::Upload(..) => Ok(()),
        }
    }

    /// The canonical digest that the link of `digest` names.
    fn target(&self, digest: &Digest, content: &Bytes) -> Result<Digest, String> {
        let target = link(content)?;
        ensure(target.is_canonical(), format_args!("the link names {target}"))?;
        ensure(!digest.is_canonical() || target == *digest, format_args!("the link names {target}"))?;
        Ok(target)
    }

    /// Checks that the content of a link exists and has the digest in the link's path. Whether content has
    /// the digest of its path is checked at the content.
    fn check_content(&self, digest: &Digest, target: &Digest) -> Result<(), String> {
        let data = self.keys.get(&Key::Data(*target)).ok_or(format!("{target} is not in the store"))?;
        let actual = Digest::of(digest.algorithm(), data);
        ensure(actual == *digest, format_args!("the content has the digest {actual}"))
    }
}

fn ensure(holds: bool, fault: impl Display) -> Result<(), String> {
    if holds { Ok(()) } else { Err(fault.to_string()) }
}

/// The digest in a link file, which must contain nothing else.
fn link(content: &Bytes) -> Result<Digest, String> {
    let text = String::from_utf8_lossy(content);
    text.parse().map_err(|_| format!("the link holds {text:?}"))
}

/// Reads a path of the layout (docs, "Object layout").
///
/// Only a path that would be written in the same way counts. A key with a digest of the wrong length, for
/// example, does not.
fn key_of(path: &str) -> Option<Key> {
    let rest = path.strip_prefix(layout::ROOT)?.strip_prefix('/')?;
    let key = match rest.strip_prefix("repositories/") {
        Some(rest) => repository_key(rest)?,
        None => match rest.split('/').collect::<Vec<_>>()[..] {
            ["blobs", algorithm, _, hex, "data"] => Key::Data(digest(algorithm, hex)?),
            _ => return None,
        },
    };
    let expected = match &key {
        Key::Data(digest) => layout::blob_data(digest),
        Key::Layer(repository, digest) => layout::layer_link(repository, digest),
        Key::Revision(repository, digest) => layout::revision_link(repository, digest),
        Key::Current(repository, tag) => layout::tag_current(repository, tag),
        Key::Index(repository, tag, digest) => layout::tag_index(repository, tag, digest),
        // Private to the upload: its content does not matter here.
        Key::Upload(..) => return Some(key),
    };
    (expected == path.parse::<StoragePath>().ok()?).then_some(key)
}

fn repository_key(rest: &str) -> Option<Key> {
    // No component of a name begins with `_`. A tag may, but only after the first such component.
    let name = rest.split("/_").next()?;
    let parts: Vec<&str> = rest.get(name.len() + 1..)?.split('/').collect();
    let repository: RepositoryName = name.parse().ok()?;
    Some(match parts[..] {
        ["_layers", algorithm, hex, "link"] => Key::Layer(repository, digest(algorithm, hex)?),
        ["_manifests", "revisions", algorithm, hex, "link"] => {
            Key::Revision(repository, digest(algorithm, hex)?)
        }
        ["_manifests", "tags", tag, "current", "link"] => Key::Current(repository, tag.parse().ok()?),
        ["_manifests", "tags", tag, "index", algorithm, hex, "link"] => {
            Key::Index(repository, tag.parse().ok()?, digest(algorithm, hex)?)
        }
        ["_uploads", id, "data" | "startedat"] => Key::Upload(repository, id.parse().ok()?),
        ["_uploads", id, "stages", _, "sha256", offset] => {
            offset.parse::<u64>().ok()?;
            Key::Upload(repository, id.parse().ok()?)
        }
        _ => return None,
    })
}

fn digest(algorithm: &str, hex: &str) -> Option<Digest> {
    format!("{algorithm}:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "/docker/registry/v2";

    fn sound() -> Vec<(String, String)> {
        let content = "{}";
        let (short, long) =
            (Digest::sha256(content.as_bytes()), Digest::of(plugin_registry_core::Algorithm::Sha512, b"{}"));
        let (s, l) = (short.hex(), long.hex());
        let base = format!("{ROOT}/repositories/ns/app");
        let upload = "0190a5f0-0000-7000-8000-000000000000";
        vec![
            (format!("{ROOT}/blobs/sha256/{}/{s}/data", &s[..2]), content.to_owned()),
            (format!("{base}/_layers/sha256/{s}/link"), short.to_string()),
            (format!("{base}/_layers/sha512/{l}/link"), short.to_string()),
            (format!("{base}/_manifests/revisions/sha256/{s}/link"), short.to_string()),
            (format!("{base}/_manifests/revisions/sha512/{l}/link"), short.to_string()),
            (format!("{base}/_manifests/tags/_manifests/current/link"), long.to_string()),
            (format!("{base}/_manifests/tags/_manifests/index/sha512/{l}/link"), long.to_string()),
            (format!("{base}/_uploads/{upload}/startedat"), "2026-11-23T16:06:04Z".to_owned()),
        ]
    }

    fn faults(files: Vec<(String, String)>) -> Vec<String> {
        super::faults(&Tree::of(files))
    }

    #[test]
    fn a_sound_store_has_no_faults() {
        assert_eq!(faults(sound()), [""; 0]);
        assert_eq!(faults(Vec::new()), [""; 0]);
    }

    #[test]
    fn whatever_is_missing_is_noticed() {
        for (lost, tolerated) in
            [(0, false), (1, true), (2, true), (3, false), (4, false), (5, true), (6, false)]
        {
            let mut files = sound();
            let (path, _) = files.remove(lost);
            assert_eq!(faults(files).is_empty(), tolerated, "without {path}");
        }
    }

    #[test]
    fn every_damaged_content_is_noticed() {
        let other = Digest::sha256(b"other").to_string();
        for (position, (path, content)) in sound().into_iter().enumerate().take(7) {
            for damaged in ["", "x", &content[..content.len() - 1], &format!("{content}\n"), &other] {
                let mut files = sound();
                files[position].1 = damaged.to_owned();
                assert!(!faults(files).is_empty(), "{path} holds {damaged:?}");
            }
        }
    }

    #[test]
    fn every_foreign_key_is_noticed() {
        let hex = Digest::sha256(b"{}").hex();
        for foreign in [
            "/x".to_owned(),
            format!("{ROOT}/x"),
            format!("{ROOT}/blobs/sha256/{hex}/data"),
            format!("{ROOT}/blobs/sha256/00/{hex}/data"),
            format!("{ROOT}/blobs/sha256/{}/{hex}/data.tmp", &hex[..2]),
            format!("{ROOT}/blobs/sha256/{}/{}/data", &hex[..2], &hex[..63]),
            format!("{ROOT}/repositories/ns/app"),
            format!("{ROOT}/repositories/ns/app/x"),
            format!("{ROOT}/repositories/_layers/sha256/{hex}/link"),
            format!("{ROOT}/repositories/ns/app/_layers/sha256/{hex}/data"),
            format!("{ROOT}/repositories/ns/app/_layers/{hex}/link"),
            format!("{ROOT}/repositories/ns/app/_manifests/tags/v1/link"),
            format!("{ROOT}/repositories/ns/app/_uploads/x/data"),
            format!("{ROOT}/repositories/ns/app/_uploads/0190a5f0-0000-7000-8000-000000000000/x"),
        ] {
            let mut files = sound();
            files.push((foreign.clone(), String::new()));
            assert_eq!(faults(files), [format!("{foreign} has no place in the layout")]);
        }
    }
}
