//! The names of repositories and images as arguments of the commands that read one registry.

use plugin_registry_copy::{ImageReference, ReferenceError};
use plugin_registry_core::{Reference, RepositoryName};

/// An image of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) repository: RepositoryName,
    pub(crate) reference: Option<Reference>,
}

/// Reads `NAME[:TAG|@DIGEST]`; `registry:` before it, as `copy` wants it, does no harm.
pub(crate) fn image(text: &str) -> Result<Image, String> {
    let with_transport = match text.strip_prefix("registry:") {
        Some(_) => text.to_owned(),
        None => format!("registry:{text}"),
    };
    match with_transport.parse() {
        Ok(ImageReference::Registry { repository, reference }) => Ok(Image { repository, reference }),
        Ok(_) => Err("write NAME, NAME:TAG or NAME@DIGEST".to_owned()),
        Err(error) => Err(elsewhere(text).unwrap_or_else(|| match error {
            // The argument's name and text are before it.
            ReferenceError::Registry { error, .. } => error.to_string(),
            ReferenceError::TagAndDigest(_) => "write a tag or a digest, not both".to_owned(),
            error => error.to_string(),
        })),
    }
}

/// Reads `NAME`, where a command is about all of a repository.
pub(crate) fn repository(text: &str) -> Result<RepositoryName, String> {
    let Image { repository, reference } = image(text)?;
    match reference {
        None => Ok(repository),
        Some(_) => Err(format!("write the repository alone, without a tag or a digest: `{repository}`")),
    }
}

/// What to say about an image that is not in this registry, whatever else is wrong with it.
fn elsewhere(text: &str) -> Option<String> {
    let what = match text.parse::<ImageReference>() {
        Ok(ImageReference::Layout { .. }) => {
            "this is an image layout, and the command reads the registry of --root, --config or --location: \
             `copy` the image into it, or read the layout with `skopeo inspect`"
        }
        Err(ReferenceError::Remote | ReferenceError::Transport(_)) => {
            "this is an image elsewhere, and the command reads the registry of --root, --config or --location: \
             write NAME, NAME:TAG or NAME@DIGEST"
        }
        _ => return None,
    };
    Some(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_with_and_without_the_transport() {
        assert_eq!(image("a/b:1").unwrap(), image("registry:a/b:1").unwrap());
        assert_eq!(image("a/b").unwrap().reference, None);
        assert_eq!(repository("registry:a/b").unwrap().as_str(), "a/b");
        assert!(image("oci:dir").unwrap().reference.is_some(), "a repository may have the name oci");
    }

    #[test]
    fn a_wrong_name_says_what_to_write() {
        let digest = plugin_registry_core::Digest::sha256(b"");
        let both = format!("a:1@{digest}");
        for (text, expected) in [
            ("A", "a repository name is made of lower-case components"),
            ("a:-", "a tag matches"),
            ("oci:./dir", "this is an image layout"),
            ("oci:dir:1.0", "this is an image layout"),
            ("docker://alpine:3", "this is an image elsewhere"),
            ("docker-archive:./a.tar", "this is an image elsewhere"),
            (&both, "write a tag or a digest, not both"),
        ] {
            let error = image(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
            assert_eq!(repository(text).unwrap_err(), error);
        }
        assert_eq!(
            repository("ns/app:1.0").unwrap_err(),
            "write the repository alone, without a tag or a digest: `ns/app`"
        );
    }
}
