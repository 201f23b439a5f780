//! `writer` in [`WriteMode::Create`](plugin_registry_core::WriteMode::Create), `close`, `cancel`, `commit` and `commit_to`.

use bytes::Bytes;
use plugin_registry_core::{
    ErrorKind, FileWriter, PutMode, Result, StorageDriver, StoragePath, WriteOptions,
};
use tokio::task::JoinSet;

use super::{
    Context,
    context::{
        Driver, assert_file, assert_missing, create, get, kind, names, put, resume, stage, walked, write,
        write_file,
    },
    sample,
};

/// Invisible to every way of looking, whatever the size; and what was visible before stays.
pub async fn writer_is_invisible_before_commit(cx: &Context) {
    let (dir, file, other) = (cx.path("dir"), cx.path("dir/file"), cx.reopen().await);
    put(cx.driver(), &cx.path("dir/a"), "x").await;
    put(cx.driver(), &cx.path("dir/z"), "x").await;
    for size in [0, 10, 100_000, (6 << 20) + 1] {
        let content = sample::bytes(size, size as usize);
        let mut writer = create(cx.driver(), &file).await;
        write(&mut writer, content.clone()).await;
        for driver in [cx.driver(), &*other] {
            assert_missing(driver, &file).await;
            assert_eq!(names(driver, &dir, None).await, ["a", "z"]);
            assert_eq!(walked(driver, cx.base(), None).await, ["dir/a", "dir/z"]);
        }
        writer.close().await.unwrap();
        let writer = resume(&*other, &file).await;
        assert_missing(cx.driver(), &file).await;
        assert_eq!(names(cx.driver(), &dir, None).await, ["a", "z"]);
        writer.commit().await.unwrap();
        assert_file(cx.driver(), &file, &content).await;
        assert_eq!(walked(cx.driver(), &dir, None).await, ["a", "file", "z"], "the file and nothing else");

        let mut writer = create(cx.driver(), &file).await;
        write(&mut writer, "not yet").await;
        for closed in [false, true] {
            assert_file(&*other, &file, &content).await;
            assert_eq!(names(&*other, &dir, None).await, ["a", "file", "z"]);
            assert_eq!(walked(&*other, &dir, None).await, ["a", "file", "z"]);
            if !closed {
                stage(cx.driver(), &file, "closed").await;
            }
        }
        writer.cancel().await.unwrap();
        cx.driver().delete(&file).await.unwrap();
    }
}

/// A new writer starts at zero bytes, and its commit or close replaces an earlier stage.
pub async fn writer_create_forgets_an_earlier_stage(cx: &Context) {
    let (file, old) = (cx.path("dir/file"), sample::bytes(1, 300_000));
    for closed in [true, false] {
        let mut writer = create(cx.driver(), &file).await;
        write(&mut writer, old.clone()).await;
        if closed {
            writer.close().await.unwrap();
        } else {
            drop(writer);
        }
        stage(cx.driver(), &file, "new").await;
        let writer = resume(&*cx.reopen().await, &file).await;
        assert_eq!(writer.size(), 3, "the second close replaces the first");
        writer.close().await.unwrap();

        write_file(cx.driver(), &file, "committed").await;
        assert_file(cx.driver(), &file, &"committed".into()).await;
        let resumed = cx.driver().writer(&file, WriteOptions::resume()).await;
        assert_eq!(kind(resumed), ErrorKind::AlreadyExists, "no stage is left behind a commit");
        cx.driver().delete(&file).await.unwrap();
    }
}

