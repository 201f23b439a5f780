//! `probe` on stores that refuse, on those that are not there, and given up anywhere.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures::TryStreamExt;
use plugin_registry::Registry;
use plugin_registry_conformance::{
    driver::Store,
    registry::{Lab, Wrapped, fixture::Image, fixture::content, on_a_runtime},
};
use plugin_registry_core::{ErrorKind, FileInfo, Operation, StoragePath};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;
use plugin_registry_locations::{
    probe,
    probe::{ProbeOutcome, ProbeReport, ProbeStep, ProbeVerb, TraceKind},
};

const PLACE: &str = "/docker/registry/v2/gc/probe/";

fn memory() -> Store {
    Store::of_clones(MemoryDriver::new())
}

fn fs() -> Store {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    Store::new(move || {
        let directory = directory.clone();
        async move { FsDriver::open(FsConfig::new(directory.path()).with_durable(false)).await }
    })
}

/// A lab with an image in it.
async fn filled(store: Store) -> Lab {
    let lab = Lab::open(store).await;
    lab.client().push_image("ns/app", "latest", &Image::new(1)).await;
    lab
}

fn refusing(lab: &Lab, refused: &'static [Operation], kind: ErrorKind) -> Registry {
    let failure = move |operation: Operation| refused.contains(&operation).then_some(kind);
    Registry::builder(Wrapped::new(lab.shared()).failing(failure)).build()
}

async fn staged(lab: &Lab) -> Vec<FileInfo> {
    lab.driver().list_staged(&StoragePath::root()).try_collect().await.unwrap()
}

/// Probes with these operations refused, and checks that nothing is left behind.
async fn refused(lab: &Lab, refused: &'static [Operation], kind: ErrorKind) -> ProbeReport {
    let before = lab.tree().await;
    let report = probe(&refusing(lab, refused, kind)).await;
    lab.tree().await.assert_is(&before);
    assert_eq!(staged(lab).await, []);
    report
}

fn verbs(report: &ProbeReport) -> Vec<ProbeVerb> {
    report.steps.iter().map(|step| step.verb).collect()
}

fn failed(report: &ProbeReport) -> Vec<ProbeVerb> {
    report.failed().map(|step| step.verb).collect()
}

fn skipped(step: &ProbeStep) -> &'static str {
    match step.outcome {
        ProbeOutcome::Skipped(reason) => reason,
        _ => panic!("{step}"),
    }
}

/// A pushed image and an upload that waits: found, and left as they are.
async fn a_store_in_use_is_left_as_it_is(store: Store) {
    let lab = filled(store).await;
    let client = lab.client();
    let location = client.begin("ns/app").await;
    let location = client.append(&location, &content(1, 1000)).await;
    let (before, waiting) = (lab.tree().await, staged(&lab).await);
    let report = probe(lab.registry()).await;
    lab.tree().await.assert_is(&before);
    assert_eq!(staged(&lab).await, waiting);
    assert_eq!(verbs(&report), ProbeVerb::ALL);
    assert!(failed(&report).is_empty() && report.is_usable() && report.can_delete(), "{report}");
    let layout = &report.layout;
    assert!(layout.has_registry() && layout.has_blobs() && layout.has_trace(TraceKind::Upload), "{layout:?}");
    assert_eq!((layout.repositories, layout.algorithms.as_slice()), (1, &["sha256".to_owned()][..]));
    assert_eq!((layout.sampled.as_slice(), layout.unknown.len()), (&["ns/app".to_owned()][..], 0));
    assert_eq!(report.warnings, Vec::<String>::new());
    assert_eq!(client.get(&location).send().await.expect(204).header("range"), "0-999");
}

#[test]
fn a_store_in_memory_in_use_is_left_as_it_is() {
    on_a_runtime(a_store_in_use_is_left_as_it_is(memory()));
}

#[test]
fn a_directory_in_use_is_left_as_it_is() {
    on_a_runtime(a_store_in_use_is_left_as_it_is(fs()));
}

