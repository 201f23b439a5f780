//! Asking a store what it lets a registry do, and what is in it.

mod layout;
mod report;
mod rights;
mod steps;
mod words;

#[cfg(test)]
mod tests;

pub use self::{
    layout::{LayoutFindings, LayoutTrace, TraceKind},
    report::{ProbeOutcome, ProbeReport, ProbeStep, ProbeVerb},
};
use self::{report::warnings, steps::Probe};
use crate::registry::Registry;

impl Registry {
    /// Finds out whether this registry can do its work with its driver and credentials, and what is in the store
    /// already. For the check of a location before it is used, and for the question why it does not work.
    ///
    /// Never fails: a failure is the outcome of its step, and the steps after it are tried all the same. Only
    /// where the first step, the list, was not authenticated, nothing else is tried, since it would fail in the
    /// same way.
    ///
    /// | Step | Tries | Needed for |
    /// |---|---|---|
    /// | [`List`](ProbeVerb::List) | lists `docker/registry/v2`; where nothing is there yet, that is an answer too | catalog, tags, deletes, `verify` |
    /// | [`Missing`](ProbeVerb::Missing) | looks for an object that is not there; "not found" passes, a refusal does not | any push, and pulls of what is missing |
    /// | [`Write`](ProbeVerb::Write) | writes a small object | any push |
    /// | [`Read`](ProbeVerb::Read) | reads it back and compares. Where nothing was written, asks for an object that is not there: "not found" passes, as a store refuses first | any pull |
    /// | [`Replace`](ProbeVerb::Replace) | writes it again. Skipped after a failed write | tags that move; a store with retention and without versions refuses it |
    /// | [`ConditionalWrite`](ProbeVerb::ConditionalWrite) | writes an object twice on the condition that nothing is there; the second time must be refused. Skipped where [`Capabilities::create_only`](plugin_registry_core::Capabilities::create_only) says no, and after a failed write | two instances that begin one upload |
    /// | [`Stage`](ProbeVerb::Stage) | stages bytes, closes, finds them, resumes, writes more, closes, commits. Skipped where no read is permitted | uploads in chunks |
    /// | [`FindStages`](ProbeVerb::FindStages) | between close and resume, lists the staged bytes | [`purge_uploads`](Self::purge_uploads) |
    /// | [`Delete`](ProbeVerb::Delete) | deletes the directory of all that. Skipped where nothing was written | deletes, the end of uploads |
    ///
    /// A read-only registry writes nothing: the steps `Write`, `Replace`, `ConditionalWrite`, `Stage` and `Delete`
    /// are skipped.
    ///
    /// **What it writes**: two objects of less than 200 bytes and one stage, in the directory
    /// `docker/registry/v2/gc/probe/UUID/` with a UUID of its own. distribution 2.8 and 3.x walk only `blobs` and
    /// `repositories` beside `gc`, and never look there. Whatever fails, the directory is deleted at the end; if
    /// that fails, its objects one by one; if that fails too, [`ProbeReport::left_over`] names it. Afterwards the
    /// store is as before.
    ///
    /// **What it reads**: [`ProbeReport::layout`] comes of at most 12 listings, each of one page or a part of it:
    /// samples, which prove that something is there, and never that something is not.
    ///
    /// **What it does not show**: whether content is sound ([`verify`](Self::verify)); rights that only files of
    /// more than one part need, as of a multipart upload; and rights that a driver does without. The S3 driver
    /// finds what waits to be resumed without `s3:ListBucketMultipartUploads`, and only logs that it lacks it, so
    /// `FindStages` passes.
    ///
    /// About 14 driver calls on an empty store, one after another, each tried again as its driver does: a
    /// store that does not answer makes it slow, and the caller may set a limit of time. Holds some KB.
    /// Dropping the future leaves at most that directory, with at most the two objects and the stage: the next
    /// [`purge_uploads`](Self::purge_uploads) throws the stage away, the objects harm nobody and can be deleted
    /// by hand.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let registry = plugin_registry::Registry::builder(plugin_registry_drivers_memory::MemoryDriver::new()).build();
    /// let report = registry.probe().await;
    /// for step in report.failed() {
    ///     eprintln!("{step}");
    /// }
    /// assert!(report.is_usable() && report.warnings.is_empty());
    /// # }
    /// ```
    #[tracing::instrument(
        level = "error", skip_all,
        fields(location = self.inner.location(), instance = self.inner.instance())
    )]
    pub async fn probe(&self) -> ProbeReport {
        let driver = &self.inner.driver;
        let mut probe = Probe::new(driver, self.inner.options.read_only);
        let layout = probe.run().await;
        let (steps, left_over, capabilities) = probe.into_parts();
        let mut report = ProbeReport {
            driver: plugin_registry_core::StorageDriver::name(driver),
            steps,
            layout,
            warnings: Vec::new(),
            left_over,
        };
        report.warnings = warnings(&report, capabilities);
        report
    }
}
