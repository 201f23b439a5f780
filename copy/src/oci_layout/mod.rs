//! OCI image layouts: directories that hold images (image-spec, "OCI Image Layout Specification").

mod image;
mod index;
mod lock;
mod resolve;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt, TryFutureExt, TryStreamExt, lock::Mutex};
use plugin_registry::{
    integrity,
    manifest::{MAX_MANIFEST_SIZE, Manifest},
};
use plugin_registry_core::{
    ByteRange, Checked, Descriptor, Digest, Error, ErrorKind, Metrics, StorageDriver, StorageDriverExt,
    StoragePath, VerifyError, WriteMode, shown,
};

use self::index::Index;
pub use self::{image::LayoutImage, index::LayoutEntry};
use crate::{
    content::{BlobContent, damaged_blob},
    error::{CopyError, Result},
    reference::LayoutReference,
};

/// The marker file, and the only version that exists.
const MARKER: &str = "/oci-layout";
const MARKER_CONTENT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX: &str = "/index.json";
/// Largest `index.json`, in bytes. Its parsed form takes at most as much again, and 16 MiB for its images.
const MAX_INDEX_SIZE: u64 = 16 << 20;
/// How often `index.json` is written before it is clear that another program keeps writing over it.
const MAX_WRITES: usize = 8;

/// An OCI image layout of version 1.0.0 in the root directory of a storage driver.
///
/// So its files are written whole and durable, and no link leads out of it. Cloning is cheap.
///
/// Everything that is read is verified. Paths are made of parsed digests only. `index.json` is written last
/// and as a whole. Its unknown keys are kept.
///
/// Many writers may use one layout at a time. Clones of this value take turns, and so do all values and
/// processes that name the [directory](Self::with_directory). After each write, `index.json` is read again. If
/// another program wrote over it meanwhile, the entry is written once more. Changes of such a program between
/// our reading and our writing are lost, as between any two programs that do not lock.
#[derive(Clone)]
pub struct OciLayout {
    driver: Arc<Checked<dyn StorageDriver>>,
    place: Arc<str>,
    index: Arc<Mutex<()>>,
    directory: Option<Arc<Path>>,
}

impl OciLayout {
    /// Opens a layout to read it. `place` is what to call it in messages. 1 driver call.
    ///
    /// # Errors
    /// Fails with [`CopyError::NotALayout`] if the directory is not one, or has an unknown version.
    pub async fn open(driver: Arc<dyn StorageDriver>, place: impl fmt::Display) -> Result<Self> {
        let layout = Self::new(driver, place);
        if layout.is_marked().await? {
            Ok(layout)
        } else {
            Err(layout.no_layout("it has no file oci-layout"))
        }
    }

    /// Opens a layout to write into it, and creates it if the directory is empty.
    ///
    /// # Errors
    /// Fails with [`CopyError::NotALayout`] if something else is in the directory.
    pub async fn create(driver: Arc<dyn StorageDriver>, place: impl fmt::Display) -> Result<Self> {
        let layout = Self::new(driver, place);
        if layout.is_marked().await? {
            return Ok(layout);
        }
        let first = layout.driver.list(&StoragePath::root(), None).next().await;
        if let Some(entry) = first {
            let name = entry.map_err(|error| layout.storage(error))?.name;
            // Another program may just have created it.
            if layout.is_marked().await? {
                return Ok(layout);
            }
            return Err(layout.no_layout(format!("it has no file oci-layout, but has `{}`", shown(&name))));
        }
        let marker = path(MARKER);
        let content = Bytes::from_static(MARKER_CONTENT);
        layout.driver.put(&marker, content).await.map_err(|error| layout.storage(error))?;
        Ok(layout)
    }

    fn new(driver: Arc<dyn StorageDriver>, place: impl fmt::Display) -> Self {
        let place = Arc::from(format!("oci:{place}"));
        Self { driver: Arc::new(Checked::new(driver)), place, index: Arc::default(), directory: None }
    }

