//! Writers and calls that end early: dropped or failed, in the middle of anything.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use plugin_registry_core::{ByteRange, Checked, PutMode, Staged, StorageDriver, StorageDriverExt, WriteMode};

use super::{
    Context,
    context::{
        assert_bytes, assert_file, assert_missing, assert_not_staged, assert_staged, commit, direct, drain,
        find, first, forget, get, go_on, names, poll_then_drop, put, read_all, resume, stage, walked, write,
        write_file,
    },
    faulty::{Fault, Faulty},
    sample,
};

/// A dropped writer of any size leaves nothing visible, and does not hinder the next writer.
pub async fn dropped_writer_leaves_nothing_visible(cx: &Context) {
    let part = cx.part();
    for (index, size) in [0, 1, 100_000, part + 1].into_iter().enumerate() {
        for in_one_go in [true, false] {
            let file = cx.path(&format!("dir{index}-{in_one_go}/file"));
            let open = async || {
                if in_one_go { direct(cx.driver(), &file).await } else { first(cx.driver(), &file).await }
            };
            let mut writer = open().await;
            for piece in sample::bytes(1, size).chunks(1 << 20) {
                write(&mut writer, Bytes::copy_from_slice(piece)).await;
            }
            drop(writer);
            assert_missing(cx.driver(), &file).await;
            assert_not_staged(cx.driver(), &file).await;
            write_file(cx.driver(), &file, "next").await;
            assert_file(cx.driver(), &file, &"next".into()).await;
            assert_eq!(names(cx.driver(), &file.parent().unwrap(), None).await, ["file"]);
            let mut writer = open().await;
            write(&mut writer, sample::bytes(2, size)).await;
            drop(writer);
            assert_file(&*cx.reopen().await, &file, &"next".into()).await;
            let staged = stage(cx.driver(), &file, "staged").await;
            commit(&*cx.reopen().await, &staged, &file).await;
            assert_file(cx.driver(), &file, &"staged".into()).await;
            forget(cx.driver(), &staged).await;
        }
    }
}

/// A `put_content`, `commit_staged` or `delete` that is dropped at any point takes effect as a whole or
/// not at all, and holds nothing.
pub async fn dropped_calls_leave_the_old_or_the_new(cx: &Context) {
    let (old, new) = (sample::bytes(1, 100_000), sample::bytes(2, 2 << 20));
    for polls in 0..12 {
        let file = cx.path(&format!("put{polls}/file"));
        put(cx.driver(), &file, old.clone()).await;
        for content in [new.clone(), Bytes::from("tiny")] {
            poll_then_drop(cx.driver().put_content(&file, content, PutMode::Overwrite), polls).await;
        }
        let found = get(cx.driver(), &file).await;
        assert!(
            found == old || found == new || found == "tiny",
            "{file}: {} bytes after {polls} polls",
            found.len()
        );
        assert_eq!(names(cx.driver(), &file.parent().unwrap(), None).await, ["file"], "nothing beside it");
        write_file(cx.driver(), &cx.path(&format!("put{polls}/next")), "x").await;

        let created = cx.path(&format!("created{polls}/file"));
        poll_then_drop(cx.driver().put_content(&created, new.clone(), PutMode::CreateOnly), polls).await;
        if let Some(found) = cx.driver().get_optional(&created, 64 << 20).await.unwrap() {
            assert_bytes("get_content", &created, &found, &new);
        }

        let (from, to) = (cx.path(&format!("from{polls}/file")), cx.path(&format!("to{polls}/file")));
        let staged = stage(cx.driver(), &from, new.clone()).await;
        put(cx.driver(), &to, old.clone()).await;
        poll_then_drop(cx.driver().commit_staged(&staged, &to), polls).await;
        // A dropped call may still be running in the store. A read returns one of the two contents.
        let found = get(cx.driver(), &to).await;
        assert!(found == old || found == new, "{to}: {} bytes after {polls} polls", found.len());
        cx.settle().await;
        match find(cx.driver(), &from).await {
            Some(found) => {
                assert_eq!(found.id, staged.id);
                commit(cx.driver(), &staged, &to).await;
            }
            None => assert_bytes("get_content", &to, &get(cx.driver(), &to).await, &new),
        }
        assert_file(cx.driver(), &to, &new).await;
        assert_eq!(names(cx.driver(), &to.parent().unwrap(), None).await, ["file"], "nothing beside it");
        forget(cx.driver(), &staged).await;

        poll_then_drop(cx.driver().delete(&file), polls).await;
        if let Some(found) = cx.driver().get_optional(&file, 64 << 20).await.unwrap() {
            let is_whole = found == old || found == new || found == "tiny";
            assert!(is_whole, "{file}: {} bytes after {polls} polls of its delete", found.len());
        }
        let staged = stage(cx.driver(), &from, "staged").await;
        let stages = std::slice::from_ref(&staged);
        poll_then_drop(cx.driver().delete_many(vec![to.clone()], stages), polls).await;
        if let Some(found) = find(cx.driver(), &from).await {
            assert_eq!(found.id, staged.id);
        }
        cx.driver().delete_if_exists(&cx.path(&format!("put{polls}"))).await.unwrap();
        // Work that a dropped call left running ends before the next round, and before the test ends.
        cx.settle().await;
        forget(cx.driver(), &staged).await;
        assert_not_staged(cx.driver(), &from).await;
    }
}

