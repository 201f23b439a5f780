//! Two threads at one session, in every order in which they can meet at the slot's own state: the two flags
//! and the acknowledged offset, beside a lock that is only ever tried. The rest of the session is the real
//! one, over a driver that never waits.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use plugin_registry_core::{Digest, StorageDriver, StoragePath};
use plugin_registry_drivers_memory::MemoryDriver;
use shuttle::{Config, Runner, future::block_on, scheduler::DfsScheduler};

use crate::{Registry, RegistryError, upload::UploadSession};

/// A request of a thread to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Append(&'static str),
    Finish(&'static str),
    Cancel,
    Status,
}

/// The answer: an offset, or zero if the answer has none; `None` for a refusal.
type Told = Option<u64>;

fn content(bytes: &'static str) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> + Send + Unpin {
    stream::iter([Ok(Bytes::from_static(bytes.as_bytes()))])
}

async fn ask(session: &UploadSession, ask: Ask) -> Told {
    let told = match ask {
        Ask::Append(bytes) => session.append(Some(0), None, content(bytes)).await,
        Ask::Finish(bytes) => {
            let digest = Digest::sha256(bytes.as_bytes());
            session.finish(Some(0), None, &digest, content(bytes)).await.map(|_| 0)
        }
        Ask::Cancel => session.cancel().await.map(|()| 0),
        Ask::Status => session.status().await,
    };
    match told {
        Ok(offset) => Some(offset),
        Err(
            RegistryError::UploadBusy | RegistryError::UploadUnknown | RegistryError::UploadOffset { .. },
        ) => None,
        Err(error) => panic!("{ask:?}: {error:?}"),
    }
}

/// The driver never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

/// Lets two threads meet in every order. For each order that ended differently, returns their answers and
/// whether anything of the session was left.
fn meet(asked: [Ask; 2]) -> BTreeSet<([Told; 2], bool)> {
    let ends = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = ends.clone();
    let mut config = Config::new();
    // Futures are large without optimisation.
    config.stack_size = 1 << 20;
    // Nothing here relies on weaker memory orders than those that are tried: the lock orders the writes under
    // it.
    config.silence_warnings = true;
    let orders = Runner::new(DfsScheduler::new(None, false), config).run(move || {
        let driver = MemoryDriver::new();
        let registry = Registry::builder(driver.clone()).delete(true).build();
        let session = registry.repository("ns/app".parse().unwrap()).uploads().start().unwrap();
        let other = session.clone();
        let thread = shuttle::thread::spawn(move || block_on(ask(&other, asked[1])));
        let first = block_on(ask(&session, asked[0]));
        let told = [first, thread.join().unwrap()];
        let root: StoragePath = "/docker/registry/v2/repositories/ns/app/_uploads".parse().unwrap();
        let is_left = now(driver.stat(&root)).is_ok() || now(driver.list_staged(&root).count()) > 0;
        seen.lock().unwrap().insert((told, is_left));
    });
    let ends = std::mem::take(&mut *ends.lock().unwrap());
    println!("{asked:?}: {orders} orders, {ends:?}");
    ends
}

#[test]
fn one_of_two_chunks_is_taken() {
    for (told, is_left) in meet([Ask::Append("one"), Ask::Append("other")]) {
        assert!(matches!(told, [Some(3), None] | [None, Some(5)]), "{told:?}");
        assert!(is_left);
    }
}

#[test]
fn a_status_is_before_or_after_a_chunk() {
    let ends = meet([Ask::Append("one"), Ask::Status]);
    // The chunk waits for a status that looks.
    assert!(ends.iter().all(|(told, _)| matches!(told, [Some(3), Some(0 | 3)])), "{ends:?}");
    assert!(ends.len() > 1);
}

#[test]
fn one_of_two_puts_is_enough() {
    for (told, is_left) in meet([Ask::Finish("blob"), Ask::Finish("blob")]) {
        assert!(told.contains(&Some(0)) && !is_left, "{told:?}");
    }
}

#[test]
fn a_finished_session_takes_nothing_more() {
    for (told, is_left) in meet([Ask::Finish("blob"), Ask::Append("more")]) {
        assert!(told != [Some(0), Some(4)], "a chunk was acknowledged and thrown away");
        assert_eq!(is_left, told[1].is_some(), "{told:?}");
    }
}

#[test]
fn a_cancelled_session_takes_nothing_more() {
    let ends = meet([Ask::Cancel, Ask::Append("more")]);
    for (told, is_left) in &ends {
        assert_eq!(told[0], Some(0), "a cancel waits for what is under way");
        assert!(!is_left, "something is left of a cancelled session: {told:?}");
    }
    // Taken before it, or ended by it.
    assert!(
        ends.iter().any(|(told, _)| told[1] == Some(4)) && ends.iter().any(|(told, _)| told[1].is_none())
    );
}

#[test]
fn a_cancel_and_a_put_do_not_both_count() {
    for (told, is_left) in meet([Ask::Cancel, Ask::Finish("blob")]) {
        assert!(matches!(told, [Some(0), None] | [None, Some(0)]), "{told:?}");
        assert!(!is_left, "{told:?}");
    }
}

#[test]
fn one_of_two_cancels_is_enough() {
    for (told, is_left) in meet([Ask::Cancel, Ask::Cancel]) {
        assert!(matches!(told, [Some(0), None] | [None, Some(0)]) && !is_left, "{told:?}");
    }
}
