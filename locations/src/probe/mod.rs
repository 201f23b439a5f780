//! Asks a store what it lets a registry do, and what is in it.

mod hints;
mod layout;
mod report;
mod steps;

#[cfg(test)]
mod tests;

pub use self::{
    layout::{LayoutFindings, LayoutTrace, TraceKind},
    report::{ProbeOutcome, ProbeReport, ProbeStep, ProbeVerb},
};
use self::{report::warnings, steps::Probe};
use plugin_registry::Registry;
use plugin_registry_core::StorageDriver;

/// Finds out whether a registry can work with its driver and credentials, and what is in the store.
///
/// Use it to check a location before it is used, or to find out why one does not work.
///
/// Never fails: a failure is the outcome of its step, and the steps after it are still tried. The exception
/// is a first step, the list, that was not authenticated. Then nothing else is tried, since it would fail
/// in the same way.
///
/// | Step | Tries | Needed for |
/// |---|---|---|
/// | [`List`](ProbeVerb::List) | lists `docker/registry/v2`; passes too if nothing is there yet | catalog, tags, deletes, `verify` |
/// | [`Missing`](ProbeVerb::Missing) | looks for an object that does not exist; "not found" passes, a refusal does not | any push, and pulls of missing content |
/// | [`Write`](ProbeVerb::Write) | writes a small object | any push |
/// | [`Read`](ProbeVerb::Read) | reads it back and compares. If nothing was written, asks for an object that does not exist: "not found" passes, since a store refuses first | any pull |
/// | [`Replace`](ProbeVerb::Replace) | writes it again. Skipped after a failed write | tags that move; a store with retention and without versions refuses it |
/// | [`ConditionalWrite`](ProbeVerb::ConditionalWrite) | writes an object twice on the condition that it does not exist; the second write must be refused. Skipped if [`Capabilities::create_only`](plugin_registry_core::Capabilities::create_only) is false, and after a failed write | two instances that begin one upload |
/// | [`Stage`](ProbeVerb::Stage) | stages bytes, closes, finds them, resumes, writes more, closes, commits. Skipped if reads are not permitted | uploads in chunks |
/// | [`FindStages`](ProbeVerb::FindStages) | between close and resume, lists the staged bytes | [`purge_uploads`](Registry::purge_uploads) |
/// | [`Delete`](ProbeVerb::Delete) | deletes the directory of all that. Skipped if nothing was written | deletes, the end of uploads |
///
/// A read-only registry writes nothing: the steps `Write`, `Replace`, `ConditionalWrite`, `Stage` and
/// `Delete` are skipped.
///
/// **What it writes**: two objects of less than 200 bytes and one stage, in the directory
/// `docker/registry/v2/gc/probe/UUID/` with its own UUID. distribution 2.8 and 3.x walk only `blobs` and
/// `repositories` beside `gc`, so they never look there. Whatever fails, the probe deletes the directory at
/// the end. If that fails, it deletes the objects one by one. If that fails too, [`ProbeReport::left_over`]
/// names the directory. Otherwise the store is as before, apart from deleted versions that it keeps.
///
/// **What it reads**: [`ProbeReport::layout`] comes from at most 12 listings, each of one page or a part of
/// it. They are samples: they prove that something is there, and never that something is not.
///
/// **What it does not show**: whether content is intact ([`verify`](Registry::verify)); rights that only files
/// of more than one part need, such as those for a multipart upload; and rights that a driver can do
/// without. The S3 driver finds what waits to be resumed without `s3:ListBucketMultipartUploads` and only
/// logs that the right is missing, so `FindStages` passes.
///
/// It makes about 14 driver calls on an empty store, one after another, each retried as its driver does. A
/// store that does not answer makes it slow, so the caller may set a time limit. It holds a few KB.
/// Dropping the future leaves at most that directory, with at most the two objects and the stage.
/// [`purge_uploads`](Registry::purge_uploads) deletes the stage once it is older than `older_than`. The objects
/// do no harm and can be deleted by hand.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let registry = plugin_registry::Registry::builder(plugin_registry_drivers_memory::MemoryDriver::new()).build();
/// let report = plugin_registry_locations::probe(&registry).await;
/// for step in report.failed() {
///     eprintln!("{step}");
/// }
/// assert!(report.is_usable() && report.warnings.is_empty());
/// # }
/// ```
#[tracing::instrument(
    level = "info", skip_all,
    fields(location = registry.location(), instance = registry.instance())
)]
pub async fn probe(registry: &Registry) -> ProbeReport {
    let driver = registry.driver();
    let mut probe = Probe::new(driver, registry.is_read_only());
    let layout = probe.run().await;
    let (steps, left_over, capabilities) = probe.into_parts();
    let (name, permissions) = (StorageDriver::name(driver), StorageDriver::permissions(driver));
    let mut report =
        ProbeReport { driver: name, steps, layout, warnings: Vec::new(), left_over, permissions };
    report.warnings = warnings(&report, capabilities);
    report
}