/// A writer whose call is dropped at any point commits the whole file or nothing, and frees its stage.
pub async fn dropped_writer_calls_leave_all_or_nothing(cx: &Context) {
    let content = sample::bytes(3, 3 << 20);
    for polls in 0..12 {
        // While opening.
        let file = cx.path(&format!("open{polls}/file"));
        for mode in [WriteMode::direct(), WriteMode::Stage] {
            poll_then_drop(cx.driver().writer(&file, mode), polls).await;
            assert_missing(cx.driver(), &file).await;
            assert_not_staged(cx.driver(), &file).await;
        }

        // In the first close: all or nothing.
        let file = cx.path(&format!("first{polls}/file"));
        let mut writer = first(cx.driver(), &file).await;
        write(&mut writer, content.clone()).await;
        let closed = poll_then_drop(writer.close(), polls).await;
        cx.settle().await;
        match find(cx.driver(), &file).await {
            Some(found) => {
                commit(cx.driver(), &found, &file).await;
                assert_file(cx.driver(), &file, &content).await;
                forget(cx.driver(), &found).await;
            }
            None => assert!(closed.is_none(), "what was closed is found"),
        }

        // In a write: the writer is spoilt, but the stage of the last close is not.
        let file = cx.path(&format!("write{polls}/file"));
        let begin = stage(cx.driver(), &file, "begin").await;
        let mut writer = resume(cx.driver(), &begin).await;
        let written = poll_then_drop(writer.write(content.clone()), polls).await;
        if written.is_none() && polls > 0 {
            writer.write("more".into()).await.expect_err("the first failure is final");
            if polls % 2 == 1 {
                writer.commit(&file).await.expect_err("and nothing is ever committed");
            } else {
                drop(writer);
            }
        } else {
            drop(writer);
        }
        // Some stores continue a request whose client is gone. A part may then still reserve part numbers. A
        // writer that resumed the stage before that is refused.
        cx.settle_in_the_store().await;
        assert_missing(cx.driver(), &file).await;
        assert_staged(cx.driver(), &begin).await;
        let mut writer = resume(&*cx.reopen().await, &begin).await;
        write(&mut writer, " end").await;

        // In a close: the old bytes or the new.
        let closed = poll_then_drop(writer.close(), polls).await;
        cx.settle().await;
        let found = cx.driver().find_staged(&file).await.unwrap();
        assert!([5, 9].contains(&found.size), "{} bytes closed", found.size);
        assert_eq!(found.size == 5, found.id == begin.id, "other bytes have another identity");
        if let Some(closed) = closed {
            assert_eq!(found.id, closed.unwrap().id);
        }
        let mut writer = go_on(cx.driver(), &file).await;
        let text = Bytes::from(if writer.size() == 5 { "begin" } else { "begin end" });
        let whole = Bytes::from([&*text, &*content].concat());
        write(&mut writer, content.clone()).await;

        // In a commit: all or nothing. The stage is used up, is as it was closed, or holds the whole file, to be
        // committed.
        poll_then_drop(writer.commit(&file), polls).await;
        // A request that was in flight when the call was dropped may still take effect.
        cx.settle().await;
        let left = find(cx.driver(), &file).await;
        let is_closed = |left: &Staged| left.id != found.id;
        assert!(left.iter().all(|left| !is_closed(left) || left.size == whole.len() as u64), "{left:?}");
        match (cx.driver().get_optional(&file, 64 << 20).await.unwrap(), &left) {
            (Some(found), _) => assert!(found == whole, "{} bytes after {polls} polls", found.len()),
            (None, Some(left)) if is_closed(left) => {
                commit(cx.driver(), left, &file).await;
                assert_file(cx.driver(), &file, &whole).await;
            }
            (None, _) => {
                let writer = resume(cx.driver(), &found).await;
                writer.cancel().await.unwrap();
                assert_not_staged(cx.driver(), &file).await;
            }
        }
        forget(cx.driver(), left.as_ref().unwrap_or(&found)).await;
        write_file(cx.driver(), &file, "next").await;
        assert_file(cx.driver(), &file, &"next".into()).await;
        assert_eq!(names(cx.driver(), &file.parent().unwrap(), None).await, ["file"]);
    }
}

