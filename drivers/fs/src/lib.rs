//! The filesystem storage driver of an embedded OCI registry.
//!
//! [`FsDriver::open`] takes an [`FsConfig`] and gives a
//! [`StorageDriver`](plugin_registry_core::StorageDriver) over one directory, in the file layout that
//! CNCF distribution's `filesystem` driver reads and writes.
//!
//! - **Confined**: the root is opened once and everything else relative to it. A symbolic link that
//!   leads out of the root is an error, and in a listing it is not there. One that stays inside is followed, in
//!   listings too, unless it leads to a directory that it lies in itself. A listing goes through at most 10,000
//!   links to directories. A `delete` removes the link, and never what is behind it.
//! - **Whole**: a file appears by one rename, with all its bytes. Until then it is staged beside its
//!   target as `<name>.<uuid>.tmp`, or as `<name>.<uuid>.<size>.part` when it was closed to be resumed at
//!   `size`. Regular files with such names are invisible to every call but the `delete` of a directory,
//!   and may not be written; directories may have them. A written name has at most 192 bytes.
//! - **Durable** (unless [`FsConfig::durable`] is off): a write costs one fsync of the file, one of its
//!   directory and one for each directory above that was newly made. A `delete` is not synced: after a
//!   power cut a file that was just deleted may be there again, never a part of it.
//! - **Tidy**: a directory that became empty is removed, up to the root. Devices, pipes and names that no
//!   path can hold are invisible. A directory without visible files, because bytes are staged in it or other
//!   software left it, is a directory without children: to hide it would cost a look below each directory of
//!   a listing. `delete` of a directory removes all of these, except a directory that is deeper than any path
//!   of 900 bytes reaches: that is left, and the call fails.
//! - **Threads**: what the kernel has in its memory anyway is read in the caller's thread
//!   ([`FsConfig::cached_reads`]). Every other call is one piece of blocking work in the caller's tokio runtime; at
//!   most [`FsConfig::max_threads`] run at once, and none waits for a consumer. Resuming waits at most 200 ms for
//!   the lock of a writer that was dropped a moment ago.
//! - **Cancel safety**: a future that is dropped before its work began undoes it. Work that began goes on to
//!   its end, but a write that was dropped before its rename gives up there.
//! - **Memory**: a reader holds at most two pieces of 512 KiB, one of them with the consumer; where more than 4
//!   are open pieces are smaller, down to 64 KiB (ADR 0036). A writer holds
//!   at most two pieces of up to 512 KiB and one chunk each, one being written and one being collected, of
//!   chunks as they came. A listing holds the names of one directory, a walk those of each directory on
//!   the way down to where it is.
//! - **Descriptors**: a call has at most 16 files and directories open at a time, however deep a tree is.
//! - **At rest**: nothing runs, one descriptor is open.

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
mod reader;
mod root;
mod stage;
mod staged;
mod tree;
mod walk;
mod writer;

/// Where the locks come from that a test exchanges.
mod sync {
    pub(crate) use std::sync::{Mutex, MutexGuard};
}

pub use self::{config::FsConfig, driver::FsDriver};
