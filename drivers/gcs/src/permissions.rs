//! The permissions that a registry needs: IAM permissions of Google Cloud Storage.

use plugin_registry_core::Permissions;

/// What [`StorageDriver::permissions`](plugin_registry_core::StorageDriver::permissions) returns.
pub static PERMISSIONS: Permissions = Permissions {
    place: "the bucket",
    identity: "the service account, its key or the workload identity, and this machine's clock",
    connection: "the endpoint, its certificate, the network and the proxy",
    list: "storage.objects.list on the bucket",
    missing: "storage.objects.list on the bucket: without it, missing objects look forbidden",
    write: "storage.objects.create on the bucket, and storage.objects.delete to replace objects",
    read: "storage.objects.get on the bucket, and storage.objects.list: without it, missing objects look \
           forbidden",
    conditional_write: "storage.objects.create on the bucket",
    stage: "storage.objects.create, storage.objects.get and storage.objects.delete on the bucket",
    find_stages: "storage.objects.list and storage.objects.get on the bucket",
    delete: "storage.objects.delete and storage.objects.list on the bucket",
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
            assert!(text.contains("storage.objects"), "{text}");
            assert!(!["s3:", "SAS", "this process"].iter().any(|other| text.contains(other)), "{text}");
        }
    }
}
