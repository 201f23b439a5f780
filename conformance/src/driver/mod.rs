//! The suite of storage drivers.
//!
//! A new driver gets a test file of a few lines:
//!
//! ```text
//! plugin_registry_conformance::driver_suite! {
//!     name: memory,
//!     open: Store::of_clones(MemoryDriver::new()).in_memory().with_sizes(Sizes::small()),
//! }
//! ```
//!
//! A failure names the operation, the path, what was expected and what was seen. The path begins with `/suite/`
//! and the name of the behavior, whose function is in the file of this directory that is named after its subject.
//!
//! Each behavior is one test on its own [`Store`], which must leave the root empty. A behavior of the
//! contract has the name of its bullet. Those of distribution's suite have distribution's names. The rest
//! tests rules of the contract for every method, and traps that stores have set.

mod acknowledged;
mod commit;
mod content;
mod context;
mod distribution_content;
mod distribution_stream;
mod distribution_tree;
mod ended;
mod faulty;
mod list;
pub mod model;
mod names;
mod reader;
mod remove;
mod resume;
mod run;
mod runtime;
mod sample;
mod staged;
mod stages;
mod stat;
mod store;
mod walk;
mod writer;

pub use self::{
    context::Context,
    run::{check_unsupported, run},
    store::{Sizes, Store},
};

/// The one list of behaviors, by module, passed to the macro named first. A listed name without a
/// function does not compile, nor does a function that is not listed.
#[doc(hidden)]
#[macro_export]
macro_rules! __driver_behaviors {
    ($($callback:tt)+) => {
        $($callback)+! {
            content: [
                get_content_returns_what_was_put,
                get_content_missing_is_not_found,
                get_content_over_limit_is_too_large,
                put_content_replaces_completely,
                put_content_is_atomic,
                put_content_create_only_keeps_the_first,
            ]
            reader: [
                reader_streams_the_range,
                reader_at_the_end_is_empty,
                reader_beyond_the_end_is_invalid_offset,
                reader_missing_is_not_found,
                reader_survives_replacement,
                reader_never_ends_early,
            ]
            writer: [
                writer_is_invisible_before_commit,
                writer_does_not_disturb_others,
                writer_first_close_creates,
                writer_close_is_durable_and_invisible,
                writer_close_gives_an_identity_of_its_own,
                writer_cancel_leaves_nothing,
                writer_commit_is_visible_and_whole,
                writer_commit_to_another_path,
            ]
            resume: [
                writer_resume_goes_on_after_exactly_these,
                writer_resume_cuts_a_torn_tail,
                writer_resume_of_what_is_gone_is_refused,
                writer_resume_is_exclusive,
            ]
            acknowledged: [
                acknowledged_bytes_are_never_touched,
            ]
            commit: [
                commit_staged_makes_exactly_these_visible,
                commit_staged_of_others_is_refused,
            ]
            staged: [
                find_staged_finds_what_was_closed,
                find_staged_of_nothing_is_not_found,
                list_staged_finds_what_was_closed,
                list_staged_of_nothing_is_empty,
                list_foreign_finds_no_path,
                delete_staged_keeps_younger_stages,
                delete_staged_keeps_the_visible_file,
            ]
            stages: [
                list_staged_yields_every_stage,
                list_staged_tolerates_concurrent_deletes,
            ]
            stat: [
                stat_file,
                stat_directory_is_not_found,
                stat_missing_is_not_found,
            ]
            list: [
                list_yields_direct_children_in_order,
                list_starts_after,
                list_missing_is_not_found,
                list_root_always_succeeds,
                list_of_a_file_is_not_found,
            ]
            walk: [
                walk_yields_all_files_in_order,
                walk_starts_after,
                walk_missing_is_not_found,
                walk_tolerates_concurrent_deletes,
                find_directories_finds_directories,
                find_directories_is_depth_first,
                find_directories_starts_after,
                find_directories_missing_is_empty,
            ]
            remove: [
                delete_removes_recursively,
                delete_keeps_siblings,
                delete_missing_is_not_found,
                delete_removes_staged_bytes,
                delete_many_reports_each_failure,
                delete_many_ignores_missing_files,
                delete_many_deletes_stages,
                redirect_url_serves_the_file_or_is_none,
            ]
            runtime: [
                calls_do_not_block_the_runtime,
            ]
            names: [
                names_with_a_common_prefix_are_apart,
                names_of_the_layout_are_apart,
                names_may_be_long,
                names_like_those_of_staged_bytes_are_names_of_directories,
                paths_below_a_file_are_missing,
                errors_name_driver_operation_and_path,
                the_root_is_no_file,
            ]
            ended: [
                dropped_writer_leaves_nothing_visible,
                dropped_calls_leave_the_old_or_the_new,
                dropped_writer_calls_leave_all_or_nothing,
                dropped_streams_hold_nothing,
                failed_write_is_never_committed,
            ]
            distribution_content: [
                root_exists,
                valid_paths,
                invalid_paths,
                write_read_1,
                write_read_2,
                write_read_3,
                write_read_4,
                write_read_non_utf8,
                truncate,
                read_nonexistent,
                put_content_multiple_times,
            ]
            distribution_stream: [
                write_read_streams_1,
                write_read_streams_2,
                write_read_streams_3,
                write_read_streams_4,
                write_read_streams_non_utf8,
                write_read_large_streams,
                reader_with_offset,
                continue_stream_append_large,
                continue_stream_append_small,
                read_nonexistent_stream,
                write_zero_byte_stream_then_append,
                concurrent_stream_reads,
                concurrent_file_streams,
            ]
            distribution_tree: [
                list,
                delete,
                delete_nonexistent,
                delete_folder,
                delete_only_deletes_subpaths,
                redirect_url,
                stat_call,
            ]
        }
    };
}

