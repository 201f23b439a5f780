//! Directories that other programs made: links inside of the root, and sessions deeper than any path.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{os::unix::fs::symlink, path::Path, process::Command, sync::Arc, time::Duration};

use plugin_registry::{Registry, verify::VerifyScope};
use plugin_registry_conformance::registry::{Client, Wrapped, fixture::Image};
use plugin_registry_core::{ErrorKind, Operation};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};

const REPOSITORIES: &str = "docker/registry/v2/repositories";
const SESSION: &str = "5f0c0f5e-6a0b-4c1c-9d0a-3d6f3c1d2b4a";

async fn registry(root: &Path) -> Registry {
    Registry::builder(FsDriver::open(FsConfig::new(root)).await.unwrap()).delete(true).build()
}

async fn purge(registry: &Registry, dry_run: bool) -> plugin_registry::upload::PurgeReport {
    tokio::time::sleep(Duration::from_millis(20)).await;
    registry.purge_uploads(Duration::from_millis(1), dry_run).await.unwrap()
}

#[tokio::test]
async fn a_linked_repository_is_listed_verified_and_purged_as_it_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let registry = registry(root).await;
    let client = Client::new(&registry);
    let image = Image::new(1);
    client.push_image("team/app", "latest", &image).await;
    let location = client.begin("team/app").await;
    client.append(&location, &"abc".into()).await;
    // The namespace is elsewhere in the root, as on a separate disk.
    std::fs::rename(root.join(REPOSITORIES).join("team"), root.join("elsewhere")).unwrap();
    symlink("../../../../elsewhere", root.join(REPOSITORIES).join("team")).unwrap();

    let _ = client.get("/v2/team/app/manifests/latest").send().await.expect(200);
    let catalog = registry.catalog(None, 10).await.unwrap();
    assert_eq!(catalog.entries.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["team/app"]);
    let dry = purge(&registry, true).await;
    assert_eq!((dry.uploads.len(), dry.unknown.len()), (1, 0), "{dry:?}");
    let purged = purge(&registry, false).await;
    assert_eq!(purged.uploads.len(), 1, "{purged:?}");
    assert_eq!(purge(&registry, true).await.uploads.len(), 0);

    let verify = async || registry.verify(VerifyScope::All, |_| {}).await.unwrap();
    let sound = verify().await;
    assert!(sound.is_sound() && sound.manifests == 1, "{sound:?}");
    // The tag of the linked repository leads to nothing.
    let revisions = root.join("elsewhere/app/_manifests/revisions");
    std::fs::remove_dir_all(revisions).unwrap();
    let damaged = verify().await;
    assert!(!damaged.is_sound(), "{damaged:?}");
    assert!(root.join("elsewhere/app/_manifests/tags/latest").exists());
}

/// Links that lead up are not children, even if a verification has to look directory by directory.
#[tokio::test]
async fn links_that_lead_up_multiply_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let client = Client::new(&registry(directory.path()).await);
    client.push_image("app", "latest", &Image::new(1)).await;
    for name in ["x", "y"] {
        symlink(".", directory.path().join(REPOSITORIES).join(name)).unwrap();
    }
    let driver = FsDriver::open(FsConfig::new(directory.path())).await.unwrap();
    let driver = Wrapped::new(Arc::new(driver)).unread(|operation, _| {
        matches!(operation, Operation::FindDirectories).then_some(ErrorKind::PermissionDenied)
    });
    let report = Registry::builder(driver).build().verify(VerifyScope::All, |_| {}).await.unwrap();
    assert_eq!((report.repositories, report.manifests, report.findings.len()), (1, 1, 0), "{report:?}");
}

#[tokio::test]
async fn a_session_deeper_than_any_path_is_unknown_and_left() {
    // In memory where there is such a filesystem: thousands of directories.
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let uploads = directory.path().join(REPOSITORIES).join("old/_uploads");
    let session = uploads.join(SESSION);
    let empty = uploads.join("6f0c0f5e-6a0b-4c1c-9d0a-3d6f3c1d2b4a");
    for at in [&session, &empty] {
        std::fs::create_dir_all(at).unwrap();
        let levels = vec!["d/"; 500].concat();
        let begun = Command::new("sh")
            .args(["-c", "for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do mkdir -p \"$0\" && cd -P \"$0\" || exit 1; done"])
            .arg(levels)
            .current_dir(at)
            .status();
        assert!(begun.unwrap().success());
    }
    std::fs::write(session.join("data"), "abc").unwrap();
    std::fs::write(session.join("startedat"), "2026-11-23T16:06:04Z").unwrap();
    let registry = registry(directory.path()).await;
    for dry_run in [true, false] {
        let report = purge(&registry, dry_run).await;
        assert_eq!((report.uploads.len(), report.kept), (0, 0), "{report:?}");
        let mut unknown: Vec<_> = report.unknown.iter().filter_map(|path| path.file_name()).collect();
        unknown.sort_unstable();
        assert_eq!(unknown, [SESSION, empty.file_name().unwrap().to_str().unwrap()]);
    }
    assert!(session.join("data").exists() && session.join("d/d/d").exists());
    assert!(Command::new("rm").arg("-rf").arg(directory.path()).status().unwrap().success());
}
