//! A store whose whole tree is checked.

use std::{collections::BTreeSet, convert::Infallible, path::Path, path::PathBuf, time::Duration};

use bytes::Bytes;
use futures::stream;
use plugin_registry_core::{Descriptor, MediaType};

use super::Tree;
use crate::{
    driver::Store,
    registry::{Client, Lab, on_a_runtime},
};

/// An empty store for one golden tree, and its directory, if it has one.
#[derive(Clone, Debug)]
pub struct Bench {
    lab: Lab,
    directory: Option<PathBuf>,
}

impl Bench {
    /// Opens a bench over an empty store.
    pub async fn open(store: Store) -> Self {
        Self { lab: Lab::open(store).await, directory: None }
    }

    /// Sets the directory of the store. Then each tree is compared with the files on disk as well.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    pub(super) fn client(&self) -> Client {
        self.lab.client()
    }

    pub(super) async fn tree(&self) -> Tree {
        self.lab.tree().await
    }

    pub(super) async fn clear(&self) {
        self.lab.clear().await;
    }

    /// Pushes a blob through the typed API.
    pub(super) async fn push_typed(&self, name: &str, content: &'static str) {
        let blobs = self.lab.registry().repository(name.parse().unwrap()).blobs();
        let descriptor = Descriptor::of(MediaType::ImageLayer, content.as_bytes());
        let content = stream::iter([Ok::<_, Infallible>(Bytes::from_static(content.as_bytes()))]);
        blobs.push(&descriptor, content).await.unwrap();
    }

    /// Checks that the store holds exactly these files.
    pub(super) async fn assert_tree(&self, expected: &Tree) {
        self.assert_tree_with(expected, &[]).await;
    }

    /// The same for a store whose driver hides some files on disk (relative paths). `UUID` matches any UUID
    /// in their names.
    pub(super) async fn assert_tree_with(&self, expected: &Tree, hidden: &[String]) {
        self.tree().await.assert_is(expected);
        let Some(directory) = &self.directory else { return };
        let mut wanted: BTreeSet<String> = expected.paths().map(|path| path[1..].to_owned()).collect();
        wanted.extend(hidden.iter().cloned());
        // Work of a dropped call may end in the blocking pool a moment later.
        let mut found = on_disk(directory, expected);
        for _ in 0..50 {
            if found == wanted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            found = on_disk(directory, expected);
        }
        let surplus: Vec<_> = found.difference(&wanted).collect();
        let missing: Vec<_> = wanted.difference(&found).collect();
        assert!(surplus.is_empty() && missing.is_empty(), "surplus {surplus:?}, missing {missing:?}");
    }
}

/// The relative paths of all files below a directory, with a `/` after each empty directory. Modes and
/// contents are checked on the way.
fn on_disk(root: &Path, expected: &Tree) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let mut is_empty = true;
        // A directory that vanishes meanwhile counts as missing.
        for entry in std::fs::read_dir(&directory).into_iter().flatten() {
            is_empty = false;
            let path = entry.unwrap().path();
            let Ok(info) = std::fs::symlink_metadata(&path) else { continue };
            if info.is_dir() {
                assert_eq!(mode(&info), 0o700, "{}", path.display());
                directories.push(path);
                continue;
            }
            assert!(info.is_file(), "{} is neither file nor directory", path.display());
            assert_eq!(mode(&info), 0o600, "{}", path.display());
            let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if let Some(wanted) = expected.get(&format!("/{relative}")) {
                assert!(std::fs::read(&path).unwrap() == *wanted, "{}", path.display());
                found.insert(relative);
            } else {
                found.insert(without_uuids(&relative));
            }
        }
        if is_empty && directory != root {
            let relative = directory.strip_prefix(root).unwrap().to_str().unwrap();
            found.insert(format!("{relative}/"));
        }
    }
    found
}

/// A path with each UUID in its file name replaced by `UUID`.
fn without_uuids(path: &str) -> String {
    let (directory, name) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
    let is_uuid =
        |part: &str| part.len() == 36 && part.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let parts: Vec<&str> = name.split('.').map(|part| if is_uuid(part) { "UUID" } else { part }).collect();
    format!("{directory}{}", parts.join("."))
}

#[cfg(unix)]
fn mode(info: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&info.permissions()) & 0o7777
}

/// Without modes, there is nothing to check.
#[cfg(not(unix))]
fn mode(info: &std::fs::Metadata) -> u32 {
    if info.is_dir() { 0o700 } else { 0o600 }
}

/// Checks one golden tree. The tests that [`layout_suite!`](crate::layout_suite) makes call it.
///
/// # Panics
/// If the tree is another one.
pub fn run(open: impl AsyncFnOnce() -> Bench, check: impl AsyncFnOnce(&Bench)) {
    on_a_runtime(async { check(&open().await).await });
}
