//! `writer` in [`WriteMode::Resume`](plugin_registry_core::WriteMode::Resume).

use bytes::Bytes;
use plugin_registry_core::{ErrorKind, StorageDriver, StoragePath, WriteOptions};

use super::{
    Context,
    context::{Driver, assert_file, create, kind, names, pause, put, resume, stage, write, write_file},
    sample,
};

/// Goes on at exactly the size reached at the last close, in other instances, by chunks of any size.
pub async fn writer_resume_continues_at_the_closed_size(cx: &Context) {
    let instances = [cx.reopen().await, cx.shared()];
    for (name, sizes) in [
        ("small", &[1, 2, 3, 0, 5][..]),
        ("mixed", &[1, 100_000, 0, (5 << 20) + 3, 17, 65_536][..]),
        ("parts", &[6 << 20, 1, 6 << 20][..]),
    ] {
        let file = cx.path(&format!("{name}/file"));
        create(cx.driver(), &file).await.close().await.unwrap();
        let mut content = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            let mut writer = resume(&*instances[index % 2], &file).await;
            assert_eq!(writer.size(), content.len() as u64);
            let chunk = sample::bytes(index as u64, *size);
            content.extend_from_slice(&chunk);
            // Two writes, the first of which is the odd one.
            write(&mut writer, chunk.slice(..size / 3)).await;
            write(&mut writer, chunk.slice(size / 3..)).await;
            writer.close().await.unwrap();
        }
        let writer = resume(&*instances[0], &file).await;
        assert_eq!(writer.size(), content.len() as u64);
        writer.commit().await.unwrap();
        assert_file(cx.driver(), &file, &content.into()).await;
        let again = cx.driver().writer(&file, WriteOptions::resume()).await;
        assert_eq!(kind(again), ErrorKind::AlreadyExists, "a commit uses the stage up");
    }
}

/// What a writer wrote that was dropped before its close does not count, also after several of them.
pub async fn writer_resume_cuts_a_torn_tail(cx: &Context) {
    let other = cx.reopen().await;
    for (index, (kept, torn)) in
        [(0, 10), (1, 1), (100_000, 7), (100_000, 6 << 20), (6 << 20, 6 << 20)].into_iter().enumerate()
    {
        let file = cx.path(&format!("dir{index}/file"));
        let mut content = sample::bytes(1, kept).to_vec();
        stage(cx.driver(), &file, content.clone()).await;
        for (seed, driver) in [(2, &*other), (3, cx.driver()), (4, &*other)] {
            let mut writer = resume(driver, &file).await;
            assert_eq!(writer.size(), kept as u64, "torn bytes do not count");
            for piece in sample::bytes(seed, torn).chunks(1 << 20) {
                write(&mut writer, Bytes::copy_from_slice(piece)).await;
            }
            drop(writer);
        }
        let mut writer = resume(&*other, &file).await;
        assert_eq!(writer.size(), kept as u64);
        let end = sample::bytes(5, torn / 2 + 1);
        content.extend_from_slice(&end);
        write(&mut writer, end).await;
        writer.close().await.unwrap();
        let mut writer = resume(cx.driver(), &file).await;
        assert_eq!(writer.size(), content.len() as u64);
        write(&mut writer, "!").await;
        content.push(b'!');
        writer.commit().await.unwrap();
        assert_file(cx.driver(), &file, &content.into()).await;
        assert_eq!(names(cx.driver(), &file.parent().unwrap(), None).await, ["file"]);
    }
}

/// Nothing staged and nothing visible; a stage that was dropped before any close is none.
pub async fn writer_resume_without_a_stage_is_not_found(cx: &Context) {
    let resumed = async |rest: &str| kind(cx.driver().writer(&cx.path(rest), WriteOptions::resume()).await);
    assert_eq!(resumed("missing").await, ErrorKind::NotFound);
    cx.put_all(&["dir/file", "dir/sub/file"]).await;
    stage(cx.driver(), &cx.path("staged2"), "x").await;
    stage(cx.driver(), &cx.path("up/staged"), "x").await;
    for rest in ["dir/missing", "dir", "dir/sub", "missing/deep/file", "staged", "staged2-", "up", "up/stage"]
    {
        assert_eq!(resumed(rest).await, ErrorKind::NotFound, "{rest}");
    }
    for size in [0, 10, 6 << 20] {
        let file = cx.path("dropped/file");
        let mut writer = create(cx.driver(), &file).await;
        write(&mut writer, sample::bytes(1, size)).await;
        drop(writer);
        assert_eq!(resumed("dropped/file").await, ErrorKind::NotFound, "dropped after {size} bytes");
    }
    write_file(cx.driver(), &cx.path("committed"), "").await;
    cx.driver().delete(&cx.path("committed")).await.unwrap();
    assert_eq!(resumed("committed").await, ErrorKind::NotFound);
    // Both are staged only, so nothing that a listing shows would delete them.
    for staged in ["staged2", "up/staged"] {
        resume(cx.driver(), &cx.path(staged)).await.cancel().await.unwrap();
    }
}

