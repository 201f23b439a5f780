//! Progress on standard error: bars on a terminal, plain lines elsewhere. Both say how much of the work is done,
//! and how long the rest will take.

mod meter;
mod totals;

use std::{
    collections::HashMap,
    io::{self, IsTerminal, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use plugin_registry::{
    Registry,
    verify::{VerifyEvent, VerifyScope},
};
use plugin_registry_copy::{BlobOutcome, CopyEvent, Progress, Source};
use plugin_registry_core::{Descriptor, Digest};

use self::meter::{Meter, State};
use crate::output::Bytes;

/// How often a line says how far it is while nothing else is said, as in the log of a job.
const INTERVAL: Duration = Duration::from_secs(10);

/// Shows the progress of a command.
pub(crate) struct Reporter {
    view: View,
    began: Instant,
    work: Mutex<Work>,
}

enum View {
    Quiet,
    Lines,
    Bars { all: MultiProgress, blobs: Mutex<HashMap<Digest, ProgressBar>>, total: ProgressBar },
}

/// What is done, and what was last said about it.
struct Work {
    meter: Meter,
    said: Instant,
}

impl Reporter {
    /// Finds out how much there is to copy, unless nobody wants to know.
    pub(crate) async fn of_copy(quiet: bool, source: &dyn Source) -> Self {
        let view = View::new(quiet);
        Self::new(view, if quiet { Meter::default() } else { totals::of_image(source).await })
    }

    /// Finds out how much there is to read, unless nobody wants to know.
    pub(crate) async fn of_verify(quiet: bool, registry: &Registry, scope: &VerifyScope) -> Self {
        let view = View::new(quiet);
        Self::new(view, if quiet { Meter::default() } else { totals::of_scope(registry, scope).await })
    }

    fn new(view: View, meter: Meter) -> Self {
        let now = Instant::now();
        Self { view, began: now, work: Mutex::new(Work { meter, said: now }) }
    }

    /// Shows the progress of a verification.
    pub(crate) fn verified(&self, event: &VerifyEvent<'_>) {
        match event {
            VerifyEvent::Repository(name) => self.said(&format!("verifying {name}")),
            VerifyEvent::Content { digest, size } => {
                let mut work = self.work();
                work.meter.begin(*digest, *size);
                work.meter.moved(*digest, *size);
                work.meter.finish(*digest);
                self.show(work, "verified");
            }
            VerifyEvent::Damage(finding) => self.line(&format!("damaged: {finding}")),
            VerifyEvent::Note(note) => self.line(&format!("note: {note}")),
            _ => {}
        }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self, work: &Work) -> State {
        work.meter.after(self.began.elapsed())
    }

    /// Says what happened. Losing such a line is not a failure.
    fn line(&self, text: &str) {
        match &self.view {
            View::Quiet => {}
            View::Lines => {
                let _ = writeln!(io::stderr(), "{text}");
            }
            View::Bars { all, .. } => {
                let _ = all.println(text);
            }
        }
    }

    /// Says what happened and, where no bar does, how far it is.
    fn said(&self, text: &str) {
        let mut work = self.work();
        work.said = Instant::now();
        let state = self.state(&work);
        drop(work);
        match &self.view {
            View::Lines => self.line(&format!("{text} ({state})")),
            View::Quiet | View::Bars { .. } => self.line(text),
        }
    }

    /// Shows how far it is: in the bar at once, in a line if none was printed for a while.
    fn show(&self, mut work: MutexGuard<'_, Work>, what: &str) {
        let state = self.state(&work);
        match &self.view {
            View::Quiet => {}
            View::Lines if work.said.elapsed() < INTERVAL => {}
            View::Lines => {
                work.said = Instant::now();
                drop(work);
                self.line(&format!("{what} {state}"));
            }
            View::Bars { total, .. } => {
                total.set_length(work.meter.total());
                total.set_position(work.meter.position());
                total.set_message(state.to_string());
            }
        }
    }
}

impl Progress for Reporter {
    fn on_event(&self, event: CopyEvent<'_>) {
        match event {
            CopyEvent::Present(content) => {
                let mut work = self.work();
                work.meter.finish_below(&content.digest);
                self.show(work, "copied  ");
            }
            CopyEvent::BlobStarted(blob) => {
                self.work().meter.begin(blob.digest, blob.size);
                self.view.started(blob);
            }
            CopyEvent::BlobMoved(blob, bytes) => {
                self.view.moved(blob, bytes);
                let mut work = self.work();
                work.meter.moved(blob.digest, bytes);
                self.show(work, "copied  ");
            }
            CopyEvent::BlobEnded(blob, outcome) => {
                self.view.ended(blob);
                let mut work = self.work();
                work.meter.finish(blob.digest);
                self.show(work, "copied  ");
                let verb = match outcome {
                    BlobOutcome::Copied => "copied  ",
                    BlobOutcome::Deduplicated => "linked  ",
                    BlobOutcome::Mended => "mended  ",
                    BlobOutcome::Present => "sound   ",
                    _ => "left out",
                };
                self.said(&format!("{verb} {} blob, {}", short(&blob.digest), Bytes(blob.size)));
            }
            CopyEvent::Stored(manifest) => {
                self.said(&format!(
                    "stored   {} manifest, {}",
                    short(&manifest.digest),
                    Bytes(manifest.size)
                ));
            }
            _ => {}
        }
    }
}

impl View {
    fn new(quiet: bool) -> Self {
        if quiet {
            return Self::Quiet;
        }
        if !io::stderr().is_terminal() {
            return Self::Lines;
        }
        let all = MultiProgress::new();
        let total = all.add(ProgressBar::new(0));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:30} {msg}") {
            total.set_style(style);
        }
        total.enable_steady_tick(Duration::from_millis(120));
        Self::Bars { all, blobs: Mutex::default(), total }
    }

    fn started(&self, blob: &Descriptor) {
        let Self::Bars { all, blobs, .. } = self else { return };
        let bar = all.add(ProgressBar::new(blob.size));
        let template = "{prefix} {bar:30} {bytes:>10} of {total_bytes:>10} {bytes_per_sec:>12}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(short(&blob.digest));
        blobs.lock().unwrap_or_else(PoisonError::into_inner).insert(blob.digest, bar);
    }

    fn moved(&self, blob: &Descriptor, bytes: u64) {
        if let Self::Bars { blobs, .. } = self
            && let Some(bar) = blobs.lock().unwrap_or_else(PoisonError::into_inner).get(&blob.digest)
        {
            bar.inc(bytes);
        }
    }

    fn ended(&self, blob: &Descriptor) {
        if let Self::Bars { blobs, .. } = self
            && let Some(bar) = blobs.lock().unwrap_or_else(PoisonError::into_inner).remove(&blob.digest)
        {
            bar.finish_and_clear();
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Self::Bars { all, total, .. } = self {
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
