//! Copies inside the container, by the store.

use std::time::Duration;

use azure_core::http::Etag;
use azure_storage_blob::models::BlobClientStartCopyFromUrlOptions;
use plugin_registry_core::{Error, ErrorKind, Result, shown, shown_line};

use super::{AzureClient, Blob, BlobMetadata, Condition};
use crate::error::{has_code, is_condition, of_sdk};

/// How often a copy that makes no progress is looked at, and after which waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Polls {
    pub(super) most: u32,
    pub(super) delay: Duration,
}

impl AzureClient {
    /// Copies the bytes of a blob that has this ETag, with metadata of their own. Waits until the store has
    /// copied all of them; it usually has when it answers. Returns the ETag of the copy.
    ///
    /// # Errors
    /// `Conflict` if it has another ETag, `NotFound` if it is gone, `AlreadyExists` if `condition` does not
    /// hold, `Timeout` if the copy does not end. It may still end by itself then.
    pub(crate) async fn copy(
        &self,
        from: &str,
        etag: &str,
        to: &str,
        condition: Condition<'_>,
        metadata: BlobMetadata<'_>,
    ) -> Result<Option<String>> {
        let (if_match, if_none_match) = condition.etags();
        let options = BlobClientStartCopyFromUrlOptions {
            source_if_match: Some(Etag::from(etag)),
            if_match,
            if_none_match,
            // Without any, the copy would have that of its source.
            metadata: metadata.pairs(),
            ..Default::default()
        };
        let source = self.0.authorization.source(self.blob(from).url());
        let answer = self.blob(to).start_copy_from_url(source.expose().to_owned(), Some(options)).await;
        let answer = answer.map_err(|error| of_copy(of_sdk(&error), condition))?;
        let started = Blob::of_headers(answer.headers());
        match &started.copy {
            Some(copy) if copy.status == "pending" => self.wait_for_copy(to, &copy.id).await,
            Some(copy) if copy.status != "success" => Err(self.failed(to, &started).await),
            _ => Ok(started.etag),
        }
    }

    /// Looks at a copy until it has ended. Each sign of progress begins the waits anew.
    async fn wait_for_copy(&self, to: &str, id: &str) -> Result<Option<String>> {
        let Polls { most, delay } = self.0.polls;
        let (mut polls, mut progress) = (0, None);
        while polls < most {
            polls += 1;
            tokio::time::sleep(delay * polls).await;
            let blob = self.peek(to).await?;
            match &blob.copy {
                Some(copy) if copy.id != id => return Err(replaced()),
                Some(copy) if copy.status == "pending" => {
                    if copy.progress != progress {
                        (polls, progress) = (0, copy.progress.clone());
                    }
                }
                Some(copy) if copy.status == "success" => return Ok(blob.etag),
                Some(_) => return Err(self.failed(to, &blob).await),
                None => return Err(replaced()),
            }
        }
        let message = "the store has not finished a copy: raise `max_retries` or `retry_delay`";
        Err(Error::new(ErrorKind::Timeout).with_message(message))
    }

    /// The error for a copy that the store gave up. What it left has no bytes, so it is deleted.
    async fn failed(&self, to: &str, left: &Blob) -> Error {
        if let Some(etag) = &left.etag
            && let Err(error) = self.delete(to, Condition::Same(etag)).await
            && !is_condition(&error)
            && !error.is_not_found()
        {
            tracing::warn!(%error, "an empty blob was left by a copy that the store gave up");
        }
        let copy = left.copy.as_ref();
        let status = copy.map_or("failed", |copy| copy.status.as_str());
        let reason = copy.and_then(|copy| copy.reason.as_deref()).unwrap_or("without a reason");
        let (status, reason) = (shown(status), shown_line(reason));
        let message = format!("the store ended a copy as {status}: {reason}");
        Error::new(ErrorKind::Unavailable).with_message(message)
    }
}

/// A condition that fails is that of the source, unless the target has one.
fn of_copy(error: Error, condition: Condition<'_>) -> Error {
    let is_source = condition == Condition::Any || has_code(&error, "SourceConditionNotMet");
    if is_condition(&error) && is_source {
        let message = "the source of a copy was replaced";
        return Error::new(ErrorKind::Conflict).with_message(message).with_source(error);
    }
    error
}

fn replaced() -> Error {
    Error::new(ErrorKind::Conflict).with_message("another writer has replaced the copy before it ended")
}
