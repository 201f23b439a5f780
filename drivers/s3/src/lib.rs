//! The S3 storage driver of an embedded OCI registry: AWS, and any store that speaks S3.
//!
//! - **Few requests.** A blob of up to one part (10 MiB) is one `PutObject` to its final key. A larger one is a
//!   multipart upload on its final key, with parts in parallel, and visible by the one request that completes
//!   it.
//! - **Bounded memory.** All writers of an instance together hold `maxconcurrency` parts, 30 MiB by default,
//!   and 128 KiB each. A writer whose client takes more than a second to bring a part has separate memory for
//!   that part. A resumed one has it for the rest of its stage, less than a part. Pieces of 64 KiB and more are
//!   held as they came, together with the buffers that they are slices of. A reader holds what the connection
//!   brought last.
//! - **Resumable.** What a close acknowledged is one object beside the file, which holds the bytes or their
//!   description. So any instance can continue there, and no listing of multipart uploads is trusted. A commit
//!   of bytes without parts is one copy by the store.
//! - **Answers are not believed blindly.** Status 200 with an error inside, a lost answer, a body that ends
//!   early, a page that repeats: each has its test (`tests/`).
//!
//! ```no_run
//! use plugin_registry_core::Secret;
//! use plugin_registry_drivers_s3::{AccessKeys, S3Config, S3Credentials, S3Driver};
//!
//! # async fn open() -> plugin_registry_core::Result<()> {
//! let keys = AccessKeys::new(Secret::new("AKIA…"), Secret::new("…"));
//! let config =
//!     S3Config::new("backup").with_region("eu-central-1").with_credentials(S3Credentials::AccessKeys(keys));
//! let driver = S3Driver::open(config).await?;
//! # Ok(())
//! # }
//! ```

mod client;
mod config;
mod driver;
mod error;
mod features;
mod known_stores;
mod parts;
mod permissions;
mod reader;
mod stage;
mod staged;
mod store;
mod upload;
mod writer;

// What the drivers of object stores share.
use plugin_registry_drivers_objects::{budget, content, files, keys as key, list};

pub use self::{
    config::{AccessKeys, Checksums, CredentialsSource, S3Config, S3Credentials},
    driver::S3Driver,
};
