//! Every order in which the steps of some tasks can meet.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// A task: what one client does.
pub type Task = Pin<Box<dyn Future<Output = ()>>>;

/// The tasks of one run, and what must hold when all have ended.
pub struct Run {
    /// The tasks that meet.
    pub tasks: Vec<Task>,
    /// Called once, after the tasks.
    pub check: Box<dyn FnOnce()>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

/// More steps than any task needs, so that a task that goes in circles fails by name.
const MAX_STEPS: usize = 100_000;

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One choice of a run: which task went on, and which others could have.
struct Choice {
    taken: usize,
    others: Vec<usize>,
}

/// Runs the tasks that `make` gives in every order of their steps, and returns the number of orders.
///
/// In each order, a task that could go on is left for another one at most `switches` times. Each order has
/// its own tasks and checks their end.
///
/// A step is a poll, so tasks meet wherever they wait: over [`Wrapped`](plugin_registry_conformance::registry::Wrapped) drivers,
/// before and after each driver call. The data of the tasks must belong to their run alone, and their steps
/// must not depend on chance.
///
/// # Panics
/// If all tasks wait for each other.
pub fn explore(switches: usize, mut make: impl FnMut() -> Run) -> usize {
    let mut runs = 0;
    let mut choices: Vec<Choice> = Vec::new();
    loop {
        let Run { tasks, check } = make();
        run(&mut choices, switches, tasks);
        check();
        runs += 1;
        // The next order is this one, up to its last choice that has an alternative left.
        loop {
            let Some(choice) = choices.last_mut() else { return runs };
            if let Some(other) = choice.others.pop() {
                choice.taken = other;
                break;
            }
            choices.pop();
        }
    }
}

/// Follows `choices`, then goes on without leaving a task that can go on, and notes the alternatives.
fn run(choices: &mut Vec<Choice>, switches: usize, mut tasks: Vec<Task>) {
    let woken: Vec<Arc<Woken>> = tasks.iter().map(|_| Arc::new(Woken(AtomicBool::new(true)))).collect();
    let mut is_done = vec![false; tasks.len()];
    let (mut current, mut switched) = (None, 0);
    for step in 0..MAX_STEPS {
        let ready = |task: &usize| !is_done[*task] && woken[*task].0.load(Ordering::SeqCst);
        let ready: Vec<usize> = (0..tasks.len()).filter(ready).collect();
        if ready.is_empty() {
            assert!(is_done.iter().all(|is_done| *is_done), "the tasks wait for each other: {is_done:?}");
            return;
        }
        let stays = current.filter(|current| ready.contains(current));
        if step == choices.len() {
            let taken = stays.unwrap_or(ready[0]);
            let may_choose = stays.is_none() || switched < switches;
            let others = ready.iter().copied().filter(|other| may_choose && *other != taken).collect();
            choices.push(Choice { taken, others });
        }
        let taken = choices[step].taken;
        switched += usize::from(stays.is_some_and(|stays| stays != taken));
        current = Some(taken);
        woken[taken].0.store(false, Ordering::SeqCst);
        let waker = Waker::from(woken[taken].clone());
        is_done[taken] = tasks[taken].as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready(());
    }
    panic!("no end after {MAX_STEPS} steps");
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

    use futures::lock::Mutex;

    use super::*;

    async fn pause() {
        let mut is_first = true;
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    fn run_of(tasks: Vec<Task>) -> Run {
        Run { tasks, check: Box::new(|| {}) }
    }

    /// Which words two tasks of three steps each can write together.
    fn words(switches: usize) -> (usize, BTreeSet<String>) {
        let words = Rc::new(RefCell::new(BTreeSet::new()));
        let runs = explore(switches, || {
            let word = Rc::new(RefCell::new(String::new()));
            let task = |letter: char| -> Task {
                let word = word.clone();
                Box::pin(async move {
                    for _ in 0..3 {
                        word.borrow_mut().push(letter);
                        pause().await;
                    }
                })
            };
            let (tasks, words) = (vec![task('a'), task('b')], words.clone());
            Run {
                tasks,
                check: Box::new(move || {
                    words.borrow_mut().insert(word.take());
                }),
            }
        });
        (runs, words.take())
    }

    #[test]
    fn all_orders_are_run() {
        assert_eq!(words(0).1, BTreeSet::from(["aaabbb".to_owned(), "bbbaaa".to_owned()]));
        let (_, all) = words(100);
        // Six letters, three of them `a`.
        assert_eq!(all.len(), 20);
        assert!(words(1).1.is_subset(&all) && words(1).1.len() < words(2).1.len());
    }

    /// Reads, then writes what it read and one more: two at a time lose one, unless there is a lock.
    fn lost_updates(is_locked: bool) -> usize {
        let lost = Rc::new(RefCell::new(0));
        explore(2, || {
            let (value, lock) = (Rc::new(RefCell::new(0)), Rc::new(Mutex::new(())));
            let task = || -> Task {
                let (value, lock) = (value.clone(), lock.clone());
                Box::pin(async move {
                    let _guard = if is_locked { Some(lock.lock().await) } else { None };
                    let seen = *value.borrow();
                    pause().await;
                    *value.borrow_mut() = seen + 1;
                })
            };
            let (tasks, lost) = (vec![task(), task()], lost.clone());
            Run { tasks, check: Box::new(move || *lost.borrow_mut() += usize::from(*value.borrow() != 2)) }
        });
        lost.take()
    }

    #[test]
    fn a_lost_update_is_met_and_a_lock_prevents_it() {
        assert!(lost_updates(false) > 0);
        assert_eq!(lost_updates(true), 0);
    }

    #[test]
    #[should_panic(expected = "wait for each other")]
    fn a_deadlock_is_noticed() {
        explore(2, || {
            let locks = Rc::new((Mutex::new(()), Mutex::new(())));
            let (one, other) = (locks.clone(), locks);
            run_of(vec![
                Box::pin(async move {
                    let _first = one.0.lock().await;
                    pause().await;
                    let _second = one.1.lock().await;
                }),
                Box::pin(async move {
                    let _first = other.1.lock().await;
                    pause().await;
                    let _second = other.0.lock().await;
                }),
            ])
        });
    }
}
