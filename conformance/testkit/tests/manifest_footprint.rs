//! How much memory a manifest costs, whatever is in it: heap bytes over those before the request. Runs in its
//! own process, because the heap is per process.

#![allow(clippy::unwrap_used, reason = "a test")]

use bytes::Bytes;
use peak_alloc::PeakAlloc;
use plugin_registry::{ReferencePolicy, Registry, layout, manifest::Manifest};
use plugin_registry_conformance::registry::{
    Client,
    fixture::{IMAGE, INDEX, digest},
};
use plugin_registry_core::{Digest, StorageDriverExt};
use plugin_registry_drivers_memory::MemoryDriver;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;
const LONGEST: usize = 4 * MIB;

/// The memory that reading any manifest may take, and that its push may take, which has it as pieces and as a
/// whole.
const MOST: usize = 6 * LONGEST;
const MOST_PUSHED: usize = MOST + 3 * LONGEST;
/// The memory that a GET may take, with the body of its answer.
const MOST_SERVED: usize = MOST + LONGEST;

fn entry(more: &str) -> String {
    format!(r#"{{"mediaType":"{IMAGE}","digest":"{}","size":2{more}}}"#, digest(b"{}"))
}

/// A manifest as long as any may be: `head`, items by their number, `tail`.
fn longest(head: &str, item: impl Fn(usize) -> String, tail: &str) -> Bytes {
    let mut text = head.to_owned();
    for number in 0.. {
        let item = item(number);
        if text.len() + item.len() + tail.len() + 1 > LONGEST {
            break;
        }
        text.push_str(&item);
        text.push(',');
    }
    text.truncate(text.len() - 1);
    text.push_str(tail);
    text.into()
}

/// Manifests in which something small is repeated, and whether it may be pushed.
fn manifests() -> Vec<(&'static str, Bytes, bool)> {
    let image = format!(r#"{{"schemaVersion":2,"config":{},"layers":["#, entry(""));
    let annotated = format!(r#"{{"schemaVersion":2,"config":{},"layers":[],"annotations":{{"#, entry(""));
    let within = |field: &str| format!("{image}{}", entry(field).strip_suffix('}').unwrap());
    let unknown = format!(r#"{{"schemaVersion":2,"config":{},"layers":[],"x":{{"#, entry(""));
    let is = |text: &'static str| move |_: usize| text.to_owned();
    vec![
        ("layers of 0", longest(&image, is("0"), "]}"), false),
        ("layers of {}", longest(&image, is("{}"), "]}"), false),
        ("layers of null", longest(&image, is("null"), "]}"), false),
        ("layers with lists", longest(&image, is(r#"{"urls":[]}"#), "]}"), false),
        ("manifests of 0", longest(r#"{"schemaVersion":2,"manifests":["#, is("0"), "]}"), false),
        ("fsLayers of 0", longest(r#"{"schemaVersion":1,"fsLayers":["#, is("0"), "]}"), false),
        ("urls of 0", longest(&within(r#","urls":["#), is("0"), "]}]}"), false),
        ("urls of text", longest(&within(r#","urls":["#), is(r#""""#), "]}]}"), false),
        ("annotations", longest(&annotated, |at| format!(r#""{at:x}":"""#), "}}"), false),
        (
            "annotations within",
            longest(&within(r#","annotations":{"#), |at| format!(r#""{at:x}":"""#), "}}]}"),
            false,
        ),
        ("keys", longest(&unknown, |at| format!(r#""{at:x}":0"#), "}}"), true),
    ]
}

#[tokio::test]
async fn a_manifest_takes_a_small_multiple_of_its_bytes() {
    let driver = MemoryDriver::new();
    let client = Client::new(&Registry::builder(driver.clone()).references(ReferencePolicy::Sparse).build());
    let mut failures = Vec::new();
    for (name, bytes, may_be_pushed) in manifests() {
        assert!((LONGEST - 200..=LONGEST).contains(&bytes.len()), "{name}: {}", bytes.len());
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        let stored = Manifest::from_stored(Digest::sha256(&bytes), bytes.clone());
        let read = HEAP.peak_usage().saturating_sub(before);
        drop(stored);
        let media_type = if name.starts_with("manifests") { INDEX } else { IMAGE };
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        let answer = client.put_manifest("a", "t", media_type, &bytes).await;
        let pushed = HEAP.peak_usage().saturating_sub(before);
        // The same manifest in a foreign store, where it was not refused.
        let digest = Digest::sha256(&bytes);
        let links = [
            (layout::blob_data(&digest), bytes.clone()),
            (layout::revision_link(&"old".parse().unwrap(), &digest), digest.to_string().into()),
        ];
        for (path, content) in links {
            driver.put(&path, content).await.unwrap();
        }
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        let got = client.get(format!("/v2/old/manifests/{digest}")).send().await;
        let served = HEAP.peak_usage().saturating_sub(before);
        println!(
            "{name}: {} KiB to read, {} KiB to push: {}, {} KiB to get: {}",
            read / 1024,
            pushed / 1024,
            answer.status(),
            served / 1024,
            got.status()
        );
        if got.status() != 200 || served > MOST_SERVED {
            failures.push(format!("{name}: {served} bytes to get: {}", got.status()));
        }
        if read > MOST || pushed > MOST_PUSHED || answer.status() != if may_be_pushed { 201 } else { 400 } {
            failures.push(format!("{name}: {read} bytes to read, {pushed} bytes to push: {answer}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