/// Exactly the step fails that needs what is refused, its words name it, and nothing stays.
#[test]
fn each_verb_refused_fails_its_step() {
    use Operation as Op;
    const CASES: &[(&[Operation], ProbeVerb, &str)] = &[
        (&[Op::List], ProbeVerb::List, "list: not permitted: inmemory driver: list /docker/registry/v2: "),
        (&[Op::Stat], ProbeVerb::Missing, "missing: not permitted: inmemory driver: stat "),
        (&[Op::PutContent], ProbeVerb::Write, "write: not permitted: inmemory driver: put_content "),
        (&[Op::GetContent], ProbeVerb::Read, "read: not permitted: inmemory driver: get_content "),
        (&[Op::Writer], ProbeVerb::Stage, "stage: not permitted: inmemory driver: writer "),
        (&[Op::WriterWrite], ProbeVerb::Stage, "stage: not permitted: inmemory driver: writer_write "),
        (&[Op::WriterClose], ProbeVerb::Stage, "stage: not permitted: inmemory driver: writer_close "),
        (&[Op::FindStaged], ProbeVerb::Stage, "stage: not permitted: inmemory driver: find_staged "),
        (&[Op::CommitStaged], ProbeVerb::Stage, "stage: not permitted: inmemory driver: commit_staged "),
        (
            &[Op::ListStaged],
            ProbeVerb::FindStages,
            "find stages: not permitted: inmemory driver: list_staged ",
        ),
        (&[Op::Delete], ProbeVerb::Delete, "delete: not permitted: inmemory driver: delete "),
        // Without a right to commit, the stage is deleted on its own path.
        (&[Op::CommitStaged, Op::Delete], ProbeVerb::Delete, "delete: not permitted: "),
    ];
    on_a_runtime(async {
        let lab = filled(memory()).await;
        for (operations, verb, words) in CASES {
            let report = refused(&lab, operations, ErrorKind::PermissionDenied).await;
            assert_eq!(verbs(&report), ProbeVerb::ALL);
            let expected = if operations.len() == 1 { vec![*verb] } else { vec![ProbeVerb::Stage, *verb] };
            assert_eq!(failed(&report), expected, "{operations:?}: {report}");
            let text = report.step(*verb).unwrap().to_string();
            assert!(text.starts_with(words) && text.contains("; needed: the right"), "{text}");
            assert_eq!(report.left_over, None);
            let is_usable =
                matches!(verb, ProbeVerb::FindStages | ProbeVerb::Delete) && operations.len() == 1;
            assert_eq!(report.is_usable(), is_usable, "{operations:?}");
            // The layout needs lists alone.
            let is_seen = *verb != ProbeVerb::List;
            assert_eq!((report.layout.has_registry(), report.layout.failures.is_empty()), (is_seen, is_seen));
        }
        let no_writes = refused(&lab, &[Op::PutContent], ErrorKind::PermissionDenied).await;
        assert_eq!(skipped(no_writes.step(ProbeVerb::ConditionalWrite).unwrap()), "the write failed");
        let no_reads = refused(&lab, &[Op::GetContent], ErrorKind::PermissionDenied).await;
        assert!(skipped(no_reads.step(ProbeVerb::Stage).unwrap()).starts_with("reads are not permitted"));
        let nothing = refused(&lab, &[Op::PutContent, Op::Writer], ErrorKind::PermissionDenied).await;
        assert_eq!(failed(&nothing), [ProbeVerb::Write, ProbeVerb::Stage]);
        assert_eq!(skipped(nothing.step(ProbeVerb::Delete).unwrap()), "nothing was written");
        assert!(nothing.can_read() && !nothing.can_write());
        let no_search = refused(&lab, &[Op::FindDirectories], ErrorKind::PermissionDenied).await;
        assert!(failed(&no_search).is_empty() && no_search.layout.failures.len() == 1, "{no_search}");
        assert!(no_search.warnings[0].starts_with("not all of the layout could be read"), "{no_search}");
    });
}

