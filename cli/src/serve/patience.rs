//! How long a client may keep the server waiting.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// How long a client may send nothing of a body while there is little room for others, and how often the clock looks
/// whether there is.
const HURRY: Duration = Duration::from_secs(5);
/// The same for taking nothing of an answer. A socket takes more only when 64 KiB of what it holds are gone
/// ([`listener`](super::listener)): a client that reads slower than 7 KiB/s seems to stand still.
const HURRY_TO_READ: Duration = Duration::from_secs(10);

/// The time that each client gets, counted from its last progress.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    limit: Option<Duration>,
    crowded: Arc<AtomicBool>,
    /// How many answers wait until others have been taken.
    waiting: Arc<AtomicUsize>,
}

/// An answer that waits.
pub(super) struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The clock of one direction of a connection. It runs while the server waits for the client, and only then:
/// a slow store is not the client's fault. Progress costs no timer.
pub(super) struct Clock {
    patience: Patience,
    hurry: Duration,
    is_for_readers: bool,
    since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// `None` waits for ever, unless others wait to be let in.
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self { limit, crowded: Arc::default(), waiting: Arc::default() }
    }

    /// Hurries clients that are to take an answer, until what is returned is dropped.
    pub(super) fn wait_for_readers(&self) -> Waiting {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self.waiting.clone())
    }

    /// Says whether there is little room for other connections.
    pub(super) fn set_crowded(&self, crowded: bool) {
        self.crowded.store(crowded, Ordering::Relaxed);
    }

    pub(super) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    /// For a client that sends.
    pub(super) fn clock(&self) -> Clock {
        Clock { patience: self.clone(), hurry: HURRY, is_for_readers: false, since: None, alarm: None }
    }

    /// For a client that is sent something.
    pub(super) fn reading_clock(&self) -> Clock {
        Clock { hurry: HURRY_TO_READ, is_for_readers: true, ..self.clock() }
    }
}

impl Clock {
    fn limit(&self) -> Option<Duration> {
        let is_awaited = self.is_for_readers && self.patience.waiting.load(Ordering::Relaxed) > 0;
        let hurry = (is_awaited || self.patience.is_crowded()).then_some(self.hurry);
        self.patience.limit.into_iter().chain(hurry).min()
    }

    /// The client has made progress.
    pub(super) fn stop(&mut self) {
        self.since = None;
    }

    /// Ready, with the time that it took, when the client was waited for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        loop {
            let now = Instant::now();
            let waited = now - since;
            let left = self.limit().map_or(HURRY, |limit| limit.saturating_sub(waited));
            if left.is_zero() {
                return Poll::Ready(waited);
            }
            // Never later than the time is up: it is set while a client is waited for no longer than this one.
            let next = now + left.min(HURRY);
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(next)));
            ready!(alarm.as_mut().poll(cx));
            alarm.as_mut().reset(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::poll_fn;
    use tokio::time::sleep;

    fn block_on(work: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work);
    }

    /// A store that takes longer than the client may does not cost the client its request.
    #[test]
    fn the_clock_stands_while_nobody_waits() {
        block_on(async {
            let limit = Duration::from_millis(200);
            let mut clock = Patience::new(Some(limit)).clock();
            for _ in 0..2 {
                std::thread::sleep(2 * limit);
                // The runtime's clock has to notice.
                sleep(Duration::from_millis(1)).await;
                assert!(poll_fn(|cx| Poll::Ready(clock.poll(cx).is_pending())).await);
                clock.stop();
            }
            let begin = Instant::now();
            let waited = poll_fn(|cx| clock.poll(cx)).await;
            assert!(waited >= limit && begin.elapsed() >= limit);
        });
    }

    /// Progress moves the end, although the alarm was set before it.
    #[test]
    fn the_time_counts_from_the_last_progress() {
        block_on(async {
            let limit = Duration::from_millis(300);
            let mut clock = Patience::new(Some(limit)).clock();
            for _ in 0..3 {
                assert!(poll_fn(|cx| Poll::Ready(clock.poll(cx).is_pending())).await);
                sleep(limit / 2).await;
                clock.stop();
            }
            let begin = Instant::now();
            poll_fn(|cx| clock.poll(cx)).await;
            assert!(begin.elapsed() >= limit, "{:?}", begin.elapsed());
        });
    }

    #[test]
    fn a_crowd_shortens_the_time() {
        let minutes = Duration::from_secs(300);
        for limit in [None, Some(minutes), Some(Duration::from_secs(1))] {
            let patience = Patience::new(limit);
            let (sending, reading) = (patience.clock(), patience.reading_clock());
            assert_eq!((sending.limit(), reading.limit()), (limit, limit));
            patience.set_crowded(true);
            assert_eq!(sending.limit(), limit.into_iter().chain([HURRY]).min());
            assert_eq!(reading.limit(), limit.into_iter().chain([HURRY_TO_READ]).min());
            patience.set_crowded(false);
            let waiting = patience.wait_for_readers();
            assert_eq!(sending.limit(), limit);
            assert_eq!(reading.limit(), limit.into_iter().chain([HURRY_TO_READ]).min());
            drop(waiting);
            assert_eq!(reading.limit(), limit);
        }
    }
}
