//! `find_staged`, `list_staged` and `delete_staged`: what unfinished writers left.

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use plugin_registry_core::{FileInfo, StorageDriver, StoragePath};

use super::{
    Context,
    context::{
        append, assert_file, assert_not_staged, assert_staged, close, commit, direct, first, forget, go_on,
        pause, put, resume, stage, walked, write, write_file,
    },
    sample,
};

/// The stages below a path, in order of their paths.
async fn staged(driver: &dyn StorageDriver, path: &StoragePath) -> Vec<FileInfo> {
    let mut found: Vec<FileInfo> = driver.list_staged(path).try_collect().await.unwrap();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    for info in &found {
        assert!(
            info.modified.is_some(),
            "list_staged: {} has no `modified`, so nothing knows its age",
            info.path
        );
    }
    found
}

async fn paths(driver: &dyn StorageDriver, path: &StoragePath) -> Vec<String> {
    staged(driver, path).await.into_iter().map(|info| info.path.to_string()).collect()
}

/// A time later than every change so far, in the store's clock.
fn later(found: &[FileInfo]) -> SystemTime {
    found.iter().filter_map(|info| info.modified).max().unwrap() + Duration::from_secs(1)
}

/// Every instance finds the stage, whatever its size, and whatever other writers are open, were dropped,
/// or committed.
pub async fn find_staged_finds_what_was_closed(cx: &Context) {
    let part = cx.part();
    let other = cx.reopen().await;
    for (index, size) in [0, 1, 10, 100_000, part, 3 * part - 1].into_iter().enumerate() {
        let file = cx.path(&format!("dir{index}/file"));
        if index % 2 == 1 {
            put(cx.driver(), &file, "visible").await;
        }
        let mut staged = stage(cx.driver(), &file, sample::bytes(1, size)).await;
        for more in [0, 1, 100_000, part] {
            let late = cx.reopen().await;
            for driver in [cx.driver(), &*other, &*late] {
                assert_staged(driver, &staged).await;
            }
            // The result does not depend on open writers.
            let mut open = [direct(cx.driver(), &file).await, first(&*other, &file).await];
            for writer in &mut open {
                write(writer, sample::bytes(2, more)).await;
            }
            let mut writer = resume(&*late, &staged).await;
            write(&mut writer, sample::bytes(3, more)).await;
            for driver in [cx.driver(), &*other, &*late] {
                assert_staged(driver, &staged).await;
            }
            drop(open);
            drop(writer);
            assert_staged(cx.driver(), &staged).await;
            let mut writer = resume(&*other, &staged).await;
            write(&mut writer, sample::bytes(4, more)).await;
            staged = close(writer, &file).await;
        }
        assert_eq!(staged.size, (size + 1 + 100_000 + part) as u64);
        write_file(&*other, &file, "another one's").await;
        assert_staged(cx.driver(), &staged).await;
        commit(&*other, &staged, &file).await;
        assert_eq!(cx.driver().stat(&file).await.unwrap().size, staged.size);
        forget(cx.driver(), &staged).await;
    }
    // Names that begin with each other: each has its own stage.
    let mut all = Vec::new();
    for (index, rest) in ["a/file", "a/file-", "a/file.x", "a/fil", "a/file0", "a/b/file", "a-/file", "file"]
        .into_iter()
        .enumerate()
    {
        all.push(stage(cx.driver(), &cx.path(rest), sample::bytes(1, index)).await);
    }
    while let Some(staged) = all.pop() {
        forget(&*other, &staged).await;
        assert_not_staged(cx.driver(), &staged.path).await;
        for staged in &all {
            assert_staged(cx.driver(), staged).await;
        }
    }
}

