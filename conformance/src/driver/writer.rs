//! `writer` in [`WriteMode::Direct`](plugin_registry_core::WriteMode::Direct) and
//! [`WriteMode::Stage`](plugin_registry_core::WriteMode::Stage), `close`, `cancel` and `commit`.

use bytes::Bytes;
use plugin_registry_core::{ErrorKind, Staged, StorageDriver, StoragePath, WriteMode};
use tokio::task::JoinSet;

use super::{
    Context,
    context::{
        Driver, Writer, append, assert_file, assert_missing, assert_not_staged, assert_refused,
        assert_staged, close, commit, direct, find, first, forget, get, go_on, kind, names, put, resume,
        stage, walked, write, write_file,
    },
    sample,
};

/// Written bytes are invisible to every call, in any size. A file that was visible before stays.
pub async fn writer_is_invisible_before_commit(cx: &Context) {
    let part = cx.part();
    let (dir, file, other) = (cx.path("dir"), cx.path("dir/file"), cx.reopen().await);
    put(cx.driver(), &cx.path("dir/a"), "x").await;
    put(cx.driver(), &cx.path("dir/z"), "x").await;
    for size in [0, 10, 100_000, part + 1] {
        let content = sample::bytes(size as u64, size);
        let mut in_one_go = direct(cx.driver(), &file).await;
        write(&mut in_one_go, content.clone()).await;
        let mut writer = first(cx.driver(), &file).await;
        write(&mut writer, content.clone()).await;
        for driver in [cx.driver(), &*other] {
            assert_missing(driver, &file).await;
            assert_eq!(names(driver, &dir, None).await, ["a", "z"]);
            assert_eq!(walked(driver, cx.base(), None).await, ["dir/a", "dir/z"]);
        }
        in_one_go.cancel().await.unwrap();
        let staged = close(writer, &file).await;
        let writer = resume(&*other, &staged).await;
        assert_missing(cx.driver(), &file).await;
        assert_eq!(names(cx.driver(), &dir, None).await, ["a", "z"]);
        writer.commit(&file).await.unwrap();
        assert_file(cx.driver(), &file, &content).await;
        assert_eq!(walked(cx.driver(), &dir, None).await, ["a", "file", "z"], "the file and nothing else");

        let mut writer = direct(cx.driver(), &file).await;
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
        go_on(cx.driver(), &file).await.cancel().await.unwrap();
        assert_file(&*other, &file, &content).await;
        cx.driver().delete(&file).await.unwrap();
    }
}

/// Several writers may be open on one path. The last commit wins as a whole, and stages stay.
pub async fn writer_does_not_disturb_others(cx: &Context) {
    let (file, other) = (cx.path("dir/file"), cx.reopen().await);
    for (first_ends_first, round) in [(true, 0), (false, 1)] {
        let (a, b) = (sample::bytes(round * 2 + 1, 700_000), sample::bytes(round * 2 + 2, 300_000));
        let mut left_writer = direct(cx.driver(), &file).await;
        let mut right_writer = first(&*other, &file).await;
        for (left, right) in a.chunks(70_000).zip(b.chunks(30_000)) {
            write(&mut left_writer, a.slice_ref(left)).await;
            write(&mut right_writer, b.slice_ref(right)).await;
        }
        let mut ends = [(left_writer, &a), (right_writer, &b)];
        if !first_ends_first {
            ends.reverse();
        }
        for (writer, content) in ends {
            writer.commit(&file).await.unwrap();
            assert_file(cx.driver(), &file, content).await;
        }
        assert_eq!(names(cx.driver(), &cx.path("dir"), None).await, ["file"]);
    }

    let mut tasks = JoinSet::new();
    for seed in 0..8_u64 {
        let (driver, file) = (if seed % 2 == 0 { cx.shared() } else { other.clone() }, file.clone());
        tasks.spawn(async move {
            let content = sample::bytes(100 + seed, 100_000 + seed as usize * 10_000);
            let mut writer = direct(&*driver, &file).await;
            for piece in content.chunks(33_333) {
                write(&mut writer, content.slice_ref(piece)).await;
            }
            writer.commit(&file).await.unwrap();
            content
        });
    }
    let contents = tasks.join_all().await;
    assert!(contents.contains(&get(cx.driver(), &file).await), "the file is one of those committed, whole");

    // A writer that is thrown away leaves the other one alone.
    for end in 0..3 {
        let mut kept = direct(cx.driver(), &file).await;
        write(&mut kept, "kept ").await;
        let mut gone = first(cx.driver(), &file).await;
        write(&mut gone, "gone").await;
        match end {
            0 => gone.cancel().await.unwrap(),
            1 => drop(gone),
            _ => drop(close(gone, &file).await),
        }
        write(&mut kept, "whole").await;
        kept.commit(&file).await.unwrap();
        assert_file(cx.driver(), &file, &"kept whole".into()).await;
    }
    go_on(cx.driver(), &file).await.cancel().await.unwrap();
    stages_stay(cx, &other).await;
}

