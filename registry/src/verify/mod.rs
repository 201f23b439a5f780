//! Looking at everything that a repository names: every link, size and digest.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use futures::{StreamExt, TryStreamExt};
use plugin_registry_core::{
    Algorithm, Descriptor, Digest, RepositoryName, StorageDriver, StorageDriverExt, StoragePath, Tag,
};

use crate::{
    blob::BlobStore,
    error::Result,
    layout,
    link::LinkStore,
    manifest::{MAX_MANIFEST_SIZE, Manifest},
    registry::{ReferencePolicy, Registry},
};

/// What [`Registry::verify`] looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyScope {
    /// One repository.
    Repository(RepositoryName),
    /// All of them.
    All,
}

/// What a verification has come to.
#[derive(Debug)]
#[non_exhaustive]
pub enum VerifyEvent<'a> {
    /// It begins with a repository.
    Repository(&'a RepositoryName),
    /// It read content and found it sound.
    Content {
        /// The digest.
        digest: Digest,
        /// The size in bytes.
        size: u64,
    },
    /// It found damage.
    Damage(&'a Finding),
}

/// A damage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The repository that needs what is damaged.
    pub repository: RepositoryName,
    /// Where it is, or should be.
    pub path: StoragePath,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.repository, self.path, self.problem)
    }
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Repositories looked at.
    pub repositories: usize,
    /// Revisions whose bytes are sound.
    pub manifests: usize,
    /// Different blobs, manifests not counted, whose bytes are sound.
    pub blobs: usize,
    /// Bytes read and found sound; content shared by repositories is read once.
    pub bytes: u64,
    /// All damage.
    pub findings: Vec<Finding>,
    /// Directories that hold a repository by their content, and whose names are none: nothing below them
    /// was looked at, and nothing here can reach it. distribution takes a first component with upper-case
    /// letters.
    pub unknown: Vec<StoragePath>,
}

impl VerifyReport {
    /// Whether no damage was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

impl Registry {
    /// Reads all content that the repositories name and compares it with its digests; follows every link,
    /// tag and reference. Changes nothing.
    ///
    /// Reads every byte once; holds about 100 bytes a blob, one manifest and one piece of content.
    /// Dropping the future stops it.
    ///
    /// # Errors
    /// [`RegistryError::RepositoryUnknown`](crate::RegistryError::RepositoryUnknown) for a repository that
    /// holds nothing, and those of the store: damage is no error but a [`Finding`].
    #[tracing::instrument(
        level = "error", skip_all,
        fields(location = self.inner.location(), instance = self.inner.instance())
    )]
    pub async fn verify(
        &self,
        scope: VerifyScope,
        mut observer: impl FnMut(VerifyEvent<'_>) + Send,
    ) -> Result<VerifyReport> {
        let mut verification = Verification {
            registry: self,
            report: VerifyReport::default(),
            checked: HashMap::new(),
            observer: &mut observer,
        };
        match scope {
            VerifyScope::Repository(name) => verification.repository(&name).await?,
            VerifyScope::All => {
                let root = layout::repositories();
                let mut found = self.inner.driver.list_marked(&root, "_", None);
                while let Some(path) = found.try_next().await? {
                    match path.strip_prefix(&root).and_then(|name| name.parse().ok()) {
                        Some(name) => verification.repository(&name).await?,
                        None => verification.report.unknown.push(path),
                    }
                }
            }
        }
        Ok(verification.report)
    }
}

struct Verification<'a> {
    registry: &'a Registry,
    report: VerifyReport,
    /// Content that was read: its size, or `None` where it is missing or damaged.
    checked: HashMap<Digest, Option<u64>>,
    observer: &'a mut (dyn FnMut(VerifyEvent<'_>) + Send),
}

