//! The report of a probe, for programs and for people.

use std::{fmt, time::Duration};

use plugin_registry_core::{Capabilities, Error, ErrorKind, Permissions, StoragePath};
use serde::{Serialize, Serializer};

use super::{
    hints::{headline, hint, needed},
    layout::LayoutFindings,
};

/// What [`probe`](super::probe()) found out.
///
/// Serializes to an object with what its fields and [`is_usable`](Self::is_usable) say, with names in camelCase.
/// A step is an object with `verb` and `outcome` (`passed` with `seconds`, `skipped` with `reason`, or `failed`
/// with `kind`, `error` and `hint`). [`Display`](fmt::Display) writes lines for people; the last one has no line end.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProbeReport {
    /// The driver's name.
    pub driver: &'static str,
    /// Every step once, in the order of [`ProbeVerb::ALL`].
    pub steps: Vec<ProbeStep>,
    /// The existing content of the store, by samples.
    pub layout: LayoutFindings,
    /// Warnings: what works differently than expected, what that means, and what else to check.
    pub warnings: Vec<String>,
    /// A directory that may still hold objects of the probe, since they could not be deleted. Anyone with the
    /// right to delete can remove it.
    pub left_over: Option<StoragePath>,
    pub(super) permissions: &'static Permissions,
}

/// One thing that a registry needs, and whether it works.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProbeStep {
    /// What was tried.
    pub verb: ProbeVerb,
    /// The outcome.
    pub outcome: ProbeOutcome,
    pub(super) permissions: &'static Permissions,
}

/// What a probe tries. More may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProbeVerb {
    /// List a directory.
    List,
    /// Look for an object that does not exist: the store has to say "not found".
    Missing,
    /// Write a small object.
    Write,
    /// Read it back.
    Read,
    /// Write it again, as a tag that moves does.
    Replace,
    /// Write only if nothing is there, twice: the second write must be refused.
    ConditionalWrite,
    /// Stage bytes, close, find them, resume, write more and commit: what an upload in chunks does.
    Stage,
    /// Find the bytes that wait to be resumed: what a purge of uploads does.
    FindStages,
    /// Delete a directory with everything that was written.
    Delete,
}

/// The outcome of a step.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProbeOutcome {
    /// It works. This is how long its requests took.
    Passed(Duration),
    /// It was not tried, for this reason.
    Skipped(&'static str),
    /// It does not work, because of this error.
    Failed(Error),
}

impl ProbeReport {
    /// Whether the registry can do its work, pulls and pushes ([`can_read`](Self::can_read) and
    /// [`can_write`](Self::can_write)).
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.can_read() && self.can_write()
    }

    /// Whether pulls work: lists and reads pass, and the store reports missing objects as missing.
    #[must_use]
    pub fn can_read(&self) -> bool {
        [ProbeVerb::List, ProbeVerb::Missing, ProbeVerb::Read].iter().all(|verb| self.has_passed(*verb))
    }

    /// Whether pushes work, with whole and with staged writes. False for a read-only registry.
    ///
    /// If the driver says that it has conditional writes, they must work too, since the first request of an
    /// upload in chunks makes one.
    #[must_use]
    pub fn can_write(&self) -> bool {
        let has_written = self.has_passed(ProbeVerb::Write) && self.has_passed(ProbeVerb::Stage);
        has_written && self.error(ProbeVerb::ConditionalWrite).is_none()
    }

    /// Whether deletes work in the store, whatever the registry's options allow. False if it is read-only.
    #[must_use]
    pub fn can_delete(&self) -> bool {
        self.has_passed(ProbeVerb::Delete)
    }

    /// Returns the step of a verb.
    #[must_use]
    pub fn step(&self, verb: ProbeVerb) -> Option<&ProbeStep> {
        self.steps.iter().find(|step| step.verb == verb)
    }

    /// Returns the steps that failed, in order.
    pub fn failed(&self) -> impl Iterator<Item = &ProbeStep> {
        self.steps.iter().filter(|step| step.error().is_some())
    }

    pub(super) fn error(&self, verb: ProbeVerb) -> Option<&Error> {
        self.step(verb)?.error()
    }

    fn has_passed(&self, verb: ProbeVerb) -> bool {
        matches!(self.step(verb), Some(ProbeStep { outcome: ProbeOutcome::Passed(_), .. }))
    }
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        if self.has_passed(ProbeVerb::List) {
            write!(f, "{}", self.layout)?;
        } else {
            write!(f, "layout: not read")?;
        }
        for warning in &self.warnings {
            write!(f, "\nwarning: {warning}")?;
        }
        Ok(())
    }
}

impl Serialize for ProbeReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct View<'a> {
            driver: &'a str,
            usable: bool,
            steps: &'a [ProbeStep],
            layout: &'a LayoutFindings,
            warnings: &'a [String],
            left_over: Option<&'a str>,
        }
        let view = View {
            driver: self.driver,
            usable: self.is_usable(),
            steps: &self.steps,
            layout: &self.layout,
            warnings: &self.warnings,
            left_over: self.left_over.as_ref().map(StoragePath::as_str),
        };
        view.serialize(serializer)
    }
}

