//! Opening what a command works on.

use std::{path::Path, sync::Arc};

use futures::TryStreamExt;
use plugin_registry::{Registry, RegistryBuilder, RegistryError, layout};
use plugin_registry_core::{Error, ErrorKind, Operation, StorageDriver, StoragePath, shown_name, shown_path};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;

use crate::{
    failure::{Failure, Outcome},
    source::{Configured, Source},
};

/// What to do about a directory that is not there.
const MISSING: &str = "Check the path; a mount may be missing. `copy` into a registry makes its directory.";

/// Where a registry lives.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Place<'a> {
    /// `--root`.
    Directory(&'a Path),
    /// `--config`, `--location` and similar options.
    Configured(&'a Source),
    /// Nowhere but in this process.
    #[default]
    Memory,
}

/// An opened store, with what its configuration says besides.
pub(crate) struct Opened {
    pub(crate) driver: Arc<dyn StorageDriver>,
    pub(crate) configured: Option<Configured>,
    /// The directory, if it is named by `--root`.
    root: Option<String>,
}

impl<'a> Place<'a> {
    /// The one of the two options that was given.
    pub(crate) fn of(root: Option<&'a Path>, source: &'a Source) -> Option<Self> {
        root.map(Place::Directory).or(source.is_given().then_some(Place::Configured(source)))
    }

    /// Opens it; a directory has to be there.
    pub(crate) async fn open(self) -> Result<Opened, Failure> {
        self.opened(false, true).await
    }

    /// Opens it to read: a registry has to be there, since an absent mount looks like an empty one.
    pub(crate) async fn existing(self) -> Result<Opened, Failure> {
        let opened = self.open().await?;
        opened.require_registry().await?;
        Ok(opened)
    }

    /// The options that name it again, to run another command.
    pub(crate) fn options(self) -> String {
        match self {
            Place::Directory(root) => format!("--root {}", quoted(&root.display().to_string())),
            Place::Configured(source) => source.options().unwrap_or_default(),
            Place::Memory => String::new(),
        }
    }

    /// Opens it; a missing directory is made.
    pub(crate) async fn make(self) -> Result<Opened, Failure> {
        self.opened(true, true).await
    }

    /// The same, and without waiting for the disk if the directory is named by `--root`.
    pub(crate) async fn make_durable(self, durable: bool) -> Result<Opened, Failure> {
        self.opened(true, durable).await
    }

    async fn opened(self, create: bool, durable: bool) -> Result<Opened, Failure> {
        let mut root = None;
        let driver = match self {
            Place::Directory(directory) => {
                root = Some(directory.display().to_string());
                let config = FsConfig::new(directory).with_create_root(create).with_durable(durable);
                self::directory(config, "the registry", "Name a directory.").await?
            }
            Place::Configured(source) => return source.read()?.open(create).await,
            Place::Memory => Arc::new(MemoryDriver::new()),
        };
        Ok(Opened { driver, configured: None, root })
    }
}

impl Opened {
    /// Opens what a configuration names.
    pub(crate) fn of(driver: Arc<dyn StorageDriver>, configured: Configured) -> Self {
        Self { driver, configured: Some(configured), root: None }
    }

    /// Whether the configuration allows no changes.
    pub(crate) fn is_read_only(&self) -> bool {
        self.configured.as_ref().is_some_and(|configured| configured.config.read_only)
    }

    /// Fails if there is no registry.
    pub(crate) async fn require_registry(&self) -> Result<(), Failure> {
        match Registry::builder(self.driver.clone()).read_only(true).build().exists().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.no_registry()),
            // Credentials that may not list may still read what a command asks for by its name.
            Err(RegistryError::Storage(error)) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Says where no registry is, and what to check there.
    fn no_registry(&self) -> Failure {
        let parameter = |name| {
            let config = &self.configured.as_ref()?.config;
            config.parameters.get(name).filter(|value| !value.is_empty())
        };
        let within = parameter("rootdirectory").and_then(shown_path);
        let bucket = parameter("bucket");
        let is_bucket = bucket.is_some();
        let below = within.filter(|_| is_bucket).map_or("", |path| path.trim_matches('/'));
        let looked_for = format!("{below}{}", layout::ROOT);
        let place = match (&self.root, bucket.and_then(shown_name)) {
            (Some(root), _) => format!(" in `{root}`"),
            (None, Some(bucket)) => format!(" in bucket `{bucket}`"),
            (None, None) => {
                within.filter(|_| !is_bucket).map(|path| format!(" in `{path}`")).unwrap_or_default()
            }
        };
        let looked_for = looked_for.trim_start_matches('/');
        let message = format!("no registry here: no blobs and no repositories at `{looked_for}`{place}");
        let failure = Failure::new(Outcome::NotFound, message);
        let is_location = self.configured.as_ref().is_some_and(|configured| configured.location.is_some());
        let check = match (is_bucket, is_location) {
            (true, true) => {
                "Check the bucket (`objectStorage.bucket`). The registry is at its root, whatever its prefix \
                 (`objectStorage.prefix`) is"
            }
            (true, false) => "Check the bucket and the prefix (`rootdirectory`)",
            (false, _) => "Check the root directory; a mount may be missing",
        };
        let failure = failure.with_hint(format!("{check}. `copy` into a registry makes one."));
        match &self.configured {
            Some(configured) => failure.in_place(&configured.place),
            None => failure,
        }
    }

    /// Begins the registry as the file has it, or with the defaults.
    pub(crate) fn builder(self) -> RegistryBuilder {
        let builder = match &self.configured {
            Some(configured) => configured.config.builder(self.driver),
            None => Registry::builder(self.driver),
        };
        // There are no rules for each repository: one identity has all.
        builder.automatic_crossmount(true)
    }
}

impl Configured {
    /// Opens what it names.
    pub(crate) async fn open(self, create: bool) -> Result<Opened, Failure> {
        let driver = self.driver(create).await.map_err(|error| self.failure(error))?;
        Ok(Opened::of(driver, self))
    }

    /// The same, with the error as it is.
    pub(crate) async fn driver(&self, create: bool) -> Result<Arc<dyn StorageDriver>, Error> {
        plugin_registry_drivers::open(&self.config.storage().with_create_root(create)).await
    }

    /// How a command ends that cannot open it.
    pub(crate) fn failure(&self, error: Error) -> Failure {
        let is_missing = error.kind() == ErrorKind::NotFound && error.driver() == Some("filesystem");
        let failure = Failure::from(error).in_place(&self.place);
        if is_missing { failure.with_outcome(Outcome::NotFound).with_hint(MISSING) } else { failure }
    }
}

/// A path as a shell takes it for one word.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !path.is_empty() && path.chars().all(is_plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

/// What to do about an archive in the place of a layout.
const ARCHIVE: &str = "Unpack an archive of an OCI layout, and name the directory: \
     `mkdir DIR && tar -xf FILE -C DIR`. \
     `skopeo copy docker-archive:FILE oci:DIR` makes a layout from the output of `docker save`.";

/// The directory of an OCI image layout. Files in it are as private as the umask says, as with skopeo.
pub(crate) async fn layout(root: &Path, create: bool) -> Result<Arc<dyn StorageDriver>, Failure> {
    let config = FsConfig::new(root).with_create_root(create);
    let config = config.with_file_mode(0o666).with_dir_mode(0o777).with_umask(true);
    directory(config, "the layout", ARCHIVE).await
}

async fn directory(config: FsConfig, what: &str, if_file: &str) -> Result<Arc<dyn StorageDriver>, Failure> {
    let shown = config.root.display().to_string();
    let is_file = config.root.is_file();
    match FsDriver::open(config).await {
        Ok(driver) => Ok(Arc::new(driver)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let message = format!("{what} `{shown}` does not exist");
            Err(Failure::new(Outcome::NotFound, message).with_hint(MISSING))
        }
        Err(_) if is_file => {
            let message = format!("{what} `{shown}` is a file, not a directory");
            Err(Failure::failed(message).with_hint(if_file))
        }
        Err(error) => Err(Failure::failed(format!("{what} `{shown}` cannot be opened: {error}"))),
    }
}

/// Asks for a list, since opening makes no request.
///
/// # Errors
/// Those of a store that cannot be reached, or knows neither the credentials nor the bucket.
pub(crate) async fn require_answer(driver: &dyn StorageDriver) -> Result<(), Error> {
    let root = StoragePath::root();
    let listed = driver.list(&root, None).try_next().await;
    match listed {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Unauthenticated
                    | ErrorKind::InvalidConfig
                    | ErrorKind::Unavailable
                    | ErrorKind::Timeout
                    | ErrorKind::RateLimited
            ) =>
        {
            Err(error.with_driver(driver.name()).with_operation(Operation::List))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        for (path, word) in [
            ("./backup", "./backup"),
            ("/tmp/.tmpX/a_b-c", "/tmp/.tmpX/a_b-c"),
            ("my backup", "'my backup'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(path), word);
        }
    }
}