impl Verification<'_> {
    async fn repository(&mut self, name: &RepositoryName) -> Result<()> {
        // A repository that holds nothing at all is an error here, an empty one is not.
        let tags = self.registry.repository(name.clone()).tags().list(None, usize::MAX).await;
        let tags = match tags {
            Err(crate::RegistryError::RepositoryUnknown(_)) if self.has_uploads_only(name).await? => {
                return Ok(());
            }
            tags => tags?.entries,
        };
        self.report.repositories += 1;
        (self.observer)(VerifyEvent::Repository(name));
        let mut revisions = HashSet::new();
        for algorithm in Algorithm::ALL {
            for digest in self.linked(name, &layout::revisions(name, algorithm), algorithm).await? {
                let path = layout::revision_link(name, &digest);
                if let Some(canonical) = self.follow(name, &path, &digest).await? {
                    revisions.insert(digest);
                    if canonical != digest
                        && self
                            .follow_quietly(&layout::revision_link(name, &canonical), &canonical)
                            .await?
                            .is_none()
                    {
                        self.damage(
                            name,
                            path,
                            format!("the alias of {canonical} has no revision to stand for"),
                        );
                    }
                }
            }
        }
        let mut layers = HashMap::new();
        for algorithm in Algorithm::ALL {
            for digest in self.linked(name, &layout::layers(name, algorithm), algorithm).await? {
                if let Some(canonical) =
                    self.follow(name, &layout::layer_link(name, &digest), &digest).await?
                {
                    // What a delete by the sha256 digest leaves counts for nobody (ADR 0013).
                    if canonical != digest && !layers.contains_key(&canonical) {
                        continue;
                    }
                    let size = self.content(name, &canonical).await?;
                    layers.insert(digest, size);
                }
            }
        }
        let canonical: Vec<Digest> =
            revisions.iter().filter(|digest| digest.is_canonical()).copied().collect();
        for digest in canonical {
            self.manifest(name, &digest, &revisions, &layers).await?;
        }
        for tag in &tags {
            self.tag(name, tag, &revisions).await?;
        }
        Ok(())
    }

    async fn has_uploads_only(&self, name: &RepositoryName) -> Result<bool> {
        Ok(self.registry.inner.driver.stat(&layout::uploads(name)).await.is_ok())
    }

    /// The digests of a directory of links.
    async fn linked(
        &mut self,
        name: &RepositoryName,
        directory: &StoragePath,
        algorithm: Algorithm,
    ) -> Result<Vec<Digest>> {
        let registry = self.registry;
        let mut entries = registry.inner.driver.list(directory, None);
        let mut digests = Vec::new();
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(entry) => match format!("{algorithm}:{}", entry.name).parse() {
                    Ok(digest) => digests.push(digest),
                    Err(error) => {
                        let problem = format!("the name `{}` is no digest: {error}", entry.name);
                        self.damage(name, directory.clone(), problem);
                    }
                },
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(digests)
    }

    /// Where a link leads. A directory without a link is no damage: distribution on a filesystem leaves it
    /// when it deletes, and so does a push that was killed. What is lost by it is missed by the manifest,
    /// index or tag that names it.
    async fn follow(
        &mut self,
        name: &RepositoryName,
        path: &StoragePath,
        digest: &Digest,
    ) -> Result<Option<Digest>> {
        let target = self.follow_quietly(path, digest).await?;
        if target.is_none() && self.registry.inner.driver.exists(path).await? {
            self.damage(name, path.clone(), "the link is empty, or names other content".to_owned());
        }
        Ok(target)
    }

    async fn follow_quietly(&self, path: &StoragePath, digest: &Digest) -> Result<Option<Digest>> {
        LinkStore::new(&self.registry.inner.driver).follow(path, digest).await
    }

    /// Reads content once: its size if it is sound.
    async fn content(&mut self, name: &RepositoryName, digest: &Digest) -> Result<Option<u64>> {
        if let Some(known) = self.checked.get(digest) {
            return Ok(*known);
        }
        let size = match BlobStore::new(&self.registry.inner).verify(digest).await? {
            Some(Ok(size)) => {
                self.report.blobs += 1;
                self.report.bytes += size;
                (self.observer)(VerifyEvent::Content { digest: *digest, size });
                Some(size)
            }
            Some(Err(error)) => {
                self.damage(name, layout::blob_data(digest), error.to_string());
                None
            }
            None => {
                self.damage(name, layout::blob_data(digest), "the bytes are missing".to_owned());
                None
            }
        };
        self.checked.insert(*digest, size);
        Ok(size)
    }

    async fn manifest(
        &mut self,
        name: &RepositoryName,
        digest: &Digest,
        revisions: &HashSet<Digest>,
        layers: &HashMap<Digest, Option<u64>>,
    ) -> Result<()> {
        let path = layout::blob_data(digest);
        let bytes = match BlobStore::new(&self.registry.inner).get(digest, MAX_MANIFEST_SIZE).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                self.damage(name, path, "the manifest's bytes are missing".to_owned());
                return Ok(());
            }
            Err(crate::RegistryError::Damaged(problem)) => {
                self.damage(name, path, problem);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.report.manifests += 1;
        self.report.bytes += bytes.len() as u64;
        (self.observer)(VerifyEvent::Content { digest: *digest, size: bytes.len() as u64 });
        let manifest = Manifest::from_stored(*digest, bytes);
        let links = layout::links_of(&manifest);
        for Descriptor { digest: blob, size: named, .. } in &links.blobs {
            let problem = match layers.get(blob) {
                // Content that is damaged was reported with its own path.
                Some(None) => None,
                Some(Some(actual)) if actual != named && *named != 0 => {
                    Some(format!("manifest {digest} says that {blob} has {named} bytes, it has {actual}"))
                }
                Some(Some(_)) => None,
                None if self.registry.inner.options.references == ReferencePolicy::Sparse => None,
                None => Some(format!("manifest {digest} needs {blob}, which is not in the repository")),
            };
            if let Some(problem) = problem {
                self.damage(name, layout::layer_link(name, blob), problem);
            }
        }
        for child in &links.manifests {
            let may_miss = self.registry.inner.options.references != ReferencePolicy::Complete;
            if !may_miss && !revisions.contains(&child.digest) {
                let problem =
                    format!("index {digest} needs manifest {}, which is not in the repository", child.digest);
                self.damage(name, layout::revision_link(name, &child.digest), problem);
            }
        }
        Ok(())
    }

    async fn tag(&mut self, name: &RepositoryName, tag: &Tag, revisions: &HashSet<Digest>) -> Result<()> {
        let path = layout::tag_current(name, tag);
        let problem = match LinkStore::new(&self.registry.inner.driver).read(&path).await? {
            None => "the tag's link is missing or damaged".to_owned(),
            Some(digest) if !revisions.contains(&digest) => {
                format!("the tag names {digest}, which is not in the repository")
            }
            Some(_) => return Ok(()),
        };
        self.damage(name, path, problem);
        Ok(())
    }

    fn damage(&mut self, repository: &RepositoryName, path: StoragePath, problem: String) {
        let finding = Finding { repository: repository.clone(), path, problem };
        (self.observer)(VerifyEvent::Damage(&finding));
        self.report.findings.push(finding);
    }
}
