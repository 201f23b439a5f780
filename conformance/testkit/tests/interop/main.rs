//! Interop with the real programs: docker-registry 2.8.2, distribution 3.1.1 and skopeo 1.9.3.
//!
//! Each test is one subject. It is pushed to a fresh directory by each program, and by ours in the same order:
//! the trees have to be equal, key by key and byte by byte. Then each directory is served by the other side,
//! and every tag, manifest and blob is compared by its digest. The counts have to be those of the table in
//! `docs/src/reference/interop.md`, which is not written by hand: a test prints its row if they differ.
//! [`bucket`] does the same over a bucket of an emulator.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod alternate;
mod bucket;
mod client;
mod expected;
mod garbage;
mod old;
mod place;
mod programs;
mod row;
mod skopeo;
mod subjects;
mod uploads;

macro_rules! subjects {
    ($($name:ident: $title:literal,)+) => {
        $(
            #[test]
            fn $name() {
                row::compare($title, subjects::$name);
            }
        )+
    };
}

subjects! {
    oci_images: "OCI images",
    docker_images: "Docker images",
    indexes: "OCI indexes",
    lists: "Docker manifest lists",
    nested_indexes: "nested indexes",
    artifacts: "artifacts with a subject",
    sha512: "blobs by sha512",
    mounts: "mounts",
    overwritten_tags: "overwritten tags",
    deleted_tags: "deleted tags",
    deleted_manifests: "deleted manifests",
    zero_bytes: "zero-byte blob",
    three_hundred_images: "300 small images",
    large_layers: "layers of 24 MiB in chunks",
    foreign_layers: "foreign layers",
}
