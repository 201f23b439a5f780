//! Reads an object to its end, whatever happens to connections.

use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use plugin_registry_core::{ByteRange, Error, ErrorKind, FileInfo, Reader, Result, StoragePath};

/// How often in a row a body is requested again before it brings a byte.
const ATTEMPTS: u32 = 5;
/// The same for a body that stalls.
const STALLS: u32 = 1;

/// What a store says of an object.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// Bytes in all.
    pub size: u64,
    /// When it last changed, in the store's clock.
    pub modified: Option<SystemTime>,
    /// By which the same object is known again.
    pub etag: Option<String>,
}

/// An object, or a range of it, on its way.
pub struct Download {
    /// The whole object.
    pub object: Description,
    /// The bytes that come.
    pub range: Range<u64>,
    /// These bytes, unless the connection breaks off.
    pub body: BoxStream<'static, Result<Bytes>>,
}

/// A store whose objects can be read from any byte on.
#[async_trait]
pub trait Downloads: Clone + Send + Sync + 'static {
    /// Reads an object, or the bytes from the first to the last of a range, if it has this ETag.
    ///
    /// # Errors
    /// [`InvalidOffset`](ErrorKind::InvalidOffset) if no byte is in the range,
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if the object has another ETag.
    async fn download(
        &self,
        key: &str,
        range: Option<(u64, Option<u64>)>,
        etag: Option<&str>,
    ) -> Result<Download>;

    /// Describes an object.
    async fn describe(&self, key: &str) -> Result<Description>;
}

impl Description {
    /// Describes the object as the file at a path.
    #[must_use]
    pub fn into_info(self, path: &StoragePath) -> FileInfo {
        FileInfo::new(path.clone(), self.size, self.modified)
    }
}

/// Opens a file. One request, and one more if the range begins at the end or beyond it.
///
/// # Errors
/// Those of the store, and [`InvalidOffset`](ErrorKind::InvalidOffset) if the range begins beyond the end.
pub async fn open<C: Downloads>(
    client: &C,
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
    let Download { object, range: bytes, body } = match client.download(&key, wanted, None).await {
        Ok(download) => download,
        // There is no such byte: the offset is at the end, or beyond it.
        Err(error) if error.kind() == ErrorKind::InvalidOffset => {
            return empty(client, &key, path, range).await;
        }
        Err(error) => return Err(error),
    };
    if bytes != range.resolve(object.size)? {
        let message = "the store sent a different range than requested";
        return Err(Error::new(ErrorKind::Unavailable).with_message(message));
    }
    let body = Body {
        client: client.clone(),
        key,
        etag: object.etag.clone(),
        at: bytes.start,
        end: bytes.end,
        body,
        failures: 0,
    };
    let stream =
        stream::try_unfold(body, |mut body| async move { Ok(body.next().await?.map(|piece| (piece, body))) });
    Ok(Reader::new(object.into_info(path), bytes, stream.boxed()))
}

/// Opens a reader without bytes, if the range allows that.
async fn empty<C: Downloads>(client: &C, key: &str, path: &StoragePath, range: ByteRange) -> Result<Reader> {
    let object = client.describe(key).await?;
    let bytes = range.resolve(object.size)?;
    if !bytes.is_empty() {
        let message = "the file was replaced while it was opened";
        return Err(Error::new(ErrorKind::Conflict).with_message(message));
    }
    Ok(Reader::new(object.into_info(path), bytes, stream::empty().boxed()))
}

/// The rest of a body. If a connection breaks, or ends early as if it were complete, another request gets what
/// is missing, from the same object (aws-sdk-rust issue 1079, attic issue 341).
struct Body<C> {
    client: C,
    key: String,
    etag: Option<String>,
    at: u64,
    end: u64,
    body: BoxStream<'static, Result<Bytes>>,
    failures: u32,
}

impl<C: Downloads> Body<C> {
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
                    let why = error.message().unwrap_or(error.kind().as_str());
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
        let download = self.client.download(&self.key, wanted, self.etag.as_deref()).await;
        let download = download.map_err(|error| {
            if error.kind() == ErrorKind::AlreadyExists || error.is_not_found() {
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
