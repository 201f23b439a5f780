//! How much memory a layout costs, whatever is in it: heap bytes over those before. Runs in its own process,
//! because the heap is per process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod common;

use common::{Fixture, IMAGE, run};
use peak_alloc::PeakAlloc;
use plugin_registry_copy::{LayoutImage, LayoutReference, OciLayout};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

/// The memory that a layout's `index.json` of 16 MiB may take to be read, and to be read and written again.
const MOST_READ: usize = 48 * MIB;
const MOST_WRITTEN: usize = 72 * MIB;
/// The memory that a manifest of 4 MiB may take.
const MOST_OF_A_MANIFEST: usize = 6 * 4 * MIB;

/// A document as long as it may be: `head`, items by their number, `tail`.
fn longest(size: usize, head: &str, item: impl Fn(usize) -> String, tail: &str) -> String {
    let mut text = String::with_capacity(size);
    text.push_str(head);
    for number in 0.. {
        let item = item(number);
        if text.len() + item.len() + tail.len() + 1 > size {
            break;
        }
        text.push_str(&item);
        text.push(',');
    }
    text.truncate(text.len() - 1);
    text.push_str(tail);
    text
}

fn entry(number: usize, more: &str) -> String {
    format!(r#"{{"digest":"sha256:{number:064x}","size":1{more}}}"#)
}

#[tokio::test]
async fn an_index_takes_a_small_multiple_of_its_bytes() {
    let is = |text: &'static str| move |_: usize| text.to_owned();
    let named = |at: usize| {
        entry(at, &format!(r#","annotations":{{"org.opencontainers.image.ref.name":"{at:0150}"}}"#))
    };
    let one = entry(0, "");
    let within = one.strip_suffix('}').unwrap();
    let cases = [
        ("numbers", longest(16 * MIB, r#"{"manifests":["#, is("0"), "]}")),
        ("objects", longest(16 * MIB, r#"{"manifests":["#, is("{}"), "]}")),
        ("lists elsewhere", longest(16 * MIB, r#"{"x":["#, is("[]"), "]}")),
        ("objects elsewhere", longest(16 * MIB, r#"{"x":["#, is(r#"{"a":0}"#), "]}")),
        ("members", longest(16 * MIB, "{", |at| format!(r#""{at:x}":0"#), "}")),
        ("one image again and again", longest(16 * MIB, r#"{"manifests":["#, |_| entry(0, ""), "]}")),
        ("short entries", longest(16 * MIB, r#"{"manifests":["#, |at| entry(at, ""), "]}")),
        ("as many images as there may be", longest(16 * MIB, r#"{"manifests":["#, named, "]}")),
        (
            "annotations",
            longest(
                16 * MIB,
                &format!(r#"{{"manifests":[{within},"annotations":{{"#),
                |at| format!(r#""{at:x}":"""#),
                "}}]}",
            ),
        ),
        ("fields", longest(16 * MIB, &format!(r#"{{"manifests":[{within},"x":["#), is("{}"), "]}]}")),
        ("depth", format!("{}{}", "[".repeat(8 * MIB), "]".repeat(8 * MIB))),
    ];
    let source = Fixture::new().await;
    let root = source.image("app", &["layer"]).await;
    source.entries(&[("", &root)]).await;
    let source = source.open(None).await.unwrap();
    let mut failures = Vec::new();
    for (name, index) in cases {
        assert!(index.len() > 16 * MIB - 400 && index.len() <= 16 * MIB, "{name}: {}", index.len());
        let fixture = Fixture::new().await;
        fixture.file("/index.json", index).await;
        let layout = OciLayout::open(fixture.shared(), "fixture").await.unwrap();
        let measure = |what: &str, most: usize, took: usize| {
            println!("{name}: {} KiB to {what}", took >> 10);
            (took > most).then(|| format!("{name}: {took} bytes to {what}"))
        };
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        // Without a name, so that an answer names what there is to choose from.
        let resolved = layout.resolve(None).await;
        failures.extend(measure("read", MOST_READ, HEAP.peak_usage().saturating_sub(before)));
        drop(resolved);
        let name = LayoutReference::Name("new".to_owned());
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        let copied = run(&source, &LayoutImage::new(layout, Some(name))).await;
        failures.extend(measure("write", MOST_WRITTEN, HEAP.peak_usage().saturating_sub(before)));
        drop(copied);
    }
    manifests(&mut failures).await;
    assert!(failures.is_empty(), "{failures:#?}");
}

/// A manifest of another form than any, read from a layout. In the same test, because all tests of a process
/// share the heap.
async fn manifests(failures: &mut Vec<String>) {
    for (name, head, item, tail) in [
        ("layers of objects", r#"{"schemaVersion":2,"layers":["#, "{}", "]}"),
        ("layers of numbers", r#"{"schemaVersion":2,"layers":["#, "0", "]}"),
        ("manifests of lists", r#"{"schemaVersion":2,"manifests":["#, "[]", "]}"),
        ("of no form", r#"{"schemaVersion":2,"x":["#, r#"{"a":0}"#, "]}"),
        ("configs", r#"{"schemaVersion":2,"config":["#, "{}", "]}"),
    ] {
        let fixture = Fixture::new().await;
        let root = fixture.blob(IMAGE, longest(4 * MIB, head, |_| item.to_owned(), tail)).await;
        fixture.entries(&[("", &root)]).await;
        let source = fixture.open(None).await.unwrap();
        let target = Fixture::default().create(None).await.unwrap();
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        let refused = run(&source, &target).await;
        let took = HEAP.peak_usage().saturating_sub(before);
        println!(
            "a manifest with {name}: {} KiB: {:?}",
            took >> 10,
            refused.as_ref().err().map(ToString::to_string)
        );
        assert!(refused.is_err());
        if took > MOST_OF_A_MANIFEST {
            failures.push(format!("a manifest with {name}: {took} bytes"));
        }
    }
}