/// However a writer ends that has not resumed the stage, the stage is as it was.
async fn stages_stay(cx: &Context, other: &Driver) {
    let part = cx.part();
    let (file, elsewhere) = (cx.path("stays/file"), cx.path("elsewhere"));
    for (index, (kept, size)) in [(0, 10), (3, 0), (3, 3), (part, 10), (10, part)].into_iter().enumerate() {
        let mut content = sample::bytes(1, kept).to_vec();
        for end in ["commit", "commit elsewhere", "cancel", "drop", "close"] {
            // Opened before the stage was closed, or after it.
            let early = index % 2 == 0;
            let before = if early { Some(first(&**other, &file).await) } else { None };
            let staged = stage(cx.driver(), &file, content.clone()).await;
            let mut writers = vec![match before {
                Some(writer) => writer,
                None => first(&**other, &file).await,
            }];
            if end != "close" {
                writers.push(direct(&**other, &file).await);
            }
            for (seed, mut writer) in (2..).zip(writers) {
                let chunk = sample::bytes(seed, size);
                write(&mut writer, chunk.clone()).await;
                match end {
                    "commit" => writer.commit(&file).await.unwrap(),
                    "commit elsewhere" => writer.commit(&elsewhere).await.unwrap(),
                    "cancel" => writer.cancel().await.unwrap(),
                    "drop" => drop(writer),
                    _ => assert_eq!(kind(writer.close().await), ErrorKind::Conflict),
                }
                assert_staged(cx.driver(), &staged).await;
                assert_staged(&**other, &staged).await;
                match end {
                    "commit" => assert_file(cx.driver(), &file, &chunk).await,
                    "commit elsewhere" => assert_file(cx.driver(), &elsewhere, &chunk).await,
                    _ => assert_missing(cx.driver(), &file).await,
                }
            }
            let staged = append(cx.driver(), &staged, "more").await.unwrap();
            content.extend_from_slice(b"more");
            commit(cx.driver(), &staged, &file).await;
            assert_file(&**other, &file, &content.clone().into()).await;
            content.truncate(kept);
            forget(cx.driver(), &staged).await;
            let files = vec![file.clone(), elsewhere.clone()];
            cx.driver().delete_many(files, &[]).await.unwrap().into_result().unwrap();
        }
    }
}

