//! The fuzz targets: functions of any bytes that panic if a promise is broken.
//!
//! The crate in `conformance/fuzz` passes them to libFuzzer. In each test run, on stable,
//! `conformance/testkit/tests/fuzz_corpus.rs` replays the committed corpus and every input that once found
//! something. They compare results with a second implementation, written in another way than the code that it
//! judges: state machines for grammars, wide numbers for ranges, a look at the text for documents.

mod accept;
mod content;
mod manifest;
mod numbers;
mod oracle;
mod paths;
mod seeds;
mod service;
mod text;
mod token;

use std::cell::OnceCell;

use tokio::runtime::{Builder, Runtime};

pub use self::{
    accept::accept,
    content::{hash_state, link, verify},
    manifest::manifest,
    numbers::{content_range, range},
    seeds::seeds,
    service::service,
    text::{digest, reference, route},
    token::upload_state,
};

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target, in order of the names. Each has one line here, one file in `conformance/fuzz/fuzz_targets`
/// and one folder in `conformance/fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("accept", accept),
    ("content_range", content_range),
    ("digest", digest),
    ("hash_state", hash_state),
    ("link", link),
    ("manifest", manifest),
    ("range", range),
    ("reference", reference),
    ("route", route),
    ("service", service),
    ("upload_state", upload_state),
    ("verify", verify),
];

/// Runs to the end on this thread's runtime, because starting one takes longer than most inputs.
fn block_on<F: Future>(future: F) -> F::Output {
    thread_local!(static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() });
    RUNTIME.with(|runtime| {
        runtime.get_or_init(|| Builder::new_current_thread().enable_time().build().unwrap()).block_on(future)
    })
}
