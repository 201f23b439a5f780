//! How concurrent use is judged: by histories of calls and what they may have seen, and by schedules that
//! run tasks in every order in which they can meet.
//!
//! - [`history`]: calls with the moments at which they began and ended, and whether one value that changes
//!   at once explains them all (linearizability of a register).
//! - [`listing`]: what a listing must contain, may contain and must not contain, given such a history.
//! - [`schedule`]: runs some futures in every order in which their steps can meet.

pub mod history;
pub mod listing;
pub mod schedule;
