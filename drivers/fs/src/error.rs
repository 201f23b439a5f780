//! Maps `std::io::Error` to [`ErrorKind`], as a table.

use std::io;

use plugin_registry_core::{Error, ErrorKind};
use rustix::io::Errno;

const ESCAPE: &str = "a symbolic link leads out of the root";

/// The meaning of an error for a call that reads: if the parent directory is missing, or is a file, the file
/// is missing.
pub(crate) fn read(error: io::Error) -> Error {
    let (kind, message) = match Errno::from_io_error(&error) {
        Some(Errno::NOTDIR | Errno::ISDIR) => (ErrorKind::NotFound, None),
        errno => classify(errno, &error),
    };
    build(kind, message, error)
}

/// The meaning of an error for a call that writes: it creates its directories, so nothing is just missing.
pub(crate) fn write(error: io::Error) -> Error {
    let (kind, message) = match Errno::from_io_error(&error) {
        Some(Errno::NOENT) => {
            (ErrorKind::Unavailable, Some("the directory disappeared while it was being written to"))
        }
        Some(Errno::NOTDIR) => (ErrorKind::InvalidPath, Some("a component of the path is a file")),
        Some(Errno::ISDIR) => (ErrorKind::InvalidPath, Some("a directory is at this path")),
        errno => classify(errno, &error),
    };
    build(kind, message, error)
}

/// Whether nothing exists there: no such name, or a file in place of a parent directory.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR))
}

/// Turns the error of a missing file into `Ok`.
pub(crate) fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_missing(&error) => Ok(()),
        result => result,
    }
}

fn classify(errno: Option<Errno>, error: &io::Error) -> (ErrorKind, Option<&'static str>) {
    let Some(errno) = errno else {
        return if is_escape(error) {
            (ErrorKind::PermissionDenied, Some(ESCAPE))
        } else {
            (ErrorKind::Other, None)
        };
    };
    match errno {
        Errno::NOENT => (ErrorKind::NotFound, None),
        Errno::EXIST => (ErrorKind::AlreadyExists, None),
        Errno::ACCESS | Errno::PERM => (ErrorKind::PermissionDenied, None),
        Errno::LOOP => (ErrorKind::PermissionDenied, Some("too many symbolic links")),
        Errno::NAMETOOLONG => (ErrorKind::InvalidPath, Some("a name is too long for this filesystem")),
        Errno::NXIO | Errno::NODEV => {
            (ErrorKind::InvalidPath, Some("this is neither a file nor a directory"))
        }
        Errno::NOSPC | Errno::DQUOT => (ErrorKind::NoSpace, None),
        Errno::FBIG => (ErrorKind::TooLarge, Some("larger than this filesystem allows a file to be")),
        Errno::ROFS => (ErrorKind::ReadOnly, None),
        Errno::NOTEMPTY => (ErrorKind::Conflict, Some("the directory is being written to")),
        Errno::MFILE | Errno::NFILE => (ErrorKind::Unavailable, Some("too many open files")),
        Errno::NOMEM | Errno::BUSY | Errno::STALE | Errno::NOTCONN => (ErrorKind::Unavailable, None),
        Errno::TIMEDOUT => (ErrorKind::Timeout, None),
        Errno::XDEV => (ErrorKind::Unsupported, Some("the root spans several filesystems")),
        Errno::NOTSUP | Errno::NOSYS => (ErrorKind::Unsupported, None),
        Errno::BADMSG => (ErrorKind::Corrupted, None),
        _ => (ErrorKind::Other, None),
    }
}

/// A refusal of cap-std has no error number; a refusal of the system has one.
fn is_escape(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

/// Whether the system denies access. A path that leads out of the root, or in a circle, does not count.
pub(crate) fn is_refused(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ACCESS | Errno::PERM))
}

fn build(kind: ErrorKind, message: Option<&'static str>, error: io::Error) -> Error {
    let built = match (message, kind) {
        (Some(message), _) => Error::new(kind).with_message(message),
        (None, ErrorKind::NotFound | ErrorKind::AlreadyExists) => Error::new(kind),
        (None, _) => Error::new(kind).with_message(error.to_string()),
    };
    built.with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! rows {
        ($($name:ident: $function:ident($error:expr) => $kind:ident, retryable $retryable:literal;)*) => {$(
            #[test]
            fn $name() {
                let error = $function(io::Error::from($error));
                assert_eq!(error.kind(), ErrorKind::$kind);
                assert_eq!(error.is_retryable(), $retryable);
            }
        )*};
    }

    fn escape() -> io::Error {
        io::Error::new(io::ErrorKind::PermissionDenied, "a path led outside of the filesystem")
    }

    rows! {
        read_noent: read(Errno::NOENT) => NotFound, retryable false;
        read_notdir: read(Errno::NOTDIR) => NotFound, retryable false;
        read_isdir: read(Errno::ISDIR) => NotFound, retryable false;
        write_noent: write(Errno::NOENT) => Unavailable, retryable true;
        write_notdir: write(Errno::NOTDIR) => InvalidPath, retryable false;
        write_isdir: write(Errno::ISDIR) => InvalidPath, retryable false;
        exist: write(Errno::EXIST) => AlreadyExists, retryable false;
        access: read(Errno::ACCESS) => PermissionDenied, retryable false;
        perm: write(Errno::PERM) => PermissionDenied, retryable false;
        link_loop: read(Errno::LOOP) => PermissionDenied, retryable false;
        link_escape: read(escape()) => PermissionDenied, retryable false;
        nametoolong: write(Errno::NAMETOOLONG) => InvalidPath, retryable false;
        nxio: read(Errno::NXIO) => InvalidPath, retryable false;
        nodev: read(Errno::NODEV) => InvalidPath, retryable false;
        nospc: write(Errno::NOSPC) => NoSpace, retryable false;
        dquot: write(Errno::DQUOT) => NoSpace, retryable false;
        fbig: write(Errno::FBIG) => TooLarge, retryable false;
        rofs: write(Errno::ROFS) => ReadOnly, retryable false;
        notempty: write(Errno::NOTEMPTY) => Conflict, retryable true;
        mfile: read(Errno::MFILE) => Unavailable, retryable true;
        nfile: read(Errno::NFILE) => Unavailable, retryable true;
        nomem: read(Errno::NOMEM) => Unavailable, retryable true;
        busy: write(Errno::BUSY) => Unavailable, retryable true;
        stale: read(Errno::STALE) => Unavailable, retryable true;
        notconn: read(Errno::NOTCONN) => Unavailable, retryable true;
        timedout: read(Errno::TIMEDOUT) => Timeout, retryable true;
        xdev: write(Errno::XDEV) => Unsupported, retryable false;
        notsup: write(Errno::NOTSUP) => Unsupported, retryable false;
        nosys: write(Errno::NOSYS) => Unsupported, retryable false;
        badmsg: read(Errno::BADMSG) => Corrupted, retryable false;
        eio: write(Errno::IO) => Other, retryable false;
        inval: write(Errno::INVAL) => Other, retryable false;
        not_of_the_system: read(io::Error::other("?")) => Other, retryable false;
    }

    #[test]
    fn the_text_says_what_to_do_about() {
        assert!(read(escape()).to_string().contains(ESCAPE));
        assert_eq!(
            read(Errno::NOENT.into()).to_string(),
            "not found: No such file or directory (os error 2)"
        );
        assert!(write(Errno::IO.into()).to_string().contains("os error 5"));
    }
}
