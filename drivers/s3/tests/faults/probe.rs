//! What `probe` says where one right is missing, or the answer of a write is lost.

use plugin_registry::Registry;
use plugin_registry_emulator::s3::{Kind, Quirks, Server};
use plugin_registry_locations::probe::{ProbeReport, ProbeVerb};

use crate::support::*;

async fn registry(server: &Server) -> Registry {
    Registry::builder(open(server).await).build()
}

/// Probes, and checks that the bucket is as it was before it.
async fn probe(server: &Server) -> ProbeReport {
    let before = server.objects();
    let report = plugin_registry_locations::probe(&registry(server).await).await;
    assert_eq!(server.objects(), before, "{report}");
    assert!(server.uploads().is_empty());
    report
}

fn failed(report: &ProbeReport) -> Vec<ProbeVerb> {
    report.failed().map(|step| step.verb).collect()
}

#[tokio::test]
async fn a_probe_of_a_healthy_bucket_leaves_nothing() {
    let server = server();
    server.put_raw(&key("/docker/registry/v2/blobs/sha256/aa/aa/data"), "x");
    let report = probe(&server).await;
    assert_eq!(failed(&report), []);
    assert!(report.is_usable() && report.can_delete() && report.layout.has_blobs(), "{report}");
    assert_eq!(report.warnings, Vec::<String>::new());
}

/// The steps that need the right fail, and name it; whatever can be deleted is.
#[tokio::test]
async fn a_probe_names_the_right_that_is_missing() {
    use ProbeVerb::{Delete, FindStages, List, Read, Stage, Write};
    for (operation, steps, right) in [
        ("ListObjectsV2", &[List, FindStages, Delete][..], "s3:ListBucket"),
        ("PutObject", &[Write, Stage], "s3:PutObject"),
        // The probe does not stage anything that it could not delete again.
        ("GetObject", &[Read], "s3:GetObject"),
        // The driver does without them for objects of one part: see the documentation of `probe`.
        ("ListMultipartUploads", &[], ""),
        ("AbortMultipartUpload", &[], ""),
    ] {
        let server = server();
        server.deny(operation);
        let report = probe(&server).await;
        assert_eq!(failed(&report), steps, "{operation}: {report}");
        assert_eq!(report.left_over, None, "{operation}");
        for step in report.failed() {
            let text = step.to_string();
            assert!(text.contains(": not permitted: s3 driver: "), "{text}");
            assert!(step.hint().unwrap().contains(right), "{text}");
        }
    }
}

/// A probe that may not delete leaves objects and reports where they are.
#[tokio::test]
async fn a_probe_without_the_right_to_delete_names_what_is_left() {
    let server = server();
    for operation in ["DeleteObject", "DeleteObjects"] {
        server.deny(operation);
    }
    let report = plugin_registry_locations::probe(&registry(&server).await).await;
    assert!(failed(&report).contains(&ProbeVerb::Delete), "{report}");
    assert!(report.step(ProbeVerb::Delete).unwrap().hint().unwrap().contains("s3:DeleteObject"));
    let place = key(report.left_over.unwrap().as_str());
    let left = server.objects();
    assert!(!left.is_empty() && left.keys().all(|left| left.starts_with(&place)), "{left:?}");
}

/// A write whose answers are lost may have happened: its object is deleted.
#[tokio::test]
async fn a_probe_deletes_what_it_does_not_know_of() {
    let server = server();
    server.fault(on("PutObject", Kind::error_after(504, "RequestTimeout")).forever());
    let report = probe(&server).await;
    assert!(failed(&report).contains(&ProbeVerb::Write), "{report}");
    assert_eq!(report.left_over, None);
}

#[tokio::test]
async fn a_probe_with_wrong_keys_ends_at_once() {
    let server = server();
    let registry = registry(&server).await;
    server.rotate_keys("another", "key");
    server.forget();
    let report = plugin_registry_locations::probe(&registry).await;
    assert_eq!(failed(&report), [ProbeVerb::List], "{report}");
    assert!(report.to_string().contains("list: not authenticated: "), "{report}");
    assert!(server.counts().keys().all(|operation| *operation == "ListObjectsV2"), "{:?}", server.counts());
}

fn quirky(change: impl FnOnce(&mut Quirks)) -> Server {
    Server::builder().min_part(1).quirks(change).start()
}

/// 403 for what is missing: with the right to list, backups work, and the right that is lacking is named. Without it
/// the check says no.
#[tokio::test]
async fn a_probe_asks_for_what_is_missing() {
    let server = quirky(|quirks| quirks.missing_is_forbidden = true);
    let report = probe(&server).await;
    assert!(report.is_usable(), "{report}");
    assert!(
        report.warnings.iter().any(|text| text.contains("s3:ListBucket on the bucket, without")),
        "{report}"
    );
    server.deny("ListObjectsV2");
    let report = plugin_registry_locations::probe(&registry(&server).await).await;
    let step = report.step(ProbeVerb::Missing).unwrap().to_string();
    assert!(
        step.contains("not permitted") && step.contains("s3:ListBucket on the bucket, without"),
        "{step}"
    );
    assert!(!report.is_usable());
}

/// A bucket that keeps versions is an ordinary bucket, and the report says what stays.
#[tokio::test]
async fn a_probe_says_what_a_bucket_keeps() {
    let retained = probe(&quirky(|quirks| quirks.retention = true)).await;
    assert_eq!(failed(&retained), [], "{retained}");
    assert!(
        retained.warnings.iter().any(|text| text.contains("(Object Lock): tags can be moved")),
        "{retained}"
    );
    let server = quirky(|quirks| quirks.versions = true);
    let report = probe(&server).await;
    assert_eq!(failed(&report), [], "{report}");
    assert!(report.warnings.iter().any(|text| text.starts_with("the store keeps versions")), "{report}");
    assert!(server.markers().iter().all(|(_, was_there)| *was_there), "{:?}", server.markers());
}

/// A store that takes every object once: the steps that replace and delete fail, each with its reason.
#[tokio::test]
async fn a_probe_says_what_retention_forbids() {
    let server = quirky(|quirks| quirks.write_once = true);
    let report = plugin_registry_locations::probe(&registry(&server).await).await;
    assert!(report.can_read() && !report.can_delete(), "{report}");
    for verb in [ProbeVerb::Replace, ProbeVerb::Delete] {
        let text = report.step(verb).unwrap().to_string();
        assert!(text.contains("retains this object (Object Lock)"), "{text}");
    }
    assert!(report.warnings.iter().any(|text| text.contains("a tag cannot be moved")), "{report}");
    assert!(report.left_over.is_some());
}
