//! The store's names for the permissions that a registry needs.

use std::fmt;

/// The permissions that a registry needs, in the words of one kind of store, and where its settings are.
///
/// A probe of a location shows them beside a step that was refused. A driver returns its own from
/// [`StorageDriver::permissions`](crate::StorageDriver::permissions). Each text completes the sentence
/// "needed: …" or "check …".
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// The settings that say which store it is.
    pub place: &'static str,
    /// The credentials that identify the client.
    pub identity: &'static str,
    /// The connection between this process and the bytes.
    pub connection: &'static str,
    /// The permissions for lists, catalogs and deletes.
    pub list: &'static str,
    /// The permissions to see that something is missing.
    pub missing: &'static str,
    /// The permissions for writes and replacements.
    pub write: &'static str,
    /// The permissions for reads.
    pub read: &'static str,
    /// The permissions for conditional writes.
    pub conditional_write: &'static str,
    /// The permissions to stage bytes and to continue with them.
    pub stage: &'static str,
    /// The permissions to find staged bytes.
    pub find_stages: &'static str,
    /// The permissions for deletes.
    pub delete: &'static str,
}

impl Permissions {
    /// The words for a store of any kind.
    pub const ANY: Self = Self {
        place: "the driver's settings",
        identity: "the credentials",
        connection: "the store and the connection to it",
        list: "the right to list",
        missing: "the right to see that something is missing",
        write: "the right to write",
        read: "the right to read",
        conditional_write: "the right to write and to read",
        stage: "the rights to write, to read and to delete",
        find_stages: "the right to list, unfinished uploads included",
        delete: "the rights to delete and to list",
    };
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permissions").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Permissions;

    #[test]
    fn a_store_of_any_kind_is_told_of_no_other() {
        let Permissions { list, missing, write, read, conditional_write, stage, find_stages, delete, .. } =
            Permissions::ANY;
        for text in [list, missing, write, read, conditional_write, stage, find_stages, delete] {
            for mark in ["s3:", "storage.objects", "SAS", "this process"] {
                assert!(!text.contains(mark), "{text}");
            }
        }
    }
}
