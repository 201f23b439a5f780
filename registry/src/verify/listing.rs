//! What there is to verify: repositories, and the links of one. What cannot be listed is a finding, and the run goes
//! on beside it.

use std::collections::HashSet;

use futures::StreamExt;
use plugin_registry_core::{Digest, EntryKind, RepositoryName, StorageDriver, StoragePath};

use super::{FOREIGN, NoteKind, Verification, unread::words};
use crate::{
    error::{RegistryError, Result},
    layout, names,
};

/// The links below a directory.
#[derive(Default)]
pub(super) struct Links {
    pub(super) digests: Vec<Digest>,
    /// A part of them could not be listed: what is not among them may be there.
    pub(super) is_partial: bool,
}

impl Verification<'_> {
    /// All repositories, one after the other as they are found.
    pub(super) async fn all(&mut self) -> Result<()> {
        let (registry, root) = (self.registry, layout::repositories());
        let mut seen = HashSet::new();
        let mut found = registry.inner.driver.list_marked(&root, "_", None);
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
        // Directory by directory: what cannot be listed is then known by its name.
        let mut open = vec![root.clone()];
        while let Some(directory) = open.pop() {
            let mut entries = registry.inner.driver.list(&directory, None);
            let mut is_repository = false;
            while let Some(entry) = entries.next().await {
                let entry = match entry {
                    Err(error) if error.is_not_found() => break,
                    Err(error) => {
                        let problem = self.pass(error.into())?;
                        self.unlisted(&root, &directory, problem);
                        break;
                    }
                    Ok(entry) => entry,
                };
                if entry.name.starts_with('_') {
                    is_repository = true;
                } else if entry.kind == EntryKind::Directory {
                    open.extend(directory.join(&entry.name));
                }
            }
            drop(entries);
            if is_repository {
                self.found(&root, directory, &mut seen).await?;
            }
        }
        Ok(())
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
                self.repository(&name).await?;
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

    fn unlisted(&mut self, root: &StoragePath, directory: &StoragePath, problem: String) {
        match directory.strip_prefix(root).and_then(|name| name.parse().ok()) {
            Some(name) => self.damage(&name, directory.clone(), problem, false),
            None => self.report.unknown.push(directory.clone()),
        }
    }

    /// Says what lies beside the directories of a repository. What is a directory may lead to other repositories.
    pub(super) async fn strangers(&mut self, name: &RepositoryName) -> Result<()> {
        let (registry, directory) = (self.registry, layout::repository(name));
        let mut entries = registry.inner.driver.list(&directory, None);
        while let Some(entry) = entries.next().await {
            let entry = match entry {
                Err(error) if error.is_not_found() => break,
                Err(error) => {
                    let problem = self.pass(error.into())?;
                    self.damage(name, directory.clone(), problem, false);
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

    /// The digests that have links below a directory of a repository: its layers or its revisions. A walk ends with
    /// its first error; then the directories below are walked one by one.
    pub(super) async fn linked(&mut self, name: &RepositoryName, directory: &str) -> Result<Links> {
        let (registry, repository) = (self.registry, layout::repository(name));
        let Ok(directory) = repository.join(directory) else { return Ok(Links::default()) };
        let (mut links, mut open) = (Links::default(), vec![directory.clone()]);
        while let Some(directory) = open.pop() {
            let (digests, foreign, problem) = self.walked(&repository, &directory).await?;
            if let Some(problem) = problem {
                links.is_partial = true;
                let below = self.below(&directory).await?;
                if below.is_empty() {
                    self.damage(name, directory, problem, false);
                } else {
                    open.extend(below);
                    continue;
                }
            }
            links.digests.extend(digests);
            for path in foreign {
                self.note(name, path, NoteKind::ForeignName, FOREIGN.to_owned());
            }
        }
        let mut others = registry.inner.driver.list_foreign(&directory);
        while let Some(other) = others.next().await {
            match other {
                Ok(other) => self.note(name, other.escape_debug(), NoteKind::ForeignName, FOREIGN.to_owned()),
                Err(error) => {
                    // What could not be listed was told by the walk.
                    self.pass(error.into())?;
                    break;
                }
            }
        }
        Ok(links)
    }

    /// The digests and the foreign files below a directory, and why the walk ended early, if it did.
    async fn walked(
        &self,
        repository: &StoragePath,
        directory: &StoragePath,
    ) -> Result<(Vec<Digest>, Vec<StoragePath>, Option<String>)> {
        let mut files = self.registry.inner.driver.walk(directory, None);
        let (mut digests, mut strangers) = (Vec::new(), Vec::<StoragePath>::new());
        while let Some(file) = files.next().await {
            let file = match file {
                Err(error) if error.is_not_found() => break,
                Err(error) => {
                    let problem = self.pass(error.into())?;
                    return Ok((digests, strangers, Some(problem)));
                }
                Ok(file) => file.path,
            };
            match names::foreign(repository, &file) {
                // A directory with many files is told once: they come one after the other.
                Some(foreign) if strangers.last() == Some(&foreign) => {}
                Some(foreign) => strangers.push(foreign),
                None => digests.extend(names::linked(repository, &file)),
            }
        }
        Ok((digests, strangers, None))
    }

    /// The directories in one that cannot be walked; none where they cannot be listed either.
    async fn below(&self, directory: &StoragePath) -> Result<Vec<StoragePath>> {
        let mut below = Vec::new();
        let mut entries = self.registry.inner.driver.list(directory, None);
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(entry) if entry.kind == EntryKind::Directory => below.extend(directory.join(&entry.name)),
                Ok(_) => {}
                Err(error) => {
                    self.pass(error.into())?;
                    return Ok(Vec::new());
                }
            }
        }
        Ok(below)
    }

    /// What there is to say of an error about one path; `Err` where it is about the store, and ends the run.
    pub(super) fn pass(&self, error: RegistryError) -> Result<String> {
        if super::unread::is_of_one_path(&error) {
            Ok(format!("it cannot be read: {}", words(&error)))
        } else {
            Err(error)
        }
    }
}
