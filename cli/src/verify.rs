//! `verify`.

use std::collections::BTreeSet;

use plugin_registry::verify::{VerifyReport, VerifyScope};
use serde::Serialize;

use crate::{
    args::Verify,
    failure::{Failure, Outcome},
    output::{Bytes, Output, count},
    progress::Reporter,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    sound: bool,
    repositories: usize,
    manifests: usize,
    blobs: usize,
    bytes: u64,
    findings: Vec<Entry>,
    notes: Vec<Entry>,
    dangling_links: usize,
    unknown: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unfinished: Option<String>,
}

#[derive(Serialize)]
struct Entry {
    repository: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    problem: String,
}

pub(crate) async fn run(options: Verify) -> Result<(), Failure> {
    let registry = options
        .root
        .place()
        .open()
        .await?
        .builder()
        .read_only(true)
        .references(options.references.into())
        .build();
    let scope = options.name.map_or(VerifyScope::All, VerifyScope::Repository);
    let reporter = Reporter::of_verify(options.quiet, &registry, &scope).await;
    let report = registry.verify(scope, |event| reporter.verified(&event)).await?;
    drop(reporter);
    let document = Document::from(&report);
    Output::new(options.printing.format).print(&document, |out| {
        report.findings.iter().try_for_each(|finding| writeln!(out, "damaged: {finding}"))?;
        report.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))?;
        for path in &report.unknown {
            writeln!(out, "skipped, not a repository name: {path}")?;
        }
        write!(
            out,
            "{}: {}, {}, {}",
            match (&report.unfinished, report.findings.is_empty()) {
                (None, true) => "sound",
                (Some(_), true) => "not finished",
                (_, false) => "damaged",
            },
            count(report.repositories, "repository").replace("repositorys", "repositories"),
            count(report.manifests, "manifest"),
            count(report.blobs, "blob"),
        )?;
        if !report.notes.is_empty() {
            write!(out, "; {}", count(report.notes.len(), "note"))?;
        }
        writeln!(out, "\n{} read", Bytes(report.bytes))
    })?;
    let ended = report.unfinished.as_ref().map(|why| format!("not everything was checked: {why}"));
    if !report.findings.is_empty() {
        let mut message = format!("{} found", count(report.findings.len(), "problem"));
        message.extend(ended.map(|ended| format!("; {ended}")));
        return Err(Failure::new(Outcome::Damaged, message).with_hint(hint(&report)));
    }
    if let Some(ended) = ended {
        return Err(Failure::failed(ended).with_hint("Run it again when the store answers."));
    }
    if options.strict && !report.is_clean() {
        let odd = report.notes.len() + report.unknown.len();
        let message = format!("nothing is damaged, {} found", count(odd, "note"));
        let hint = "Without --strict, this is not a failure.";
        return Err(Failure::new(Outcome::Damaged, message).with_hint(hint));
    }
    Ok(())
}

/// What to do about damage. Only files that are there and hold wrong bytes are to be removed.
fn hint(report: &VerifyReport) -> String {
    let again = "copy the images again from a good source, with --repair";
    let blocks_repair: BTreeSet<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.blocks_repair)
        .map(|finding| finding.path.as_str())
        .collect();
    let mut named = blocks_repair.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
    match blocks_repair.len() {
        0 => return format!("There is nothing to remove: {again}."),
        more if more > MOST_NAMED => named.push_str(&format!(" and {} more", more - MOST_NAMED)),
        _ => {}
    }
    format!("Remove the files with wrong bytes ({named}), and nothing else, then {again}.")
}

/// The most files that a hint names; all are in the report.
const MOST_NAMED: usize = 3;

impl From<&VerifyReport> for Document {
    fn from(report: &VerifyReport) -> Self {
        let findings = report.findings.iter().map(|finding| Entry {
            repository: finding.repository.to_string(),
            path: finding.path.to_string(),
            kind: None,
            problem: finding.problem.clone(),
        });
        let notes = report.notes.iter().map(|note| Entry {
            repository: note.repository.to_string(),
            path: note.path.to_string(),
            kind: Some(note.kind.as_str()),
            problem: note.text.clone(),
        });
        Self {
            sound: report.is_sound(),
            repositories: report.repositories,
            manifests: report.manifests,
            blobs: report.blobs,
            bytes: report.bytes,
            findings: findings.collect(),
            notes: notes.collect(),
            dangling_links: report.dangling_links,
            unknown: report.unknown.iter().map(ToString::to_string).collect(),
            unfinished: report.unfinished.clone(),
        }
    }
}
