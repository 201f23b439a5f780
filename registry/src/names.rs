//! Whether a name in a store belongs to the layout or to another program.
//!
//! File systems, desktops and sync tools leave files everywhere: `.DS_Store`, `Thumbs.db`, `.nfs…`,
//! `.snapshot`. One rule holds for all of them: a name that the layout does not have is not ours. It is never
//! read or moved, and is reported by its own path. It is deleted only with a tag or an upload session that
//! contains it.

use plugin_registry_core::{Digest, StoragePath, Tag};

/// A component of the layout.
enum Component {
    Is(&'static str),
    Algorithm,
    /// The hexadecimal digits of a digest of the algorithm in the component before.
    Hex,
    Tag,
}

use Component::{Algorithm, Hex, Is};

/// The files of a repository, except uploads.
const FILES: [&[Component]; 5] = [
    &[Is("_layers"), Algorithm, Hex, Is("link")],
    &[Is("_manifests"), Is("revisions"), Algorithm, Hex, Is("link")],
    // Schema 1, as old versions of distribution 2 signed it.
    &[Is("_manifests"), Is("revisions"), Algorithm, Hex, Is("signatures"), Algorithm, Hex, Is("link")],
    &[Is("_manifests"), Is("tags"), Component::Tag, Is("current"), Is("link")],
    &[Is("_manifests"), Is("tags"), Component::Tag, Is("index"), Algorithm, Hex, Is("link")],
];

/// Returns the foreign part of a file's path below a repository, up to the first component that the layout does
/// not have; `None` for a file of the layout.
pub(crate) fn foreign(repository: &StoragePath, file: &StoragePath) -> Option<StoragePath> {
    let components: Vec<&str> = file.strip_prefix(repository)?.split('/').collect();
    let fitting = FILES.iter().map(|pattern| {
        let fits = pattern.iter().zip(&components).enumerate();
        let before = |at: usize| at.checked_sub(1).and_then(|at| components.get(at)).copied();
        fits.take_while(|(at, (component, name))| component.fits(name, before(*at))).count()
    });
    let longest = fitting.zip(FILES).max_by_key(|(count, _)| *count);
    let (count, pattern) = longest?;
    if count == pattern.len() && count == components.len() {
        return None;
    }
    let foreign = components.get(..=count.min(components.len() - 1))?.join("/");
    repository.join(&foreign).ok()
}

impl Component {
    fn fits(&self, name: &str, before: Option<&str>) -> bool {
        match self {
            Is(expected) => name == *expected,
            Algorithm => is_algorithm(name),
            Hex => before.is_some_and(|algorithm| format!("{algorithm}:{name}").parse::<Digest>().is_ok()),
            Self::Tag => name.parse::<Tag>().is_ok(),
        }
    }
}

/// Returns the digest of a file of the layout that is a layer link or a revision link.
pub(crate) fn linked(repository: &StoragePath, file: &StoragePath) -> Option<Digest> {
    let components: Vec<&str> = file.strip_prefix(repository)?.split('/').collect();
    match components.as_slice() {
        ["_layers", algorithm, hex, "link"] | ["_manifests", "revisions", algorithm, hex, "link"] => {
            format!("{algorithm}:{hex}").parse().ok()
        }
        _ => None,
    }
}

/// Whether a directory's name is that of a digest algorithm that we know.
pub(crate) fn is_algorithm(name: &str) -> bool {
    plugin_registry_core::Algorithm::ALL.iter().any(|algorithm| algorithm.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_layout_are_told_from_others() {
        let repository: StoragePath = "/docker/registry/v2/repositories/a".parse().unwrap();
        let hex = "0".repeat(64);
        for (file, expected) in [
            ("_layers/sha256/HEX/link", None),
            ("_manifests/revisions/sha256/HEX/link", None),
            ("_manifests/revisions/sha256/HEX/signatures/sha256/HEX/link", None),
            ("_manifests/tags/v1/current/link", None),
            ("_manifests/tags/v1/index/sha256/HEX/link", None),
            ("_layers/.DS_Store", Some("_layers/.DS_Store")),
            ("_layers/sha256/.snapshot/hourly/HEX/link", Some("_layers/sha256/.snapshot")),
            ("_layers/sha256/HEX/.nfs0001", Some("_layers/sha256/HEX/.nfs0001")),
            ("_layers/sha256/HEX/link/x", Some("_layers/sha256/HEX/link/x")),
            ("_layers/sha256/HEX", Some("_layers/sha256/HEX")),
            ("_layers/sha512/HEX/link", Some("_layers/sha512/HEX")),
            ("_layers/md5/x/link", Some("_layers/md5")),
            ("_manifests/tags/Thumbs.db", Some("_manifests/tags/Thumbs.db")),
            ("_manifests/tags/v1/Thumbs.db", Some("_manifests/tags/v1/Thumbs.db")),
            ("_manifests/note", Some("_manifests/note")),
            ("note", Some("note")),
        ] {
            let path = |text: &str| repository.join(&text.replace("HEX", &hex)).unwrap();
            assert_eq!(foreign(&repository, &path(file)), expected.map(path), "{file}");
        }
    }
}
