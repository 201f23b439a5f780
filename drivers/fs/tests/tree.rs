//! Directories: listed in order, made and removed by many at once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod common;

use common::{Store, kind, path};
use futures::{StreamExt, TryStreamExt, future::join_all};
use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, StorageDriverExt, WriteMode};

const FILES: [&str; 7] = ["/a/x", "/a-b/y", "/a.b", "/a0", "/a-/z", "/a-b-c", "/B"];

async fn filled(files: &[&str]) -> Store {
    let store = Store::new().await;
    for file in files {
        store.driver.put(&path(file), "x").await.unwrap();
    }
    store
}

#[tokio::test]
async fn listings_differ_in_order() {
    let store = filled(&FILES).await;
    assert_eq!(store.names("/").await, ["B", "a", "a-", "a-b", "a-b-c", "a.b", "a0"]);
    let walked = ["/B", "/a-/z", "/a-b-c", "/a-b/y", "/a.b", "/a/x", "/a0"];
    for from in 0..walked.len() {
        assert_eq!(store.walked("/", Some(walked[from])).await, walked[from + 1..]);
    }
    assert_eq!(store.walked("/", None).await, walked);
    assert_eq!(store.walked("/", Some("/a")).await, walked[1..]);
    assert_eq!(store.walked("/", Some("/a-b")).await, walked[2..]);
    assert_eq!(store.walked("/a", Some("/a-z")).await, ["/a/x"]);
    assert!(store.walked("/a", Some("/b")).await.is_empty());
    let root = path("/");
    let after = store.driver.list(&root, Some("a-a")).map_ok(|entry| entry.name);
    assert_eq!(after.try_collect::<Vec<_>>().await.unwrap(), ["a-b", "a-b-c", "a.b", "a0"]);
}

#[tokio::test]
async fn missing_directories() {
    let store = filled(&["/a/x"]).await;
    for at in ["/b", "/a/x", "/a/x/y"] {
        let at = path(at);
        assert_eq!(kind(store.driver.list_names(&at).await), ErrorKind::NotFound);
        assert_eq!(kind(store.driver.walk(&at, None).try_next().await), ErrorKind::NotFound);
        assert!(store.driver.list(&at, Some("a")).next().await.is_none());
        assert!(store.driver.walk(&at, Some(&at)).next().await.is_none());
        assert!(store.driver.find_directories(&at, "_", None).next().await.is_none());
    }
    store.driver.delete(&path("/a/x")).await.unwrap();
    assert!(store.names("/").await.is_empty());
    assert!(store.walked("/", None).await.is_empty());
}

#[tokio::test]
async fn marked_directories_come_depth_first() {
    let store = filled(&[
        "/r/_own/x",
        "/r/a/_m/_hidden/_x/f",
        "/r/a/b/_l/f",
        "/r/a-b/_m/f",
        "/r/c/plain",
        "/r/c/d/e/_m",
        "/r2/_m/f",
    ])
    .await;
    let marked = async |after: Option<&str>| {
        let (root, after) = (path("/r"), after.map(path));
        let found = store.driver.find_directories(&root, "_", after.as_ref()).map_ok(|path| path.to_string());
        found.try_collect::<Vec<_>>().await.unwrap()
    };
    let all = ["/r/a", "/r/a/b", "/r/a-b", "/r/c/d/e"];
    assert_eq!(marked(None).await, all);
    for (index, after) in all.iter().enumerate() {
        assert_eq!(marked(Some(after)).await, all[index + 1..], "after {after}");
    }
    assert_eq!(marked(Some("/r/a/_m/_hidden")).await, all[1..]);
    assert_eq!(marked(Some("/r")).await, all);
    assert_eq!(marked(Some("/a")).await, all);
    assert!(marked(Some("/r2")).await.is_empty());
}

