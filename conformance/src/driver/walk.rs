//! `walk` and `find_directories`.

use futures::TryStreamExt;
use plugin_registry_core::{ErrorKind, FileInfo, StorageDriver, StoragePath};

use super::{
    Context,
    context::{assert_names, kind, marked, path, put, stage, walk, walked},
};

/// In byte order of the whole path: `-` and `.` come before `/`.
const FILES: [&str; 12] =
    ["0", "B/x", "_m/f", "a-/f", "a-b", "a-b-/g", "a.b/x", "a/-", "a/b-/x", "a/b/c/d", "a0", "z"];

/// `walk` yields every file below the path with size and time, and no directories, neighbours or stages.
pub async fn walk_yields_all_files_in_order(cx: &Context) {
    cx.put_all(&["dir-", "dir.x/y", "dir0"]).await;
    let dir = cx.path("dir");
    for rest in FILES {
        put(cx.driver(), &dir.join(rest).unwrap(), rest).await;
    }
    stage(cx.driver(), &cx.path("dir/a/staged"), "x").await;
    let found = walk(cx.driver(), &dir, None).await.unwrap();
    assert_eq!(walked(cx.driver(), &dir, None).await, FILES);
    for (info, rest) in found.iter().zip(FILES) {
        assert_eq!(info.size, rest.len() as u64);
        assert_eq!(*info, cx.driver().stat(&info.path).await.unwrap(), "a walk says what `stat` says");
    }
    assert_eq!(walked(cx.driver(), &dir.join("a").unwrap(), None).await, ["-", "b-/x", "b/c/d"]);
    let root = walk(cx.driver(), &StoragePath::root(), None).await.unwrap();
    assert_eq!(root.len(), FILES.len() + 3);
    assert!(root.is_sorted_by_key(|info| info.path.clone()), "walk of the root: not in byte order: {root:?}");

    let mut many: Vec<String> =
        (0..cx.sizes().many_files).map(|index| format!("{:03}/{}-{index}/f", index / 7, index % 3)).collect();
    cx.put_all(
        &many
            .iter()
            .map(|rest| format!("many/{rest}"))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    )
    .await;
    many.sort();
    let dir = cx.path("many");
    assert_names("walk", &dir, &walked(cx.driver(), &dir, None).await, &many);
}

/// `walk` yields only paths greater than `after`.
///
/// `after` may be a file, a directory or missing, inside or outside of the directory.
pub async fn walk_starts_after(cx: &Context) {
    let dir = cx.path("dir");
    for rest in FILES {
        put(cx.driver(), &dir.join(rest).unwrap(), rest).await;
    }
    let all: Vec<StoragePath> = FILES.iter().map(|rest| dir.join(rest).unwrap()).collect();
    let inside = FILES.iter().chain(&["a", "a/b", "B", "a-b-/a", "a/b-/zz", "a/b/c", "zz", "-", "a.", "a.b"]);
    let mut afters: Vec<StoragePath> = inside.map(|rest| dir.join(rest).unwrap()).collect();
    afters.extend([
        dir.clone(),
        path("/a"),
        path("/zzz"),
        cx.path("dir0"),
        cx.path("dir-"),
        StoragePath::root(),
    ]);
    for after in afters {
        let expected: Vec<&StoragePath> = all.iter().filter(|file| **file > after).collect();
        let found: Vec<FileInfo> = walk(cx.driver(), &dir, Some(&after)).await.unwrap();
        assert_eq!(found.iter().map(|info| &info.path).collect::<Vec<_>>(), expected, "after {after}");
    }
}