macro_rules! export {
    ($($module:ident: [$($behavior:ident,)+])+) => {
        $(pub use self::$module::{$($behavior),+};)+

        /// The names of all behaviors.
        pub const BEHAVIORS: &[&str] = &[$($(stringify!($behavior)),+),+];
    };
}
__driver_behaviors!(export);

/// Makes a module `name` with one test for each behavior.
///
/// - `open`: an expression that gives a new, empty [`Store`] and may `.await`. It is evaluated once per
///   test.
/// - `unsupported`: behaviors that the store cannot have, each with the reason. They are skipped with a
///   line that begins with [`SKIPPED`](crate::report::SKIPPED).
///
/// One more test, `write_read_five_gib`, is ignored: it writes distribution's large file.
#[macro_export]
macro_rules! driver_suite {
    (
        name: $name:ident,
        open: $open:expr
        $(, unsupported: [$(($behavior:literal, $reason:expr)),* $(,)?])?
        $(,)?
    ) => {
        mod $name {
            #[allow(unused_imports, reason = "whatever the expression needs")]
            use super::*;

            const UNSUPPORTED: &[(&str, &str)] = &[$($(($behavior, $reason)),*)?];

            async fn open() -> $crate::driver::Store {
                $open
            }

            #[test]
            fn unsupported_behaviors_exist() {
                $crate::driver::check_unsupported(UNSUPPORTED);
            }

            #[test]
            #[ignore = "on demand: writes and reads 5 GiB"]
            fn write_read_five_gib() {
                let open = async || {
                    let store = open().await;
                    let sizes = store.sizes().five_gib();
                    store.with_sizes(sizes)
                };
                let name = "write_read_large_streams";
                $crate::driver::run(
                    stringify!($name), name, UNSUPPORTED, open, $crate::driver::write_read_large_streams,
                );
            }

            $crate::__driver_behaviors!($crate::__driver_tests);
        }
    };
}

/// One test for each behavior.
#[doc(hidden)]
#[macro_export]
macro_rules! __driver_tests {
    ($($module:ident: [$($behavior:ident,)+])+) => {
        $($(
            #[test]
            fn $behavior() {
                let suite = module_path!().rsplit("::").next().unwrap_or_default();
                $crate::driver::run(
                    suite, stringify!($behavior), UNSUPPORTED, open, $crate::driver::$behavior,
                );
            }
        )+)+
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in backticks that begin a bullet below `# Behavior`.
    fn bullets(source: &str) -> Vec<&str> {
        let mut in_behavior = false;
        let mut found = Vec::new();
        for line in source.lines().map(str::trim) {
            match line.strip_prefix("///").map(str::trim) {
                None => in_behavior = false,
                Some(heading) if heading.starts_with('#') => in_behavior = heading == "# Behavior",
                Some(text) if in_behavior => {
                    let name = text.strip_prefix("- `").and_then(|rest| rest.split_once('`'));
                    found.extend(name.map(|(name, _)| name));
                }
                Some(_) => {}
            }
        }
        found
    }

    #[test]
    fn every_bullet_of_the_contract_is_proved() {
        let bullets = bullets(include_str!("../../../core/src/driver/mod.rs"));
        assert!(bullets.len() >= 50, "the contract is read: {bullets:?}");
        for bullet in &bullets {
            assert!(BEHAVIORS.contains(bullet), "no function proves `{bullet}`");
        }
        let mut sorted = bullets.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), bullets.len(), "a name stands for one bullet");
    }
}
