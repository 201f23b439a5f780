//! What is already in a store and which software may have put it there: samples from a bounded number of
//! listings.

use std::fmt;

use futures::{StreamExt, TryStreamExt};
use plugin_registry_core::{EntryKind, Error, RepositoryName, Result, StorageDriver, StoragePath};
use serde::{Serialize, Serializer, ser::SerializeStruct};
use uuid::Uuid;

use plugin_registry::layout;

/// How many names of one directory are read at most.
const NAMES: usize = 100;
/// How many repositories are counted at most.
const REPOSITORIES: usize = 10;
/// How many repositories are looked into at most.
const SAMPLES: usize = 2;

/// The directories that Velero has at the root of a backup location. It reports any other directory there
/// ("Backup store contains invalid top-level directories").
const VELERO: [&str; 6] = ["backups", "restores", "restic", "metadata", "plugins", "kopia"];

/// The content of a store, as far as a few listings show it.
///
/// The listings cover the first names of a directory and the first repositories. What the findings name
/// exists; what they do not name may also exist.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LayoutFindings {
    /// Whether there is a registry: blobs or repositories below `docker/registry/v2`, if only an unfinished upload.
    /// It is the answer of [`Registry::exists`](plugin_registry::Registry::exists).
    pub exists: bool,
    /// The directories of blobs, named after their algorithms.
    pub algorithms: Vec<String>,
    /// How many repositories were counted: at most 10.
    pub repositories: usize,
    /// Whether there are more repositories than that.
    pub has_more_repositories: bool,
    /// The repositories that were looked into: the first two.
    pub sampled: Vec<String>,
    /// Traces that show which software has written here.
    pub traces: Vec<LayoutTrace>,
    /// The names beside `docker` at the root of the store, which is the driver's root directory: at most 100.
    pub beside: Vec<String>,
    /// Paths that neither any version of distribution nor this program would write.
    #[serde(serialize_with = "as_texts")]
    pub unknown: Vec<StoragePath>,
    /// Listings that failed. The findings that need them are missing.
    #[serde(serialize_with = "as_errors")]
    pub failures: Vec<Error>,
}

/// A trace of a writer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayoutTrace {
    /// What the trace shows.
    pub kind: TraceKind,
    /// Where it was seen.
    pub path: StoragePath,
}

/// What a trace shows. More may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TraceKind {
    /// An unfinished upload of distribution 2.8 or older: `hashstates`, and an id of version 4.
    Distribution2Upload,
    /// An unfinished upload of distribution 3: `hashstates`, and an id of version 7.
    Distribution3Upload,
    /// An unfinished upload of this program, of 16 MiB or more: `stages`.
    OwnUpload,
    /// An unfinished upload that does not show which program began it.
    Upload,
    /// Signatures beside a revision: schema 1, as old versions of distribution 2 stored it.
    Schema1Signatures,
    /// Objects of this program below `gc`.
    OwnObjects,
}

/// The first names of a directory.
#[derive(Debug, Default)]
pub(super) struct Page {
    names: Vec<(String, EntryKind)>,
}

impl Page {
    /// Reads the first names. A missing directory counts as an empty one.
    pub(super) async fn read(driver: &dyn StorageDriver, path: &StoragePath) -> Result<Self> {
        let entries = driver.list(path, None).take(NAMES);
        match entries.map_ok(|entry| (entry.name, entry.kind)).try_collect().await {
            Ok(names) => Ok(Self { names }),
            Err(error) if error.is_not_found() => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|(this, _)| this == name)
    }

    /// The first directory whose name can be one of the layout, and all names before it that cannot.
    fn first(&self, is_ours: impl Fn(&str) -> bool) -> (Option<&str>, Vec<&str>) {
        let is_ours = |(name, kind): &&(String, EntryKind)| *kind == EntryKind::Directory && is_ours(name);
        let first = self.names.iter().find(is_ours).map(|(name, _)| name.as_str());
        let others = self.names.iter().take_while(|entry| !is_ours(entry)).map(|(name, _)| name.as_str());
        (first, others.collect())
    }
}

impl LayoutFindings {
    /// Whether there is a registry, that is, whether a repository was found.
    #[must_use]
    pub fn has_registry(&self) -> bool {
        self.repositories > 0
    }

    /// Whether there are directories of blobs. On a store that keeps empty ones, such as a file system, they
    /// may hold no blob.
    #[must_use]
    pub fn has_blobs(&self) -> bool {
        !self.algorithms.is_empty()
    }

