//! Deletes uploads that no client will finish.

use std::{
    collections::{BTreeMap, HashSet},
    pin::pin,
    time::{Duration, SystemTime},
};

use futures::{StreamExt, TryStreamExt};
use plugin_registry_core::{
    EntryKind, ErrorKind, FileInfo, MAX_PATH_LEN, PutMode, RepositoryName, StorageDriver, StorageDriverExt,
    StoragePath,
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
    /// Bytes that writers had staged straight for a blob or a link before they died, one entry for each stage. A
    /// path may have several. They were deleted, unless it was a dry run.
    pub staged: Vec<StaleUpload>,
    /// The number of sessions that are younger.
    pub kept: usize,
    /// The number of stages outside of sessions that are younger.
    pub kept_staged: usize,
    /// How long it takes until the oldest of those that were kept has been idle for too long, if nothing changes
    /// it. `None` if nothing was kept.
    pub next_due: Option<Duration>,
    /// Paths among the sessions that are not a session, have no age, or have directories deeper than a path of
    /// 900 bytes reaches, whose content cannot be known. Also directories with an `_uploads` whose names no
    /// repository can have, and stages without an age. They are never touched.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Activity {
    last: Option<SystemTime>,
    bytes: u64,
}

impl Activity {
    fn of(info: &FileInfo) -> Self {
        Self { last: info.modified, bytes: info.size }
    }

