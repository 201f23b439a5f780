//! Sealed writers, which only commit, and `delete_known`, which deletes what they may leave.

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry_core::{
    Error, ErrorKind, FileInfo, FileWriter, Result, StageId, StorageDriver, StoragePath, WriteOptions,
};

use super::{
    Context,
    context::{Driver, assert_file, assert_missing, create, kind, put, resume, stage, walked, write},
    sample,
};

/// Stages bytes; gives what the close said.
async fn closed(driver: &dyn StorageDriver, path: &StoragePath, content: Bytes) -> Option<StageId> {
    let mut writer = create(driver, path).await;
    write(&mut writer, content).await;
    writer.close().await.unwrap()
}

/// A sealed writer. The lock of a writer that was dropped a moment ago may take another to go.
async fn sealed(driver: &dyn StorageDriver, path: &StoragePath) -> Result<Box<dyn FileWriter>> {
    for _ in 0..200 {
        match driver.writer(path, WriteOptions::resume().with_sealed()).await {
            Err(error) if error.kind() == ErrorKind::Conflict => super::context::pause(50).await,
            result => return result,
        }
    }
    panic!("{path}: the lock of a writer that is gone stays");
}

async fn commit(driver: &dyn StorageDriver, path: &StoragePath, to: Option<&StoragePath>) -> Result<()> {
    let writer = sealed(driver, path).await?;
    match to {
        Some(to) => writer.commit_to(to).await,
        None => writer.commit().await,
    }
}

async fn staged(driver: &dyn StorageDriver, path: &StoragePath) -> Vec<FileInfo> {
    driver.list_staged(path).try_collect().await.unwrap()
}

