//! The names of staged files.

use plugin_registry_core::{Error, ErrorKind, Result, StoragePath};
use uuid::Uuid;

/// The longest name that can be written. With `.<uuid>.<size>.part`, and a size of at most 20 digits, it has
/// the 255 bytes that filesystems allow.
const MAX_NAME: usize = 255 - 63;

/// Whether a regular file of this name is staged, by this driver or by distribution.
pub(crate) fn is_staged(name: &str) -> bool {
    target(name).is_some()
}

/// If a regular file of this name is staged, the name of the file that it is staged for.
pub(crate) fn target(name: &str) -> Option<&str> {
    let identified = match (name.strip_suffix(".tmp"), name.strip_suffix(".part")) {
        (Some(rest), _) => rest,
        (None, Some(rest)) => rest.rsplit_once('.').filter(|(_, size)| parse_size(size).is_some())?.0,
        (None, None) => return None,
    };
    identified.rsplit_once('.').filter(|(_, id)| is_uuid(id)).map(|(target, _)| target)
}

/// The name under which a new stage of `name` is written.
pub(crate) fn tmp(name: &str, stage: &Uuid) -> String {
    format!("{name}.{stage}.tmp")
}

/// The name under which the first `size` bytes of a stage of `name` wait to be resumed. No other stage ever has
/// this name, so a file with it is this stage.
pub(crate) fn part(name: &str, stage: &Uuid, size: u64) -> String {
    format!("{name}.{stage}.{size}.part")
}

/// The stage and size in the name `candidate`, if it is a [`part`] of `name`.
pub(crate) fn parse_part(name: &str, candidate: &str) -> Option<(Uuid, u64)> {
    let rest = candidate.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".part")?;
    let (stage, size) = rest.split_once('.')?;
    Some((Uuid::try_parse(stage).ok().filter(|_| is_uuid(stage))?, parse_size(size)?))
}

/// Whether a path may hold this name. All other names in a directory are ignored.
pub(crate) fn is_component(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Splits a path into the directory and the name of a file.
///
/// # Errors
/// `InvalidPath` for the root.
pub(crate) fn split(path: &StoragePath) -> Result<(StoragePath, &str)> {
    let root = || Error::new(ErrorKind::InvalidPath).with_message("the root is not a file");
    path.parent().zip(path.file_name()).ok_or_else(root)
}

/// Refuses a name that would be invisible once written, or could not be staged.
pub(crate) fn check_target(path: &StoragePath) -> Result<()> {
    let (_, name) = split(path)?;
    let message = if name.len() > MAX_NAME {
        "a file's name is longer than 192 bytes"
    } else if is_staged(name) {
        "names that end in `.<uuid>.tmp` or `.<uuid>.<size>.part` are reserved for staged files"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidPath).with_message(message))
}

fn parse_size(text: &str) -> Option<u64> {
    // Each size has one spelling, so no two names mean the same.
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
        const UUID: &str = "6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5b";
        let stage = Uuid::new_v4();
        for name in [tmp("link", &stage), part("a.b", &stage, 0), format!("link.{UUID}.tmp")] {
            assert!(is_staged(&name), "{name}");
        }
        let wrong = ["05", "+5", "", "5.5"].map(|size| format!("v1.{UUID}.{size}.part"));
        let wrong = wrong.iter().map(String::as_str);
        for name in wrong.chain([
            "v1.tmp",
            "v1.part",
            "v1.5.part",
            "data",
            "6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5b.tmp",
        ]) {
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
        let stage = Uuid::new_v4();
        assert_eq!(parse_part("a", &part("a", &stage, 7)), Some((stage, 7)));
        assert_eq!(parse_part("a", &part("a.b", &stage, 7)), None);
        assert_eq!(parse_part("a", &part(&format!("a.{stage}"), &stage, 7)), None);
        assert_eq!(parse_part("a.5", &part("a.5", &stage, 7)), Some((stage, 7)));
        for wrong in [format!("a.{stage}.99999999999999999999.part"), "a.7.part".into(), "a.part".into()] {
            assert_eq!(parse_part("a", &wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_fit_the_filesystem() {
        let fits: StoragePath = format!("/{}", "n".repeat(MAX_NAME)).parse().unwrap();
        check_target(&fits).unwrap();
        assert_eq!(part(fits.file_name().unwrap(), &Uuid::new_v4(), u64::MAX).len(), 255);
        let long: StoragePath = format!("/{}", "n".repeat(MAX_NAME + 1)).parse().unwrap();
        assert_eq!(check_target(&long).unwrap_err().kind(), ErrorKind::InvalidPath);
        let hidden = part("/a", &Uuid::new_v4(), 5).parse().unwrap();
        assert_eq!(check_target(&hidden).unwrap_err().kind(), ErrorKind::InvalidPath);
    }
}
