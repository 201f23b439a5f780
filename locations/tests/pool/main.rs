//! The pool of locations: who gets which instance, when instances leave, and that nothing is left of them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test harness: a failed check is a panic, and its figures are printed"
)]

mod lab;
mod lives;
mod rest;
mod shared;
mod stress;
mod sweeps;