impl ProbeStep {
    /// Returns the error of a step that failed.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match &self.outcome {
            ProbeOutcome::Failed(error) => Some(error),
            ProbeOutcome::Passed(_) | ProbeOutcome::Skipped(_) => None,
        }
    }

    /// Returns what to look at after a failure: a right, in the words of the driver's store, a setting, or the
    /// way to the store.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.error().map(|error| hint(self.permissions, self.verb, error.kind()))
    }
}

/// One line, for example `write: not permitted: s3 driver: put_content /…: permission denied: AccessDenied;
/// needed: s3:PutObject on the bucket's objects`.
impl fmt::Display for ProbeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verb, self.outcome)?;
        match self.hint() {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl Serialize for ProbeStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(tag = "outcome", rename_all = "snake_case")]
        enum View {
            Passed { verb: ProbeVerb, seconds: f64 },
            Skipped { verb: ProbeVerb, reason: &'static str },
            Failed { verb: ProbeVerb, kind: &'static str, error: String, hint: Option<String> },
        }
        let verb = self.verb;
        let view = match &self.outcome {
            ProbeOutcome::Passed(time) => View::Passed { verb, seconds: time.as_secs_f64() },
            ProbeOutcome::Skipped(reason) => View::Skipped { verb, reason },
            ProbeOutcome::Failed(error) => View::Failed {
                verb,
                kind: error.kind().as_str(),
                error: error.to_string(),
                hint: self.hint(),
            },
        };
        view.serialize(serializer)
    }
}

impl ProbeVerb {
    /// All verbs, in the order in which they are tried.
    pub const ALL: &'static [Self] = &[
        Self::List,
        Self::Missing,
        Self::Write,
        Self::Read,
        Self::Replace,
        Self::ConditionalWrite,
        Self::Stage,
        Self::FindStages,
        Self::Delete,
    ];

    /// Returns the words to show to people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Missing => "missing",
            Self::Write => "write",
            Self::Read => "read",
            Self::Replace => "replace",
            Self::ConditionalWrite => "conditional write",
            Self::Stage => "stage",
            Self::FindStages => "find stages",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for ProbeVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ProbeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(time) => write!(f, "passed ({} ms)", time.as_millis()),
            Self::Skipped(reason) => write!(f, "skipped: {reason}"),
            Self::Failed(error) => write!(f, "{}: {error}", headline(error.kind())),
        }
    }
}

/// Returns what a report should warn of, beyond its steps.
pub(super) fn warnings(report: &ProbeReport, capabilities: Capabilities) -> Vec<String> {
    let mut warnings = report.layout.warnings();
    let mut warn = |text: &str| warnings.push(text.to_owned());
    let is_writing = !matches!(
        report.step(ProbeVerb::Write),
        None | Some(ProbeStep { outcome: ProbeOutcome::Skipped(_), .. })
    );
    if is_writing && !capabilities.create_only {
        warn(
            "no conditional writes: if two writers create one file at the same moment, both succeed and the \
             later one wins. Two registries that begin one upload at the same moment do not notice each \
             other; blobs and manifests are safe, because their digests name them",
        );
    } else if let Some(error) = report.error(ProbeVerb::ConditionalWrite) {
        warn(match error.kind() {
            ErrorKind::Other => {
                "conditional writes cannot be trusted: if the store ignores conditions, say so in the \
                 driver's settings"
            }
            _ => "conditional writes do not work: the first request of an upload in chunks needs one",
        });
    }
    if report.error(ProbeVerb::Replace).is_some() {
        warn(
            "objects cannot be replaced: a tag cannot be moved to another image, and a manifest cannot be \
             pushed again",
        );
    }
    if capabilities.retention {
        warn(
            "the store retains objects (Object Lock): tags can be moved and deletes work, but what they \
             replace stays as a version and takes space until its retention ends",
        );
    } else if capabilities.versions {
        warn(
            "the store keeps versions: deleted and replaced objects stay as versions and take space until a \
             lifecycle rule removes them",
        );
    }
    if capabilities.hides_missing {
        let needed = needed(report.permissions, ProbeVerb::Missing);
        warn(&format!(
            "missing objects look forbidden to these credentials, so each lookup of one costs a list \
             request; needed: {needed}"
        ));
    }
    if capabilities.two_forms {
        warn(
            "the location has names in two forms, as different versions of distribution write them: all are \
             read here, but older software finds those of its own form only",
        );
    }
    if report.error(ProbeVerb::Stage).is_some() {
        warn("uploads in chunks will fail");
    }
    if report.error(ProbeVerb::FindStages).is_some() {
        warn(
            "stages of writers that died cannot be found, so a purge of uploads will fail and the stages \
             keep taking space",
        );
    }
    if report.error(ProbeVerb::Delete).is_some() {
        warn("nothing can be deleted: abandoned uploads and other leftovers take space forever");
    }
    if let Some(path) = &report.left_over {
        warnings.push(format!("objects of this probe may be left in {path}: delete them"));
    }
    warnings
}