/// A visible file of zero bytes may be resumed; one with bytes and no stage is in the way.
pub async fn writer_resume_continues_a_committed_empty_file(cx: &Context) {
    for (name, by_put) in [("put", true), ("commit", false)] {
        let file = cx.path(&format!("{name}/file"));
        if by_put {
            put(cx.driver(), &file, "").await;
        } else {
            create(cx.driver(), &file).await.commit().await.unwrap();
        }
        let mut writer = resume(cx.driver(), &file).await;
        assert_eq!(writer.size(), 0);
        write(&mut writer, "abc").await;
        assert_file(cx.driver(), &file, &Bytes::new()).await;
        writer.close().await.unwrap();
        assert_file(cx.driver(), &file, &Bytes::new()).await;
        let mut writer = resume(&*cx.reopen().await, &file).await;
        assert_eq!(writer.size(), 3, "the stage counts, not the visible file");
        write(&mut writer, "def").await;
        writer.commit().await.unwrap();
        assert_file(cx.driver(), &file, &"abcdef".into()).await;
        let resumed = cx.driver().writer(&file, WriteOptions::resume()).await;
        assert_eq!(kind(resumed), ErrorKind::AlreadyExists);
    }
    let file = cx.path("whole");
    put(cx.driver(), &file, "x").await;
    assert_eq!(kind(cx.driver().writer(&file, WriteOptions::resume()).await), ErrorKind::AlreadyExists);
    stage(cx.driver(), &file, "staged").await;
    let writer = resume(cx.driver(), &file).await;
    assert_eq!(writer.size(), 6, "with a stage, a visible file is not in the way");
    writer.commit().await.unwrap();
    assert_file(cx.driver(), &file, &"staged".into()).await;
}

/// What a close gave is what the writer says that resumes it, in any instance and after torn bytes; a stage
/// that was created anew has another identity, even with the same bytes at the same path.
pub async fn writer_stage_id_tells_stages_apart(cx: &Context) {
    let (file, other) = (cx.path("dir/file"), cx.reopen().await);
    let mut seen = Vec::new();
    for round in 0..24 {
        // Ways for the stage of the round before to go; a filesystem gives its inode to the next.
        match round % 4 {
            0 => {}
            1 => resume(cx.driver(), &file).await.cancel().await.unwrap(),
            2 => {
                resume(&*other, &file).await.commit().await.unwrap();
                cx.driver().delete(&file).await.unwrap();
            }
            _ => {
                put(cx.driver(), &cx.path("dir/z"), "x").await;
                cx.driver().delete(&cx.path("dir")).await.unwrap();
            }
        }
        let mut writer = create(cx.driver(), &file).await;
        assert_eq!(writer.stage_id(), None, "a new writer has resumed nothing");
        write(&mut writer, "same bytes").await;
        let created = writer.close().await.unwrap();
        let mut writer = resume(&*other, &file).await;
        assert_eq!(writer.stage_id(), created);
        write(&mut writer, "torn").await;
        assert_eq!(writer.stage_id(), created, "writing makes no other stage of it");
        drop(writer);
        let mut writer = resume(cx.driver(), &file).await;
        assert_eq!(writer.stage_id(), created);
        write(&mut writer, if round % 2 == 0 { "" } else { "more" }).await;
        assert_eq!(writer.close().await.unwrap(), created, "a stage keeps its identity when it grows");
        assert_eq!(resume(&*cx.reopen().await, &file).await.stage_id(), created);
        let Some(created) = created else { return cx.skip("the store cannot tell stages apart") };
        assert!(!seen.contains(&created), "the stage of round {round} has the identity of an earlier one");
        seen.push(created);
    }
    let elsewhere = cx.path("dir/file2");
    let mut writer = create(cx.driver(), &elsewhere).await;
    write(&mut writer, "same bytes").await;
    let id = writer.close().await.unwrap().unwrap();
    assert!(!seen.contains(&id), "nor has one at another path");
    put(cx.driver(), &cx.path("dir/z"), "x").await;
}

