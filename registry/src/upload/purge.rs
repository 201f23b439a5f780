//! Deletes uploads that no client will finish.

use std::{
    collections::BTreeSet,
    pin::pin,
    time::{Duration, SystemTime},
};

use futures::{StreamExt, TryStreamExt};
use plugin_registry_core::{
    EntryKind, ErrorKind, MAX_PATH_LEN, PutMode, RepositoryName, StorageDriver, StorageDriverExt, StoragePath,
};
use uuid::Uuid;

use super::UploadId;
use crate::{
    error::Result,
    layout,
    operation::{About, Record, operation},
    registry::Registry,
};

/// An upload session, or staged bytes without one, that was idle for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StaleUpload {
    /// Where it is: the directory of a session, or the path that the bytes were staged for.
    pub path: StoragePath,
    /// Bytes of its files and stages.
    pub bytes: u64,
    /// How long it has not changed.
    pub idle: Duration,
}

/// What [`Registry::purge_uploads`] found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeReport {
    /// Sessions that were idle for too long. They were deleted, unless it was a dry run.
    pub uploads: Vec<StaleUpload>,
    /// Bytes that writers had staged straight for a blob or a link before they died. They were deleted, unless
    /// it was a dry run.
    pub staged: Vec<StaleUpload>,
    /// The number of sessions that are younger.
    pub kept: usize,
    /// Paths among the sessions that are not a session, have no age, or have directories deeper than a path of
    /// 900 bytes reaches, whose content cannot be known. Also directories with an `_uploads` whose names no
    /// repository can have. They are never touched.
    pub unknown: Vec<StoragePath>,
}

impl PurgeReport {
    /// Returns the bytes of everything that was, or would be, deleted.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.uploads.iter().chain(&self.staged).map(|stale| stale.bytes).sum()
    }
}

/// When something last changed, and how large it is.
#[derive(Clone, Copy, Debug, Default)]
struct Activity {
    last: Option<SystemTime>,
    bytes: u64,
}

impl Activity {
    fn add(&mut self, info: &plugin_registry_core::FileInfo) {
        self.last = self.last.max(info.modified);
        self.bytes = self.bytes.saturating_add(info.size);
    }
}

impl Registry {
    /// Deletes the upload sessions of every repository that have been idle for `older_than`.
    ///
    /// It covers sessions of this registry and of other programs (distribution 2.8 and 3.x), and what writers
    /// that died have staged elsewhere. With `dry_run` it only reports what it would delete, and writes
    /// nothing.
    ///
    /// Age counts from the last change, by the store's own clock: a small object under `gc/` is written to read
    /// that clock (a dry run takes this host's clock). A session that changes at the very moment it is purged
    /// is lost to its client, which gets [`RegistryError::UploadUnknown`](crate::RegistryError) and begins
    /// again. So let `older_than` be far longer than any pause of a client; distribution's default is 168
    /// hours. Finished content is never touched, and what is not understood is only reported.
    ///
    /// Holds one page of sessions and its report. About 3 driver calls per session. Stopping early, also by
    /// dropping the future, leaves the rest for the next run.
    ///
    /// # Errors
    /// [`RegistryError::ReadOnly`](crate::RegistryError::ReadOnly) if the registry is read-only and it is
    /// not a dry run, and those of the store.
    pub async fn purge_uploads(&self, older_than: Duration, dry_run: bool) -> Result<PurgeReport> {
        let operation = operation!("purge", self.shared, About::default());
        let note = |report: &PurgeReport, record: &mut Record| {
            record.bytes = Some(report.bytes());
            record.entries = Some(report.uploads.len() + report.staged.len());
        };
        operation.run(pin!(self.purge(older_than, dry_run)), note).await
    }

