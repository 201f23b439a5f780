//! The steps of a probe.

use std::{
    future::Future,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry_core::{
    Capabilities, Checked, Error, ErrorKind, Operation, PutMode, Result, Staged, StorageDriver, StoragePath,
    WriteMode,
};
use uuid::Uuid;

use super::{
    layout::{LayoutFindings, Page},
    report::{ProbeOutcome, ProbeStep, ProbeVerb},
};
use plugin_registry::layout;

/// More bytes than any object of a probe has.
const LIMIT: u64 = 1024;

/// Added to now, this is later than any stage, by any clock that is nearly right.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const READ_ONLY: &str = "the registry is read-only";

/// One run of a probe.
pub(super) struct Probe<'a> {
    driver: &'a Checked<dyn StorageDriver>,
    is_read_only: bool,
    /// The directory of everything that the probe writes.
    place: StoragePath,
    /// The object that is written, read, staged and committed.
    object: StoragePath,
    /// The object that is written on a condition.
    created: StoragePath,
    content: Bytes,
    steps: Vec<ProbeStep>,
    /// Whether a write may have left something; after an error such as a timeout that is unknown.
    may_be_written: bool,
    /// Whether a file is there, if the store does what it says.
    is_written: bool,
    may_be_staged: bool,
    /// The stage that was committed, which a store may have kept.
    committed: Option<Staged>,
    is_read_refused: bool,
    left_over: Option<StoragePath>,
}

impl<'a> Probe<'a> {
    pub(super) fn new(driver: &'a Checked<dyn StorageDriver>, is_read_only: bool) -> Self {
        let id = Uuid::now_v7();
        let place = layout::probe(&id);
        // These names follow the grammar and the path is short: they always parse.
        let file = |name| place.join(name).unwrap_or_else(|_| StoragePath::root());
        Self {
            driver,
            is_read_only,
            object: file("object"),
            created: file("created"),
            place,
            content: format!("a probe of plugin-registry: {id}").into(),
            steps: Vec::new(),
            may_be_written: false,
            is_written: false,
            may_be_staged: false,
            committed: None,
            is_read_refused: false,
            left_over: None,
        }
    }

    pub(super) async fn run(&mut self) -> LayoutFindings {
        let root = layout::root();
        let (time, listed) = timed(Page::read(self.driver, &root)).await;
        let listed = match listed {
            Ok(page) => {
                self.push(ProbeVerb::List, ProbeOutcome::Passed(time));
                Some(page)
            }
            Err(error) => {
                let is_stranger = error.kind() == ErrorKind::Unauthenticated;
                self.push(ProbeVerb::List, ProbeOutcome::Failed(error));
                if is_stranger {
                    for verb in ProbeVerb::ALL.iter().skip(1) {
                        self.push(*verb, ProbeOutcome::Skipped("not authenticated"));
                    }
                    return LayoutFindings::default();
                }
                None
            }
        };
        // Before anything is written, so that the probe does not find its own objects.
        let layout = LayoutFindings::read(self.driver, listed).await;
        self.missing().await;
        self.write().await;
        self.read().await;
        self.replace().await;
        self.conditional_write().await;
        self.stages().await;
        self.delete().await;
        layout
    }

    pub(super) fn into_parts(self) -> (Vec<ProbeStep>, Option<StoragePath>, Capabilities) {
        (self.steps, self.left_over, self.driver.capabilities())
    }

    /// Asks what a push asks first.
    async fn missing(&mut self) {
        let (time, result) = timed(self.driver.stat(&self.created)).await;
        let result = match result {
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
            Ok(_) => {
                let message = "the store reports an object that was never written";
                Err(self.error(ErrorKind::Other, message, Operation::Stat))
            }
        };
        self.settle(ProbeVerb::Missing, time, result);
    }

    /// Replaces the object, as a tag that moves does.
    async fn replace(&mut self) {
        let reason = if self.is_read_only {
            READ_ONLY
        } else if !self.is_written {
            "the write failed"
        } else {
            let put = self.driver.put_content(&self.object, self.content.clone(), PutMode::Overwrite);
            let (time, result) = timed(put).await;
            return self.settle(ProbeVerb::Replace, time, result);
        };
        self.push(ProbeVerb::Replace, ProbeOutcome::Skipped(reason));
    }