    /// Whether a trace of this kind was seen.
    #[must_use]
    pub fn has_trace(&self, kind: TraceKind) -> bool {
        self.traces.iter().any(|trace| trace.kind == kind)
    }

    /// Returns Velero's directories at the root of the store, if one of them is made by Velero alone.
    #[must_use]
    pub fn velero(&self) -> Vec<&str> {
        let known = |name: &&str| VELERO.contains(name);
        let found: Vec<&str> = self.beside.iter().map(String::as_str).filter(known).collect();
        // Any software may choose the names `metadata` and `plugins`.
        let is_velero = found.iter().any(|name| !matches!(*name, "metadata" | "plugins"));
        if is_velero { found } else { Vec::new() }
    }

    /// Makes at most 12 listings, counting the first one, that of `docker/registry/v2`, if it worked.
    pub(super) async fn read(driver: &dyn StorageDriver, listed: Option<Page>) -> Self {
        let mut findings = Self::default();
        let store_root = StoragePath::root();
        let top = Page::read(driver, &store_root).await;
        let top = findings.keep(top);
        findings.beside =
            top.names.into_iter().map(|(name, _)| name).filter(|name| name != "docker").collect();
        if let Some(page) = listed {
            findings.read_registry(driver, &page).await;
        }
        findings
    }

    async fn read_registry(&mut self, driver: &dyn StorageDriver, page: &Page) {
        let root = layout::root();
        self.exists = page.has("blobs") || page.has("repositories");
        for (name, _) in &page.names {
            match name.as_str() {
                "blobs" | "repositories" => {}
                "gc" => self.trace(TraceKind::OwnObjects, &root, name),
                _ => self.unknown.extend(root.join(name)),
            }
        }
        if page.has("blobs") {
            let blobs = layout::blobs();
            let found = Page::read(driver, &blobs).await;
            for (name, kind) in self.keep(found).names {
                // An unknown algorithm is fine if its name could be one.
                if kind == EntryKind::Directory && name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    self.algorithms.push(name);
                } else {
                    self.unknown.extend(blobs.join(&name));
                }
            }
        }
        if page.has("repositories") {
            let found = repositories(driver).await;
            let is_name = |path: &StoragePath| {
                path.strip_prefix(&layout::repositories())
                    .is_some_and(|name| name.parse::<RepositoryName>().is_ok())
            };
            let (found, others): (Vec<_>, Vec<_>) = self.keep(found).into_iter().partition(is_name);
            self.unknown.extend(others);
            self.has_more_repositories = found.len() > REPOSITORIES;
            self.repositories = found.len().min(REPOSITORIES);
            for repository in found.iter().take(SAMPLES) {
                self.sampled.extend(repository.strip_prefix(&layout::repositories()).map(str::to_owned));
                self.read_uploads(driver, repository).await;
                self.read_revisions(driver, repository).await;
            }
        }
    }

    /// Looks at the first upload.
    async fn read_uploads(&mut self, driver: &dyn StorageDriver, repository: &StoragePath) {
        let Some((uploads, id)) = self
            .first_below(driver, repository, layout::UPLOADS, |name| {
                name.starts_with(|c: char| c.is_ascii_alphanumeric())
            })
            .await
        else {
            return;
        };
        let Some((_, page)) = self.page(driver, &uploads, &id).await else { return };
        let version = Uuid::parse_str(&id).map_or(0, |id| id.get_version_num());
        let kind = match (page.has("hashstates"), page.has("stages"), version) {
            (true, _, 4) => TraceKind::Distribution2Upload,
            (true, _, 7) => TraceKind::Distribution3Upload,
            (false, true, _) => TraceKind::OwnUpload,
            _ => TraceKind::Upload,
        };
        self.trace(kind, &uploads, &id);
    }

    /// Looks at the first revision.
    async fn read_revisions(&mut self, driver: &dyn StorageDriver, repository: &StoragePath) {
        let below = "_manifests/revisions/sha256";
        let is_digest = |hex: &str| hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some((revisions, hex)) = self.first_below(driver, repository, below, is_digest).await else {
            return;
        };
        let Some((revision, page)) = self.page(driver, &revisions, &hex).await else { return };
        for (name, _) in &page.names {
            match name.as_str() {
                "link" => {}
                "signatures" => self.trace(TraceKind::Schema1Signatures, &revision, name),
                _ => self.unknown.extend(revision.join(name)),
            }
        }
    }

    async fn first_below(
        &mut self,
        driver: &dyn StorageDriver,
        directory: &StoragePath,
        name: &str,
        is_ours: impl Fn(&str) -> bool,
    ) -> Option<(StoragePath, String)> {
        let (path, page) = self.page(driver, directory, name).await?;
        let (first, others) = page.first(is_ours);
        self.unknown.extend(others.into_iter().filter_map(|other| path.join(other).ok()));
        Some((path, first?.to_owned()))
    }

    async fn page(
        &mut self,
        driver: &dyn StorageDriver,
        directory: &StoragePath,
        name: &str,
    ) -> Option<(StoragePath, Page)> {
        let path = directory.join(name).ok()?;
        let page = Page::read(driver, &path).await;
        Some((path, self.keep(page)))
    }

    fn trace(&mut self, kind: TraceKind, directory: &StoragePath, name: &str) {
        self.traces.extend(directory.join(name).map(|path| LayoutTrace { kind, path }));
    }

    fn keep<T: Default>(&mut self, result: Result<T>) -> T {
        result.unwrap_or_else(|error| {
            self.failures.push(error);
            T::default()
        })
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let velero = self.velero();
        if !velero.is_empty() {
            warnings.push(format!(
                "Velero has a backup location at the root of this store ({}), and accepts no directory \
                 beside its own: once `docker` is there, it reports \"Backup store contains invalid \
                 top-level directories: [docker]\". Give the location its own prefix, or the registry \
                 another root directory",
                velero.join(", ")
            ));
        }
        if let Some(first) = self.unknown.first() {
            let more = match self.unknown.len() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            warnings.push(format!("{first}{more}: no registry puts that there; it is left alone"));
        }
        if self.has_trace(TraceKind::Schema1Signatures) {
            warnings.push(
                "there are signatures of schema 1 manifests: distribution 3 does not serve such manifests"
                    .to_owned(),
            );
        }
        if !self.failures.is_empty() {
            let first = self.failures.first().map(ToString::to_string).unwrap_or_default();
            warnings.push(format!("not all of the layout could be read: {first}"));
        }
        warnings
    }
}