/// Only writes on a condition are refused, the first of them or the second.
#[test]
fn conditional_writes_refused() {
    on_a_runtime(async {
        let lab = filled(memory()).await;
        for nth in [2, 3] {
            let before = lab.tree().await;
            let count = AtomicUsize::new(0);
            let failure = move |operation| {
                let is_put = operation == Operation::PutContent;
                (is_put && count.fetch_add(1, Ordering::Relaxed) == nth).then_some(ErrorKind::Unsupported)
            };
            let registry = Registry::builder(Wrapped::new(lab.shared()).failing(failure)).build();
            let report = probe(&registry).await;
            lab.tree().await.assert_is(&before);
            assert_eq!(failed(&report), [ProbeVerb::ConditionalWrite], "{report}");
            let text = report.step(ProbeVerb::ConditionalWrite).unwrap().to_string();
            assert!(text.starts_with("conditional write: not supported by the store: "), "{text}");
            assert!(report.warnings[0].starts_with("conditional writes do not work"), "{report}");
            assert!(report.can_read() && !report.can_write());
        }
    });
}

/// The report and its warnings name what cannot be deleted.
#[test]
fn what_is_left_is_named() {
    on_a_runtime(async {
        let lab = filled(memory()).await;
        let before = lab.tree().await;
        let refused = &[Operation::Delete, Operation::DeleteMany];
        let report = probe(&refusing(&lab, refused, ErrorKind::PermissionDenied)).await;
        assert_eq!(failed(&report), [ProbeVerb::Delete]);
        let place = report.left_over.clone().unwrap();
        assert!(place.as_str().starts_with(PLACE), "{place}");
        let mut after = lab.tree().await;
        for name in ["object", "created"] {
            after = after.without(&format!("{place}/{name}"));
        }
        after.assert_is(&before);
        let words = format!("objects of this probe may be left in {place}: delete them");
        assert!(report.warnings.contains(&words) && report.to_string().contains(&words), "{report}");
        lab.remove(place.as_str()).await;

        let refused = &[Operation::Delete, Operation::DeleteStaged, Operation::CommitStaged];
        let report = probe(&refusing(&lab, refused, ErrorKind::PermissionDenied)).await;
        lab.tree().await.assert_is(&before);
        let place = report.left_over.clone().unwrap();
        let waiting: Vec<StoragePath> = staged(&lab).await.into_iter().map(|info| info.path).collect();
        assert_eq!(waiting, [place.join("object").unwrap()]);
    });
}

/// One call shows that the credentials are wrong, so no other call is made.
#[test]
fn wrong_credentials_end_it_at_once() {
    on_a_runtime(async {
        let lab = filled(memory()).await;
        let registry = refusing(&lab, Operation::ALL, ErrorKind::Unauthenticated);
        let report = probe(&registry).await;
        assert_eq!(registry.metrics().snapshot().driver_calls(), 1);
        assert_eq!((verbs(&report), failed(&report)), (ProbeVerb::ALL.to_vec(), vec![ProbeVerb::List]));
        for step in &report.steps[1..] {
            assert_eq!(skipped(step), "not authenticated");
        }
        let text = report.to_string();
        assert!(text.contains("list: not authenticated: ") && text.contains("wrong or expired"), "{text}");
        assert!(text.contains("layout: not read"), "{text}");
        assert!(!report.is_usable() && !report.can_read() && report.left_over.is_none());
        // A caller that may list without credentials, and do nothing else, learns that from each step.
        const ALL_BUT_LISTS: &[Operation] =
            &[Operation::PutContent, Operation::GetContent, Operation::Writer, Operation::ListStaged];
        let report = refused(&lab, ALL_BUT_LISTS, ErrorKind::Unauthenticated).await;
        let expected = [ProbeVerb::Write, ProbeVerb::Read, ProbeVerb::Stage, ProbeVerb::FindStages];
        assert_eq!(failed(&report), expected, "{report}");
    });
}

