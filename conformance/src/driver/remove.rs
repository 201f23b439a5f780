//! `delete`, `delete_many` and `redirect_url`.

use bytes::Bytes;
use futures::TryStreamExt;
use http::Method;
use plugin_registry_core::{ErrorKind, FileInfo, StorageDriver};

use super::{
    Context,
    context::{
        append, assert_file, assert_missing, assert_not_staged, assert_refused, assert_staged, commit, find,
        forget, kind, names, put, resume, stage, walked,
    },
    sample,
};

/// After a `delete` the path is missing, and so are directories above it that became empty.
pub async fn delete_removes_recursively(cx: &Context) {
    cx.put_all(&["a/b/c/d", "a/b/c/e", "a/b/f", "a/g", "h/i/j", "k"]).await;
    let delete = async |rest: &str| cx.driver().delete(&cx.path(rest)).await.unwrap();
    delete("a/b").await;
    for rest in ["a/b", "a/b/c", "a/b/c/d", "a/b/f"] {
        assert_missing(cx.driver(), &cx.path(rest)).await;
    }
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["a/g", "h/i/j", "k"]);
    delete("h/i/j").await;
    assert_missing(cx.driver(), &cx.path("h/i")).await;
    assert_missing(cx.driver(), &cx.path("h")).await;
    delete("k").await;
    delete("a/g").await;
    assert_missing(cx.driver(), cx.base()).await;

    let many: Vec<String> =
        (0..cx.sizes().many_files).map(|index| format!("many/{}/{index}", index % 7)).collect();
    cx.put_all(&many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    cx.put_all(&["other"]).await;
    delete("many").await;
    assert_missing(cx.driver(), &cx.path("many")).await;
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["other"]);
}

/// Deleting `/a` never touches `/ab`, `/a-b`, `/a.b`, whether they are files or directories.
pub async fn delete_keeps_siblings(cx: &Context) {
    let siblings = ["A", "a-", "a-b", "a.b/x", "a0", "a_", "ab/c", "b", "im", "imag", "image.1", "image2/x"];
    cx.put_all(&siblings).await;
    for rest in ["a", "a/x", "image", "image/x/y"] {
        put(cx.driver(), &cx.path(rest), "x").await;
        let top = cx.path(rest.split('/').next().unwrap());
        cx.driver().delete(&top).await.unwrap();
        assert_missing(cx.driver(), &top).await;
        assert_eq!(walked(cx.driver(), cx.base(), None).await, siblings);
    }
    cx.driver().delete(&cx.path("a.b")).await.unwrap();
    let left: Vec<&str> = siblings.into_iter().filter(|rest| *rest != "a.b/x").collect();
    assert_eq!(walked(cx.driver(), cx.base(), None).await, left);
}

/// Deleting a missing path fails with `NotFound`, also if it is part of an existing name or path.
pub async fn delete_missing_is_not_found(cx: &Context) {
    let files = ["ab/file", "cd", "cd-e/f"];
    cx.put_all(&files).await;
    for rest in ["missing", "a", "ab/fil", "ab/file/below", "cd/x", "c", "missing/deep", "cd-"] {
        assert_eq!(kind(cx.driver().delete(&cx.path(rest)).await), ErrorKind::NotFound, "{rest}");
    }
    cx.driver().delete(&cx.path("cd")).await.unwrap();
    assert_eq!(kind(cx.driver().delete(&cx.path("cd")).await), ErrorKind::NotFound, "the second time");
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["ab/file", "cd-e/f"]);
}

/// A delete also removes staged bytes below a directory and at a file, and those that are alone there.
pub async fn delete_removes_staged_bytes(cx: &Context) {
    cx.put_all(&["dir/file", "dir/sub/file", "dir-x/file"]).await;
    let rests = ["dir/staged", "dir/file", "dir/sub/staged", "dir/new/deep/staged"];
    let mut staged = Vec::new();
    for rest in rests.iter().chain(&["dir-x/staged"]) {
        staged.push(stage(cx.driver(), &cx.path(rest), sample::bytes(1, 100_000)).await);
    }
    let kept = staged.pop().unwrap();
    cx.reopen().await.delete(&cx.path("dir")).await.unwrap();
    for staged in staged {
        assert_not_staged(cx.driver(), &staged.path).await;
        assert_refused(&append(cx.driver(), &staged, "x").await.expect_err("it is gone"));
        assert_refused(&cx.driver().commit_staged(&staged, &staged.path).await.expect_err("it is gone"));
    }
    assert_staged(cx.driver(), &kept).await;
    resume(cx.driver(), &kept).await.cancel().await.unwrap();

    // Nothing visible is there: `NotFound` is right, and so is success.
    for (at, below) in [("alone/file", "alone/file"), ("alone/dir", "alone/dir/sub/file")] {
        let staged = stage(cx.driver(), &cx.path(below), "staged").await;
        match cx.driver().delete(&cx.path(at)).await {
            Err(error) if !error.is_not_found() => panic!("{error}, and only staged bytes are there"),
            _ => assert_not_staged(cx.driver(), &staged.path).await,
        }
        assert_missing(cx.driver(), &cx.path("alone")).await;
    }
}

