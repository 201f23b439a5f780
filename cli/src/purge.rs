//! `purge`.

use std::{io, io::Write, time::Duration};

use futures::TryStreamExt;
use plugin_registry::{
    layout,
    upload::{PurgeReport, StaleUpload},
};
use plugin_registry_core::StorageDriver;
use serde::Serialize;

use crate::{
    args::Purge,
    failure::Failure,
    output::{Bytes, Output, count},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    dry_run: bool,
    uploads: Vec<Entry>,
    staged: Vec<Entry>,
    bytes: u64,
    kept: usize,
    kept_staged: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_due_seconds: Option<u64>,
    unknown: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    path: String,
    bytes: u64,
    idle_seconds: u64,
}

pub(crate) async fn run(options: Purge) -> Result<(), Failure> {
    let opened = options.root.place().open().await?;
    if let Err(absent) = opened.require_registry().await {
        // Writers that were killed before their first object leave stages, and nothing else.
        let is_staged =
            absent.is_not_found() && opened.driver.list_staged(&layout::root()).try_next().await?.is_some();
        if !is_staged {
            return Err(absent);
        }
    }
    let registry = opened.builder().build();
    let report = registry.purge_uploads(options.older_than, options.dry_run).await?;
    let document = Document::new(&report, options.dry_run);
    Output::new(options.printing.format).print(&document, |out| {
        let verb = if options.dry_run { "would delete" } else { "deleted" };
        for stale in report.uploads.iter().chain(&report.staged) {
            line(out, verb, stale)?;
        }
        for path in &report.unknown {
            writeln!(out, "left alone, not a known upload: {path}")?;
        }
        writeln!(
            out,
            "{verb} {}, {}",
            uploads(report.uploads.len(), report.staged.len()),
            Bytes(report.bytes()),
        )?;
        if let Some(due) = report.next_due {
            writeln!(
                out,
                "kept {} younger than {}; the oldest is due in {}",
                uploads(report.kept, report.kept_staged),
                humantime::format_duration(options.older_than),
                humantime::format_duration(Duration::from_secs(seconds_until(due)))
            )?;
        }
        Ok(())
    })
}

fn uploads(sessions: usize, staged: usize) -> String {
    format!("{} and {}", count(sessions, "upload"), count(staged, "staged file"))
}

/// Whole seconds after which something is due: a purge before that would keep it.
fn seconds_until(due: Duration) -> u64 {
    due.as_secs().saturating_add(1)
}

fn line(out: &mut dyn Write, verb: &str, stale: &StaleUpload) -> io::Result<()> {
    let idle = humantime::format_duration(Duration::from_secs(stale.idle.as_secs()));
    writeln!(out, "{verb} {}: {}, idle for {idle}", stale.path, Bytes(stale.bytes))
}

impl Document {
    fn new(report: &PurgeReport, dry_run: bool) -> Self {
        let entries = |stale: &[StaleUpload]| {
            let entry = |stale: &StaleUpload| Entry {
                path: stale.path.to_string(),
                bytes: stale.bytes,
                idle_seconds: stale.idle.as_secs(),
            };
            stale.iter().map(entry).collect()
        };
        Self {
            dry_run,
            uploads: entries(&report.uploads),
            staged: entries(&report.staged),
            bytes: report.bytes(),
            kept: report.kept,
            kept_staged: report.kept_staged,
            next_due_seconds: report.next_due.map(seconds_until),
            unknown: report.unknown.iter().map(ToString::to_string).collect(),
        }
    }
}
