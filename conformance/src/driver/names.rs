//! Names that begin with each other, which prefix listings confuse, and error texts.

use bytes::Bytes;
use futures::TryStreamExt;
use http::Method;
use plugin_registry_core::{
    ByteRange, Error, ErrorKind, Operation, PutMode, StorageDriver, StorageDriverExt, StoragePath, WriteMode,
};

use super::{
    Context,
    context::{
        LIMIT, assert_file, assert_missing, assert_staged, commit, direct, first, forget, kind, names, path,
        put, resume, stage, walked,
    },
};

/// Every call keeps `a`, `a-b`, `a.b`, `a0` and `a/b` apart.
pub async fn names_with_a_common_prefix_are_apart(cx: &Context) {
    let files = ["a-b", "a.b", "a/b", "a0"];
    cx.put_all(&files).await;
    for rest in files {
        assert_file(cx.driver(), &cx.path(rest), &Bytes::from(rest)).await;
    }
    assert_eq!(names(cx.driver(), cx.base(), None).await, ["a", "a-b", "a.b", "a0"]);
    assert_eq!(walked(cx.driver(), cx.base(), None).await, files);
    assert_eq!(names(cx.driver(), &cx.path("a"), None).await, ["b"]);
    assert_eq!(walked(cx.driver(), &cx.path("a"), None).await, ["a/b".strip_prefix("a/").unwrap()]);
    assert_eq!(kind(cx.driver().stat(&cx.path("a")).await), ErrorKind::NotFound);
    cx.driver().delete(&cx.path("a-b")).await.unwrap();
    let staged = stage(cx.driver(), &cx.path("a-b"), "a-").await;
    commit(cx.driver(), &staged, &cx.path("a-")).await;
    forget(cx.driver(), &staged).await;
    assert_eq!(names(cx.driver(), cx.base(), None).await, ["a", "a-", "a.b", "a0"]);
    cx.driver().delete(&cx.path("a")).await.unwrap();
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["a-", "a.b", "a0"]);
    put(cx.driver(), &cx.path("a"), "a file now").await;
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["a", "a-", "a.b", "a0"]);
}

/// The tags `im`, `image`, `index`, `index2`, `current` are kept apart, with the layout's file names
/// below them.
pub async fn names_of_the_layout_are_apart(cx: &Context) {
    let tags = ["current", "im", "image", "index", "index2"];
    for tag in tags {
        put(cx.driver(), &cx.path(&format!("tags/{tag}/current/link")), tag).await;
        put(cx.driver(), &cx.path(&format!("tags/{tag}/index/sha256/0/link")), tag).await;
    }
    assert_eq!(names(cx.driver(), &cx.path("tags"), None).await, tags);
    for (index, tag) in tags.iter().enumerate() {
        assert_eq!(names(cx.driver(), &cx.path("tags"), Some(tag)).await, tags[index + 1..]);
        let below = cx.path(&format!("tags/{tag}"));
        assert_eq!(names(cx.driver(), &below, None).await, ["current", "index"]);
        assert_eq!(walked(cx.driver(), &below, None).await, ["current/link", "index/sha256/0/link"]);
    }
    for gone in ["im", "index", "current"] {
        cx.driver().delete(&cx.path(&format!("tags/{gone}"))).await.unwrap();
        assert_missing(cx.driver(), &cx.path(&format!("tags/{gone}"))).await;
    }
    assert_eq!(names(cx.driver(), &cx.path("tags"), None).await, ["image", "index2"]);
    assert_file(cx.driver(), &cx.path("tags/image/current/link"), &"image".into()).await;
}

