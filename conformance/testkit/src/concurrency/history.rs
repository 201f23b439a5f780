//! Calls on one register, and whether they can have happened one after the other.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    hash::Hash,
    sync::atomic::{AtomicU64, Ordering},
};

/// Gives each moment at which a call begins or ends its own number.
///
/// A call that ended before another one began has the smaller number.
#[derive(Debug, Default)]
pub struct Clock(AtomicU64);

impl Clock {
    /// This moment.
    pub fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// From the moment before a call to the moment after it. There is no end if its answer was never received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Before the call.
    pub begin: u64,
    /// After its answer.
    pub end: Option<u64>,
}

impl Span {
    /// Whether all of this was over when `other` began.
    #[must_use]
    pub fn is_before(&self, other: &Self) -> bool {
        self.end.is_some_and(|end| end < other.begin)
    }

    /// Whether neither was over when the other one began.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        !self.is_before(other) && !other.is_before(self)
    }
}

/// The effect of a call on the register, or the value that it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<V> {
    /// Sets the value.
    Write(V),
    /// Saw the value.
    Read(V),
    /// Sets the value, once or several times before its end.
    ///
    /// That is the delete of a directory that others fill meanwhile. It starts again until the directory
    /// stays away.
    Sweep(V),
    /// Sweeps to `to` if the value is `named`. Otherwise it may do so, or leave the value alone.
    ///
    /// That is the delete of a manifest as a tag sees it. It looks which tags name the manifest and then
    /// deletes those tags, and no store can do both in one step.
    Clear {
        /// The value that must go.
        named: V,
        /// The value that replaces it.
        to: V,
    },
}

/// One call.
///
/// A call without an end may have happened at any later moment, or never. A read without an end says
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<V> {
    /// When.
    pub span: Span,
    /// What.
    pub action: Action<V>,
}

/// Why a history has no explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation<V> {
    /// The call that nothing explains.
    pub event: Event<V>,
    /// The values that are possible when it ended, given the other calls.
    pub possible: Vec<V>,
}

impl<V: fmt::Debug> fmt::Display for Violation<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} at {:?}, but the value was one of {:?}",
            self.event.action, self.event.span, self.possible
        )
    }
}

impl<V> Action<V> {
    fn may_repeat(&self) -> bool {
        matches!(self, Self::Sweep(_) | Self::Clear { .. })
    }
}

/// One explanation of what has ended so far: the value, and which of the open calls have happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State<V> {
    value: V,
    done: u128,
}

/// Checks that each call can have happened at one moment between its begin and its end.
///
/// At these moments, every read must see what was written last. That is Herlihy and Wing's linearizability,
/// checked by going from end to end and keeping all explanations.
///
/// # Errors
/// Fails with the first call, in order of their ends, that no explanation has room for.
///
/// # Panics
/// If more than 128 calls are open at a time, or two moments are the same.
pub fn linearize<V: Clone + Eq + Ord + Hash>(initial: V, events: &[Event<V>]) -> Result<(), Violation<V>> {
    let mut moments: Vec<(u64, bool, &Event<V>)> = Vec::with_capacity(events.len() * 2);
    for event in events {
        let is_noise = event.span.end.is_none() && matches!(event.action, Action::Read(_));
        if is_noise {
            continue;
        }
        moments.push((event.span.begin, false, event));
        moments.extend(event.span.end.map(|end| (end, true, event)));
    }
    moments.sort_by_key(|(moment, ..)| *moment);
    assert!(moments.windows(2).all(|pair| pair[0].0 < pair[1].0), "two calls at one moment");

    let mut open: Vec<Option<&Event<V>>> = Vec::new();
    let mut states = HashSet::from([State { value: initial, done: 0 }]);
    for (_, is_end, event) in moments {
        if !is_end {
            let slot = open.iter().position(Option::is_none).unwrap_or(open.len());
            assert!(slot < 128, "too many calls at a time");
            open.resize(open.len().max(slot + 1), None);
            open[slot] = Some(event);
            continue;
        }
        let slot =
            open.iter().position(|other| other.is_some_and(|other| std::ptr::eq(other, event))).unwrap();
        let next = until_done(&states, &open, slot);
        if next.is_empty() {
            let possible: BTreeSet<V> = states.into_iter().map(|state| state.value).collect();
            return Err(Violation { event: event.clone(), possible: possible.into_iter().collect() });
        }
        states = next;
        open[slot] = None;
    }
    Ok(())
}

