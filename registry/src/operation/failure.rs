//! Which failures are for the operator.

use std::fmt;

use plugin_registry_core::ErrorKind;

use crate::error::RegistryError;

/// An error that an operation can end with.
pub(crate) trait Failure: fmt::Display + fmt::Debug {
    /// Whether the store is at fault, and nothing has reported it yet.
    fn is_fault(&self) -> bool;
}

impl Failure for RegistryError {
    /// What is absent, refused or lost to another writer is an answer of the store. Damage is reported where it
    /// is found, since some operations go on after it.
    fn is_fault(&self) -> bool {
        let Self::Storage(error) = self else { return false };
        !matches!(
            error.kind(),
            ErrorKind::NotFound
                | ErrorKind::AlreadyExists
                | ErrorKind::Conflict
                | ErrorKind::InvalidPath
                | ErrorKind::InvalidOffset
                | ErrorKind::TooLarge
                | ErrorKind::ReadOnly
                | ErrorKind::Unsupported
        )
    }
}

#[cfg(test)]
mod tests {
    use plugin_registry_core::Error;

    use super::*;

    #[test]
    fn a_fault_is_what_the_store_should_not_have_done() {
        for (kind, is_fault) in [
            (ErrorKind::NotFound, false),
            (ErrorKind::AlreadyExists, false),
            (ErrorKind::InvalidPath, false),
            (ErrorKind::InvalidOffset, false),
            (ErrorKind::TooLarge, false),
            (ErrorKind::PermissionDenied, true),
            (ErrorKind::Unauthenticated, true),
            (ErrorKind::NoSpace, true),
            (ErrorKind::ReadOnly, false),
            (ErrorKind::Conflict, false),
            (ErrorKind::RateLimited, true),
            (ErrorKind::Timeout, true),
            (ErrorKind::Unavailable, true),
            (ErrorKind::Unsupported, false),
            (ErrorKind::Corrupted, true),
            (ErrorKind::InvalidConfig, true),
            (ErrorKind::Other, true),
        ] {
            assert_eq!(RegistryError::from(Error::new(kind)).is_fault(), is_fault, "{kind:?}");
        }
        assert!(!RegistryError::UploadBusy.is_fault());
    }
}
