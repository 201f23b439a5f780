//! An OCI registry to embed: the API of a registry over a storage driver, without a server.
//!
//! A [`Registry`] implements the OCI distribution specification 1.1.1 over any
//! [`StorageDriver`], in the object layout that CNCF distribution 2.8 and
//! 3.x read and write. It never binds a socket, starts a task, reads an environment variable or keeps global
//! state. There are two ways in, with one registry behind them.
//!
//! # The typed API
//!
//! [`Registry::repository`] gives a repository's [blobs](blob::Blobs), [upload sessions](upload::Uploads),
//! [manifests](Manifests), [tags](tag::Tags) and [referrers](Repository::referrers).
//!
//! ```
//! use std::convert::Infallible;
//!
//! use futures::stream;
//! use plugin_registry::{Descriptor, MediaType, Registry};
//! use plugin_registry_drivers_memory::MemoryDriver;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::builder(MemoryDriver::new()).build();
//! let repository = registry.repository("ns/app".parse()?);
//!
//! // Blobs first, then the manifest that names them.
//! let config = Descriptor::of(MediaType::EmptyJSON, b"{}");
//! let content = stream::iter([Ok::<_, Infallible>("{}".into())]);
//! repository.blobs().push(&config, content).await?;
//! let manifest = format!(
//!     r#"{{"schemaVersion":2,"config":{{"mediaType":"{}","digest":"{}","size":{}}},"layers":[]}}"#,
//!     config.media_type, config.digest, config.size,
//! );
//! repository.manifests().put(&"v1".parse()?, None, manifest.clone().into()).await?;
//!
//! let pulled = repository.manifests().get(&"v1".parse()?).await?;
//! assert_eq!(pulled.bytes(), manifest.as_bytes());
//! assert_eq!(repository.blobs().get(&config.digest, 1024).await?, "{}");
//! # Ok(())
//! # }
//! ```
//!
//! # HTTP, inside the process
//!
//! [`Registry::service`] is a [`tower_service::Service`] over `http` types, for clients that speak HTTP. To
//! offer it on a socket, put it behind your own server.
//!
//! ```
//! use http::{Request, StatusCode};
//! use http_body_util::BodyExt;
//! use plugin_registry::{Body, Digest, Registry};
//! use plugin_registry_drivers_memory::MemoryDriver;
//! use tower_service::Service;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut service = Registry::builder(MemoryDriver::new()).build().service();
//! let digest = Digest::sha256(b"content");
//! let push = Request::post(format!("/v2/ns/app/blobs/uploads/?digest={digest}"));
//! let answer = service.call(push.body("content".to_owned())?).await?;
//! assert_eq!(answer.status(), StatusCode::CREATED);
//!
//! let pull = Request::get(format!("/v2/ns/app/blobs/{digest}"));
//! let answer = service.call(pull.body(Body::empty())?).await?;
//! assert_eq!(answer.into_body().collect().await?.to_bytes(), "content");
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! | Module | What it has |
//! |---|---|
//! | [`blob`], [`manifest`], [`tag`], [`referrers`], [`upload`] | the parts of a repository, with their types |
//! | [`verify`] | what [`Registry::verify`] reports: damaged links, manifests and blobs |
//! | [`integrity`] | the rules for what is whole, which a push, `verify` and a copy share |
//! | [`layout`] | the paths of the object layout, as pure functions |
//!
//! There are no features to choose. `fuzz` is for the project's tests.
//!
//! # Memory and time
//!
//! - At rest, a registry takes about 4 KB and makes no driver call. In use, it remembers at most 18 MiB.
//! - A push holds what the driver's writer holds, and a pull what its reader holds and one piece.
//! - A manifest has at most 4 MiB. At most 4 manifests over 256 KiB are parsed at a time, and 8 received over
//!   HTTP; together they take some 240 MiB. Each method states its driver calls and what it holds.
//! - Time limits are the caller's. Any future may be dropped at any time: the store is then as before the call
//!   or as after it. At most, invisible staged bytes or an unlinked blob are left.
//! - Content is hashed as it passes. If the processor does not hash SHA-256 itself, and for other algorithms,
//!   that work runs on the blocking pool of the caller's tokio runtime.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub mod blob;
pub mod integrity;
pub mod layout;
pub mod manifest;
pub mod referrers;
pub mod tag;
pub mod upload;
pub mod verify;

#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;

mod cache;
mod catalog;
mod error;
mod hashing;
mod http;
mod limiter;
mod link;
mod manifests;
mod names;
mod operation;
mod options;
mod registry;
mod repository;
mod shared;

#[doc(no_inline)]
pub use plugin_registry_core::{
    Algorithm, ByteRange, Descriptor, Digest, MediaType, Reference, RepositoryName, Secret, StorageDriver,
    Tag,
};

pub use self::{
    error::{ErrorCode, RegistryError, Result},
    http::{Body, RegistryService},
    manifests::Manifests,
    options::{ReferencePolicy, UrlPolicy},
    registry::{Registry, RegistryBuilder},
    repository::Repository,
};
