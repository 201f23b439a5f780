//! Every request of every call fails once, in every way; then each operation fails for ever.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::{StreamExt, stream};
use plugin_registry_core::{ErrorKind, Result};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Fault, Kind, Server};

use crate::{
    calls::{CALLS, Run, fill},
    support::*,
};

/// Cases that run at a time: they wait most of the time.
const AT_ONCE: usize = 40;

/// The files of a store; of staged bytes only that they are there.
fn files(server: &Server) -> BTreeMap<String, Bytes> {
    let objects = server.objects().into_iter();
    let bare = |(key, bytes): (String, Bytes)| {
        let is_staged = key.ends_with(".staged");
        (key, if is_staged { Bytes::new() } else { bytes })
    };
    objects.map(bare).collect()
}

async fn driver(server: &Server, attempts: u32) -> S3Driver {
    // The larger file is copied in parts.
    let config = config(server).with_copy_threshold(1_000).with_max_attempts(attempts);
    S3Driver::open(config).await.unwrap()
}

/// A call without a fault: what it gives, the files before and after, and its requests.
struct Plain {
    name: &'static str,
    run: Run,
    result: String,
    before: BTreeMap<String, Bytes>,
    after: BTreeMap<String, Bytes>,
    requests: usize,
    operations: BTreeSet<&'static str>,
}

async fn plain(name: &'static str, run: Run) -> Plain {
    let server = server();
    fill(&server, name).await;
    let before = files(&server);
    let result = run(&driver(&server, 5).await).await.unwrap();
    let operations = server.requests().iter().map(|request| request.operation).collect();
    Plain { name, run, result, before, after: files(&server), requests: server.count(), operations }
}

/// Runs a call once for each fault. `check` gets the outcome, the files and the faults that have not happened.
async fn each(
    attempts: u32,
    faults: impl Fn(&Plain) -> Vec<Fault>,
    check: impl Fn(&Plain, &Fault, Result<String>, BTreeMap<String, Bytes>),
) -> usize {
    let mut cases = Vec::new();
    for (name, run) in CALLS {
        let call = std::sync::Arc::new(plain(name, *run).await);
        cases.extend(faults(&call).into_iter().map(|fault| (call.clone(), fault)));
    }
    let total = cases.len();
    let runs = cases.into_iter().map(|(call, fault)| {
        let check = &check;
        async move {
            let server = server();
            fill(&server, call.name).await;
            let driver = driver(&server, attempts).await;
            server.fault(fault.clone());
            let result = (call.run)(&driver).await;
            check(&call, &fault, result, files(&server));
        }
    });
    stream::iter(runs).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    total
}

/// Each request of each call meets one of the kinds, in turn.
async fn once(kinds: &[Kind]) {
    let faults = |call: &Plain| {
        let turn = |nth: usize| kinds[(call.name.len() + nth) % kinds.len()].clone();
        (1..=call.requests).map(|nth| Fault::new(turn(nth)).nth(nth)).collect()
    };
    let total = each(5, faults, |call, fault, result, found| {
        let result = result.unwrap_or_else(|error| panic!("{}: {fault:?}: {error}", call.name));
        assert_eq!(result, call.result, "{}: {fault:?}", call.name);
        assert!(found == call.after, "{}: {fault:?}", call.name);
    });
    assert!(total.await > 100);
}

/// F1, F5: after an error before the effect, the call is repeated, and the caller notices nothing.
#[tokio::test]
async fn an_error_before_the_effect_changes_nothing() {
    let first = [Kind::error(500, "InternalError"), Kind::slow_down(Some(0))];
    let second = [Kind::error(502, ""), Kind::error(503, "ServiceUnavailable")];
    futures::join!(once(&first), once(&second));
}

/// F2, F5: an error after the effect, likewise.
#[tokio::test]
async fn an_error_after_the_effect_changes_nothing() {
    once(&[Kind::error_after(500, "InternalError"), Kind::error_after(503, "SlowDown")]).await;
}

/// F1, F2, F6: a connection that ends before or after the effect, likewise.
#[tokio::test]
async fn a_connection_that_ends_changes_nothing() {
    let first = [Kind::CloseAfter, Kind::Reset];
    let second = [Kind::ResetAfter, Kind::ResetReading { after: 10 }];
    futures::join!(once(&first), once(&second));
}

/// F6, F8: an answer that is cut, likewise.
#[tokio::test]
async fn an_answer_that_is_cut_changes_nothing() {
    let length = plugin_registry_emulator::s3::Length::Announced;
    once(&[Kind::ResetSending { after: 40 }, Kind::Truncated { keep: 40, length }]).await;
}

/// I3, I7: for ever, each in its way: right, or an error of the right kind; and every file is as before or as after.
#[tokio::test]
async fn an_operation_that_fails_for_ever_is_an_error_of_its_kind() {
    let kinds = [
        (Kind::error(500, "InternalError"), &[ErrorKind::Unavailable][..]),
        (Kind::error_after(503, "SlowDown"), &[ErrorKind::RateLimited][..]),
        (Kind::access_denied(), &[ErrorKind::PermissionDenied][..]),
        (Kind::CloseAfter, &[ErrorKind::Unavailable][..]),
    ];
    let faults = |call: &Plain| {
        let each = |operation: &&'static str| {
            let operation = *operation;
            kinds.iter().map(move |(kind, _)| on(operation, kind.clone()).forever())
        };
        call.operations.iter().flat_map(each).collect()
    };
    let total = each(2, faults, |call, fault, result, found| {
        match result {
            // A driver that may not list uploads finds the closed stages.
            Ok(_) if *fault == on("ListMultipartUploads", Kind::access_denied()).forever() => {}
            // A commit does not fail because of leftovers that cannot be deleted.
            Ok(result) if call.name.contains("commit") && format!("{fault:?}").contains("\"DeleteObject") => {
                assert_eq!(result, call.result, "{}: {fault:?}", call.name);
                assert!(call.after.iter().all(|(key, bytes)| found.get(key) == Some(bytes)), "{}", call.name);
            }
            Ok(result) => {
                assert_eq!(result, call.result, "{}: {fault:?}", call.name);
                assert!(found == call.after, "{}: {fault:?}", call.name);
            }
            Err(error) => {
                let expected =
                    kinds.iter().find(|(kind, _)| format!("{fault:?}").contains(&format!("{kind:?}")));
                let (_, expected) = expected.unwrap();
                assert!(expected.contains(&error.kind()), "{}: {fault:?}: {error}", call.name);
            }
        }
        for (key, bytes) in &found {
            // The temporary file of an upload, between its completion and the copy to its target. A stage
            // that was closed and not yet committed, or committed and not yet deleted.
            let is_on_its_way = key == "root/w" && *bytes == in_parts() || key == "root/w.staged";
            let is_known = [&call.before, &call.after].iter().any(|state| state.get(key) == Some(bytes));
            assert!(is_known || is_on_its_way, "{}: {fault:?}: {key}", call.name);
        }
        let lost =
            call.before.keys().filter(|key| call.after.contains_key(*key) && !found.contains_key(*key));
        assert_eq!(lost.count(), 0, "{}: {fault:?}", call.name);
    });
    assert!(total.await > 300);
}
