//! Modes are exact whatever the umask, unless it is to have its say. Alone in its process, which has one umask.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod common;

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use common::{open, path};
use plugin_registry_core::{StorageDriver, StorageDriverExt, WriteMode};
use plugin_registry_drivers_fs::FsConfig;

/// Both in one test, because a process has one umask.
#[tokio::test]
async fn modes_are_exact_or_less_the_umask() {
    for umask in [0o000, 0o022, 0o027, 0o077] {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("new/store");
        let config = FsConfig::new(&root).with_file_mode(0o666).with_dir_mode(0o777).with_umask(true);
        let mode = written(open(config).await, &root).await;
        for file in ["b/c/writer", "d/put"] {
            assert_eq!(mode(file), 0o666 & !umask, "{file} under {umask:o}");
        }
        for dir in ["..", "", "b", "b/c", "d"] {
            assert_eq!(mode(dir), 0o777 & !umask, "{dir} under {umask:o}");
        }
    }
    modes_are_exact().await;
}

/// Writes in every way; gives the modes of what was written.
async fn written(driver: impl StorageDriver, root: &Path) -> impl Fn(&str) -> u32 {
    driver.put(&path("/d/put"), "x").await.unwrap();
    let mut writer = driver.writer(&path("/b/c/writer"), WriteMode::Stage).await.unwrap();
    writer.write(vec![0; 3 << 20].into()).await.unwrap();
    let staged = writer.close().await.unwrap();
    driver.commit_staged(&staged, &path("/b/c/writer")).await.unwrap();
    let root = root.to_owned();
    move |name| std::fs::metadata(root.join(name)).unwrap().mode() & 0o7777
}

async fn modes_are_exact() {
    let directory = tempfile::tempdir().unwrap();
    for (umask, file_mode, dir_mode) in
        [(0o000, 0o600, 0o700), (0o077, 0o640, 0o750), (0o022, 0o666, 0o777), (0o027, 0o644, 0o755)]
    {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        let root = directory.path().join(format!("{umask:o}/store"));
        let config = FsConfig::new(&root).with_file_mode(file_mode).with_dir_mode(dir_mode);
        let driver = open(config).await;
        let mode = written(driver.clone(), &root).await;
        for file in ["b/c/writer", "d/put"] {
            assert_eq!(mode(file), file_mode, "{file} under {umask:o}");
        }
        for dir in ["", "b", "b/c", "d"] {
            assert_eq!(mode(dir), dir_mode, "{dir} under {umask:o}");
        }
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o2770)).unwrap();
        driver.put(&path("/g/put"), "x").await.unwrap();
        assert_eq!(mode("g"), dir_mode | 0o2000, "an inherited group stays inherited");
    }
}