/// Of writers that begin a stage, one is closed. The close of the others is a conflict, and the stage
/// that was kept stays.
pub async fn writer_first_close_creates(cx: &Context) {
    let part = cx.part();
    let other = cx.reopen().await;
    for (index, (winner, loser)) in
        [(3, 3), (3, 4), (0, 0), (0, 5), (5, 0), (10, part), (part, 10), (part, part)].into_iter().enumerate()
    {
        let file = cx.path(&format!("dir{index}/file"));
        let (kept, refused) = (sample::bytes(1, winner), sample::bytes(2, loser));
        let mut a = first(cx.driver(), &file).await;
        let mut b = first(&*other, &file).await;
        let mut early = first(cx.driver(), &file).await;
        write(&mut early, refused.clone()).await;
        write(&mut b, refused.clone()).await;
        write(&mut a, kept.clone()).await;
        let staged = close(a, &file).await;
        let mut late = first(cx.driver(), &file).await;
        write(&mut late, refused.clone()).await;
        for writer in [b, early, late] {
            assert_eq!(kind(writer.close().await), ErrorKind::Conflict, "{winner} {loser}");
            assert_staged(cx.driver(), &staged).await;
            assert_staged(&*other, &staged).await;
        }
        check_whole(&*other, staged, &kept).await;
        // Once the stage is gone, a new one can begin.
        let mut again = first(&*other, &file).await;
        write(&mut again, refused.clone()).await;
        let staged = close(again, &file).await;
        commit(cx.driver(), &staged, &file).await;
        assert_file(&*other, &file, &refused).await;
        forget(cx.driver(), &staged).await;
    }
    for (writers, rounds, size) in [(2, 10, 50_000), (8, 10, 10), (2, 3, part), (8, 2, part)] {
        for round in 0..rounds {
            let file = cx.path(&format!("race{writers}-{size}/{round}"));
            one_of(cx, &other, &file, writers, size).await;
        }
    }
    if !cx.driver().capabilities().create_only {
        cx.skip("concurrent first writers: the driver does not promise create-only writes");
    }
}

/// That many writers begin and close at the same time. One succeeds, and its bytes are found.
async fn one_of(cx: &Context, other: &Driver, file: &StoragePath, writers: u64, size: usize) {
    let begin = std::sync::Arc::new(tokio::sync::Barrier::new(writers as usize));
    let mut tasks = JoinSet::new();
    for seed in 0..writers {
        let (driver, file) = (if seed % 2 == 0 { cx.shared() } else { other.clone() }, file.clone());
        let begin = begin.clone();
        tasks.spawn(async move {
            // Two of each size, so that neither the size nor the order of closes is enough to tell them
            // apart.
            let content = sample::bytes(seed, size + seed as usize / 2);
            let mut writer = first(&*driver, &file).await;
            write(&mut writer, content.clone()).await;
            begin.wait().await;
            match writer.close().await {
                Ok(staged) => Some((staged, content)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
                    None
                }
            }
        });
    }
    let closed: Vec<(Staged, Bytes)> = tasks.join_all().await.into_iter().flatten().collect();
    assert!(!closed.is_empty(), "one of several first writers is closed");
    if cx.driver().capabilities().create_only {
        assert_eq!(closed.len(), 1, "exactly one of several first writers is closed");
    }
    let found = find(cx.driver(), file).await.expect("what was closed is found");
    let (staged, content) = closed.into_iter().find(|(staged, _)| staged.id == found.id).unwrap();
    assert_staged(&**other, &staged).await;
    check_whole(cx.driver(), staged, &content).await;
}

/// These bytes are staged: a writer that resumes them commits them whole. Leaves nothing.
async fn check_whole(driver: &dyn StorageDriver, staged: Staged, content: &Bytes) {
    let file = staged.path.clone();
    let mut writer = resume(driver, &staged).await;
    write(&mut writer, "end").await;
    writer.commit(&file).await.unwrap();
    assert_file(driver, &file, &[content, &b"end"[..]].concat().into()).await;
    assert_not_staged(driver, &file).await;
    driver.delete(&file).await.unwrap();
}

