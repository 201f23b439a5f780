//! The contract between an embedded OCI registry and its stores, and the types that both sides share.
//!
//! [`StorageDriver`] and [`FileWriter`] say what a store has to offer. The registry, the copy engine and the
//! hosts above them are written against these two traits alone. The crate has no runtime, cloud SDK, server or
//! global state.
//!
//! # Use a store
//!
//! ```
//! use plugin_registry_core::{StorageDriver, StorageDriverExt, StoragePath, WriteMode};
//! use plugin_registry_drivers_memory::MemoryDriver;
//!
//! # futures::executor::block_on(async {
//! let driver = MemoryDriver::new();
//! let path: StoragePath = "/dir/file".parse()?;
//! let mut writer = driver.writer(&path, WriteMode::Direct { size: None }).await?;
//! writer.write("content".into()).await?;
//! assert!(!driver.exists(&path).await?, "nothing is visible before the commit");
//! writer.commit(&path).await?;
//! assert_eq!(driver.get_content(&path, 1024).await?, "content");
//! # Ok::<(), plugin_registry_core::Error>(())
//! # }).unwrap();
//! ```
//!
//! Each group of methods has an example: [small files](StorageDriver::put_content),
//! [reading](StorageDriver::reader), [writing](StorageDriver::writer),
//! [staging](StorageDriver::commit_staged), [listing](StorageDriver::walk) and
//! [deleting](StorageDriver::delete_many).
//!
//! # Implement one
//!
//! Implement the two traits, and let a host open your driver by its name:
//!
//! ```
//! use std::sync::Arc;
//!
//! use plugin_registry_core::{OpenDriver, Result, StorageConfig, StorageDriver};
//! # use plugin_registry_drivers_memory::MemoryDriver as MyDriver;
//!
//! #[derive(Debug)]
//! struct MyDrivers;
//!
//! #[async_trait::async_trait]
//! impl OpenDriver for MyDrivers {
//!     async fn open_driver(&self, config: &StorageConfig) -> Result<Arc<dyn StorageDriver>> {
//!         config.parameters.reader().finish()?;    // it has no parameters: any is a mistake
//!         Ok(Arc::new(MyDriver::new()))
//!     }
//! }
//! # let opened = futures::executor::block_on(MyDrivers.open_driver(&StorageConfig::new("mine")));
//! # assert_eq!(opened.unwrap().name(), "inmemory");
//! ```
//!
//! The project's `drivers/example` is a complete driver in one file, and the suite in
//! `plugin-registry-conformance` proves every bullet of the contract on yours.
//!
//! # What is here
//!
//! | Items | For |
//! |---|---|
//! | [`StorageDriver`], [`FileWriter`], [`Staged`], [`Capabilities`], [`StorageDriverExt`] | the contract, and convenience methods on top |
//! | [`Checked`], [`Metrics`] | the wrapper around every driver: path rules, named errors, spans, counters |
//! | [`StoragePath`], [`RepositoryName`], [`Tag`], [`Reference`], [`Digest`], [`Descriptor`] | text that is parsed once, on entry, so unchecked text never becomes a path |
//! | [`Hasher`], [`HashState`], [`Verifier`] | content that counts only after it has hashed to its digest |
//! | [`Error`], [`ErrorKind`] | one typed error for all stores |
//! | [`StorageConfig`], [`OpenDriver`], [`Parameters`], [`Secret`] | settings by name; no message or `Debug` form shows a value that may be a secret |
//! | [`profiles`] | the AWS credentials file, read as data |
//!
//! # Memory and time
//!
//! - A stream or a writer of a driver holds a few pieces of at most some MiB. Each driver says how much.
//! - An open driver at rest makes no request and runs no task. Dropping a future or a stream leaves the store
//!   as before the call or as after it.
//! - Times are the store's. They are never compared with the local clock.

mod checked;
mod descriptor;
mod digest;
mod driver;
mod driver_ext;
mod error;
mod file;
mod metrics;
mod name;
mod options;
mod parameters;
mod path;
mod permissions;
pub mod profiles;
mod retry;
mod secret;
mod shown;
mod staged;
mod storage;

pub use self::{
    checked::Checked,
    descriptor::{Descriptor, MediaType, docker, is_non_distributable},
    digest::{Algorithm, Digest, DigestError, HashState, HashStateError, Hasher, Verifier, VerifyError},
    driver::{FileWriter, StorageDriver},
    driver_ext::StorageDriverExt,
    error::{Error, ErrorKind, Result, error_text},
    file::{ByteRange, DeleteReport, Entry, EntryKind, FileInfo, Reader},
    metrics::{Metrics, Operation, OperationCounts},
    name::{MAX_NAME_LEN, MAX_TAG_LEN, NameError, Reference, RepositoryName, Tag},
    options::{Capabilities, PutMode, WriteMode},
    parameters::{ParameterReader, Parameters, did_you_mean, go_bool, go_duration, store_url},
    path::{MAX_PATH_LEN, StoragePath},
    permissions::Permissions,
    retry::RetryPolicy,
    secret::Secret,
    shown::{shown, shown_line, shown_name, shown_path, shown_words},
    staged::{StageId, Staged},
    storage::{OpenDriver, StorageConfig},
};