/// If a store does not answer, it is unknown what it has done.
#[test]
fn a_store_that_is_not_there() {
    on_a_runtime(async {
        let lab = filled(memory()).await;
        for (kind, words) in [
            (ErrorKind::Unavailable, "write: not available: "),
            (ErrorKind::Timeout, "write: no answer in time: "),
            (ErrorKind::RateLimited, "write: too many requests: "),
        ] {
            let before = lab.tree().await;
            let report = probe(&refusing(&lab, Operation::ALL, kind)).await;
            lab.tree().await.assert_is(&before);
            let mut expected = ProbeVerb::ALL.to_vec();
            expected.retain(|verb| !matches!(verb, ProbeVerb::Replace | ProbeVerb::ConditionalWrite));
            assert_eq!(failed(&report), expected, "{report}");
            assert!(report.to_string().contains(words), "{report}");
            assert!(report.left_over.is_some() && !report.can_read());
        }
        // Only a write did not get an answer, and it had no effect: there is nothing to delete.
        const WRITES: &[Operation] = &[Operation::PutContent, Operation::Writer];
        let report = refused(&lab, WRITES, ErrorKind::Timeout).await;
        assert_eq!(failed(&report), [ProbeVerb::Write, ProbeVerb::Stage]);
        assert_eq!(skipped(report.step(ProbeVerb::Delete).unwrap()), "nothing was written");
    });
}

/// A tree that cannot be made, on a file system.
#[test]
fn a_file_where_a_directory_should_be() {
    on_a_runtime(async {
        let lab = Lab::open(fs()).await;
        lab.write("/docker", "not a directory").await;
        let before = lab.tree().await;
        let report = probe(lab.registry()).await;
        lab.tree().await.assert_is(&before);
        assert!(failed(&report).contains(&ProbeVerb::Write) && !report.is_usable(), "{report}");
        assert!(report.step(ProbeVerb::Write).unwrap().hint().is_some_and(|hint| !hint.contains("bucket")));
    });
}

/// Polls a future this many times and drops it, unless it has ended.
async fn drop_after<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// At most two objects and a stage stay, in one directory; a purge throws the stage away.
#[test]
fn a_probe_may_be_dropped_anywhere() {
    on_a_runtime(async {
        let lab = filled(memory()).await;
        let before = lab.tree().await;
        let (mut most_files, mut most_stages) = (0, 0);
        for polls in 1.. {
            let registry = Registry::builder(Wrapped::new(lab.shared())).build();
            let ended = drop_after(probe(&registry), polls).await;
            let (tree, waiting) = (lab.tree().await, staged(&lab).await);
            if let Some(report) = ended {
                tree.assert_is(&before);
                assert!(report.is_usable() && waiting.is_empty());
                break;
            }
            let left: Vec<&str> = tree.paths().filter(|path| before.get(path).is_none()).collect();
            let waiting_at = waiting.iter().map(|info| info.path.as_str());
            let places: std::collections::BTreeSet<&str> = left
                .iter()
                .copied()
                .chain(waiting_at)
                .map(|path| path.strip_prefix(PLACE).unwrap().split('/').next().unwrap())
                .collect();
            assert!(places.len() <= 1, "{places:?}");
            if most_stages == 0 && !waiting.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let purged = lab.registry().purge_uploads(Duration::from_millis(1), false).await.unwrap();
                assert_eq!((purged.staged.len(), staged(&lab).await.len()), (1, 0));
            }
            most_files = most_files.max(left.len());
            most_stages = most_stages.max(waiting.len());
            for place in places {
                let _ = lab.driver().delete(&format!("{PLACE}{place}").parse().unwrap()).await;
            }
            lab.tree().await.assert_is(&before);
        }
        assert_eq!((most_files, most_stages), (2, 1));
    });
}