    /// Names the driver's root directory, so that writers of all processes take turns.
    ///
    /// While an image is entered, the directory is locked by `flock`, which the kernel undoes if the process
    /// dies. If the system cannot lock a directory, nothing is locked.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into().into());
        self
    }

    /// Returns what to call it in messages.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.place
    }

    /// Returns counters of the driver calls on this layout.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        self.driver.metrics()
    }

    /// Returns the images in `index.json`, in its order. 1 driver call.
    ///
    /// # Errors
    /// Fails with [`CopyError::Damaged`] if it cannot be read, and with [`CopyError::NotALayout`] if it is
    /// missing.
    pub async fn entries(&self) -> Result<Vec<LayoutEntry>> {
        match self.read_index().await? {
            Some(index) => Ok(index.into_entries()),
            None => Err(self.no_layout("it has no file index.json, so it was never finished")),
        }
    }

    /// Returns the image that `reference` names, or the only image if there is no reference.
    ///
    /// # Errors
    /// Fails with [`CopyError::NotFound`] or [`CopyError::Ambiguous`], each with the possible choices.
    pub async fn resolve(&self, reference: Option<&LayoutReference>) -> Result<Descriptor> {
        resolve::resolve(&self.place, &self.entries().await?, reference)
    }

    /// Reads a manifest and verifies it; at most 4 MiB. 1 driver call.
    ///
    /// # Errors
    /// Fails with [`CopyError::NotFound`], or with [`CopyError::Damaged`] if it is not what the descriptor
    /// says.
    pub async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let manifest = self.manifest_of_any_size(&descriptor.digest).await?;
        let (expected, actual) = (descriptor.size, manifest.bytes().len() as u64);
        if expected == actual {
            return Ok(manifest);
        }
        let what = format!("manifest {}", descriptor.digest);
        Err(self.damaged(&what, VerifyError::Size { expected, actual }))
    }

    /// Reads a manifest whose size may be wrong in an index.
    async fn manifest_of_any_size(&self, digest: &Digest) -> Result<Manifest> {
        let digest = *digest;
        let what = format!("manifest {digest}");
        let bytes = match self.driver.get_content(&blob_path(&digest), MAX_MANIFEST_SIZE).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => {
                return Err(CopyError::NotFound { place: self.place.to_string(), what });
            }
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                return Err(self.damaged(&what, "it is larger than 4 MiB"));
            }
            Err(error) => return Err(self.storage(error)),
        };
        let actual = Digest::of(digest.algorithm(), &bytes);
        if actual != digest {
            return Err(self.damaged(&what, VerifyError::Digest { expected: digest, actual }));
        }
        Ok(Manifest::from_stored(digest, bytes))
    }

    /// Returns the content of a blob, which is opened when it is polled. 1 driver call.
    #[must_use]
    pub fn blob(&self, digest: &Digest, size: Option<u64>) -> BlobContent<'static> {
        let (layout, digest, place) = (self.clone(), *digest, self.place.to_string());
        let open = async move {
            let reader = match layout.driver.reader(&blob_path(&digest), ByteRange::full()).await {
                Ok(reader) => reader,
                Err(error) if error.is_not_found() => {
                    let what = format!("blob {digest}");
                    return Err(CopyError::NotFound { place: layout.place.to_string(), what });
                }
                Err(error) => return Err(layout.storage(error)),
            };
            let actual = reader.info().size;
            if let Some(expected) = size.filter(|size| *size != actual) {
                let error = VerifyError::Size { expected, actual };
                return Err(damaged_blob(&layout.place, &digest, &error));
            }
            Ok(reader.into_stream().map_err(move |error| layout.storage(error)))
        };
        BlobContent::unverified(place, digest, size, open.try_flatten_stream().boxed())
    }

    /// Returns whether a file of this size is there. Its content is not looked at. 1 driver call.
    async fn has_blob(&self, descriptor: &Descriptor) -> Result<bool> {
        match self.driver.stat(&blob_path(&descriptor.digest)).await {
            Ok(info) => Ok(info.size == descriptor.size),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(self.storage(error)),
        }
    }

    /// Reads a blob to its end, and returns whether it is what the descriptor names; `None` if there is none. 1
    /// driver call.
    async fn is_whole(&self, descriptor: &Descriptor) -> Result<Option<bool>> {
        let content = self.blob(&descriptor.digest, integrity::named_size(descriptor));
        match content.into_verified().try_for_each(|_| std::future::ready(Ok(()))).await {
            Ok(()) => Ok(Some(true)),
            Err(CopyError::NotFound { .. }) => Ok(None),
            Err(error) if error.is_damaged() => Ok(Some(false)),
            Err(error) => Err(error),
        }
    }

    /// Stores a blob, verified, whole and durable. Holds what the driver's writer holds, and one piece.
    async fn put_blob(&self, descriptor: &Descriptor, content: BlobContent<'_>) -> Result<()> {
        let mode = WriteMode::Direct { size: content.size() };
        let path = blob_path(&descriptor.digest);
        let mut content = content.into_verified();
        // Read content first: if there is none, nothing is staged.
        let mut piece = content.try_next().await?;
        let mut writer = self.driver.writer(&path, mode).await.map_err(|error| self.storage(error))?;
        let poured = async {
            while let Some(bytes) = piece.take() {
                if !bytes.is_empty() {
                    writer.write(bytes).await.map_err(|error| self.storage(error))?;
                }
                piece = content.try_next().await?;
            }
            Ok(())
        };
        if let Err(error) = poured.await {
            if let Err(error) = writer.cancel().await {
                tracing::warn!(%error, "a staged file could not be discarded");
            }
            return Err(error);
        }
        writer.commit(&path).await.map_err(|error| self.storage(error))
    }

    async fn put_manifest(&self, manifest: &Manifest) -> Result<()> {
        let (path, bytes) = (blob_path(&manifest.digest()), manifest.bytes().clone());
        self.driver.put(&path, bytes).await.map_err(|error| self.storage(error))
    }

    /// Enters an image into `index.json`, and reads it again after writing.
    ///
    /// A name that another image had moves to this one. 1 driver call for an image that is there, otherwise 3,
    /// unless another program writes too.
    async fn add_to_index(&self, name: Option<&str>, manifest: &Manifest) -> Result<()> {
        let _among_clones = self.index.lock().await;
        let _among_processes = match &self.directory {
            Some(directory) => lock::lock(directory).await,
            None => None,
        };
        let index_path = path(INDEX);
        for writes in 0..=MAX_WRITES {
            let mut index = self.read_index().await?.unwrap_or_default();
            let damaged = |problem| self.damaged(INDEX, problem);
            if writes > 0 && index.kept(name, manifest) {
                return Ok(());
            }
            if !index.enter(name, manifest).map_err(damaged)? {
                return Ok(());
            }
            if writes < MAX_WRITES {
                let bytes = index.to_bytes().map_err(damaged)?;
                self.driver.put(&index_path, bytes).await.map_err(|error| self.storage(error))?;
            }
        }
        let message = "another program keeps overwriting it: run the copy again once that program has ended";
        Err(self.storage(Error::new(ErrorKind::Conflict).with_path(&index_path).with_message(message)))
    }

    async fn read_index(&self) -> Result<Option<Index>> {
        let bytes = self.driver.get_optional(&path(INDEX), MAX_INDEX_SIZE).await;
        match bytes.map_err(|error| self.storage(error))? {
            Some(bytes) => Index::parse(&bytes).map(Some).map_err(|problem| self.damaged(INDEX, problem)),
            None => Ok(None),
        }
    }

    async fn is_marked(&self) -> Result<bool> {
        let marker = self.driver.get_optional(&path(MARKER), 4096).await;
        let Some(marker) = marker.map_err(|error| self.storage(error))? else { return Ok(false) };
        match index::layout_version(&marker) {
            Some(version) if version.starts_with("1.0.") => Ok(true),
            Some(version) => Err(self.no_layout(format!("its version `{}` is not 1.0.0", shown(&version)))),
            None => Err(self.no_layout("its file oci-layout does not name a version")),
        }
    }

    fn no_layout(&self, problem: impl Into<String>) -> CopyError {
        CopyError::NotALayout { place: self.place.to_string(), problem: problem.into() }
    }

    fn damaged(&self, what: &str, problem: impl fmt::Display) -> CopyError {
        CopyError::Damaged {
            place: self.place.to_string(),
            what: what.trim_start_matches('/').to_owned(),
            problem: problem.to_string(),
        }
    }

    fn storage(&self, error: plugin_registry_core::Error) -> CopyError {
        CopyError::storage(&self.place, error)
    }
}

impl fmt::Debug for OciLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OciLayout").field(&self.place).finish()
    }
}

/// Returns where a layout has the content of a digest.
fn blob_path(digest: &Digest) -> StoragePath {
    path(&format!("/blobs/{}/{}", digest.algorithm(), digest.hex()))
}

#[expect(clippy::expect_used, reason = "a constant, or made of a parsed digest: it always parses")]
fn path(text: &str) -> StoragePath {
    text.parse().expect("a path of constants and digests is one")
}
