//! Push, pull, manifest by tag and HEAD blob, on memory and on the filesystem:
//! `cargo bench -p plugin-registry-benches`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a harness")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use plugin_registry_benches::{Store, content, pull, push, push_image, repository};
use plugin_registry_core::Reference;
use tokio::runtime::Runtime;

fn stores(runtime: &Runtime) -> Vec<Store> {
    vec![
        Store::memory(),
        runtime.block_on(Store::filesystem(false)),
        runtime.block_on(Store::filesystem(true)),
    ]
}

fn blobs(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    for (label, size) in [("4KiB", 4 << 10), ("1MiB", 1 << 20), ("64MiB", 64 << 20)] {
        let mut group = c.benchmark_group(format!("blob-{label}"));
        group.throughput(Throughput::Bytes(size)).sample_size(10);
        for store in stores(&runtime) {
            let registry = store.registry();
            group.bench_function(format!("push/{}", store.name), |b| {
                let blobs = registry.repository(repository()).blobs();
                let (descriptor, _) = content(7, size, 64 << 10);
                let digest = descriptor.digest;
                b.to_async(&runtime).iter_batched(
                    || content(7, size, 64 << 10),
                    |(descriptor, stream)| {
                        let (blobs, driver) = (blobs.clone(), store.driver.clone());
                        async move {
                            blobs.push(&descriptor, stream).await.unwrap();
                            // Without this the next push would only link.
                            driver.delete(&plugin_registry::layout::blob_data(&digest)).await.unwrap();
                        }
                    },
                    BatchSize::PerIteration,
                );
            });
            let descriptor = runtime.block_on(push(&registry, 9, size));
            group.bench_function(format!("pull/{}", store.name), |b| {
                b.to_async(&runtime).iter(|| pull(&registry, &descriptor.digest));
            });
        }
    }
}

fn small(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    for store in stores(&runtime) {
        let registry = store.registry();
        runtime.block_on(push_image(&registry, "latest"));
        let blob = runtime.block_on(push(&registry, 3, 4096));
        let latest: Reference = "latest".parse().unwrap();
        let repository = registry.repository(repository());
        c.bench_function(&format!("manifest-by-tag/{}", store.name), |b| {
            b.to_async(&runtime).iter(|| async { repository.manifests().get(&latest).await.unwrap() });
        });
        c.bench_function(&format!("head-blob/{}", store.name), |b| {
            b.to_async(&runtime).iter(|| async { repository.blobs().stat(&blob.digest).await.unwrap() });
        });
    }
}

criterion_group!(benches, blobs, small);
criterion_main!(benches);
