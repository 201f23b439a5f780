//! Each driver call is made, and each listing and body polled, in a span `storage`.

use bytes::Bytes;
use futures::{TryStreamExt, executor::block_on};
use plugin_registry::Registry;
use plugin_registry_core::{ByteRange, StorageDriver, StorageDriverExt, StoragePath, WriteMode};
use tracing_subscriber::filter::LevelFilter;

use crate::{
    events::{Listener, Seen},
    spoken::Spoken,
};

#[test]
fn listings_walks_and_writers_are_in_the_span_of_their_call() {
    let listener = Listener::new();
    let _log = listener.insert("one", LevelFilter::TRACE);
    let registry = Registry::builder(Spoken::default().driver()).identity("velero/default", "one").build();
    let driver = registry.driver();
    let path = |text: &str| text.parse::<StoragePath>().unwrap();
    let directory = path("/docker/registry/v2/repositories/ns/_layers/a");
    block_on(driver.put(&directory.join("file").unwrap(), "content")).unwrap();
    listener.run(async {
        let entered = tracing::info_span!("test", instance = "one");
        let work = async {
            driver.list(&directory, None).try_collect::<Vec<_>>().await.unwrap();
            driver.walk(&directory, None).try_collect::<Vec<_>>().await.unwrap();
            registry.catalog(None, 10).await.unwrap();
            let to = path("/to");
            let mut writer = driver.writer(&to, WriteMode::Direct { size: None }).await.unwrap();
            writer.write(Bytes::from_static(b"content")).await.unwrap();
            writer.commit(&to).await.unwrap();
            driver.reader(&to, ByteRange::full()).await.unwrap();
        };
        tracing::Instrument::instrument(work, entered).await;
    });
    let called: Vec<Seen> = listener.take().into_iter().filter(|seen| seen.message() == "called").collect();
    let mut operations: Vec<String> = called
        .iter()
        .map(|seen| {
            let (name, fields) = &seen.spans[0];
            assert_eq!(*name, "storage", "{seen:#?}");
            assert_eq!(fields["operation"], seen.fields["operation"]);
            assert_eq!(fields["driver"], "inmemory");
            assert!(fields["path"].starts_with('/'));
            fields["operation"].clone()
        })
        .collect();
    operations.dedup();
    assert_eq!(
        operations,
        ["list", "walk", "find_directories", "writer", "writer_write", "writer_commit", "reader"]
    );
}
