//! Purging uploads.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, poll};
use plugin_registry::{Registry, RegistryError, upload::PurgeReport};
use plugin_registry_core::{FileInfo, Operation, StoragePath, WriteMode};

use super::{
    Lab,
    fixture::{Image, content, digest},
    wrapped::Wrapped,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ROOT: &str = "/docker/registry/v2";
/// The session of an upload of distribution.
const FOREIGN: &str = "5f0c0f5e-6a0b-4c1c-9d0a-3d6f3c1d2b4a";

/// Purges everything that was idle for more than a moment.
async fn purge(registry: &Registry, dry_run: bool) -> PurgeReport {
    // Some stores count seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    registry.purge_uploads(Duration::from_millis(1), dry_run).await.unwrap()
}

fn paths(report: &PurgeReport) -> Vec<String> {
    let mut paths: Vec<String> = report.uploads.iter().map(|upload| upload.path.to_string()).collect();
    paths.sort();
    paths
}

/// Sessions of this registry, of another instance and of distribution, and half a session are purged, with
/// their bytes.
///
/// Finished content, and anything that is not a session, stays.
pub async fn purge_removes_idle_uploads(lab: &Lab) {
    let (client, other) = (lab.client(), lab.another().await);
    client.push_image("a", "latest", &Image::new(1)).await;
    client.push_image("a/b", "latest", &Image::new(2)).await;
    let finished = lab.tree().await;
    let mut locations = Vec::new();
    for (client, name) in [(&client, "a"), (&other, "a/b"), (&client, "only-uploads")] {
        let location = client.begin(name).await;
        locations.push(client.append(&location, &content(3, 1000)).await);
    }
    let foreign = format!("{ROOT}/repositories/old/_uploads/{FOREIGN}");
    lab.write(&format!("{foreign}/data"), content(4, 500)).await;
    lab.write(&format!("{foreign}/startedat"), "2026-11-23T16:06:04Z").await;
    lab.write(&format!("{foreign}/hashstates/sha256/500"), content(5, 108)).await;
    // Distribution 2.8 leaves this if it is killed at the wrong moment. Without `startedat` no registry
    // takes it for an upload.
    let half = format!("{ROOT}/repositories/old/_uploads/6f0c0f5e-6a0b-4c1c-9d0a-3d6f3c1d2b4a");
    lab.write(&format!("{half}/data"), content(6, 10)).await;
    let note = format!("{ROOT}/repositories/old/_uploads/note");
    lab.write(&note, "not a session").await;
    let odd = format!("{ROOT}/repositories/old/_uploads/NOT-A-UUID/data");
    lab.write(&odd, "nor this").await;

    let young = lab.registry().purge_uploads(DAY, false).await.unwrap();
    assert_eq!((young.uploads.len(), young.staged.len(), young.kept), (0, 0, 5));
    assert!(young.next_due.is_some_and(|due| due <= DAY && due > DAY / 2), "{young:?}");
    let before = lab.tree().await;
    let dry = purge(lab.registry(), true).await;
    lab.tree().await.assert_is(&before);
    assert_eq!((dry.uploads.len(), dry.kept, dry.unknown.len()), (5, 0, 2), "{dry:?}");
    let purged = purge(lab.registry(), false).await;
    assert_eq!(paths(&purged), paths(&dry));
    assert!(paths(&purged).contains(&foreign) && paths(&purged).contains(&half));
    let bytes = 3 * (1000 + 20) + 500 + 20 + 108 + 10;
    assert_eq!((purged.bytes(), dry.bytes()), (bytes, bytes));
    for (client, location) in [(&client, 0), (&other, 1), (&client, 2), (&other, 0)] {
        client.get(&locations[location]).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        let more = client.patch(&locations[location]).body("x").send().await;
        more.refused(404, "BLOB_UPLOAD_UNKNOWN");
        client
            .finish(&locations[location], &digest(&content(3, 1000)), "")
            .await
            .refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    lab.remove(&note).await;
    lab.remove(&odd).await;
    lab.tree().await.assert_is(&finished);
    assert_eq!(purge(lab.registry(), false).await, PurgeReport::default());
}

/// A session with recent activity stays, however long ago it began.
pub async fn purge_judges_by_the_last_activity(lab: &Lab) {
    let client = lab.client();
    let (busy, idle) = (client.begin("a").await, client.begin("a").await);
    let idle = client.append(&idle, &content(1, 10)).await;
    let busy = client.append(&busy, &content(1, 10)).await;
    // Longer than a busy machine needs from the append to the purge.
    tokio::time::sleep(Duration::from_millis(6500)).await;
    let busy = client.append(&busy, &content(2, 10)).await;
    let report = lab.registry().purge_uploads(Duration::from_secs(5), false).await.unwrap();
    assert_eq!((report.uploads.len(), report.kept), (1, 1), "{report:?}");
    assert!(report.uploads[0].idle >= Duration::from_secs(5), "{report:?}");
    client.get(&idle).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    let all = [content(1, 10), content(2, 10)].concat();
    let _ = client.finish(&busy, &digest(&all), "").await.expect(201);
    client.assert_blob("a", &all.into()).await;
}

/// A session that a client continues after its age was checked, and before it is deleted, stays.
pub async fn purge_keeps_what_somebody_just_went_on_with(lab: &Lab) {
    let client = lab.client();
    let location = client.begin("a").await;
    let location = client.append(&location, &content(1, 10)).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let walks = Arc::new(AtomicUsize::new(0));
    let counted = walks.clone();
    let driver = Wrapped::new(lab.shared()).unread(move |operation, path| {
        let is_session = path.parent().is_some_and(|parent| parent.file_name() == Some("_uploads"));
        if operation == Operation::Walk && is_session {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        None
    });
    let registry = Registry::builder(driver).build();
    let mut purging = pin!(registry.purge_uploads(Duration::from_millis(1), false));
    // First its files are walked. Once its age is known, what no path leads to is.
    while walks.load(Ordering::Relaxed) < 2 {
        assert!(poll!(purging.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    let location = client.append(&location, &content(2, 10)).await;
    let report = purging.await.unwrap();
    assert_eq!((report.uploads.len(), report.kept), (0, 1), "{report:?}");
    let all = [content(1, 10), content(2, 10)].concat();
    let _ = client.finish(&location, &digest(&all), "").await.expect(201);
    client.assert_blob("a", &all.into()).await;
}

/// Bytes that a dead writer staged for a blob itself are purged. The blob stays, if it came from elsewhere.
pub async fn purge_removes_what_dead_writers_staged(lab: &Lab) {
    let client = lab.client();
    let (blob, missing) = (content(1, 3000), content(2, 3000));
    client.push("a", &blob).await;
    for bytes in [&blob, &missing] {
        let digest = digest(bytes);
        let hex = digest.strip_prefix("sha256:").unwrap();
        let path = format!("{ROOT}/blobs/sha256/{}/{hex}/data", &hex[..2]).parse().unwrap();
        let mut writer = lab.driver().writer(&path, WriteMode::Stage).await.unwrap();
        writer.write(bytes.slice(..1000)).await.unwrap();
        let _ = writer.close().await.unwrap();
    }
    let young = lab.registry().purge_uploads(DAY, false).await.unwrap();
    assert_eq!(young.staged.len(), 0);
    assert_eq!(purge(lab.registry(), true).await.staged.len(), 2);
    let purged = purge(lab.registry(), false).await;
    assert_eq!((purged.staged.len(), purged.bytes()), (2, 2000), "{purged:?}");
    assert_eq!(purge(lab.registry(), true).await.staged.len(), 0);
    client.assert_blob("a", &blob).await;
    client.get(format!("/v2/a/blobs/{}", digest(&missing))).send().await.refused(404, "BLOB_UNKNOWN");
    client.push("a", &missing).await;
    client.assert_blob("a", &missing).await;
}

/// A path may have several stages. Each counts, whether it is purged or too young, and a dry run says the same.
pub async fn purge_counts_each_stage(lab: &Lab) {
    let digest = digest(&content(1, 3000));
    let hex = digest.strip_prefix("sha256:").unwrap();
    let path: StoragePath = format!("{ROOT}/blobs/sha256/{}/{hex}/data", &hex[..2]).parse().unwrap();
    let stage = async |mode| {
        let mut writer = lab.driver().writer(&path, mode).await.unwrap();
        writer.write(content(1, 1000)).await.unwrap();
        writer
    };
    // Some stores keep what an open writer has staged, others only what was closed.
    let _open = [stage(WriteMode::direct()).await, stage(WriteMode::direct()).await];
    let _ = stage(WriteMode::Stage).await.close().await.unwrap();
    let root: StoragePath = ROOT.parse().unwrap();
    let staged: Vec<FileInfo> = lab.driver().list_staged(&root).try_collect().await.unwrap();
    let bytes: u64 = staged.iter().map(|stage| stage.size).sum();
    assert!(!staged.is_empty());

    for dry_run in [true, false] {
        let young = lab.registry().purge_uploads(DAY, dry_run).await.unwrap();
        assert_eq!((young.staged.len(), young.kept, young.kept_staged), (0, 0, staged.len()), "{young:?}");
        assert!(young.next_due.is_some_and(|due| due <= DAY && due > DAY / 2), "{young:?}");
    }
    for dry_run in [true, false] {
        let old = purge(lab.registry(), dry_run).await;
        assert_eq!((old.staged.len(), old.bytes(), old.kept_staged), (staged.len(), bytes, 0), "{old:?}");
        assert!(old.staged.iter().all(|stage| stage.path == path) && old.next_due.is_none(), "{old:?}");
    }
    assert_eq!(lab.driver().list_staged(&root).count().await, 0);
    assert_eq!(purge(lab.registry(), false).await, PurgeReport::default());
}

/// A read-only registry may look but not purge. In an empty store nothing is purged, and nothing is written.
pub async fn purge_of_a_read_only_registry(lab: &Lab) {
    let nothing = purge(lab.registry(), false).await;
    assert_eq!(nothing, PurgeReport::default());
    assert_eq!(lab.tree().await.paths().count(), 0);
    let client = lab.client();
    let location = client.begin("a").await;
    let location = client.append(&location, &content(1, 10)).await;
    let registry = Registry::builder(lab.shared()).read_only(true).build();
    assert_eq!(purge(&registry, true).await.uploads.len(), 1);
    let refused = registry.purge_uploads(Duration::ZERO, false).await;
    assert!(matches!(refused, Err(RegistryError::ReadOnly)), "{refused:?}");
    assert_eq!(client.get(&location).send().await.expect(204).header("range"), "0-9");
}

/// If a session is purged during a request, the request fails or is whole. The blob is never a wrong one.
pub async fn purge_during_an_upload(lab: &Lab) {
    let (client, blob) = (lab.client(), content(1, 300_000));
    for round in 0..20_u64 {
        let location = client.begin("a").await;
        let location = client.append(&location, &blob.slice(..100_000)).await;
        let append = client.patch(&location).body(blob.slice(100_000..)).send();
        let purge = async {
            tokio::time::sleep(Duration::from_micros(100 * round)).await;
            lab.registry().purge_uploads(Duration::ZERO, false).await.unwrap()
        };
        let (append, _) = tokio::join!(append, purge);
        let finished = client.finish(&location, &digest(&blob), "").await;
        assert!(finished.status() == 201 || finished.is_refusal(), "{append} {finished}");
        let found = client.get(format!("/v2/a/blobs/{}", digest(&blob))).send().await;
        if finished.status() == 201 {
            assert!(*found.expect(200).body() == blob);
            let _ = client.delete(format!("/v2/a/blobs/{}", digest(&blob))).send().await.expect(202);
        } else {
            found.refused(404, "BLOB_UNKNOWN");
        }
        lab.settle().await;
        // Bytes that an append wrote after the purge had passed are left for the next purge.
        let _ = lab.registry().purge_uploads(Duration::ZERO, false).await.unwrap();
    }
    lab.settle().await;
    let _ = purge(lab.registry(), false).await;
    assert!(!lab.tree().await.paths().any(|path| path.contains("/_uploads/")));
}
