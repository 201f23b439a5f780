//! Keys of a bucket or a container, and the paths that they stand for.

use std::fmt;

use plugin_registry_core::{Error, ErrorKind, Result, StoragePath};

/// The suffix of a key under which bytes wait to be resumed. It has to follow the grammar of paths:
/// distribution's purge and garbage collection stop at keys that do not.
const STAGED: &str = ".staged";

/// Object stores take keys of up to 1024 bytes.
const MAX_KEY: usize = 1024;

/// Where the store begins in its bucket or container.
#[derive(Clone, PartialEq, Eq)]
pub struct ObjectKeys {
    /// Empty, or ending in `/`.
    root: String,
}

impl fmt::Debug for ObjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectKeys").finish_non_exhaustive()
    }
}

impl ObjectKeys {
    /// Keys below a directory, without a slash at their beginning.
    #[must_use]
    pub fn new(root_directory: &str) -> Self {
        let root = root_directory.trim_matches('/');
        Self { root: if root.is_empty() { String::new() } else { format!("{root}/") } }
    }

    /// The same keys with a slash at their beginning.
    #[must_use]
    pub fn with_leading_slash(&self) -> Self {
        Self { root: format!("/{}", self.root) }
    }

    /// The key of a file that is looked up.
    ///
    /// # Errors
    /// `NotFound` for names that only a directory can have; otherwise as for [`file`](Self::file).
    pub fn visible(&self, path: &StoragePath) -> Result<String> {
        if is_staged(path.as_str()) { Err(ErrorKind::NotFound.into()) } else { self.file(path) }
    }

    /// The key of a file that is written.
    ///
    /// # Errors
    /// `InvalidPath` for names of staged bytes, and for keys that S3 does not accept.
    pub fn file(&self, path: &StoragePath) -> Result<String> {
        let key = format!("{}{}", self.root, path.as_relative());
        let message = if is_staged(&key) {
            "names that end in `.staged` are reserved for staged bytes"
        } else if key.len() + STAGED.len() > MAX_KEY {
            "the key is longer than 1017 bytes"
        } else {
            return Ok(key);
        };
        Err(Error::new(ErrorKind::InvalidPath).with_message(message))
    }

    /// The key under which bytes for a file wait to be resumed.
    #[must_use]
    pub fn staged(&self, path: &StoragePath) -> String {
        format!("{}{}{STAGED}", self.root, path.as_relative())
    }

    /// A key of the same kind for a file that only one writer uses, who is known by `name`.
    #[must_use]
    pub fn staged_apart(&self, path: &StoragePath, name: impl fmt::Display) -> String {
        format!("{}{}.{name}{STAGED}", self.root, path.as_relative())
    }

    /// A directory for probing the store, below the one place in a tree where no registry looks.
    #[must_use]
    pub fn probe(&self, name: &str) -> String {
        format!("{}docker/registry/v2/gc/probe/{name}/", self.root)
    }

    /// The directories above a key and below the root, as keys, the deepest first.
    #[must_use]
    pub fn directories_above(&self, key: &str) -> Vec<String> {
        let relative = key.strip_prefix(&self.root).unwrap_or_default();
        let ends = relative.char_indices().filter(|(_, char)| *char == '/').map(|(at, _)| at);
        let mut above: Vec<String> =
            ends.filter_map(|at| Some(format!("{}{}/", self.root, relative.get(..at)?))).collect();
        above.reverse();
        above
    }

    /// The prefix of all keys below a directory: it never ends within a component.
    #[must_use]
    pub fn below(&self, path: &StoragePath) -> String {
        match path.as_relative() {
            "" => self.root.clone(),
            relative => format!("{}{relative}/", self.root),
        }
    }

    /// The path of a key. `None` for keys that no path has, such as markers ending in `/`.
    #[must_use]
    pub fn path(&self, key: &str) -> Option<StoragePath> {
        let relative = key.strip_prefix(&self.root).filter(|relative| !relative.is_empty())?;
        format!("/{relative}").parse().ok()
    }

    /// The path for which bytes wait under a key. `None` for other keys, and if that path is itself a staged
    /// name.
    #[must_use]
    pub fn staged_path(&self, key: &str) -> Option<StoragePath> {
        self.path(key.strip_suffix(STAGED).filter(|target| !is_staged(target))?)
    }
}

/// Whether bytes wait under this key, or name, to be resumed.
#[must_use]
pub fn is_staged(key: &str) -> bool {
    key.ends_with(STAGED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> StoragePath {
        text.parse().unwrap()
    }

    #[test]
    fn keys_and_paths() {
        for (root, key) in [("", "a/b"), ("/", "a/b"), ("x", "x/a/b"), ("/x/y/", "x/y/a/b")] {
            let keys = ObjectKeys::new(root);
            assert_eq!(keys.file(&path("/a/b")).unwrap(), key);
            assert_eq!(keys.path(key), Some(path("/a/b")));
            assert_eq!(keys.staged_path(&keys.staged(&path("/a/b"))), Some(path("/a/b")));
            assert_eq!(keys.below(&path("/a/b")), format!("{key}/"));
        }
        assert_eq!(ObjectKeys::new("").below(&StoragePath::root()), "");
        assert_eq!(ObjectKeys::new("x").below(&StoragePath::root()), "x/");
    }

    #[test]
    fn keys_with_a_leading_slash() {
        for (root, key) in [("", "/a/b"), ("x", "/x/a/b"), ("/x/y/", "/x/y/a/b")] {
            let plain = ObjectKeys::new(root);
            let keys = plain.with_leading_slash();
            assert_eq!(keys.file(&path("/a/b")).unwrap(), key);
            assert_eq!(keys.path(key), Some(path("/a/b")));
            // Neither form is part of the other one.
            assert_eq!(plain.path(key), None);
            assert_eq!(keys.path(&plain.file(&path("/a/b")).unwrap()), None);
        }
        assert_eq!(ObjectKeys::new("").with_leading_slash().below(&StoragePath::root()), "/");
    }

    #[test]
    fn keys_without_a_path() {
        let keys = ObjectKeys::new("x");
        for key in ["x/a/", "x/", "x", "y/a", "x/a//b", "x/ä", "xa/b"] {
            assert_eq!(keys.path(key), None, "{key}");
        }
    }

    #[test]
    fn staged_names_are_no_files() {
        let keys = ObjectKeys::new("");
        assert_eq!(keys.file(&path("/a.staged")).unwrap_err().kind(), ErrorKind::InvalidPath);
        assert_eq!(keys.visible(&path("/a.staged")).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(keys.staged_path("a.staged.staged"), None);
        assert_eq!(keys.staged_path(&keys.staged_apart(&path("/a/b"), 7)), Some(path("/a/b.7")));
        assert_eq!(keys.staged_path("a.staged/link.staged"), Some(path("/a.staged/link")));
        keys.file(&path("/a.staged/link")).unwrap();
        let long = format!("/{}", "n/".repeat(449));
        ObjectKeys::new(&"r".repeat(118)).file(&path(long.trim_end_matches('/'))).unwrap();
        let error = ObjectKeys::new(&"r".repeat(130)).file(&path(long.trim_end_matches('/'))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPath);
    }
}
