//! Whether a driver leaves the thread that polls its calls to other tasks.
//!
//! Each call is polled once on a runtime of one thread, while all threads of its blocking pool are taken. Then
//! nothing but this poll can work for the call. A driver that hands its work over returns `Pending`, whatever
//! the speed of the store and the load of the machine. A driver that blocks has the whole result. So the
//! answer of a poll decides, and never a clock.

use std::{
    future::poll_fn,
    panic::resume_unwind,
    pin::pin,
    sync::mpsc::{Receiver, Sender, channel},
    task::Poll,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::{TryStreamExt, channel::oneshot};
use plugin_registry_core::{ByteRange, PutMode, StorageDriver, StoragePath};

use super::{
    Context,
    context::{Driver, LIMIT, direct, drain, entries, first, marked, put, stage, walk, write, write_file},
    sample,
    store::Store,
};

/// Threads of the blocking pool: more than one, for a driver whose work needs another piece of work.
const THREADS: usize = 4;

/// A driver that waits for the blocking pool on the runtime's thread would wait forever. It gets the pool back
/// then, and is caught because its poll returned a result.
const GIVE_UP: Duration = Duration::from_secs(30);

/// A driver with threads of its own may be quicker than the poll, but not each time.
const ATTEMPTS: usize = 5;

/// More than a stream or a writer may hold.
const READ: usize = 8 << 20;
const PIECE: usize = 1 << 20;
const PIECES: usize = 64;

/// No call does its work on the thread that polls it.
///
/// Every call that changes the store, that lists, or that moves more than a piece has to wait at least once. A
/// look at one small thing (`stat`, `find_staged`, opening a reader or a writer) may be answered at once, from
/// what is in memory. For a store in memory ([`Store::in_memory`]), no call waits at all.
pub async fn calls_do_not_block_the_runtime(cx: &Context) {
    let (store, base) = (cx.store().clone(), cx.base().clone());
    let checked = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(THREADS)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(check(&store, &base));
    });
    if let Err(failed) = checked.await {
        resume_unwind(failed.into_panic());
    }
}

async fn check(store: &Store, base: &StoragePath) {
    let driver = Driver::new(plugin_registry_core::Checked::new(store.open().await));
    let steps = Steps { driver: &*driver, base, in_memory: store.is_in_memory() };
    steps.content().await;
    steps.writer().await;
    steps.listings().await;
    steps.deletes().await;
}

struct Steps<'a> {
    driver: &'a dyn StorageDriver,
    base: &'a StoragePath,
    in_memory: bool,
}

impl Steps<'_> {
    async fn content(&self) {
        let Self { driver, .. } = *self;
        let content = sample::bytes(1, PIECE);
        self.check("put_content", async |path| {
            waits(driver.put_content(path, content.clone(), PutMode::Overwrite)).await
        })
        .await;
        let large = sample::bytes(2, READ);
        self.check("get_content", async |path| {
            write_file(driver, path, large.clone()).await;
            waits(driver.get_content(path, LIMIT)).await
        })
        .await;
        self.check("reader", async |path| {
            write_file(driver, path, large.clone()).await;
            waits(drain(driver.reader(path, ByteRange::full()).await.unwrap())).await
        })
        .await;
    }

    async fn writer(&self) {
        let Self { driver, .. } = *self;
        self.check("writer_write", async |path| write_until_it_waits(driver, path).await).await;
        self.check("writer_close", async |path| {
            let mut writer = first(driver, path).await;
            write(&mut writer, "content").await;
            waits(writer.close()).await
        })
        .await;
        self.check("writer_commit", async |path| {
            let mut writer = direct(driver, path).await;
            write(&mut writer, "content").await;
            waits(writer.commit(path)).await
        })
        .await;
        self.check("commit_staged", async |path| {
            let staged = stage(driver, path, "content").await;
            waits(driver.commit_staged(&staged, path)).await
        })
        .await;
    }

    async fn listings(&self) {
        let Self { driver, .. } = *self;
        let fill = async |path: &StoragePath| {
            for rest in ["a/_x", "a/b/_x", "c"] {
                put(driver, &path.join(rest).unwrap(), rest).await;
            }
        };
        self.check("list", async |path| {
            fill(path).await;
            waits(entries(driver, path, None)).await
        })
        .await;
        self.check("walk", async |path| {
            fill(path).await;
            waits(walk(driver, path, None)).await
        })
        .await;
        self.check("find_directories", async |path| {
            fill(path).await;
            waits(async { Ok(marked(driver, path, "_", None).await) }).await
        })
        .await;
        self.check("list_staged", async |path| {
            stage(driver, &path.join("file").unwrap(), "content").await;
            waits(driver.list_staged(path).try_collect::<Vec<_>>()).await
        })
        .await;
    }

    async fn deletes(&self) {
        let Self { driver, .. } = *self;
        self.check("delete", async |path| {
            put(driver, path, "content").await;
            waits(driver.delete(path)).await
        })
        .await;
        self.check("delete_many", async |path| {
            put(driver, path, "content").await;
            waits(driver.delete_many(vec![path.clone()], &[])).await
        })
        .await;
        self.check("delete_staged", async |path| {
            stage(driver, path, "content").await;
            let later = SystemTime::now() + Duration::from_secs(3600);
            waits(driver.delete_staged(path, later)).await
        })
        .await;
    }

    /// Makes a call, a few times at most, until it waits.
    async fn check(&self, operation: &str, call: impl AsyncFn(&StoragePath) -> bool) {
        let mut waited = false;
        for attempt in 0..ATTEMPTS {
            let path = self.base.join(&format!("{operation}/{attempt}")).unwrap();
            waited = call(&path).await;
            if waited || self.in_memory {
                break;
            }
        }
        let path = self.base.join(operation).unwrap();
        if self.in_memory {
            assert!(!waited, "{operation} at {path} waits, but the test file says `Store::in_memory`");
            return;
        }
        let more = match operation {
            "writer_write" => ", or holds every piece in memory",
            _ => "",
        };
        assert!(
            waited,
            "{operation} at {path} does its work on the thread that polls it{more}: expected `Pending` at least \
             once while nothing else can work for the call, saw the whole result at once, {ATTEMPTS} times; \
             move the work to `tokio::task::spawn_blocking` or to asynchronous I/O"
        );
    }
}