/// Several writers may be open on one path; the last commit wins as a whole.
pub async fn writer_create_does_not_disturb_others(cx: &Context) {
    let (file, other) = (cx.path("dir/file"), cx.reopen().await);
    for (first_ends_first, round) in [(true, 0), (false, 1)] {
        let (a, b) = (sample::bytes(round * 2 + 1, 700_000), sample::bytes(round * 2 + 2, 300_000));
        let mut first = create(cx.driver(), &file).await;
        let mut second = create(&*other, &file).await;
        for (left, right) in a.chunks(70_000).zip(b.chunks(30_000)) {
            write(&mut first, a.slice_ref(left)).await;
            write(&mut second, b.slice_ref(right)).await;
        }
        let ends = if first_ends_first { [(first, &a), (second, &b)] } else { [(second, &b), (first, &a)] };
        for (writer, content) in ends {
            writer.commit().await.unwrap();
            assert_file(cx.driver(), &file, content).await;
        }
        assert_eq!(names(cx.driver(), &cx.path("dir"), None).await, ["file"]);
    }

    let mut tasks = JoinSet::new();
    for seed in 0..8_u64 {
        let (driver, file) = (if seed % 2 == 0 { cx.shared() } else { other.clone() }, file.clone());
        tasks.spawn(async move {
            let content = sample::bytes(100 + seed, 100_000 + seed as usize * 10_000);
            let mut writer = create(&*driver, &file).await;
            for piece in content.chunks(33_333) {
                write(&mut writer, content.slice_ref(piece)).await;
            }
            writer.commit().await.unwrap();
            content
        });
    }
    let contents = tasks.join_all().await;
    assert!(contents.contains(&get(cx.driver(), &file).await), "the file is one of those committed, whole");

    // One that is thrown away leaves the other alone.
    for end in 0..3 {
        let mut kept = create(cx.driver(), &file).await;
        write(&mut kept, "kept ").await;
        let mut gone = create(cx.driver(), &file).await;
        write(&mut gone, "gone").await;
        match end {
            0 => gone.cancel().await.unwrap(),
            1 => drop(gone),
            _ => drop(gone.close().await.unwrap()),
        }
        write(&mut kept, "whole").await;
        kept.commit().await.unwrap();
        assert_file(cx.driver(), &file, &"kept whole".into()).await;
    }
}

/// Commits a new file so that what is at the path first stays there.
async fn commit_new(driver: &Driver, path: &StoragePath, content: Bytes, elsewhere: bool) -> Result<()> {
    let options = WriteOptions::create().with_put_mode(PutMode::CreateOnly);
    let own = if elsewhere { path.parent().unwrap().join("own").unwrap() } else { path.clone() };
    let mut writer = driver.writer(&own, options).await.unwrap();
    write(&mut writer, content).await;
    if elsewhere { writer.commit_to(path).await } else { writer.commit().await }
}

/// With [`PutMode::CreateOnly`] a commit leaves the file alone that is at its path already.
pub async fn writer_commit_create_only_keeps_the_first(cx: &Context) {
    let driver = cx.shared();
    for (first, elsewhere) in [("first", false), ("first", true), ("", false), ("", true)] {
        let first = Bytes::from(first);
        let file = cx.path(&format!("{}{elsewhere}/file", first.len()));
        commit_new(&driver, &file, first.clone(), elsewhere).await.unwrap();
        for size in [0, 3, 6 << 20] {
            let result = commit_new(&driver, &file, sample::bytes(1, size), elsewhere).await;
            assert_eq!(kind(result), ErrorKind::AlreadyExists, "{size} bytes, elsewhere: {elsewhere}");
            assert_file(&*driver, &file, &first).await;
        }
        assert_eq!(names(&*driver, &file.parent().unwrap(), None).await, ["file"]);
    }
    let file = cx.path("resumed/file");
    stage(&*driver, &file, "staged").await;
    put(&*driver, &file, "visible").await;
    let options = WriteOptions::resume().with_put_mode(PutMode::CreateOnly);
    let writer = driver.writer(&file, options).await.unwrap();
    assert_eq!(kind(writer.commit().await), ErrorKind::AlreadyExists);
    assert_file(&*driver, &file, &"visible".into()).await;

    if !driver.capabilities().create_only {
        return cx.skip("concurrent creators: the driver does not promise create-only writes");
    }
    for round in 0..10 {
        let file = cx.path(&format!("race{round}/file"));
        let mut tasks = JoinSet::new();
        for (seed, driver) in (0..).zip([cx.shared(), cx.shared(), cx.reopen().await, cx.reopen().await]) {
            let (file, content) = (file.clone(), sample::bytes(seed, 200_000 + seed as usize));
            tasks.spawn(async move {
                let result = commit_new(&driver, &file, content.clone(), false).await;
                match result {
                    Ok(()) => Some(content),
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
                    Err(error) => panic!("{error:?}"),
                }
            });
        }
        let winners: Vec<Bytes> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "exactly one of several creators wins");
        assert_file(&*driver, &file, &winners[0]).await;
    }
}

/// Everything written before a close is there for another instance, and nobody sees it.
pub async fn writer_close_is_durable_and_invisible(cx: &Context) {
    for (index, size) in [0, 1, 100_000, 6 << 20].into_iter().enumerate() {
        let file = cx.path(&format!("dir{index}/file"));
        let content = sample::bytes(1, size);
        let first = cx.reopen().await;
        let mut writer = create(&*first, &file).await;
        for piece in content.chunks(1 << 20) {
            write(&mut writer, content.slice_ref(piece)).await;
        }
        writer.close().await.unwrap();
        drop(first);
        let second = cx.reopen().await;
        assert_missing(&*second, &file).await;
        let writer = resume(&*second, &file).await;
        assert_eq!(writer.size(), size as u64);
        writer.commit().await.unwrap();
        assert_file(cx.driver(), &file, &content).await;
    }
}

