//! No writer that fails, is refused, is dropped, or goes on with other bytes undoes what a close has
//! acknowledged.

use bytes::Bytes;
use plugin_registry_core::{ErrorKind, Staged, StorageDriver, StoragePath, WriteMode};

use super::{
    Context,
    context::{
        Driver, Writer, assert_file, assert_not_staged, assert_refused, assert_staged, commit, find, forget,
        poll_then_drop, stage,
    },
    sample,
};

/// The steps of each of two writers: open, write much, write little, end.
const STEPS: usize = 4;

/// How a writer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    Drop,
    /// Dropped in the middle of one more write.
    Torn(usize),
    Cancel,
    Commit,
}

const OTHER_ENDS: [[End; 2]; 9] = [
    [End::Close, End::Drop],
    [End::Drop, End::Close],
    [End::Close, End::Torn(1)],
    [End::Torn(2), End::Close],
    [End::Close, End::Torn(5)],
    [End::Close, End::Cancel],
    [End::Cancel, End::Close],
    [End::Commit, End::Close],
    [End::Close, End::Commit],
];

/// Bytes that a close acknowledged stay exactly as they are, whatever two writers do.
///
/// Plays two writers in all orders of their steps. After each step, exactly what the last close
/// acknowledged is found. At the end these bytes, and no others, become visible.
pub async fn acknowledged_bytes_are_never_touched(cx: &Context) {
    let part = cx.part();
    let other = cx.reopen().await;
    for (index, order) in orders().into_iter().enumerate() {
        let play = async |name: &str, ends: [End; 2], kept: usize, more: [usize; 2], knows_first: bool| {
            let file = cx.path(&format!("{order:08b}-{name}/file"));
            let mut play = Play::new(cx, &other, file, kept).await;
            play.run(order, ends, more, knows_first).await;
        };
        let both = [End::Close; 2];
        play("both", both, 3, [10, 10], index % 2 == 0).await;
        for shift in [0, 4] {
            let ends = OTHER_ENDS[(index + shift) % OTHER_ENDS.len()];
            play(&format!("other{shift}"), ends, index % 4, [10, 10], (index / 2 + shift) % 2 == 0).await;
        }
        let kept = if index % 3 == 2 { part } else { 10 };
        let more = [[part, part], [part, 20], [20, part]][index % 3];
        play("both-large", both, kept, more, index % 2 == 1).await;
        if index % 3 == 0 {
            let ends = OTHER_ENDS[index / 3 % OTHER_ENDS.len()];
            play("other-large", ends, kept, [part, part], index % 2 == 0).await;
        }
    }
}

/// Which writer takes each of the eight steps, one bit per step. The writers are alike, so the first one
/// begins.
fn orders() -> Vec<u8> {
    let orders: Vec<u8> = (0..=u8::MAX).filter(|order| order.count_ones() == 4 && order & 1 == 0).collect();
    assert_eq!(orders.len(), 35);
    orders
}

/// One order of steps.
struct Play<'a> {
    cx: &'a Context,
    drivers: [Driver; 2],
    target: StoragePath,
    /// The acknowledged bytes of each close, in order.
    closed: Vec<(Staged, Bytes)>,
    /// Whether the last one is still staged.
    is_staged: bool,
    visible: Option<Bytes>,
}

struct Side {
    writer: Option<Writer>,
    resumed: Option<(Staged, Bytes)>,
    chunks: [Bytes; 2],
    end: End,
    failed: bool,
    steps: usize,
}

impl<'a> Play<'a> {
    async fn new(cx: &'a Context, other: &Driver, file: StoragePath, kept: usize) -> Self {
        let content = sample::bytes(1, kept);
        let staged = stage(cx.driver(), &file, content.clone()).await;
        let target = file.parent().unwrap().join("target").unwrap();
        let drivers = [cx.shared(), other.clone()];
        Self { cx, drivers, target, closed: vec![(staged, content)], is_staged: true, visible: None }
    }

