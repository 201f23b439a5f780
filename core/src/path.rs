//! Absolute paths inside a store.

use std::{fmt, str::FromStr, sync::Arc};

use crate::error::{Error, ErrorKind, Result};

/// Longest path accepted, in bytes.
///
/// S3 and GCS allow keys of 1024 bytes. A path has to stay below that, together with any root directory that a
/// driver puts before it. The longest path of the registry layout is about 580 bytes.
pub const MAX_PATH_LEN: usize = 900;

/// An absolute path inside a store: `/` or `(/[A-Za-z0-9._-]+)+`, without `.` and `..`.
///
/// It is checked once, when it is made, so drivers never meet an unclean path. The grammar is that of
/// distribution's drivers, without the two relative components (they could lead out of a directory) and with a
/// limit of [`MAX_PATH_LEN`] bytes. Cloning is cheap.
///
/// Paths compare in byte order of their text, the order in which object stores list keys.
///
/// ```
/// use plugin_registry_core::StoragePath;
/// let path: StoragePath = "/docker/registry/v2".parse()?;
/// assert_eq!(path.join("blobs")?.as_str(), "/docker/registry/v2/blobs");
/// assert!("/docker/../secret".parse::<StoragePath>().is_err());
/// # Ok::<(), plugin_registry_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoragePath(Arc<str>);

impl StoragePath {
    /// Returns the root, `/`. Only a driver's listings take it. Where a file is expected, it is refused or
    /// missing.
    #[must_use]
    pub fn root() -> Self {
        Self(Arc::from("/"))
    }

    /// Returns whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// Returns the path as text, beginning with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path without its leading `/`, as object keys begin. It is empty for the root.
    #[must_use]
    pub fn as_relative(&self) -> &str {
        self.0.get(1..).unwrap_or_default()
    }

    /// Returns this path with `rest` below it. `rest` may hold several components.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::InvalidPath`] if the result breaks the grammar.
    pub fn join(&self, rest: &str) -> Result<Self> {
        if self.is_root() { format!("/{rest}").parse() } else { format!("{}/{rest}", self.0).parse() }
    }

    /// Returns the path one level up, or `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        match self.0.rsplit_once('/') {
            Some(("", _)) => Some(Self::root()),
            Some((parent, _)) => Some(Self(Arc::from(parent))),
            None => None,
        }
    }

    /// Returns the last component, or `None` for the root.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        if self.is_root() { None } else { self.0.rsplit_once('/').map(|(_, name)| name) }
    }

    /// Returns the components in order; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.as_relative().split('/').filter(|component| !component.is_empty())
    }

    /// Returns what follows `base` and its `/`, or `None` if this path is not strictly below it. `/a` is not
    /// above `/ab`.
    #[must_use]
    pub fn strip_prefix(&self, base: &Self) -> Option<&str> {
        if base.is_root() {
            return (!self.is_root()).then(|| self.as_relative());
        }
        self.0.strip_prefix(base.as_str())?.strip_prefix('/')
    }
}

impl FromStr for StoragePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "/" {
            return Ok(Self::root());
        }
        let reason = if text.is_empty() {
            "the path is empty"
        } else if text.len() > MAX_PATH_LEN {
            "the path is longer than 900 bytes"
        } else if let Some(relative) = text.strip_prefix('/') {
            match relative.split('/').find_map(component_fault) {
                Some(fault) => fault,
                None => return Ok(Self(Arc::from(text))),
            }
        } else {
            "the path does not begin with `/`"
        };
        Err(Error::new(ErrorKind::InvalidPath).with_message(reason).with_raw_path(text))
    }
}

impl fmt::Display for StoragePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoragePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for StoragePath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

fn component_fault(component: &str) -> Option<&'static str> {
    if component.is_empty() {
        Some("the path has an empty component")
    } else if component == "." || component == ".." {
        Some("the path has a relative component")
    } else if component.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        None
    } else {
        Some("the path has a character outside [A-Za-z0-9._-]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_paths_parse() {
        for text in [
            "/a",
            "/2",
            "/aa",
            "/a.a",
            "/0-9/abcdefg",
            "/abcdefg/z.75",
            "/abc/1.2.3.4.5-6_zyx/123.z/4",
            "/docker/docker-registry",
            "/123.abc",
            "/abc./abc",
            "/.abc",
            "/a--b",
            "/a-.b",
            "/_.abc",
            "/Docker/docker-registry",
            "/Abc/Cba",
        ] {
            assert_eq!(text.parse::<StoragePath>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn invalid_paths_are_refused() {
        for text in [
            "",
            "abc",
            "//bcd",
            "/abc_123/",
            "/a//b",
            "/.",
            "/..",
            "/a/../b",
            "/a b",
            "/a%2e",
            "/a\0",
            "/a\\b",
            "/ä",
            "/a\n",
        ] {
            let error = text.parse::<StoragePath>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidPath, "{text:?}");
        }
        assert!(format!("/{}", "a".repeat(MAX_PATH_LEN)).parse::<StoragePath>().is_err());
        assert!(format!("/{}", "a".repeat(MAX_PATH_LEN - 1)).parse::<StoragePath>().is_ok());
    }

    #[test]
    fn relations_between_paths() {
        let a: StoragePath = "/a".parse().unwrap();
        let ab: StoragePath = "/a/b".parse().unwrap();
        assert_eq!(ab.parent(), Some(a.clone()));
        assert_eq!(a.parent(), Some(StoragePath::root()));
        assert_eq!(StoragePath::root().parent(), None);
        assert_eq!(ab.file_name(), Some("b"));
        assert_eq!(ab.strip_prefix(&a), Some("b"));
        assert_eq!(ab.strip_prefix(&StoragePath::root()), Some("a/b"));
        assert_eq!("/ab".parse::<StoragePath>().unwrap().strip_prefix(&a), None);
        assert_eq!(a.strip_prefix(&a), None);
        assert_eq!(ab.components().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(StoragePath::root().join("x").unwrap().as_str(), "/x");
    }
}