/// All states in which the call in `slot` has happened, whatever other open calls happened before it.
///
/// They are without the call's mark, as it ends. A call that may repeat has its last chance to do so here,
/// also if it happened long ago. What happens after it can wait for its own end.
fn until_done<V: Clone + Eq + Hash>(
    states: &HashSet<State<V>>,
    open: &[Option<&Event<V>>],
    slot: usize,
) -> HashSet<State<V>> {
    let (mut found, mut seen) = (HashSet::new(), HashSet::new());
    let repeats = open[slot].is_some_and(|event| event.action.may_repeat());
    let mut ahead: Vec<State<V>> = states.iter().cloned().collect();
    while let Some(mut state) = ahead.pop() {
        see_all(&mut state, open);
        if !seen.insert(state.clone()) {
            continue;
        }
        if state.done & (1 << slot) != 0 {
            found.insert(State { value: state.value.clone(), done: state.done & !(1 << slot) });
            if !repeats {
                continue;
            }
        }
        for (other, event) in open.iter().enumerate() {
            let Some(event) = event else { continue };
            let may_happen = state.done & (1 << other) == 0 || event.action.may_repeat();
            if !may_happen {
                continue;
            }
            let mut happen = |value: &V| {
                ahead.push(State { value: value.clone(), done: state.done | 1 << other });
            };
            match &event.action {
                Action::Write(value) | Action::Sweep(value) => happen(value),
                // Reads of the current value were done by `see_all`.
                Action::Read(_) => {}
                Action::Clear { named, to } => {
                    happen(to);
                    if state.value != *named {
                        happen(&state.value);
                    }
                }
            }
        }
    }
    found
}