#[tokio::test]
async fn long_walks_come_whole_and_in_order() {
    let store = Store::new().await;
    let mut expected = Vec::new();
    for at in 0..700 {
        let name = format!("/d{}/e{}/f{at:04}", at % 7, at % 50);
        std::fs::create_dir_all(store.file(&name[1..]).parent().unwrap()).unwrap();
        std::fs::write(store.file(&name[1..]), "12").unwrap();
        expected.push(name);
    }
    expected.sort();
    assert_eq!(store.walked("/", None).await, expected);
    assert_eq!(store.walked("/", Some(&expected[333])).await, expected[334..]);
    let root = path("/");
    let mut walk = store.driver.walk(&root, None);
    assert_eq!(walk.next().await.unwrap().unwrap().size, 2);
    store.driver.delete(&path("/d3")).await.unwrap();
    let rest: Vec<_> = walk.try_collect().await.unwrap();
    assert!(rest.len() >= 599 && rest.len() < 700, "{}", rest.len());
}

#[tokio::test]
async fn what_others_left_does_no_harm() {
    let store = filled(&["/r/a/x"]).await;
    for directory in ["r/empty/deep", "r/a/lost+found"] {
        std::fs::create_dir_all(store.file(directory)).unwrap();
    }
    std::fs::write(store.file("r/a/lost+found/f"), "x").unwrap();
    assert_eq!(store.names("/r").await, ["a", "empty"]);
    assert_eq!(store.names("/r/a").await, ["x"]);
    assert_eq!(store.walked("/", None).await, ["/r/a/x"]);
    assert!(store.names("/r/empty/deep").await.is_empty());
    store.driver.put(&path("/r/empty/deep/f"), "x").await.unwrap();
    assert_eq!(store.walked("/r", None).await, ["/r/a/x", "/r/empty/deep/f"]);
    store.driver.delete(&path("/r/empty/deep/f")).await.unwrap();
    assert_eq!(store.names("/r").await, ["a"]);
    store.driver.delete(&path("/r")).await.unwrap();
    assert!(store.on_disk("").is_empty());
}

#[tokio::test]
async fn long_listings_come_whole_and_in_order() {
    let store = Store::new().await;
    let expected: Vec<_> = (0..1000).map(|at| format!("n{at:04}")).collect();
    for (at, name) in expected.iter().enumerate() {
        if at % 3 == 0 {
            std::fs::create_dir(store.file(name)).unwrap();
            std::fs::write(store.file(name).join("f"), "").unwrap();
        } else {
            std::fs::write(store.file(name), "").unwrap();
        }
    }
    assert_eq!(store.names("/").await, expected);
    let root = path("/");
    let page = store.driver.list(&root, Some("n0499")).map_ok(|entry| entry.name).take(3);
    assert_eq!(page.try_collect::<Vec<_>>().await.unwrap(), expected[500..503]);
}

#[tokio::test]
async fn delete_many_reports_directories() {
    let store = filled(&FILES).await;
    let paths = ["/a", "/a/x", "/a0", "/none", "/a0/none", "/B"].map(path).to_vec();
    let report = store.driver.delete_many(paths, &[]).await.unwrap();
    assert_eq!((report.deleted, report.failed.len()), (5, 1));
    assert_eq!(report.failed[0].0.as_str(), "/a");
    assert_eq!(store.on_disk(""), ["a-", "a-b", "a-b-c", "a.b"]);
}

/// Each deletion empties directories that the others are about to write into.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn creating_and_pruning_at_once() {
    let store = Store::new().await;
    let tasks = (0..8).map(|task| {
        let driver = store.driver.inner().clone();
        tokio::task::spawn_blocking(move || {
            tokio::runtime::Handle::current().block_on(async {
                for round in 0..150 {
                    let file = path(&format!("/a/b{}/c/f{task}", round % 2));
                    match round % 3 {
                        0 => driver.put_content(&file, "x".into(), PutMode::CreateOnly).await.unwrap(),
                        1 => {
                            let mut writer = driver.writer(&file, WriteMode::direct()).await.unwrap();
                            writer.write("x".into()).await.unwrap();
                            writer.commit(&file).await.unwrap();
                        }
                        _ => {
                            let up = path(&format!("/u/{task}/data"));
                            let mut writer = driver.writer(&up, WriteMode::Stage).await.unwrap();
                            writer.write("x".into()).await.unwrap();
                            let staged = writer.close().await.unwrap();
                            driver.commit_staged(&staged, &file).await.unwrap();
                        }
                    }
                    assert_eq!(driver.get_content(&file, 9).await.unwrap(), "x");
                    driver.delete(&file).await.unwrap();
                }
            });
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    assert!(store.on_disk("").is_empty(), "{:?}", store.on_disk(""));
}
