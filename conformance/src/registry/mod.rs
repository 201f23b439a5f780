//! The suite of the registry's API, over [`Registry::service`](plugin_registry::Registry::service) in
//! process.
//!
//! ```text
//! plugin_registry_conformance::api_suite! {
//!     name: memory,
//!     open: Store::of_clones(MemoryDriver::new()),
//! }
//! ```
//!
//! Each requirement of the specification is one test on its own store, named by its end-point number. A
//! requirement without a number is named by its subject. On the way, [`Client`] checks what holds for every
//! answer: the form of errors, `Allow`, lengths, and that there is no body where none is allowed.

mod absent;
mod base;
mod blob;
pub mod body;
mod catalog;
mod chunk;
pub mod client;
mod damage;
mod delete;
mod digests;
mod dropped;
mod failures;
mod finish;
pub mod fixture;
mod lab;
mod manifest_form;
mod manifest_get;
mod manifest_keys;
mod manifest_put;
mod mount;
mod old_store;
mod options;
mod purge;
mod push;
mod range;
mod referrers;
mod resume;
mod rules;
mod session;
mod start;
mod tags;
pub mod torn;
mod unread;
mod verify;
pub mod watched;
mod wholeness;
mod wrapped;

pub use self::{
    client::{Answer, Call, Client},
    lab::{Lab, on_a_runtime, run},
    wrapped::{Wrapped, Wrapping},
};

