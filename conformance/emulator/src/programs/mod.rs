//! Emulators as programs of their own on loopback, as `./test` installs them.
//!
//! They end with the value that started them, and with the process that did, however that ends: one that is
//! held in a `static` is never dropped, and a test that is killed drops nothing.

mod account;
mod moto;
mod process;
mod seaweed;

use std::{fmt, path::PathBuf};

pub use self::{account::Account, moto::Moto, seaweed::SeaweedFs};

/// An emulator that is not installed: a reason to skip a test.
///
/// One that is installed and does not start is a panic: nothing of it is to be skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    program: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not installed; ./test does", self.program)
    }
}

impl std::error::Error for Missing {}

/// Finds a program that `./test` installs beside the build's output, above this executable.
fn tool(program: &'static str) -> Result<PathBuf, Missing> {
    let own = std::env::current_exe().unwrap();
    let mut found = own.ancestors().map(|above| above.join("tools").join(program));
    found.find(|path| path.is_file()).ok_or(Missing { program })
}