    fn add(&mut self, other: Self) {
        self.last = self.last.max(other.last);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// What an age says.
enum Age {
    /// It has been idle for too long: for this long.
    Stale(Duration),
    /// It is younger: it is due after this time.
    Due(Duration),
    Unknown,
}

/// Stages by the path that they are for, which a driver deletes together.
type Stages = BTreeMap<StoragePath, Vec<Activity>>;

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
    /// The report says what happened: a dry run and a run over the same state report the same.
    ///
    /// Holds one page of sessions, about 200 bytes for each stage, and its report. About 3 driver calls per
    /// session. Stopping early, also by
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
        let mut purge = Purge {
            registry: self,
            now,
            older_than,
            dry_run,
            judged: HashSet::new(),
            report: PurgeReport::default(),
        };
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
    /// Sessions that count with their stages, although nothing of them is visible, or nothing is left.
    judged: HashSet<StoragePath>,
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
        let (mut activity, mut is_visible) = (Activity::default(), false);
        let mut files = driver.walk(path, None);
        while let Some(info) = files.next().await {
            match info {
                Ok(info) => activity.add(Activity::of(&info)),
                // It ended meanwhile, or nothing of it is visible.
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error.into()),
            }
            is_visible = true;
        }
        if !is_visible {
            self.judged.insert(path.clone());
        }
        let staged = self.stages(path).await?;
        staged.values().flatten().for_each(|stage| activity.add(*stage));
        let idle = match self.age(activity.last) {
            Age::Stale(idle) => idle,
            Age::Due(due) => {
                self.keep_session(due);
                return Ok(());
            }
            Age::Unknown => {
                // An empty directory is not worth reporting: a filesystem keeps it, and nothing needs it.
                if activity.bytes > 0 || self.is_too_deep(path).await? {
                    self.report.unknown.push(path.clone());
                }
                return Ok(());
            }
        };
        if self.is_too_deep(path).await? {
            self.report.unknown.push(path.clone());
            return Ok(());
        }
        if !self.dry_run && !self.delete_session(path, staged).await? {
            return Ok(());
        }
        self.judged.insert(path.clone());
        self.report.uploads.push(StaleUpload { path: path.clone(), bytes: activity.bytes, idle });
        Ok(())
    }

    /// Deletes a session with its stages. Returns whether it is gone; if not, the report says why.
    async fn delete_session(&mut self, session: &StoragePath, staged: Stages) -> Result<bool> {
        let driver = &self.registry.shared.driver;
        let (mut is_younger, mut deleted) = (false, Vec::new());
        // A stage whose writer died before it closed belongs to no file, so a delete may not see it.
        for (path, stages) in staged {
            let gone = self.delete_stages(&path, stages).await?;
            is_younger |= gone.is_empty();
            // Of several stages of a path some may have been old enough.
            is_younger |= match driver.find_staged(&path).await {
                Err(error) if error.is_not_found() => false,
                found => found.map(|_| true)?,
            };
            deleted.extend(gone.iter().filter_map(|stage| self.stale(&path, *stage)));
        }
        // Another writer continued it since it was looked at, or took it away.
        if is_younger {
            self.report.staged.extend(deleted);
            self.keep_session(self.older_than);
            return Ok(false);
        }
        match driver.delete_if_exists(session).await {
            // It became too deep only now.
            Err(error) if error.kind() == ErrorKind::InvalidPath => {
                self.report.staged.extend(deleted);
                self.report.unknown.push(session.clone());
                Ok(false)
            }
            deleted => Ok(deleted.map(|_| true)?),
        }
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
        for (path, stages) in self.stages(&layout::root()).await? {
            if !self.stands_alone(&path).await? {
                continue;
            }
            let mut stale = Vec::new();
            for stage in stages {
                match self.age(stage.last) {
                    Age::Stale(_) => stale.push(stage),
                    Age::Due(due) => {
                        self.report.kept_staged += 1;
                        self.due(due);
                    }
                    Age::Unknown => self.report.unknown.push(path.clone()),
                }
            }
            let gone = if self.dry_run { stale } else { self.delete_stages(&path, stale).await? };
            let gone: Vec<_> = gone.iter().filter_map(|stage| self.stale(&path, *stage)).collect();
            self.report.staged.extend(gone);
        }
        Ok(())
    }

    /// Returns what is staged for a path and below it.
    async fn stages(&self, path: &StoragePath) -> Result<Stages> {
        let mut stages = Stages::new();
        let mut found = self.registry.shared.driver.list_staged(path);
        while let Some(info) = found.try_next().await? {
            let activity = Activity::of(&info);
            stages.entry(info.path).or_default().push(activity);
        }
        Ok(stages)
    }

    /// Deletes the stale stages of a path, and returns those that went.
    async fn delete_stages(&self, path: &StoragePath, mut stale: Vec<Activity>) -> Result<Vec<Activity>> {
        let Some(before) = self.now.checked_sub(self.older_than).filter(|_| !stale.is_empty()) else {
            return Ok(Vec::new());
        };
        let deleted = self.registry.shared.driver.delete_staged(path, before).await?;
        if deleted < stale.len() {
            // Writers committed or continued some since they were listed. What is still there did not go.
            let mut left = self.stages(path).await?.remove(path).unwrap_or_default();
            stale.retain(|stage| match left.iter().position(|other| other == stage) {
                Some(at) => {
                    left.swap_remove(at);
                    false
                }
                None => true,
            });
            stale.truncate(deleted);
        }
        Ok(stale)
    }

    /// Whether the stages of a path are judged by themselves. Those of sessions go with their sessions, and
    /// those at paths that are not understood are left alone.
    async fn stands_alone(&mut self, path: &StoragePath) -> Result<bool> {
        let unknown = &mut self.report.unknown;
        if unknown.iter().any(|above| path == above || path.strip_prefix(above).is_some()) {
            return Ok(false);
        }
        match place(path) {
            Place::Elsewhere => Ok(true),
            Place::Session(session) => self.has_gone(&session).await,
            Place::Unknown => {
                unknown.push(path.clone());
                Ok(false)
            }
        }
    }

    /// Whether a session was not judged and has nothing visible: only a stage is left of it.
    async fn has_gone(&self, session: &StoragePath) -> Result<bool> {
        if self.judged.contains(session) {
            return Ok(false);
        }
        match self.registry.shared.driver.walk(session, None).next().await {
            Some(Ok(_)) => Ok(false),
            Some(Err(error)) if !error.is_not_found() => Err(error.into()),
            Some(Err(_)) | None => Ok(true),
        }
    }

    fn age(&self, last: Option<SystemTime>) -> Age {
        let Some(last) = last else { return Age::Unknown };
        // A change after the purge began is the youngest that there can be.
        let idle = self.now.duration_since(last).unwrap_or_default();
        match self.older_than.checked_sub(idle) {
            Some(due) => Age::Due(due),
            None => Age::Stale(idle),
        }
    }

    fn stale(&self, path: &StoragePath, activity: Activity) -> Option<StaleUpload> {
        let idle = self.now.duration_since(activity.last?).ok()?;
        Some(StaleUpload { path: path.clone(), bytes: activity.bytes, idle })
    }

    fn keep_session(&mut self, due: Duration) {
        self.report.kept += 1;
        self.due(due);
    }

    fn due(&mut self, due: Duration) {
        self.report.next_due = Some(self.report.next_due.map_or(due, |next| next.min(due)));
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