/// While one resumed writer is open, another is refused; however it ends, the next may go on.
pub async fn writer_resume_is_exclusive(cx: &Context) {
    let other = cx.reopen().await;
    if !cx.driver().capabilities().exclusive_resume {
        // A store without locks cannot refuse the second writer at its begin, but its close.
        one_close_counts(cx, &other).await;
        return race(cx, other).await;
    }
    let refused = async |file: &StoragePath| {
        for driver in [cx.driver(), &*other] {
            let second = driver.writer(file, WriteOptions::resume()).await;
            assert_eq!(kind(second), ErrorKind::Conflict);
        }
    };
    for (empty, name) in [(false, "staged"), (true, "empty")] {
        let file = cx.path(&format!("{name}/file"));
        if empty {
            put(cx.driver(), &file, "").await;
        } else {
            stage(cx.driver(), &file, "abc").await;
        }
        let size = if empty { 0 } else { 3 };
        let mut writer = resume(cx.driver(), &file).await;
        refused(&file).await;
        write(&mut writer, "torn").await;
        refused(&file).await;
        drop(writer);
        let mut writer = resume(&*other, &file).await;
        assert_eq!(writer.size(), size);
        refused(&file).await;
        write(&mut writer, "d").await;
        writer.close().await.unwrap();
        let writer = resume(cx.driver(), &file).await;
        assert_eq!(writer.size(), size + 1);
        refused(&file).await;
        // Writers of other paths, and new ones of this path, are not concerned.
        create(cx.driver(), &file).await;
        stage(cx.driver(), &cx.path("file2"), "x").await;
        resume(cx.driver(), &cx.path("file2")).await.cancel().await.unwrap();
        writer.commit().await.unwrap();
        assert_file(cx.driver(), &file, &if empty { "d".into() } else { "abcd".into() }).await;
        let after = cx.driver().writer(&file, WriteOptions::resume()).await;
        assert_eq!(kind(after), ErrorKind::AlreadyExists, "not `Conflict`: the lock went with the commit");
    }
    race(cx, other).await;
}

/// Of two writers that resumed one stage, the first to close wins; what it closed is not touched by the other.
async fn one_close_counts(cx: &Context, other: &Driver) {
    let file = cx.path("two/file");
    for (first, second) in [("1", "22"), ("1", "2"), ("1", "")] {
        stage(cx.driver(), &file, "abc").await;
        let mut winner = resume(cx.driver(), &file).await;
        let mut loser = resume(&**other, &file).await;
        write(&mut winner, first).await;
        write(&mut loser, second).await;
        let id = winner.close().await.unwrap();
        assert_eq!(kind(loser.close().await), ErrorKind::Conflict);
        let writer = resume(&**other, &file).await;
        assert_eq!((writer.size(), writer.stage_id()), (3 + first.len() as u64, id));
        writer.commit().await.unwrap();
        assert_file(cx.driver(), &file, &format!("abc{first}").into()).await;
        cx.driver().delete(&file).await.unwrap();
    }
}

/// Many try to resume at the same time; what each appends and closes counts exactly once.
async fn race(cx: &Context, other: Driver) {
    let file = cx.path("race/file");
    stage(cx.driver(), &file, "").await;
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..6_u8 {
        let (driver, file) = (if index % 2 == 0 { cx.shared() } else { other.clone() }, file.clone());
        tasks.spawn(async move {
            let mut closed = 0;
            while closed < 5 {
                match driver.writer(&file, WriteOptions::resume()).await {
                    Ok(mut writer) => {
                        write(&mut writer, vec![index; 10]).await;
                        match writer.close().await {
                            Ok(_) => closed += 1,
                            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
                        }
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
                }
                pause(1).await;
            }
        });
    }
    tasks.join_all().await;
    resume(cx.driver(), &file).await.commit().await.unwrap();
    let content = super::context::get(cx.driver(), &file).await;
    assert_eq!(content.len(), 6 * 5 * 10);
    for index in 0..6 {
        assert_eq!(content.iter().filter(|byte| **byte == index).count(), 50);
    }
}
