//! Model tests of the typed API: random sequences of calls, made by two registries over one store, whose
//! outcomes have to be those of a model of maps and sets.
//!
//! The model ([`check`]) knows what the documentation promises and nothing of how a registry does it. Where
//! a promise leaves an outcome open, it allows each; after a call that was dropped, it goes on with every
//! state that the documented order of writes allows, until an outcome or the store tells them apart.

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
