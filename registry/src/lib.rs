//! An embeddable OCI registry: it runs no server and calls the storage driver directly.
//!
//! A [`Registry`] implements the OCI distribution specification over any
//! [`StorageDriver`](plugin_registry_core::StorageDriver). It uses the object layout that CNCF distribution 2.8
//! and 3.x read and write ([`layout`]). Programs use its typed API ([`Registry::repository`]), or speak HTTP to
//! it inside the process through [`Registry::service`], a tower service.
//!
//! It binds no socket, runs nothing in the background, reads no environment and keeps no global state. Where
//! the processor does not hash SHA-256 itself, and for other algorithms, hashing uses the caller's blocking
//! pool.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub mod config;
pub mod layout;
pub mod logging;
pub mod wholeness;

#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;

mod blob;
mod catalog;
mod error;
mod hashing;
mod http;
mod known;
mod link;
mod manifest;
mod manifests;
mod memory;
mod names;
mod pool;
mod probe;
mod referrers;
mod registry;
mod repository;
mod tag;
mod turns;
mod upload;
mod verify;

pub use self::{
    blob::{BlobInfo, BlobReader, Blobs, BoxError, PushOutcome},
    error::{ErrorCode, RegistryError, Result},
    http::{Body, RegistryService},
    manifest::{MAX_MANIFEST_SIZE, Manifest, ManifestEntry, ManifestError, ManifestKind, is_manifest_type},
    manifests::Manifests,
    pool::{
        Eviction, EvictionCause, Location, LocationPurge, PoolStats, PooledRegistry, RegistryPool,
        RegistryPoolBuilder, SweepReport,
    },
    probe::{LayoutFindings, LayoutTrace, ProbeOutcome, ProbeReport, ProbeStep, ProbeVerb, TraceKind},
    referrers::{Referrer, ReferrerPage},
    registry::{ReferencePolicy, Registry, RegistryBuilder, UrlPolicy},
    repository::Repository,
    tag::{Page, Tags},
    upload::{PurgeReport, StaleUpload, UploadId, UploadSession, Uploads},
    verify::{Finding, Note, NoteKind, VerifyEvent, VerifyReport, VerifyScope},
};
