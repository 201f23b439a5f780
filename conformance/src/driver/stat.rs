//! `stat`.

use plugin_registry_core::{ErrorKind, StorageDriver, StorageDriverExt, StoragePath};

use super::{
    Context,
    context::{assert_missing, kind, pause, put, stage, write_file},
};

/// `stat` returns the size and the time of the last change, for files written either way.
pub async fn stat_file(cx: &Context) {
    let file = cx.path("dir/file");
    let mut last = None;
    for (content, by_writer) in [("1234", false), ("1", true), ("", true), ("12", false)] {
        if by_writer {
            write_file(cx.driver(), &file, content).await;
        } else {
            put(cx.driver(), &file, content).await;
        }
        let info = cx.driver().stat(&file).await.unwrap();
        assert_eq!((&info.path, info.size), (&file, content.len() as u64));
        assert_eq!(cx.driver().stat(&file).await.unwrap(), info, "nothing changed, so nothing changes");
        if last.is_some() {
            assert!(info.modified > last, "the time of the last change moves on");
        }
        last = info.modified;
        // Some stores count seconds.
        pause(1100).await;
    }
}

/// A directory is not a file, however deep its files are.
///
/// Nor is the root, of an empty store or any other, nor a stage.
pub async fn stat_directory_is_not_found(cx: &Context) {
    let root = StoragePath::root();
    assert_eq!(kind(cx.driver().stat(&root).await), ErrorKind::NotFound);
    cx.put_all(&["a/b/c/file", "a/b-x/file", "a-b", "ab"]).await;
    stage(cx.driver(), &cx.path("a/staged"), "x").await;
    for rest in ["a", "a/b", "a/b/c", "a/b-x"] {
        assert_eq!(kind(cx.driver().stat(&cx.path(rest)).await), ErrorKind::NotFound, "{rest}");
        assert!(cx.driver().exists(&cx.path(rest)).await.unwrap(), "{rest}");
    }
    for rest in ["a/b/c/fil", "a/b/c/file/below", "missing", "a/staged"] {
        assert_eq!(kind(cx.driver().stat(&cx.path(rest)).await), ErrorKind::NotFound, "{rest}");
        assert!(!cx.driver().exists(&cx.path(rest)).await.unwrap(), "{rest}");
    }
    assert_eq!(kind(cx.driver().stat(&root).await), ErrorKind::NotFound);
    assert!(cx.driver().exists(&root).await.unwrap());
    cx.driver().delete(&cx.path("a/b/c/file")).await.unwrap();
    assert!(!cx.driver().exists(&cx.path("a/b")).await.unwrap(), "a directory without a file is missing");
    assert!(cx.driver().exists(&cx.path("a")).await.unwrap());
}

/// A missing file is not found, also if another name begins with its name, or if a file is above it.
pub async fn stat_missing_is_not_found(cx: &Context) {
    assert_missing(cx.driver(), &cx.path("missing")).await;
    cx.put_all(&["ab", "cd/file", "e-f", "g.h", "i/file", "im0"]).await;
    for rest in ["a", "c", "e", "g", "i/fil", "i/file2", "i/file/below", "im", "ab-", "ab."] {
        assert_eq!(kind(cx.driver().stat(&cx.path(rest)).await), ErrorKind::NotFound, "{rest}");
        assert_missing(cx.driver(), &cx.path(rest)).await;
    }
    cx.driver().delete(&cx.path("cd/file")).await.unwrap();
    assert_missing(cx.driver(), &cx.path("cd")).await;
}
