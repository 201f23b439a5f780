//! HTTP/1.1 at its edges, byte by byte against the real `serve`: unwanted bodies, framing, early and half
//! ends, slow clients, limits. Each test runs on both stores.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

#[path = "../common/mod.rs"]
mod common;

mod early;
mod end;
mod expect;
mod fixture;
mod foreign;
mod framing;
mod head;
mod limits;
mod many;
mod slow;
mod target;
mod unread;
mod untaken;
mod wire;

use common::server::Server;
use tempfile::TempDir;

/// Where the registry of a test lives.
pub(crate) enum Place {
    Memory,
    Directory(TempDir),
}

impl Place {
    fn in_directory() -> Self {
        Self::Directory(plugin_registry_conformance::scratch::scratch(env!("CARGO_TARGET_TMPDIR")))
    }

    /// Starts `serve` there.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        match self {
            Self::Memory => Server::start(&[&["--memory"], arguments].concat()),
            Self::Directory(directory) => {
                let root = directory.path().join("registry").display().to_string();
                Server::start(&[&["--root", &root], arguments].concat())
            }
        }
    }
}

macro_rules! on_both_stores {
    ($($module:ident: [$($test:ident,)+])+) => {
        mod memory {
            $($(#[test]
            fn $test() {
                crate::$module::$test(&crate::Place::Memory);
            })+)+
        }

        mod fs {
            $($(#[test]
            fn $test() {
                crate::$module::$test(&crate::Place::in_directory());
            })+)+
        }
    };
}

on_both_stores! {
    head: [
        head_is_get_without_its_body,
        head_in_http_1_0,
    ]
    unread: [
        an_unread_body_is_never_a_request,
        an_unread_body_of_1_mib_costs_nothing,
        a_larger_unread_body_ends_the_connection_after_the_answer,
        an_unread_body_that_does_not_come,
        manifests_over_4_mib,
        a_client_that_sends_until_it_is_answered,
        a_client_that_sends_10_mb_before_it_reads,
    ]
    expect: [
        a_body_is_asked_for_when_it_is_wanted,
        a_body_is_not_asked_for_when_it_is_refused,
        a_body_sent_without_waiting,
        a_refused_body_sent_without_waiting_is_never_a_request,
        other_expectations_are_ignored,
        http_1_0_knows_no_expectation,
        no_body_is_asked_for_where_there_is_none,
    ]
    foreign: [
        pages_read_and_change_nothing,
        own_names_are_answered,
        an_exposed_address_is_called_by_any_name,
    ]
    framing: [
        chunks_of_one_byte,
        extensions_and_trailers,
        a_missing_last_chunk,
        broken_chunks,
        lengths_that_contradict,
        transfer_codings,
    ]
    early: [
        a_patch_that_ends_early_keeps_what_came,
        a_put_that_ends_early_keeps_what_was_acknowledged,
        nothing_is_stored_of_what_ends_early,
        a_patch_that_is_reset,
        two_hundred_broken_downloads_leave_nothing,
        broken_uploads_leave_nothing,
    ]
    slow: [
        a_trickle_arrives_whole,
        a_body_that_stands_still_is_408,
        a_body_that_never_begins_is_408,
        a_body_may_take_its_time,
        a_vanished_client_frees_its_session,
        a_cancel_ends_the_session_of_a_vanished_client,
        a_download_that_nobody_takes_ends,
        quiet_sockets_are_kept_alive,
        a_slow_reader_costs_no_memory,
    ]
    limits: [
        heads_up_to_128_kib,
        a_hundred_header_fields,
        characters_that_a_head_may_not_have,
        one_host,
        odd_beginnings,
    ]
    target: [
        long_targets,
        encoded_paths,
        other_forms_of_a_target,
        methods,
    ]
    many: [
        fifty_pipelined_requests_are_answered_in_order,
        two_hundred_connections_at_once,
        a_thousand_vanished_clients_stop_nobody,
        five_hundred_requests_on_one_connection,
        a_client_that_sends_no_more_is_answered,
    ]
    untaken: [
        large_answers_that_nobody_takes_are_bounded,
        blobs_that_nobody_takes_are_bounded,
    ]
    end: [
        idle_connections_end_with_the_server,
        a_download_is_finished_after_sigterm,
        a_client_that_stands_still_does_not_hold_the_end,
    ]
}
