//! An S3 server in memory, on loopback, that misbehaves on request.
//!
//! Signatures, presigned URLs and XML come from `s3s`. The store, its limits and its conditions are
//! implemented here. So is a layer around `s3s` that counts the requests and does what no S3 server should
//! do: lost answers, bodies that end early, lists that repeat themselves.
//!
//! Where S3-compatible servers differ, it follows what AWS documents for general purpose buckets. [`Quirks`]
//! turn on what the others do. There is one bucket and no access list. Versions are counted, but not served.

mod auth;
mod checksum;
mod connection;
mod content;
mod copy;
mod fault;
mod faulty;
mod front;
mod list;
mod listing;
mod log;
mod multipart;
mod objects;
mod operation;
mod options;
mod raw;
mod refuse;
mod reply;
mod server;
mod service;
mod shared;
mod store;
mod text;
mod upload;

pub use content::Content;
pub use fault::{Fault, Kind, Length};
pub use log::Request;
pub use multipart::{Part, Upload};
pub use options::{Builder, DelimiterRule, Limits, Quirks, StartAfterRule};
pub use server::Server;
pub use store::{Attributes, Object};