/// A driver takes the longest path and name that the layout may need: a tag of 128 characters.
pub async fn names_may_be_long(cx: &Context) {
    let tag = "t".repeat(128);
    let mut rest = format!("tags/{tag}/current/link");
    put(cx.driver(), &cx.path(&rest), "x").await;
    while rest.len() < 600 {
        rest = format!("{}/{rest}", "n".repeat(100));
    }
    put(cx.driver(), &cx.path(&rest), "y").await;
    assert_file(cx.driver(), &cx.path(&rest), &"y".into()).await;
    let staged = stage(cx.driver(), &cx.path(&format!("up/{tag}")), "z").await;
    resume(cx.driver(), &staged).await.commit(&staged.path).await.unwrap();
    assert_eq!(names(cx.driver(), &cx.path("up"), None).await, [tag]);
    assert_eq!(walked(cx.driver(), cx.base(), None).await.len(), 3);
}

/// Directories may have names like those that drivers give to staged bytes.
///
/// Such names are tags that users choose. For a directory only what is below it matters.
pub async fn names_like_those_of_staged_bytes_are_names_of_directories(cx: &Context) {
    let (driver, long) = (cx.driver(), "t".repeat(128));
    let tmp = "x.6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5b.tmp";
    let all = ["A", "_x", long.as_str(), "x", "x.5.part", tmp, "x.staged", "x.staged.staged"];
    let mut tags = all.to_vec();
    tags.sort_unstable();
    let link = |tag: &str| cx.path(&format!("tags/{tag}/current/link"));
    for tag in &tags {
        put(driver, &link(tag), tag.to_string()).await;
        // A stage below it, too: it has the name that a driver derives from it.
        stage(driver, &cx.path(&format!("tags/{tag}/current/next")), "staged").await;
    }
    assert_eq!(names(driver, &cx.path("tags"), None).await, tags);
    for (index, tag) in tags.iter().enumerate() {
        let directory = cx.path(&format!("tags/{tag}"));
        let calls = [
            driver.get_content(&directory, LIMIT).await.err(),
            driver.stat(&directory).await.err(),
            driver.find_staged(&directory).await.err(),
            driver.reader(&directory, ByteRange::full()).await.err(),
        ];
        for error in calls {
            assert_eq!(error.unwrap().kind(), ErrorKind::NotFound, "{tag}");
        }
        assert!(driver.exists(&directory).await.unwrap(), "{tag}");
        assert_file(driver, &link(tag), &Bytes::copy_from_slice(tag.as_bytes())).await;
        assert_eq!(names(driver, &directory, None).await, ["current"], "{tag}");
        assert_eq!(walked(driver, &directory, None).await, ["current/link"], "{tag}");
        let below: Vec<_> = driver.list_staged(&directory).try_collect().await.unwrap();
        let expected = cx.path(&format!("tags/{tag}/current/next"));
        assert_eq!(below.iter().map(|info| &info.path).collect::<Vec<_>>(), [&expected], "{tag}");
        assert_eq!(names(driver, &cx.path("tags"), Some(tag)).await, tags[index + 1..], "{tag}");
    }
    // A delete takes the stages of its name along, but not a directory that only looks like a stage.
    for (index, tag) in tags.iter().enumerate() {
        driver
            .delete(&cx.path(&format!("tags/{tag}")))
            .await
            .unwrap_or_else(|error| panic!("{tag}: {error}"));
        assert_missing(driver, &link(tag)).await;
        for left in &tags[index + 1..] {
            assert_file(driver, &link(left), &Bytes::copy_from_slice(left.as_bytes())).await;
        }
        let again = driver.delete(&cx.path(&format!("tags/{tag}"))).await;
        assert_eq!(again.unwrap_err().kind(), ErrorKind::NotFound, "{tag}");
    }
}

/// Every call that only looks treats a path below a file as missing.
pub async fn paths_below_a_file_are_missing(cx: &Context) {
    put(cx.driver(), &cx.path("file"), "x").await;
    for rest in ["file/a", "file/a/b"] {
        let below = cx.path(rest);
        assert_missing(cx.driver(), &below).await;
        let calls = [
            cx.driver().delete(&below).await.err(),
            cx.driver().find_staged(&below).await.err(),
            cx.driver().stat(&below).await.err(),
        ];
        for error in calls {
            assert_eq!(error.unwrap().kind(), ErrorKind::NotFound, "{rest}");
        }
    }
    assert_file(cx.driver(), &cx.path("file"), &"x".into()).await;
}

