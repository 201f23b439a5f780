//! The command at work in a shell: completion, questions, progress, exit codes, and what a script reads.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

#[path = "../common/mod.rs"]
mod common;

mod completion;
mod consent;
mod deletes;
mod programs;
mod progress;
mod removal;
mod terminal;
