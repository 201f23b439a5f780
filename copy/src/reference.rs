//! The text form of an image's location.

use std::{fmt, path::PathBuf, str::FromStr};

use plugin_registry_core::{
    Algorithm, Digest, DigestError, NameError, Reference, RepositoryName, shown_words,
};

/// The transport of skopeo for an image in a remote registry.
const REMOTE: &str = "docker";
/// Its other transports, which people also use to name images.
const TRANSPORTS: &[&str] =
    &["containers-storage", "dir", "docker-archive", "docker-daemon", "oci-archive", "ostree", "sif"];

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
    /// An OCI image layout directory.
    ///
    /// As in skopeo, the first colon ends the path. A name before a digest, as in `oci:DIR:NAME@DIGEST`, is for
    /// people to read: the digest says which image it is.
    Layout {
        /// The directory.
        directory: PathBuf,
        /// Which image of it; `None` if it holds or gets only one.
        image: Option<LayoutReference>,
    },
    /// The embedded registry.
    Registry {
        /// The repository.
        repository: RepositoryName,
        /// Which image of it; `None` is the tag `latest`.
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

/// Why a text is not an [`ImageReference`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// It does not begin with a transport. The text is shown only if it looks like names: otherwise it may hold a
    /// password.
    #[error("{text} is not an image: write oci:DIR[:NAME|@DIGEST] or registry:NAME[:TAG|@DIGEST]{}",
        meant.as_ref().map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default())]
    NoTransport {
        /// The text, or what stands for it.
        text: String,
        /// What it is with the transport that was probably meant.
        meant: Option<String>,
    },
    /// The image is in a remote registry.
    #[error(
        "`docker://…` is in a remote registry, which cannot be reached yet: \
        copy it from or to oci:DIR with `skopeo copy`, and write oci:DIR here"
    )]
    Remote,
    /// It begins with another transport of skopeo. The rest is not shown: a password may be in it.
    #[error(
        "`{0}:…` is not supported: copy it from or to oci:DIR with `skopeo copy`, and write oci:DIR here"
    )]
    Transport(&'static str),
    /// A layout without a directory.
    #[error("`{0}` does not name a directory: write oci:DIR[:NAME|@DIGEST]")]
    Directory(String),
    /// The name of an image in a layout breaks the grammar of the image specification.
    #[error("`{0}`: a name in a layout is made of letters and digits, separated by single -._:@/+")]
    Name(String),
    /// The digest of an image in a layout does not parse.
    #[error("`{text}`: {error}")]
    Digest {
        /// The whole text.
        text: String,
        /// What is wrong with it.
        error: DigestError,
    },
    /// The repository name, tag or digest does not parse.
    #[error("`{text}`: {error}")]
    Registry {
        /// The whole text.
        text: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// An image of the registry has a tag and a digest.
    #[error("`{0}`: write a tag or a digest, not both")]
    TagAndDigest(String),
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        match text.split_once(':') {
            Some(("oci", rest)) => layout(text, rest),
            Some(("registry", rest)) => match registry(rest) {
                Err(_) if has_tag_and_digest(rest) => Err(ReferenceError::TagAndDigest(text.to_owned())),
                parsed => parsed.map_err(|error| ReferenceError::Registry { text: text.to_owned(), error }),
            },
            Some((REMOTE, _)) => Err(ReferenceError::Remote),
            Some((word, _)) => match TRANSPORTS.iter().find(|known| **known == word) {
                Some(known) => Err(ReferenceError::Transport(known)),
                None => Err(without_transport(text)),
            },
            None => Err(without_transport(text)),
        }
    }
}

fn without_transport(text: &str) -> ReferenceError {
    let Some(text) = shown_words(text, "._-/:") else {
        return ReferenceError::NoTransport { text: "the text".to_owned(), meant: None };
    };
    let meant = if text.starts_with(['.', '/']) {
        Some(format!("oci:{text}"))
    } else {
        registry(text).is_ok().then(|| format!("registry:{text}"))
    };
    ReferenceError::NoTransport { text: format!("`{text}`"), meant }
}