    async fn run(&mut self, order: u8, ends: [End; 2], more: [usize; 2], knows_first: bool) {
        let mut seed = 10;
        let mut sides = [0, 1].map(|index| {
            seed += 2;
            let chunks = [sample::bytes(seed, more[index]), sample::bytes(seed + 1, 3)];
            Side { writer: None, resumed: None, chunks, end: ends[index], failed: false, steps: 0 }
        });
        for turn in 0..2 * STEPS {
            let index = usize::from(order >> turn & 1);
            let side = &mut sides[index];
            match side.steps {
                0 => self.open(index, side, knows_first).await,
                1 | 2 => write(side).await,
                _ => self.end(side).await,
            }
            side.steps += 1;
            self.check(turn % 2).await;
        }
        if ends.iter().any(|end| matches!(end, End::Torn(_))) {
            // Let requests that are still in flight arrive.
            self.cx.settle().await;
        }
        if ends == [End::Close; 2] {
            let most = if knows_first { 2 } else { 3 };
            assert!((2..=most).contains(&self.closed.len()), "one at least is closed");
        }
        self.finish().await;
    }

    /// Resumes the stage that existed at the start, as an instance that has not looked since, or the
    /// current stage.
    async fn open(&self, index: usize, side: &mut Side, knows_first: bool) {
        let known = if knows_first { self.closed.first() } else { self.closed.last() };
        let (staged, content) = known.unwrap().clone();
        match self.drivers[index].writer(&staged.path, WriteMode::Resume(staged.clone())).await {
            Ok(writer) => {
                assert_eq!(writer.size(), staged.size);
                side.writer = Some(writer);
                side.resumed = Some((staged, content));
            }
            Err(error) => assert_refused(&error),
        }
    }

    async fn end(&mut self, side: &mut Side) {
        let part = self.cx.part();
        let Some((mut writer, (resumed, content))) = side.writer.take().zip(side.resumed.take()) else {
            return;
        };
        let is_current = self.is_staged && resumed.id == self.last().0.id;
        let content: Bytes = [&*content, &*side.chunks[0], &*side.chunks[1]].concat().into();
        let failed = side.failed;
        let done = match side.end {
            End::Close => writer.close().await.map(|staged| self.closed.push((staged, content))),
            End::Commit => writer.commit(&self.target).await.map(|()| {
                self.is_staged = false;
                self.visible = Some(content);
            }),
            End::Cancel => {
                let cancelled = writer.cancel().await;
                if cancelled.is_ok() && is_current {
                    // A cancel also removes what was resumed, unless the writer was refused.
                    self.is_staged = failed && find(&*self.drivers[0], &resumed.path).await.is_some();
                }
                return cancelled.unwrap_or_else(|error| assert_refused(&error));
            }
            End::Drop => return drop(writer),
            End::Torn(polls) => {
                poll_then_drop(writer.write(sample::bytes(99, part)), polls).await;
                return drop(writer);
            }
        };
        match done {
            Ok(()) => assert!(is_current && !failed, "{:?} of what is no longer staged, or failed", side.end),
            // The wrapper reports that an earlier call failed.
            Err(error) if failed => assert_eq!(error.kind(), ErrorKind::Other),
            Err(error) => assert_refused(&error),
        }
    }

    fn last(&self) -> &(Staged, Bytes) {
        self.closed.last().unwrap()
    }

    async fn check(&self, looks: usize) {
        let driver = &*self.drivers[looks];
        if self.is_staged {
            assert_staged(driver, &self.last().0).await;
        } else {
            assert_not_staged(driver, &self.last().0.path).await;
        }
        let size = driver.stat(&self.target).await.ok().map(|info| info.size);
        assert_eq!(size, self.visible.as_ref().map(|content| content.len() as u64));
    }

    /// Commits the value that the last close returned, through the other instance.
    async fn finish(&self) {
        self.check(0).await;
        self.check(1).await;
        let (staged, content) = self.last();
        let driver = &*self.drivers[1];
        if let Some(visible) = &self.visible {
            assert_file(driver, &self.target, visible).await;
        }
        if self.is_staged {
            commit(driver, staged, &self.target).await;
            assert_file(&*self.drivers[0], &self.target, content).await;
            forget(driver, staged).await;
        }
        driver.delete_many(vec![self.target.clone()], &[]).await.unwrap().into_result().unwrap();
    }
}

/// A writer that was refused goes on as if it did not know.
async fn write(side: &mut Side) {
    let Some(writer) = &mut side.writer else { return };
    match writer.write(side.chunks[side.steps - 1].clone()).await {
        Ok(()) => assert!(!side.failed, "the first failure is final"),
        Err(error) if side.failed => assert_eq!(error.kind(), ErrorKind::Other),
        Err(error) => {
            assert_refused(&error);
            side.failed = true;
        }
    }
}
