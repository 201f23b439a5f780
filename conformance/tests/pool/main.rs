//! The pool of locations: who gets which instance, when instances leave, and that nothing is left of them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test harness: a failed check is a panic")]

mod lab;
mod lives;
mod rest;
mod shared;
mod stress;
mod sweeps;
