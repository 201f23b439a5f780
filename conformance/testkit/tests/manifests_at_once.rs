//! How much memory many large manifests take at the same time: heap bytes over those before. Runs in its own
//! process, because the heap is per process.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::join_all, stream};
use http::Request;
use http_body::Frame;
use http_body_util::StreamBody;
use peak_alloc::PeakAlloc;
use plugin_registry::{ReferencePolicy, Registry};
use plugin_registry_conformance::registry::{
    Client, Wrapped,
    fixture::{IMAGE, INDEX, digest, index},
};
use plugin_registry_drivers_memory::MemoryDriver;
use tokio::sync::Semaphore;
use tower_service::Service;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

/// A manifest of almost 4 MiB with as many children as it has room for, which are held as long as its push takes.
fn costly() -> Bytes {
    let child = format!(r#"{{"mediaType":"{IMAGE}","digest":"{}","size":2}}"#, digest(b"{}"));
    let children = vec![child; 24_000].join(",");
    let text = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{children}]}}"#);
    assert!((3 * MIB..=4 * MIB).contains(&text.len()), "{}", text.len());
    text.into()
}

/// One that takes no more than its bytes.
fn long() -> Bytes {
    let text = "a".repeat(4 * MIB - 200);
    format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"x":"{text}"}}"#).into()
}

fn registry() -> Registry {
    // Waits around each call, so that requests meet there.
    let driver = Wrapped::new(Arc::new(MemoryDriver::new()));
    Registry::builder(driver).references(ReferencePolicy::Sparse).build()
}

/// A PUT whose last byte comes when `gate` opens.
async fn slowly(registry: &Registry, tag: String, bytes: Bytes, gate: Arc<Semaphore>) -> u16 {
    let (last, length) = (bytes.slice(bytes.len() - 1..), bytes.len());
    let pieces = (0..length - 1).step_by(64 * 1024);
    let pieces: Vec<Bytes> = pieces.map(|at| bytes.slice(at..(at + 64 * 1024).min(length - 1))).collect();
    let end = async move {
        gate.acquire().await.unwrap().forget();
        last
    };
    let body = stream::iter(pieces).chain(end.into_stream());
    let body = StreamBody::new(body.map(|piece| Ok::<_, Infallible>(Frame::data(piece))).boxed());
    let request = Request::put(format!("/v2/a/manifests/{tag}")).header("content-type", INDEX);
    registry.service().call(request.body(body).unwrap()).await.unwrap().status().as_u16()
}

/// One after the other, because they measure the same heap.
#[tokio::test]
async fn many_large_manifests_take_turns() {
    let (bytes, many) = (costly(), 24);

    // Parsed, and waiting for the store.
    let registry_of_puts = registry();
    let client = Client::new(&registry_of_puts);
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let tags: Vec<String> = (0..many).map(|number| format!("t{number}")).collect();
    let answers = join_all(tags.iter().map(|tag| client.put_manifest("a", tag, INDEX, &bytes))).await;
    let parsed = HEAP.peak_usage().saturating_sub(before);
    answers.into_iter().for_each(|answer| drop(answer.expect(201)));
    println!("{many} manifests of 4 MiB put at once: {} MiB", parsed / MIB);

    let (bytes, many) = (long(), 32);
    let tags: Vec<String> = (0..many).map(|number| format!("t{number}")).collect();
    // Not whole yet, because their clients take their time.
    let (registry, gate) = (registry(), Arc::new(Semaphore::new(0)));
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let mut slow = tags.iter().map(|tag| slowly(&registry, tag.clone(), bytes.clone(), gate.clone()).boxed());
    let mut slow = join_all(slow.by_ref());
    for _ in 0..1000 {
        assert!((&mut slow).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    let received = HEAP.peak_usage().saturating_sub(before);
    println!("{many} manifests of 4 MiB less a byte: {} MiB", received / MIB);
    // Small manifests do not wait.
    let client = Client::new(&registry);
    let _ = client.put_manifest("a", "small", INDEX, &index(&[])).await.expect(201);
    let _ = client.get("/v2/a/manifests/small").send().await.expect(200);
    gate.add_permits(many);
    assert_eq!(slow.await, vec![201; many]);

    assert!(parsed < 110 * MIB, "{} MiB", parsed / MIB);
    assert!(received < 64 * MIB, "{} MiB", received / MIB);
}
