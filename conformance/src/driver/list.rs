//! `list`.

use futures::{StreamExt, TryStreamExt};
use plugin_registry_core::{Entry, EntryKind, ErrorKind, StorageDriver, StoragePath};

use super::{
    Context,
    context::{assert_names, entries, kind, names, put, stage},
};

/// Files and directories whose names begin with each other's. `CHILDREN` is in byte order of the name alone.
const FILES: [&str; 14] = [
    "B", "a/x", "a/y/z", "a-/x", "a--", "a-b", "a-b-c/x", "a-b.c", "a.", "a.b/x", "a0", "aa/x", "_x/y", "0/1",
];
const CHILDREN: [(&str, bool); 13] = [
    ("0", false),
    ("B", true),
    ("_x", false),
    ("a", false),
    ("a-", false),
    ("a--", true),
    ("a-b", true),
    ("a-b-c", false),
    ("a-b.c", true),
    ("a.", true),
    ("a.b", false),
    ("a0", true),
    ("aa", false),
];

fn children() -> Vec<Entry> {
    let kind = |is_file| if is_file { EntryKind::File } else { EntryKind::Directory };
    CHILDREN.iter().map(|(name, is_file)| Entry::new(*name, kind(*is_file))).collect()
}

/// `list` yields each child once, in byte order of the names, and nothing below, beside or staged.
pub async fn list_yields_direct_children_in_order(cx: &Context) {
    cx.put_all(&["dir0", "dir-x/y", "dir.x"]).await;
    for rest in FILES {
        put(cx.driver(), &cx.path("dir").join(rest).unwrap(), rest).await;
    }
    stage(cx.driver(), &cx.path("dir/staged"), "x").await;
    stage(cx.driver(), &cx.path("dir/a/staged"), "x").await;
    assert_eq!(entries(cx.driver(), &cx.path("dir"), None).await.unwrap(), children());
    assert_eq!(names(cx.driver(), &cx.path("dir/a"), None).await, ["x", "y"]);
    assert_eq!(names(cx.driver(), cx.base(), None).await, ["dir", "dir-x", "dir.x", "dir0"]);

    // More than a page, files and directories mixed.
    let mut expected = Vec::new();
    let mut files = Vec::new();
    for index in 0..cx.sizes().many_files {
        let (name, rest) = (format!("{index:05}"), if index % 5 == 0 { "/sub/file" } else { "" });
        files.push(format!("many/{name}{rest}"));
        expected.push(name);
    }
    cx.put_all(&files.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let many = cx.path("many");
    assert_names("list", &many, &names(cx.driver(), &many, None).await, &expected);
    let some = cx.driver().list(&many, None).take(3).map_ok(|entry| entry.name);
    assert_eq!(some.try_collect::<Vec<_>>().await.unwrap(), expected[..3], "a listing may be left");
    let middle = expected.len() / 2;
    let later = names(cx.driver(), &many, Some(&expected[middle])).await;
    assert_names("list", &many, &later, &expected[middle + 1..]);
}

/// `list` yields only names greater than `after`, which need not exist. A page can be continued from any child.
pub async fn list_starts_after(cx: &Context) {
    cx.put_all(&FILES).await;
    let all = children();
    for (index, (name, _)) in CHILDREN.iter().enumerate() {
        let found = entries(cx.driver(), cx.base(), Some(name)).await.unwrap();
        assert_eq!(found, all[index + 1..], "after {name}");
    }
    for after in ["", "-", "0a", "A", "C", "_", "a!", "a-a", "a-b-", "a-b0", "a.a", "a1", "ab", "b", "zzz"] {
        let found = entries(cx.driver(), cx.base(), Some(after)).await.unwrap();
        let expected: Vec<Entry> = all.iter().filter(|entry| *entry.name > *after).cloned().collect();
        assert_eq!(found, expected, "after {after:?}");
    }
}

/// `list` fails with `NotFound` for a missing directory, and for one whose files are gone. With `after`,
/// an empty stream is allowed.
pub async fn list_missing_is_not_found(cx: &Context) {
    cx.put_all(&["ab/file", "cd", "gone/sub/file"]).await;
    cx.driver().delete(&cx.path("gone/sub/file")).await.unwrap();
    for rest in ["missing", "a", "ab/fil", "c", "gone", "gone/sub", "missing/deep"] {
        assert_eq!(kind(entries(cx.driver(), &cx.path(rest), None).await), ErrorKind::NotFound, "{rest}");
        match entries(cx.driver(), &cx.path(rest), Some("x")).await {
            Ok(found) => assert!(found.is_empty(), "list of {rest}: it is missing, and has {found:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
        }
    }
    assert!(names(cx.driver(), &cx.path("ab"), Some("zzz")).await.is_empty());
}

/// An empty store has an empty root. After everything is deleted, the root is empty again.
pub async fn list_root_always_succeeds(cx: &Context) {
    let root = StoragePath::root();
    assert_names("list", &root, &names(cx.driver(), &root, None).await, &[]);
    assert_names("list", &root, &names(cx.driver(), &root, Some("x")).await, &[]);
    put(cx.driver(), &root.join("x").unwrap(), "x").await;
    put(cx.driver(), &root.join("y/z").unwrap(), "x").await;
    assert_eq!(names(cx.driver(), &root, None).await, ["x", "y"]);
    cx.driver().delete(&root.join("x").unwrap()).await.unwrap();
    cx.driver().delete(&root.join("y/z").unwrap()).await.unwrap();
    assert_names("list", &root, &names(cx.driver(), &root, None).await, &[]);
}

/// A file has no children.
pub async fn list_of_a_file_is_not_found(cx: &Context) {
    cx.put_all(&["file", "dir/file", "file2/x"]).await;
    for rest in ["file", "dir/file", "file2/x", "file/below"] {
        assert_eq!(kind(entries(cx.driver(), &cx.path(rest), None).await), ErrorKind::NotFound, "{rest}");
    }
}
