//! `stat`.

use plugin_registry_core::{EntryKind, ErrorKind, StorageDriver, StoragePath};

use super::{
    Context,
    context::{assert_missing, kind, pause, put, stage, write_file},
};

/// Size and time of the last change, of files written either way.
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
        assert_eq!((&info.path, info.kind, info.size), (&file, EntryKind::File, content.len() as u64));
        assert_eq!(cx.driver().stat(&file).await.unwrap(), info, "nothing changed, so nothing changes");
        if last.is_some() {
            assert!(info.modified > last, "the time of the last change moves on");
        }
        last = info.modified;
        // Some stores count seconds.
        pause(1100).await;
    }
}

/// A path with files below it, however deep, is a directory of size 0.
pub async fn stat_directory(cx: &Context) {
    cx.put_all(&["a/b/c/file", "a/b-x/file"]).await;
    for rest in ["a", "a/b", "a/b/c", "a/b-x"] {
        let path = cx.path(rest);
        let info = cx.driver().stat(&path).await.unwrap();
        assert_eq!((info.path, info.kind, info.size), (path, EntryKind::Directory, 0));
        assert!(!cx.driver().stat(&cx.path(rest)).await.unwrap().is_file());
    }
}

/// Missing, also where another name begins with it, or a file is above it.
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

/// The root is a directory, also of an empty store.
pub async fn stat_root_always_succeeds(cx: &Context) {
    for _ in 0..2 {
        let info = cx.driver().stat(&StoragePath::root()).await.unwrap();
        assert_eq!((info.path, info.kind, info.size), (StoragePath::root(), EntryKind::Directory, 0));
        put(cx.driver(), &cx.path("file"), "x").await;
    }
}

/// As `stat`, in one request where that is possible.
pub async fn stat_file_alone(cx: &Context) {
    let file = cx.path("dir/file");
    for content in ["1234", ""] {
        put(cx.driver(), &file, content).await;
        let info = cx.driver().stat_file(&file).await.unwrap();
        assert_eq!((info.kind, info.size), (EntryKind::File, content.len() as u64));
        assert_eq!(info, cx.driver().stat(&file).await.unwrap());
    }
}

/// A directory is no file, nor is what is missing, nor the root.
pub async fn stat_file_of_a_directory_is_not_found(cx: &Context) {
    cx.put_all(&["a/b/file", "a-b", "ab"]).await;
    stage(cx.driver(), &cx.path("a/staged"), "x").await;
    for rest in ["a", "a/b", "a/b/fil", "a/b/file/below", "missing", "a/staged"] {
        assert_eq!(kind(cx.driver().stat_file(&cx.path(rest)).await), ErrorKind::NotFound, "{rest}");
    }
    assert_eq!(kind(cx.driver().stat_file(&StoragePath::root()).await), ErrorKind::NotFound);
}
