//! The contract between an embedded OCI registry and its stores.
//!
//! - [`StorageDriver`] and [`FileWriter`]: what a store has to offer. The conformance suite proves every
//!   behaviour that they describe, and each group of methods has an example:
//!   [small files](StorageDriver::put_content), [reading](StorageDriver::reader),
//!   [writing](StorageDriver::writer), [staging](StorageDriver::commit_staged), [listing](StorageDriver::walk),
//!   [deleting](StorageDriver::delete_many). [`Staged`] names bytes that a closed writer kept. [`Capabilities`]
//!   says what a store offers beyond the minimum. [`Checked`] wraps each driver with path rules, error naming,
//!   spans and counters. [`StorageDriverExt`] adds convenience methods.
//! - [`StoragePath`], [`RepositoryName`], [`Tag`], [`Reference`], [`Digest`], [`Descriptor`]: text is parsed
//!   once, on entry, so unchecked text never becomes a path.
//! - [`Hasher`], [`HashState`], [`Verifier`]: content counts only after it has hashed to its digest.
//! - [`Error`] and [`ErrorKind`]: one typed error for all stores. [`RetryPolicy`] plans retries. [`Secret`]
//!   keeps credentials out of logs, and [`Parameters`] does so for settings that may hold some.
//!
//! The crate has no runtime, no cloud SDK, no server and no global state.

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
    error::{Error, ErrorKind, Result},
    file::{ByteRange, DeleteReport, Entry, EntryKind, FileInfo, Reader},
    metrics::{Metrics, Operation, OperationCounts},
    name::{MAX_NAME_LEN, MAX_TAG_LEN, NameError, Reference, RepositoryName, Tag},
    options::{Capabilities, PutMode, WriteMode},
    parameters::{ParameterReader, Parameters, did_you_mean, store_url},
    path::{MAX_PATH_LEN, StoragePath},
    retry::RetryPolicy,
    secret::Secret,
    shown::{shown, shown_line, shown_name, shown_path, shown_words},
    staged::{StageId, Staged},
    storage::{OpenDriver, StorageConfig},
};
