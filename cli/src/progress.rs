//! Progress on standard error: bars on a terminal, plain lines elsewhere.

use std::{
    collections::HashMap,
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use plugin_registry::verify::VerifyEvent;
use plugin_registry_copy::{BlobOutcome, CopyEvent, Progress};
use plugin_registry_core::{Descriptor, Digest};

use crate::output::Bytes;

/// Shows the progress of a command.
pub(crate) struct Reporter(Kind);

enum Kind {
    Quiet,
    Lines,
    Bars { all: MultiProgress, blobs: Mutex<HashMap<Digest, ProgressBar>>, total: ProgressBar },
}

impl Reporter {
    pub(crate) fn new(quiet: bool) -> Self {
        Self(if quiet {
            Kind::Quiet
        } else if io::stderr().is_terminal() {
            let all = MultiProgress::new();
            let total = all.add(ProgressBar::new_spinner());
            total.enable_steady_tick(Duration::from_millis(120));
            Kind::Bars { all, blobs: Mutex::default(), total }
        } else {
            Kind::Lines
        })
    }

    /// Says what happened. Losing such a line is not a failure.
    fn line(&self, text: &str) {
        match &self.0 {
            Kind::Quiet => {}
            Kind::Lines => {
                let _ = writeln!(io::stderr(), "{text}");
            }
            Kind::Bars { all, .. } => {
                let _ = all.println(text);
            }
        }
    }

    fn status(&self, text: String) {
        if let Kind::Bars { total, .. } = &self.0 {
            total.set_message(text);
        }
    }

    /// Shows the progress of a verification.
    pub(crate) fn verified(&self, event: &VerifyEvent<'_>, bytes: &mut u64) {
        match event {
            VerifyEvent::Repository(name) => self.line(&format!("verifying {name}")),
            VerifyEvent::Content { digest, size } => {
                *bytes += size;
                self.status(format!("{} read, {}", Bytes(*bytes), short(digest)));
            }
            VerifyEvent::Damage(finding) => self.line(&format!("damaged: {finding}")),
            VerifyEvent::Note(note) => self.line(&format!("note: {note}")),
            _ => {}
        }
    }
}

impl Progress for Reporter {
    fn on_event(&self, event: CopyEvent<'_>) {
        match event {
            CopyEvent::BlobStarted(blob) => self.started(blob),
            CopyEvent::BlobMoved(blob, bytes) => {
                if let Kind::Bars { blobs, .. } = &self.0
                    && let Some(bar) = blobs.lock().unwrap_or_else(PoisonError::into_inner).get(&blob.digest)
                {
                    bar.inc(bytes);
                }
            }
            CopyEvent::BlobEnded(blob, outcome) => self.ended(blob, outcome),
            CopyEvent::Stored(manifest) => {
                self.line(&format!(
                    "stored   {} manifest, {}",
                    short(&manifest.digest),
                    Bytes(manifest.size)
                ));
            }
            _ => {}
        }
    }
}

impl Reporter {
    fn started(&self, blob: &Descriptor) {
        let Kind::Bars { all, blobs, .. } = &self.0 else { return };
        let bar = all.add(ProgressBar::new(blob.size));
        let template = "{prefix} {bar:30} {bytes:>10} of {total_bytes:>10} {bytes_per_sec:>12}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(short(&blob.digest));
        blobs.lock().unwrap_or_else(PoisonError::into_inner).insert(blob.digest, bar);
    }

    fn ended(&self, blob: &Descriptor, outcome: BlobOutcome) {
        if let Kind::Bars { blobs, .. } = &self.0
            && let Some(bar) = blobs.lock().unwrap_or_else(PoisonError::into_inner).remove(&blob.digest)
        {
            bar.finish_and_clear();
        }
        let verb = match outcome {
            BlobOutcome::Copied => "copied  ",
            BlobOutcome::Deduplicated => "linked  ",
            BlobOutcome::Mended => "mended  ",
            BlobOutcome::Present => "sound   ",
            _ => "left out",
        };
        self.line(&format!("{verb} {} blob, {}", short(&blob.digest), Bytes(blob.size)));
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if let Kind::Bars { all, total, .. } = &self.0 {
            total.finish_and_clear();
            // A terminal that is gone needs no tidying.
            let _ = all.clear();
        }
    }
}

/// Enough of a digest to recognise it.
pub(crate) fn short(digest: &Digest) -> String {
    let text = digest.to_string();
    text.get(..19).unwrap_or(&text).to_owned()
}
