//! The parameters of the filesystem driver.

use plugin_registry_core::Result;
use plugin_registry_drivers_fs::FsConfig;

use crate::StorageConfig;

/// The directory in which distribution keeps a registry by default.
const ROOT: &str = "/var/lib/registry";
/// Distribution takes fewer threads for a mistake, and raises them to this.
const MIN_THREADS: usize = 25;

/// Reads `rootdirectory` and `maxthreads`. As in distribution, fewer than 25 threads count as 25. Unlike there,
/// a negative number is a mistake.
pub(crate) fn settings(config: &StorageConfig) -> Result<FsConfig> {
    let mut reader = config.parameters.reader();
    let root = reader.text("rootdirectory").unwrap_or_else(|| ROOT.to_owned());
    let threads = reader.number("maxthreads", 0..=u64::from(u32::MAX));
    reader.finish().map_err(|error| error.with_driver("filesystem"))?;
    let settings = FsConfig::new(root).with_create_root(config.create_root);
    Ok(match threads.and_then(|threads| usize::try_from(threads).ok()) {
        Some(threads) => settings.with_max_threads(threads.max(MIN_THREADS)),
        None => settings,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn directories_and_threads() {
        let usual = settings(&StorageConfig::new("filesystem")).unwrap();
        assert_eq!((usual.root.as_path(), usual.max_threads), (Path::new(ROOT), 100));
        assert!(usual.create_root && usual.durable);
        let config =
            StorageConfig::new("filesystem").with("rootdirectory", "/srv/a b").with_create_root(false);
        for (threads, expected) in [("0", 25), ("1", 25), ("25", 25), ("26", 26)] {
            let read = settings(&config.clone().with("maxthreads", threads)).unwrap();
            assert_eq!((read.root.as_path(), read.max_threads), (Path::new("/srv/a b"), expected));
            assert!(!read.create_root);
        }
        let wrong = settings(&config.with("maxthreads", "-3").with("rootdir", "/x")).unwrap_err().to_string();
        assert_eq!(
            wrong,
            "filesystem driver: invalid configuration: 2 mistakes: `maxthreads`: has to be a number from 0 to \
             4294967295; `rootdir`: unknown, did you mean `rootdirectory`?"
        );
    }
}
