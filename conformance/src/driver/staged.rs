//! `list_staged` and `delete_staged`: what unfinished writers left.

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use plugin_registry_core::{ErrorKind, FileInfo, StorageDriver, StoragePath, WriteOptions};

use super::{
    Context,
    context::{assert_file, create, kind, pause, put, resume, stage, walked, write, write_file},
    sample,
};

/// The stages below a path, in order of their paths.
async fn staged(driver: &dyn StorageDriver, path: &StoragePath) -> Vec<FileInfo> {
    let mut found: Vec<FileInfo> = driver.list_staged(path).try_collect().await.unwrap();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    for info in &found {
        assert!(info.is_file());
        assert!(info.modified.is_some(), "{}: age cannot be judged", info.path);
    }
    found
}

async fn paths(driver: &dyn StorageDriver, path: &StoragePath) -> Vec<String> {
    staged(driver, path).await.into_iter().map(|info| info.path.to_string()).collect()
}

/// Later than every change so far, in the store's clock.
fn later(found: &[FileInfo]) -> SystemTime {
    found.iter().filter_map(|info| info.modified).max().unwrap() + Duration::from_secs(1)
}

async fn is_staged(driver: &dyn StorageDriver, path: &StoragePath) -> bool {
    match driver.writer(path, WriteOptions::resume()).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            false
        }
    }
}

/// By another instance too, with sizes, at the path itself and below it and nowhere else; once a stage is
/// used up it is gone, and visible files never come.
pub async fn list_staged_finds_what_was_closed(cx: &Context) {
    cx.put_all(&["dir/visible", "visible", "a-b/visible"]).await;
    for (index, rest) in
        ["dir/deep/er/file", "dir/file", "dir/visible", "a/file", "a-b/file", "empty"].into_iter().enumerate()
    {
        let size = if rest == "empty" { 0 } else { 10 + index };
        stage(cx.driver(), &cx.path(rest), sample::bytes(1, size)).await;
    }
    let other = cx.reopen().await;
    for driver in [cx.driver(), &*other] {
        let found = staged(driver, cx.base()).await;
        let found: Vec<(&str, u64)> =
            found.iter().map(|info| (info.path.strip_prefix(cx.base()).unwrap(), info.size)).collect();
        let expected = [
            ("a-b/file", 14),
            ("a/file", 13),
            ("dir/deep/er/file", 10),
            ("dir/file", 11),
            ("dir/visible", 12),
        ];
        // An empty stage may be no more than a visible empty file could be; it is found where it is kept.
        assert_eq!(found.iter().filter(|(path, _)| *path != "empty").copied().collect::<Vec<_>>(), expected);
        assert_eq!(paths(driver, &cx.path("a")).await, [cx.path("a/file").to_string()]);
        assert_eq!(paths(driver, &cx.path("dir/file")).await, [cx.path("dir/file").to_string()]);
        assert_eq!(paths(driver, &cx.path("dir/deep")).await, [cx.path("dir/deep/er/file").to_string()]);
    }
    let before = later(&staged(cx.driver(), &cx.path("a/file")).await);
    let mut writer = resume(&*other, &cx.path("a/file")).await;
    write(&mut writer, "more").await;
    writer.close().await.unwrap();
    let again = staged(cx.driver(), &cx.path("a/file")).await;
    assert_eq!(again.iter().map(|info| info.size).max(), Some(17));
    assert!(again.iter().all(|info| info.modified.unwrap() < before + Duration::from_secs(60)));
    resume(cx.driver(), &cx.path("a/file")).await.commit().await.unwrap();
    resume(cx.driver(), &cx.path("a-b/file")).await.cancel().await.unwrap();
    cx.driver().delete(&cx.path("dir")).await.unwrap();
    let left = paths(cx.driver(), cx.base()).await;
    assert!(left.iter().all(|path| path.ends_with("/empty")), "{left:?}");
    cx.driver()
        .delete_staged(&cx.path("empty"), SystemTime::now() + Duration::from_secs(3600))
        .await
        .unwrap();
}

/// An empty store, a missing directory, one with visible files only.
pub async fn list_staged_of_nothing_is_empty(cx: &Context) {
    assert!(staged(cx.driver(), &StoragePath::root()).await.is_empty());
    assert!(staged(cx.driver(), &cx.path("missing/deep")).await.is_empty());
    cx.put_all(&["dir/a", "dir/b/c"]).await;
    write_file(cx.driver(), &cx.path("dir/d"), sample::bytes(1, 100_000)).await;
    for rest in ["dir", "dir/a", "dir/a/below", "dir/b", "dir/d", "other"] {
        assert!(staged(cx.driver(), &cx.path(rest)).await.is_empty(), "{rest}");
    }
    let none = cx.driver().delete_staged(&cx.path("dir/a"), SystemTime::now()).await.unwrap();
    assert_eq!(none, 0);
    assert_eq!(cx.driver().delete_staged(&cx.path("missing/x"), SystemTime::now()).await.unwrap(), 0);
}

