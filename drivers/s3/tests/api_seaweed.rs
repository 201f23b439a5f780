//! The API suite over SeaweedFS.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic of the test")]

mod common;

plugin_registry_conformance::api_suite! {
    name: seaweed,
    open: common::store_of(common::of_seaweed()),
}
