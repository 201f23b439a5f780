//! Whether the quickstart may write into a registry that is there.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write},
    path::Path,
};

use super::NAMES;
use crate::{failure::Failure, store::Place};

/// Asks before anything is written, unless the registry is a new directory.
///
/// # Errors
/// Fails if the answer is no, and if there is no terminal to ask on. Fails with the mistakes of a configuration
/// before it asks.
pub(super) fn require(place: Place<'_>) -> Result<(), Failure> {
    let target = match place {
        Place::Directory(root) if is_new(root) => return Ok(()),
        Place::Directory(root) => format!("`--root {}`, which is not empty", root.display()),
        Place::Configured(source) => {
            let driver = source.read()?.config.driver;
            if driver == "inmemory" {
                return Err(no_memory());
            }
            format!("the registry of `{}`", source.shown_options().unwrap_or_default())
        }
        Place::Memory => return Err(no_memory()),
    };
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let message =
            format!("quickstart would write into {target}, and there is no terminal to ask whether it may");
        return Err(Failure::usage(message)
            .with_hint("Add --yes if it may, or name a new directory with --root DIR."));
    }
    if is_yes(&target)? {
        Ok(())
    } else {
        Err(Failure::failed("nothing was written: the answer was not yes"))
    }
}

pub(super) fn no_memory() -> Failure {
    Failure::failed("a registry in memory does not last until the image is restored")
        .with_hint("Name a directory with --root DIR, or a file with another driver.")
}

/// Whether a directory is missing or empty. What cannot be listed is not asked about: opening it says why.
fn is_new(root: &Path) -> bool {
    fs::read_dir(root).map_or(true, |mut entries| entries.next().is_none())
}

fn is_yes(target: &str) -> io::Result<bool> {
    let images = NAMES.map(|(name, tag)| format!("{name}:{tag}")).join(" and ");
    let mut err = io::stderr().lock();
    write!(
        err,
        "This writes {images} (one image, at most 30 MB) into {target}.\n`rm` removes them later, but not the \
         bytes of their blobs. Continue? [y/N] "
    )?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
