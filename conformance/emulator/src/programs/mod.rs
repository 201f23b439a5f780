//! Emulators as separate processes on loopback, as `./test` installs them.
//!
//! They end with the value that started them, and with the process that did, however it ends. A value in a
//! `static` is never dropped, and a test that is killed drops nothing.

mod account;
mod azurite;
mod moto;
mod process;
mod seaweed;

use std::{fmt, path::PathBuf};

pub use self::{account::Account, azurite::Azurite, moto::Moto, seaweed::SeaweedFs};

/// An emulator that is not installed, which is a reason to skip a test.
///
/// An installed emulator that does not start is a panic, so that no test is skipped for it.
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