/// Streams that are dropped after any number of items hold nothing.
pub async fn dropped_streams_hold_nothing(cx: &Context) {
    cx.put_all(&["a/1", "a/2", "b/_m/3", "b/c/_m/4", "c"]).await;
    let large = cx.path("large");
    write_file(cx.driver(), &large, sample::bytes(1, 8 << 20)).await;
    for items in 0..5 {
        let base = cx.base();
        cx.driver().list(base, None).take(items).try_collect::<Vec<_>>().await.unwrap();
        cx.driver().walk(base, None).take(items).try_collect::<Vec<_>>().await.unwrap();
        cx.driver().find_directories(base, "_", None).take(items).try_collect::<Vec<_>>().await.unwrap();
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

/// A write that failed or was dropped spoils the writer for good: nothing is committed after it.
pub async fn failed_write_is_never_committed(cx: &Context) {
    let other = cx.path("target");
    for fault in [Fault::Write(0), Fault::Write(1), Fault::StuckWrite(0), Fault::StuckWrite(1)] {
        for end in 0..6 {
            let faulty = Checked::new(Arc::new(Faulty::new(cx.shared(), fault)));
            let file = cx.path(&format!("{fault:?}-{end}/file").replace(['(', ')'], "_"));
            let mut writer =
                if end % 2 == 0 { direct(&faulty, &file).await } else { first(&faulty, &file).await };
            let mut failures = 0;
            for chunk in ["one", "two", "three"] {
                // A stuck write is dropped after a few polls, as a caller with a deadline would do.
                failures += usize::from(!matches!(
                    poll_then_drop(writer.write(chunk.into()), 40).await,
                    Some(Ok(()))
                ));
            }
            let after_the_fault = if matches!(fault, Fault::Write(0) | Fault::StuckWrite(0)) { 3 } else { 2 };
            assert_eq!(failures, after_the_fault, "every write after the first failure fails");
            match end {
                0 | 1 => drop(writer.commit(&file).await.expect_err("nothing truncated is committed")),
                2 | 3 => drop(writer.commit(&other).await.expect_err("nor elsewhere")),
                4 => writer.cancel().await.unwrap(),
                _ => drop(writer.close().await.expect_err("nor kept")),
            }
            assert_missing(cx.driver(), &file).await;
            assert_missing(cx.driver(), &other).await;
            assert_not_staged(cx.driver(), &file).await;
        }
        // Bytes that were closed before stay, unless the writer is cancelled.
        let staged = stage(cx.driver(), &cx.path("closed"), "before").await;
        for end in 0..3 {
            let faulty = Checked::new(Arc::new(Faulty::new(cx.shared(), fault)));
            let mut writer = resume(&faulty, &staged).await;
            for chunk in ["one", "two"] {
                poll_then_drop(writer.write(chunk.into()), 40).await;
            }
            match end {
                0 => drop(writer.close().await.expect_err("what is truncated is not kept")),
                1 => drop(writer.commit(&other).await.expect_err("nor committed")),
                _ => writer.cancel().await.unwrap(),
            }
            assert_missing(cx.driver(), &other).await;
            match end {
                2 => assert_not_staged(cx.driver(), &staged.path).await,
                _ => assert_staged(cx.driver(), &staged).await,
            }
        }
    }
    assert!(!cx.driver().exists(cx.base()).await.unwrap(), "nothing of all this is in the store");
    put(cx.driver(), &cx.path("file"), "x").await;
    assert_eq!(walked(cx.driver(), cx.base(), None).await, ["file"]);
}
