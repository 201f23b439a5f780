//! `writer` in [`WriteMode::Resume`].

use bytes::Bytes;
use plugin_registry_core::{ErrorKind, Result, Staged, StorageDriver, StoragePath, WriteMode};

use super::{
    Context,
    context::{
        Driver, Writer, append, assert_file, assert_missing, assert_not_staged, assert_refused,
        assert_staged, close, commit, direct, find, first, forget, get, go_on, kind, names, pause,
        poll_then_drop, resume, stage, write,
    },
    sample,
};

async fn open(driver: &dyn StorageDriver, staged: &Staged) -> Result<Writer> {
    driver.writer(&staged.path, WriteMode::Resume(staged.clone())).await
}

/// A resumed writer starts at exactly the size of the last close, in any instance, for chunks of any size.
pub async fn writer_resume_goes_on_after_exactly_these(cx: &Context) {
    let part = cx.part();
    let instances = [cx.reopen().await, cx.shared()];
    for (name, sizes) in [
        ("small", &[1, 2, 3, 0, 5][..]),
        ("mixed", &[1, 100_000, 0, (5 << 20) + 3, 17, 65_536][..]),
        ("parts", &[part, 1, part][..]),
    ] {
        let file = cx.path(&format!("{name}/file"));
        let mut staged = stage(cx.driver(), &file, "").await;
        let mut content = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            let driver = &*instances[index % 2];
            // Alternates between the value that the close returned and one that was found.
            if index % 3 == 1 {
                staged = driver.find_staged(&file).await.unwrap();
            }
            let mut writer = resume(driver, &staged).await;
            assert_eq!(writer.size(), content.len() as u64);
            let chunk = sample::bytes(index as u64, *size);
            content.extend_from_slice(&chunk);
            // Two writes of unequal sizes.
            write(&mut writer, chunk.slice(..size / 3)).await;
            write(&mut writer, chunk.slice(size / 3..)).await;
            staged = close(writer, &file).await;
            assert_staged(&*instances[(index + 1) % 2], &staged).await;
        }
        let writer = resume(&*instances[0], &staged).await;
        assert_eq!(writer.size(), content.len() as u64);
        writer.commit(&file).await.unwrap();
        assert_file(cx.driver(), &file, &content.into()).await;
        assert_not_staged(cx.driver(), &file).await;
        assert_refused(&append(cx.driver(), &staged, "x").await.expect_err("a commit uses the stage up"));
    }
}

/// Bytes of a writer that was dropped before its close do not count, even after several such writers.
pub async fn writer_resume_cuts_a_torn_tail(cx: &Context) {
    let part = cx.part();
    let other = cx.reopen().await;
    for (index, (kept, torn)) in
        [(0, 10), (1, 1), (100_000, 7), (100_000, part), (part, part), (part, 2 * part)]
            .into_iter()
            .enumerate()
    {
        let file = cx.path(&format!("dir{index}/file"));
        let mut content = sample::bytes(1, kept).to_vec();
        let staged = stage(cx.driver(), &file, content.clone()).await;
        for (seed, driver) in [(2, &*other), (3, cx.driver()), (4, &*other)] {
            let mut writer = resume(driver, &staged).await;
            for piece in sample::bytes(seed, torn).chunks(1 << 20) {
                write(&mut writer, Bytes::copy_from_slice(piece)).await;
            }
            drop(writer);
            assert_staged(cx.driver(), &staged).await;
        }
        let mut writer = go_on(&*other, &file).await;
        assert_eq!(writer.size(), kept as u64, "torn bytes do not count");
        let end = sample::bytes(5, torn / 2 + 1);
        content.extend_from_slice(&end);
        write(&mut writer, end).await;
        let staged = close(writer, &file).await;
        let mut writer = resume(cx.driver(), &staged).await;
        write(&mut writer, "!").await;
        content.push(b'!');
        writer.commit(&file).await.unwrap();
        assert_file(cx.driver(), &file, &content.into()).await;
        assert_not_staged(cx.driver(), &file).await;
        assert_eq!(names(cx.driver(), &file.parent().unwrap(), None).await, ["file"]);
    }
}

/// Changes of a stage while a caller still holds its value.
pub(super) const CHANGES: [&str; 8] = [
    "continued",
    "replaced",
    "cancelled",
    "committed",
    "committed as it was",
    "deleted with its path",
    "deleted by its value",
    "deleted by its age",
];

