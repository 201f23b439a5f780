//! What leaves the process: to whom, over what, with which keys, and what the process environment has to do with
//! it: nothing. Every test has a server of its own on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test harness: a failed check is a panic of the test; it listens, and it makes environments"
)]

#[path = "../common/mod.rs"]
mod common;

mod credentials;
mod environment;
mod headers;
mod locations;
mod opening;
mod orders;
mod proxy;
mod roles;
mod support;
mod tls;