#[track_caller]
fn check_named(cx: &Context, error: &Error, operation: Operation, path: &StoragePath) {
    assert_eq!(error.driver(), Some(cx.driver().name()), "{error}");
    assert_eq!(error.operation(), Some(operation), "{error}");
    assert_eq!(error.path(), Some(path.as_str()), "{error}");
    let text = error.to_string();
    for part in [cx.driver().name(), operation.as_str(), path.as_str(), error.kind().as_str()] {
        assert!(text.contains(part), "`{text}` does not name `{part}`");
    }
}

/// Every error names the driver, the operation, the path, and its kind in words.
pub async fn errors_name_driver_operation_and_path(cx: &Context) {
    let (missing, driver) = (cx.path("missing/file"), cx.driver());
    let check = |error: Option<Error>, operation| check_named(cx, &error.unwrap(), operation, &missing);
    check(driver.get_content(&missing, LIMIT).await.err(), Operation::GetContent);
    check(driver.reader(&missing, ByteRange::full()).await.err(), Operation::Reader);
    check(driver.find_staged(&missing).await.err(), Operation::FindStaged);
    check(driver.stat(&missing).await.err(), Operation::Stat);
    check(driver.list(&missing, None).try_next().await.err(), Operation::List);
    check(driver.walk(&missing, None).try_next().await.err(), Operation::Walk);
    check(driver.delete(&missing).await.err(), Operation::Delete);

    let file = cx.path("dir/file");
    put(driver, &file, "content").await;
    let check = |error: Option<Error>, operation| check_named(cx, &error.unwrap(), operation, &file);
    check(driver.get_content(&file, 1).await.err(), Operation::GetContent);
    check(driver.put_content(&file, "x".into(), PutMode::CreateOnly).await.err(), Operation::PutContent);
    check(driver.reader(&file, ByteRange::from(100)).await.err(), Operation::Reader);
    let (late, staged) = (first(driver, &file).await, stage(driver, &file, "staged").await);
    check(late.close().await.err(), Operation::WriterClose);
    forget(driver, &staged).await;
    let gone = stage(driver, &cx.path("gone"), "staged").await;
    forget(driver, &gone).await;
    check(driver.commit_staged(&gone, &file).await.err(), Operation::CommitStaged);
    let elsewhere = driver.writer(&file, WriteMode::Resume(gone)).await.err();
    assert_eq!(elsewhere.as_ref().map(Error::kind), Some(ErrorKind::InvalidPath), "staged for another path");
    check(elsewhere, Operation::Writer);
}

/// Every call that needs a file refuses the root with `InvalidPath`.
pub async fn the_root_is_no_file(cx: &Context) {
    let (root, file, driver) = (StoragePath::root(), cx.path("file"), cx.driver());
    put(driver, &file, "x").await;
    let staged = stage(driver, &file, "staged").await;
    let errors = [
        driver.get_content(&root, LIMIT).await.err(),
        driver.put_content(&root, "x".into(), PutMode::Overwrite).await.err(),
        driver.reader(&root, ByteRange::full()).await.err(),
        driver.writer(&root, WriteMode::direct()).await.err(),
        driver.writer(&root, WriteMode::Stage).await.err(),
        driver.writer(&root, WriteMode::Resume(staged.clone())).await.err(),
        driver.find_staged(&root).await.err(),
        driver.commit_staged(&staged, &root).await.err(),
        driver.delete(&root).await.err(),
        driver.delete_many(vec![file.clone(), root.clone()], &[]).await.err(),
        driver.redirect_url(&root, &Method::GET).await.err(),
        direct(driver, &cx.path("own")).await.commit(&root).await.err(),
    ];
    for error in errors {
        assert_eq!(error.unwrap().kind(), ErrorKind::InvalidPath);
    }
    assert_file(driver, &file, &"x".into()).await;
    assert_staged(driver, &staged).await;
    assert_eq!(walked(driver, &root, None).await, [path(file.as_str()).as_relative()]);
}
