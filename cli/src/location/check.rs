//! `location check`.

use plugin_registry::ProbeReport;
use serde::Serialize;

use super::show::{Summary, head};
use crate::{
    args::LocationCheck,
    failure::{Failure, Outcome},
    output::Output,
};

#[derive(Serialize)]
struct Document {
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    location: Option<Summary>,
    probe: ProbeReport,
}

pub(crate) async fn run(options: LocationCheck) -> Result<(), Failure> {
    let opened = options.root.place().open().await?;
    let location = opened.configured.as_ref().map(Summary::of);
    let read_only =
        options.read_only || opened.configured.as_ref().is_some_and(|configured| configured.config.read_only);
    let registry = opened.builder().read_only(read_only).build();
    let probe = registry.probe().await;
    let document = Document { location, probe };
    Output::new(options.printing.format).print(&document, |out| {
        let Document { location, probe } = &document;
        if let Some(location) = location {
            head(location, out)?;
        }
        writeln!(out, "{probe}")?;
        for warning in location.iter().flat_map(|location| &location.warnings) {
            writeln!(out, "warning: {warning}")?;
        }
        Ok(())
    })?;
    verdict(&document.probe, read_only)
}

/// Whether backups can rely on it.
fn verdict(probe: &ProbeReport, read_only: bool) -> Result<(), Failure> {
    if probe.is_usable() || (read_only && probe.can_read()) {
        return Ok(());
    }
    let failed: Vec<String> = probe.failed().map(|step| step.verb.to_string()).collect();
    let what = if probe.can_read() { "nothing can be backed up to it" } else { "it cannot be used" };
    Err(Failure::new(Outcome::Failed, format!("{what}: these failed: {}", failed.join(", "))))
}
