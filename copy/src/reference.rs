//! How a person writes where an image is.

use std::{fmt, path::PathBuf, str::FromStr};

use plugin_registry_core::{Digest, NameError, Reference, RepositoryName};

/// Where an image is: `oci:DIR[:NAME|@DIGEST]` or `registry:NAME[:TAG|@DIGEST]`.
///
/// ```
/// use plugin_registry_copy::ImageReference;
/// for text in ["oci:./image", "oci:/srv/image:1.0", "registry:ns/app:1.0"] {
///     assert_eq!(text.parse::<ImageReference>()?.to_string(), text);
/// }
/// assert!("ns/app:1.0".parse::<ImageReference>().is_err());
/// # Ok::<(), plugin_registry_copy::ReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageReference {
    /// An OCI image layout directory. As skopeo reads it, the first colon ends the path.
    Layout {
        /// The directory.
        directory: PathBuf,
        /// Which image of it; none where it holds or gets only one.
        image: Option<LayoutReference>,
    },
    /// The embedded registry.
    Registry {
        /// The repository.
        repository: RepositoryName,
        /// Which image of it; none is the tag `latest`.
        reference: Option<Reference>,
    },
}

/// Which image of a layout.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LayoutReference {
    /// The one whose annotation `org.opencontainers.image.ref.name` is this.
    Name(String),
    /// The one with this digest.
    Digest(Digest),
}

/// Why a text is no [`ImageReference`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// It begins with no transport that is known.
    #[error("`{0}` is no image: write oci:DIR[:NAME|@DIGEST] or registry:NAME[:TAG|@DIGEST]")]
    Transport(String),
    /// A layout without a directory.
    #[error("`{0}` names no directory: write oci:DIR[:NAME|@DIGEST]")]
    Directory(String),
    /// The name of an image in a layout breaks the grammar of the image specification.
    #[error("`{0}`: a name in a layout is made of letters and digits, separated by single -._:@/+")]
    Name(String),
    /// The repository name, tag or digest does not parse.
    #[error("`{text}`: {source}")]
    Registry {
        /// The whole text.
        text: String,
        /// What is wrong with it.
        source: NameError,
    },
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        match text.split_once(':') {
            Some(("oci", rest)) => layout(text, rest),
            Some(("registry", rest)) => {
                registry(rest).map_err(|source| ReferenceError::Registry { text: text.to_owned(), source })
            }
            _ => Err(ReferenceError::Transport(text.to_owned())),
        }
    }
}

fn layout(text: &str, rest: &str) -> Result<ImageReference, ReferenceError> {
    let by_digest = rest.rsplit_once('@').and_then(|(directory, digest)| {
        Some((directory, Some(LayoutReference::Digest(digest.parse().ok()?))))
    });
    let (directory, image) = match (by_digest, rest.split_once(':')) {
        (Some(by_digest), _) => by_digest,
        (None, Some((_, name))) if !is_ref_name(name) => {
            return Err(ReferenceError::Name(text.to_owned()));
        }
        (None, Some((directory, name))) => (directory, Some(LayoutReference::Name(name.to_owned()))),
        (None, None) => (rest, None),
    };
    if directory.is_empty() {
        return Err(ReferenceError::Directory(text.to_owned()));
    }
    Ok(ImageReference::Layout { directory: PathBuf::from(directory), image })
}

/// image-spec, "Annotations", `org.opencontainers.image.ref.name`.
fn is_ref_name(name: &str) -> bool {
    name.len() <= 1024
        && name.split('/').all(|component| {
            component
                .replace("--", "-")
                .split(['-', '.', '_', ':', '@', '+'])
                .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        })
}

fn registry(rest: &str) -> Result<ImageReference, NameError> {
    let (name, reference) = if let Some((name, digest)) = rest.split_once('@') {
        (name, Some(Reference::Digest(digest.parse()?)))
    } else if let Some((name, tag)) = rest.split_once(':') {
        (name, Some(Reference::Tag(tag.parse()?)))
    } else {
        (rest, None)
    };
    Ok(ImageReference::Registry { repository: name.parse()?, reference })
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout { directory, image } => {
                write!(f, "oci:{}", directory.display())?;
                match image {
                    Some(LayoutReference::Name(name)) => write!(f, ":{name}"),
                    Some(LayoutReference::Digest(digest)) => write!(f, "@{digest}"),
                    None => Ok(()),
                }
            }
            Self::Registry { repository, reference } => {
                write!(f, "registry:{repository}")?;
                match reference {
                    Some(Reference::Tag(tag)) => write!(f, ":{tag}"),
                    Some(Reference::Digest(digest)) => write!(f, "@{digest}"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints() {
        let digest = Digest::sha256(b"");
        for text in [
            "oci:dir".to_owned(),
            "oci:/a/b c/d".to_owned(),
            "oci:dir:latest".to_owned(),
            "oci:dir:docker.io/library/busybox:1.36".to_owned(),
            format!("oci:dir@{digest}"),
            "registry:a".to_owned(),
            "registry:a/b:1.0".to_owned(),
            format!("registry:a/b@{digest}"),
        ] {
            assert_eq!(text.parse::<ImageReference>().unwrap().to_string(), text);
        }
        let parsed: ImageReference = "oci:dir:a:b".parse().unwrap();
        let image = Some(LayoutReference::Name("a:b".to_owned()));
        assert_eq!(parsed, ImageReference::Layout { directory: "dir".into(), image });
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "a/b",
            "docker://a/b",
            "oci:",
            "oci::tag",
            "oci:dir:",
            "oci:dir:a b",
            "oci:dir:a//b",
            "oci:dir:../x",
            "registry:",
            "registry:A",
            "registry:a:",
            "registry:a:b c",
            "registry:a@sha256:12",
            "registry:a@latest",
            "registry:a:b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "registry:../../x",
        ] {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
    }
}
