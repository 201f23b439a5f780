//! The model test: random calls on a driver and on the one in memory must have equal outcomes.
//!
//! There are few paths, so that calls meet. None is a file in one call and a directory in another, which
//! filesystems refuse and object stores allow. If the contract leaves the outcome open, the call is left
//! out (see `Run::is_open`) or the outcomes count as equal.

use std::{
    fmt::{self, Write},
    sync::Arc,
};

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry_core::{
    ByteRange, Checked, Entry, ErrorKind, FileInfo, FileWriter, PutMode, Result, Staged, StorageDriver,
    StorageDriverExt, StoragePath, WriteMode,
};
use plugin_registry_drivers_memory::MemoryDriver;
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any},
    prop_oneof,
    sample::select,
    test_runner::{Config, TestCaseError, TestRunner},
};

use super::{Store, context::drain, sample};

/// Files in an order that is neither that of the paths nor that of the components.
const FILES: [&str; 11] =
    ["/f", "/a/f", "/a/f-", "/a/c/f", "/a/c/d/g", "/a-b/f", "/a.b/c/f", "/a0", "/f-", "/a/_m/f", "/b/_m/x/f"];
/// Paths above and beside them.
const OTHERS: [&str; 11] =
    ["/a", "/a/c", "/a-b", "/a.b", "/b", "/a/_m", "/b/_m", "/a/c/d", "/missing", "/a/c/e", "/a/f/below"];
/// Writers that can be open at a time.
const SLOTS: usize = 3;
/// How many of the last closes a call can refer to.
const REMEMBERED: usize = 4;

type Path = &'static str;

/// One call.
#[derive(Clone, Debug)]
enum Call {
    Put(Path, usize, PutMode),
    Open(usize, Path, Mode),
    Write(usize, usize),
    End(usize, End),
    FindStaged(Path),
    CommitStaged(Close, Path),
    Delete(Path),
    DeleteMany(Vec<Path>, Option<Close>),
    Stat(Path),
    List(Path, Option<&'static str>),
    Walk(Path, Option<Path>),
    FindDirectories(Path, Option<Path>),
    Get(Path, u64),
    Read(Path, u64, Option<u64>),
}

/// A close, counted back from the last one.
type Close = usize;

/// What a writer is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Direct,
    Stage,
    /// After the bytes of this close, at its path.
    Resume(Close),
}

/// How a writer ends.
#[derive(Clone, Debug)]
enum End {
    Close,
    Commit,
    CommitTo(Path),
    Cancel,
    Drop,
}

fn call() -> impl Strategy<Value = Call> {
    let file = || select(&FILES[..]);
    // Stages in a marked directory that holds nothing else are not looked for (`find_directories`).
    let staged = || select(&FILES[..FILES.len() - 2]);
    let directory = || prop_oneof![1 => Just("/"), 5 => select(&OTHERS[..])];
    let any_path = || prop_oneof![2 => file(), 1 => select(&OTHERS[..])];
    let size = || prop_oneof![3 => 0..20_usize, 1 => 0..70_000_usize];
    let slot = || 0..SLOTS;
    let put_mode = || prop_oneof![3 => Just(PutMode::Overwrite), 1 => Just(PutMode::CreateOnly)];
    // Most often the last one, which is most likely to still exist.
    let close = || prop_oneof![2 => Just(0), 1 => 0..REMEMBERED];
    let mode = prop_oneof![
        1 => Just(Mode::Direct),
        2 => Just(Mode::Stage),
        3 => close().prop_map(Mode::Resume),
    ];
    let name = select(&["a", "a-", "a-b", "b", "c", "f", "_", "_m", "zz"][..]);
    let end = prop_oneof![
        4 => Just(End::Close),
        3 => Just(End::Commit),
        1 => file().prop_map(End::CommitTo),
        1 => Just(End::Cancel),
        1 => Just(End::Drop),
    ];
    prop_oneof![
        4 => (file(), size(), put_mode()).prop_map(|(path, size, mode)| Call::Put(path, size, mode)),
        6 => (slot(), staged(), mode).prop_map(|(slot, path, mode)| Call::Open(slot, path, mode)),
        4 => (slot(), size()).prop_map(|(slot, size)| Call::Write(slot, size)),
        5 => (slot(), end).prop_map(|(slot, end)| Call::End(slot, end)),
        1 => any_path().prop_map(Call::FindStaged),
        3 => (close(), file()).prop_map(|(close, to)| Call::CommitStaged(close, to)),
        2 => any_path().prop_map(Call::Delete),
        2 => (vec(any_path(), 0..4), option::of(close()))
            .prop_map(|(files, close)| Call::DeleteMany(files, close)),
        1 => any_path().prop_map(Call::Stat),
        1 => (directory(), option::of(name)).prop_map(|(path, after)| Call::List(path, after)),
        1 => (directory(), option::of(any_path())).prop_map(|(path, after)| Call::Walk(path, after)),
        1 => (directory(), option::of(any_path())).prop_map(|(path, after)| Call::FindDirectories(path, after)),
        1 => (any_path(), 0..30_u64).prop_map(|(path, limit)| Call::Get(path, limit)),
        1 => (any_path(), 0..30_u64, option::of(any::<u16>().prop_map(u64::from)))
            .prop_map(|(path, offset, length)| Call::Read(path, offset, length)),
    ]
}

