//! The tables, and the operations of a transaction on them. All of it blocks.

use std::mem;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use plugin_registry_core::{Error, ErrorKind, FileInfo, StageId, Staged, StoragePath};
use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

use crate::error::Failure;

pub(crate) type Outcome<T> = Result<T, Failure>;

/// A file or a stage: its identity, the nanoseconds from 1970 to its last change, its runs with their sizes.
pub(crate) type Row = (u128, u64, Vec<(u128, u64)>);
pub(crate) type Rows = TableDefinition<'static, &'static str, Row>;

pub(crate) const FILES: Rows = TableDefinition::new("files");
pub(crate) const STAGES: Rows = TableDefinition::new("stages");
const PIECES: TableDefinition<'_, (u128, u64), &[u8]> = TableDefinition::new("pieces");
pub(crate) const OPEN: TableDefinition<'_, u128, ()> = TableDefinition::new("open");
const CLOCK: TableDefinition<'_, (), u64> = TableDefinition::new("clock");

/// A piece and small neighbours fit a page of 256 KiB. The next larger page has twice the size.
pub(crate) const PIECE: usize = 248 << 10;
const CACHE: usize = 16 << 20;
/// The number of rows that a listing holds at a time.
const LISTED: usize = 500;

pub(crate) fn info(path: &StoragePath, (_, modified, runs): &Row) -> FileInfo {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_nanos(*modified);
    FileInfo::new(path.clone(), runs.iter().map(|(_, size)| size).sum(), Some(modified))
}

pub(crate) fn staged(path: &StoragePath, row: &Row) -> Staged {
    let FileInfo { path, size, modified, .. } = info(path, row);
    Staged::new(path, size, StageId::of(row.0.to_be_bytes())).with_modified(modified)
}

/// The range of keys that holds exactly this path.
pub(crate) fn at(path: &StoragePath) -> Range<String> {
    path.to_string()..format!("{path}\0")
}

/// The range of keys below this path: `0` follows `/`.
pub(crate) fn below(path: &StoragePath) -> Range<String> {
    let path = path.as_str().trim_end_matches('/');
    format!("{path}/")..format!("{path}0")
}

fn keys(range: &Range<String>) -> Range<&str> {
    range.start.as_str()..range.end.as_str()
}

pub(crate) fn find(
    table: &impl ReadableTable<&'static str, Row>,
    path: &StoragePath,
) -> Outcome<Option<Row>> {
    Ok(table.get(path.as_str())?.map(|row| row.value()))
}

pub(crate) fn closed_meanwhile() -> Error {
    Error::new(ErrorKind::Conflict).with_message("another writer has closed this stage meanwhile")
}

#[derive(Debug)]
pub(crate) struct Store {
    db: Database,
    /// Runs whose writers were dropped.
    dropped: Mutex<Vec<u128>>,
}

impl Store {
    pub(crate) fn open(file: &Path) -> Outcome<Self> {
        let db = Database::builder().set_cache_size(CACHE).create(file)?;
        let store = Self { db, dropped: Mutex::default() };
        store.change(Durability::Immediate, |change| {
            // For read transactions, which do not create tables.
            for rows in [FILES, STAGES] {
                change.open_table(rows)?;
            }
            let open = change.open_table(OPEN)?;
            let left: Outcome<Vec<u128>> = open.iter()?.map(|run| Ok(run?.0.value())).collect();
            drop(open);
            sweep(change, &left?)
        })?;
        Ok(store)
    }

    pub(crate) fn dropped(&self) -> MutexGuard<'_, Vec<u128>> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one transaction. It has no effect if it fails.
    pub(crate) fn change<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&WriteTransaction) -> Outcome<T>,
    ) -> Outcome<T> {
        let mut change = self.db.begin_write()?;
        change.set_durability(durability)?;
        let dropped = mem::take(&mut *self.dropped());
        let done = sweep(&change, &dropped).and_then(|()| work(&change));
        let done = done.and_then(|done| Ok(change.commit().map(|()| done)?));
        if done.is_err() {
            self.dropped().extend(dropped);
        }
        done
    }

    pub(crate) fn find(&self, rows: Rows, path: &StoragePath) -> Outcome<Row> {
        Ok(find(&self.db.begin_read()?.open_table(rows)?, path)?.ok_or(ErrorKind::NotFound)?)
    }

    pub(crate) fn snapshot(&self, path: &StoragePath) -> Outcome<Snapshot> {
        let read = self.db.begin_read()?;
        let file = find(&read.open_table(FILES)?, path)?.ok_or(ErrorKind::NotFound)?;
        Ok(Snapshot { info: info(path, &file), runs: file.2, pieces: read.open_table(PIECES)? })
    }

    /// The first files or stages of a range, and the rest of the range.
    pub(crate) fn list(&self, rows: Rows, range: Range<String>) -> Outcome<(Vec<FileInfo>, Range<String>)> {
        let mut found = Vec::new();
        for row in self.db.begin_read()?.open_table(rows)?.range(keys(&range))?.take(LISTED) {
            let (path, row) = row?;
            found.push(info(&path.value().parse()?, &row.value()));
        }
        let last = found.last().filter(|_| found.len() == LISTED);
        let rest = last.map_or(range.end.clone(), |last| format!("{}\0", last.path))..range.end;
        Ok((found, rest))
    }
}

