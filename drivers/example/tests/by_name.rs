//! The example as a host has it: registered, opened by its name, under a registry.

#![allow(clippy::unwrap_used, reason = "a test: a failed check is a panic of it")]

use std::convert::Infallible;

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use plugin_registry::Registry;
use plugin_registry_core::{ByteRange, Descriptor, MediaType, StorageConfig, WriteMode};
use plugin_registry_drivers::Drivers;

fn drivers() -> Drivers {
    Drivers::new().register("example", plugin_registry_drivers_example::open).unwrap()
}

#[tokio::test]
async fn an_image_goes_in_and_comes_out() {
    let driver = drivers().open(&StorageConfig::new("example").with("maxfilesize", "1048576")).await.unwrap();
    assert_eq!(driver.name(), "example");
    let registry = Registry::builder(driver.clone()).build();
    let repository = registry.repository("team/app".parse().unwrap());
    let layer = Bytes::from(vec![7; 300_000]);
    let (config, bytes) = (Descriptor::of(MediaType::EmptyJSON, b"{}"), Bytes::from_static(b"{}"));
    let content = Descriptor::of(MediaType::ImageLayer, &layer);
    for (descriptor, bytes) in [(&config, bytes), (&content, layer.clone())] {
        repository.blobs().push(descriptor, stream::iter([Ok::<_, Infallible>(bytes)])).await.unwrap();
    }
    let [config, content] = [config, content].map(|descriptor| {
        let (media_type, digest, size) = (&descriptor.media_type, &descriptor.digest, descriptor.size);
        (descriptor.clone(), format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#))
    });
    let manifest = format!(r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#, config.1, content.1);
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let tag = "v1".parse().unwrap();
    repository.manifests().put(&tag, Some(media_type), manifest.clone().into()).await.unwrap();

    // Through another registry on the same store: nothing is remembered from the push.
    let repository = Registry::builder(driver).build().repository("team/app".parse().unwrap());
    assert_eq!(repository.manifests().get(&"v1".parse().unwrap()).await.unwrap().bytes(), &manifest);
    assert_eq!(repository.blobs().get(&content.0.digest, 1 << 20).await.unwrap(), layer);
    let part = repository.blobs().open(&content.0.digest, ByteRange::from(299_990)).await.unwrap();
    let pieces: Vec<Bytes> = part.into_stream().try_collect().await.unwrap();
    assert_eq!(pieces.concat(), [7; 10]);
}

#[tokio::test]
async fn mistakes_name_the_driver_and_what_was_meant() {
    for (name, key, value, expected) in [
        ("exmaple", "maxfilesize", "1", "unknown driver `exmaple`, did you mean `example`?"),
        ("example", "maxfilesise", "1", "`maxfilesise`: unknown, did you mean `maxfilesize`?"),
        (
            "example",
            "maxfilesize",
            "0",
            "`maxfilesize`: has to be a number of bytes from 1 to 1099511627776 (1024 GiB)",
        ),
    ] {
        let error = drivers().open(&StorageConfig::new(name).with(key, value)).await.unwrap_err();
        let driver = if name == "example" { "example driver: " } else { "" };
        assert_eq!(error.to_string(), format!("{driver}invalid configuration: {expected}"));
    }
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_before_it_is_kept() {
    let driver = drivers().open(&StorageConfig::new("example").with("maxfilesize", "10")).await.unwrap();
    let path = "/file".parse().unwrap();
    let mut writer = driver.writer(&path, WriteMode::direct()).await.unwrap();
    writer.write("0123456789".into()).await.unwrap();
    let refusal = writer.write("!".into()).await.unwrap_err();
    assert_eq!(refusal.to_string(), "too large: 11 bytes, the limit is 10");
    let put = driver.put_content(&path, "0123456789!".into(), Default::default()).await.unwrap_err();
    assert_eq!(put.kind(), refusal.kind());
    assert!(driver.stat(&path).await.unwrap_err().is_not_found());
}