/// Runs `cases` random sequences of calls on stores that `open` gives, and on the driver in memory.
///
/// # Panics
/// If outcomes differ, with the shortest sequence found that shows it.
pub fn check(cases: u32, open: impl AsyncFn() -> Store) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let outcome = TestRunner::new(config).run(&vec(call(), 1..60), |calls| {
        runtime.block_on(async {
            let store = open().await;
            let mut run = Run {
                actual: Side::new(Checked::new(store.open().await)),
                model: Side::new(Checked::new(Arc::new(MemoryDriver::new()))),
            };
            for call in &calls {
                run.step(call).await.map_err(TestCaseError::fail)?;
            }
            Ok(())
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// A driver with the writers that are open on it.
struct Side {
    driver: Checked<dyn StorageDriver>,
    writers: [Option<OpenWriter>; SLOTS],
    /// The results of the closes, in order.
    closed: Vec<Staged>,
}

struct OpenWriter {
    path: StoragePath,
    resumed: bool,
    writer: Box<dyn FileWriter>,
}

/// The driver under test and the model.
struct Run {
    actual: Side,
    model: Side,
}

impl Run {
    async fn step(&mut self, call: &Call) -> Result<(), String> {
        let staged = self.model.staged().await;
        if self.is_open(call, &staged).await {
            return Ok(());
        }
        let path = self.model.stage_of(call);
        let expected = self.model.outcome(call).await;
        let mut actual = self.actual.outcome(call).await;
        // The lock of a writer that was just dropped may take a moment to go.
        for _ in 0..100 {
            let may_be_locked =
                matches!(call, Call::Open(..) | Call::CommitStaged(..) | Call::DeleteMany(..));
            if actual == expected || actual != "Conflict" || is_refusal(&expected) || !may_be_locked {
                break;
            }
            super::context::pause(10).await;
            actual = self.actual.outcome(call).await;
        }
        self.refuse_late(call, &mut actual, &expected).await;
        if actual != expected && !same_refusal(call, &actual, &expected) {
            let deletes_staged_only = matches!(call, Call::Delete(path) if is_any_at_or_below(&staged, path))
                && (&*actual, &*expected) == ("()", "NotFound");
            if !deletes_staged_only {
                return Err(format!("{call:?} gives {actual}, the model {expected}"));
            }
        }
        let files = Call::Walk("/", None);
        let (actual, expected) = (self.actual.outcome(&files).await, self.model.outcome(&files).await);
        if actual != expected {
            return Err(format!("after {call:?}, the files are {actual}, those of the model {expected}"));
        }
        if let Some(path) = path {
            let (actual, expected) = (self.actual.found(&path).await, self.model.found(&path).await);
            if actual != expected {
                return Err(format!("after {call:?}, {actual} is staged at {path}, in the model {expected}"));
            }
        }
        Ok(())
    }

    /// A driver may open a writer for bytes that are gone. Then it must refuse the close.
    async fn refuse_late(&mut self, call: &Call, actual: &mut String, expected: &str) {
        let Call::Open(slot, _, Mode::Resume(_)) = call else { return };
        if is_refusal(expected)
            && !is_refusal(actual)
            && let Some(opened) = self.actual.writers[*slot].take()
        {
            *actual = words(opened.writer.close().await.map(|staged| (staged.size, "closed")));
        }
    }

    /// Whether the contract leaves the outcome of this call open.
    async fn is_open(&self, call: &Call, staged: &[StoragePath]) -> bool {
        // A writer whose slot the call takes is dropped first.
        let taken = if let Call::Open(slot, ..) = call { Some(*slot) } else { None };
        let writers = self.model.writers.iter().enumerate().filter(|(slot, _)| Some(*slot) != taken);
        let open: Vec<&OpenWriter> = writers.filter_map(|(_, writer)| writer.as_ref()).collect();
        // Whether a writer has resumed the stage: then it is open which of the two comes first.
        let is_held = |close: Close| {
            let path = self.model.close(close).map(|staged| staged.path);
            open.iter().any(|writer| writer.resumed && Some(&writer.path) == path.as_ref())
        };
        match call {
            // Open: what happens to an open writer.
            Call::Delete(path) => open.iter().any(|writer| is_at_or_below(&writer.path, path)),
            // Open: whether a directory with only staged bytes exists, and what goes along with a file or
            // a stage.
            Call::DeleteMany(files, close) => {
                let takes_along = files.iter().any(|path| is_any_at_or_below(staged, path));
                takes_along || close.is_some_and(is_held) || self.is_superseded(*close).await
            }
            Call::List(..) | Call::Walk(..) | Call::FindDirectories(..) => {
                for staged in staged {
                    if !self.model.driver.exists(&staged.parent().unwrap()).await.unwrap() {
                        return true;
                    }
                }
                false
            }
            Call::CommitStaged(close, _) | Call::Open(_, _, Mode::Resume(close)) => is_held(*close),
            _ => false,
        }
    }

    /// Whether another stage has replaced this one.
    async fn is_superseded(&self, close: Option<Close>) -> bool {
        let Some(staged) = close.and_then(|close| self.model.close(close)) else { return false };
        let found = self.model.driver.find_staged(&staged.path).await;
        found.is_ok_and(|found| found.id != staged.id)
    }
}

impl Side {
    fn new(driver: Checked<dyn StorageDriver>) -> Self {
        Self { driver, writers: Default::default(), closed: Vec::new() }
    }

    /// Returns the stage of a close.
    fn close(&self, back: Close) -> Option<Staged> {
        let index = self.closed.len().checked_sub(back + 1)?;
        self.closed.get(index).cloned()
    }

    /// The path of the stage that the call may change.
    fn stage_of(&self, call: &Call) -> Option<StoragePath> {
        let of_close = |back: &Close| self.close(*back).map(|staged| staged.path);
        match call {
            Call::Write(slot, _) | Call::End(slot, _) => {
                self.writers[*slot].as_ref().map(|writer| writer.path.clone())
            }
            Call::Open(_, _, Mode::Resume(close)) | Call::CommitStaged(close, _) => of_close(close),
            Call::DeleteMany(files, close) => match close {
                Some(close) => of_close(close),
                None => files.first().map(|path| parse(path)),
            },
            Call::Put(path, ..) | Call::Open(_, path, _) | Call::Delete(path) => Some(parse(path)),
            _ => None,
        }
    }

    /// The paths of all stages.
    async fn staged(&self) -> Vec<StoragePath> {
        let root = StoragePath::root();
        let found = self.driver.list_staged(&root).map_ok(|info| info.path);
        found.try_collect().await.unwrap()
    }

    /// Describes what is staged: its size, and which close made it.
    async fn found(&self, path: &StoragePath) -> String {
        words(self.driver.find_staged(path).await.map(|found| {
            let close = self.closed.iter().rposition(|staged| staged.id == found.id);
            (found.path, found.size, close)
        }))
    }

    /// The outcome in words: values without times, errors by kind.
    async fn outcome(&mut self, call: &Call) -> String {
        let driver = &self.driver;
        match call {
            Call::Put(path, size, mode) => {
                words(driver.put_content(&parse(path), content(*size), *mode).await)
            }
            Call::Open(slot, path, mode) => {
                // A writer that was open there ends like a killed process.
                self.writers[*slot] = None;
                let (path, mode) = match mode {
                    Mode::Direct => (parse(path), WriteMode::direct()),
                    Mode::Stage => (parse(path), WriteMode::Stage),
                    Mode::Resume(close) => match self.close(*close) {
                        Some(staged) => (staged.path.clone(), WriteMode::Resume(staged)),
                        None => return String::new(),
                    },
                };
                let resumed = matches!(mode, WriteMode::Resume(_));
                let opened = self.driver.writer(&path, mode).await;
                words(opened.map(|writer| {
                    let size = writer.size();
                    self.writers[*slot] = Some(OpenWriter { path, resumed, writer });
                    size
                }))
            }
            Call::Write(slot, size) => match &mut self.writers[*slot] {
                Some(OpenWriter { writer, .. }) => {
                    let written = writer.write(content(*size)).await;
                    words(written.map(|()| writer.size()))
                }
                None => String::new(),
            },
            Call::End(slot, end) => match self.writers[*slot].take() {
                Some(OpenWriter { path, writer, .. }) => match end {
                    End::Close => words(writer.close().await.map(|staged| {
                        let (size, has_path) = (staged.size, staged.path == path);
                        self.closed.push(staged);
                        (size, has_path)
                    })),
                    End::Commit => words(writer.commit(&path).await),
                    End::CommitTo(to) => words(writer.commit(&parse(to)).await),
                    End::Cancel => words(writer.cancel().await),
                    End::Drop => words(Ok(())),
                },
                None => String::new(),
            },
            Call::FindStaged(path) => self.found(&parse(path)).await,
            Call::CommitStaged(close, to) => {
                let Some(staged) = self.close(*close) else { return String::new() };
                let committed = async {
                    driver.commit_staged(&staged, &parse(to)).await?;
                    // The stage may or may not be left.
                    driver.delete_many(Vec::new(), &[staged]).await?.into_result()
                };
                words(committed.await)
            }
            Call::Delete(path) => words(driver.delete(&parse(path)).await),
            Call::DeleteMany(files, close) => {
                let stages: Vec<Staged> = close.and_then(|close| self.close(close)).into_iter().collect();
                let files = files.iter().map(|path| parse(path)).collect();
                let report = driver.delete_many(files, &stages).await;
                words(report.map(|report| {
                    let mut failed: Vec<_> = report.failed.into_iter().map(|(path, _)| path).collect();
                    failed.sort();
                    (report.deleted, failed)
                }))
            }
            Call::Stat(path) => words(driver.stat(&parse(path)).await.map(info)),
            Call::List(path, after) => {
                let found: Result<Vec<Entry>> = driver.list(&parse(path), *after).try_collect().await;
                may_be_empty(found, after.is_some())
            }
            Call::Walk(path, after) => {
                let after = after.map(parse);
                let found =
                    driver.walk(&parse(path), after.as_ref()).map_ok(info).try_collect::<Vec<_>>().await;
                may_be_empty(found, after.is_some())
            }
            Call::FindDirectories(path, after) => {
                let after = after.map(parse);
                let path = parse(path);
                let found = driver.find_directories(&path, "_", after.as_ref());
                words(found.try_collect::<Vec<_>>().await)
            }
            Call::Get(path, limit) => words(driver.get_content(&parse(path), *limit).await.map(Content)),
            Call::Read(path, offset, length) => {
                let range = length.map_or(ByteRange::from(*offset), |length| ByteRange::new(*offset, length));
                let read = async {
                    let reader = driver.reader(&parse(path), range).await?;
                    let (info, range) = (info(reader.info().clone()), reader.range());
                    Ok((info, range, Content(drain(reader).await?)))
                };
                words(read.await)
            }
        }
    }
}

/// Content, shown by size and digest.
struct Content(Bytes);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = plugin_registry_core::Digest::sha256(&self.0);
        write!(f, "{} bytes {:.12}", self.0.len(), digest.hex())
    }
}

fn is_at_or_below(path: &StoragePath, above: &str) -> bool {
    path.as_str() == above || path.strip_prefix(&parse(above)).is_some()
}

fn is_any_at_or_below(paths: &[StoragePath], above: &str) -> bool {
    paths.iter().any(|path| is_at_or_below(path, above))
}

fn is_refusal(outcome: &str) -> bool {
    ["Conflict", "NotFound"].contains(&outcome)
}

/// A stage that is gone may be refused with either error.
fn same_refusal(call: &Call, actual: &str, expected: &str) -> bool {
    let is_of_a_stage = matches!(
        call,
        Call::Open(_, _, Mode::Resume(_))
            | Call::CommitStaged(..)
            | Call::End(_, End::Close | End::Commit | End::CommitTo(_))
    );
    is_of_a_stage && is_refusal(actual) && is_refusal(expected)
}

fn parse(path: &str) -> StoragePath {
    path.parse().unwrap()
}

/// Returns the same bytes for the same size, and others for another size.
fn content(size: usize) -> Bytes {
    sample::bytes(size as u64, size)
}

fn info(info: FileInfo) -> (StoragePath, u64) {
    (info.path, info.size)
}

fn words<T: fmt::Debug>(result: Result<T>) -> String {
    let mut words = String::new();
    match result {
        Ok(value) => write!(words, "{value:?}").unwrap(),
        Err(error) => write!(words, "{:?}", error.kind()).unwrap(),
    }
    words
}

/// A listing with `after` may report a missing directory as empty.
fn may_be_empty<T: fmt::Debug>(found: Result<Vec<T>>, from_later: bool) -> String {
    match found {
        Err(error) if from_later && error.kind() == ErrorKind::NotFound => words(Ok(Vec::<T>::new())),
        found => words(found),
    }
}
