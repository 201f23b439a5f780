//! Distribution's driver suite, name by name: directories, deletes, stat. Our drivers have no moves.

use http::Method;
use plugin_registry_core::{ErrorKind, StorageDriver, StorageDriverExt, StoragePath};

use super::{
    Context,
    context::{assert_missing, entries, kind, names, pause, put},
    sample,
};

/// `List`: 50 children of a nested directory.
pub async fn list(cx: &Context) {
    let parent = cx.path("root/parent");
    assert_eq!(kind(entries(cx.driver(), &parent, None).await), ErrorKind::NotFound);
    let children: Vec<String> = (0..50).map(|index| format!("child{index:02}")).collect();
    for child in &children {
        put(cx.driver(), &parent.join(child).unwrap(), sample::bytes(1, 32)).await;
    }
    assert_eq!(names(cx.driver(), &StoragePath::root(), None).await, ["suite"]);
    assert_eq!(names(cx.driver(), &cx.path("root"), None).await, ["parent"]);
    assert_eq!(names(cx.driver(), &parent, None).await, children);
}

/// `Delete`.
pub async fn delete(cx: &Context) {
    let file = cx.path("dir/file");
    put(cx.driver(), &file, sample::bytes(1, 32)).await;
    cx.driver().delete(&file).await.unwrap();
    assert_missing(cx.driver(), &file).await;
}

/// `DeleteNonexistent`.
pub async fn delete_nonexistent(cx: &Context) {
    assert_eq!(kind(cx.driver().delete(&cx.path("missing")).await), ErrorKind::NotFound);
}

/// `DeleteFolder`: single files first, then the rest with its directory.
pub async fn delete_folder(cx: &Context) {
    cx.put_all(&["dir/1", "dir/2", "dir/3"]).await;
    cx.driver().delete(&cx.path("dir/1")).await.unwrap();
    assert_missing(cx.driver(), &cx.path("dir/1")).await;
    assert_eq!(names(cx.driver(), &cx.path("dir"), None).await, ["2", "3"]);
    cx.driver().delete(&cx.path("dir")).await.unwrap();
    for rest in ["dir/2", "dir/3", "dir"] {
        assert_missing(cx.driver(), &cx.path(rest)).await;
    }
}

/// `DeleteOnlyDeletesSubpaths`: with names that begin with each other.
pub async fn delete_only_deletes_subpaths(cx: &Context) {
    cx.put_all(&["dir/file", "dir/file-suffix", "dir/sub/file", "dir/sub-suffix/file", "dir-suffix/file"])
        .await;
    cx.driver().delete(&cx.path("dir/file")).await.unwrap();
    cx.driver().delete(&cx.path("dir/sub")).await.unwrap();
    assert_eq!(names(cx.driver(), &cx.path("dir"), None).await, ["file-suffix", "sub-suffix"]);
    cx.driver().delete(&cx.path("dir")).await.unwrap();
    assert_eq!(names(cx.driver(), cx.base(), None).await, ["dir-suffix"]);
}

/// `RedirectURL`: a URL for GET or HEAD serves the file, or there is no URL.
pub async fn redirect_url(cx: &Context) {
    let (file, content) = (cx.path("dir/file"), sample::bytes(1, 32));
    put(cx.driver(), &file, content.clone()).await;
    for method in [Method::GET, Method::HEAD] {
        if let Some(url) = cx.driver().redirect_url(&file, &method).await.unwrap() {
            let (status, body) = cx.store().fetch(method.clone(), url).await;
            assert_eq!(status, 200, "redirect_url of {file}: {method}");
            assert!(
                method == Method::HEAD || body == content,
                "redirect_url of {file}: it serves other bytes"
            );
        }
    }
}

/// `StatCall`: a missing file, a file, a changed file. Its directory and the root exist but are not files.
pub async fn stat_call(cx: &Context) {
    let (dir, file) = (cx.path("dir"), cx.path("dir/file"));
    for missing in [&dir, &file] {
        assert_eq!(kind(cx.driver().stat(missing).await), ErrorKind::NotFound);
    }
    put(cx.driver(), &file, sample::bytes(1, 2048)).await;
    let first = cx.driver().stat(&file).await.unwrap();
    assert_eq!((&first.path, first.size), (&file, 2048));
    pause(1100).await;
    put(cx.driver(), &file, sample::bytes(2, 2049)).await;
    let second = cx.driver().stat(&file).await.unwrap();
    assert_eq!(second.size, 2049);
    assert!(second.modified >= first.modified, "stat of {file}: {second:?} after {first:?}");
    for directory in [dir, StoragePath::root()] {
        assert_eq!(kind(cx.driver().stat(&directory).await), ErrorKind::NotFound, "{directory}");
        assert!(cx.driver().exists(&directory).await.unwrap(), "{directory}");
    }
}
