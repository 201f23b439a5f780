//! Errors about one path.

use plugin_registry_core::ErrorKind;

use crate::error::RegistryError;

/// Whether an error is about one path of a store that is there, so that asking for another path is worthwhile.
pub(super) fn is_path_error(error: &RegistryError) -> bool {
    match error {
        RegistryError::Damaged(_) => true,
        RegistryError::Storage(error) => matches!(
            error.kind(),
            ErrorKind::NotFound
                | ErrorKind::InvalidPath
                | ErrorKind::TooLarge
                | ErrorKind::PermissionDenied
                | ErrorKind::Corrupted
                | ErrorKind::Other
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_registry_core::Error;

    #[test]
    fn a_store_that_is_not_there_ends_a_run() {
        for (kind, goes_on) in [
            (ErrorKind::PermissionDenied, true),
            (ErrorKind::Corrupted, true),
            (ErrorKind::TooLarge, true),
            (ErrorKind::Other, true),
            (ErrorKind::Unavailable, false),
            (ErrorKind::Timeout, false),
            (ErrorKind::RateLimited, false),
            (ErrorKind::Unauthenticated, false),
            (ErrorKind::Unsupported, false),
        ] {
            assert_eq!(is_path_error(&Error::new(kind).into()), goes_on, "{kind:?}");
        }
    }
}