fn has_tag_and_digest(rest: &str) -> bool {
    rest.split_once('@').is_some_and(|(before, digest)| {
        before.contains(':') && registry(before).is_ok() && digest.parse::<Digest>().is_ok()
    })
}

fn layout(text: &str, rest: &str) -> Result<ImageReference, ReferenceError> {
    let wrong_name = || ReferenceError::Name(text.to_owned());
    let (before, digest) = match rest.rsplit_once('@') {
        Some((before, digest)) if is_like_digest(digest) => {
            let parsed = digest.parse();
            (before, Some(parsed.map_err(|error| ReferenceError::Digest { text: text.to_owned(), error })?))
        }
        _ => (rest, None),
    };
    let (directory, name) = match before.split_once(':') {
        Some((_, name)) if !is_ref_name(name) => return Err(wrong_name()),
        Some((directory, name)) => (directory, Some(name)),
        None => (before, None),
    };
    let image = match (digest, name) {
        (Some(digest), _) => Some(LayoutReference::Digest(digest)),
        (None, name) => name.map(|name| LayoutReference::Name(name.to_owned())),
    };
    if directory.is_empty() {
        return Err(ReferenceError::Directory(text.to_owned()));
    }
    Ok(ImageReference::Layout { directory: PathBuf::from(directory), image })
}

/// Returns whether a digest was meant, right or wrong.
fn is_like_digest(text: &str) -> bool {
    let algorithm = text.split_once(':').map(|(algorithm, _)| algorithm);
    Algorithm::ALL.iter().any(|known| Some(known.as_str()) == algorithm)
}

/// Checks the grammar in image-spec, "Annotations", `org.opencontainers.image.ref.name`.
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
        for text in [format!("oci:dir:1.0@{digest}"), format!("oci:dir:docker.io/a/b:1@{digest}")] {
            let image = Some(LayoutReference::Digest(digest));
            let expected = ImageReference::Layout { directory: "dir".into(), image };
            assert_eq!(text.parse(), Ok(expected), "{text}");
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
            "oci:dir@sha256:12",
            "oci:dir:a@sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "oci:dir:a b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
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

    #[test]
    fn a_password_is_not_repeated() {
        for text in
            ["docker://me:hunter2@host/a", "https://me:hunter2@host/a", "me:hunter2@host", "x hunter2"]
        {
            let error = text.parse::<ImageReference>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let error = "docker://host/a".parse::<ImageReference>().unwrap_err().to_string();
        assert_eq!(
            error,
            "`docker://…` is in a remote registry, which cannot be reached yet: copy it from or to oci:DIR with \
             `skopeo copy`, and write oci:DIR here"
        );
    }

    #[test]
    fn the_error_says_what_to_write() {
        const NEITHER: &str = "is not an image: write oci:DIR[:NAME|@DIGEST] or registry:NAME[:TAG|@DIGEST]";
        let digest = Digest::sha256(b"");
        for (text, expected) in [
            ("ns/app:1.0".to_owned(), format!("`ns/app:1.0` {NEITHER}; did you mean `registry:ns/app:1.0`?")),
            ("./image".to_owned(), format!("`./image` {NEITHER}; did you mean `oci:./image`?")),
            ("/srv/image:1".to_owned(), format!("`/srv/image:1` {NEITHER}; did you mean `oci:/srv/image:1`?")),
            ("NS".to_owned(), format!("`NS` {NEITHER}")),
            (
                "docker-archive:a.tar".to_owned(),
                "`docker-archive:…` is not supported: copy it from or to oci:DIR with `skopeo copy`, and write \
                 oci:DIR here"
                    .to_owned(),
            ),
            (
                format!("registry:a:1@{digest}"),
                format!("`registry:a:1@{digest}`: write a tag or a digest, not both"),
            ),
        ] {
            let error = text.parse::<ImageReference>().unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(std::error::Error::source(&error).is_none());
        }
    }
}