/// Files, directories and stages have paths, so none of them is foreign.
pub async fn list_foreign_finds_no_path(cx: &Context) {
    cx.put_all(&["dir/a", "dir/b/c", "dir/.x", "dir/x.5.y"]).await;
    stage(cx.driver(), &cx.path("dir/file"), sample::bytes(1, 1000)).await;
    for path in [StoragePath::root(), cx.path("dir"), cx.path("dir/a"), cx.path("missing/deep")] {
        let found: Vec<String> = cx.driver().list_foreign(&path).try_collect().await.unwrap();
        assert_eq!(found, Vec::<String>::new(), "{path}");
    }
}

/// What changed at the moment or after it stays and can be resumed; what is older goes for good.
pub async fn delete_staged_keeps_younger_stages(cx: &Context) {
    let file = cx.path("dir/file");
    stage(cx.driver(), &file, sample::bytes(1, 1000)).await;
    let first = staged(cx.driver(), &file).await.pop().unwrap().modified.unwrap();
    let other = cx.reopen().await;
    for before in [first - Duration::from_secs(3600), first] {
        assert_eq!(other.delete_staged(&file, before).await.unwrap(), 0);
        assert_eq!(staged(&*other, &file).await.len(), 1);
    }
    // More bytes make it younger.
    pause(1100).await;
    let mut writer = resume(cx.driver(), &file).await;
    write(&mut writer, "more").await;
    writer.close().await.unwrap();
    let second = staged(cx.driver(), &file).await.pop().unwrap().modified.unwrap();
    assert!(second > first, "the age is that of the last change");
    assert_eq!(other.delete_staged(&file, first + Duration::from_millis(1)).await.unwrap(), 0);
    assert_eq!(resume(cx.driver(), &file).await.size(), 1004);
    // The lock of that writer may take a moment to go.
    pause(50).await;
    assert_eq!(other.delete_staged(&file, second + Duration::from_millis(1)).await.unwrap(), 1);
    assert!(staged(cx.driver(), cx.base()).await.is_empty());
    assert!(!is_staged(cx.driver(), &file).await);
    assert_eq!(
        other.delete_staged(&file, later(&[FileInfo::file(file.clone(), 0, Some(second))])).await.unwrap(),
        0
    );
}

/// The file at the path, the stages of its neighbours and those below it stay.
pub async fn delete_staged_keeps_the_visible_file(cx: &Context) {
    let content = sample::bytes(1, 5000);
    let file = cx.path("dir/file");
    put(cx.driver(), &file, content.clone()).await;
    for rest in ["dir/file", "dir/file-", "dir/file.x", "dir/fil", "dir2/file", "dir/sub/file"] {
        stage(cx.driver(), &cx.path(rest), "staged").await;
    }
    let before = later(&staged(cx.driver(), cx.base()).await);
    assert_eq!(cx.driver().delete_staged(&cx.path("dir"), before).await.unwrap(), 0, "not what is below");
    assert_eq!(cx.driver().delete_staged(&file, before).await.unwrap(), 1);
    assert_file(cx.driver(), &file, &content).await;
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["dir/file"]);
    for rest in ["dir/file-", "dir/file.x", "dir/fil", "dir2/file", "dir/sub/file"] {
        assert_eq!(resume(cx.driver(), &cx.path(rest)).await.size(), 6, "{rest}");
        pause(10).await;
        assert_eq!(cx.driver().delete_staged(&cx.path(rest), before).await.unwrap(), 1, "{rest}");
    }
    assert_eq!(kind(cx.driver().writer(&file, WriteOptions::resume()).await), ErrorKind::AlreadyExists);
    // A writer that is under way is not ended, or says so: never half of it.
    let mut writer = create(cx.driver(), &cx.path("open")).await;
    write(&mut writer, sample::bytes(2, 3 << 20)).await;
    cx.driver().delete_staged(&cx.path("open"), before).await.unwrap();
    write(&mut writer, "end").await;
    if writer.commit().await.is_ok() {
        assert_eq!(cx.driver().stat(&cx.path("open")).await.unwrap().size, (3 << 20) + 3);
    }
}