/// Changes a stage. Returns what is staged now, or the error if an open writer is in the way.
pub(super) async fn change(
    driver: &dyn StorageDriver,
    staged: &Staged,
    content: &Bytes,
    how: &str,
    elsewhere: &StoragePath,
) -> Result<Option<(Staged, Bytes)>> {
    let path = &staged.path;
    match how {
        "continued" => {
            let continued = append(driver, staged, "d").await?;
            return Ok(Some((continued, [&**content, b"d"].concat().into())));
        }
        "replaced" => {
            driver.delete_many(Vec::new(), std::slice::from_ref(staged)).await?.into_result()?;
            if find(driver, path).await.is_some() {
                return Err(ErrorKind::Conflict.into());
            }
            let content = sample::bytes(77, content.len());
            return Ok(Some((stage(driver, path, content.clone()).await, content)));
        }
        "cancelled" => open(driver, staged).await?.cancel().await?,
        "committed" => open(driver, staged).await?.commit(elsewhere).await?,
        "committed as it was" => {
            driver.commit_staged(staged, elsewhere).await?;
            driver.delete_many(Vec::new(), std::slice::from_ref(staged)).await?.into_result()?;
        }
        // The path may be missing if the stage was all it had.
        "deleted with its path" => match driver.delete(path).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        },
        "deleted by its value" => {
            driver.delete_many(Vec::new(), std::slice::from_ref(staged)).await?.into_result()?;
        }
        "deleted by its age" => {
            let later = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
            driver.delete_staged(path, later).await?;
        }
        _ => unreachable!("{how}"),
    }
    Ok(None)
}

/// Nothing of it is taken back: after a change, the stage is either whole or gone. Leaves nothing.
pub(super) async fn check_after(
    cx: &Context,
    driver: &dyn StorageDriver,
    path: &StoragePath,
    now: Option<(Staged, Bytes)>,
) {
    let whole = cx.path("whole");
    match now {
        Some((staged, content)) => {
            assert_staged(driver, &staged).await;
            commit(driver, &staged, &whole).await;
            assert_file(driver, &whole, &content).await;
            forget(driver, &staged).await;
        }
        None => assert_not_staged(driver, path).await,
    }
    let rests = ["whole", "dir/else", "dir/target"].map(|rest| cx.path(rest));
    driver.delete_many(rests.to_vec(), &[]).await.unwrap().into_result().unwrap();
}

#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    Commit,
    CommitElsewhere,
}

/// Ends a writer. Any of the calls may refuse.
async fn end(
    mut writer: Writer,
    chunk: Bytes,
    end: End,
    own: &StoragePath,
    target: &StoragePath,
) -> Result<()> {
    if !chunk.is_empty() {
        writer.write(chunk).await?;
    }
    match end {
        End::Close => writer.close().await.map(drop),
        End::Commit => writer.commit(own).await,
        End::CommitElsewhere => writer.commit(target).await,
    }
}

/// A writer that resumes bytes which are gone is refused, when it is opened or when it ends.
///
/// It may have been opened before the change or after it. Nothing becomes visible, and what the change
/// left is not touched.
pub async fn writer_resume_of_what_is_gone_is_refused(cx: &Context) {
    let part = cx.part();
    let other = cx.reopen().await;
    let (file, target) = (cx.path("up/file"), cx.path("dir/target"));
    for how in CHANGES {
        for ending in [End::Close, End::Commit, End::CommitElsewhere] {
            for (kept, more) in [(3, 0), (0, 10), (3, 10), (part, part)] {
                for (before, written) in [(false, false), (true, false), (true, true)] {
                    if kept == part && (before != written || matches!(ending, End::Commit)) {
                        continue;
                    }
                    let (content, chunk) = (sample::bytes(1, kept), sample::bytes(2, more));
                    let staged = stage(cx.driver(), &file, content.clone()).await;
                    let mut early = None;
                    if before {
                        let mut writer = resume(cx.driver(), &staged).await;
                        if written {
                            write(&mut writer, chunk.clone()).await;
                        }
                        early = Some(writer);
                    }
                    let changed = change(&*other, &staged, &content, how, &cx.path("dir/else")).await;
                    // A driver may refuse to change a stage that an open writer has resumed.
                    let blocks_repair = match &changed {
                        Ok(Some(_)) => false,
                        _ => find(&*other, &file).await.is_some(),
                    };
                    if blocks_repair {
                        assert!(before, "{how}: {changed:?}");
                        drop(early);
                        forget(&*other, &staged).await;
                        check_after(cx, &*other, &file, None).await;
                        continue;
                    }
                    let outcome = match early {
                        Some(writer) => end(writer, chunk, ending, &file, &target).await,
                        None => match open(cx.driver(), &staged).await {
                            Ok(writer) => end(writer, chunk, ending, &file, &target).await,
                            Err(error) => Err(error),
                        },
                    };
                    let case = format!("{how}, {ending:?}, {kept} + {more}, before: {before}, {written}");
                    let refusal = outcome.expect_err(&case);
                    // For a part of an upload that was ended meanwhile, moto answers 500.
                    if !(written && kept == part && refusal.kind() == ErrorKind::Unavailable) {
                        assert_refused(&refusal);
                    }
                    assert_missing(cx.driver(), &file).await;
                    assert_missing(cx.driver(), &target).await;
                    check_after(cx, &*other, &file, changed.unwrap()).await;
                }
            }
        }
    }
}

