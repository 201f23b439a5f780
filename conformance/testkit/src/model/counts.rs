//! Counts of what was done.

use std::{collections::BTreeMap, fmt};

use super::outcome::Outcome;

/// Counts of what was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Sequences of calls.
    pub sequences: usize,
    /// Random calls.
    pub calls: usize,
    /// Calls that changed something.
    pub changes: usize,
    /// Calls that were refused.
    pub refusals: usize,
    /// Calls that were dropped on their way.
    pub drops: usize,
    /// Calls at the ends of sequences, which look at everything.
    pub looks: usize,
    /// How often each kind of call had each kind of outcome.
    pub outcomes: BTreeMap<(String, String), usize>,
}

impl Counts {
    /// Counts a call.
    pub(super) fn count(&mut self, call: &str, outcome: &Outcome) {
        self.calls += 1;
        match outcome {
            Outcome::Refused(_) => self.refusals += 1,
            Outcome::Dropped => self.drops += 1,
            Outcome::Done(_) => {}
        }
        *self.outcomes.entry((call.to_owned(), outcome.name())).or_default() += 1;
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: Self) {
        self.sequences += other.sequences;
        self.calls += other.calls;
        self.changes += other.changes;
        self.refusals += other.refusals;
        self.drops += other.drops;
        self.looks += other.looks;
        for (kind, count) in other.outcomes {
            *self.outcomes.entry(kind).or_default() += count;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequences, calls, changes, refusals, drops, looks, .. } = self;
        write!(
            f,
            "{sequences} sequences, {calls} calls: {changes} changed something, {refusals} were refused, \
             {drops} dropped; {looks} looks"
        )
    }
}