    async fn write(&mut self) {
        if self.is_read_only {
            return self.push(ProbeVerb::Write, ProbeOutcome::Skipped(READ_ONLY));
        }
        let put = self.driver.put_content(&self.object, self.content.clone(), PutMode::Overwrite);
        let (time, result) = timed(put).await;
        self.remember(&result);
        self.settle(ProbeVerb::Write, time, result);
    }

    async fn read(&mut self) {
        let (time, result) = timed(self.driver.get_content(&self.object, LIMIT)).await;
        let result = match result {
            Ok(content) if content != self.content => {
                let message = "the store did not return the bytes that were written";
                Err(self.error(ErrorKind::Corrupted, message, Operation::GetContent))
            }
            Ok(_) => Ok(()),
            // A store does not say "not found" to a client that may not read.
            Err(error) if error.is_not_found() && !self.is_written => Ok(()),
            Err(error) => Err(error),
        };
        let kind = result.as_ref().err().map(Error::kind);
        self.is_read_refused = kind == Some(ErrorKind::PermissionDenied);
        self.settle(ProbeVerb::Read, time, result);
    }

    async fn conditional_write(&mut self) {
        let reason = if self.is_read_only {
            READ_ONLY
        } else if !self.driver.capabilities().create_only {
            "the driver reports that its store has no conditional writes"
        } else if !self.is_written {
            "the write failed"
        } else {
            let (time, result) = timed(self.create_twice()).await;
            return self.settle(ProbeVerb::ConditionalWrite, time, result);
        };
        self.push(ProbeVerb::ConditionalWrite, ProbeOutcome::Skipped(reason));
    }

    async fn create_twice(&mut self) -> Result<()> {
        let create = |content: Bytes| self.driver.put_content(&self.created, content, PutMode::CreateOnly);
        let first = create(self.content.clone()).await;
        let second = match &first {
            Ok(()) => Some(create("another one".into()).await),
            Err(_) => None,
        };
        self.remember(&first);
        first?;
        match second {
            Some(Err(error)) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Some(Err(error)) => Err(error),
            _ => {
                let message = "the store was asked to create a file only if it did not exist, and replaced \
                               it";
                Err(self.error(ErrorKind::Other, message, Operation::PutContent))
            }
        }
    }

    /// Stages bytes, and finds them while they wait.
    async fn stages(&mut self) {
        let reason = if self.is_read_only {
            Some(READ_ONLY)
        } else if self.is_read_refused {
            // Some stores could not even delete the stage again.
            Some("reads are not permitted, so a stage could not be resumed")
        } else {
            None
        };
        let (mut time, staged) = match reason {
            Some(_) => (Duration::ZERO, None),
            None => {
                let (time, staged) = timed(self.stage()).await;
                (time, Some(staged))
            }
        };
        let is_waiting = matches!(staged, Some(Ok(_)));
        let (find_time, found) = timed(self.find_stage(is_waiting)).await;
        let result = match staged {
            Some(Ok(staged)) => {
                let (more, resumed) = timed(self.resume(&staged)).await;
                time += more;
                resumed
            }
            Some(Err(error)) => Err(error),
            None => Ok(()),
        };
        match reason {
            Some(reason) => self.push(ProbeVerb::Stage, ProbeOutcome::Skipped(reason)),
            None => self.settle(ProbeVerb::Stage, time, result),
        }
        self.settle(ProbeVerb::FindStages, find_time, found);
    }

    async fn stage(&mut self) -> Result<Staged> {
        let opened = self.driver.writer(&self.object, WriteMode::Stage).await;
        // A writer that fails later may have staged something. It is dropped as if it had been killed.
        self.may_be_staged = may_have_happened(&opened);
        let mut writer = opened?;
        writer.write(self.content.clone()).await?;
        writer.close().await
    }

    async fn find_stage(&self, is_waiting: bool) -> Result<()> {
        let mut found = self.driver.list_staged(&self.place);
        let mut is_found = false;
        while let Some(info) = found.try_next().await? {
            is_found |= info.path == self.object;
        }
        if is_waiting && !is_found {
            let message = "the staged bytes were not found";
            return Err(self.error(ErrorKind::Other, message, Operation::ListStaged));
        }
        Ok(())
    }

