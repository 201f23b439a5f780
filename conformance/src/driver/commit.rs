//! `commit_staged`.

use bytes::Bytes;
use plugin_registry_core::{Staged, StorageDriver, StoragePath};

use super::{
    Context,
    context::{
        Driver, append, assert_file, assert_missing, assert_not_staged, assert_refused, assert_staged,
        commit, find, forget, put, resume, stage, walked, write,
    },
    resume::{CHANGES, change, check_after},
    sample,
};

/// `commit_staged` makes exactly the staged bytes visible.
///
/// Commits through the instance that closed the stage and through another one. Commits to the stage's own
/// path and to another path, with and without an existing file there, in all sizes, after one close or
/// several. Commits again after a commit that left the stage.
pub async fn commit_staged_makes_exactly_these_visible(cx: &Context) {
    let part = cx.part();
    let other = cx.reopen().await;
    let (file, target) = (cx.path("up/file"), cx.path("dir/target"));
    for (round, size) in [0, 1, 10, 100_000, part, 3 * part - 1].into_iter().enumerate() {
        let content = sample::bytes(round as u64, size);
        for (to, old) in [(&file, None), (&target, None), (&file, Some(300_000)), (&target, Some(3))] {
            for driver in [cx.driver(), &*other] {
                if let Some(old) = old {
                    put(driver, to, sample::bytes(99, old)).await;
                }
                let staged = stage_in_two(cx.driver(), &file, &content, round % 2 == 0).await;
                put(driver, &cx.path("up/beside"), "x").await;
                commit(driver, &staged, to).await;
                for driver in [cx.driver(), &*other] {
                    assert_file(driver, to, &content).await;
                    if to != &file {
                        assert_missing(driver, &file).await;
                    }
                }
                again(cx, driver, &staged, &content).await;
                assert_file(driver, to, &content).await;
                let known = vec![file.clone(), cx.path("up/beside"), target.clone()];
                driver.delete_many(known, &[staged]).await.unwrap().into_result().unwrap();
                assert_missing(&*other, &cx.path("up")).await;
                assert_missing(&*other, cx.base()).await;
            }
        }
    }
    after_a_torn_writer(cx, &other).await;
    beside_a_writer(cx, &other).await;
}

async fn stage_in_two(
    driver: &dyn StorageDriver,
    file: &StoragePath,
    content: &Bytes,
    twice: bool,
) -> Staged {
    if !twice {
        return stage(driver, file, content.clone()).await;
    }
    let begin = stage(driver, file, content.slice(..content.len() / 2)).await;
    append(driver, &begin, content.slice(content.len() / 2..)).await.unwrap()
}

/// The stage is used up, or is as it was and can be committed again.
async fn again(cx: &Context, driver: &dyn StorageDriver, staged: &Staged, content: &Bytes) {
    let target = cx.path("again");
    let left = find(driver, &staged.path).await;
    match driver.commit_staged(staged, &target).await {
        Ok(()) => {
            assert_eq!(left.map(|left| left.id), Some(staged.id.clone()), "it was not found, and was there");
            assert_file(driver, &target, content).await;
            driver.delete(&target).await.unwrap();
        }
        Err(error) => {
            assert_refused(&error);
            assert_eq!(left, None, "it was found, and is refused");
            assert_missing(driver, &target).await;
        }
    }
    forget(driver, staged).await;
    assert_not_staged(driver, &staged.path).await;
    assert_refused(&driver.commit_staged(staged, &target).await.expect_err("what was deleted is gone"));
    assert_missing(driver, &target).await;
}

/// Leftovers of a dropped writer are not part of the committed bytes.
async fn after_a_torn_writer(cx: &Context, other: &Driver) {
    let part = cx.part();
    let (file, target) = (cx.path("torn/file"), cx.path("torn/target"));
    for (kept, torn) in [(0, 10), (10, 1), (10, part), (part, part)] {
        let content = sample::bytes(1, kept);
        let staged = stage(cx.driver(), &file, content.clone()).await;
        for driver in [cx.driver(), &**other] {
            let mut writer = resume(driver, &staged).await;
            write(&mut writer, sample::bytes(2, torn)).await;
            drop(writer);
        }
        commit(&**other, &staged, &target).await;
        assert_file(cx.driver(), &target, &content).await;
        forget(cx.driver(), &staged).await;
        cx.driver().delete(&target).await.unwrap();
    }
}

/// A commit races with a writer that resumes the same bytes: all of them become visible or none, and what
/// is closed stays.
async fn beside_a_writer(cx: &Context, other: &Driver) {
    let part = cx.part();
    for round in 0..20 {
        let (file, target) =
            (cx.path(&format!("beside{round}/file")), cx.path(&format!("beside{round}/target")));
        let content = sample::bytes(1, if round % 4 == 3 { part } else { 10 });
        let staged = stage(cx.driver(), &file, content.clone()).await;
        let (committed, closed) = tokio::join!(
            cx.driver().commit_staged(&staged, &target),
            append(&**other, &staged, sample::bytes(2, 100)),
        );
        match committed {
            Ok(()) => assert_file(&**other, &target, &content).await,
            Err(error) => {
                assert_refused(&error);
                assert_missing(&**other, &target).await;
            }
        }
        let mut left = staged;
        match closed {
            Ok(closed) => {
                assert_staged(cx.driver(), &closed).await;
                commit(cx.driver(), &closed, &target).await;
                let whole = [&*content, &*sample::bytes(2, 100)].concat();
                assert_file(cx.driver(), &target, &whole.into()).await;
                left = closed;
            }
            Err(error) => assert_refused(&error),
        }
        forget(cx.driver(), &left).await;
        assert_not_staged(&**other, &file).await;
        cx.driver().delete_many(vec![target], &[]).await.unwrap();
    }
}

/// `commit_staged` refuses bytes that another instance changed meanwhile, whatever it did.
///
/// This holds for the value of the close and for one that was found. The bytes that are staged instead stay
/// as they are.
pub async fn commit_staged_of_others_is_refused(cx: &Context) {
    let part = cx.part();
    let other = cx.reopen().await;
    let (file, target) = (cx.path("up/file"), cx.path("dir/target"));
    for how in CHANGES {
        for to in [&file, &target] {
            for (index, driver) in [cx.driver(), &*other].into_iter().enumerate() {
                for size in [0, 3, part] {
                    let content = sample::bytes(1, size);
                    let mut staged = stage(cx.driver(), &file, content.clone()).await;
                    if index == 1 {
                        staged = cx.driver().find_staged(&file).await.unwrap();
                    }
                    let changed = change(&*other, &staged, &content, how, &cx.path("dir/else")).await;
                    let now = changed.unwrap_or_else(|error| panic!("{how}: {error}"));
                    let refused = driver.commit_staged(&staged, to).await;
                    assert_refused(&refused.expect_err(how));
                    assert_missing(driver, to).await;
                    assert_missing(&*other, to).await;
                    check_after(cx, driver, &file, now).await;
                }
            }
        }
    }
    assert_eq!(walked(cx.driver(), &StoragePath::root(), None).await, Vec::<String>::new());
}