/// `find_staged` fails with `NotFound` where nothing is staged.
///
/// That includes paths with a visible file, paths whose writers are open or were dropped before any
/// close, and every way in which a stage goes away.
pub async fn find_staged_of_nothing_is_not_found(cx: &Context) {
    let part = cx.part();
    let other = cx.reopen().await;
    cx.put_all(&["dir/file", "dir/sub/file", "whole"]).await;
    put(cx.driver(), &cx.path("empty"), "").await;
    let near = [
        stage(cx.driver(), &cx.path("staged2"), "x").await,
        stage(&*other, &cx.path("up/staged"), "x").await,
    ];
    for rest in [
        "missing",
        "dir/file",
        "whole",
        "empty",
        "dir",
        "dir/sub",
        "dir/missing",
        "missing/deep/file",
        "staged",
        "staged2-",
        "staged2/below",
        "up",
        "up/stage",
        "whole/below",
    ] {
        assert_not_staged(cx.driver(), &cx.path(rest)).await;
        assert_not_staged(&*other, &cx.path(rest)).await;
    }
    for size in [0, 10, part] {
        for in_one_go in [true, false] {
            let file = cx.path("dropped/file");
            let mut writer =
                if in_one_go { direct(cx.driver(), &file).await } else { first(cx.driver(), &file).await };
            write(&mut writer, sample::bytes(1, size)).await;
            assert_not_staged(&*other, &file).await;
            drop(writer);
            assert_not_staged(cx.driver(), &file).await;
            write_file(cx.driver(), &file, "").await;
            assert_not_staged(&*other, &file).await;
            cx.driver().delete(&file).await.unwrap();
            assert_not_staged(cx.driver(), &file).await;
        }
    }
    let file = cx.path("gone/file");
    for way in 0..5 {
        let staged = stage(cx.driver(), &file, "abc").await;
        match way {
            0 => go_on(&*other, &file).await.commit(&file).await.unwrap(),
            1 => go_on(&*other, &file).await.cancel().await.unwrap(),
            2 => forget(&*other, &staged).await,
            3 => {
                let later = SystemTime::now() + Duration::from_secs(3600);
                assert_eq!(other.delete_staged(&file, later).await.unwrap(), 1);
            }
            _ => {
                put(cx.driver(), &file, "visible").await;
                other.delete(&file).await.unwrap();
            }
        }
        assert_not_staged(cx.driver(), &file).await;
        assert_not_staged(&*other, &file).await;
        cx.driver().delete_many(vec![file.clone()], &[]).await.unwrap();
    }
    // Both are only staged, so nothing that a listing shows would delete them.
    for staged in &near {
        assert_staged(cx.driver(), staged).await;
        forget(cx.driver(), staged).await;
    }
}

/// Every instance lists the stages with their sizes, at the path itself and below it and nowhere else.
///
/// A stage that is used up is gone. Visible files are never listed.
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
            ("empty", 0),
        ];
        assert_eq!(found, expected);
        assert_eq!(paths(driver, &cx.path("a")).await, [cx.path("a/file").to_string()]);
        assert_eq!(paths(driver, &cx.path("dir/file")).await, [cx.path("dir/file").to_string()]);
        assert_eq!(paths(driver, &cx.path("dir/deep")).await, [cx.path("dir/deep/er/file").to_string()]);
    }
    let before = later(&staged(cx.driver(), &cx.path("a/file")).await);
    let found = other.find_staged(&cx.path("a/file")).await.unwrap();
    append(&*other, &found, "more").await.unwrap();
    let again = staged(cx.driver(), &cx.path("a/file")).await;
    assert_eq!(again.iter().map(|info| info.size).max(), Some(17));
    let is_soon = |info: &FileInfo| info.modified.unwrap() < before + Duration::from_secs(60);
    assert!(again.iter().all(is_soon), "list_staged: a time of the future: {again:?}, before {before:?}");
    go_on(cx.driver(), &cx.path("a/file")).await.commit(&cx.path("a/file")).await.unwrap();
    go_on(cx.driver(), &cx.path("a-b/file")).await.cancel().await.unwrap();
    cx.driver().delete(&cx.path("dir")).await.unwrap();
    assert_eq!(paths(cx.driver(), cx.base()).await, [cx.path("empty").to_string()]);
    let later = SystemTime::now() + Duration::from_secs(3600);
    assert_eq!(cx.driver().delete_staged(&cx.path("empty"), later).await.unwrap(), 1);
    assert_eq!(paths(cx.driver(), cx.base()).await, Vec::<String>::new());
}

