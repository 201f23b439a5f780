//! `list_staged`, complete: a stage that it leaves out is never cleaned up.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use futures::{StreamExt, TryStreamExt, stream};
use plugin_registry_core::{FileInfo, Staged, StorageDriver, StorageDriverExt, StoragePath};

use super::{
    Context,
    context::{first, forget, stage, write},
    sample,
};

/// Directories of the stages that vanish: more than a driver reads at a time.
const DIRECTORIES: usize = 80;
const IN_EACH: usize = 5;

async fn stage_all(cx: &Context, rests: &[String]) -> Vec<Staged> {
    let stage_one = async |(index, rest): (usize, &String)| {
        stage(cx.driver(), &cx.path(rest), sample::bytes(1, index % 3)).await
    };
    stream::iter(rests.iter().enumerate()).map(stage_one).buffered(8).collect().await
}

/// Checks that each of these stages was listed once, with its size, and nothing else.
fn assert_listed(found: &[FileInfo], expected: &[Staged], path: &StoragePath) {
    let mut left: BTreeMap<(&StoragePath, u64), usize> = BTreeMap::new();
    for staged in expected {
        *left.entry((&staged.path, staged.size)).or_default() += 1;
    }
    let mut wrong = Vec::new();
    for info in found {
        match left.get_mut(&(&info.path, info.size)) {
            Some(times) if *times > 0 => *times -= 1,
            _ => wrong.push((&info.path, info.size)),
        }
    }
    left.retain(|_, times| *times > 0);
    let show = |stage: Option<&(&StoragePath, u64)>| {
        stage.map_or_else(String::new, |(path, size)| format!(" (first: {path} of {size} bytes)"))
    };
    assert!(
        left.is_empty() && wrong.is_empty(),
        "list_staged of {path}: expected {} stages, each once, saw {}: {} missing{}, {} twice or wrong{}",
        expected.len(),
        found.len(),
        left.len(),
        show(left.keys().next()),
        wrong.len(),
        show(wrong.first()),
    );
}

/// `list_staged` yields every stage: at the path itself and below it, in one directory and in many, and more
/// than a page of the store. An open writer hides none.
pub async fn list_staged_yields_every_stage(cx: &Context) {
    let many = cx.path("many");
    let mut rests = vec!["many".to_owned(), "many/flat".to_owned(), "many/deep/er/file".to_owned()];
    rests.extend((0..cx.sizes().many_files).map(|index| format!("many/flat/{index:05}")));
    rests.extend((0..DIRECTORIES).map(|index| format!("many/{index:03}/file")));
    let staged = stage_all(cx, &rests).await;
    stage(cx.driver(), &cx.path("many-/file"), "a neighbour").await;
    let other = cx.reopen().await;
    for driver in [cx.driver(), &*other] {
        let found: Vec<FileInfo> = driver.list_staged(&many).try_collect().await.unwrap();
        assert_listed(&found, &staged, &many);
    }
    let (path, size) = (&staged[2].path, staged[2].size);
    let mut writer = first(&*other, path).await;
    write(&mut writer, sample::bytes(2, 6 << 20)).await;
    let found: Vec<FileInfo> = cx.driver().list_staged(path).try_collect().await.unwrap();
    let sizes: Vec<u64> = found.iter().map(|info| info.size).collect();
    assert!(sizes.contains(&size), "list_staged of {path}: expected one of {size} bytes, saw {sizes:?}");
    writer.cancel().await.unwrap();
}

/// Stages that vanish during a listing do not end it: all others come, each once.
pub async fn list_staged_tolerates_concurrent_deletes(cx: &Context) {
    let (dir, other) = (cx.path("dir"), cx.reopen().await);
    let rests = (0..DIRECTORIES * IN_EACH).map(|index| format!("dir/{:02}/{index:03}", index / IN_EACH));
    let staged = stage_all(cx, &rests.collect::<Vec<_>>()).await;
    let mut stream = cx.driver().list_staged(&dir);
    let mut found: Vec<FileInfo> = stream.try_next().await.unwrap().into_iter().collect();

    let later = SystemTime::now() + Duration::from_secs(3600);
    let mut kept = Vec::new();
    for (index, stages) in staged.chunks(IN_EACH).enumerate() {
        match index % 4 {
            0 => kept.extend_from_slice(stages),
            1 => {
                let directory = stages[0].path.parent().unwrap();
                other.delete_if_exists(&directory).await.unwrap();
            }
            2 => {
                for staged in stages {
                    assert_eq!(other.delete_staged(&staged.path, later).await.unwrap(), 1, "{}", staged.path);
                }
            }
            _ => {
                forget(&*other, &stages[0]).await;
                kept.extend_from_slice(&stages[1..]);
            }
        }
    }
    found.extend(stream.try_collect::<Vec<_>>().await.unwrap());
    // What vanished may have been listed before.
    let vanished = |info: &FileInfo| {
        let is_it = |staged: &Staged| staged.path == info.path;
        staged.iter().any(is_it) && !kept.iter().any(is_it)
    };
    found.retain(|info| !vanished(info));
    assert_listed(&found, &kept, &dir);
}
