//! The permissions that a registry needs: roles of Azure and letters of a SAS token.

use plugin_registry_core::Permissions;

/// What [`StorageDriver::permissions`](plugin_registry_core::StorageDriver::permissions) returns.
pub static PERMISSIONS: Permissions = Permissions {
    place: "the storage account, the container and the endpoint",
    identity: "the account key, the SAS token or the identity, and this machine's clock",
    connection: "the endpoint, its certificate, the network and the proxy",
    list: "the role Storage Blob Data Contributor on the container (Storage Blob Data Reader is enough \
           for reads), or a SAS token with `l`",
    missing: "the role Storage Blob Data Contributor on the container (Storage Blob Data Reader is \
              enough for reads), or a SAS token with `r`",
    write: "the role Storage Blob Data Contributor on the container, or a SAS token with `c` and `w`",
    read: "the role Storage Blob Data Contributor on the container (Storage Blob Data Reader is enough \
           for reads), or a SAS token with `r`",
    conditional_write: "the role Storage Blob Data Contributor on the container, or a SAS token with `c` and \
                        `w`",
    stage: "the role Storage Blob Data Contributor on the container, or a SAS token with `r`, `c`, `w` and `d`",
    find_stages: "the role Storage Blob Data Contributor on the container, or a SAS token with `r` and `l`",
    delete: "the role Storage Blob Data Contributor on the container, or a SAS token with `d` and `l`",
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
            assert!(text.contains("SAS"), "{text}");
            assert!(
                !["s3:", "storage.objects", "this process"].iter().any(|other| text.contains(other)),
                "{text}"
            );
        }
    }
}
