//! Several writers of one name. Whoever makes a blob of blocks discards those of the others.

use bytes::Bytes;
use plugin_registry_core::{ErrorKind, FileWriter, StorageDriver, StorageDriverExt, StoragePath, WriteMode};
use plugin_registry_drivers_azure::{AzureDriver, LeadingSlash};

use crate::{common, path};

const MIB: usize = 1 << 20;

/// A writer of a file whose size is announced, with all of its bytes written.
async fn written(driver: &AzureDriver, to: &StoragePath, content: &Bytes) -> Box<dyn FileWriter> {
    let mode = WriteMode::Direct { size: Some(content.len() as u64) };
    let mut writer = driver.writer(to, mode).await.unwrap();
    writer.write(content.clone()).await.unwrap();
    writer
}

async fn driver(container: &str) -> Option<AzureDriver> {
    let azurite = common::or_skip(container)?;
    let config = common::of_container(azurite, container).with_chunk_size(MIB as u64);
    Some(AzureDriver::open(config.with_leading_slash(LeadingSlash::No)).await.unwrap())
}

#[tokio::test]
async fn the_second_writer_of_one_file_is_done_as_well() {
    let Some(driver) = driver("writers-same").await else { return };
    let (file, content) = (path("/blobs/a/data"), Bytes::from(vec![7; 5 * MIB + 1]));
    let (first, second) = (written(&driver, &file, &content).await, written(&driver, &file, &content).await);
    first.commit(&file).await.unwrap();
    second.commit(&file).await.unwrap();
    assert!(driver.get_content(&file, 100 << 20).await.unwrap() == content);
}

#[tokio::test]
async fn another_file_of_that_name_is_a_conflict() {
    let Some(driver) = driver("writers-other").await else { return };
    let (file, content) = (path("/blobs/a/data"), Bytes::from(vec![7; 5 * MIB]));
    let other = content.slice(..4 * MIB);
    let (first, second) = (written(&driver, &file, &content).await, written(&driver, &file, &other).await);
    first.commit(&file).await.unwrap();
    assert_eq!(second.commit(&file).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(driver.get_content(&file, 100 << 20).await.unwrap() == content);
    // Later it replaces the file.
    written(&driver, &file, &other).await.commit(&file).await.unwrap();
    assert!(driver.get_content(&file, 100 << 20).await.unwrap() == other);
}

#[tokio::test]
async fn a_damaged_file_of_the_same_size_is_replaced() {
    let Some(driver) = driver("writers-damaged").await else { return };
    let file = path("/blobs/a/data");
    driver.put(&file, vec![0; 3 * MIB]).await.unwrap();
    let content = Bytes::from(vec![7; 3 * MIB]);
    written(&driver, &file, &content).await.commit(&file).await.unwrap();
    assert!(driver.get_content(&file, 100 << 20).await.unwrap() == content);
}

/// A commit that was dropped leaves the stage as it was closed. It can be continued or committed then,
/// without the bytes that only the commit had.
#[tokio::test]
async fn a_commit_that_broke_off_leaves_the_stage() {
    let Some(driver) = driver("writers-broken").await else { return };
    for (kept, more) in [(3 * MIB, 2 * MIB), (10, 3 * MIB), (0, 3 * MIB)] {
        let upload = path(&format!("/u/{kept}/data"));
        let content = Bytes::from(vec![1; kept]);
        let mut writer = driver.writer(&upload, WriteMode::Stage).await.unwrap();
        writer.write(content.clone()).await.unwrap();
        let staged = writer.close().await.unwrap();
        let mut writer = driver.writer(&upload, WriteMode::Resume(staged.clone())).await.unwrap();
        writer.write(vec![2; more].into()).await.unwrap();
        let taken = driver.writer(&upload, WriteMode::Resume(staged.clone())).await.unwrap();
        let target = path("/b/data");
        let mut commit = Box::pin(writer.commit(&target));
        // Until the stage was taken over, and no further.
        for _ in 0..1000 {
            let polled = futures::poll!(commit.as_mut());
            if polled.is_ready() || driver.find_staged(&upload).await.unwrap().state() != staged.state() {
                break;
            }
        }
        drop(commit);
        let found = driver.find_staged(&upload).await;
        if let Ok(found) = found {
            assert_eq!((found.size, &found.id), (staged.size, &staged.id));
            assert_eq!(taken.close().await.unwrap_err().kind(), ErrorKind::Conflict, "it was taken over");
            driver.commit_staged(&staged, &target).await.unwrap();
            assert!(driver.get_content(&target, 100 << 20).await.unwrap() == content);
            driver.delete_many(vec![target], &[staged]).await.unwrap().into_result().unwrap();
        }
        assert!(driver.find_staged(&upload).await.unwrap_err().is_not_found());
    }
}
