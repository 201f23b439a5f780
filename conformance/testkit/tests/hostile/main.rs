//! Hostile requests: a typed 4xx with a code of the specification, never a 5xx, never a panic, and nothing
//! written that should not be.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test harness: a failed check is a panic of the test, and the counts are its result"
)]

mod bodies;
mod documents;
mod numbers;
mod paths;
mod states;

use std::sync::Arc;

use plugin_registry_conformance::{
    driver::Store,
    registry::{Answer, Lab, fixture::Image},
};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;

macro_rules! on_both_drivers {
    ($($module:ident: [$($test:ident,)+])+) => {
        mod memory {
            $($(#[test]
            fn $test() {
                let check = crate::on(crate::memory(), crate::$module::$test);
                plugin_registry_conformance::registry::on_a_runtime(check);
            })+)+
        }

        mod fs {
            $($(#[test]
            fn $test() {
                let check = crate::on(crate::fs(), crate::$module::$test);
                plugin_registry_conformance::registry::on_a_runtime(check);
            })+)+
        }
    };
}

on_both_drivers! {
    paths: [
        tricks_with_paths,
        tricks_with_parameters,
        injected_headers,
    ]
    bodies: [
        ten_gigabytes_announced,
        bodies_without_end,
        bodies_that_stop,
        bodies_that_lie_about_their_length,
        odd_content_lengths,
        requests_with_senseless_bodies,
    ]
    documents: [
        deeply_nested_manifests,
        manifests_with_very_many_entries,
        documents_that_parsers_trip_over,
        duplicate_keys,
        wrong_types,
        damaged_links_of_any_size,
    ]
    numbers: [
        huge_page_sizes,
        very_many_ranges,
        huge_ranges,
    ]
    states: [
        forged_and_cut_states,
        states_of_others,
    ]
}

fn memory() -> Store {
    Store::of_clones(MemoryDriver::new())
}

fn fs() -> Store {
    let directory = Arc::new(plugin_registry_conformance::scratch::scratch(std::env::temp_dir()));
    Store::new(move || {
        let directory = directory.clone();
        async move { FsDriver::open(FsConfig::new(directory.path()).with_durable(false)).await }
    })
}

/// Runs a check on a store that holds one image, which has to be the same afterwards.
async fn on(store: Store, check: impl AsyncFnOnce(&Lab, &Image)) {
    let lab = Lab::open(store).await;
    let image = Image::new(1);
    lab.client().push_image("ns/app", "latest", &image).await;
    let before = lab.tree().await;
    check(&lab, &image).await;
    lab.tree().await.assert_is(&before);
    let pulled = lab.client().get("/v2/ns/app/manifests/latest").send().await.expect(200);
    assert_eq!(pulled.body(), &image.manifest);
    for blob in &image.blobs {
        lab.client().assert_blob("ns/app", blob).await;
    }
}

/// Checks that an answer is a refusal in the form of the specification; its code is checked by the client.
#[track_caller]
fn refused(answer: &Answer) {
    assert!(answer.is_refusal(), "expected 4xx: {answer}");
    let is_head = answer.body().is_empty();
    assert!(is_head || !answer.errors().is_empty(), "{answer}");
}
