//! The permissions that a registry needs: IAM actions of S3.

use plugin_registry_core::Permissions;

/// What [`StorageDriver::permissions`](plugin_registry_core::StorageDriver::permissions) returns.
pub(crate) static PERMISSIONS: Permissions = Permissions {
    place: "the bucket, the region and the endpoint",
    identity: "the access key, the secret key, the session token or the role, and this machine's clock",
    connection: "the endpoint, its certificate, the network and the proxy",
    list: "s3:ListBucket on the bucket",
    missing: "s3:ListBucket on the bucket, without a condition on the prefix: without it, missing \
              objects look forbidden",
    write: "s3:PutObject on the bucket's objects",
    read: "s3:GetObject on the bucket's objects, and s3:ListBucket on the bucket: without it, missing \
           objects look forbidden",
    conditional_write: "s3:PutObject and s3:GetObject on the bucket's objects",
    stage: "s3:PutObject, s3:GetObject, s3:DeleteObject and s3:AbortMultipartUpload on the bucket's objects, \
            and s3:ListBucket on the bucket",
    find_stages: "s3:ListBucketMultipartUploads and s3:ListBucket on the bucket, s3:GetObject and \
                  s3:ListMultipartUploadParts on its objects",
    delete: "s3:DeleteObject, s3:AbortMultipartUpload and, for unfinished uploads, s3:GetObject on the \
             bucket's objects, and s3:ListBucket on the bucket",
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
            assert!(text.contains("s3:"), "{text}");
            assert!(
                !["storage.objects", "SAS", "this process"].iter().any(|other| text.contains(other)),
                "{text}"
            );
        }
    }

    /// They are those that the guide to S3 names.
    #[test]
    fn the_permissions_of_each_step() {
        for (text, right) in [
            (PERMISSIONS.list, "s3:ListBucket"),
            (PERMISSIONS.missing, "without a condition on the prefix"),
            (PERMISSIONS.write, "s3:PutObject"),
            (PERMISSIONS.read, "s3:GetObject"),
            (PERMISSIONS.conditional_write, "s3:PutObject"),
            (PERMISSIONS.stage, "s3:AbortMultipartUpload"),
            (PERMISSIONS.find_stages, "s3:ListBucketMultipartUploads"),
            (PERMISSIONS.delete, "s3:DeleteObject"),
        ] {
            assert!(text.contains(right), "{text}");
        }
    }
}
