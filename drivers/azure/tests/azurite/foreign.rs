//! Append blobs, as distribution 3.0 and 3.1 write links, and 2.8 uploads.

use plugin_registry_core::{ByteRange, ErrorKind, PutMode, StorageDriver, StorageDriverExt, WriteMode};
use plugin_registry_drivers_azure::{AzureDriver, LeadingSlash};

use crate::{common, path, walked};

#[tokio::test]
async fn append_blobs_are_read_replaced_and_deleted() {
    let Some(azurite) = common::or_skip("append_blobs_are_read_replaced_and_deleted") else { return };
    let config = common::of_container(azurite, "foreign").with_leading_slash(LeadingSlash::No);
    let driver = AzureDriver::open(config).await.unwrap();
    let link = path("/docker/link");
    for name in ["link", "other"] {
        azurite.append_blob(&format!("foreign/docker/{name}"), b"sha256:aaaa");
    }
    assert_eq!(driver.get_content(&link, 100).await.unwrap(), "sha256:aaaa");
    assert_eq!(driver.stat(&link).await.unwrap().size, 11);
    let reader = driver.reader(&link, ByteRange::from(7)).await.unwrap();
    assert_eq!((reader.info().size, reader.content_length()), (11, 4));
    assert_eq!(walked(&driver).await, ["/docker/link", "/docker/other"]);
    let taken = driver.put_content(&link, "x".into(), PutMode::CreateOnly).await;
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::AlreadyExists);
    driver.put(&link, "sha256:bbbb").await.unwrap();
    assert_eq!(driver.get_content(&link, 100).await.unwrap(), "sha256:bbbb");
    driver.delete(&path("/docker")).await.unwrap();
    assert!(azurite.names("foreign").is_empty());
}

/// A damaged upload of 2.8, which is an append blob, is replaced by a file in blocks.
#[tokio::test]
async fn a_large_file_replaces_an_append_blob() {
    let Some(azurite) = common::or_skip("a_large_file_replaces_an_append_blob") else { return };
    let config = common::of_container(azurite, "foreign-large").with_leading_slash(LeadingSlash::No);
    let driver = AzureDriver::open(config.with_chunk_size(1 << 20)).await.unwrap();
    let (file, content) = (path("/docker/data"), bytes::Bytes::from(vec![7; 3 << 20]));
    for is_staged in [false, true] {
        driver.delete_if_exists(&file).await.unwrap();
        azurite.append_blob("foreign-large/docker/data", b"damaged");
        if is_staged {
            let mut writer = driver.writer(&path("/docker/upload"), WriteMode::Stage).await.unwrap();
            writer.write(content.clone()).await.unwrap();
            let staged = writer.close().await.unwrap();
            driver.commit_staged(&staged, &file).await.unwrap();
            driver.delete_many(Vec::new(), &[staged]).await.unwrap().into_result().unwrap();
        } else {
            let mut writer = driver.writer(&file, WriteMode::direct()).await.unwrap();
            writer.write(content.clone()).await.unwrap();
            assert_eq!(driver.get_content(&file, 100).await.unwrap(), "damaged", "it stays until then");
            writer.commit(&file).await.unwrap();
        }
        assert!(driver.get_content(&file, 100 << 20).await.unwrap() == content);
        assert_eq!(azurite.names("foreign-large"), ["docker/data"]);
    }
}
