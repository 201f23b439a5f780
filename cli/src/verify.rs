//! `verify`.

use plugin_registry::{VerifyReport, VerifyScope};
use serde::Serialize;

use crate::{
    args::Verify,
    failure::{Failure, Outcome},
    output::{Bytes, Output, count},
    progress::Reporter,
};

#[derive(Serialize)]
struct Document {
    sound: bool,
    repositories: usize,
    manifests: usize,
    blobs: usize,
    bytes: u64,
    findings: Vec<Entry>,
    unknown: Vec<String>,
}

#[derive(Serialize)]
struct Entry {
    repository: String,
    path: String,
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
    let reporter = Reporter::new(options.quiet);
    let mut bytes = 0;
    let report = registry.verify(scope, |event| reporter.verified(&event, &mut bytes)).await?;
    drop(reporter);
    let document = Document::from(&report);
    Output::new(options.printing.format).print(&document, |out| {
        report.findings.iter().try_for_each(|finding| writeln!(out, "damaged: {finding}"))?;
        for path in &report.unknown {
            writeln!(out, "not looked at, no repository name: {path}")?;
        }
        writeln!(
            out,
            "{}: {}, {}, {}",
            if report.is_sound() { "sound" } else { "damaged" },
            count(report.repositories, "repository").replace("repositorys", "repositories"),
            count(report.manifests, "manifest"),
            count(report.blobs, "blob"),
        )?;
        writeln!(out, "{} read", Bytes(report.bytes))
    })?;
    if report.is_sound() {
        return Ok(());
    }
    let message = format!("{} found", count(report.findings.len(), "damage"));
    Err(Failure::new(Outcome::Damaged, message).with_hint(
        "Remove the files named above from the store and copy the images again from a good source, with --repair.",
    ))
}

impl From<&VerifyReport> for Document {
    fn from(report: &VerifyReport) -> Self {
        let findings = report.findings.iter().map(|finding| Entry {
            repository: finding.repository.to_string(),
            path: finding.path.to_string(),
            problem: finding.problem.clone(),
        });
        Self {
            sound: report.is_sound(),
            repositories: report.repositories,
            manifests: report.manifests,
            blobs: report.blobs,
            bytes: report.bytes,
            findings: findings.collect(),
            unknown: report.unknown.iter().map(ToString::to_string).collect(),
        }
    }
}
