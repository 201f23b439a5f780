//! A whole store as paths and contents.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry_core::{StorageDriver, StoragePath};

/// Every file of a store, by path. Compared byte for byte.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tree(BTreeMap<String, Bytes>);

impl Tree {
    /// Reads everything in a store. It must fit into memory.
    ///
    /// # Panics
    /// If the store fails, or `walk` gives a path twice or out of order.
    pub async fn read(driver: &dyn StorageDriver) -> Self {
        let root = StoragePath::root();
        let files: Vec<_> = driver.walk(&root, None).try_collect().await.unwrap();
        let mut tree = BTreeMap::new();
        let mut last = String::new();
        for file in files {
            let path = file.path.to_string();
            assert!(path > last, "{path} comes after {last}");
            let content = driver.get_content(&file.path, u64::MAX).await.unwrap();
            assert_eq!(file.size, content.len() as u64, "{path}");
            last.clone_from(&path);
            tree.insert(path, content);
        }
        Self(tree)
    }

    /// Makes a tree from a list of files.
    ///
    /// # Panics
    /// If a path is there twice.
    pub fn of<P: Into<String>, C: Into<Bytes>>(files: impl IntoIterator<Item = (P, C)>) -> Self {
        let mut tree = BTreeMap::new();
        for (path, content) in files {
            let path = path.into();
            assert!(tree.insert(path.clone(), content.into()).is_none(), "{path} is there twice");
        }
        Self(tree)
    }

    /// Adds the files of another tree.
    ///
    /// # Panics
    /// If a path is there twice.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (path, content) in other.0 {
            assert!(self.0.insert(path.clone(), content).is_none(), "{path} is there twice");
        }
        self
    }

    /// Removes a file.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        assert!(self.0.remove(path).is_some(), "{path} is not there");
        self
    }

    /// The content of a file.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Bytes> {
        self.0.get(path)
    }

    /// All paths, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The number of files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no files.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that this is the expected tree.
    ///
    /// # Panics
    /// If it is not. The message names the differences.
    #[track_caller]
    pub fn assert_is(&self, expected: &Self) {
        let mut differences = Vec::new();
        for (path, content) in &self.0 {
            match expected.0.get(path) {
                None => differences.push(format!("+ {path}: {}", shown(content))),
                Some(wanted) if wanted != content => {
                    differences.push(format!("! {path}: {}, expected {}", shown(content), shown(wanted)));
                }
                Some(_) => {}
            }
        }
        let missing = expected.0.iter().filter(|(path, _)| !self.0.contains_key(*path));
        differences.extend(missing.map(|(path, content)| format!("- {path}: {}", shown(content))));
        assert!(differences.is_empty(), "the tree is another one:\n{}", differences.join("\n"));
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(path, content)| (path, shown(content)))).finish()
    }
}

fn shown(content: &[u8]) -> String {
    match std::str::from_utf8(content) {
        Ok(text) if text.len() <= 200 => format!("{text:?}"),
        _ => format!("{} bytes", content.len()),
    }
}
