//! What a probe reports about healthy stores, about stores that lie, and about their content.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, executor::block_on, stream, stream::BoxStream};
use plugin_registry::Registry;
use plugin_registry_core::{
    ByteRange, Capabilities, Error, ErrorKind, FileInfo, FileWriter, Operation, Permissions, PutMode, Reader,
    Result, StageId, Staged, StorageDriver, StorageDriverExt, StoragePath, WriteMode,
};
use plugin_registry_drivers_memory::MemoryDriver;
use serde_json::json;

use super::{
    LayoutFindings, LayoutTrace, ProbeOutcome, ProbeReport, ProbeStep, ProbeVerb, TraceKind, report::warnings,
};

const ROOT: &str = "/docker/registry/v2";
const V4: &str = "5f0c0f5e-6a0b-4c1c-9d0a-3d6f3c1d2b4a";
const V7: &str = "019a5f0c-0f5e-7c1c-9d0a-3d6f3c1d2b4a";

/// In what a store is not what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    OtherBytes,
    IgnoresConditions,
    NoConditions,
    LosesStages,
    ForgetsStages,
    FindsOtherStages,
}

/// A store in memory that lies.
#[derive(Debug)]
struct Liar(MemoryDriver, Lie);

#[async_trait]
impl StorageDriver for Liar {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().with_create_only(self.1 != Lie::NoConditions)
    }

    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes> {
        let content = self.0.get_content(path, limit).await?;
        Ok(if self.1 == Lie::OtherBytes { "a page of a proxy".into() } else { content })
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
        let mode = if self.1 == Lie::IgnoresConditions { PutMode::Overwrite } else { mode };
        self.0.put_content(path, content, mode).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        self.0.reader(path, range).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let forgets = self.1 == Lie::ForgetsStages && matches!(mode, WriteMode::Resume(_));
        self.0.writer(path, if forgets { WriteMode::Stage } else { mode }).await
    }

    async fn find_staged(&self, path: &StoragePath) -> Result<Staged> {
        let mut staged = self.0.find_staged(path).await?;
        if self.1 == Lie::FindsOtherStages {
            staged.id = StageId::of("other bytes");
        }
        Ok(staged)
    }

    async fn commit_staged(&self, staged: &Staged, to: &StoragePath) -> Result<()> {
        self.0.commit_staged(staged, to).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.0.stat(path).await
    }

    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>> {
        self.0.walk(path, after)
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.0.delete(path).await
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        if self.1 == Lie::LosesStages { stream::empty().boxed() } else { self.0.list_staged(path) }
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        self.0.delete_staged(path, before).await
    }
}

/// A store with these files.
fn filled(paths: &[&str]) -> MemoryDriver {
    let driver = MemoryDriver::new();
    for path in paths {
        block_on(driver.put(&path.parse().unwrap(), path.to_string())).unwrap();
    }
    driver
}

/// Everything in a store, and that nothing is staged.
fn tree(driver: &MemoryDriver) -> Vec<(String, Bytes)> {
    block_on(async {
        let root = StoragePath::root();
        assert_eq!(driver.list_staged(&root).count().await, 0);
        let files: Vec<FileInfo> = driver.walk(&root, None).try_collect().await.unwrap();
        let mut tree = Vec::new();
        for file in files {
            tree.push((file.path.to_string(), driver.get_content(&file.path, u64::MAX).await.unwrap()));
        }
        tree
    })
}

/// Probes, and checks that the store is as before.
fn probe(driver: &MemoryDriver) -> ProbeReport {
    let before = tree(driver);
    let report = block_on(super::probe(&Registry::builder(driver.clone()).build()));
    assert_eq!(tree(driver), before);
    assert_eq!(report.left_over, None);
    report
}

fn verbs(report: &ProbeReport) -> Vec<ProbeVerb> {
    report.steps.iter().map(|step| step.verb).collect()
}

fn failed(report: &ProbeReport) -> Vec<ProbeVerb> {
    report.failed().map(|step| step.verb).collect()
}

fn lie(lie: Lie) -> ProbeReport {
    let driver = MemoryDriver::new();
    let report = block_on(super::probe(&Registry::builder(Liar(driver.clone(), lie)).build()));
    assert!(tree(&driver).is_empty(), "{:?}", tree(&driver));
    report
}

/// The words of a store.
static STORE: Permissions = Permissions {
    missing: "leave to see what is missing",
    write: "leave to write",
    delete: "leave to delete",
    ..Permissions::ANY
};

