//! The names that a listing must contain.

use std::{cmp::Ordering, collections::BTreeMap};

use super::history::{Action, Event, Span};

/// A page of a listing.
///
/// It has the names after `after` in the listing's order, up to the last of them, or to the end if nothing
/// more follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// When the page was made.
    pub span: Span,
    /// Where the page begins.
    pub after: Option<String>,
    /// The names in the page.
    pub names: Vec<String>,
    /// Whether more follows.
    pub more: bool,
}

/// Checks a page against what was done to each name.
///
/// `is_there` says which values mean that a name is in the list. A name that existed from before the listing
/// to its end must be listed. A name that did not exist at any moment of it must not be. A name that changed
/// meanwhile may be either. No name comes twice, and all are in order.
///
/// # Errors
/// What is wrong, as text.
pub fn check<V>(
    listing: &Listing,
    events: &BTreeMap<String, Vec<Event<V>>>,
    is_there: impl Fn(&V) -> bool,
    order: impl Fn(&str, &str) -> Ordering,
) -> Result<(), String> {
    let wrong = |what: String| Err(format!("{what}: {listing:?}"));
    let names: Vec<&String> = listing.after.iter().chain(&listing.names).collect();
    for pair in names.windows(2) {
        if order(pair[0], pair[1]) != Ordering::Less {
            return wrong(format!("{} comes after {}", pair[1], pair[0]));
        }
    }
    for name in &listing.names {
        if !events.get(name).is_some_and(|events| may_be_there(events, &is_there, &listing.span)) {
            return wrong(format!("{name} was not there"));
        }
    }
    let is_in_page = |name: &str| {
        listing.after.as_ref().is_none_or(|after| order(after, name) == Ordering::Less)
            && match listing.names.last() {
                Some(last) if listing.more => order(name, last) != Ordering::Greater,
                Some(_) => true,
                None => !listing.more,
            }
    };
    for (name, events) in events.iter().filter(|(name, _)| is_in_page(name)) {
        if !listing.names.contains(name) && was_there(events, &is_there, &listing.span) {
            return wrong(format!("{name} is missing"));
        }
    }
    Ok(())
}

/// Whether a name was there at every moment of `at`, however the overlapping calls happened.
#[must_use]
pub fn was_there<V>(events: &[Event<V>], is_there: &impl Fn(&V) -> bool, at: &Span) -> bool {
    let (adds, removes) = sides(events, is_there);
    adds.iter().any(|add| {
        add.is_before(at)
            && !removes.iter().any(|(remove, _)| !at.is_before(remove) && !remove.is_before(add))
    })
}

/// Whether a name may have been there at some moment of `at`.
fn may_be_there<V>(events: &[Event<V>], is_there: &impl Fn(&V) -> bool, at: &Span) -> bool {
    let (adds, removes) = sides(events, is_there);
    adds.iter().any(|add| {
        let is_gone =
            |(remove, is_sure): &(Span, bool)| *is_sure && add.is_before(remove) && remove.is_before(at);
        !at.is_before(add) && !removes.iter().any(is_gone)
    })
}

/// When a name was added, and when it was removed: certainly, or perhaps.
fn sides<V>(events: &[Event<V>], is_there: &impl Fn(&V) -> bool) -> (Vec<Span>, Vec<(Span, bool)>) {
    let (mut adds, mut removes) = (Vec::new(), Vec::new());
    for Event { span, action } in events {
        match action {
            Action::Write(value) if is_there(value) => adds.push(*span),
            Action::Write(_) | Action::Sweep(_) => removes.push((*span, true)),
            Action::Clear { .. } => removes.push((*span, false)),
            Action::Read(_) => {}
        }
    }
    (adds, removes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(begin: u64, end: u64) -> Span {
        Span { begin, end: Some(end) }
    }

    fn history(calls: &[(&str, u64, u64, bool)]) -> BTreeMap<String, Vec<Event<bool>>> {
        let mut events = BTreeMap::<_, Vec<_>>::new();
        for (name, begin, end, is_there) in calls {
            let event = Event { span: span(*begin, *end), action: Action::Write(*is_there) };
            events.entry((*name).to_owned()).or_default().push(event);
        }
        events
    }

    fn page(begin: u64, end: u64, after: Option<&str>, names: &[&str], more: bool) -> Listing {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Listing { span: span(begin, end), after: after.map(str::to_owned), names, more }
    }

    fn verdict(listing: &Listing, events: &BTreeMap<String, Vec<Event<bool>>>) -> Result<(), String> {
        check(listing, events, |is_there| *is_there, Ord::cmp)
    }

    #[test]
    fn what_was_there_and_what_was_not_is_known() {
        // `a` always; `b` from 10 on; `c` until 20 to 30; `d` only later; `e` came while `f` went, at 40 to 60.
        let events = history(&[
            ("a", 0, 1, true),
            ("b", 10, 11, true),
            ("c", 2, 3, true),
            ("c", 20, 30, false),
            ("d", 90, 91, true),
            ("e", 40, 60, true),
            ("f", 4, 5, true),
            ("f", 41, 59, false),
        ]);
        let right = [
            page(6, 7, None, &["a", "c", "f"], false),
            page(6, 12, None, &["a", "b", "c", "f"], false),
            page(25, 26, None, &["a", "b", "c", "f"], false),
            page(25, 26, None, &["a", "b", "f"], false),
            page(45, 46, None, &["a", "b", "e", "f"], false),
            page(45, 46, None, &["a", "b"], false),
            page(70, 71, None, &["a", "b", "e"], false),
            page(70, 71, None, &["a", "b"], true),
            page(70, 71, Some("a"), &["b", "e"], false),
            page(70, 71, Some("e"), &[], false),
            page(70, 71, None, &[], true),
        ];
        for listing in &right {
            assert_eq!(verdict(listing, &events), Ok(()));
        }
        let wrong = [
            page(6, 7, None, &["a", "f"], false),
            page(6, 7, None, &["a", "b", "c", "f"], false),
            page(31, 32, None, &["a", "b", "c", "f"], false),
            page(70, 71, None, &["a", "b"], false),
            page(70, 71, None, &["a", "b", "e", "f"], false),
            page(70, 71, None, &["a", "e", "b"], false),
            page(70, 71, None, &["a", "a", "b", "e"], false),
            page(70, 71, None, &["a", "b", "e", "x"], false),
            page(70, 71, None, &["a", "e"], true),
            page(70, 71, Some("a"), &["a", "b", "e"], false),
            page(70, 71, Some("a"), &["e"], false),
            page(70, 71, None, &["a", "b", "d", "e"], false),
        ];
        for listing in &wrong {
            assert!(verdict(listing, &events).is_err(), "{listing:?}");
        }
    }
}
