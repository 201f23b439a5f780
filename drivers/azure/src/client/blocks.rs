//! Requests for the blocks of a blob.

use std::time::SystemTime;

use azure_core::http::RequestContent;
use azure_storage_blob::models::{BlockBlobClientCommitBlockListOptions, BlockListType, BlockLookupList};
use plugin_registry_core::{Error, ErrorKind, Result};
use plugin_registry_drivers_objects::content::Content;
use uuid::Uuid;

use super::{
    AzureClient, BlobMetadata, Condition,
    blobs::{CONTENT_TYPE, modified},
    upload,
};
use crate::error::of_sdk;

/// The name of a block: unique to its writer, and as long as any other, which the store requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockId([u8; 20]);

impl BlockId {
    /// The block of a writer with this number.
    pub(crate) fn new(writer: Uuid, number: u32) -> Self {
        let mut id = [0; 20];
        let (begin, end) = id.split_at_mut(16);
        begin.copy_from_slice(writer.as_bytes());
        end.copy_from_slice(&number.to_be_bytes());
        Self(id)
    }
}

impl AzureClient {
    /// Stores a block of a blob. It is invisible until a list names it.
    pub(crate) async fn stage_block(&self, key: &str, id: BlockId, content: Content) -> Result<()> {
        let (client, size) = (self.blob(key).block_blob_client(), content.len() as u64);
        let staged = client.stage_block(&id.0, size, upload::body(content), None).await;
        staged.map(drop).map_err(|error| of_sdk(&error))
    }

    /// Makes a blob of blocks that it has and of blocks that were stored for it. Returns its ETag.
    ///
    /// # Errors
    /// `Conflict` if a block is gone: another writer has written the blob meanwhile.
    pub(crate) async fn commit_blocks(
        &self,
        key: &str,
        kept: Vec<Vec<u8>>,
        added: &[BlockId],
        condition: Condition<'_>,
        metadata: BlobMetadata<'_>,
    ) -> Result<Option<String>> {
        let list = BlockLookupList {
            committed: Some(kept),
            uncommitted: Some(added.iter().map(|id| id.0.to_vec()).collect()),
            ..Default::default()
        };
        let list: RequestContent<_, _> = list.try_into().map_err(|error| of_sdk(&error))?;
        let (if_match, if_none_match) = condition.etags();
        let options = BlockBlobClientCommitBlockListOptions {
            blob_content_type: Some(CONTENT_TYPE.to_owned()),
            if_match,
            if_none_match,
            metadata: metadata.pairs(),
            ..Default::default()
        };
        let client = self.blob(key).block_blob_client();
        let answer = client.commit_block_list(list, Some(options)).await.map_err(|error| of_sdk(&error))?;
        Ok(answer.headers().get_optional_string(&"etag".into()))
    }

    /// The blocks of a blob that has this ETag, in order, with their sizes.
    ///
    /// # Errors
    /// `Conflict` if it has another one.
    pub(crate) async fn blocks(&self, key: &str, etag: &str) -> Result<Vec<(Vec<u8>, u64)>> {
        let client = self.blob(key).block_blob_client();
        let answer = client.get_block_list(BlockListType::Committed, None).await;
        let answer = answer.map_err(|error| of_sdk(&error))?;
        if answer.headers().get_optional_str(&"etag".into()) != Some(etag) {
            return Err(ErrorKind::Conflict.into());
        }
        let damaged =
            || Error::new(ErrorKind::Unavailable).with_message("a list of blocks that cannot be read");
        let list = answer.into_model().map_err(|error| of_sdk(&error))?;
        let blocks = list.committed_blocks.unwrap_or_default().into_iter().map(|block| {
            let size = block.size.and_then(|size| u64::try_from(size).ok()).ok_or_else(damaged)?;
            Ok((block.name.ok_or_else(damaged)?, size))
        });
        blocks.collect()
    }

    /// The latest time at which blocks can have come that no list names yet. The store does not say when they
    /// came, so it is the time of its answer.
    pub(crate) async fn new_blocks(&self, key: &str) -> Result<Option<SystemTime>> {
        let client = self.blob(key).block_blob_client();
        let answer = client.get_block_list(BlockListType::Uncommitted, None).await;
        let found = answer.and_then(|answer| {
            let now = answer.headers().get_optional_string(&"date".into());
            Ok((now, answer.into_model()?.uncommitted_blocks.unwrap_or_default()))
        });
        match found.map_err(|error| of_sdk(&error)) {
            Ok((_, blocks)) if blocks.is_empty() => Ok(None),
            Ok((now, _)) => Ok(now.and_then(|now| modified(&now))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
