//! Reads a blob to its end, whatever happens to connections.

use std::time::Duration;

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use plugin_registry_core::{ByteRange, Error, ErrorKind, FileInfo, Reader, Result, StoragePath};

use crate::{
    client::{AzureClient, Blob, Download},
    error::is_condition,
};

/// How often in a row a body is requested again before it brings a byte.
const ATTEMPTS: u32 = 5;
/// The same for a body that stalls.
const STALLS: u32 = 1;

/// Opens a file. One request, and one more if the range begins at the end or beyond it.
pub(crate) async fn open(
    client: &AzureClient,
    key: String,
    path: &StoragePath,
    range: ByteRange,
) -> Result<Reader> {
    if i64::try_from(range.offset()).is_err() {
        return empty(client, &key, path, range).await;
    }
    let wanted = match (range.offset(), range.length()) {
        (_, Some(0)) => return empty(client, &key, path, range).await,
        (0, None) => None,
        // Servers accept no end beyond 63 bits.
        (first, length) => {
            let last = length.map(|length| first.saturating_add(length - 1));
            Some((first, last.filter(|last| i64::try_from(*last).is_ok())))
        }
    };
    let Download { blob, range: bytes, body } = match client.get(&key, wanted, None).await {
        Ok(download) => download,
        // There is no such byte: the offset is at the end, or beyond it.
        Err(error) if error.kind() == ErrorKind::InvalidOffset => {
            return empty(client, &key, path, range).await;
        }
        Err(error) => return Err(error),
    };
    if bytes != range.resolve(blob.size)? {
        let message = "the store sent a different range than requested";
        return Err(Error::new(ErrorKind::Unavailable).with_message(message));
    }
    let info = info(path, &blob);
    let body = Body {
        client: client.clone(),
        key,
        etag: blob.etag,
        at: bytes.start,
        end: bytes.end,
        body,
        failures: 0,
    };
    let stream =
        stream::try_unfold(body, |mut body| async move { Ok(body.next().await?.map(|piece| (piece, body))) });
    Ok(Reader::new(info, bytes, stream.boxed()))
}

pub(crate) fn info(path: &StoragePath, blob: &Blob) -> FileInfo {
    FileInfo::new(path.clone(), blob.size, blob.modified)
}

/// Opens a reader without bytes, if the range allows that.
async fn empty(client: &AzureClient, key: &str, path: &StoragePath, range: ByteRange) -> Result<Reader> {
    let blob = client.head(key).await?;
    let bytes = range.resolve(blob.size)?;
    if !bytes.is_empty() {
        let message = "the file was replaced while it was opened";
        return Err(Error::new(ErrorKind::Conflict).with_message(message));
    }
    Ok(Reader::new(info(path, &blob), bytes, stream::empty().boxed()))
}

/// The rest of a body. If a connection breaks, or ends early as if it were complete, another request gets
/// what is missing, from the same blob (aws-sdk-rust issue 1079, attic issue 341).
struct Body {
    client: AzureClient,
    key: String,
    etag: Option<String>,
    at: u64,
    end: u64,
    body: BoxStream<'static, Result<Bytes>>,
    failures: u32,
}

impl Body {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.at < self.end {
            let next = self.body.next().await;
            if let Some(Ok(piece)) = next {
                if piece.is_empty() {
                    continue;
                }
                self.at += piece.len() as u64;
                if self.at > self.end {
                    let message = "the store sent more bytes than it announced";
                    return Err(Error::new(ErrorKind::Unavailable).with_message(message));
                }
                self.failures = 0;
                return Ok(Some(piece));
            }
            self.reopen(next.and_then(Result::err)).await?;
        }
        Ok(None)
    }

    async fn reopen(&mut self, failure: Option<Error>) -> Result<()> {
        let stood_still = failure.as_ref().is_some_and(|error| error.kind() == ErrorKind::Timeout);
        // Each stall takes the whole time that is allowed.
        let attempts = if stood_still { STALLS } else { ATTEMPTS };
        if self.failures >= attempts {
            let left = self.end - self.at;
            let message = format!("the body repeatedly ended early, now with {left} bytes missing");
            return Err(match failure {
                Some(error) => {
                    let why = error.message().unwrap_or_default();
                    Error::new(error.kind()).with_message(format!("{message}: {why}"))
                }
                None => Error::new(ErrorKind::Unavailable).with_message(message),
            });
        }
        tracing::debug!(
            key = self.key,
            at = self.at,
            end = self.end,
            "a body broke off: its rest is requested again"
        );
        if self.failures > 0 {
            tokio::time::sleep(Duration::from_millis(100 << self.failures)).await;
        }
        self.failures += 1;
        let wanted = Some((self.at, Some(self.end - 1)));
        let download = self.client.get(&self.key, wanted, self.etag.as_deref()).await;
        let download = download.map_err(|error| {
            if is_condition(&error) || error.is_not_found() {
                let message = "the file was replaced or deleted while it was read";
                return Error::new(ErrorKind::Conflict).with_message(message);
            }
            error
        })?;
        if download.range != (self.at..self.end) {
            let message = "the store sent a different range than requested";
            return Err(Error::new(ErrorKind::Unavailable).with_message(message));
        }
        self.body = download.body;
        Ok(())
    }
}
