//! The object layout, byte for byte.
//!
//! ```text
//! plugin_registry_conformance::layout_suite! {
//!     name: memory,
//!     open: Bench::open(Store::of_clones(MemoryDriver::new())).await,
//! }
//! ```

mod bench;
mod content;
mod golden;
mod tree;

pub use self::{
    bench::{Bench, run},
    tree::Tree,
};

/// The one list of golden trees, passed to the macro named first.
#[doc(hidden)]
#[macro_export]
macro_rules! __golden_trees {
    ($($callback:tt)+) => {
        $($callback)+! {
            image_by_tag,
            image_by_digest,
            index_of_two_platforms,
            artifact_with_subject,
            sha512_blob,
            sha512_manifest,
            mount,
            overwritten_tag,
            tags_with_names_of_the_layout,
            nested_repositories,
            delete_of_a_tag,
            delete_of_a_manifest,
            delete_of_a_manifest_by_sha512,
            delete_of_a_blob,
            upload_in_progress,
            hash_state_of_a_large_upload,
            ended_uploads_leave_nothing,
            zero_byte_blob,
            every_push_ends_alike,
        }
    };
}

macro_rules! export {
    ($($tree:ident,)+) => {
        pub use self::golden::{$($tree),+};
    };
}
__golden_trees!(export);

/// Makes a module `name` with one test for each golden tree.
///
/// `open` is an expression that gives a new [`Bench`] over an empty store and may `.await`. It is evaluated
/// once per test.
#[macro_export]
macro_rules! layout_suite {
    (name: $name:ident, open: $open:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "whatever the expression needs")]
            use super::*;

            async fn open() -> $crate::layout::Bench {
                $open
            }

            $crate::__golden_trees!($crate::__layout_tests);
        }
    };
}

/// One test for each golden tree.
#[doc(hidden)]
#[macro_export]
macro_rules! __layout_tests {
    ($($tree:ident,)+) => {
        $(
            #[test]
            fn $tree() {
                $crate::layout::run(open, $crate::layout::$tree);
            }
        )+
    };
}
