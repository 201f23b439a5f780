//! Lists the things to verify: repositories, and the links of one. A directory that cannot be listed is a
//! finding, and the run continues with the rest.

use std::collections::HashSet;

use futures::StreamExt;
use plugin_registry_core::{Digest, EntryKind, RepositoryName, StorageDriver, StorageDriverExt, StoragePath};

use super::{Cause, FOREIGN, NoteKind, Verification};
use crate::{
    error::{RegistryError, Result},
    layout, names,
};

/// The links below a directory.
#[derive(Default)]
pub(super) struct LinkListing {
    pub(super) digests: Vec<Digest>,
    /// Some of them could not be listed, so a link that is not among them may exist.
    pub(super) is_partial: bool,
}

/// The most directories that are looked at one by one after a listing of all has failed: links can multiply.
const MAX_DIRECTORIES: usize = 100_000;

/// The names in a directory, and why there may be more of them.
#[derive(Default)]
struct Level {
    files: Vec<String>,
    directories: Vec<String>,
    problem: Option<String>,
}

/// The digests that have links below a directory, and what is foreign there.
#[derive(Default)]
struct WalkResult {
    digests: Vec<Digest>,
    foreign: Vec<StoragePath>,
    problem: Option<String>,
}

impl Verification<'_> {
    /// Verifies all repositories, one after the other as they are found.
    pub(super) async fn all(&mut self) -> Result<()> {
        let (registry, root) = (self.registry, layout::repositories());
        let mut seen = HashSet::new();
        let mut found = registry.shared.driver.find_directories(&root, "_", None);
        loop {
            match found.next().await {
                None => return Ok(()),
                Some(Ok(path)) => self.found(&root, path, &mut seen).await?,
                Some(Err(error)) => match self.pass(error.into()) {
                    // The listing ends with its first error.
                    Ok(_) => break,
                    Err(error) => return Err(error),
                },
            }
        }
        drop(found);
        // Directory by directory, so that what cannot be listed is known by its name.
        let (mut open, mut entered) = (vec![root.clone()], 0_usize);
        while let Some(directory) = open.pop() {
            entered += 1;
            if entered > MAX_DIRECTORIES {
                self.unfinished(&root, &format!("more than {MAX_DIRECTORIES} directories"));
                break;
            }
            let Level { files, directories, problem } = self.level(&directory).await?;
            if let Some(problem) = problem {
                match directory.strip_prefix(&root).and_then(|name| name.parse().ok()) {
                    Some(name) => self.damage(&name, directory.clone(), problem, Cause::Other),
                    None => self.unfinished(&directory, &problem),
                }
            }
            let is_mark = |name: &String| name.starts_with('_');
            let is_repository = files.iter().chain(&directories).any(is_mark);
            let others = directories.iter().filter(|name| !is_mark(name));
            open.extend(others.filter_map(|name| directory.join(name).ok()));
            if is_repository {
                self.found(&root, directory, &mut seen).await?;
            }
        }
        Ok(())
    }

    fn unfinished(&mut self, path: &StoragePath, problem: &str) {
        self.report.unfinished.get_or_insert_with(|| format!("{path}: {problem}"));
    }

    /// Returns what is in a directory, up to where it cannot be listed; nothing if it does not exist.
    async fn level(&self, directory: &StoragePath) -> Result<Level> {
        let mut level = Level::default();
        let mut entries = self.registry.shared.driver.list(directory, None);
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(entry) if entry.kind == EntryKind::Directory => level.directories.push(entry.name),
                Ok(entry) => level.files.push(entry.name),
                Err(error) if error.is_not_found() => break,
                Err(error) => {
                    level.problem = Some(self.pass(error.into())?);
                    break;
                }
            }
        }
        Ok(level)
    }

    async fn found(
        &mut self,
        root: &StoragePath,
        path: StoragePath,
        seen: &mut HashSet<RepositoryName>,
    ) -> Result<()> {
        match path.strip_prefix(root).and_then(|name| name.parse::<RepositoryName>().ok()) {
            Some(name) if seen.contains(&name) => Ok(()),
            Some(name) => {
                match self.repository(&name).await {
                    // It belongs to another program, with a name that begins like ours, or it is gone since it
                    // was listed.
                    Err(RegistryError::RepositoryUnknown(_)) => {
                        if self.registry.shared.driver.exists(&path).await? {
                            self.note(&name, path, NoteKind::ForeignName, FOREIGN.to_owned());
                        }
                    }
                    looked => looked?,
                }
                seen.insert(name);
                Ok(())
            }
            None => {
                if !self.report.unknown.contains(&path) {
                    self.report.unknown.push(path);
                }
                Ok(())
            }
        }
    }

    /// Notes what is beside the directories of a repository. A directory may lead to other repositories.
    pub(super) async fn note_foreign_names(&mut self, name: &RepositoryName) -> Result<()> {
        let (registry, directory) = (self.registry, layout::repository(name));
        let mut entries = registry.shared.driver.list(&directory, None);
        while let Some(entry) = entries.next().await {
            let entry = match entry {
                Err(error) if error.is_not_found() => break,
                Err(error) => {
                    let problem = self.pass(error.into())?;
                    self.damage(name, directory.clone(), problem, Cause::Other);
                    break;
                }
                Ok(entry) => entry,
            };
            let is_ours = match entry.kind {
                EntryKind::Directory => {
                    ["_layers", "_manifests", layout::UPLOADS].contains(&entry.name.as_str())
                        || entry.name.parse::<RepositoryName>().is_ok()
                }
                EntryKind::File => false,
            };
            if let Some(path) = directory.join(&entry.name).ok().filter(|_| !is_ours) {
                self.note(name, path, NoteKind::ForeignName, FOREIGN.to_owned());
            }
        }
        Ok(())
    }

    /// Returns the digests that have links below a directory of a repository: its layers or its revisions.
    ///
    /// A walk ends with its first error. Then its files are taken, and the directories below are walked one by
    /// one. Every error that is passed over leaves a finding.
    pub(super) async fn linked(&mut self, name: &RepositoryName, directory: &str) -> Result<LinkListing> {
        let (registry, repository) = (self.registry, layout::repository(name));
        let Ok(directory) = repository.join(directory) else { return Ok(LinkListing::default()) };
        let (mut links, mut open) = (LinkListing::default(), vec![directory.clone()]);
        let (mut first, mut entered, told) = (None, 0_usize, self.report.findings.len());
        while let Some(directory) = open.pop() {
            entered += 1;
            let WalkResult { mut digests, mut foreign, problem } =
                self.walked(&repository, &directory).await?;
            if let Some(problem) = problem {
                links.is_partial = true;
                let level = self.level(&directory).await?;
                let is_too_much = entered > MAX_DIRECTORIES;
                if let Some(problem) = level.problem.filter(|_| !is_too_much) {
                    self.damage(name, directory.clone(), problem, Cause::Other);
                }
                // The entries that the walk returned are walked again.
                (digests, foreign) = (Vec::new(), Vec::new());
                for file in level.files.iter().filter_map(|file| directory.join(file).ok()) {
                    digests.extend(names::linked(&repository, &file));
                    foreign.extend(names::foreign(&repository, &file));
                }
                if is_too_much {
                    self.damage(name, directory.clone(), problem.clone(), Cause::Other);
                } else {
                    open.extend(level.directories.iter().filter_map(|below| directory.join(below).ok()));
                }
                first.get_or_insert((directory, problem));
            }
            links.digests.extend(digests);
            for path in foreign {
                self.note(name, path, NoteKind::ForeignName, FOREIGN.to_owned());
            }
        }
        // The error did not recur on a closer look: what the walk would have given next is not known.
        if let Some((directory, problem)) = first
            && self.report.findings.len() == told
        {
            self.damage(name, directory, problem, Cause::Other);
        }
        let mut others = registry.shared.driver.list_foreign(&directory);
        while let Some(other) = others.next().await {
            match other {
                Ok(other) => self.note(name, other.escape_debug(), NoteKind::ForeignName, FOREIGN.to_owned()),
                Err(error) => {
                    // The walk reported the directories that it could not list.
                    self.pass(error.into())?;
                    break;
                }
            }
        }
        Ok(links)
    }

    /// Returns what a walk of a directory gives, and why it ended early, if it did.
    async fn walked(&self, repository: &StoragePath, directory: &StoragePath) -> Result<WalkResult> {
        let mut files = self.registry.shared.driver.walk(directory, None);
        let mut walked = WalkResult::default();
        while let Some(file) = files.next().await {
            let file = match file {
                Err(error) if error.is_not_found() => break,
                Err(error) => {
                    walked.problem = Some(self.pass(error.into())?);
                    break;
                }
                Ok(file) => file.path,
            };
            match names::foreign(repository, &file) {
                // A directory with many files is noted once: they come one after the other.
                Some(foreign) if walked.foreign.last() == Some(&foreign) => {}
                Some(foreign) => walked.foreign.push(foreign),
                None => walked.digests.extend(names::linked(repository, &file)),
            }
        }
        Ok(walked)
    }

    /// Returns the words for an error about one path, or `Err` if it is about the store, which ends the run.
    pub(super) fn pass(&self, error: RegistryError) -> Result<String> {
        if super::path_error::is_path_error(&error) {
            Ok(format!("it cannot be read: {error}"))
        } else {
            Err(error)
        }
    }
}
