//! The model test: random calls on a driver and on the one in memory, whose outcomes must be equal.
//!
//! Paths are few, so that calls meet; none is a file in one call and a directory in another, which
//! filesystems refuse and object stores allow. Where the contract leaves the outcome open, the call is
//! left out (`Run::is_open` says when) or the outcomes count as equal.

use std::{
    fmt::{self, Write},
    sync::Arc,
};

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry_core::{
    ByteRange, Checked, Entry, ErrorKind, FileInfo, FileWriter, PutMode, Result, StorageDriver,
    StorageDriverExt, StoragePath, WriteMode, WriteOptions,
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
/// What lies above and beside them.
const OTHERS: [&str; 11] =
    ["/a", "/a/c", "/a-b", "/a.b", "/b", "/a/_m", "/b/_m", "/a/c/d", "/missing", "/a/c/e", "/a/f/below"];
/// Open writers at a time.
const SLOTS: usize = 3;

type Path = &'static str;

/// One call.
#[derive(Clone, Debug)]
enum Call {
    Put(Path, usize, PutMode),
    Open(usize, Path, WriteMode, PutMode),
    Write(usize, usize),
    End(usize, End),
    Rename(Path, Path),
    Delete(Path),
    DeleteMany(Vec<Path>),
    Stat(Path),
    List(Path, Option<&'static str>),
    Walk(Path, Option<Path>),
    ListMarked(Path, Option<Path>),
    Get(Path, u64),
    Read(Path, u64, Option<u64>),
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
    // Staged bytes in a marked directory that has nothing else are not looked for (`list_marked`).
    let staged = || select(&FILES[..FILES.len() - 2]);
    let directory = || prop_oneof![1 => Just("/"), 5 => select(&OTHERS[..])];
    let any_path = || prop_oneof![2 => file(), 1 => select(&OTHERS[..])];
    let size = || prop_oneof![3 => 0..20_usize, 1 => 0..70_000_usize];
    let slot = || 0..SLOTS;
    let put_mode = || prop_oneof![3 => Just(PutMode::Overwrite), 1 => Just(PutMode::CreateOnly)];
    let write_mode = prop_oneof![Just(WriteMode::Create), Just(WriteMode::Resume)];
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
        5 => (slot(), staged(), write_mode, put_mode())
            .prop_map(|(slot, path, mode, put)| Call::Open(slot, path, mode, put)),
        4 => (slot(), size()).prop_map(|(slot, size)| Call::Write(slot, size)),
        5 => (slot(), end).prop_map(|(slot, end)| Call::End(slot, end)),
        2 => (any_path(), file()).prop_map(|(from, to)| Call::Rename(from, to)),
        2 => any_path().prop_map(Call::Delete),
        1 => vec(any_path(), 0..4).prop_map(Call::DeleteMany),
        1 => any_path().prop_map(Call::Stat),
        1 => (directory(), option::of(name)).prop_map(|(path, after)| Call::List(path, after)),
        1 => (directory(), option::of(any_path())).prop_map(|(path, after)| Call::Walk(path, after)),
        1 => (directory(), option::of(any_path())).prop_map(|(path, after)| Call::ListMarked(path, after)),
        1 => (any_path(), 0..30_u64).prop_map(|(path, limit)| Call::Get(path, limit)),
        1 => (any_path(), 0..30_u64, option::of(any::<u16>().prop_map(u64::from)))
            .prop_map(|(path, offset, length)| Call::Read(path, offset, length)),
    ]
}

/// Runs `cases` random sequences of calls on stores that `open` gives, and on memory.
///
/// # Panics
/// With the shortest sequence found whose outcomes differ.
pub fn check(cases: u32, open: impl AsyncFn() -> Store) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let outcome = TestRunner::new(config).run(&vec(call(), 1..60), |calls| {
        runtime.block_on(async {
            let store = open().await;
            let mut run = Run {
                actual: Side::new(Checked::new(store.open().await)),
                model: Side::new(Checked::new(Arc::new(MemoryDriver::new()))),
                staged: Vec::new(),
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
}

type OpenWriter = (Path, WriteMode, Box<dyn FileWriter>);

/// The driver under test and the model.
struct Run {
    actual: Side,
    model: Side,
    /// Where closed writers left something.
    staged: Vec<Path>,
}

impl Run {
    async fn step(&mut self, call: &Call) -> Result<(), String> {
        if self.is_open(call).await {
            return Ok(());
        }
        let own = self.model.path_of(call);
        let expected = self.model.outcome(call).await;
        let mut actual = self.actual.outcome(call).await;
        // The lock of a writer that was dropped a moment ago may take another to go.
        for _ in 0..100 {
            if actual == expected || actual != "Conflict" || !matches!(call, Call::Open(..)) {
                break;
            }
            super::context::pause(10).await;
            actual = self.actual.outcome(call).await;
        }
        if actual != expected && !self.deletes_staged_only(call, &actual, &expected) {
            return Err(format!("{call:?} gives {actual}, the model {expected}"));
        }
        self.note_stages(call, own, &expected);
        let everything = Call::Walk("/", None);
        let (actual, expected) =
            (self.actual.outcome(&everything).await, self.model.outcome(&everything).await);
        if actual != expected {
            return Err(format!("after {call:?}, the files are {actual}, those of the model {expected}"));
        }
        Ok(())
    }

    /// A directory that has nothing but staged bytes: a driver may or may not see one there to delete.
    fn deletes_staged_only(&self, call: &Call, actual: &str, expected: &str) -> bool {
        let Call::Delete(path) = call else { return false };
        (actual, expected) == ("()", "NotFound")
            && self.staged.iter().any(|staged| is_at_or_below(staged, path))
    }

    /// Keeps account of what closed writers left.
    fn note_stages(&mut self, call: &Call, own: Option<Path>, outcome: &str) {
        match (call, own) {
            (Call::End(_, End::Close), Some(own)) if outcome == "()" => self.staged.push(own),
            (Call::End(_, End::Commit | End::CommitTo(_) | End::Cancel), Some(own)) if outcome == "()" => {
                self.staged.retain(|staged| *staged != own);
            }
            (Call::Delete(path), _) => self.staged.retain(|staged| !is_at_or_below(staged, path)),
            _ => {}
        }
    }

    /// Whether the contract leaves the outcome open.
    async fn is_open(&self, call: &Call) -> bool {
        let mut open = self.model.writers.iter().flatten();
        match call {
            // What becomes of the open writer.
            Call::Delete(path) => open.any(|(own, ..)| is_at_or_below(own, path)),
            // Whether a directory is there that has nothing but staged bytes.
            // On its way, `delete_many` may make one.
            Call::DeleteMany(_) => !self.staged.is_empty(),
            Call::Stat(_) | Call::List(..) | Call::Walk(..) | Call::ListMarked(..) => {
                for staged in &self.staged {
                    if !self.model.driver.exists(&parse(staged).parent().unwrap()).await.unwrap() {
                        return true;
                    }
                }
                false
            }
            // Which stage a resumed and a new writer of one path leave to each other.
            Call::Open(_, path, mode, _) => open.any(|(own, other, _)| own == path && mode != other),
            _ => false,
        }
    }
}

impl Side {
    fn new(driver: Checked<dyn StorageDriver>) -> Self {
        Self { driver, writers: Default::default() }
    }

    /// The path of the writer that the call is about.
    fn path_of(&self, call: &Call) -> Option<Path> {
        let (Call::Write(slot, _) | Call::End(slot, _)) = call else { return None };
        self.writers[*slot].as_ref().map(|(path, ..)| *path)
    }

    /// The outcome in words: values without times, errors by their kind.
    async fn outcome(&mut self, call: &Call) -> String {
        let driver = &self.driver;
        match call {
            Call::Put(path, size, mode) => {
                words(driver.put_content(&parse(path), content(*size), *mode).await)
            }
            Call::Open(slot, path, mode, put) => {
                // Whatever was open there ends like a killed process.
                self.writers[*slot] = None;
                let mut options = WriteOptions::create().with_put_mode(*put);
                options.mode = *mode;
                let opened = driver.writer(&parse(path), options).await;
                words(opened.map(|writer| {
                    let size = writer.size();
                    self.writers[*slot] = Some((path, *mode, writer));
                    size
                }))
            }
            Call::Write(slot, size) => match &mut self.writers[*slot] {
                Some((_, _, writer)) => {
                    let written = writer.write(content(*size)).await;
                    words(written.map(|()| writer.size()))
                }
                None => String::new(),
            },
            Call::End(slot, end) => match self.writers[*slot].take() {
                Some((_, _, writer)) => words(match end {
                    End::Close => writer.close().await.map(drop),
                    End::Commit => writer.commit().await,
                    End::CommitTo(path) => writer.commit_to(&parse(path)).await,
                    End::Cancel => writer.cancel().await,
                    End::Drop => Ok(()),
                }),
                None => String::new(),
            },
            Call::Rename(from, to) => words(driver.rename(&parse(from), &parse(to)).await),
            Call::Delete(path) => words(driver.delete(&parse(path)).await),
            Call::DeleteMany(paths) => {
                let report = driver.delete_many(paths.iter().map(|path| parse(path)).collect()).await;
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
            Call::ListMarked(path, after) => {
                let after = after.map(parse);
                let path = parse(path);
                let found = driver.list_marked(&path, "_", after.as_ref());
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

/// Content by size and digest.
struct Content(Bytes);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = plugin_registry_core::Digest::sha256(&self.0);
        write!(f, "{} bytes {:.12}", self.0.len(), digest.hex())
    }
}

fn is_at_or_below(path: &str, above: &str) -> bool {
    path == above || parse(path).strip_prefix(&parse(above)).is_some()
}

fn parse(path: &str) -> StoragePath {
    path.parse().unwrap()
}

/// The same size always gives the same bytes; another size gives others.
fn content(size: usize) -> Bytes {
    sample::bytes(size as u64, size)
}

fn info(info: FileInfo) -> (StoragePath, bool, u64) {
    (info.path.clone(), info.is_file(), info.size)
}

fn words<T: fmt::Debug>(result: Result<T>) -> String {
    let mut words = String::new();
    match result {
        Ok(value) => write!(words, "{value:?}").unwrap(),
        Err(error) => write!(words, "{:?}", error.kind()).unwrap(),
    }
    words
}

/// A listing from a later start may call a missing directory empty.
fn may_be_empty<T: fmt::Debug>(found: Result<Vec<T>>, from_later: bool) -> String {
    match found {
        Err(error) if from_later && error.kind() == ErrorKind::NotFound => words(Ok(Vec::<T>::new())),
        found => words(found),
    }
}
