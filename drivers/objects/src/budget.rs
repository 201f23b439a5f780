//! The memory that the writers of one instance hold together.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// The unit of a reservation.
const UNIT: u64 = 1 << 10;

/// How long a part may gather in the shared memory.
const PATIENCE: Duration = Duration::from_secs(1);

/// The bytes that all writers of an instance may hold at a time, in parts that gather or are on their way to
/// the store.
///
/// A writer that finds it used up waits, first come first served. A part that is being sent finishes by
/// itself. A part that is being filled depends on a client, which may be slow or gone. After a second other
/// writers take its share over, and it continues with its own memory. So no writer waits longer for a client,
/// and a client that stops does not stop any other.
#[derive(Clone, Debug)]
pub struct Budget {
    units: Arc<Semaphore>,
    all: u32,
    gathering: Arc<Mutex<Queue>>,
}

/// `None` once it was taken over.
type Permit = Mutex<Option<OwnedSemaphorePermit>>;

/// The parts that gather, each with its start, in order of time.
type Queue = VecDeque<(Instant, Weak<Permit>)>;

/// The memory of a part that gathers.
#[derive(Debug)]
pub struct PartReservation(Arc<Permit>);

/// The memory of a part that is on its way, until the store has it.
#[derive(Debug)]
pub struct InFlightReservation {
    /// `None` if it does not belong to the budget.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// Creates a budget of this many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let all = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1);
        let permits = usize::try_from(all).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(permits)), all, gathering: Arc::default() }
    }

    /// Reserves memory for a part of this many bytes. A part larger than the whole budget takes all of it.
    /// Cancel safe.
    pub async fn reserve(&self, bytes: u64) -> PartReservation {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.all);
        let mut reserve = pin!(self.units.clone().acquire_many_owned(units));
        let permit = loop {
            // Anything that begins to gather from now on has its second after this call has looked again.
            let look = self.take_over(Instant::now()).unwrap_or_else(|| Instant::now() + PATIENCE);
            if let Ok(permit) = timeout_at(look, &mut reserve).await {
                break permit.ok();
            }
        };
        let permit = Arc::new(Mutex::new(permit));
        self.gathering().push_back((Instant::now(), Arc::downgrade(&permit)));
        PartReservation(permit)
    }

    /// Takes the memory of everything that has gathered for too long. Returns when the next part will have.
    fn take_over(&self, now: Instant) -> Option<Instant> {
        let mut gathering = self.gathering();
        while let Some((since, part)) = gathering.front() {
            let until = *since + PATIENCE;
            match part.upgrade() {
                Some(_) if until > now => return Some(until),
                Some(part) => drop(lock(&part).take()),
                None => {}
            }
            gathering.pop_front();
        }
        None
    }

    fn gathering(&self) -> MutexGuard<'_, Queue> {
        lock(&self.gathering)
    }
}

impl PartReservation {
    /// From here on only the store is waited for, and the memory cannot be taken over.
    #[must_use]
    pub fn into_in_flight(self) -> InFlightReservation {
        InFlightReservation { _permit: lock(&self.0).take() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::timeout;

    use super::*;

    const PART: u64 = 10 << 20;

    fn at_once(budget: &Budget, bytes: u64) -> Option<PartReservation> {
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
        assert!(budget.gathering().len() <= 6, "what is gone is forgotten");
    }

    /// Parts on their way end by themselves, however long that takes.
    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_store_waits() {
        let budget = Budget::new(2 * PART);
        let sent: Vec<_> = (0..2).map(|_| at_once(&budget, PART).unwrap().into_in_flight()).collect();
        let mut waiting = pin!(budget.reserve(PART));
        assert!(timeout(PATIENCE * 100, &mut waiting).await.is_err());
        drop(sent);
        assert!(waiting.await.into_in_flight()._permit.is_some());
    }

    /// Clients that stop in the middle of a part, one after the other, do not stop any other client, whatever
    /// the others send.
    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_client_waits_a_second() {
        let budget = Budget::new(2 * PART);
        let stopped = at_once(&budget, PART).unwrap();
        let sent = at_once(&budget, PART).unwrap().into_in_flight();
        let began = Instant::now();
        let second = budget.reserve(PART).await;
        assert_eq!(began.elapsed(), PATIENCE);
        // It has become one of those that others wait for, and has its own second.
        let third = budget.reserve(PART).await;
        assert_eq!(began.elapsed(), 2 * PATIENCE);
        assert!(third.into_in_flight()._permit.is_some());
        assert!(stopped.into_in_flight()._permit.is_none() && second.into_in_flight()._permit.is_none());
        drop(sent);
        assert_eq!(budget.units.available_permits() as u64, 2 * PART / UNIT, "nothing is given back twice");
    }

    /// The first writer to wait is served first, in whatever order the waits end.
    #[tokio::test(start_paused = true)]
    async fn who_came_first_is_first() {
        let budget = Budget::new(PART);
        let _stopped = at_once(&budget, PART).unwrap();
        let mut first = pin!(budget.reserve(PART));
        assert!(timeout(PATIENCE / 4, &mut first).await.is_err());
        let mut second = pin!(budget.reserve(PART));
        assert!(timeout(PATIENCE / 4, &mut second).await.is_err());
        tokio::select! {
            biased;
            _ = &mut second => panic!("the second was first"),
            first = &mut first => drop(first.into_in_flight()),
        }
        second.await;
    }
}
