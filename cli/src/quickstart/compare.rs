//! Whether two layouts are the same to the byte.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Bytes compared at a time.
const PIECE: usize = 256 * 1024;

/// The result of the comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) files: usize,
    pub(super) bytes: u64,
}

/// Compares all files below two directories; the first difference is an inner error. Blocks.
pub(super) fn directories(one: &Path, other: &Path) -> io::Result<Result<Compared, String>> {
    let (ones, others) = (files(one)?, files(other)?);
    if let Some(name) = ones.iter().find(|name| !others.contains(*name)) {
        return Ok(Err(format!("{} is missing", name.display())));
    }
    if let Some(name) = others.iter().find(|name| !ones.contains(*name)) {
        return Ok(Err(format!("{} is new", name.display())));
    }
    let mut compared = Compared::default();
    for name in ones.iter() {
        match same_file(&one.join(name), &other.join(name))? {
            Some(bytes) => {
                compared.files += 1;
                compared.bytes += bytes;
            }
            None => return Ok(Err(format!("{} differs", name.display()))),
        }
    }
    Ok(Ok(compared))
}

/// The size of two files with the same bytes.
fn same_file(one: &Path, other: &Path) -> io::Result<Option<u64>> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut left, mut right) = (Vec::with_capacity(PIECE), Vec::with_capacity(PIECE));
    let mut bytes = 0;
    loop {
        left.clear();
        right.clear();
        one.by_ref().take(PIECE as u64).read_to_end(&mut left)?;
        other.by_ref().take(PIECE as u64).read_to_end(&mut right)?;
        if left != right {
            return Ok(None);
        }
        if left.is_empty() {
            return Ok(Some(bytes));
        }
        bytes += left.len() as u64;
    }
}

/// All files below a directory, by their path from there.
fn files(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root.join(&directory))? {
            let entry = entry?;
            let name = directory.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                directories.push(name);
            } else {
                found.insert(name);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (directory.path().join("1"), directory.path().join("2"));
        for root in [&one, &other] {
            fs::create_dir_all(root.join("a/b")).unwrap();
            fs::write(root.join("a/b/c"), vec![7; PIECE + 1]).unwrap();
        }
        let bytes = PIECE as u64 + 1;
        assert_eq!(directories(&one, &other).unwrap(), Ok(Compared { files: 1, bytes }));
        let mut changed = vec![7; PIECE + 1];
        changed[PIECE] = 8;
        fs::write(other.join("a/b/c"), changed).unwrap();
        assert!(directories(&one, &other).unwrap().is_err());
        fs::write(other.join("a/b/c"), vec![7; PIECE + 1]).unwrap();
        fs::write(other.join("d"), "").unwrap();
        assert!(directories(&one, &other).unwrap().is_err());
        assert!(directories(&other, &one).unwrap().is_err());
    }
}