/// Lets all open reads of the current value happen. A read changes nothing, so no moment is better.
fn see_all<V: Eq>(state: &mut State<V>, open: &[Option<&Event<V>>]) {
    for (slot, event) in open.iter().enumerate() {
        if let Some(Event { action: Action::Read(value), .. }) = event
            && *value == state.value
        {
            state.done |= 1 << slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Clear, Read, Sweep, Write};

    fn event(begin: u64, end: u64, action: Action<u8>) -> Event<u8> {
        let end = (end != u64::MAX).then_some(end);
        Event { span: Span { begin, end }, action }
    }

    /// Calls in some order so far, by trying.
    #[derive(Clone)]
    struct Order<'a> {
        events: &'a [Event<u8>],
        placed: Vec<usize>,
        left: Vec<usize>,
        value: u8,
    }

    impl Order<'_> {
        fn with(&self, at: usize, value: u8) -> Self {
            let mut next = Self { value, ..self.without(at) };
            next.placed.push(at);
            next
        }

        fn without(&self, at: usize) -> Self {
            let mut next = self.clone();
            next.left.retain(|other| *other != at);
            next
        }

        /// Whether the rest can be put in an order, those of before first, that explains all of them.
        fn ends_well(&self) -> bool {
            // What may happen again does so before its end; of several in a row the last one counts.
            let again = self.placed.iter().filter_map(|at| match self.events[*at].action {
                Sweep(to) | Clear { to, .. } => {
                    let span = self.events[*at].span;
                    let is_open = !self.placed.iter().any(|other| span.is_before(&self.events[*other].span));
                    is_open.then(|| Self { value: to, ..self.clone() })
                }
                _ => None,
            });
            let never = self.left.iter().all(|at| self.events[*at].span.end.is_none());
            never || self.goes_on() || again.collect::<Vec<_>>().iter().any(Self::goes_on)
        }

        fn goes_on(&self) -> bool {
            let span = |at: &usize| self.events[*at].span;
            let is_first = |at: &&usize| !self.left.iter().any(|other| span(other).is_before(&span(at)));
            self.left.iter().filter(is_first).any(|at| {
                let never = span(at).end.is_none() && self.without(*at).ends_well();
                never
                    || match self.events[*at].action {
                        Write(to) | Sweep(to) => self.with(*at, to).ends_well(),
                        Read(seen) => seen == self.value && self.with(*at, seen).ends_well(),
                        Clear { named, to } => {
                            self.with(*at, to).ends_well()
                                || self.value != named && self.with(*at, self.value).ends_well()
                        }
                    }
            })
        }
    }

    /// Histories of up to seven calls whose spans meet in every way.
    fn any(seed: u64) -> Vec<Event<u8>> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut dice = move |sides: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) % sides
        };
        let calls = 2 + dice(6);
        let mut moments: Vec<u64> = (0..calls * 2).collect();
        for at in (1..moments.len()).rev() {
            moments.swap(at, dice(at as u64 + 1) as usize);
        }
        let pairs = moments.chunks(2).map(|pair| (pair[0].min(pair[1]), pair[0].max(pair[1])));
        pairs
            .map(|(begin, end)| {
                let value = dice(3) as u8;
                let action = match dice(6) {
                    0 | 1 => Write(value),
                    2 => Clear { named: value, to: 0 },
                    3 => Sweep(value),
                    _ => Read(value),
                };
                event(begin, if dice(8) == 0 { u64::MAX } else { end }, action)
            })
            .collect()
    }

    #[test]
    fn agrees_with_trying_all_orders() {
        let (mut right, mut wrong) = (0, 0);
        for seed in 1..=30_000 {
            let events = any(seed);
            let left = (0..events.len()).collect();
            let order = Order { events: &events, placed: Vec::new(), left, value: 0 };
            let expected = order.ends_well();
            assert_eq!(linearize(0, &events).is_ok(), expected, "seed {seed}: {events:?}");
            if expected { right += 1 } else { wrong += 1 }
        }
        assert!(right > 5000 && wrong > 5000, "{right} right, {wrong} wrong");
    }

    /// Answers that a store without any order might give: each has to be noticed.
    #[test]
    fn forged_histories_are_refused() {
        let forged: &[(&str, &[Event<u8>])] = &[
            ("a value that nobody wrote", &[event(0, 1, Read(7))]),
            ("the old value after a write", &[event(0, 1, Write(1)), event(2, 3, Read(0))]),
            (
                "the new value, then the old one",
                &[event(0, 9, Write(1)), event(1, 2, Read(1)), event(3, 4, Read(0))],
            ),
            (
                "the value before the last, after both",
                &[event(0, 1, Write(1)), event(2, 3, Write(2)), event(4, 5, Read(1))],
            ),
            (
                "two readers that disagree on the order of two writes",
                &[
                    event(0, 20, Write(1)),
                    event(1, 21, Write(2)),
                    event(2, 3, Read(1)),
                    event(4, 5, Read(2)),
                    event(6, 7, Read(1)),
                ],
            ),
            ("a write from the future", &[event(0, 1, Read(1)), event(2, 3, Write(1))]),
            (
                "what a clear had to remove",
                &[event(0, 1, Write(1)), event(2, 3, Clear { named: 1, to: 0 }), event(4, 5, Read(1))],
            ),
            (
                "a write that came and went without a delete",
                &[event(0, 1, Write(1)), event(2, 3, Sweep(0)), event(4, 5, Write(1)), event(6, 7, Read(0))],
            ),
            (
                "a delete that did nothing",
                &[event(0, 1, Write(1)), event(2, 3, Sweep(0)), event(4, 5, Read(1))],
            ),
            (
                "a lost write that was never answered, and then came twice",
                &[
                    event(0, u64::MAX, Write(1)),
                    event(1, 2, Read(1)),
                    event(3, 4, Write(2)),
                    event(5, 6, Read(1)),
                ],
            ),
        ];
        for (what, events) in forged {
            assert!(linearize(0, events).is_err(), "{what}");
        }
    }

    #[test]
    fn sound_histories_are_explained() {
        let sound: &[&[Event<u8>]] = &[
            &[event(0, 5, Write(1)), event(1, 2, Read(0)), event(3, 4, Read(1))],
            &[event(0, 5, Write(1)), event(1, 6, Write(2)), event(7, 8, Read(1)), event(9, 10, Read(1))],
            &[event(0, u64::MAX, Write(1)), event(1, 2, Read(0)), event(3, 4, Read(0))],
            &[event(0, u64::MAX, Write(1)), event(1, 2, Read(0)), event(3, 4, Read(1))],
            // A delete that begins again.
            &[
                event(0, 1, Write(1)),
                event(2, 13, Sweep(0)),
                event(3, 4, Read(0)),
                event(5, 6, Write(2)),
                event(7, 8, Read(2)),
                event(9, 10, Read(0)),
            ],
            // A delete that was seen early and begins again at its end.
            &[
                event(0, 8, Write(2)),
                event(1, 10, Sweep(1)),
                event(2, 5, Read(1)),
                event(6, 9, Read(2)),
                event(7, 11, Write(2)),
                event(12, 13, Read(1)),
            ],
            // The race that no store can close: the tag was moved between the look and the delete.
            &[
                event(0, 1, Write(1)),
                event(2, 7, Clear { named: 1, to: 0 }),
                event(3, 4, Write(2)),
                event(8, 9, Read(0)),
            ],
        ];
        for events in sound {
            assert_eq!(linearize(0, events), Ok(()));
        }
    }
}
