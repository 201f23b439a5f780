//! One operation of a registry: its span, and the event that it leaves.
//!
//! A public operation begins with [`operation!`], and everything that it does runs in [`Operation::run`],
//! [`Operation::part`] or [`Operation::stream`]. They are the one station where an end is reported, so what an
//! operation is made of has no operations of its own. The names are documented in `docs/src/how-to/logs.md`.

mod failure;
mod record;

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream, stream::BoxStream};
use plugin_registry_core::{Digest, Reference, RepositoryName, Tag};
use tracing::{
    Instrument, Span,
    level_filters::{LevelFilter, STATIC_MAX_LEVEL},
};

use self::record::{Joined, report};
pub(crate) use self::{failure::Failure, record::Record};
use crate::{error::RegistryError, repository::Repository, shared::Shared, upload::id::UploadId};

/// Begins an operation. The one place that names the fields of a span.
///
/// The level of spans is `info`, so that the lines of a registry name it wherever `info` is heard.
/// `InstanceLogs::filter` of `plugin-registry-locations` lets them pass at every level.
macro_rules! operation {
    ($name:literal, $shared:expr, $about:expr) => {{
        let (shared, about): (&$crate::shared::Shared, $crate::operation::About<'_>) = (&$shared, $about);
        let span = tracing::info_span!(
            $name,
            location = shared.location(),
            instance = shared.instance(),
            repository = about.repository.map(tracing::field::display),
            tag = about.tags().map(tracing::field::display),
            digest = about.digest.map(tracing::field::display),
            upload = about.upload.map(tracing::field::display),
            from = about.from.map(tracing::field::display),
        );
        $crate::operation::Operation::begin($name, shared, span, about)
    }};
}
pub(crate) use operation;

/// What an operation is about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About<'a> {
    pub(crate) repository: Option<&'a RepositoryName>,
    tags: &'a [Tag],
    pub(crate) digest: Option<&'a Digest>,
    pub(crate) upload: Option<UploadId>,
    pub(crate) from: Option<&'a RepositoryName>,
}

/// A running operation. It ends once, with one event at debug level, or at error level if the store failed.
/// If it is dropped before, the event says so.
///
/// If nothing listens at debug level, it takes no memory from the heap and no time from the clock.
pub(crate) struct Operation {
    name: &'static str,
    span: Span,
    /// `None` once it has ended, and if nothing listens.
    record: Option<Box<Record>>,
}

impl Repository {
    /// An operation on this repository.
    pub(crate) fn about(&self) -> About<'_> {
        About::repository(&self.name)
    }
}

impl<'a> About<'a> {
    pub(crate) fn repository(name: &'a RepositoryName) -> Self {
        Self { repository: Some(name), ..Self::default() }
    }

    pub(crate) fn with_digest(self, digest: &'a Digest) -> Self {
        Self { digest: Some(digest), ..self }
    }

    pub(crate) fn with_tags(self, tags: &'a [Tag]) -> Self {
        Self { tags, ..self }
    }

    pub(crate) fn with_reference(self, reference: &'a Reference) -> Self {
        match reference {
            Reference::Tag(tag) => self.with_tags(std::slice::from_ref(tag)),
            Reference::Digest(digest) => self.with_digest(digest),
        }
    }

    pub(crate) fn with_upload(self, upload: UploadId) -> Self {
        Self { upload: Some(upload), ..self }
    }

    pub(crate) fn with_from(self, from: &'a RepositoryName) -> Self {
        Self { from: Some(from), ..self }
    }

    /// The tags, as one field.
    pub(crate) fn tags(&self) -> Option<Joined<'a>> {
        Joined::of(self.tags)
    }
}

impl Operation {
    /// Called by [`operation!`].
    pub(crate) fn begin(name: &'static str, shared: &Shared, span: Span, about: About<'_>) -> Self {
        let is_heard = LevelFilter::DEBUG <= STATIC_MAX_LEVEL && LevelFilter::DEBUG <= LevelFilter::current();
        let record = is_heard.then(|| Box::new(Record::new(shared.driver.metrics().clone(), about)));
        Self { name, span, record }
    }

    /// Runs the whole operation. `note` writes down what came of it.
    pub(crate) async fn run<T, E: Failure>(
        mut self,
        work: Pin<&mut impl Future<Output = Result<T, E>>>,
        note: impl FnOnce(&T, &mut Record),
    ) -> Result<T, E> {
        let value = self.part(work).await?;
        self.end(|record| note(&value, record));
        Ok(value)
    }

    /// Runs a part of the operation, which ends with it if it fails.
    pub(crate) async fn part<T, E: Failure>(
        &mut self,
        work: Pin<&mut impl Future<Output = Result<T, E>>>,
    ) -> Result<T, E> {
        let mut work = pin!(work.instrument(self.span.clone()));
        let result = match &mut self.record {
            None => work.await,
            Some(record) => poll_fn(|context| record.count(|| work.as_mut().poll(context))).await,
        };
        self.check(result)
    }

    /// Ends with an error, if it is one.
    pub(crate) fn check<T, E: Failure>(&mut self, result: Result<T, E>) -> Result<T, E> {
        result.inspect_err(|error| self.fail(error))
    }

    /// Ends with the last piece of `stream`, which has `length` bytes, or with its drop. It is polled in the
    /// operation's span, and keeps the registry alive: a pool sees that it is in use, and its driver stays open.
    pub(crate) fn stream<S>(
        mut self,
        shared: Arc<Shared>,
        length: u64,
        mut stream: S,
    ) -> BoxStream<'static, S::Item>
    where
        S: Stream<Item = Result<Bytes, RegistryError>> + Send + Unpin + 'static,
    {
        if let Some(record) = &mut self.record {
            (record.bytes, record.length) = (Some(0), Some(length));
        }
        stream::poll_fn(move |context| {
            let _kept = &shared;
            let mut poll = || self.span.in_scope(|| stream.poll_next_unpin(context));
            let next = match &mut self.record {
                None => poll(),
                Some(record) => record.count(poll),
            };
            next.map(|next| {
                match &next {
                    Some(Ok(piece)) => self.count_bytes(piece.len()),
                    Some(Err(error)) => self.fail(error),
                    None => self.end(|_| ()),
                }
                next
            })
        })
        .boxed()
    }

    fn count_bytes(&mut self, bytes: usize) {
        if let Some(record) = &mut self.record {
            record.bytes = Some(record.bytes.unwrap_or_default() + bytes as u64);
        }
    }

    /// Ends it well.
    pub(crate) fn end(&mut self, note: impl FnOnce(&mut Record)) {
        if let Some(mut record) = self.record.take() {
            note(&mut record);
            self.span.in_scope(|| report!(debug, self.name, Some(&*record), None::<&str>, "done"));
        }
    }

    /// Ends it with an error. What a client or a caller can mend is no error of the registry.
    pub(crate) fn fail(&mut self, error: &dyn Failure) {
        let record = self.record.take();
        let record = record.as_deref();
        if error.is_fault() {
            self.span
                .in_scope(|| report!(error, self.name, record, Some(format_args!("{error:?}")), "failed"));
        } else if record.is_some() {
            self.span.in_scope(|| report!(debug, self.name, record, Some(error), "refused"));
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let Some(record) = self.record.take() else { return };
        // A server that has sent all bytes need not ask for the end.
        if record.is_whole() {
            self.span.in_scope(|| report!(debug, self.name, Some(&*record), None::<&str>, "done"));
        } else {
            self.span.in_scope(|| report!(debug, self.name, Some(&*record), None::<&str>, "dropped"));
        }
    }
}