/// `walk` fails with `NotFound` for a missing directory or a file. With `after`, an empty stream is
/// allowed. The root of an empty store is empty.
pub async fn walk_missing_is_not_found(cx: &Context) {
    let root = walk(cx.driver(), &StoragePath::root(), None).await.unwrap();
    assert!(root.is_empty(), "walk of the root: the store is empty, and it has {root:?}");
    cx.put_all(&["ab/file", "file"]).await;
    for rest in ["missing", "a", "file", "ab/file", "ab/fil", "file/below"] {
        assert_eq!(kind(walk(cx.driver(), &cx.path(rest), None).await), ErrorKind::NotFound, "{rest}");
        match walk(cx.driver(), &cx.path(rest), Some(cx.base())).await {
            Ok(found) => assert!(found.is_empty(), "walk of {rest}: it is missing, and has {found:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
        }
    }
}

/// Files that vanish during a walk are skipped. Those that stay are found.
pub async fn walk_tolerates_concurrent_deletes(cx: &Context) {
    for round in 0..5 {
        let dir = cx.path(&format!("round{round}"));
        let rests: Vec<String> =
            (0..120).map(|index| format!("round{round}/d{:02}/f{index:03}", index / 4)).collect();
        cx.put_all(&rests.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let mut stream = cx.driver().walk(&dir, None);
        let mut found = vec![stream.try_next().await.unwrap().unwrap().path];
        let mut kept = vec![cx.path(&rests[0])];
        let mut pending: Vec<&String> = rests[1..].iter().collect();
        while !pending.is_empty() {
            // Behind the position, at it and before it: whole directories and single files.
            let index = pending.len() * (round + 1) / 7;
            let file = cx.path(pending.remove(index));
            match index % 3 {
                0 => kept.push(file),
                1 => cx.driver().delete(&file).await.unwrap(),
                _ => {
                    let directory = file.parent().unwrap();
                    if !kept.iter().any(|kept| kept.parent().as_ref() == Some(&directory)) {
                        pending.retain(|rest| cx.path(rest).parent().as_ref() != Some(&directory));
                        cx.driver().delete(&directory).await.unwrap();
                    }
                }
            }
            if pending.len().is_multiple_of(4)
                && let Some(info) = stream.try_next().await.unwrap()
            {
                found.push(info.path);
            }
        }
        found.extend(stream.map_ok(|info| info.path).try_collect::<Vec<_>>().await.unwrap());
        assert!(found.is_sorted(), "in order, nothing twice");
        for kept in kept {
            assert!(found.contains(&kept), "{kept} was there all the time");
        }
    }
}

/// Directories with a child whose name begins with `_`, some of them nested, in the order of components.
const REPOSITORIES: [&str; 8] = ["a", "a/b", "a/b/c", "a-b", "a.b/x", "a0/y/z", "b/c", "z"];

async fn repositories(cx: &Context) {
    cx.put_all(&[
        "r/_top/f",
        "r/a/_layers/sha256/1/link",
        "r/a/_manifests/tags/t/_hidden/_x/link",
        "r/a/b/_manifests/f",
        "r/a/b/c/_uploads/1/_deeper/f",
        "r/a-b/_layers/f",
        "r/a.b/x/_m",
        "r/a0/y/z/_layers/f",
        "r/a0/file",
        "r/b/c/_layers/f",
        "r/b/c/plain/f",
        "r/c/plain/file",
        "r/c/x_y/f",
        "r/z/_layers/f",
        "r0/a/_layers/f",
        "r-/a/_layers/f",
    ])
    .await;
}

/// `find_directories` yields each directory with a marked child once, including nested ones.
///
/// It yields neither the path itself nor anything below a marked child.
pub async fn find_directories_finds_directories(cx: &Context) {
    repositories(cx).await;
    let mut found = marked(cx.driver(), &cx.path("r"), "_", None).await;
    found.sort();
    let mut expected = REPOSITORIES.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(marked(cx.driver(), &cx.path("r"), "_manifests", None).await, ["a", "a/b"]);
    assert_eq!(marked(cx.driver(), &cx.path("r"), "_lay", None).await, ["a", "a-b", "a0/y/z", "b/c", "z"]);
    assert_eq!(marked(cx.driver(), &cx.path("r/a"), "_", None).await, ["b", "b/c"]);
    assert!(marked(cx.driver(), &cx.path("r"), "nothing", None).await.is_empty());
    let all = marked(cx.driver(), &StoragePath::root(), "_layers", None).await;
    assert_eq!(all.len(), 7);
}

/// `find_directories` goes by components: a directory comes before what is below it, and that before its siblings.
pub async fn find_directories_is_depth_first(cx: &Context) {
    repositories(cx).await;
    assert_eq!(marked(cx.driver(), &cx.path("r"), "_", None).await, REPOSITORIES);
}

/// `find_directories` yields only directories later in that order than `after`, which need not exist.
pub async fn find_directories_starts_after(cx: &Context) {
    repositories(cx).await;
    let dir = cx.path("r");
    let inside = REPOSITORIES.iter().chain(&[
        "0",
        "a/a",
        "a/b/c/d",
        "a/zz",
        "a-",
        "a-b/x",
        "a.",
        "a.b",
        "a0",
        "a0/y",
        "aa",
        "b",
        "b/c/plain",
        "zz",
        "a/_layers",
        "_top/f",
    ]);
    let mut afters: Vec<StoragePath> = inside.map(|rest| dir.join(rest).unwrap()).collect();
    afters.extend([dir.clone(), cx.path("q"), cx.path("r-/zzz"), cx.path("r0"), StoragePath::root()]);
    for after in afters {
        let later = |rest: &&str| dir.join(rest).unwrap().components().gt(after.components());
        let expected: Vec<&str> = REPOSITORIES.iter().copied().filter(later).collect();
        assert_eq!(marked(cx.driver(), &dir, "_", Some(&after)).await, expected, "after {after}");
    }
}

/// Nothing is found in missing directories, files, and directories without a mark.
pub async fn find_directories_missing_is_empty(cx: &Context) {
    assert!(marked(cx.driver(), &StoragePath::root(), "_", None).await.is_empty());
    cx.put_all(&["ab/_m/f", "file", "plain/a/b"]).await;
    for rest in ["missing", "a", "file", "plain", "ab", "file/below"] {
        assert!(marked(cx.driver(), &cx.path(rest), "_", None).await.is_empty(), "{rest}");
        assert!(marked(cx.driver(), &cx.path(rest), "_", Some(cx.base())).await.is_empty(), "{rest}");
    }
}
