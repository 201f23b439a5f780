//! The S3 server of the tests, spoken to in plain HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod auth;
mod client;
mod faults;
mod lists;
mod multipart;
mod objects;
