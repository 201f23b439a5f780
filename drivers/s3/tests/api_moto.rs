//! The API suite over moto.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic of the test")]

mod common;

plugin_registry_conformance::api_suite! {
    name: moto,
    open: common::store_of(common::of_moto()),
}
