//! Opening what a command works on.

use std::{path::Path, sync::Arc};

use plugin_registry_core::{ErrorKind, StorageDriver};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;

use crate::failure::{Failure, Outcome, chain};

/// The registry's directory, which is made if missing.
pub(crate) async fn make_root(root: &Path, durable: bool) -> Result<Arc<dyn StorageDriver>, Failure> {
    open(FsConfig::new(root).with_durable(durable), "the registry").await
}

/// The registry's directory, which has to be there.
pub(crate) async fn open_root(root: &Path) -> Result<Arc<dyn StorageDriver>, Failure> {
    open(FsConfig::new(root).with_create_root(false), "the registry").await
}

/// The directory of an OCI image layout; everybody may read what is written into it, as the umask of
/// other tools would have it.
pub(crate) async fn layout(directory: &Path, create: bool) -> Result<Arc<dyn StorageDriver>, Failure> {
    let config = FsConfig::new(directory).with_create_root(create).with_file_mode(0o644).with_dir_mode(0o755);
    open(config, "the layout").await
}

/// A store that vanishes with the process.
pub(crate) fn in_memory() -> Arc<dyn StorageDriver> {
    Arc::new(MemoryDriver::new())
}

async fn open(config: FsConfig, what: &str) -> Result<Arc<dyn StorageDriver>, Failure> {
    let directory = config.root.display().to_string();
    match FsDriver::open(config).await {
        Ok(driver) => Ok(Arc::new(driver)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Failure::new(Outcome::NotFound, format!("{what} `{directory}` does not exist")).with_hint(
                "Check the path; a mount may be missing. `copy` into a registry makes its directory.",
            ))
        }
        Err(error) => {
            Err(Failure::failed(format!("{what} `{directory}` cannot be opened: {}", chain(&error))))
        }
    }
}