fn step(verb: ProbeVerb, outcome: ProbeOutcome) -> ProbeStep {
    ProbeStep { verb, outcome, permissions: &STORE }
}

fn report(steps: Vec<ProbeStep>) -> ProbeReport {
    let (layout, warnings) = (LayoutFindings::default(), Vec::new());
    ProbeReport { driver: "s3", steps, layout, warnings, left_over: None, permissions: &STORE }
}

#[test]
fn a_healthy_store_passes_every_step() {
    let report = probe(&MemoryDriver::new());
    assert_eq!(verbs(&report), ProbeVerb::ALL);
    assert!(report.steps.iter().all(|step| matches!(step.outcome, ProbeOutcome::Passed(_))), "{report}");
    assert!(report.is_usable() && report.can_read() && report.can_write() && report.can_delete());
    assert_eq!((report.driver, &report.warnings), ("inmemory", &Vec::new()));
    assert!(!report.layout.exists && !report.layout.has_registry() && !report.layout.has_blobs());
}

/// Each figure by operation, so that none hides behind another.
#[test]
fn the_number_of_driver_calls() {
    let calls = |driver: MemoryDriver, read_only: bool| {
        let registry = Registry::builder(driver).read_only(read_only).build();
        let _ = block_on(super::probe(&registry));
        let counts = registry.metrics().snapshot();
        let named = [
            Operation::List,
            Operation::FindDirectories,
            Operation::Stat,
            Operation::PutContent,
            Operation::GetContent,
            Operation::Writer,
            Operation::ListStaged,
            Operation::FindStaged,
            Operation::CommitStaged,
            Operation::Delete,
        ]
        .map(|operation| counts.calls(operation));
        assert_eq!(named.iter().sum::<u64>(), counts.driver_calls());
        named
    };
    assert_eq!(calls(MemoryDriver::new(), false), [2, 0, 1, 4, 1, 2, 1, 1, 1, 1]);
    assert_eq!(calls(MemoryDriver::new(), true), [2, 0, 1, 0, 1, 0, 1, 0, 0, 0]);
    // However much is there: 12 listings at most.
    let mut paths = vec![format!("{ROOT}/blobs/sha256/aa/aa/data")];
    for repository in 0..50 {
        for file in
            ["_uploads/x/data", "_manifests/revisions/sha256/aa/link", "_manifests/tags/t/current/link"]
        {
            paths.push(format!("{ROOT}/repositories/ns/r{repository}/{file}"));
        }
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    assert_eq!(calls(filled(&paths), false), [11, 1, 1, 4, 1, 2, 1, 1, 1, 1]);
}

#[test]
fn a_read_only_registry_writes_nothing() {
    let driver = filled(&["/docker/registry/v2/blobs/sha256/aa/aa/data"]);
    let before = tree(&driver);
    let registry = Registry::builder(driver.clone()).read_only(true).build();
    let report = block_on(super::probe(&registry));
    assert_eq!(tree(&driver), before);
    assert_eq!(registry.metrics().snapshot().bytes_written(), 0);
    assert_eq!(verbs(&report), ProbeVerb::ALL);
    for step in &report.steps {
        let is_read = matches!(
            step.verb,
            ProbeVerb::List | ProbeVerb::Missing | ProbeVerb::Read | ProbeVerb::FindStages
        );
        match &step.outcome {
            ProbeOutcome::Passed(_) => assert!(is_read, "{step}"),
            ProbeOutcome::Skipped(reason) => {
                assert!(!is_read && &**reason == "the registry is read-only", "{step}");
            }
            ProbeOutcome::Failed(_) => panic!("{step}"),
        }
    }
    assert!(report.can_read() && !report.can_write() && !report.is_usable() && !report.can_delete());
    assert!(report.layout.has_blobs() && report.warnings.is_empty(), "{report}");
}

#[test]
fn stores_that_lie_are_caught() {
    for (what, verb, kind, words) in [
        (Lie::OtherBytes, ProbeVerb::Read, ErrorKind::Corrupted, "read: not the bytes that were written: "),
        (
            Lie::IgnoresConditions,
            ProbeVerb::ConditionalWrite,
            ErrorKind::Other,
            "asked to create a file only if it did not exist",
        ),
        (Lie::LosesStages, ProbeVerb::FindStages, ErrorKind::Other, "find stages: failed: inmemory driver: "),
        (Lie::ForgetsStages, ProbeVerb::Stage, ErrorKind::InvalidOffset, "resumed after 0 bytes instead of "),
        (Lie::FindsOtherStages, ProbeVerb::Stage, ErrorKind::Corrupted, "bytes instead of the "),
    ] {
        let report = lie(what);
        assert_eq!(failed(&report), [verb], "{what:?}: {report}");
        let step = report.step(verb).unwrap();
        assert_eq!(step.error().unwrap().kind(), kind);
        assert!(step.to_string().contains(words), "{step}");
        assert_eq!(report.left_over, None);
    }
    assert!(lie(Lie::IgnoresConditions).warnings[0].starts_with("conditional writes cannot be trusted"));
    assert!(!lie(Lie::OtherBytes).can_read() && lie(Lie::OtherBytes).can_write());
    assert!(lie(Lie::LosesStages).is_usable());
    for what in [Lie::IgnoresConditions, Lie::ForgetsStages, Lie::FindsOtherStages] {
        assert!(lie(what).can_read() && !lie(what).can_write() && !lie(what).is_usable());
    }
}

#[test]
fn no_conditional_writes_is_a_warning() {
    let report = lie(Lie::NoConditions);
    let step = report.step(ProbeVerb::ConditionalWrite).unwrap();
    assert!(
        matches!(step.outcome, ProbeOutcome::Skipped(reason) if reason.contains("no conditional writes"))
    );
    assert!(report.is_usable() && failed(&report).is_empty());
    assert_eq!(report.warnings.len(), 1);
    assert!(report.warnings[0].contains("at the same moment, both succeed"), "{report}");
    let reader = Registry::builder(Liar(MemoryDriver::new(), Lie::NoConditions)).read_only(true).build();
    assert_eq!(block_on(super::probe(&reader)).warnings, Vec::<String>::new());
}

#[test]
fn what_is_missing_has_to_be_said_to_be() {
    let denied = Error::new(ErrorKind::PermissionDenied).with_driver("s3");
    let report = report(vec![
        step(ProbeVerb::List, ProbeOutcome::Passed(std::time::Duration::ZERO)),
        step(ProbeVerb::Missing, ProbeOutcome::Failed(denied)),
        step(ProbeVerb::Read, ProbeOutcome::Passed(std::time::Duration::ZERO)),
    ]);
    assert!(!report.can_read());
    let text = report.step(ProbeVerb::Missing).unwrap().to_string();
    assert!(
        text.starts_with("missing: not permitted: ")
            && text.ends_with("needed: leave to see what is missing"),
        "{text}"
    );
}

#[test]
fn what_a_bucket_keeps_is_said() {
    for (capabilities, words) in [
        (Capabilities::default(), None),
        (Capabilities::default().with_hides_missing(true), Some("leave to see what is missing")),
        (Capabilities::default().with_two_forms(true), Some("names in two forms")),
        (Capabilities::default().with_versions(true), Some("lifecycle rule")),
        (Capabilities::default().with_versions(true).with_retention(true), Some("until its retention ends")),
    ] {
        let warned = warnings(&report(Vec::new()), capabilities);
        assert_eq!(warned.len(), usize::from(words.is_some()), "{warned:?}");
        assert!(words.is_none_or(|words| warned[0].contains(words)), "{warned:?}");
    }
    let refused = Error::new(ErrorKind::PermissionDenied).with_driver("s3");
    let report = report(vec![step(ProbeVerb::Replace, ProbeOutcome::Failed(refused))]);
    assert!(warnings(&report, Capabilities::default())[0].contains("a tag cannot be moved"));
}

#[test]
fn what_a_registry_has_left_is_found() {
    let uploads = |id: &str, file: &str| format!("{ROOT}/repositories/a/_uploads/{id}/{file}");
    let revision = format!("{ROOT}/repositories/a/_manifests/revisions/sha256/aa");
    for (file, at, kind) in [
        (uploads(V4, "hashstates/sha256/0"), uploads(V4, ""), TraceKind::Distribution2Upload),
        (uploads(V7, "hashstates/sha256/0"), uploads(V7, ""), TraceKind::Distribution3Upload),
        (uploads(V7, "stages/aa/sha256/5"), uploads(V7, ""), TraceKind::OwnUpload),
        (uploads(V4, "startedat"), uploads(V4, ""), TraceKind::Upload),
        (uploads("odd", "hashstates/sha256/0"), uploads("odd", ""), TraceKind::Upload),
        (
            format!("{revision}/signatures/sha256/bb/link"),
            format!("{revision}/signatures"),
            TraceKind::Schema1Signatures,
        ),
        (format!("{ROOT}/gc/state"), format!("{ROOT}/gc"), TraceKind::OwnObjects),
    ] {
        let layout = probe(&filled(&[&file])).layout;
        let path = at.trim_end_matches('/').parse().unwrap();
        assert_eq!(layout.traces, [LayoutTrace { kind, path }], "{file}");
        assert!(layout.has_trace(kind), "{file}");
        assert_eq!(layout.exists, kind != TraceKind::OwnObjects, "{file}");
        assert_eq!(layout.unknown, Vec::<StoragePath>::new());
    }
    assert!(probe(&filled(&[&format!("{revision}/signatures/x")])).warnings[0].contains("schema 1"));
}

#[test]
fn foreign_names_are_no_uploads_revisions_algorithms_or_repositories() {
    let repository = format!("{ROOT}/repositories/a");
    let foreign = [
        format!("{ROOT}/blobs/.snapshot"),
        format!("{ROOT}/repositories/.snapshot/a"),
        format!("{repository}/_manifests/revisions/sha256/.DS_Store"),
        format!("{repository}/_uploads/.nfs01"),
    ];
    let mut paths: Vec<String> = foreign.iter().map(|path| format!("{path}/_layers/x")).collect();
    paths.push(format!("{ROOT}/blobs/sha256/aa/aa/data"));
    paths.push(format!("{repository}/_manifests/revisions/sha256/aa/link"));
    paths.push(format!("{repository}/_uploads/{V4}/startedat"));
    let layout = probe(&filled(&paths.iter().map(String::as_str).collect::<Vec<_>>())).layout;
    assert_eq!((layout.repositories, &layout.sampled[..]), (1, &["a".to_owned()][..]));
    assert_eq!(layout.algorithms, ["sha256"]);
    assert_eq!(layout.traces.len(), 1, "{:?}", layout.traces);
    assert!(layout.traces[0].path.as_str().ends_with(V4));
    let mut unknown: Vec<&str> = layout.unknown.iter().map(StoragePath::as_str).collect();
    unknown.sort_unstable();
    assert_eq!(unknown, foreign);
}

#[test]
fn repositories_and_blobs_are_counted_up_to_a_bound() {
    let blob = |algorithm| format!("{ROOT}/blobs/{algorithm}/aa/aa/data");
    let mut paths = vec![blob("sha256"), blob("sha512")];
    let seen = |paths: &[String]| {
        let report = probe(&filled(&paths.iter().map(String::as_str).collect::<Vec<_>>()));
        (
            report.layout.repositories,
            report.layout.has_more_repositories,
            report.layout.sampled,
            report.layout.algorithms,
        )
    };
    let algorithms = vec!["sha256".to_owned(), "sha512".to_owned()];
    assert_eq!(seen(&paths), (0, false, vec![], algorithms.clone()));
    for count in 1..=12 {
        paths.push(format!("{ROOT}/repositories/ns/r{count:02}/_layers/sha256/aa/link"));
        let sampled: Vec<String> = ["ns/r01", "ns/r02"].iter().take(count).map(ToString::to_string).collect();
        assert_eq!(seen(&paths), (count.min(10), count > 10, sampled, algorithms.clone()));
    }
    let report = probe(&filled(&paths.iter().map(String::as_str).collect::<Vec<_>>()));
    assert!(
        report.to_string().contains("layout: 10 or more repositories; blobs (sha256, sha512)"),
        "{report}"
    );
}

/// The probe names what does not belong to a registry. Sharing a bucket with other software is not a fault.
#[test]
fn what_does_not_belong_is_named() {
    let stray = [format!("{ROOT}/blobs/stray"), format!("{ROOT}/note.txt"), format!("{ROOT}/old/x")];
    let report = probe(&filled(&[&stray[0], &stray[1], &stray[2], "/other/file", "/file"]));
    let unknown: Vec<String> = report.layout.unknown.iter().map(ToString::to_string).collect();
    assert_eq!(unknown, [format!("{ROOT}/note.txt"), format!("{ROOT}/old"), format!("{ROOT}/blobs/stray")]);
    assert_eq!(report.layout.beside, ["file", "other"]);
    assert_eq!(
        report.warnings,
        [format!("{ROOT}/note.txt and 2 more: no registry puts that there; it is left alone")]
    );
    assert!(report.is_usable());
    let beside = probe(&filled(&["/metadata/x", "/plugins/y", "/velero/backups/b"]));
    assert_eq!((beside.layout.beside.len(), beside.warnings.len()), (3, 0), "{beside}");
}

#[test]
fn a_location_of_velero_without_a_prefix_is_warned_of() {
    let report =
        probe(&filled(&["/backups/b/velero-backup.json", "/kopia/ns/x", "/metadata/revision", "/else/x"]));
    assert_eq!(report.layout.velero(), ["backups", "kopia", "metadata"]);
    assert_eq!(report.warnings.len(), 1);
    for words in ["backups, kopia, metadata", "invalid top-level directories: [docker]"] {
        assert!(report.warnings[0].contains(words), "{report}");
    }
}

#[test]
fn a_step_in_words() {
    let denied = Error::new(ErrorKind::PermissionDenied)
        .with_message("AccessDenied")
        .with_raw_path("/p")
        .with_operation(Operation::PutContent)
        .with_driver("s3");
    let failed = step(ProbeVerb::Write, ProbeOutcome::Failed(denied));
    assert_eq!(
        failed.to_string(),
        "write: not permitted: s3 driver: put_content /p: permission denied: AccessDenied; needed: leave to \
         write"
    );
    let skipped = step(ProbeVerb::Stage, ProbeOutcome::Skipped("not authenticated"));
    assert_eq!(skipped.to_string(), "stage: skipped: not authenticated");
    let passed = step(ProbeVerb::FindStages, ProbeOutcome::Passed(std::time::Duration::from_micros(2900)));
    assert_eq!(passed.to_string(), "find stages: passed (2 ms)");
    assert_eq!((skipped.hint(), passed.hint()), (None, None));
}

#[test]
fn a_report_as_json() {
    let denied = Error::new(ErrorKind::PermissionDenied).with_driver("s3");
    let mut report = report(vec![
        step(ProbeVerb::List, ProbeOutcome::Passed(std::time::Duration::from_millis(250))),
        step(ProbeVerb::ConditionalWrite, ProbeOutcome::Skipped("the write failed")),
        step(ProbeVerb::Delete, ProbeOutcome::Failed(denied)),
    ]);
    let path: StoragePath = "/docker/registry/v2/gc".parse().unwrap();
    report.layout.traces.push(LayoutTrace { kind: TraceKind::OwnObjects, path: path.clone() });
    report.layout.unknown.push(path.clone());
    report.layout.failures.push(ErrorKind::Timeout.into());
    report.left_over = Some(path);
    report.warnings = warnings(&report, Capabilities::default().with_create_only(true));
    let json = serde_json::to_value(&report).unwrap();
    let path = "/docker/registry/v2/gc";
    assert_eq!(json["warnings"].as_array().unwrap().len(), 4, "{json:#}");
    assert_eq!(
        json["warnings"][3],
        json!(format!("objects of this probe may be left in {path}: delete them"))
    );
    let mut json = json;
    json["warnings"].take();
    let hint = "needed: leave to delete";
    assert_eq!(
        json,
        json!({
            "driver": "s3",
            "usable": false,
            "steps": [
                {"verb": "list", "outcome": "passed", "seconds": 0.25},
                {"verb": "conditional_write", "outcome": "skipped", "reason": "the write failed"},
                {
                    "verb": "delete", "outcome": "failed", "kind": "permission denied",
                    "error": "s3 driver: permission denied", "hint": hint,
                },
            ],
            "layout": {
                "exists": false,
                "algorithms": [],
                "repositories": 0,
                "hasMoreRepositories": false,
                "sampled": [],
                "traces": [{"kind": "own_objects", "path": path}],
                "beside": [],
                "unknown": [path],
                "failures": [{"kind": "timed out", "error": "timed out"}],
            },
            "warnings": null,
            "leftOver": path,
        })
    );
}

/// It can be awaited on any runtime, and its report sent away.
#[test]
fn the_future_can_be_sent() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let registry = Registry::builder(Arc::new(MemoryDriver::new())).build();
    let report = is_send(block_on(is_send(super::probe(&registry))));
    assert!(report.is_usable());
}