    /// Resumes as another instance would, which knows only the path.
    async fn resume(&mut self, closed: &Staged) -> Result<()> {
        let found = self.driver.find_staged(&self.object).await?;
        if (found.size, &found.id) != (closed.size, &closed.id) {
            let message = format!(
                "found another stage of {} bytes instead of the {} bytes that were staged",
                found.size, closed.size
            );
            return Err(self.error(ErrorKind::Corrupted, message, Operation::FindStaged));
        }
        let mut writer = self.driver.writer(&self.object, WriteMode::Resume(found)).await?;
        if writer.size() != closed.size {
            let message = format!("resumed after {} bytes instead of {}", writer.size(), closed.size);
            return Err(self.error(ErrorKind::InvalidOffset, message, Operation::Writer));
        }
        writer.write(self.content.clone()).await?;
        let staged = writer.close().await?;
        let committed = self.driver.commit_staged(&staged, &self.object).await;
        self.remember(&committed);
        self.may_be_staged = committed.is_err();
        self.committed = committed.is_ok().then_some(staged);
        committed
    }

    async fn delete(&mut self) {
        if self.is_read_only {
            return self.push(ProbeVerb::Delete, ProbeOutcome::Skipped(READ_ONLY));
        }
        let nothing = ProbeOutcome::Skipped("nothing was written");
        if !self.may_be_written && !self.may_be_staged {
            return self.push(ProbeVerb::Delete, nothing);
        }
        let (time, deleted) = timed(self.driver.delete(&self.place)).await;
        match deleted {
            // The staged bytes are still gone.
            Err(error) if error.is_not_found() && !self.is_written => self.push(ProbeVerb::Delete, nothing),
            deleted => {
                if deleted.is_err() && !self.delete_singly().await {
                    self.left_over = Some(self.place.clone());
                }
                self.settle(ProbeVerb::Delete, time, deleted);
            }
        }
    }

    /// Deletes the objects one by one, and returns whether all are gone. Without the right to list, for
    /// example, a directory cannot be deleted but its objects can.
    async fn delete_singly(&self) -> bool {
        let is_unstaged = !self.may_be_staged || {
            let before = SystemTime::now() + YEAR;
            self.driver.delete_staged(&self.object, before).await.is_ok()
        };
        let files = vec![self.object.clone(), self.created.clone()];
        let deleted = self.driver.delete_many(files, self.committed.as_slice()).await;
        deleted.is_ok_and(|report| report.failed.is_empty()) && is_unstaged
    }

    fn remember(&mut self, written: &Result<()>) {
        self.is_written |= written.is_ok();
        self.may_be_written |= may_have_happened(written);
    }

    fn error(
        &self,
        kind: ErrorKind,
        message: impl Into<std::borrow::Cow<'static, str>>,
        operation: Operation,
    ) -> Error {
        let error = Error::new(kind).with_message(message).with_path(&self.object);
        error.with_driver(self.driver.name()).with_operation(operation)
    }

    fn settle(&mut self, verb: ProbeVerb, time: Duration, result: Result<()>) {
        self.push(verb, result.map_or_else(ProbeOutcome::Failed, |()| ProbeOutcome::Passed(time)));
    }

    fn push(&mut self, verb: ProbeVerb, outcome: ProbeOutcome) {
        let permissions = StorageDriver::permissions(self.driver);
        self.steps.push(ProbeStep { verb, outcome, permissions });
    }
}

/// Whether a write with this result may have left something.
fn may_have_happened<T>(written: &Result<T>) -> bool {
    !matches!(
        written.as_ref().map_err(Error::kind),
        Err(ErrorKind::PermissionDenied
            | ErrorKind::Unauthenticated
            | ErrorKind::ReadOnly
            | ErrorKind::InvalidConfig
            | ErrorKind::InvalidPath
            | ErrorKind::Unsupported)
    )
}

async fn timed<T>(call: impl Future<Output = T>) -> (Duration, T) {
    let begun = Instant::now();
    let result = call.await;
    (begun.elapsed(), result)
}