    async fn purge(&self, older_than: Duration, dry_run: bool) -> Result<PurgeReport> {
        let now = if dry_run { SystemTime::now() } else { self.store_time().await? };
        let mut purge = Purge { registry: self, now, older_than, dry_run, report: PurgeReport::default() };
        let repositories = layout::repositories();
        let mut found = self.shared.driver.find_directories(&repositories, layout::UPLOADS, None);
        while let Some(path) = found.try_next().await? {
            let Some(relative) = path.strip_prefix(&repositories) else { continue };
            // Inside a repository, a tag may have the name of the directory of uploads.
            if relative.split('/').any(|component| component.starts_with('_')) {
                continue;
            }
            // Anything else that is not a repository was put there by other software.
            match relative.parse() {
                Ok(name) => purge.repository(&name).await?,
                Err(_) => purge.report.unknown.push(path),
            }
        }
        purge.staged().await?;
        Ok(purge.report)
    }

    /// Returns the store's time: two clocks disagree, and only one of them dates its files.
    async fn store_time(&self) -> Result<SystemTime> {
        self.shared.require_writable()?;
        let probe = layout::clock_probe(&Uuid::now_v7());
        self.shared.driver.put_content(&probe, "now".into(), PutMode::Overwrite).await?;
        let info = self.shared.driver.stat(&probe).await;
        self.shared.driver.delete_if_exists(&probe).await?;
        // A store that does not date its files has no session that could be judged either.
        Ok(info?.modified.unwrap_or(SystemTime::UNIX_EPOCH))
    }
}

/// One run.
struct Purge<'a> {
    registry: &'a Registry,
    now: SystemTime,
    older_than: Duration,
    dry_run: bool,
    report: PurgeReport,
}

