//! `verify`.

use plugin_registry::verify::{ImageName, VerifyReport, VerifyScope};
use plugin_registry_core::Reference;
use serde::Serialize;

use crate::{
    args::{References, Verify},
    failure::{Failure, Outcome},
    missing,
    named::Image,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
}

pub(crate) async fn run(options: Verify) -> Result<(), Failure> {
    let place = options.root.place();
    let opened = place.existing().await?;
    let mend = Mend {
        place: place.options(),
        is_read_only: opened.is_read_only(),
        is_sparse: options.references != References::Complete,
    };
    let registry = opened.builder().read_only(true).references(options.references.into()).build();
    let given = options.name.as_ref().and_then(|image| image.reference.clone());
    let scope = match options.name {
        None => VerifyScope::All,
        Some(Image { repository, reference: None }) => VerifyScope::Repository(repository),
        Some(Image { repository, reference: Some(reference) }) => {
            VerifyScope::Image(ImageName::new(repository, reference))
        }
    };
    let reporter = Reporter::of_verify(options.quiet, &registry, &scope).await;
    let report = match registry.verify(scope, |event| reporter.verified(&event)).await {
        Ok(report) => report,
        Err(error) => return Err(missing::failure(&registry, error, given.as_ref()).await),
    };
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
        return Err(Failure::new(Outcome::Damaged, message).with_hint(mend.hint(&report)));
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

/// The most commands that a hint names; all images are in the report.
const MOST_NAMED: usize = 3;

/// What a command that mends damage needs besides the image.
struct Mend {
    /// The options that name the registry.
    place: String,
    is_read_only: bool,
    is_sparse: bool,
}

impl Mend {
    /// Says what to run about damage, if a copy mends it.
    fn hint(&self, report: &VerifyReport) -> String {
        let mut images: Vec<&ImageName> = Vec::new();
        for image in report.findings.iter().filter_map(|finding| finding.image.as_ref()) {
            if !images.contains(&image) {
                images.push(image);
            }
        }
        let lasting = report.findings.iter().filter(|finding| finding.image.is_none()).count();
        let Some(first) = images.first() else {
            return "A copy does not mend this: no image here needs it, it cannot be read, or a manifest itself \
                    is wrong."
                .to_owned();
        };
        let mut lines = vec![format!(
            "{}Mend it from a good copy of the image (SRC), such as oci:DIR{}:",
            if self.is_read_only {
                "This registry is configured as read-only: allow changes first. "
            } else {
                ""
            },
            match &first.reference {
                Reference::Tag(tag) => format!(":{tag}"),
                Reference::Digest(digest) => format!("@{digest}"),
            }
        )];
        lines.extend(images.iter().take(MOST_NAMED).map(|image| self.command(image)));
        if images.len() > MOST_NAMED {
            lines.push(format!(
                "and {} more (--format json names each)",
                count(images.len() - MOST_NAMED, "image")
            ));
        }
        if lasting > 0 {
            lines.push(format!("A copy does not mend {lasting} of the problems."));
        }
        lines.join("\n  ")
    }

    fn command(&self, image: &ImageName) -> String {
        let sparse = if self.is_sparse { " --sparse" } else { "" };
        format!("  plugin-registry copy --repair{sparse} SRC registry:{image} {}", self.place)
            .trim_end()
            .to_owned()
    }
}

impl From<&VerifyReport> for Document {
    fn from(report: &VerifyReport) -> Self {
        let findings = report.findings.iter().map(|finding| Entry {
            repository: finding.repository.to_string(),
            path: finding.path.to_string(),
            kind: None,
            problem: finding.problem.clone(),
            image: finding.image.as_ref().map(ToString::to_string),
        });
        let notes = report.notes.iter().map(|note| Entry {
            repository: note.repository.to_string(),
            path: note.path.to_string(),
            kind: Some(note.kind.as_str()),
            problem: note.text.clone(),
            image: None,
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
