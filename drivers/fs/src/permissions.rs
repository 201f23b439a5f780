//! The permissions that a registry needs: mode bits of files and directories.

use plugin_registry_core::Permissions;

/// What [`StorageDriver::permissions`](plugin_registry_core::StorageDriver::permissions) returns.
pub(crate) static PERMISSIONS: Permissions = Permissions {
    place: "the root directory",
    identity: "the user and the groups of this process",
    connection: "the disk and its mount",
    list: "this process needs to read and search `docker/registry/v2` and the directories in it (`r-x`)",
    missing: "this process needs to search the directories (`--x`)",
    write: "this process needs to write to the root directory and the directories in it (`rwx`)",
    read: "this process needs to search the directories (`--x`) and to read the files in them (`r--`)",
    conditional_write: "this process needs to write to the directories (`rwx`), on a file system with hard \
                        links or exclusive renames",
    stage: "this process needs to write to the directories (`rwx`), to read and write the files in them \
            (`rw-`), and to lock files",
    find_stages: "this process needs to read and search all directories (`r-x`)",
    delete: "this process needs to write to the directories (`rwx`), including those of other owners",
};

#[cfg(test)]
mod tests {
    use super::PERMISSIONS;

    #[test]
    fn every_permission_is_in_the_words_of_the_store() {
        let store = PERMISSIONS;
        for text in [
            store.list,
            store.missing,
            store.write,
            store.read,
            store.conditional_write,
            store.stage,
            store.find_stages,
            store.delete,
        ] {
            assert!(text.contains("this process"), "{text}");
            assert!(!["s3:", "storage.objects", "SAS"].iter().any(|other| text.contains(other)), "{text}");
        }
    }
}