/// Writes pieces until one has to wait. A writer that takes them all either blocks or holds them all.
async fn write_until_it_waits(driver: &dyn StorageDriver, path: &StoragePath) -> bool {
    let mut writer = direct(driver, path).await;
    let piece = sample::bytes(3, PIECE);
    let mut pool = FullPool::fill().await;
    for _ in 0..PIECES {
        match pool.poll(writer.write(Bytes::clone(&piece))).await {
            Polled::AtOnce(written, full) => {
                written.unwrap();
                pool = full;
            }
            Polled::Waited(written) => {
                written.unwrap();
                writer.cancel().await.unwrap();
                return true;
            }
        }
    }
    drop(pool);
    writer.cancel().await.unwrap();
    false
}

/// Whether a call waits while nothing else can work for it. The call ends in any case, with success.
async fn waits<T>(call: impl Future<Output = plugin_registry_core::Result<T>>) -> bool {
    let (done, waited) = match FullPool::fill().await.poll(call).await {
        Polled::AtOnce(done, _) => (done, false),
        Polled::Waited(done) => (done, true),
    };
    done.unwrap_or_else(|error| panic!("{error}"));
    waited
}

/// The blocking pool of the runtime, every thread of it taken until this is dropped.
struct FullPool {
    _taken: Vec<Sender<()>>,
}

enum Polled<T> {
    /// The first poll returned the result. The pool is still full.
    AtOnce(T, FullPool),
    /// The first poll returned `Pending`. The pool was freed, and the call went on to its end.
    Waited(T),
}

impl FullPool {
    async fn fill() -> Self {
        let mut taken = Vec::new();
        let mut begun = Vec::new();
        for _ in 0..THREADS {
            let (sender, receiver): (Sender<()>, Receiver<()>) = channel();
            let (begins, has_begun) = oneshot::channel();
            tokio::task::spawn_blocking(move || {
                let _ = begins.send(());
                // Ends when the sender is dropped.
                let _ = receiver.recv_timeout(GIVE_UP);
            });
            taken.push(sender);
            begun.push(has_begun);
        }
        for has_begun in begun {
            has_begun.await.unwrap();
        }
        Self { _taken: taken }
    }

    async fn poll<F: Future>(self, call: F) -> Polled<F::Output> {
        // Tokio would otherwise return `Pending` after a number of steps, for whatever the driver does.
        let mut call = pin!(tokio::task::unconstrained(call));
        match poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
            Poll::Ready(output) => Polled::AtOnce(output, self),
            Poll::Pending => {
                drop(self);
                Polled::Waited(call.await)
            }
        }
    }
}
