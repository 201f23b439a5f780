//! `location check`.

use std::{
    io::{self, Write},
    sync::Arc,
};

use plugin_registry_core::{Error, StorageDriver};
use plugin_registry_locations::{probe, probe::ProbeReport};
use serde::Serialize;

use super::show::{Summary, head};
use crate::{
    args::{Format, LocationCheck},
    failure::{Failure, Outcome},
    output::Output,
    source::{Configured, Source},
    store::{Opened, Place, require_answer},
};

/// The result: a report, or an error if the store could not even be opened.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    location: Option<&'a Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<&'a ProbeReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Refusal<'a>>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    kind: &'static str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

pub(crate) async fn run(options: LocationCheck) -> Result<(), Failure> {
    let format = options.printing.format;
    let (opened, location) = match options.root.place() {
        Place::Configured(source) => {
            let (opened, summary) = open(source, format).await?;
            (opened, Some(summary))
        }
        place => (place.open().await?, None),
    };
    let read_only = options.read_only || opened.is_read_only();
    let registry = opened.builder().read_only(read_only).build();
    let probe = probe(&registry).await;
    let document = Document { location: location.as_ref(), probe: Some(&probe), error: None };
    Output::new(format).print(&document, |out| {
        if let Some(location) = &location {
            head(location, out)?;
        }
        writeln!(out, "{probe}")?;
        warnings(location.as_ref(), out)
    })?;
    verdict(&probe, read_only)
}

/// Opens what is configured. If that fails, it still prints what it tried.
async fn open(source: &Source, format: Format) -> Result<(Opened, Summary), Failure> {
    let configured = source.read()?;
    let summary = Summary::of(&configured);
    let error = match answering(&configured).await {
        Ok(driver) => return Ok((Opened::of(driver, configured), summary)),
        Err(error) => error,
    };
    let kind = error.kind().as_str();
    let failure = source.advise(configured.failure(error));
    let refusal = Refusal { kind, error: failure.message(), hint: failure.hint() };
    let document = Document { location: Some(&summary), probe: None, error: Some(refusal) };
    Output::new(format).print(&document, |out| {
        head(&summary, out)?;
        warnings(Some(&summary), out)
    })?;
    Err(failure)
}

/// Opens a driver whose store answers: where it does not, every step would fail in the same way.
async fn answering(configured: &Configured) -> Result<Arc<dyn StorageDriver>, Error> {
    let driver = configured.driver(false).await?;
    require_answer(&*driver).await?;
    Ok(driver)
}

fn warnings(location: Option<&Summary>, out: &mut dyn Write) -> io::Result<()> {
    let mut warnings = location.iter().flat_map(|location| &location.warnings);
    warnings.try_for_each(|warning| writeln!(out, "warning: {warning}"))
}

/// Whether backups can rely on it.
fn verdict(probe: &ProbeReport, read_only: bool) -> Result<(), Failure> {
    if probe.is_usable() || (read_only && probe.can_read()) {
        return Ok(());
    }
    let failed: Vec<String> = probe.failed().map(|step| step.verb.to_string()).collect();
    let what = if probe.can_read() { "no backup can be made" } else { "it cannot be used" };
    Err(Failure::new(Outcome::Failed, format!("{what}: these steps failed: {}", failed.join(", "))))
}
