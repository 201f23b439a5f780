//! Repository names, tags and references.

use std::{fmt, str::FromStr, sync::Arc};

use crate::digest::{Digest, DigestError};

/// Longest repository name in bytes, as distribution limits it.
pub const MAX_NAME_LEN: usize = 255;
/// Longest tag in bytes (distribution-spec, "Pulling manifests").
pub const MAX_TAG_LEN: usize = 128;

/// Why a text is not a repository name, tag or reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A name is empty, has a bad character, or has separators in the wrong place.
    #[error("a repository name is made of lower-case components like `a1.b_c__d-e`, joined by `/`")]
    Repository,
    /// A name is longer than [`MAX_NAME_LEN`].
    #[error("a repository name has at most 255 bytes")]
    RepositoryTooLong,
    /// A tag breaks its grammar.
    #[error("a tag matches [A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}")]
    Tag,
    /// A reference with a colon is not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// The name of a repository, such as `openshift/nginx`.
///
/// It has components `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` joined by `/`, and at most 255 bytes
/// (distribution-spec, "Pulling manifests"). Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the components between the slashes.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Compares component by component, so `a/b` comes before `a-b`. This is the order of the catalog.
    #[must_use]
    pub fn catalog_cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.components().cmp(other.components())
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_NAME_LEN {
            return Err(NameError::RepositoryTooLong);
        }
        if text.split('/').all(is_name_component) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(NameError::Repository)
        }
    }
}

fn is_name_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    // Runs of separators between alphanumeric runs: `.`, `_`, `__`, or any number of `-`.
    let good_separators = component
        .split(|c: char| c.is_ascii() && alphanumeric(c as u8))
        .filter(|separators| !separators.is_empty())
        .all(|separators| matches!(separators, "." | "_" | "__") || separators.bytes().all(|b| b == b'-'));
    let ends = |byte: Option<u8>| byte.is_some_and(alphanumeric);
    ends(component.bytes().next()) && ends(component.bytes().next_back()) && good_separators
}

/// A tag: `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// Returns the tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let good = text.len() <= MAX_TAG_LEN
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if good { Ok(Self(Arc::from(text))) } else { Err(NameError::Tag) }
    }
}

/// The tag or digest by which a client asks for a manifest.
///
/// A text with a colon is always taken for a digest, because a tag cannot have one. If it does not parse as a
/// digest, it is an error, never a tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By tag.
    Tag(Tag),
    /// By digest.
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.contains(':') { Ok(Self::Digest(text.parse()?)) } else { Ok(Self::Tag(text.parse()?)) }
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => fmt::Display::fmt(tag, f),
            Self::Digest(digest) => fmt::Display::fmt(digest, f),
        }
    }
}

macro_rules! text_impls {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

text_impls!(RepositoryName, Tag);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_names() {
        for good in
            ["a", "0", "a/b/c", "a.b", "a_b", "a__b", "a-b", "a---b", "openshift/nginx", "a1.b2_c3__d4-e5"]
        {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a.",
            ".a",
            "a..b",
            "a___b",
            "a_-b",
            "-a",
            "a-",
            "_uploads",
            "a/_layers",
            "..",
            "a/../b",
            "a%2fb",
            "a b",
            "ä",
            "a\n",
            "a:b",
            "a@b",
        ] {
            assert_eq!(bad.parse::<RepositoryName>(), Err(NameError::Repository), "{bad:?}");
        }
        assert!("a".repeat(255).parse::<RepositoryName>().is_ok());
        assert_eq!("a".repeat(256).parse::<RepositoryName>(), Err(NameError::RepositoryTooLong));
    }

    #[test]
    fn tags() {
        for good in ["latest", "_", "A.b-c_d", "1.0", "v1", "index", "current", "v1.tmp"] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a/b", "a:b", "a b", "a%", "ä", "a\0"] {
            assert_eq!(bad.parse::<Tag>(), Err(NameError::Tag), "{bad:?}");
        }
        assert!("a".repeat(128).parse::<Tag>().is_ok());
        assert!("a".repeat(129).parse::<Tag>().is_err());
    }

    #[test]
    fn references() {
        let digest = Digest::sha256(b"");
        assert_eq!(digest.to_string().parse(), Ok(Reference::Digest(digest)));
        assert!(matches!("latest".parse(), Ok(Reference::Tag(_))));
        assert!(matches!("sha256:baddigeststring".parse::<Reference>(), Err(NameError::Digest(_))));
    }

    #[test]
    fn catalog_order_is_by_component() {
        let mut names: Vec<RepositoryName> =
            ["a-b", "a/b", "a", "a.b", "a/0"].iter().map(|n| n.parse().unwrap()).collect();
        names.sort_by(RepositoryName::catalog_cmp);
        assert_eq!(
            names.iter().map(RepositoryName::as_str).collect::<Vec<_>>(),
            ["a", "a/0", "a/b", "a-b", "a.b"]
        );
    }
}
