//! What the writers of one instance hold together.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The unit of a reservation.
const UNIT: u64 = 1 << 10;

/// How long a writer waits for memory that others have and send nothing of: their clients may have stopped.
const PATIENCE: Duration = Duration::from_secs(1);

/// The bytes that all writers of an instance may hold at a time, in parts that gather or are on their way. Who finds it used up waits, first come first served, while parts are on their way, which end by
/// themselves. Where none is, because clients bring nothing, it goes on after a second with memory of its own, so that
/// nobody who stops stops others.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    all: u32,
    on_their_way: Arc<AtomicUsize>,
}

/// The memory of one part, from the moment when it gathers until the store has it.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// `None` beyond the budget.
    _permit: Option<OwnedSemaphorePermit>,
}

/// One more part on its way, until it is dropped.
#[derive(Debug)]
pub(crate) struct OnItsWay(Arc<AtomicUsize>);

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        let all = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1);
        let permits = usize::try_from(all).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(permits)), all, on_their_way: Arc::default() }
    }

    /// Memory for a part of so many bytes; one that is larger than everything takes everything. Cancel safe.
    pub(crate) async fn reserve(&self, bytes: u64) -> Reserved {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.all);
        let mut reserve = pin!(self.units.clone().acquire_many_owned(units));
        loop {
            match timeout(PATIENCE, &mut reserve).await {
                Ok(permit) => return Reserved { _permit: permit.ok() },
                Err(_) if self.on_their_way.load(Ordering::Acquire) == 0 => {
                    return Reserved { _permit: None };
                }
                Err(_) => {}
            }
        }
    }

    /// Says that a part is sent.
    pub(crate) fn sends(&self) -> OnItsWay {
        self.on_their_way.fetch_add(1, Ordering::AcqRel);
        OnItsWay(self.on_their_way.clone())
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::Instant;

    use super::*;

    const PART: u64 = 10 << 20;

    fn at_once(budget: &Budget, bytes: u64) -> Option<Reserved> {
        budget.reserve(bytes).now_or_never()
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_all_is_reserved() {
        let budget = Budget::new(4 * PART);
        let parts: Vec<_> = (0..4).map(|_| at_once(&budget, PART).unwrap()).collect();
        assert!(at_once(&budget, 1).is_none());
        drop(parts);
        let everything = at_once(&budget, 100 * PART).unwrap();
        assert!(at_once(&budget, 1).is_none());
        drop(everything);
        assert!(at_once(&budget, PART).is_some());
    }

    /// Parts on their way end by themselves, however long that takes.
    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_store_waits() {
        let budget = Budget::new(PART);
        let (reserved, sent) = (at_once(&budget, PART).unwrap(), budget.sends());
        let mut waiting = pin!(budget.reserve(PART));
        assert!(timeout(PATIENCE * 100, &mut waiting).await.is_err());
        drop((sent, reserved));
        assert!(waiting.await._permit.is_some());
    }

    /// Clients that stopped in the middle of a part stop nobody else.
    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_client_goes_on() {
        let budget = Budget::new(PART);
        let _stopped = at_once(&budget, PART).unwrap();
        let began = Instant::now();
        let reserved = budget.reserve(PART).await;
        assert!(reserved._permit.is_none());
        assert_eq!(began.elapsed(), PATIENCE);
        drop(reserved);
        assert_eq!(budget.units.available_permits(), 0, "what was beyond the budget is not given back to it");
    }
}
