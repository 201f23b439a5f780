//! Tells tracing that the wanted levels have changed.

use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

/// A subscriber that wants nothing. It is never set as a default.
struct Nobody;

/// Makes tracing ask every subscriber again, from whichever thread.
///
/// As long as there is only one subscriber in the process, `rebuild_interest_cache` alone asks the subscriber
/// of this thread. If that one is scoped to another thread, this thread has none, and the call would switch the
/// whole process off. Making a second subscriber has all of them asked, one such making at a time, so that the
/// last one sees the levels of all. After it, `rebuild_interest_cache` asks those that are left.
pub(super) fn rebuild() {
    drop(Dispatch::new(Nobody));
    tracing::callsite::rebuild_interest_cache();
}

impl Subscriber for Nobody {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::never()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
