//! How long a request may stall, and how much of an answer is held (ADR 0023).

use std::{fmt, time::Duration};

/// How long a connection may stall.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until a connection is established.
    pub connect: Duration,
    /// Between two bytes, up or down.
    pub idle: Duration,
    /// From the last byte of the request to the first of its answer.
    pub answer: Duration,
}

/// Why a request was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stalled {
    /// No connection was established in time.
    Connecting(Duration),
    /// No byte moved.
    Idle(Duration),
    /// The request was sent, and no answer began.
    Answer(Duration),
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting(limit) => write!(f, "no connection within {limit:?}"),
            Self::Idle(limit) => write!(f, "no byte was sent or received for {limit:?} (`idletimeout`)"),
            Self::Answer(limit) => {
                write!(f, "no answer within {limit:?} after the request was sent (`answertimeout`)")
            }
        }
    }
}

impl std::error::Error for Stalled {}

/// An answer that is not read to its end.
#[derive(Clone, Copy, Debug)]
pub struct ResponseTooLarge(
    /// The most bytes.
    pub u64,
);

impl fmt::Display for ResponseTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer is larger than {} bytes", self.0)
    }
}

impl std::error::Error for ResponseTooLarge {}
