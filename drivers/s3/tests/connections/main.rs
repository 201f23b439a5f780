//! What leaves the process: to which host, over which connection, with which keys. The process environment
//! has no influence on it. Every test has its own server on loopback.

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
