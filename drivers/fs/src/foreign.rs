//! Finding what other programs put under names that are no paths.

use plugin_registry_core::{Result, StoragePath};
use rustix::fs::{Dir, FileType};

use crate::{error, names, root::Root, walk::Walk};

/// The most that one piece of blocking work reads ahead of the consumer.
const MAX_DIRECTORIES: usize = 32;

/// All names below a directory that no path can have, directory by directory.
pub(crate) struct Foreign {
    /// Directories that are still to be read.
    open: Vec<StoragePath>,
}

impl Foreign {
    pub(crate) fn new(path: StoragePath) -> Self {
        Self { open: vec![path] }
    }
}

impl Walk for Foreign {
    type Found = String;

    fn advance(&mut self, root: &Root, found: &mut Vec<Result<String>>) -> Result<bool> {
        for _ in 0..MAX_DIRECTORIES {
            let Some(path) = self.open.pop() else { return Ok(false) };
            let mut dir = match root.open_dir(&path).and_then(|dir| Ok(Dir::new(dir)?)) {
                Err(error) if error::is_missing(&error) => continue,
                dir => dir.map_err(error::read)?,
            };
            while let Some(entry) = dir.read() {
                let entry = entry.map_err(|error| error::read(error.into()))?;
                let name = entry.file_name().to_string_lossy();
                if matches!(&*name, "." | "..") {
                    continue;
                }
                if !names::is_component(&name) {
                    found.push(Ok(format!("{}/{name}", path.as_str().trim_end_matches('/'))));
                } else if entry.file_type() == FileType::Directory {
                    self.open.extend(path.join(&name));
                }
            }
        }
        Ok(true)
    }
}
