//! Allows one writer of `index.json` at a time, among all processes of a machine.

use std::{
    fs::{File, TryLockError},
    path::Path,
    thread,
    time::Duration,
};

use futures::channel::oneshot;

/// How long to wait for another program's lock, and how often to try it meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);

/// Locks a directory by `flock` until the file is closed, so the kernel unlocks it even if the process dies.
///
/// Returns `None` if the system has no such locks, as on some network filesystems. While another program has
/// the lock, a thread waits for it, at most [`PATIENCE`]. Then it returns `None`, because the holder may be
/// waiting for us (`flock DIR plugin-registry copy …`). The thread ends with the wait, even if this future was
/// dropped.
pub(super) async fn lock(directory: &Path) -> Option<File> {
    // Lock the directory itself: this leaves no file behind, and nothing is ever renamed over it.
    let file = File::open(directory).ok()?;
    match file.try_lock() {
        Ok(()) => return Some(file),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => {
            tracing::debug!(%error, "the directory of the layout cannot be locked");
            return None;
        }
    }
    tracing::warn!(directory = %directory.display(), "another program has locked the layout: waiting for it");
    let (sender, receiver) = oneshot::channel();
    let wait = move || {
        let mut left = PATIENCE.as_millis() / STEP.as_millis();
        while left > 0 && !sender.is_canceled() {
            if let Ok(()) = file.try_lock() {
                // If the waiting future is gone, the file is closed here.
                let _ = sender.send(Some(file));
                return;
            }
            left -= 1;
            thread::sleep(STEP);
        }
        tracing::warn!("the layout is still locked: continuing without the lock");
        let _ = sender.send(None);
    };
    thread::Builder::new().name("layout-lock".to_owned()).spawn(wait).ok()?;
    receiver.await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn the_second_waits_until_the_first_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let first = block_on(lock(directory.path())).unwrap();
        let path = directory.path().to_owned();
        let second = thread::spawn(move || block_on(lock(&path)).is_some());
        // It cannot come before this one: the kernel decides, not the time that passes here.
        assert!(!second.is_finished());
        drop(first);
        assert!(second.join().unwrap());
        assert!(block_on(lock(&directory.path().join("absent"))).is_none());
    }

    #[test]
    fn a_dropped_wait_leaves_no_lock() {
        let directory = tempfile::tempdir().unwrap();
        let first = block_on(lock(directory.path())).unwrap();
        let mut waiting = Box::pin(lock(directory.path()));
        assert!(block_on(async { futures::poll!(&mut waiting) }).is_pending());
        drop(waiting);
        drop(first);
        assert!(block_on(lock(directory.path())).is_some());
    }
}
