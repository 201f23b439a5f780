//! Maps redb's errors to those of the contract.

use std::io::ErrorKind as Io;

use plugin_registry_core::{Error, ErrorKind};
use redb::Error as Redb;

/// Why a transaction failed: an error of the contract, into which `?` turns those of redb.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Error);

macro_rules! failures {
    ($($error:ty => $convert:expr,)*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self($convert(error.into()))
            }
        }
    )*};
}

failures! {
    Error => std::convert::identity,
    ErrorKind => std::convert::identity,
    redb::CommitError => of_redb,
    redb::DatabaseError => of_redb,
    redb::SetDurabilityError => of_redb,
    redb::StorageError => of_redb,
    redb::TableError => of_redb,
    redb::TransactionError => of_redb,
}

fn of_redb(error: Redb) -> Error {
    let (kind, message) = match &error {
        Redb::DatabaseAlreadyOpen => {
            (ErrorKind::Unavailable, "already open; clone its driver to share it".into())
        }
        Redb::LockProtocolMismatch => (ErrorKind::Unavailable, error.to_string()),
        Redb::Corrupted(_) | Redb::UpgradeRequired(_) => (ErrorKind::Corrupted, error.to_string()),
        Redb::Io(io) => (of_io(io.kind()), error.to_string()),
        // Includes `PreviousIo`, which stays until the file is opened again.
        _ => (ErrorKind::Other, error.to_string()),
    };
    Error::new(kind).with_driver("redb").with_message(message).with_source(error)
}

fn of_io(kind: Io) -> ErrorKind {
    match kind {
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::NoSpace,
        Io::PermissionDenied => ErrorKind::PermissionDenied,
        Io::ReadOnlyFilesystem => ErrorKind::ReadOnly,
        // The file is not a database.
        Io::InvalidData => ErrorKind::Corrupted,
        _ => ErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_redb_have_kinds_of_the_contract() {
        for (error, kind) in [
            (Redb::Io(Io::StorageFull.into()), ErrorKind::NoSpace),
            (Redb::Io(Io::QuotaExceeded.into()), ErrorKind::NoSpace),
            (Redb::Io(Io::FileTooLarge.into()), ErrorKind::NoSpace),
            (Redb::Io(Io::PermissionDenied.into()), ErrorKind::PermissionDenied),
            (Redb::Io(Io::ReadOnlyFilesystem.into()), ErrorKind::ReadOnly),
            (Redb::Io(Io::InvalidData.into()), ErrorKind::Corrupted),
            (Redb::Io(Io::NotFound.into()), ErrorKind::Unavailable),
            (Redb::Corrupted("page".into()), ErrorKind::Corrupted),
            (Redb::UpgradeRequired(2), ErrorKind::Corrupted),
            (Redb::DatabaseAlreadyOpen, ErrorKind::Unavailable),
            (Redb::LockProtocolMismatch, ErrorKind::Unavailable),
            (Redb::PreviousIo, ErrorKind::Other),
        ] {
            let failure = of_redb(error);
            assert_eq!((failure.kind(), failure.driver()), (kind, Some("redb")), "{failure:?}");
        }
    }
}
