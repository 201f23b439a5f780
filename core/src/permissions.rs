//! What a store calls the permissions that a registry needs.

/// The permissions that a registry needs, in the words of one kind of store, and where its settings are.
///
/// A probe of a location shows them beside a step that was refused. A driver returns its own from
/// [`StorageDriver::permissions`](crate::StorageDriver::permissions). Each text completes the sentence
/// "needed: …" or "check …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// The settings that say which store it is.
    pub place: &'static str,
    /// What says which client asks.
    pub identity: &'static str,
    /// What lies between this process and the bytes.
    pub connection: &'static str,
    /// What lists, catalogs and deletes need.
    pub list: &'static str,
    /// What it takes to see that something is missing.
    pub missing: &'static str,
    /// What writes and replacements need.
    pub write: &'static str,
    /// What reads need.
    pub read: &'static str,
    /// What writes on a condition need.
    pub conditional_write: &'static str,
    /// What it takes to stage bytes and to go on with them.
    pub stage: &'static str,
    /// What it takes to find staged bytes.
    pub find_stages: &'static str,
    /// What deletes need.
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
