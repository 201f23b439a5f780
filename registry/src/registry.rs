//! The registry of one location.

use std::{sync::Arc, time::Duration};

use futures::TryStreamExt;
use plugin_registry_core::{Checked, EntryKind, Metrics, Secret, StorageDriver};

use crate::{
    error::Result,
    layout,
    options::{Options, ReferencePolicy, UrlPolicy},
    shared::{Identity, Shared},
};

/// An OCI registry over one storage driver. Cloning is cheap and shares everything.
///
/// It binds no socket, runs nothing in the background, reads no environment, and makes no driver call on its
/// own.
///
/// Memory: about 4 KB at rest. When busy it remembers at most 18 MiB, plus what each operation states. At most
/// 4 manifests over 256 KiB are parsed at a time, and 8 received over HTTP; together they take some 240 MiB.
/// Others wait for their turn.
///
/// ```
/// # use plugin_registry::Registry;
/// # use plugin_registry_drivers_memory::MemoryDriver;
/// let registry = Registry::builder(MemoryDriver::new()).delete(true).build();
/// let repository = registry.repository("ns/app".parse()?);
/// assert_eq!(repository.name().as_str(), "ns/app");
/// # Ok::<(), plugin_registry_core::NameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) shared: Arc<Shared>,
}

/// Builds a [`Registry`]; building cannot fail and does no work.
#[derive(Debug)]
pub struct RegistryBuilder {
    driver: Arc<dyn StorageDriver>,
    options: Options,
    blob_cache_ttl: Duration,
    upload_key: Option<Secret>,
    identity: Identity,
}

impl Registry {
    /// Returns a builder with a driver, or an `Arc` of one that is shared, and the default options.
    #[must_use]
    pub fn builder(driver: impl StorageDriver) -> RegistryBuilder {
        RegistryBuilder {
            driver: Arc::new(driver),
            options: Options {
                read_only: false,
                delete: false,
                references: ReferencePolicy::default(),
                urls: UrlPolicy::default(),
                max_page_size: 1000,
                automatic_crossmount: false,
                redirect: false,
                concurrency: 16,
            },
            blob_cache_ttl: Duration::from_secs(60),
            upload_key: None,
            identity: Identity::default(),
        }
    }

    /// Returns the counters of this registry's driver calls.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        self.shared.driver.metrics()
    }

    /// The location that was set with [`RegistryBuilder::identity`].
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.shared.location()
    }

    /// The instance that was set with [`RegistryBuilder::identity`].
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        self.shared.instance()
    }

    /// Returns whether there is a registry: blobs or repositories below [`layout::ROOT`], if only an unfinished
    /// upload.
    ///
    /// A registry need not exist yet to be written to, and reads like an empty one until then. A caller that
    /// reads, and expects content, asks this first: an absent mount and a wrong prefix look like an empty
    /// registry, too. An empty `docker/registry/v2` does not count, nor do the objects of a probe.
    ///
    /// Only reads. 1 driver call: a listing that ends with its first page. Cancel safe.
    ///
    /// # Errors
    /// Only those of the store. One that is not there at all, such as a missing bucket, is an error.
    #[tracing::instrument(
        level = "error", skip(self),
        fields(location = self.shared.location(), instance = self.shared.instance())
    )]
    pub async fn exists(&self) -> Result<bool> {
        let root = layout::root();
        let mut entries = self.shared.driver.list(&root, None);
        loop {
            match entries.try_next().await {
                Ok(Some(entry)) if entry.kind == EntryKind::Directory && layout::is_content(&entry.name) => {
                    return Ok(true);
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(false),
                Err(error) if error.is_not_found() => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether it refuses every change ([`RegistryBuilder::read_only`]).
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.shared.options.read_only
    }

    /// Whether anything else holds this registry: a clone, a handle, an upload session or a service.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    /// Returns the driver, wrapped as this registry uses it.
    #[must_use]
    pub fn driver(&self) -> &Checked<dyn StorageDriver> {
        &self.shared.driver
    }
}

impl RegistryBuilder {
    /// Refuses every change. Default off.
    #[must_use]
    pub fn read_only(mut self, yes: bool) -> Self {
        self.options.read_only = yes;
        self
    }

    /// Allows deletes of tags, manifests, blobs and upload sessions. Default off.
    ///
    /// It is one switch for all of them; CVE-2026-41888 was a second, forgotten one.
    #[must_use]
    pub fn delete(mut self, yes: bool) -> Self {
        self.options.delete = yes;
        self
    }

    /// Which content a manifest may reference although it is missing. Default: none.
    #[must_use]
    pub fn references(mut self, policy: ReferencePolicy) -> Self {
        self.options.references = policy;
        self
    }

    /// What to do with layers that name URLs. Default: store them.
    #[must_use]
    pub fn urls(mut self, policy: UrlPolicy) -> Self {
        self.options.urls = policy;
        self
    }

    /// The most entries in an HTTP page of tags, repositories or referrers. Default 1000.
    ///
    /// A list of tags that is asked for without `n` has all of them.
    #[must_use]
    pub fn max_page_size(mut self, entries: usize) -> Self {
        self.options.max_page_size = entries.max(1);
        self
    }

    /// Whether an HTTP client may mount a blob without naming its repository (no `from`). Default off.
    ///
    /// With it on, a client that knows a digest can read that blob, even behind a server with rules for each
    /// repository. Switch it on if one identity may read the whole location.
    ///
    /// With it off, such a mount becomes an upload, as with distribution. A finish that was interrupted after
    /// its bytes were visible and before they were linked then has to be pushed again.
    #[must_use]
    pub fn automatic_crossmount(mut self, yes: bool) -> Self {
        self.options.automatic_crossmount = yes;
        self
    }

    /// Whether the HTTP service answers a GET or HEAD of a blob with a redirect to the store. Default off.
    ///
    /// It redirects only if the driver can make a URL. In the host's process that would only add a round trip.
    #[must_use]
    pub fn redirect(mut self, yes: bool) -> Self {
        self.options.redirect = yes;
        self
    }

    /// How many independent driver calls one operation makes at a time. Default 16.
    #[must_use]
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.options.concurrency = calls.max(1);
        self
    }

    /// How long the registry remembers that the store has the bytes of a digest. Default 60 s.
    ///
    /// The check of a manifest's references uses this cache. Zero asks the store every time.
    #[must_use]
    pub fn blob_cache_ttl(mut self, time: Duration) -> Self {
        self.blob_cache_ttl = time;
        self
    }

    /// Sets the secret behind the upload state in `Location` headers.
    ///
    /// All instances that share a location need the same secret. Without one, the key is made of the location's
    /// name ([`identity`](Self::identity)); without a name, it is a fixed one. It protects only the integrity
    /// of the state: a session belongs to its repository, whatever a token says.
    #[must_use]
    pub fn upload_key(mut self, key: Secret) -> Self {
        self.upload_key = Some(key);
        self
    }

    /// Sets the fields `location` and `instance` of every span of this registry. Default: nothing.
    ///
    /// They say which location it is, and which of perhaps several registries of that location.
    #[must_use]
    pub fn identity(mut self, location: impl Into<Arc<str>>, instance: impl Into<Arc<str>>) -> Self {
        self.identity = Identity { location: Some(location.into()), instance: Some(instance.into()) };
        self
    }

    /// Builds the registry.
    #[must_use]
    pub fn build(self) -> Registry {
        Registry {
            shared: Arc::new(Shared::new(
                self.driver,
                self.options,
                self.blob_cache_ttl,
                self.upload_key.as_ref(),
                self.identity,
            )),
        }
    }
}