/// A directory is left alone, and reported if the driver notices it. Everything else is deleted.
///
/// The call itself succeeds.
pub async fn delete_many_reports_each_failure(cx: &Context) {
    cx.put_all(&["a", "dir/file", "other/dir/file", "b", "ab", "x/y/z"]).await;
    let paths = ["a", "dir", "missing", "b", "other/dir", "x/y/z"].map(|rest| cx.path(rest)).to_vec();
    let report = cx.driver().delete_many(paths, &[]).await.unwrap();
    let mut failed: Vec<_> = report.failed.iter().map(|(path, _)| path.clone()).collect();
    failed.sort();
    // An object store cannot tell a directory from a missing file without asking for it.
    if failed.is_empty() {
        assert_eq!(report.deleted, 6, "nothing was at the two directories' keys");
    } else {
        assert_eq!(report.deleted, 4, "a, b, x/y/z and the missing one");
        assert_eq!(failed, [cx.path("dir"), cx.path("other/dir")]);
    }
    for (path, error) in &report.failed {
        assert_eq!(error.path(), Some(path.as_str()), "each failure names its path");
        assert_eq!(error.driver(), Some(cx.driver().name()));
    }
    assert_eq!(report.into_result().is_err(), !failed.is_empty(), "a report with failures is no success");
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["ab", "dir/file", "other/dir/file"]);
    assert_missing(cx.driver(), &cx.path("x")).await;

    let many: Vec<String> =
        (0..cx.sizes().many_files).map(|index| format!("many/{}/{index}", index % 7)).collect();
    cx.put_all(&many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let paths = many.iter().map(|rest| cx.path(rest)).collect();
    let report = cx.driver().delete_many(paths, &[]).await.unwrap();
    assert_eq!(report.deleted, many.len());
    report.into_result().unwrap();
    assert_missing(cx.driver(), &cx.path("many")).await;
}

/// A missing file or stage counts as deleted.
///
/// So a call with only missing ones succeeds, as does a call with none. Directories that became empty are
/// missing too.
pub async fn delete_many_ignores_missing_files(cx: &Context) {
    cx.put_all(&["ab", "dir/file"]).await;
    let report = cx.driver().delete_many(Vec::new(), &[]).await.unwrap();
    assert_eq!((report.deleted, report.failed.len()), (0, 0));
    let paths = ["a", "missing/deep", "dir/fil", "abc", "ab/below"].map(|rest| cx.path(rest)).to_vec();
    let report = cx.driver().delete_many(paths, &[]).await.unwrap();
    assert_eq!((report.deleted, report.failed.len()), (5, 0));
    let twice = cx.driver().delete_many(vec![cx.path("ab"), cx.path("ab")], &[]).await.unwrap();
    assert_eq!((twice.deleted, twice.failed.len()), (2, 0), "once there, once missing");
    assert_eq!(names(cx.driver(), cx.base(), None).await, ["dir"]);

    let gone = stage(cx.driver(), &cx.path("up/a/data"), "x").await;
    for files in [vec![], vec![cx.path("up/a/startedat"), gone.path.clone()]] {
        for _ in 0..2 {
            let stages = std::slice::from_ref(&gone);
            let report = cx.driver().delete_many(files.clone(), stages).await.unwrap();
            assert_eq!(report.failed.len(), 0);
            assert!(report.deleted >= files.len(), "delete_many of {files:?}: {} deleted", report.deleted);
            assert_missing(cx.driver(), &cx.path("up")).await;
        }
    }
    cx.put_all(&["x/y/z", "x/a"]).await;
    let files = vec![cx.path("x/y/z"), cx.path("x/y/missing")];
    cx.driver().delete_many(files, &[gone]).await.unwrap().into_result().unwrap();
    assert_missing(cx.driver(), &cx.path("x/y")).await;
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["dir/file", "x/a"]);
}