/// Nothing is left to resume; the visible file stays.
pub async fn writer_cancel_leaves_nothing(cx: &Context) {
    let file = cx.path("dir/file");
    for visible in [false, true] {
        let content = Bytes::from("visible");
        if visible {
            put(cx.driver(), &file, content.clone()).await;
        }
        for step in 0..3 {
            let mut writer = create(cx.driver(), &file).await;
            write(&mut writer, sample::bytes(1, 300_000)).await;
            if step > 0 {
                writer.close().await.unwrap();
                writer = resume(&*cx.reopen().await, &file).await;
            }
            if step > 1 {
                write(&mut writer, sample::bytes(2, 6 << 20)).await;
            }
            writer.cancel().await.unwrap();
            let resumed = cx.driver().writer(&file, WriteOptions::resume()).await;
            if visible {
                assert_eq!(kind(resumed), ErrorKind::AlreadyExists);
                assert_file(cx.driver(), &file, &content).await;
                assert_eq!(names(cx.driver(), &cx.path("dir"), None).await, ["file"]);
            } else {
                assert_eq!(kind(resumed), ErrorKind::NotFound);
                assert_missing(cx.driver(), &file).await;
                assert_missing(cx.driver(), &cx.path("dir")).await;
            }
        }
    }
}

/// Exactly `size` bytes are visible, at once, for zero bytes too.
pub async fn writer_commit_is_visible_and_whole(cx: &Context) {
    let other = cx.reopen().await;
    for (index, sizes) in
        [vec![], vec![0], vec![1], vec![0, 5, 0], vec![65_536; 9], vec![6 << 20, 1, 5 << 20]]
            .into_iter()
            .enumerate()
    {
        let file = cx.path(&format!("dir{index}/sub/file"));
        let mut content = Vec::new();
        let mut writer = create(cx.driver(), &file).await;
        for (seed, size) in (0..).zip(sizes) {
            let chunk = sample::bytes(seed, size);
            content.extend_from_slice(&chunk);
            write(&mut writer, chunk).await;
        }
        assert_eq!(writer.size(), content.len() as u64);
        writer.commit().await.unwrap();
        let content = content.into();
        assert_file(&*other, &file, &content).await;
        assert_file(cx.driver(), &file, &content).await;
        assert_eq!(names(cx.driver(), &file.parent().unwrap(), None).await, ["file"]);
    }
    // The hint is no promise.
    for expected in [0, 3, 10, 100 << 20] {
        let file = cx.path("hint");
        let options = WriteOptions::create().with_expected_size(expected);
        let mut writer = cx.driver().writer(&file, options).await.unwrap();
        write(&mut writer, "12345").await;
        writer.commit().await.unwrap();
        assert_file(cx.driver(), &file, &"12345".into()).await;
    }
}

/// Visible there, whole; nothing is left at the writer's own path.
pub async fn writer_commit_to_another_path(cx: &Context) {
    for (index, size) in [0, 1, 300_000, (6 << 20) + 1].into_iter().enumerate() {
        let own = cx.path(&format!("uploads{index}/1/data"));
        let content = sample::bytes(index as u64, size);
        for (step, target) in ["blobs/a/data", "blobs/a/data", "blobs/b"].into_iter().enumerate() {
            let target = cx.path(&format!("{index}/{target}"));
            let content = content.slice(..size.saturating_sub(step));
            let mut writer: Box<dyn FileWriter> = create(cx.driver(), &own).await;
            write(&mut writer, content.clone()).await;
            if step == 2 {
                writer.close().await.unwrap();
                writer = resume(&*cx.reopen().await, &own).await;
            }
            writer.commit_to(&target).await.unwrap();
            assert_file(cx.driver(), &target, &content).await;
            assert_missing(cx.driver(), &own).await;
            assert_missing(cx.driver(), &cx.path(&format!("uploads{index}"))).await;
            let resumed = cx.driver().writer(&own, WriteOptions::resume()).await;
            assert_eq!(kind(resumed), ErrorKind::NotFound, "the stage is used up");
        }
        assert_eq!(
            walked(cx.driver(), &cx.path(&index.to_string()), None).await,
            ["blobs/a/data", "blobs/b"]
        );
    }
    let own = cx.path("own");
    let mut writer = create(cx.driver(), &own).await;
    write(&mut writer, "same").await;
    writer.commit_to(&own).await.unwrap();
    assert_file(cx.driver(), &own, &"same".into()).await;
}