/// The one list of requirements, by module, passed to the macro named first. A listed name without a
/// function does not compile, nor does a function that is not listed.
#[doc(hidden)]
#[macro_export]
macro_rules! __api_requirements {
    ($($callback:tt)+) => {
        $($callback)+! {
            base: [
                end_1_base_is_200,
                unknown_paths_are_404,
                wrong_methods_are_405_with_allow,
                head_is_get_without_a_body,
                names_outside_the_grammar_are_name_invalid,
                names_of_the_grammar_are_repositories,
                percent_encoding_is_read,
                error_codes_name_the_cause,
            ]
            blob: [
                end_2_get_blob_gives_the_bytes,
                end_2_head_blob_gives_digest_and_size,
                end_2_missing_blob_is_404,
                end_2_bad_digest_is_400,
                end_2_empty_blob,
                end_2_if_none_match_is_304,
                end_2_blobs_and_manifests_are_apart,
                end_2_link_and_bytes_make_a_blob,
            ]
            range: [
                end_2_range_single,
                end_2_range_of_a_large_blob,
                end_2_range_several_are_multipart,
                end_2_range_not_satisfiable_is_416,
                end_2_range_of_another_unit_is_ignored,
                end_2_range_if_range,
                end_2_range_yields_to_if_none_match,
                end_2_range_of_the_empty_blob,
                end_2_range_on_head_is_ignored,
                end_2_range_by_sha512,
            ]
            manifest_get: [
                end_3_get_and_head_by_tag_and_digest,
                end_3_bytes_are_kept_as_pushed,
                end_3_missing_manifest_is_404,
                end_3_invalid_reference_is_400_or_404,
                end_3_accept_never_hides,
                end_3_if_none_match_is_304,
                end_3_dangling_tag_is_404,
                end_3_stored_types_are_those_of_manifests,
                end_3_unknown_parameters_are_ignored,
            ]
            start: [
                end_4a_post_starts_a_session,
                end_4b_single_post_stores_the_blob,
                end_4b_single_post_streams,
                end_4b_wrong_digest_is_400,
                end_4b_wrong_length_is_400,
                end_4b_broken_body_is_4xx,
                end_4c_digest_algorithm,
                end_4c_unsupported_algorithm_is_400,
                end_4c_another_algorithm_may_finish,
                end_4a_many_sessions,
            ]
            chunk: [
                end_5_chunk_is_202_with_location_and_range,
                end_5_chunks_in_order_make_the_blob,
                end_5_streamed_chunk,
                end_5_out_of_order_chunk_is_416,
                end_5_repeated_chunk_is_416,
                end_5_location_without_state,
                end_5_bad_content_range_is_4xx,
                end_5_range_and_length_disagree_is_400,
                end_5_body_of_another_length_is_400,
                end_5_wrong_content_type_is_4xx,
                end_5_unknown_session_is_404,
                end_5_broken_body_keeps_what_status_says,
                end_5_empty_chunk,
                end_5_416_says_where_to_go_on,
                end_5_second_request_at_a_time_is_429,
            ]
            finish: [
                end_6_put_with_the_whole_body,
                end_6_put_streams,
                end_6_put_with_the_last_chunk,
                end_6_out_of_order_final_chunk_is_416,
                end_6_bad_content_range_is_4xx,
                end_6_bad_digest_is_400,
                end_6_wrong_digest_is_400,
                end_6_body_of_another_length_is_400,
                end_6_finished_session_is_gone,
                end_6_two_sessions_push_one_blob,
                end_6_empty_blob,
                end_6_untidy_bodies,
                end_6_location_may_carry_its_own_query,
            ]
            resume: [
                end_5_resume_on_another_instance_at_each_offset,
                end_5_every_request_on_another_instance,
                end_5_instances_take_turns,
                end_5_out_of_order_on_another_instance_is_416,
                end_6_finish_a_large_upload_on_another_instance,
                end_5_state_is_bound_to_the_key,
                end_5_state_is_bound_to_the_location,
                end_6_a_stale_memory_never_stores_other_bytes,
            ]
            manifest_put: [
                end_7a_put_is_201_with_location_and_digest,
                end_7a_another_digest_is_400,
                end_7a_bad_tag_is_400,
                end_7a_missing_blob_is_manifest_blob_unknown,
                end_7a_blob_without_bytes_is_missing,
                end_7a_missing_child_is_manifest_blob_unknown,
                end_7a_another_size_is_400,
                end_7a_missing_subject_is_accepted,
                end_7a_subject_by_sha512,
                end_7a_non_distributable_layers,
                end_7a_config_has_to_be_there,
                end_7a_tags_move,
                end_7a_put_again_changes_nothing,
                end_7b_tag_parameters,
                end_7b_bad_tag_parameters,
                end_7b_repeated_tag_parameter,
            ]
            manifest_form: [
                end_7a_4_mib_is_the_limit,
                end_7a_unknown_media_type_is_400,
                end_7a_media_types_agree,
                end_7a_bad_shape_is_400,
                end_7a_duplicate_keys_are_400,
                end_7a_nested_and_empty_indexes,
                end_7a_unusual_images_are_accepted,
                end_7a_cut_manifest_is_4xx,
                end_7a_many_layers,
            ]
            tags: [
                end_8a_all_tags_in_order,
                end_8a_no_tags_is_an_empty_list,
                end_8a_unknown_repository_is_404,
                end_8b_pages_hold_all_tags_once,
                end_8b_last_is_exclusive_and_may_be_missing,
                end_8b_n_zero_is_empty_without_link,
                end_8b_n_may_be_huge,
                end_8b_bad_n_is_400,
                end_8b_pages_are_bounded_by_the_option,
                end_8a_unusual_tags,
                end_8b_many_tags,
            ]
            delete: [
                end_9_delete_tag,
                end_9_delete_tag_of_any_name,
                end_9_delete_manifest,
                end_9_delete_unknown_manifest_is_404,
                end_9_delete_index_and_children,
                end_9_delete_damaged_manifest,
                end_10_delete_blob_is_gone_at_once_and_here_only,
                end_10_delete_unknown_blob_is_404,
                end_10_delete_one_of_many,
            ]
            mount: [
                end_11_mount_is_201,
                end_11_mount_from_an_encoded_name,
                end_11_mount_of_a_missing_blob_is_202,
                end_11_mount_from_the_same_repository,
                end_11_anonymous_mount,
                end_11_anonymous_mount_by_sha512,
                end_11_anonymous_mount_is_off_by_default,
                end_11_bad_mount,
                end_11_mount_from_an_unreadable_source,
                end_11_mount_needs_the_bytes,
            ]
            referrers: [
                end_12a_nothing_refers_is_an_empty_index,
                end_12a_bad_digest_is_400,
                end_12a_descriptors_of_all_referrers,
                end_12a_artifact_type_falls_back_to_the_config,
                end_12a_only_of_this_subject_and_repository,
                end_12a_deleted_referrers_are_gone,
                end_12b_filter_sets_header,
                end_12b_filter_with_a_plus,
                end_12a_fallback_tag_is_merged,
                end_12a_fallback_entries_need_the_manifest,
                end_12a_useless_fallback_tag_is_ignored,
                end_12a_damaged_manifests_are_left_out,
                end_12a_pages_by_link,
                end_12a_n_zero_is_empty_without_link,
                end_12a_pages_stay_below_4_mib,
                end_12a_referrer_by_sha512,
            ]
            session: [
                end_13_status_is_204_with_location_and_range,
                end_13_unknown_session_is_404,
                end_14_cancel_is_204,
                end_14_cancel_on_another_instance,
                end_14_cancel_only_this_session,
                end_14_cancel_ends_what_is_under_way,
            ]
            catalog: [
                catalog_lists_repositories_in_order,
                catalog_pages_hold_all_repositories_once,
                catalog_last_is_exclusive_and_may_be_missing,
                catalog_n,
                catalog_default_page,
            ]
            digests: [
                sha512_blob_end_to_end,
                sha512_blob_delete_by_either_digest,
                sha512_manifest_end_to_end,
                sha512_manifest_delete_by_either_digest,
                sha512_references,
                sha512_alias_needs_the_canonical_link,
            ]
            options: [
                read_only_refuses_every_change,
                delete_off_refuses_every_delete,
                reference_policies,
                url_policies,
                two_registries_keep_their_own_options,
            ]
            failures: [
                storage_failures_are_never_not_found,
                end_2_redirect_is_an_option,
            ]
            damage: [
                end_2_damaged_blob_never_ends_cleanly,
                end_6_push_repairs_a_damaged_blob,
                damaged_blobs_are_found_and_replaced,
                end_6_a_wrong_push_leaves_good_bytes,
                end_6_a_lost_stage_vouches_for_nothing,
                end_3_damaged_manifest_is_never_served,
                end_7a_truncated_layer_is_noticed,
            ]
            absent: [
                end_2_an_empty_data_file_is_absent,
                end_2_only_the_empty_blob_is_empty,
                end_2_a_size_that_is_known_to_be_wrong_is_absent,
                end_2_a_damaged_alias_is_absent,
                end_3_a_damaged_manifest_is_absent,
                end_7a_a_cut_data_file_is_lacking,
                end_7a_a_listed_directory_is_no_link,
                end_7a_a_damaged_child_is_lacking,
                end_7a_a_cut_child_is_lacking,
                end_7a_a_child_healed_elsewhere_is_seen,
                end_12a_a_listed_directory_is_no_revision,
            ]
            purge: [
                purge_removes_idle_uploads,
                purge_judges_by_the_last_activity,
                purge_removes_what_dead_writers_staged,
                purge_counts_each_stage,
                purge_of_a_read_only_registry,
                purge_during_an_upload,
                purge_keeps_what_somebody_just_went_on_with,
            ]
            unread: [
                refused_bodies_are_not_polled,
                empty_frames_and_trailers_are_no_content,
                size_hints_may_lie,
                bodies_are_not_polled_after_their_end,
                head_bodies_are_over,
            ]
            dropped: [
                a_manifest_push_may_be_dropped_anywhere,
                a_single_post_may_be_dropped_anywhere,
                a_delete_may_be_dropped_anywhere,
                a_download_may_be_dropped_anywhere,
                the_caller_s_time_limit_keeps_the_offset,
                a_body_may_take_its_time,
            ]
            verify: [
                verify_of_a_sound_store,
                verify_finds_every_damage,
                verify_of_one_image,
                verify_goes_on_beside_files_that_cannot_be_read,
                verify_goes_on_beside_directories_that_cannot_be_listed,
                verify_ends_where_the_store_fails,
                verify_of_what_cannot_be_listed_is_not_sound,
                verify_after_an_error_that_passes_is_not_sound,
                verify_goes_on_beside_what_is_no_repository,
                verify_takes_nothing_else_for_damage,
            ]
            old_store: [
                end_3_old_manifests_are_read_verbatim,
                old_image_is_like_any_other,
                old_sha512_blob_is_read,
                end_13_uploads_of_distribution,
                end_6_upload_of_distribution_with_other_bytes,
                foreign_files_disturb_nothing,
            ]
            manifest_keys: [
                end_7a_keys_that_differ_in_case_are_400,
                old_keys_are_read_as_go_reads_them,
                end_7a_null_is_an_empty_value,
                old_nulls_hide_nothing,
            ]
            rules: [
                end_6_a_digest_alone_links_nothing,
                end_5_the_begin_of_a_session_stays,
                end_7a_a_child_without_bytes_is_missing,
            ]
            wholeness: [
                end_7a_child_of_another_size_is_400,
                end_7a_blob_without_a_size_is_400,
                kinds_that_no_registry_takes_are_noted,
                old_sizes_are_read_and_noted,
                old_blob_of_another_size_is_damage,
                old_manifests_of_unknown_form_are_not_sound,
                end_7a_no_entry_hides_another,
                verify_of_a_collected_store,
                verify_names_foreign_files,
            ]
        }
    };
}

macro_rules! export {
    ($($module:ident: [$($requirement:ident,)+])+) => {
        $(pub use self::$module::{$($requirement),+};)+

        /// The names of all requirements.
        pub const REQUIREMENTS: &[&str] = &[$($(stringify!($requirement)),+),+];
    };
}
__api_requirements!(export);

/// Makes a module `name` with one test for each requirement.
///
/// `open` is an expression that gives a new, empty [`Store`](crate::driver::Store) and may `.await`. It is
/// evaluated once per test.
#[macro_export]
macro_rules! api_suite {
    (name: $name:ident, open: $open:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "whatever the expression needs")]
            use super::*;

            async fn open() -> $crate::driver::Store {
                $open
            }

            $crate::__api_requirements!($crate::__api_tests);
        }
    };
}

/// One test for each requirement.
#[doc(hidden)]
#[macro_export]
macro_rules! __api_tests {
    ($($module:ident: [$($requirement:ident,)+])+) => {
        $($(
            #[test]
            fn $requirement() {
                $crate::registry::run(open, $crate::registry::$requirement);
            }
        )+)+
    };
}
