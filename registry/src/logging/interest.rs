//! Telling tracing that other levels are wanted than before.

use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

/// Wants nothing. It is never anybody's default.
struct Nobody;

/// Makes tracing ask every subscriber again, from whichever thread.
///
/// `rebuild_interest_cache` alone asks the subscriber of this thread, as long as there is only one in the
/// process. Where that one is scoped to another thread, this thread has none, and it would switch the whole
/// process off. Making a second subscriber has all of them asked, one such making at a time, so that the last
/// one sees the levels of all; and after it `rebuild_interest_cache` asks those that are left.
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
