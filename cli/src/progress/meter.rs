//! How much of the work is done, and how long the rest will take.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Duration,
};

use plugin_registry_core::Digest;

use crate::output::Bytes;

/// Before this time a rate says nothing.
const SETTLED: Duration = Duration::from_secs(1);

/// Counts content as it is finished, each once, against a total that was found out before.
#[derive(Debug, Default)]
pub(super) struct Meter {
    total: u64,
    /// Content that counts in the total and is not done, with its size.
    open: HashMap<Digest, u64>,
    /// What each manifest names.
    named: HashMap<Digest, Vec<Digest>>,
    /// Content that is done.
    done: HashSet<Digest>,
    done_bytes: u64,
    /// Bytes of content that is being moved.
    under_way: HashMap<Digest, u64>,
    /// All bytes that were moved or read; the rest was there and took no time.
    worked: u64,
}

impl Meter {
    /// A total of these contents, each with its size.
    pub(super) fn of(open: HashMap<Digest, u64>) -> Self {
        Self { total: open.values().sum(), open, ..Self::default() }
    }

    /// Adds what each manifest names, whether manifests count themselves or not.
    pub(super) fn with_named(mut self, named: HashMap<Digest, Vec<Digest>>) -> Self {
        self.named = named;
        self
    }

    /// Content begins that may not be in the total.
    pub(super) fn begin(&mut self, digest: Digest, size: u64) {
        if !self.done.contains(&digest) && self.open.insert(digest, size).is_none() {
            self.total += size;
        }
    }

    /// More of a content was moved.
    pub(super) fn moved(&mut self, digest: Digest, bytes: u64) {
        self.worked += bytes;
        *self.under_way.entry(digest).or_default() += bytes;
    }

    /// Content is done, or needs no work. The total keeps the size that was announced.
    pub(super) fn finish(&mut self, digest: Digest) {
        self.under_way.remove(&digest);
        if let Some(size) = self.open.remove(&digest) {
            self.done.insert(digest);
            self.done_bytes += size;
        }
    }

    /// A manifest is done, with everything that it names.
    pub(super) fn finish_below(&mut self, manifest: &Digest) {
        let mut next = vec![*manifest];
        while let Some(digest) = next.pop() {
            self.finish(digest);
            // Each is asked about once, so that no circle is endless.
            next.extend(self.named.remove(&digest).unwrap_or_default());
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn position(&self) -> u64 {
        (self.done_bytes + self.under_way.values().sum::<u64>()).min(self.total)
    }

    /// The state after this time.
    pub(super) fn after(&self, elapsed: Duration) -> State {
        State { position: self.position(), total: self.total, left: self.left(elapsed) }
    }

    /// The time that the rest takes at the rate so far.
    fn left(&self, elapsed: Duration) -> Option<Duration> {
        let rest = self.total - self.position();
        if rest == 0 || self.worked == 0 || elapsed < SETTLED {
            return None;
        }
        let seconds = elapsed.as_secs_f64() * rest as f64 / self.worked as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// For example `1.20 GiB of 4.70 GiB, 25 %, 3min 10s left`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    position: u64,
    total: u64,
    left: Option<Duration>,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent =
            if self.total == 0 { 100 } else { u128::from(self.position) * 100 / u128::from(self.total) };
        write!(f, "{} of {}, {percent} %", Bytes(self.position), Bytes(self.total))?;
        match self.left {
            // Two units are enough for an estimate.
            Some(left) => {
                let whole = Duration::from_secs(left.as_secs().max(1));
                let text = humantime::format_duration(whole).to_string();
                let words: Vec<&str> = text.split(' ').take(2).collect();
                write!(f, ", {} left", words.join(" "))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::sha256(text.as_bytes())
    }

    fn meter(sizes: &[(&str, u64)]) -> Meter {
        Meter::of(sizes.iter().map(|(name, size)| (digest(name), *size)).collect())
    }

    #[test]
    fn bytes_percent_and_time_left() {
        let mut meter = meter(&[("a", 1 << 20), ("b", 3 << 20)]);
        assert_eq!(meter.after(Duration::ZERO).to_string(), "0 B of 4.00 MiB, 0 %");
        meter.moved(digest("a"), 1 << 20);
        assert_eq!(meter.after(Duration::from_millis(10)).to_string(), "1.00 MiB of 4.00 MiB, 25 %");
        let state = meter.after(Duration::from_secs(30));
        assert_eq!(state.to_string(), "1.00 MiB of 4.00 MiB, 25 %, 1m 30s left");
        meter.finish(digest("a"));
        assert_eq!(meter.after(Duration::from_secs(30)), state, "finished content is not counted twice");
        meter.moved(digest("b"), 3 << 20);
        meter.finish(digest("b"));
        assert_eq!(meter.after(Duration::from_secs(60)).to_string(), "4.00 MiB of 4.00 MiB, 100 %");
    }

    /// What is there is done at once, and says nothing about the speed.
    #[test]
    fn content_that_is_there_takes_no_time() {
        let mut meter = meter(&[("there", 900), ("gone", 100)]);
        meter.finish(digest("there"));
        assert_eq!(meter.after(Duration::from_secs(9)).to_string(), "900 B of 1000 B, 90 %");
        meter.moved(digest("gone"), 50);
        assert_eq!(meter.after(Duration::from_secs(9)).to_string(), "950 B of 1000 B, 95 %, 9s left");
    }

    /// Content that nobody announced is added; content that comes twice is not.
    #[test]
    fn each_content_counts_once() {
        let mut meter = meter(&[("a", 100)]);
        meter.begin(digest("a"), 100);
        meter.begin(digest("new"), 100);
        meter.finish(digest("a"));
        meter.finish(digest("a"));
        meter.begin(digest("a"), 100);
        assert_eq!((meter.position(), meter.total()), (100, 200));
        meter.finish(digest("new"));
        assert_eq!(meter.after(Duration::from_secs(2)).to_string(), "200 B of 200 B, 100 %");
    }

    /// Platforms may name each other's content, and a hostile index may name itself.
    #[test]
    fn a_manifest_that_is_there_has_all_it_names() {
        let named = [("index", ["one", "two"]), ("one", ["a", "b"]), ("two", ["b", "index"])];
        let named = named.map(|(name, below)| (digest(name), below.map(digest).to_vec()));
        let mut meter = meter(&[("a", 1), ("b", 2), ("c", 4)]).with_named(named.into());
        meter.finish_below(&digest("two"));
        assert_eq!(meter.position(), 2 + 1, "by its index, the other platform is there, too");
        meter.finish_below(&digest("index"));
        assert_eq!((meter.position(), meter.total()), (3, 7));
    }

    #[test]
    fn nothing_to_do_is_done() {
        assert_eq!(Meter::default().after(Duration::from_secs(5)).to_string(), "0 B of 0 B, 100 %");
    }
}
