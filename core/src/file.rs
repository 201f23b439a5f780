//! What a driver reports about its files, and how it hands them out.

use std::{fmt, ops::Range, time::SystemTime};

use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{
    error::{Error, ErrorKind, Result},
    path::StoragePath,
};

/// A part of a file. It is cut at the file's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange {
    offset: u64,
    length: Option<u64>,
}

impl ByteRange {
    /// Returns the range of the whole file.
    #[must_use]
    pub fn full() -> Self {
        Self::default()
    }

    /// Returns the range from `offset` to the end.
    #[must_use]
    pub fn from(offset: u64) -> Self {
        Self { offset, length: None }
    }

    /// Returns the range of at most `length` bytes from `offset`.
    #[must_use]
    pub fn new(offset: u64, length: u64) -> Self {
        Self { offset, length: Some(length) }
    }

    /// Returns the offset of the first byte.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the most bytes wanted, or `None` for all to the end.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Returns whether this is the whole file.
    #[must_use]
    pub fn is_full(&self) -> bool {
        *self == Self::full()
    }

    /// Returns the bytes that this range means in a file of `size` bytes.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::InvalidOffset`] if the offset is beyond the end.
    pub fn resolve(&self, size: u64) -> Result<Range<u64>> {
        if self.offset > size {
            let message = format!("offset {} is beyond the end at {size}", self.offset);
            return Err(Error::new(ErrorKind::InvalidOffset).with_message(message));
        }
        let end = self.length.map_or(size, |length| self.offset.saturating_add(length).min(size));
        Ok(self.offset..end)
    }
}

/// An open file: its description, the range that comes, and the bytes.
pub struct Reader {
    info: FileInfo,
    range: Range<u64>,
    stream: BoxStream<'static, Result<Bytes>>,
}

impl Reader {
    /// Creates a reader for `range` of the file `info`. `stream` yields exactly those bytes or ends in an
    /// error.
    #[must_use]
    pub fn new(info: FileInfo, range: Range<u64>, stream: BoxStream<'static, Result<Bytes>>) -> Self {
        Self { info, range, stream }
    }

    /// Returns the description of the file, as it was when opened.
    #[must_use]
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// Returns the range of the file's bytes that come.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Returns how many bytes come.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Returns the stream of the bytes.
    #[must_use]
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes>> {
        self.stream
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("info", &self.info).field("range", &self.range).finish_non_exhaustive()
    }
}

/// Whether something is a file or a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A file.
    File,
    /// A path with files below it, or an empty directory if the store has those.
    Directory,
}

/// A child in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The name, without any `/`.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

impl Entry {
    /// Creates a child of this name and kind.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: EntryKind) -> Self {
        Self { name: name.into(), kind }
    }
}

/// What `stat`, `walk`, `reader` and `list_staged` say about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileInfo {
    /// The path.
    pub path: StoragePath,
    /// Size in bytes.
    pub size: u64,
    /// When the store last saw it change, in the store's clock; `None` if the store does not say. Never compare
    /// it with the local clock: two clocks disagree.
    pub modified: Option<SystemTime>,
}

impl FileInfo {
    /// Creates the description of a file.
    #[must_use]
    pub fn new(path: StoragePath, size: u64, modified: Option<SystemTime>) -> Self {
        Self { path, size, modified }
    }
}

/// The outcome of `delete_many`.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DeleteReport {
    /// Files that are gone now, including those that were missing.
    pub deleted: usize,
    /// Files, and paths of stages, that may still be there, and why.
    pub failed: Vec<(StoragePath, Error)>,
}

impl DeleteReport {
    /// Creates a report of these figures.
    #[must_use]
    pub fn new(deleted: usize, failed: Vec<(StoragePath, Error)>) -> Self {
        Self { deleted, failed }
    }

    /// Returns the first failure as the error of the whole, for callers that need all files gone.
    ///
    /// # Errors
    /// The first failure, if there is one.
    pub fn into_result(self) -> Result<()> {
        match self.failed.into_iter().next() {
            Some((path, error)) => Err(error.with_path(&path)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_resolve_within_the_file() {
        assert_eq!(ByteRange::full().resolve(0).unwrap(), 0..0);
        assert_eq!(ByteRange::from(3).resolve(5).unwrap(), 3..5);
        assert_eq!(ByteRange::from(5).resolve(5).unwrap(), 5..5);
        assert_eq!(ByteRange::new(1, 2).resolve(5).unwrap(), 1..3);
        assert_eq!(ByteRange::new(1, u64::MAX).resolve(5).unwrap(), 1..5);
        assert_eq!(ByteRange::from(6).resolve(5).unwrap_err().kind(), ErrorKind::InvalidOffset);
    }
}