/// Everything written before a close is there for another instance, but not visible. A direct writer
/// keeps nothing.
pub async fn writer_close_is_durable_and_invisible(cx: &Context) {
    let part = cx.part();
    for (index, size) in [0, 1, 100_000, part].into_iter().enumerate() {
        let file = cx.path(&format!("dir{index}/file"));
        let content = sample::bytes(1, size);
        let first_instance = cx.reopen().await;
        let mut writer = first(&*first_instance, &file).await;
        for piece in content.chunks(1 << 20) {
            write(&mut writer, content.slice_ref(piece)).await;
        }
        let closed = close(writer, &file).await;
        drop(first_instance);
        let second = cx.reopen().await;
        assert_missing(&*second, &file).await;
        assert_staged(&*second, &closed).await;
        let writer = go_on(&*second, &file).await;
        assert_eq!(writer.size(), size as u64);
        writer.commit(&file).await.unwrap();
        assert_file(cx.driver(), &file, &content).await;
    }
    let file = cx.path("direct/file");
    let mut writer = direct(cx.driver(), &file).await;
    write(&mut writer, "kept by nobody").await;
    assert_eq!(kind(writer.close().await), ErrorKind::Other);
    assert_not_staged(cx.driver(), &file).await;
    assert_missing(cx.driver(), &file).await;
}

/// Each close of other bytes has a new identity, and so has each new stage, even of the same bytes.
pub async fn writer_close_gives_an_identity_of_its_own(cx: &Context) {
    let (file, other) = (cx.path("dir/file"), cx.reopen().await);
    let mut seen: Vec<Staged> = Vec::new();
    let note = |seen: &mut Vec<Staged>, staged: &Staged, what: &str| {
        assert!(seen.iter().all(|earlier| earlier.id != staged.id), "{what} has an identity of before");
        seen.push(staged.clone());
    };
    for round in 0..24 {
        let driver = if round % 3 == 0 { cx.driver() } else { &*other };
        let mut staged = stage(driver, &file, "same bytes").await;
        note(&mut seen, &staged, "a new stage");
        // A writer that was not closed does not give an identity.
        let mut torn = resume(&*other, &staged).await;
        write(&mut torn, "torn").await;
        drop(torn);
        assert_staged(cx.driver(), &staged).await;
        for chunk in ["more", "more", "m"] {
            let mut writer = resume(cx.driver(), &staged).await;
            write(&mut writer, chunk).await;
            staged = close(writer, &file).await;
            note(&mut seen, &staged, "a stage that was continued");
            assert_staged(&*cx.reopen().await, &staged).await;
        }
        // Without more bytes the identity may stay. `find_staged` returns the same as the close.
        let staged = close(resume(&*other, &staged).await, &file).await;
        let is_new = seen.iter().rev().skip(1).all(|earlier| earlier.id != staged.id);
        assert!(is_new, "{file}: a close without more bytes has the identity of an older stage");
        assert_staged(cx.driver(), &staged).await;
        // Ways in which a stage goes away. A filesystem gives its inode to the next file.
        match round % 4 {
            0 => resume(&*other, &staged).await.cancel().await.unwrap(),
            1 => {
                resume(cx.driver(), &staged).await.commit(&file).await.unwrap();
                cx.driver().delete(&file).await.unwrap();
            }
            2 => {
                commit(&*other, &staged, &file).await;
                forget(&*other, &staged).await;
                cx.driver().delete(&file).await.unwrap();
            }
            _ => {
                put(cx.driver(), &cx.path("dir/z"), "x").await;
                cx.driver().delete(&cx.path("dir")).await.unwrap();
            }
        }
    }
    let here = stage(cx.driver(), &file, "same bytes").await;
    note(&mut seen, &here, "the last one");
    let there = stage(cx.driver(), &cx.path("dir/file2"), "same bytes").await;
    note(&mut seen, &there, "one at another path");
    put(cx.driver(), &cx.path("dir/z"), "x").await;
}

/// After a cancel nothing is left to resume. The visible file stays.
pub async fn writer_cancel_leaves_nothing(cx: &Context) {
    let part = cx.part();
    let file = cx.path("dir/file");
    for visible in [false, true] {
        let content = Bytes::from("visible");
        if visible {
            put(cx.driver(), &file, content.clone()).await;
        }
        for step in 0..4 {
            let mut writer =
                if step == 0 { direct(cx.driver(), &file).await } else { first(cx.driver(), &file).await };
            write(&mut writer, sample::bytes(1, 300_000)).await;
            let mut closed = None;
            if step > 1 {
                let staged = close(writer, &file).await;
                writer = resume(&*cx.reopen().await, &staged).await;
                closed = Some(staged);
            }
            if step > 2 {
                write(&mut writer, sample::bytes(2, part)).await;
            }
            writer.cancel().await.unwrap();
            assert_not_staged(cx.driver(), &file).await;
            if let Some(staged) = closed {
                assert_refused(&append(cx.driver(), &staged, "x").await.unwrap_err());
            }
            if visible {
                assert_file(cx.driver(), &file, &content).await;
                assert_eq!(names(cx.driver(), &cx.path("dir"), None).await, ["file"]);
            } else {
                assert_missing(cx.driver(), &file).await;
                assert_missing(cx.driver(), &cx.path("dir")).await;
            }
        }
    }
}

