//! Writers and calls that end early: dropped, failed, in the middle of anything.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use plugin_registry_core::{
    ByteRange, Checked, ErrorKind, PutMode, StorageDriver, StorageDriverExt, WriteOptions,
};

use super::{
    Context,
    context::{
        assert_file, assert_missing, create, drain, get, kind, names, pause, put, read_all, resume, stage,
        walked, write, write_file,
    },
    faulty::{Fault, Faulty},
    sample,
};

/// Polls a future so many times, then drops it; its output if it was done by then.
async fn poll_then_drop<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for poll in 0..polls {
        // Every other time at once, else after the threads and sockets below had time to go on.
        if poll % 2 == 1 {
            pause(1).await;
        }
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
    }
    None
}

/// Nothing is visible of a writer that was dropped, at any size, and nothing is in the way of the next.
pub async fn dropped_writer_leaves_nothing_visible(cx: &Context) {
    for (index, size) in [0, 1, 100_000, (6 << 20) + 1].into_iter().enumerate() {
        let file = cx.path(&format!("dir{index}/file"));
        let mut writer = create(cx.driver(), &file).await;
        for piece in sample::bytes(1, size).chunks(1 << 20) {
            write(&mut writer, Bytes::copy_from_slice(piece)).await;
        }
        drop(writer);
        assert_missing(cx.driver(), &file).await;
        write_file(cx.driver(), &file, "next").await;
        assert_file(cx.driver(), &file, &"next".into()).await;
        assert_eq!(names(cx.driver(), &file.parent().unwrap(), None).await, ["file"]);
        let mut writer = create(cx.driver(), &file).await;
        write(&mut writer, sample::bytes(2, size)).await;
        drop(writer);
        assert_file(&*cx.reopen().await, &file, &"next".into()).await;
    }
}

/// A `put_content`, `rename` or `delete` that is dropped anywhere has happened as a whole or not at all, and holds nothing.
pub async fn dropped_calls_leave_the_old_or_the_new(cx: &Context) {
    let (old, new) = (sample::bytes(1, 100_000), sample::bytes(2, 2 << 20));
    for polls in 0..12 {
        let file = cx.path(&format!("put{polls}/file"));
        put(cx.driver(), &file, old.clone()).await;
        for content in [new.clone(), Bytes::from("tiny")] {
            poll_then_drop(cx.driver().put_content(&file, content, PutMode::Overwrite), polls).await;
        }
        let found = get(cx.driver(), &file).await;
        assert!(found == old || found == new || found == "tiny", "{} bytes after {polls} polls", found.len());
        assert_eq!(names(cx.driver(), &file.parent().unwrap(), None).await, ["file"], "nothing beside it");
        write_file(cx.driver(), &cx.path(&format!("put{polls}/next")), "x").await;

        let created = cx.path(&format!("created{polls}/file"));
        poll_then_drop(cx.driver().put_content(&created, new.clone(), PutMode::CreateOnly), polls).await;
        if let Some(found) = cx.driver().get_optional(&created, 64 << 20).await.unwrap() {
            assert!(found == new);
        }

        let (from, to) = (cx.path(&format!("from{polls}")), cx.path(&format!("to{polls}/file")));
        put(cx.driver(), &from, new.clone()).await;
        put(cx.driver(), &to, old.clone()).await;
        poll_then_drop(cx.driver().rename(&from, &to), polls).await;
        // A dropped call may still be under way in the store; what is read is one of the two.
        let found = get(cx.driver(), &to).await;
        assert!(found == old || found == new);
        if let Some(source) = cx.driver().get_optional(&from, 64 << 20).await.unwrap() {
            assert!(source == new);
        } else {
            assert!(get(cx.driver(), &to).await == new, "never none");
        }

        poll_then_drop(cx.driver().delete(&file), polls).await;
        if let Some(found) = cx.driver().get_optional(&file, 64 << 20).await.unwrap() {
            assert!(found == old || found == new || found == "tiny");
        }
        poll_then_drop(cx.driver().delete_many(vec![to.clone(), from.clone()]), polls).await;
        cx.driver().delete_if_exists(&cx.path(&format!("put{polls}"))).await.unwrap();
        // What a dropped call left under way comes to its end before the next round and before the test's.
        cx.settle().await;
    }
}

