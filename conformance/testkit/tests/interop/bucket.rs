//! Stores in a bucket of SeaweedFS.

use crate::{
    row::{compare_buckets, compare_buckets_but_one},
    subjects,
};

/// 2.8.2 answers 500: it completes an upload without parts.
#[test]
fn zero_bytes() {
    compare_buckets_but_one("zero-byte blob", subjects::zero_bytes);
}

macro_rules! subjects {
    ($($name:ident: $title:literal,)+) => {
        $(
            #[test]
            fn $name() {
                compare_buckets($title, subjects::$name);
            }
        )+
    };
}

subjects! {
    oci_images: "OCI images",
    docker_images: "Docker images",
    indexes: "OCI indexes",
    sha512: "blobs by sha512",
    mounts: "mounts",
    overwritten_tags: "overwritten tags",
    deleted_tags: "deleted tags",
    deleted_manifests: "deleted manifests",
    large_layers: "layers of 24 MiB in chunks",
}