/// Of two writers that resume the same bytes one is closed, whole.
///
/// The other one is refused when it is opened, or at its close. However a writer ends, another one may go on.
pub async fn writer_resume_is_exclusive(cx: &Context) {
    let part = cx.part();
    let other = cx.reopen().await;
    for (index, (kept, one, two)) in [
        (3, 1, 2),
        (3, 1, 1),
        (0, 5, 5),
        (10, part, part),
        (10, part, 10),
        (10, 10, part),
        (part, part, part),
        (part, 2 * part + 5, part),
        (part, 10, 3 * part),
    ]
    .into_iter()
    .enumerate()
    {
        let file = cx.path(&format!("two{index}/file"));
        two_close(cx, &other, &file, kept, [one, two]).await;
    }
    nothing_more(cx, &other).await;
    others_go_on(cx, &other).await;
    dropped_amid(cx, &other).await;
    race(cx, other).await;
}

/// Both write and close, in either order. Exactly one succeeds.
async fn two_close(cx: &Context, other: &Driver, file: &StoragePath, kept: usize, sizes: [usize; 2]) {
    for reversed in [false, true] {
        let content = sample::bytes(1, kept);
        let chunks = [sample::bytes(2, sizes[0]), sample::bytes(3, sizes[1])];
        let staged = stage(cx.driver(), file, content.clone()).await;
        let mut writers = [open(cx.driver(), &staged).await, open(&**other, &staged).await];
        assert!(writers[0].is_ok(), "nobody is in the way of the first: {writers:?}");
        for offset in (0..sizes[0].max(sizes[1])).step_by(1 << 20) {
            for (writer, chunk) in writers.iter_mut().zip(&chunks) {
                let piece = chunk.slice(offset.min(chunk.len())..chunk.len().min(offset + (1 << 20)));
                if let Ok(open) = writer
                    && !piece.is_empty()
                    && let Err(error) = open.write(piece).await
                {
                    *writer = Err(error);
                }
            }
        }
        let mut ends: Vec<_> = writers.into_iter().zip(&chunks).collect();
        if reversed {
            ends.reverse();
        }
        let mut closed = Vec::new();
        for (writer, chunk) in ends {
            let outcome = match writer {
                Ok(writer) => writer.close().await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(staged) => closed.push((staged, chunk)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
            }
        }
        assert_eq!(closed.len(), 1, "one of two is closed: {kept} bytes and {sizes:?} more");
        let (staged, chunk) = closed.pop().unwrap();
        assert_staged(cx.driver(), &staged).await;
        assert_staged(&**other, &staged).await;
        let whole: Bytes = [&*content, chunk].concat().into();
        commit(&**other, &staged, file).await;
        assert_file(cx.driver(), file, &whole).await;
        cx.driver().delete(file).await.unwrap();
        forget(cx.driver(), &staged).await;
    }
}

/// A writer that has nothing to add is refused as well once the other one has closed.
async fn nothing_more(cx: &Context, other: &Driver) {
    let file = cx.path("nothing/file");
    let staged = stage(cx.driver(), &file, "abc").await;
    let mut winner = resume(cx.driver(), &staged).await;
    let loser = open(&**other, &staged).await;
    write(&mut winner, "d").await;
    let closed = close(winner, &file).await;
    let refused = match loser {
        Ok(loser) => loser.close().await.map(drop),
        Err(error) => Err(error),
    };
    assert_eq!(kind(refused), ErrorKind::Conflict);
    assert_staged(&**other, &closed).await;
    resume(&**other, &closed).await.commit(&file).await.unwrap();
    assert_file(cx.driver(), &file, &"abcd".into()).await;
}

/// After each way in which a writer ends, another writer goes on. Writers of other paths, and new writers of
/// the same path, work beside an open one.
async fn others_go_on(cx: &Context, other: &Driver) {
    let file = cx.path("next/file");
    let staged = stage(cx.driver(), &file, "abc").await;
    let mut writer = resume(cx.driver(), &staged).await;
    write(&mut writer, "torn").await;
    drop(writer);
    let mut writer = resume(&**other, &staged).await;
    write(&mut writer, "d").await;
    let staged = close(writer, &file).await;
    let writer = resume(cx.driver(), &staged).await;
    direct(cx.driver(), &file).await.cancel().await.unwrap();
    drop(first(&**other, &file).await);
    let beside = stage(cx.driver(), &cx.path("next/file2"), "x").await;
    resume(&**other, &beside).await.cancel().await.unwrap();
    writer.commit(&file).await.unwrap();
    assert_file(cx.driver(), &file, &"abcd".into()).await;
    assert_not_staged(&**other, &file).await;
    let staged = stage(&**other, &file, "anew").await;
    resume(cx.driver(), &staged).await.cancel().await.unwrap();
}

/// One of two is dropped while it sends a part, before or after the other closes.
async fn dropped_amid(cx: &Context, other: &Driver) {
    let part = cx.part();
    for polls in 1..9 {
        for after_the_close in [false, true] {
            let file = cx.path(&format!("amid{polls}-{after_the_close}/file"));
            let mut content = sample::bytes(1, if polls % 2 == 0 { part } else { 10 }).to_vec();
            let mut staged = stage(cx.driver(), &file, content.clone()).await;
            let (more, torn) = (sample::bytes(2, part), sample::bytes(3, part));
            // If the driver locks, only the writer that is opened first succeeds.
            let (stays, goes) = if polls % 4 < 2 {
                let stays = open(cx.driver(), &staged).await;
                (stays, open(&**other, &staged).await)
            } else {
                let goes = open(&**other, &staged).await;
                (open(cx.driver(), &staged).await, goes)
            };
            assert!(stays.is_ok() || goes.is_ok(), "{stays:?} {goes:?}");
            let finish = async |stays: Result<Writer>| {
                let mut writer = stays?;
                writer.write(more.clone()).await?;
                writer.close().await
            };
            let tear = async |goes: Result<Writer>| {
                if let Ok(mut writer) = goes {
                    poll_then_drop(writer.write(torn.clone()), polls).await;
                }
            };
            let outcome = if after_the_close {
                let outcome = finish(stays).await;
                tear(goes).await;
                outcome
            } else {
                tear(goes).await;
                finish(stays).await
            };
            let note = |outcome: Result<Staged>, staged: &mut Staged, content: &mut Vec<u8>| match outcome {
                Ok(closed) => {
                    *staged = closed;
                    content.extend_from_slice(&more);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
            };
            note(outcome, &mut staged, &mut content);
            assert_staged(cx.driver(), &staged).await;
            // Let requests that are still in flight arrive.
            cx.settle().await;
            assert_staged(&**other, &staged).await;
            let mut writer = resume(cx.driver(), &staged).await;
            write(&mut writer, more.clone()).await;
            note(Ok(close(writer, &file).await), &mut staged, &mut content);
            commit(&**other, &staged, &file).await;
            assert_file(cx.driver(), &file, &content.into()).await;
            cx.driver().delete(&file).await.unwrap();
            forget(cx.driver(), &staged).await;
        }
    }
}

/// Many writers try to resume at the same time. The bytes that each one appends and closes count exactly
/// once.
async fn race(cx: &Context, other: Driver) {
    let file = cx.path("race/file");
    stage(cx.driver(), &file, "").await;
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..6_u8 {
        let (driver, file) = (if index % 2 == 0 { cx.shared() } else { other.clone() }, file.clone());
        tasks.spawn(async move {
            let mut closed = 0;
            while closed < 5 {
                let staged = driver.find_staged(&file).await.unwrap();
                match append(&*driver, &staged, vec![index; 10]).await {
                    Ok(more) => {
                        assert_eq!(more.size, staged.size + 10);
                        closed += 1;
                    }
                    Err(error) => assert_refused(&error),
                }
                pause(1).await;
            }
        });
    }
    tasks.join_all().await;
    go_on(cx.driver(), &file).await.commit(&file).await.unwrap();
    let content = get(cx.driver(), &file).await;
    assert_eq!(content.len(), 6 * 5 * 10);
    for index in 0..6 {
        assert_eq!(content.iter().filter(|byte| **byte == index).count(), 50);
    }
}
