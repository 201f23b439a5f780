//! The exit codes.

use std::{fmt::Write, process::ExitCode};

/// How a command ends: the whole table of exit codes.
///
/// 1, 2 and 3 are results of work: a script may want to try again, to make a registry, or to raise an alarm.
/// Wrong usage did no work, and needs another command line. It has `EX_USAGE` of `sysexits.h`, since 2, which
/// many programs use for it, is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done.
    Ok,
    /// Everything that is none of the others.
    Failed,
    /// Something that was asked for does not exist.
    NotFound,
    /// Stored content is not what it should be.
    Damaged,
    /// The command line is wrong, or lacks something. Nothing was read or changed.
    Usage,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Ok, Self::Failed, Self::NotFound, Self::Damaged, Self::Usage];

    /// Returns the exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::NotFound => 2,
            Self::Damaged => 3,
            Self::Usage => 64,
        }
    }

    /// Returns the name for programs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::NotFound => "not_found",
            Self::Damaged => "damaged",
            Self::Usage => "usage",
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::NotFound => "not found",
            Self::Damaged => "stored content is damaged or missing",
            Self::Usage => "wrong usage; nothing was done",
        }
    }

    /// Returns the table for `--help`.
    pub(crate) fn table() -> String {
        let mut table = "Exit codes:".to_owned();
        for outcome in Self::ALL {
            // Writing to a string does not fail.
            let _ = write!(table, "\n  {:>2}  {}", outcome.code(), outcome.meaning());
        }
        table
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        outcome.code().into()
    }
}
