//! The names of staged files.

use plugin_registry_core::{Error, ErrorKind, Result, StoragePath};
use uuid::Uuid;

/// The longest name that is written: with `.<uuid>.tmp` it has the 255 bytes that filesystems allow.
const MAX_NAME: usize = 255 - 41;

/// Whether a regular file of this name is staged: ours, or one that distribution left.
pub(crate) fn is_staged(name: &str) -> bool {
    target(name).is_some()
}

/// The name of the file that a regular file of this name is staged for, if it is.
pub(crate) fn target(name: &str) -> Option<&str> {
    let split = |suffix| name.strip_suffix(suffix).and_then(|rest: &str| rest.rsplit_once('.'));
    let temporary = split(".tmp").filter(|(_, inner)| is_uuid(inner));
    let part = || split(".part").filter(|(_, size)| parse_size(size).is_some());
    temporary.or_else(part).map(|(target, _)| target)
}

/// A name that nobody else has, to write `name` under.
pub(crate) fn tmp(name: &str) -> String {
    format!("{name}.{}.tmp", Uuid::new_v4())
}

/// The name under which `size` bytes of `name` wait to be resumed.
pub(crate) fn part(name: &str, size: u64) -> String {
    format!("{name}.{size}.part")
}

/// The size that waits under the name `candidate`, if it is a [`part`] of `name`.
pub(crate) fn part_size(name: &str, candidate: &str) -> Option<u64> {
    parse_size(candidate.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".part")?)
}

/// Whether a path may hold this name. What else is in a directory is none of ours.
pub(crate) fn is_component(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The directory and the name of a file.
///
/// # Errors
/// `InvalidPath` for the root.
pub(crate) fn split(path: &StoragePath) -> Result<(StoragePath, &str)> {
    let root = || Error::new(ErrorKind::InvalidPath).with_message("the root is no file");
    path.parent().zip(path.file_name()).ok_or_else(root)
}

/// Refuses what would be invisible once written, or could not be staged.
pub(crate) fn check_target(path: &StoragePath) -> Result<()> {
    let (_, name) = split(path)?;
    let message = if name.len() > MAX_NAME {
        "a file's name is longer than 214 bytes"
    } else if is_staged(name) {
        "names that end in `.<uuid>.tmp` or `.<size>.part` are those of staged files"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidPath).with_message(message))
}

fn parse_size(text: &str) -> Option<u64> {
    // One spelling a size, so that no two names mean the same.
    let canonical = text == "0" || !text.starts_with(['0', '+']);
    if canonical { text.parse().ok() } else { None }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staged_names_are_told_from_others() {
        for name in
            [&tmp("link"), "data.0.part", "a.b.5.part", "link.6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5b.tmp"]
        {
            assert!(is_staged(name), "{name}");
        }
        for name in
            ["v1.tmp", "v1.part", "5.part", "v1.05.part", "v1.+5.part", "v1..part", "data", "x.5.parts"]
        {
            assert!(!is_staged(name), "{name}");
        }
    }

    #[test]
    fn components_are_those_of_paths() {
        for name in ["a", ".a", "...", "a b", "lost+found", ".", "..", "ä", "_-."] {
            assert_eq!(is_component(name), StoragePath::root().join(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn parts_belong_to_one_name() {
        assert_eq!(part_size("a", &part("a", 7)), Some(7));
        assert_eq!(part_size("a", "a.b.7.part"), None);
        assert_eq!(part_size("a", "a.5.7.part"), None);
        assert_eq!(part_size("a.5", "a.5.7.part"), Some(7));
        assert_eq!(part_size("a", "a.99999999999999999999.part"), None);
        assert_eq!(part_size("a", "a.part"), None);
    }

    #[test]
    fn names_fit_the_filesystem() {
        let fits: StoragePath = format!("/{}", "n".repeat(MAX_NAME)).parse().unwrap();
        check_target(&fits).unwrap();
        assert_eq!(tmp(fits.file_name().unwrap()).len(), 255);
        let long: StoragePath = format!("/{}", "n".repeat(MAX_NAME + 1)).parse().unwrap();
        assert_eq!(check_target(&long).unwrap_err().kind(), ErrorKind::InvalidPath);
        let hidden: StoragePath = "/a.5.part".parse().unwrap();
        assert_eq!(check_target(&hidden).unwrap_err().kind(), ErrorKind::InvalidPath);
    }
}
