//! `rename`, `delete`, `delete_many` and `redirect_url`.

use bytes::Bytes;
use http::Method;
use plugin_registry_core::{ErrorKind, StorageDriver, WriteOptions};

use super::{
    Context,
    context::{assert_file, assert_missing, kind, names, put, resume, stage, walked, write_file},
    sample,
};

/// The target has the source's bytes, the source is gone; into other directories, over shorter and longer files.
pub async fn rename_moves_and_overwrites(cx: &Context) {
    for (index, (from, to)) in
        [("a", "b"), ("x/y/a", "z/b"), ("d/a", "d/b"), ("e/a", "e/a-b/c/d"), ("f/a-b", "f/a")]
            .into_iter()
            .enumerate()
    {
        for old in [None, Some(0), Some(10), Some(400_000)] {
            let (from, to) = (cx.path(from), cx.path(to));
            let content = sample::bytes(index as u64, [0, 100_000, 3, 6 << 20, 65_536][index]);
            if let Some(old) = old {
                put(cx.driver(), &to, sample::bytes(99, old)).await;
            }
            write_file(cx.driver(), &from, content.clone()).await;
            cx.driver().rename(&from, &to).await.unwrap();
            assert_file(cx.driver(), &to, &content).await;
            assert_missing(cx.driver(), &from).await;
            cx.driver().delete(&to).await.unwrap();
        }
    }
    cx.put_all(&["old/only", "kept/a", "kept/b"]).await;
    cx.driver().rename(&cx.path("old/only"), &cx.path("new/only")).await.unwrap();
    assert_missing(cx.driver(), &cx.path("old")).await;
    cx.driver().rename(&cx.path("kept/a"), &cx.path("new/a")).await.unwrap();
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["kept/b", "new/a", "new/only"]);
}

/// And the target is untouched. A directory is no source, nor is a stage.
pub async fn rename_missing_source_is_not_found(cx: &Context) {
    cx.put_all(&["dir/file", "ab", "file"]).await;
    let target = cx.path("target");
    stage(cx.driver(), &cx.path("staged"), "x").await;
    for exists in [false, true] {
        for from in ["missing", "dir", "a", "dir/fil", "dir/file2", "missing/deep", "file/below", "staged"] {
            let result = cx.driver().rename(&cx.path(from), &target).await;
            assert_eq!(kind(result), ErrorKind::NotFound, "{from}");
            if exists {
                assert_file(cx.driver(), &target, &"old".into()).await;
            } else {
                assert_missing(cx.driver(), &target).await;
                assert_eq!(
                    kind(cx.driver().rename(&cx.path(from), &cx.path("new/dir/x")).await),
                    ErrorKind::NotFound
                );
                assert_missing(cx.driver(), &cx.path("new")).await;
            }
        }
        put(cx.driver(), &target, "old").await;
    }
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["ab", "dir/file", "file", "target"]);
}

/// Afterwards the path is missing, as are directories that became empty above it.
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

/// `/a` never touches `/ab`, `/a-b`, `/a.b`, as files and as directories.
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

/// Missing paths, and parts of names and of paths that exist.
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

/// Staged bytes below a deleted directory, and at a deleted file, are gone too.
pub async fn delete_removes_staged_bytes(cx: &Context) {
    cx.put_all(&["dir/file", "dir/sub/file", "dir-x/file"]).await;
    let staged = ["dir/staged", "dir/file", "dir/sub/staged", "dir/new/deep/staged"];
    for rest in staged.iter().chain(&["dir-x/staged"]) {
        stage(cx.driver(), &cx.path(rest), sample::bytes(1, 100_000)).await;
    }
    cx.reopen().await.delete(&cx.path("dir")).await.unwrap();
    for rest in staged {
        let resumed = cx.driver().writer(&cx.path(rest), WriteOptions::resume()).await;
        assert_eq!(kind(resumed), ErrorKind::NotFound, "{rest}");
    }
    let kept = resume(cx.driver(), &cx.path("dir-x/staged")).await;
    assert_eq!(kept.size(), 100_000, "a sibling's stage stays");
    kept.cancel().await.unwrap();
}

/// A directory is left alone and reported, everything else is gone; the call itself succeeds.
pub async fn delete_many_reports_each_failure(cx: &Context) {
    cx.put_all(&["a", "dir/file", "other/dir/file", "b", "ab", "x/y/z"]).await;
    let paths = ["a", "dir", "missing", "b", "other/dir", "x/y/z"].map(|rest| cx.path(rest)).to_vec();
    let report = cx.driver().delete_many(paths).await.unwrap();
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
    let report = cx.driver().delete_many(paths).await.unwrap();
    assert_eq!(report.deleted, many.len());
    report.into_result().unwrap();
    assert_missing(cx.driver(), &cx.path("many")).await;
}

/// A missing file counts as deleted; so nothing but missing ones is a success, as is nothing at all.
pub async fn delete_many_ignores_missing_files(cx: &Context) {
    cx.put_all(&["ab", "dir/file"]).await;
    let report = cx.driver().delete_many(Vec::new()).await.unwrap();
    assert_eq!((report.deleted, report.failed.len()), (0, 0));
    let paths = ["a", "missing/deep", "dir/fil", "abc", "ab/below"].map(|rest| cx.path(rest)).to_vec();
    let report = cx.driver().delete_many(paths).await.unwrap();
    assert_eq!((report.deleted, report.failed.len()), (5, 0));
    let twice = cx.driver().delete_many(vec![cx.path("ab"), cx.path("ab")]).await.unwrap();
    assert_eq!((twice.deleted, twice.failed.len()), (2, 0), "once there, once missing");
    assert_eq!(names(cx.driver(), cx.base(), None).await, ["dir"]);
}

/// A URL is fetched as a client would; a driver that promises URLs gives one.
pub async fn redirect_url_serves_the_file_or_is_none(cx: &Context) {
    for size in [0, 5, 300_000] {
        let file = cx.path(&format!("file{size}"));
        let content: Bytes = sample::bytes(1, size);
        put(cx.driver(), &file, content.clone()).await;
        for method in [Method::GET, Method::HEAD] {
            let url = cx.driver().redirect_url(&file, &method).await.unwrap();
            assert_eq!(url.is_some(), cx.driver().capabilities().redirect, "as the capabilities say");
            let Some(url) = url else { continue };
            let (status, body) = cx.store().fetch(method.clone(), url).await;
            assert_eq!(status, 200, "{method}");
            assert!(method == Method::HEAD || body == content, "the URL serves other bytes");
        }
    }
}