impl Purge<'_> {
    async fn repository(&mut self, name: &RepositoryName) -> Result<()> {
        let uploads = layout::uploads(name);
        let driver = &self.registry.shared.driver;
        let mut sessions = driver.list(&uploads, None);
        loop {
            let entry = match sessions.next().await {
                Some(Ok(entry)) => entry,
                // The last session ended since the repository was found.
                Some(Err(error)) if error.is_not_found() => return Ok(()),
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            };
            match entry.name.parse::<UploadId>() {
                Ok(id) if entry.kind == EntryKind::Directory => {
                    self.session(&layout::upload(name, &id)).await?
                }
                _ => self.report.unknown.extend(uploads.join(&entry.name)),
            }
        }
    }

    async fn session(&mut self, path: &StoragePath) -> Result<()> {
        let driver = &self.registry.shared.driver;
        let mut activity = Activity::default();
        let mut files = driver.walk(path, None);
        while let Some(info) = files.next().await {
            match info {
                Ok(info) => activity.add(&info),
                // It ended meanwhile, or nothing of it is visible.
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error.into()),
            }
        }
        let mut staged = BTreeSet::new();
        let mut stages = driver.list_staged(path);
        while let Some(info) = stages.try_next().await? {
            activity.add(&info);
            staged.insert(info.path);
        }
        if activity.last.is_none() {
            // An empty directory is not worth reporting: a filesystem keeps it, and nothing needs it.
            if activity.bytes > 0 || self.is_too_deep(path).await? {
                self.report.unknown.push(path.clone());
            }
            return Ok(());
        }
        let Some(stale) = self.judge(path, activity) else {
            self.report.kept += 1;
            return Ok(());
        };
        if self.is_too_deep(path).await? {
            self.report.unknown.push(path.clone());
            return Ok(());
        }
        if !self.dry_run {
            // A stage whose writer died before it closed belongs to no file, so a delete may not see it.
            if let Some(before) = self.now.checked_sub(self.older_than) {
                let mut is_younger = false;
                for path in staged {
                    is_younger |= driver.delete_staged(&path, before).await? == 0;
                    // Of several stages of a path some may have been old enough.
                    is_younger |= match driver.find_staged(&path).await {
                        Err(error) if error.is_not_found() => false,
                        found => found.map(|_| true)?,
                    };
                }
                // Another writer continued it since it was looked at, or took it away.
                if is_younger {
                    self.report.kept += 1;
                    return Ok(());
                }
            }
            match driver.delete_if_exists(path).await {
                // It became too deep only now.
                Err(error) if error.kind() == ErrorKind::InvalidPath => {
                    self.report.unknown.push(path.clone());
                    return Ok(());
                }
                deleted => deleted?,
            };
        }
        self.report.uploads.push(stale);
        Ok(())
    }

    /// Whether a session holds something that no path reaches, so that neither its age nor its content is
    /// known.
    async fn is_too_deep(&self, session: &StoragePath) -> Result<bool> {
        let mut foreign = self.registry.shared.driver.list_foreign(session);
        loop {
            match foreign.try_next().await {
                Ok(Some(path)) if path.len() > MAX_PATH_LEN => return Ok(true),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(false),
                Err(error) if error.is_not_found() => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Purges stages that belong to no session: from a direct write of a blob or a link whose writer died, or
    /// from a session that is gone.
    async fn staged(&mut self) -> Result<()> {
        let driver = &self.registry.shared.driver;
        let root = layout::root();
        let mut found = driver.list_staged(&root);
        while let Some(info) = found.try_next().await? {
            // Those of sessions go with their sessions.
            match place(&info.path) {
                Place::Session(session) if self.has_gone(&session).await? => {}
                Place::Elsewhere => {}
                Place::Session(_) | Place::Unknown => continue,
            }
            let mut activity = Activity::default();
            activity.add(&info);
            let Some(stale) = self.judge(&info.path, activity) else { continue };
            if !self.dry_run {
                let Some(before) = self.now.checked_sub(self.older_than) else { continue };
                if driver.delete_staged(&info.path, before).await? == 0 {
                    continue;
                }
            }
            self.report.staged.push(stale);
        }
        Ok(())
    }

    /// Whether a session was not reported and has nothing visible: only a stage is left of it.
    async fn has_gone(&self, session: &StoragePath) -> Result<bool> {
        if self.report.uploads.iter().any(|stale| stale.path == *session) {
            return Ok(false);
        }
        match self.registry.shared.driver.walk(session, None).next().await {
            Some(Ok(_)) => Ok(false),
            Some(Err(error)) if !error.is_not_found() => Err(error.into()),
            Some(Err(_)) | None => Ok(true),
        }
    }

    fn judge(&self, path: &StoragePath, activity: Activity) -> Option<StaleUpload> {
        let idle = self.now.duration_since(activity.last?).ok().filter(|idle| *idle > self.older_than)?;
        Some(StaleUpload { path: path.clone(), bytes: activity.bytes, idle })
    }
}

/// Where a path is among upload sessions.
enum Place {
    Elsewhere,
    Session(StoragePath),
    /// Under a name that no session has.
    Unknown,
}

fn place(path: &StoragePath) -> Place {
    // The first component that cannot be part of a repository's name: a tag may have the name of the uploads'
    // directory.
    let components: Vec<&str> = path.components().collect();
    let inside = components.iter().position(|component| component.starts_with('_'));
    let (above, below) = components.split_at(inside.unwrap_or(components.len()));
    let [layout::UPLOADS, id, ..] = below else { return Place::Elsewhere };
    let session = format!("/{}/{}/{id}", above.join("/"), layout::UPLOADS).parse();
    match (id.parse::<UploadId>(), session) {
        (Ok(_), Ok(session)) => Place::Session(session),
        _ => Place::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_may_have_the_name_of_the_directory_of_uploads() {
        let id = "6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5b";
        let root = "/docker/registry/v2/repositories/a/b";
        let place = |rest: &str| place(&format!("{root}/{rest}").parse().unwrap());
        assert!(
            matches!(place(&format!("_uploads/{id}/data")), Place::Session(path) if path.as_str().ends_with(id))
        );
        assert!(matches!(place("_uploads/other/data"), Place::Unknown));
        for rest in ["_manifests/tags/_uploads/current/link", "_layers/sha256/0/link", "x"] {
            assert!(matches!(place(rest), Place::Elsewhere), "{rest}");
        }
    }
}
