//! What stores that are like S3 do, and what networks do: each quirk of the field reports has a test, named
//! after what must still hold. Every test has its own server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod bodies;
mod calls;
mod commit_staged;
mod conditions;
mod copies;
mod damage;
mod dropped;
mod etags;
mod every_call;
mod kinds;
mod limits;
mod link;
mod listings;
mod many_names;
mod opening;
mod pace;
mod pages;
mod permissions;
mod probe;
mod reading;
mod removal;
mod reserved;
mod rotation;
mod secrets;
mod slow;
mod staged;
mod support;