/// Nothing is listed for an empty store, a missing directory, or one with visible files only.
pub async fn list_staged_of_nothing_is_empty(cx: &Context) {
    assert_eq!(
        paths(cx.driver(), &StoragePath::root()).await,
        Vec::<String>::new(),
        "list_staged of the root"
    );
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

/// A stage that changed at that moment or later stays and can be resumed. An older one is deleted.
pub async fn delete_staged_keeps_younger_stages(cx: &Context) {
    let file = cx.path("dir/file");
    let closed = stage(cx.driver(), &file, sample::bytes(1, 1000)).await;
    let first = staged(cx.driver(), &file).await.pop().unwrap().modified.unwrap();
    let other = cx.reopen().await;
    for before in [first - Duration::from_secs(3600), first] {
        assert_eq!(other.delete_staged(&file, before).await.unwrap(), 0);
        assert_eq!(staged(&*other, &file).await.len(), 1);
        assert_staged(&*other, &closed).await;
    }
    // More bytes make the stage younger.
    pause(1100).await;
    let closed = append(cx.driver(), &closed, "more").await.unwrap();
    let second = staged(cx.driver(), &file).await.pop().unwrap().modified.unwrap();
    assert!(second > first, "the age is that of the last change");
    assert_eq!(other.delete_staged(&file, first + Duration::from_millis(1)).await.unwrap(), 0);
    assert_staged(cx.driver(), &closed).await;
    drop(resume(cx.driver(), &closed).await);
    // The lock of that writer may take a moment to go.
    pause(50).await;
    assert_eq!(other.delete_staged(&file, second + Duration::from_millis(1)).await.unwrap(), 1);
    assert_eq!(paths(cx.driver(), cx.base()).await, Vec::<String>::new(), "list_staged: it was deleted");
    assert_not_staged(cx.driver(), &file).await;
    assert_eq!(
        other.delete_staged(&file, later(&[FileInfo::new(file.clone(), 0, Some(second))])).await.unwrap(),
        0
    );
}

/// The file at the path, the stages of its neighbours and those below it stay.
pub async fn delete_staged_keeps_the_visible_file(cx: &Context) {
    let content = sample::bytes(1, 5000);
    let file = cx.path("dir/file");
    put(cx.driver(), &file, content.clone()).await;
    let mut closed = Vec::new();
    for rest in ["dir/file", "dir/file-", "dir/file.x", "dir/fil", "dir2/file", "dir/sub/file"] {
        closed.push(stage(cx.driver(), &cx.path(rest), "staged").await);
    }
    let before = later(&staged(cx.driver(), cx.base()).await);
    assert_eq!(cx.driver().delete_staged(&cx.path("dir"), before).await.unwrap(), 0, "not what is below");
    assert_eq!(cx.driver().delete_staged(&file, before).await.unwrap(), 1);
    assert_file(cx.driver(), &file, &content).await;
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["dir/file"]);
    for closed in &closed[1..] {
        assert_staged(cx.driver(), closed).await;
        assert_eq!(cx.driver().delete_staged(&closed.path, before).await.unwrap(), 1, "{closed:?}");
        assert_not_staged(cx.driver(), &closed.path).await;
    }
    assert_not_staged(cx.driver(), &file).await;
    // A writer at work is not ended, or it fails. It never commits half of its bytes.
    let mut writer = direct(cx.driver(), &cx.path("open")).await;
    write(&mut writer, sample::bytes(2, 3 << 20)).await;
    cx.driver().delete_staged(&cx.path("open"), before).await.unwrap();
    write(&mut writer, "end").await;
    if writer.commit(&cx.path("open")).await.is_ok() {
        assert_eq!(cx.driver().stat(&cx.path("open")).await.unwrap().size, (3 << 20) + 3);
    }
}