/// A file as it was when it was opened.
pub(crate) struct Snapshot {
    pub(crate) info: FileInfo,
    runs: Vec<(u128, u64)>,
    pieces: ReadOnlyTable<(u128, u64), &'static [u8]>,
}

impl Snapshot {
    /// The first bytes of a range, from one piece.
    pub(crate) fn read(&self, range: Range<u64>) -> Outcome<Bytes> {
        let mut offset = range.start;
        for (run, size) in &self.runs {
            if offset < *size {
                let most = (size - offset).min(range.end - range.start) as usize;
                let piece = self.pieces.get((*run, offset / PIECE as u64))?;
                let piece = piece.as_ref().and_then(|it| it.value().get((offset % PIECE as u64) as usize..));
                let Some(piece) = piece.filter(|piece| !piece.is_empty()) else { break };
                return Ok(Bytes::copy_from_slice(piece.get(..most).unwrap_or(piece)));
            }
            offset -= size;
        }
        Err(Error::new(ErrorKind::Corrupted).with_message("a piece is missing").into())
    }
}

/// Deletes those of the runs that belong to no row.
fn sweep(change: &WriteTransaction, runs: &[u128]) -> Outcome<()> {
    for run in runs {
        if change.open_table(OPEN)?.remove(run)?.is_some() {
            delete_run(change, *run)?;
        }
    }
    Ok(())
}

fn delete_run(change: &WriteTransaction, run: u128) -> Outcome<()> {
    Ok(change.open_table(PIECES)?.retain_in((run, 0)..=(run, u64::MAX), |_, _| false)?)
}

/// The store's clock. It never returns the same time twice and never goes backwards, even if the system clock
/// does.
pub(crate) fn now(change: &WriteTransaction) -> Outcome<u64> {
    let mut clock = change.open_table(CLOCK)?;
    let last = clock.get(())?.map_or(0, |last| last.value());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).max(last.saturating_add(1));
    clock.insert((), now)?;
    Ok(now)
}

/// Adds bytes to a run that has `size` bytes so far, in whole pieces.
pub(crate) fn append(change: &WriteTransaction, run: u128, size: u64, bytes: &[u8]) -> Outcome<()> {
    let mut pieces = change.open_table(PIECES)?;
    for (number, piece) in (size / PIECE as u64..).zip(bytes.chunks(PIECE)) {
        pieces.insert((run, number), piece)?;
    }
    Ok(())
}

pub(crate) fn put(change: &WriteTransaction, path: &StoragePath, row: Row) -> Outcome<()> {
    remove(change, FILES, &at(path))?;
    change.open_table(FILES)?.insert(path.as_str(), row)?;
    Ok(())
}

/// Removes rows and their pieces. Returns how many rows.
pub(crate) fn remove(change: &WriteTransaction, rows: Rows, range: &Range<String>) -> Outcome<usize> {
    let mut removed = 0;
    for row in change.open_table(rows)?.extract_from_if(keys(range), |_, _| true)? {
        row?.1.value().2.iter().try_for_each(|(run, _)| delete_run(change, *run))?;
        removed += 1;
    }
    Ok(removed)
}

/// Takes the row of a stage, if it has not been replaced. Its pieces stay.
pub(crate) fn take_stage(change: &WriteTransaction, wanted: &Staged) -> Outcome<Row> {
    let mut stages = change.open_table(STAGES)?;
    let row = stages.remove(wanted.path.as_str())?.ok_or(ErrorKind::NotFound)?.value();
    if staged(&wanted.path, &row).id == wanted.id { Ok(row) } else { Err(closed_meanwhile().into()) }
}

pub(crate) fn delete_stage(change: &WriteTransaction, stage: &Staged) -> Outcome<()> {
    let found = find(&change.open_table(STAGES)?, &stage.path)?;
    if found.is_some_and(|row| staged(&stage.path, &row).id == stage.id) {
        remove(change, STAGES, &at(&stage.path))?;
    }
    Ok(())
}
