//! What an operation has done, for its event.

use std::{fmt, sync::Arc, time::Instant};

use plugin_registry_core::{Digest, Metrics, RepositoryName, Tag};

use super::About;
use crate::upload::id::UploadId;

/// What an operation has done. It exists only if something listens.
pub(crate) struct Record {
    metrics: Arc<Metrics>,
    begun: Instant,
    driver_calls: u64,
    pub(super) repository: Option<RepositoryName>,
    pub(super) tags: Vec<Tag>,
    pub(crate) digest: Option<Digest>,
    pub(crate) upload: Option<UploadId>,
    pub(super) from: Option<RepositoryName>,
    /// Bytes of content that were stored or read.
    pub(crate) bytes: Option<u64>,
    /// How many bytes there are if all are read.
    pub(super) length: Option<u64>,
    /// Where an upload stands.
    pub(crate) offset: Option<u64>,
    /// How many entries a list has, or how much was found.
    pub(crate) entries: Option<usize>,
}

impl Record {
    pub(super) fn new(metrics: Arc<Metrics>, about: About<'_>) -> Self {
        Self {
            metrics,
            begun: Instant::now(),
            driver_calls: 0,
            repository: about.repository.cloned(),
            tags: about.tags.to_vec(),
            digest: about.digest.copied(),
            upload: about.upload,
            from: about.from.cloned(),
            bytes: None,
            length: None,
            offset: None,
            entries: None,
        }
    }

    /// Counts the driver calls of `work`.
    pub(super) fn count<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (value, calls) = self.metrics.count_calls(work);
        self.driver_calls += calls;
        value
    }

    /// Whether a stream gave all its bytes.
    pub(super) fn is_whole(&self) -> bool {
        self.length.is_some() && self.bytes == self.length
    }

    pub(super) fn driver_calls(&self) -> u64 {
        self.driver_calls
    }

    pub(super) fn tags(&self) -> Option<Joined<'_>> {
        Joined::of(&self.tags)
    }

    pub(super) fn elapsed_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Tags as one field.
pub(crate) struct Joined<'a> {
    first: &'a Tag,
    others: &'a [Tag],
}

impl<'a> Joined<'a> {
    /// Returns `None` if there are no tags.
    pub(super) fn of(tags: &'a [Tag]) -> Option<Self> {
        tags.split_first().map(|(first, others)| Self { first, others })
    }
}

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        self.others.iter().try_for_each(|tag| write!(f, ",{tag}"))
    }
}

/// Leaves the event of an operation. The one place that names its fields.
macro_rules! report {
    ($level:ident, $name:expr, $record:expr, $error:expr, $message:literal) => {{
        let record: Option<&$crate::operation::Record> = $record;
        tracing::$level!(
            target: "plugin_registry::operation",
            operation = $name,
            repository = record.and_then(|record| record.repository.as_ref()).map(tracing::field::display),
            tag = record.and_then(|record| record.tags()).map(tracing::field::display),
            digest = record.and_then(|record| record.digest.as_ref()).map(tracing::field::display),
            upload = record.and_then(|record| record.upload).map(tracing::field::display),
            from = record.and_then(|record| record.from.as_ref()).map(tracing::field::display),
            bytes = record.and_then(|record| record.bytes),
            offset = record.and_then(|record| record.offset),
            entries = record.and_then(|record| record.entries),
            driver_calls = record.map(|record| record.driver_calls()),
            elapsed_us = record.map(|record| record.elapsed_us()),
            error = $error.map(tracing::field::display),
            $message
        )
    }};
}
pub(super) use report;