/// A commit makes exactly `size` bytes visible, all at once, also for zero bytes.
pub async fn writer_commit_is_visible_and_whole(cx: &Context) {
    let part = cx.part();
    let other = cx.reopen().await;
    for (index, sizes) in [vec![], vec![0], vec![1], vec![0, 5, 0], vec![65_536; 9], vec![part, 1, part - 5]]
        .into_iter()
        .enumerate()
    {
        for in_one_go in [true, false] {
            let file = cx.path(&format!("dir{index}-{in_one_go}/sub/file"));
            let mut content = Vec::new();
            let mut writer =
                if in_one_go { direct(cx.driver(), &file).await } else { first(cx.driver(), &file).await };
            for (seed, size) in (0..).zip(&sizes) {
                let chunk = sample::bytes(seed, *size);
                content.extend_from_slice(&chunk);
                write(&mut writer, chunk).await;
            }
            assert_eq!(writer.size(), content.len() as u64);
            writer.commit(&file).await.unwrap();
            let content = content.into();
            assert_file(&*other, &file, &content).await;
            assert_file(cx.driver(), &file, &content).await;
            assert_eq!(names(cx.driver(), &file.parent().unwrap(), None).await, ["file"]);
            assert_not_staged(cx.driver(), &file).await;
        }
    }
    // The size is only a hint.
    for expected in [0, 3, 10, 100 << 20] {
        let file = cx.path("hint");
        let mode = WriteMode::Direct { size: Some(expected) };
        let mut writer = cx.driver().writer(&file, mode).await.unwrap();
        write(&mut writer, "12345").await;
        writer.commit(&file).await.unwrap();
        assert_file(cx.driver(), &file, &"12345".into()).await;
    }
}

/// The bytes are visible there, whole. Nothing is left at the writer's own path.
pub async fn writer_commit_to_another_path(cx: &Context) {
    let part = cx.part();
    for (index, size) in [0, 1, 300_000, part + 1].into_iter().enumerate() {
        let own = cx.path(&format!("uploads{index}/1/data"));
        let content = sample::bytes(index as u64, size);
        for (step, target) in ["blobs/a/data", "blobs/a/data", "blobs/b", "blobs/b"].into_iter().enumerate() {
            let target = cx.path(&format!("{index}/{target}"));
            let content = content.slice(..size.saturating_sub(step));
            let mut writer: Writer =
                if step == 0 { direct(cx.driver(), &own).await } else { first(cx.driver(), &own).await };
            write(&mut writer, content.clone()).await;
            if step > 1 {
                let staged = close(writer, &own).await;
                writer = resume(&*cx.reopen().await, &staged).await;
            }
            writer.commit(&target).await.unwrap();
            assert_file(cx.driver(), &target, &content).await;
            assert_missing(cx.driver(), &own).await;
            assert_missing(cx.driver(), &cx.path(&format!("uploads{index}"))).await;
            assert_not_staged(cx.driver(), &own).await;
            assert_not_staged(cx.driver(), &target).await;
        }
        assert_eq!(
            walked(cx.driver(), &cx.path(&index.to_string()), None).await,
            ["blobs/a/data", "blobs/b"]
        );
    }
    let own = cx.path("own");
    write_file(cx.driver(), &own, "same").await;
    assert_file(cx.driver(), &own, &"same".into()).await;
}