/// `delete_many` deletes files with and without their stages, and stages alone.
///
/// Other files and the stages of other paths stay. Leftovers of a commit are deleted as well.
pub async fn delete_many_deletes_stages(cx: &Context) {
    let part = cx.part();
    let other = cx.reopen().await;
    let (started, data) = (cx.path("up/a/startedat"), cx.path("up/a/data"));
    let kept = stage(&*other, &cx.path("up/a-b/data"), "kept").await;
    for (is_file, size) in [(true, 3), (false, 3), (true, part), (false, 0)] {
        for driver in [cx.driver(), &*other] {
            for found in [false, true] {
                cx.put_all(&["up/a/startedat", "up/a-b/startedat", "up/ab"]).await;
                let mut files = vec![started.clone()];
                if is_file {
                    put(driver, &data, "x").await;
                    files.push(data.clone());
                }
                let mut staged = stage(cx.driver(), &data, sample::bytes(1, size)).await;
                if found {
                    staged = driver.find_staged(&data).await.unwrap();
                }
                driver.delete_many(files, &[staged]).await.unwrap().into_result().unwrap();
                assert_missing(cx.driver(), &cx.path("up/a")).await;
                assert_not_staged(cx.driver(), &data).await;
                let left: Vec<FileInfo> =
                    cx.driver().list_staged(&cx.path("up/a")).try_collect().await.unwrap();
                assert!(left.is_empty(), "{left:?}");
                assert_staged(cx.driver(), &kept).await;
                assert_eq!(walked(cx.driver(), cx.base(), None).await, ["up/a-b/startedat", "up/ab"]);
            }
        }
    }
    // Of several stages, only those given are deleted.
    let mut stages = Vec::new();
    for index in 0..5 {
        stages.push(stage(cx.driver(), &cx.path(&format!("many/{index}/data")), "x").await);
    }
    let middle = stages.remove(2);
    other.delete_many(Vec::new(), &stages).await.unwrap().into_result().unwrap();
    for staged in &stages {
        assert_not_staged(cx.driver(), &staged.path).await;
    }
    assert_staged(cx.driver(), &middle).await;

    // The file alone, then the stage alone.
    let content = sample::bytes(2, 3);
    put(cx.driver(), &middle.path, content.clone()).await;
    forget(&*other, &middle).await;
    assert_file(cx.driver(), &middle.path, &content).await;
    let old = stage(cx.driver(), &middle.path, "abc").await;
    let new = append(&*other, &old, "d").await.unwrap();
    commit(&*other, &new, &cx.path("target")).await;
    forget(&*other, &new).await;
    assert_not_staged(cx.driver(), &new.path).await;
    // Deleting a file may also delete its stage: all of it or nothing.
    let last = stage(&*other, &new.path, "last").await;
    let file = vec![new.path.clone()];
    cx.driver().delete_many(file, &[]).await.unwrap().into_result().unwrap();
    assert_missing(cx.driver(), &new.path).await;
    if find(&*other, &last.path).await.is_some() {
        assert_staged(&*other, &last).await;
        forget(&*other, &last).await;
    }
    assert_not_staged(cx.driver(), &new.path).await;
    assert_missing(cx.driver(), &cx.path("many")).await;
    assert_file(cx.driver(), &cx.path("target"), &"abcd".into()).await;
    forget(cx.driver(), &kept).await;
}

/// A URL serves the file to a client. A driver that gives a URL for one file gives one for every file.
pub async fn redirect_url_serves_the_file_or_is_none(cx: &Context) {
    let mut given = None;
    for size in [0, 5, 300_000] {
        let file = cx.path(&format!("file{size}"));
        let content: Bytes = sample::bytes(1, size);
        put(cx.driver(), &file, content.clone()).await;
        for method in [Method::GET, Method::HEAD] {
            let url = cx.driver().redirect_url(&file, &method).await.unwrap();
            assert_eq!(url.is_some(), *given.get_or_insert(url.is_some()), "always, or never");
            let Some(url) = url else { continue };
            let (status, body) = cx.store().fetch(method.clone(), url).await;
            assert_eq!(status, 200, "{method}");
            assert!(method == Method::HEAD || body == content, "the URL serves other bytes");
        }
    }
}