/// A writer whose call is dropped anywhere commits the whole file or nothing, and frees its stage.
pub async fn dropped_writer_calls_leave_all_or_nothing(cx: &Context) {
    let content = sample::bytes(3, 3 << 20);
    for polls in 0..12 {
        // While opening.
        let file = cx.path(&format!("open{polls}/file"));
        poll_then_drop(cx.driver().writer(&file, WriteOptions::create()), polls).await;
        assert_missing(cx.driver(), &file).await;

        // In a write: the writer is spoilt, the stage of the last close is not.
        let file = cx.path(&format!("write{polls}/file"));
        stage(cx.driver(), &file, "begin").await;
        let mut writer = resume(cx.driver(), &file).await;
        let written = poll_then_drop(writer.write(content.clone()), polls).await;
        if written.is_none() && polls > 0 {
            writer.write("more".into()).await.expect_err("the first failure is final");
            assert!(polls % 2 == 0 || writer.commit().await.is_err(), "and nothing is ever committed");
        } else {
            drop(writer);
        }
        assert_missing(cx.driver(), &file).await;
        let mut writer = resume(&*cx.reopen().await, &file).await;
        assert_eq!(writer.size(), 5);
        write(&mut writer, " end").await;

        // In a close: the old size or the new.
        poll_then_drop(writer.close(), polls).await;
        cx.settle().await;
        let mut writer = resume(cx.driver(), &file).await;
        assert!([5, 9].contains(&writer.size()), "{} bytes closed", writer.size());
        let begin = Bytes::from(if writer.size() == 5 { "begin" } else { "begin end" });
        let whole = Bytes::from([&*begin, &*content].concat());
        write(&mut writer, content.clone()).await;

        // In a commit: all or nothing; the stage is used up or as it was closed.
        poll_then_drop(writer.commit(), polls).await;
        // What was on its way to another process when it was dropped may still be done there.
        cx.settle().await;
        match cx.driver().get_optional(&file, 64 << 20).await.unwrap() {
            Some(found) => assert!(found == whole, "{} bytes after {polls} polls", found.len()),
            None => {
                let writer = resume(cx.driver(), &file).await;
                assert!([begin.len(), whole.len()].contains(&(writer.size() as usize)));
                writer.cancel().await.unwrap();
            }
        }
        write_file(cx.driver(), &file, "next").await;
        assert_file(cx.driver(), &file, &"next".into()).await;
        assert_eq!(names(cx.driver(), &file.parent().unwrap(), None).await, ["file"]);
    }
}

/// Streams may be dropped after any number of items, and hold nothing.
pub async fn dropped_streams_hold_nothing(cx: &Context) {
    cx.put_all(&["a/1", "a/2", "b/_m/3", "b/c/_m/4", "c"]).await;
    let large = cx.path("large");
    write_file(cx.driver(), &large, sample::bytes(1, 8 << 20)).await;
    for items in 0..5 {
        let base = cx.base();
        cx.driver().list(base, None).take(items).try_collect::<Vec<_>>().await.unwrap();
        cx.driver().walk(base, None).take(items).try_collect::<Vec<_>>().await.unwrap();
        cx.driver().list_marked(base, "_", None).take(items).try_collect::<Vec<_>>().await.unwrap();
        poll_then_drop(cx.driver().walk(base, None).try_collect::<Vec<_>>(), items).await;
        poll_then_drop(cx.driver().reader(&large, ByteRange::full()), items).await;
        let reader = cx.driver().reader(&large, ByteRange::from(items as u64)).await.unwrap();
        reader.into_stream().take(items).try_collect::<Vec<_>>().await.unwrap();
        let reader = cx.driver().reader(&large, ByteRange::full()).await.unwrap();
        poll_then_drop(drain(reader), items).await;
    }
    assert_eq!(read_all(cx.driver(), &large).await.len(), 8 << 20);
    cx.driver().delete(&large).await.unwrap();
    assert_missing(cx.driver(), &large).await;
}

/// A write that failed, or was given up, spoils the writer for good: what follows it is never committed.
pub async fn failed_write_is_never_committed(cx: &Context) {
    let other = cx.path("target");
    for fault in [Fault::Write(0), Fault::Write(1), Fault::StuckWrite(0), Fault::StuckWrite(1)] {
        for end in 0..4 {
            let faulty = Checked::new(Arc::new(Faulty::new(cx.shared(), fault)));
            let file = cx.path(&format!("{fault:?}-{end}/file").replace(['(', ')'], "_"));
            let mut writer = create(&faulty, &file).await;
            let mut failures = 0;
            for chunk in ["one", "two", "three"] {
                // A stuck write is given up after a few polls, as a host with a deadline would.
                failures += usize::from(!matches!(
                    poll_then_drop(writer.write(chunk.into()), 40).await,
                    Some(Ok(()))
                ));
            }
            let after_the_fault = if matches!(fault, Fault::Write(0) | Fault::StuckWrite(0)) { 3 } else { 2 };
            assert_eq!(failures, after_the_fault, "every write after the first failure fails");
            match end {
                0 => drop(writer.commit().await.expect_err("nothing truncated is committed")),
                1 => drop(writer.commit_to(&other).await.expect_err("nor elsewhere")),
                2 => drop(writer.close().await.expect_err("nor kept")),
                _ => writer.cancel().await.unwrap(),
            }
            assert_missing(cx.driver(), &file).await;
            assert_missing(cx.driver(), &other).await;
            let resumed = cx.driver().writer(&file, WriteOptions::resume()).await;
            assert_eq!(kind(resumed), ErrorKind::NotFound, "{fault:?} {end}");
        }
    }
    assert!(!cx.driver().exists(cx.base()).await.unwrap(), "nothing of all this is in the store");
    put(cx.driver(), &cx.path("file"), "x").await;
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["file"]);
}
