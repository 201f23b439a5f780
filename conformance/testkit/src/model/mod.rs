//! Model tests of the typed API: two registries over one store make random sequences of calls, whose
//! outcomes must be those of a model of maps and sets.
//!
//! The model ([`check`]) knows what the documentation promises, and nothing about how a registry does it. If
//! a promise leaves an outcome open, the model allows each one. After a call that was dropped, it keeps
//! every state that the documented order of writes allows, until an outcome or the store tells them apart.

mod act;
mod call;
mod content;
mod counts;
mod gate;
mod generate;
pub mod invariants;
mod lists;
mod outcome;
mod run;
mod sessions;
mod state;
mod step;
mod world;

pub use self::{counts::Counts, run::check};
