//! Real registries: events of a registry, its driver and the code that these call belong to the right
//! instance.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, executor::block_on, stream};
use plugin_registry::{Registry, layout};
use plugin_registry_core::{ByteRange, Descriptor, MediaType, PutMode, RepositoryName, StorageDriver, Tag};
use plugin_registry_drivers_memory::MemoryDriver;
use plugin_registry_locations::config::LogSettings;
use tracing_subscriber::filter::LevelFilter;

use crate::{Host, timeless};

fn registry(store: &MemoryDriver, name: &str) -> Registry {
    Registry::builder(store.clone())
        .identity(format!("velero/{name}"), format!("registry-memory-{name}"))
        .build()
}

fn name() -> RepositoryName {
    "ns/app".parse().unwrap()
}

/// Content whose making logs, as an SDK does that is polled in the call of the driver.
async fn push(registry: &Registry, content: &'static [u8]) -> Descriptor {
    let descriptor = Descriptor::of(MediaType::EmptyJSON, content);
    let pieces = stream::iter([Ok::<_, Infallible>(Bytes::from_static(content))]).inspect(|_| {
        tracing::debug!(target: "aws_smithy_runtime", "sending");
        tracing::info!(target: "hyper", "connected");
    });
    registry.repository(name()).blobs().push(&descriptor, pieces).await.unwrap();
    descriptor
}

#[test]
fn a_push_and_a_damaged_link() {
    let host = Host::with_layer();
    let settings = LogSettings::default().with_field("service", "registry");
    let _a = host.logs.insert("registry-memory-a", settings.clone().with_level(LevelFilter::DEBUG));
    let _b = host.logs.insert("registry-memory-b", settings.with_level(LevelFilter::WARN));
    let (store_a, store_b) = (MemoryDriver::new(), MemoryDriver::new());
    let registries = [registry(&store_a, "a"), registry(&store_b, "b")];
    let tag: Tag = "v1".parse().unwrap();
    let link = layout::tag_current(&name(), &tag);
    let descriptor = host.run(|| {
        block_on(async {
            let (descriptor, _) =
                futures::future::join(push(&registries[0], b"{}"), push(&registries[1], b"{}")).await;
            store_b.put_content(&link, Bytes::from_static(b"no digest"), PutMode::Overwrite).await.unwrap();
            let found = registries[1].repository(name()).tags().resolve(&tag).await.unwrap();
            assert_eq!(found, None);
            descriptor
        })
    });
    let lines: Vec<_> = host.output.take().iter().map(|line| timeless(line)).collect();
    let pushed = "instance=registry-memory-a location=velero/a repository=ns/app service=registry";
    let (sent, rest) = lines.split_first().unwrap();
    assert!(
        sent.starts_with(&format!("level=debug msg=sending digest=\"{}\" ", descriptor.digest)),
        "{sent}"
    );
    let (connected, rest) = rest.split_first().unwrap();
    assert!(connected.starts_with("level=info msg=connected "), "{connected}");
    assert!(sent.ends_with(pushed) && connected.ends_with(pushed), "{lines:?}");
    let (done, rest) = rest.split_first().unwrap();
    assert!(done.starts_with("level=debug msg=done bytes=2 "), "{done}");
    assert!(done.ends_with("instance=registry-memory-a location=velero/a operation=blob.push repository=ns/app service=registry"), "{done}");
    assert_eq!(
        rest,
        [format!(
            "level=warning msg=\"damaged link: it holds no digest\" bytes=9 instance=registry-memory-b \
             location=velero/b path={link} repository=ns/app service=registry tag=v1",
        )]
    );
}

#[test]
fn a_damaged_blob_that_is_read_outside_of_any_span() {
    let host = Host::with_layer();
    let _a = host.logs.insert("registry-memory-a", LogSettings::default());
    let _b = host.logs.insert("registry-memory-b", LogSettings::default());
    let store = MemoryDriver::new();
    let registries = [registry(&store, "a"), registry(&store, "b")];
    host.run(|| {
        block_on(async {
            let descriptor = push(&registries[0], b"{}").await;
            host.output.take();
            let data = layout::blob_data(&descriptor.digest);
            store.put_content(&data, Bytes::from_static(b"[]"), PutMode::Overwrite).await.unwrap();
            let open = async |registry: &Registry| {
                let blobs = registry.repository(name()).blobs();
                blobs.open(&descriptor.digest, ByteRange::full()).await.unwrap().into_stream()
            };
            let (a, b) = (open(&registries[0]).await, open(&registries[1]).await);
            assert!(b.try_collect::<Vec<_>>().await.is_err());
            assert!(a.try_collect::<Vec<_>>().await.is_err());
        });
    });
    let lines = host.output.take();
    let whose: Vec<_> = lines.iter().map(|line| line.contains("location=velero/b ")).collect();
    assert_eq!(whose, [true, false], "{lines:?}");
    assert!(
        lines.iter().all(|line| line.contains("level=error msg=\"stored blob is damaged\"")),
        "{lines:?}"
    );
}
