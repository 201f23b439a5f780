//! How much memory a list of referrers costs: heap bytes over those before the request. Runs in its own
//! process, because the heap is per process.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use peak_alloc::PeakAlloc;
use plugin_registry::{ReferencePolicy, Registry};
use plugin_registry_conformance::registry::{Answer, Client, fixture::digest};
use plugin_registry_core::Digest;
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use serde_json::{Map, Value, json};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const COUNT: usize = 24;
const MIB: usize = 1 << 20;

/// The memory that a request may take, whatever the repository holds: a page, one manifest and its parsed
/// form, and the registry's caches.
const MOST: usize = 32 * MIB;

async fn registry(root: &Path) -> Registry {
    let driver = FsDriver::open(FsConfig::new(root)).await.unwrap();
    Registry::builder(driver).references(ReferencePolicy::Sparse).build()
}

/// Stores referrers of `subject` with these annotations, and one more each, so that no two are alike.
async fn refer(
    registry: &Registry,
    name: &str,
    subject: &str,
    annotations: impl Fn(usize) -> Map<String, Value>,
) {
    let manifests = registry.repository(name.parse().unwrap()).manifests();
    for number in 0..COUNT {
        let mut annotations = annotations(number);
        annotations.insert("number".to_owned(), number.to_string().into());
        let config =
            json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "artifactType": "application/vnd.example",
            "config": config, "layers": [],
            "subject": {"mediaType": IMAGE, "digest": subject, "size": 1}, "annotations": annotations,
        });
        manifests.put_tagged(None, &[], Some(IMAGE), manifest.to_string().into()).await.unwrap();
    }
}

/// The answer of a registry that has just been opened, and the most heap that it took.
async fn list(root: &Path, uri: &str) -> (Answer, usize) {
    let client = Client::new(&registry(root).await);
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let answer = client.get(uri).send().await.expect(200);
    (answer, HEAP.peak_usage().saturating_sub(before))
}

fn listed(answer: &Answer) -> usize {
    answer.json().get("manifests").and_then(|list| list.as_array()).unwrap().len()
}

#[tokio::test]
async fn a_list_of_referrers_holds_a_page() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let subject = Digest::sha256(b"subject").to_string();
    {
        let registry = registry(root).await;
        let long = |_| Map::from_iter([("long".to_owned(), "x".repeat(7 * MIB / 2).into())]);
        refer(&registry, "long", &subject, long).await;
        let many = |_| (0..20_000).map(|at| (format!("a{at}"), "".into())).collect();
        refer(&registry, "many", &subject, many).await;
    }
    for name in ["long", "many"] {
        let uri = format!("/v2/{name}/referrers/{subject}");
        for (query, least, most) in [
            ("?n=1", 1, 1),
            ("?artifactType=application/vnd.example", 1, COUNT),
            ("?n=1&artifactType=application/absent", 0, 0),
            ("?n=0", 0, 0),
        ] {
            let (answer, heap) = list(root, &format!("{uri}{query}")).await;
            let count = listed(&answer);
            println!("{name}{query}: {count} listed, {} KiB", heap / 1024);
            assert!((least..=most).contains(&count), "{name}{query}: {count}");
            assert!(heap <= MOST, "{name}{query}: {heap} bytes for {count} of {COUNT}");
        }
        // All of them can be reached, once each.
        let mut next = Some(format!("{uri}?n=10"));
        let mut count = 0;
        while let Some(uri) = next {
            let (answer, heap) = list(root, &uri).await;
            assert!(heap <= MOST, "{uri}: {heap} bytes");
            count += listed(&answer);
            next = answer.next();
        }
        assert_eq!(count, COUNT, "{name}");
    }
}