impl fmt::Display for LayoutFindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.has_more_repositories { " or more" } else { "" };
        match (self.repositories, self.has_blobs()) {
            (0, false) if !self.exists && self.failures.is_empty() => {
                write!(f, "layout: no registry yet at {}", layout::ROOT.trim_start_matches('/'))?;
            }
            (0, false) => write!(f, "layout: no repositories and no blobs found")?,
            (0, true) => write!(f, "layout: blobs ({}), and no repositories", self.algorithms.join(", "))?,
            (1, true) => write!(f, "layout: 1 repository; blobs ({})", self.algorithms.join(", "))?,
            (1, false) => write!(f, "layout: 1 repository, and no blobs")?,
            (count, true) => {
                write!(f, "layout: {count}{more} repositories; blobs ({})", self.algorithms.join(", "))?;
            }
            (count, false) => write!(f, "layout: {count}{more} repositories, and no blobs")?,
        }
        for LayoutTrace { kind, path } in &self.traces {
            write!(f, "\nlayout: {kind}: {path}")?;
        }
        Ok(())
    }
}

impl TraceKind {
    /// Returns the words to show to people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Distribution2Upload => "an unfinished upload of distribution 2",
            Self::Distribution3Upload => "an unfinished upload of distribution 3",
            Self::OwnUpload => "an unfinished upload of plugin-registry",
            Self::Upload => "an unfinished upload",
            Self::Schema1Signatures => "signatures of a schema 1 manifest",
            Self::OwnObjects => "objects of plugin-registry",
        }
    }
}

impl fmt::Display for TraceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for LayoutTrace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut trace = serializer.serialize_struct("LayoutTrace", 2)?;
        trace.serialize_field("kind", &self.kind)?;
        trace.serialize_field("path", self.path.as_str())?;
        trace.end()
    }
}

/// Lists one repository more than are counted, to know whether there are more.
async fn repositories(driver: &dyn StorageDriver) -> Result<Vec<StoragePath>> {
    let root = layout::repositories();
    driver.find_directories(&root, "_", None).take(REPOSITORIES + 1).try_collect().await
}

fn as_texts<S: Serializer>(paths: &[StoragePath], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(StoragePath::as_str))
}

fn as_errors<S: Serializer>(errors: &[Error], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct View {
        kind: &'static str,
        error: String,
    }
    serializer.collect_seq(
        errors.iter().map(|error| View { kind: error.kind().as_str(), error: error.to_string() }),
    )
}
