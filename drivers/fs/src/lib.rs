//! The filesystem storage driver of an embedded OCI registry.
//!
//! [`FsDriver::open`] takes an [`FsConfig`] and returns a
//! [`StorageDriver`](plugin_registry_core::StorageDriver) over one directory, in the file layout that CNCF
//! distribution's `filesystem` driver reads and writes.
//!
//! - **Confined**: the root is opened once, and everything else relative to it. A symbolic link that leads out
//!   of the root is an error, and a listing leaves it out. A link that stays inside is followed, in listings
//!   too, unless it leads to a directory that contains it. A listing follows at most 10,000 links to
//!   directories. A `delete` removes the link, never its target.
//! - **Whole**: a file appears by one rename, with all its bytes. Until then it is staged beside its target as
//!   `<name>.<uuid>.tmp`, or as `<name>.<uuid>.<size>.part` when it was closed to be resumed at `size`. Regular
//!   files with such names are invisible to every call but those for staged bytes and `delete`, and cannot be
//!   written. Directories may have such names. A written name has at most 192 bytes.
//! - **Durable** (unless [`FsConfig::durable`] is off): a write costs one fsync of the file, one of its
//!   directory and one for each new directory above it. A `delete` is not synced: after a power cut a file that
//!   was just deleted may exist again, but never a part of it.
//! - **Tidy**: a directory that becomes empty is removed, up to the root. Devices, pipes and names that no path
//!   can hold are invisible. A directory may have no visible files, because bytes are staged in it or other
//!   software left it. It is listed as a directory without children, since hiding it would cost a look below
//!   each directory of a listing. `delete` of a directory removes all of these, except a directory that is
//!   deeper than any path of 900 bytes reaches: that one stays, and the call fails.
//! - **Threads**: data that the kernel has in memory is read in the caller's thread
//!   ([`FsConfig::cached_reads`]). Every other call is one piece of blocking work in the caller's tokio
//!   runtime. At most [`FsConfig::max_threads`] run at once, and none waits for a consumer. Resuming waits at
//!   most 200 ms for the lock of a writer that was just dropped, and so does a first close for its directory's.
//! - **Cancel safety**: dropping a future before its work began undoes it. Work that began runs to its end, but
//!   a write whose future is dropped before the rename gives up there.
//! - **Memory**: a reader holds at most two pieces of 512 KiB, one of them with the consumer. With more than 4
//!   open readers, pieces are smaller, down to 64 KiB (ADR 0036). A writer holds at most two pieces of up to
//!   512 KiB and one chunk each, one being written and one being collected, in the chunks as they came. A
//!   listing holds the names of one directory, a walk those of each directory on the way down to its position.
//! - **Descriptors**: a call has at most 16 files and directories open at a time, however deep a tree is.
//! - **At rest**: nothing runs, and one descriptor is open.

mod ancestors;
mod cached;
mod config;
mod delete;
mod driver;
mod error;
mod foreign;
mod job;
mod links;
mod list;
#[cfg(test)]
mod measure;
mod names;
mod permissions;
mod reader;
mod root;
mod stage;
mod staged;
mod tree;
mod walk;
mod writer;

/// The source of the locks, which a test replaces.
mod sync {
    pub(crate) use std::sync::{Mutex, MutexGuard};
}

pub use self::{config::FsConfig, driver::FsDriver};