/// By the instance that closed the stage and by another one, to its own path and to another one, of all sizes, and
/// again after a commit that left the stage; no byte is taken, and what another process did is noticed.
pub async fn writer_sealed_commits_the_very_stage(cx: &Context) {
    let other = cx.reopen().await;
    let (file, directory) = (cx.path("up/file"), cx.path("up"));
    for (round, size) in [0, 1, 10, 100_000, 6 << 20, 17 << 20].into_iter().enumerate() {
        let content = sample::bytes(round as u64, size);
        for elsewhere in [None, Some(cx.path("dir/target"))] {
            for driver in [cx.driver(), &*other] {
                put(driver, &cx.path("up/beside"), "x").await;
                let id = closed(cx.driver(), &file, content.clone()).await;
                let mut writer = sealed(driver, &file).await.unwrap();
                assert_eq!((writer.size(), writer.stage_id()), (size as u64, id.clone()));
                let refused = writer.write("more".into()).await;
                assert_eq!(kind(refused), ErrorKind::Other, "a sealed writer takes no bytes");
                drop(writer);
                assert_eq!(sealed(driver, &file).await.unwrap().close().await.unwrap(), id);
                commit(driver, &file, elsewhere.as_ref()).await.unwrap();
                let at = elsewhere.as_ref().unwrap_or(&file);
                assert_file(driver, at, &content).await;
                if elsewhere.is_some() {
                    assert_missing(driver, &file).await;
                    // Left or not: a stage that was left is the same one.
                    match sealed(driver, &file).await {
                        Ok(writer) => {
                            assert_eq!((writer.size(), writer.stage_id()), (size as u64, id));
                            writer.commit_to(at).await.unwrap();
                            assert_file(driver, at, &content).await;
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
                    }
                }
                driver.delete_known(&directory, &[file.clone(), cx.path("up/beside")]).await.unwrap();
                assert_missing(driver, &directory).await;
                if elsewhere.is_some() {
                    driver.delete(at).await.unwrap();
                }
            }
        }
    }
    another_process(cx, &other).await;
    stage(cx.driver(), &file, "abc").await;
    sealed(cx.driver(), &file).await.unwrap().cancel().await.unwrap();
    assert_eq!(kind(sealed(cx.driver(), &file).await), ErrorKind::NotFound);
    assert!(staged(cx.driver(), cx.base()).await.is_empty());
}

/// What another process did to a stage after this one closed it.
async fn another_process(cx: &Context, other: &Driver) {
    let (file, target) = (cx.path("up/file"), cx.path("dir/target"));
    let unseen = |error: &Error| matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound);
    for to in [None, Some(&target)] {
        for change in ["continued", "replaced", "cancelled", "committed", "deleted"] {
            let before = closed(cx.driver(), &file, "abc".into()).await;
            match change {
                "continued" => {
                    let mut writer = resume(&**other, &file).await;
                    write(&mut writer, "d").await;
                    writer.close().await.unwrap();
                }
                "replaced" => stage(&**other, &file, "xyz").await,
                "cancelled" => resume(&**other, &file).await.cancel().await.unwrap(),
                "committed" => resume(&**other, &file).await.commit_to(&cx.path("dir/else")).await.unwrap(),
                _ => assert!(matches!(
                    other.delete(&file).await.map_err(|error| error.kind()),
                    Ok(()) | Err(ErrorKind::NotFound)
                )),
            }
            match sealed(cx.driver(), &file).await {
                Err(error) => assert!(unseen(&error), "{change}: {error}"),
                Ok(writer) => {
                    let (size, id) = (writer.size(), writer.stage_id());
                    let committed = match to {
                        Some(to) => writer.commit_to(to).await,
                        None => writer.commit().await,
                    };
                    match committed {
                        Err(error) => {
                            assert!(unseen(&error), "{change}: {error}");
                            assert_missing(cx.driver(), to.unwrap_or(&file)).await;
                        }
                        // It looked: then it said so.
                        Ok(()) => {
                            let expected = if change == "continued" { "abcd" } else { "xyz" };
                            assert_eq!(size, expected.len() as u64);
                            assert!(change == "continued" || id != before || id.is_none());
                            assert_file(cx.driver(), to.unwrap_or(&file), &expected.into()).await;
                        }
                    }
                }
            }
            let _ = cx.driver().delete(&file).await;
            for rest in ["dir/target", "dir/else", "up"] {
                let _ = cx.driver().delete(&cx.path(rest)).await;
            }
            assert!(staged(cx.driver(), cx.base()).await.is_empty(), "{change}");
        }
    }
}

/// Files with and without stages, and stages alone; other directories are left alone.
pub async fn delete_known_removes_files_and_stages(cx: &Context) {
    let known = ["up/a/startedat", "up/a/data"].map(|rest| cx.path(rest));
    for (is_file, is_staged) in [(true, false), (false, true), (true, true)] {
        cx.put_all(&["up/a/startedat", "up/a-b/startedat", "up/ab"]).await;
        if is_file {
            put(cx.driver(), &known[1], "x").await;
        }
        if is_staged {
            stage(cx.driver(), &known[1], "abc").await;
        }
        cx.driver().delete_known(&cx.path("up/a"), &known).await.unwrap();
        assert_missing(cx.driver(), &cx.path("up/a")).await;
        assert!(staged(cx.driver(), &cx.path("up/a")).await.is_empty());
        assert_eq!(kind(sealed(cx.driver(), &known[1]).await), ErrorKind::NotFound);
        assert_eq!(walked(cx.driver(), cx.base(), None).await, ["up/a-b/startedat", "up/ab"]);
    }
}

/// All of it, or some.
pub async fn delete_known_ignores_what_is_missing(cx: &Context) {
    let known = ["up/a/startedat", "up/a/data"].map(|rest| cx.path(rest));
    cx.driver().delete_known(&cx.path("up/a"), &known).await.unwrap();
    cx.driver().delete_known(&cx.path("up/a"), &[]).await.unwrap();
    cx.put_all(&["up/a/startedat", "up/b"]).await;
    cx.driver().delete_known(&cx.path("up/a"), &known).await.unwrap();
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["up/b"]);
}
