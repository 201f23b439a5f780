//! The driver's record of the directories that are not yet sure to survive a power cut, while several threads
//! make, fill, sync and remove them. The lock here lets any other thread run wherever it is used. The disk
//! has one directory and knows what a power cut would leave. Every order of the threads is run.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

#[path = "../src/ancestors.rs"]
mod ancestors;

/// What `ancestors.rs` takes its lock from.
mod sync {
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
}

use std::{
    io,
    sync::{Arc, Mutex},
};

use plugin_registry_core::StoragePath;
use rustix::io::Errno;
use shuttle::{Config, Runner, scheduler::DfsScheduler, thread};

use self::ancestors::Ancestors;

const DIRECTORY: &str = "/a";

/// A disk with one directory below its root. Each method is one system call; others go on before and after it,
/// at the lock of the book.
#[derive(Default)]
struct Disk(Mutex<Directory>);

#[derive(Default)]
struct Directory {
    /// How often it was made.
    makings: u64,
    /// Which of these is there, if any.
    here: Option<u64>,
    files: usize,
    /// Which of them the root's last fsync saw.
    durable: Option<u64>,
}

impl Disk {
    fn mkdir(&self) -> rustix::io::Result<()> {
        let mut directory = self.0.lock().unwrap();
        if directory.here.is_some() {
            return Err(Errno::EXIST);
        }
        directory.makings += 1;
        directory.here = Some(directory.makings);
        Ok(())
    }

    fn rmdir(&self) -> io::Result<()> {
        let mut directory = self.0.lock().unwrap();
        match directory.files {
            _ if directory.here.is_none() => Err(Errno::NOENT.into()),
            0 => {
                directory.here = None;
                Ok(())
            }
            _ => Err(Errno::NOTEMPTY.into()),
        }
    }

    /// Puts a file into it, if it is there.
    fn fill(&self) -> bool {
        let mut directory = self.0.lock().unwrap();
        directory.files += usize::from(directory.here.is_some());
        directory.here.is_some()
    }

    fn unlink(&self) {
        self.0.lock().unwrap().files -= 1;
    }

    fn sync_root(&self) {
        let mut directory = self.0.lock().unwrap();
        directory.durable = directory.here;
    }
}

/// A commit below the directory, as `Root::in_dir`, `Stage::place` and `Root::sync_entry` do it. When it is
/// acknowledged, the directory has to survive a power cut.
fn commit(disk: &Disk, book: &Ancestors) {
    loop {
        book.make(DIRECTORY, || disk.mkdir()).unwrap();
        if disk.fill() {
            break;
        }
    }
    let path: StoragePath = DIRECTORY.parse().unwrap();
    for (made, making) in book.unsynced(&path) {
        disk.sync_root();
        book.synced(&made, making);
    }
    let directory = disk.0.lock().unwrap();
    assert_eq!(directory.durable, directory.here, "acknowledged, and lost with the power");
}

/// A delete of the file, and of the directory where it was the last.
fn remove(disk: &Disk, book: &Ancestors) {
    disk.unlink();
    let _ = book.remove(DIRECTORY, || disk.rmdir());
}

/// Runs two threads in every order; gives how many there are.
fn every_order(one: fn(&Disk, &Ancestors), other: fn(&Disk, &Ancestors)) -> usize {
    Runner::new(DfsScheduler::new(None, false), Config::new()).run(move || {
        let shared = Arc::new((Disk::default(), Ancestors::default()));
        let theirs = shared.clone();
        let thread = thread::spawn(move || other(&theirs.0, &theirs.1));
        one(&shared.0, &shared.1);
        thread.join().unwrap();
    })
}

fn commit_and_remove(disk: &Disk, book: &Ancestors) {
    commit(disk, book);
    remove(disk, book);
}

#[test]
fn two_commits_in_a_new_directory() {
    let orders = every_order(commit, commit);
    println!("two commits in a new directory: {orders} orders");
    assert!(orders > 100);
}

#[test]
fn a_commit_in_a_directory_that_is_removed_meanwhile() {
    let orders = every_order(commit, commit_and_remove);
    println!("a commit in a directory that is removed meanwhile: {orders} orders");
    assert!(orders > 100);
}

#[test]
fn a_sync_counts_for_its_own_making_only() {
    shuttle::check_dfs(
        || {
            let ancestors = Ancestors::default();
            let path: StoragePath = "/a/b".parse().unwrap();
            assert!(ancestors.make("/a", || Ok(())).unwrap());
            let (found, first) = ancestors.unsynced(&path).pop().unwrap();
            assert_eq!(found.as_str(), "/a");
            ancestors.remove("/a", || Ok(())).unwrap();
            assert!(ancestors.unsynced(&path).is_empty());
            assert!(ancestors.make("/a", || Ok(())).unwrap());
            ancestors.synced(&found, first);
            let (_, second) = ancestors.unsynced(&path).pop().unwrap();
            ancestors.synced(&found, second);
            assert!(ancestors.unsynced(&path).is_empty());
            assert!(!ancestors.make("/a", || Err(Errno::EXIST)).unwrap());
            assert!(ancestors.unsynced(&path).is_empty());
        },
        None,
    );
}
