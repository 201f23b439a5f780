//! What a removal takes away and what stays, found out by reading.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use plugin_registry::{
    Registry, RegistryError, Repository, layout,
    manifest::{Manifest, links_of},
};
use plugin_registry_core::{
    Algorithm, Digest, Reference, RepositoryName, StorageDriver, StorageDriverExt, StoragePath, Tag,
};

use super::Target;

/// Requests at a time.
const PARALLEL: usize = 16;

/// What is there before anything is removed.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The manifest that a tag names.
    pub(super) digest: Option<Digest>,
    /// For a tag, the other tags that name its manifest; otherwise the tags that go.
    pub(super) tags: Vec<Tag>,
    /// The children of an index, which keep their own revisions.
    pub(super) children: Vec<Digest>,
    /// The content whose bytes stay; `None` if the image cannot be read.
    pub(super) content: Option<Content>,
}

/// Content in the store, each counted once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Content {
    pub(super) manifests: usize,
    pub(super) blobs: usize,
    pub(super) bytes: Option<u64>,
}

impl Plan {
    /// # Errors
    /// Fails if the target does not exist, and with the errors of the store. A damaged image can be removed, so
    /// it is no error here.
    pub(super) async fn of(
        registry: &Registry,
        name: &RepositoryName,
        target: &Target,
    ) -> Result<Self, RegistryError> {
        let repository = registry.repository(name.clone());
        match target {
            Target::Tag(tag) => of_tag(registry, &repository, tag).await,
            Target::Manifest(digest) => of_manifest(registry, &repository, digest).await,
            Target::Repository => of_repository(registry, &repository).await,
        }
    }
}

async fn of_tag(registry: &Registry, repository: &Repository, tag: &Tag) -> Result<Plan, RegistryError> {
    let digest = match repository.tags().resolve(tag).await {
        // A tag whose link is damaged can be removed, too.
        Err(RegistryError::Damaged(_)) => return Ok(Plan::default()),
        resolved => resolved?,
    };
    let Some(digest) = digest else {
        let directory = layout::tag(repository.name(), tag);
        require(registry, repository, &directory, tag.clone().into()).await?;
        return Ok(Plan::default());
    };
    let mut tags = naming(repository, &digest).await?;
    tags.retain(|other| other != tag);
    let (content, _) = image(repository, &digest).await?;
    Ok(Plan { digest: Some(digest), tags, children: Vec::new(), content })
}

async fn of_manifest(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
) -> Result<Plan, RegistryError> {
    require(registry, repository, &layout::revision_link(repository.name(), digest), (*digest).into())
        .await?;
    let (content, children) = image(repository, digest).await?;
    Ok(Plan { digest: Some(*digest), tags: naming(repository, digest).await?, children, content })
}

/// Fails if nothing is there, whether it can be read or not.
async fn require(
    registry: &Registry,
    repository: &Repository,
    path: &StoragePath,
    reference: Reference,
) -> Result<(), RegistryError> {
    if registry.driver().exists(path).await? {
        return Ok(());
    }
    Err(RegistryError::ManifestUnknown { repository: repository.name().clone(), reference })
}

/// Counts links, since reading all manifests could take long.
async fn of_repository(registry: &Registry, repository: &Repository) -> Result<Plan, RegistryError> {
    let name = repository.name();
    let tags = match all_tags(repository).await {
        // A repository that holds nothing is an error, unless it is one whose first push broke off.
        Err(RegistryError::RepositoryUnknown(_))
            if registry.driver().exists(&layout::uploads(name)).await? =>
        {
            Vec::new()
        }
        tags => tags?,
    };
    let mut content = Content::default();
    for algorithm in Algorithm::ALL {
        content.manifests += linked(registry, &layout::revisions(name, algorithm)).await?;
        content.blobs += linked(registry, &layout::layers(name, algorithm)).await?;
    }
    Ok(Plan { tags, content: Some(content), ..Plan::default() })
}

/// The number of links in a directory.
async fn linked(registry: &Registry, directory: &StoragePath) -> Result<usize, RegistryError> {
    let mut links = 0;
    let mut entries = registry.driver().list(directory, None);
    loop {
        match entries.try_next().await {
            Ok(Some(_)) => links += 1,
            Ok(None) => return Ok(links),
            Err(error) if error.is_not_found() => return Ok(links),
            Err(error) => return Err(error.into()),
        }
    }
}

async fn all_tags(repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
    Ok(repository.tags().list(None, usize::MAX).await?.entries)
}

/// The tags that name a manifest.
async fn naming(repository: &Repository, digest: &Digest) -> Result<Vec<Tag>, RegistryError> {
    let tags = repository.tags();
    let resolved = stream::iter(all_tags(repository).await?).map(|tag| {
        let tags = tags.clone();
        async move {
            match tags.resolve(&tag).await {
                Err(RegistryError::Damaged(_)) => Ok(None),
                resolved => resolved.map(|named| (named == Some(*digest)).then_some(tag)),
            }
        }
    });
    let named: Vec<Option<Tag>> = resolved.buffered(PARALLEL).try_collect().await?;
    Ok(named.into_iter().flatten().collect())
}

/// The content of an image with all its platforms, and the manifests below it; no content if a part of it is
/// damaged or missing.
async fn image(
    repository: &Repository,
    digest: &Digest,
) -> Result<(Option<Content>, Vec<Digest>), RegistryError> {
    let Some(root) = readable(repository, digest).await? else { return Ok((None, Vec::new())) };
    let mut sizes = HashMap::from([(*digest, root.bytes().len() as u64)]);
    let (mut blobs, mut below) = (HashMap::new(), Vec::new());
    let mut next = vec![root];
    let mut is_whole = true;
    while let Some(manifest) = next.pop() {
        let links = links_of(&manifest);
        blobs.extend(links.blobs.iter().map(|blob| (blob.digest, blob.size)));
        for child in links.manifests {
            if sizes.insert(child.digest, child.size).is_some() {
                continue;
            }
            match readable(repository, &child.digest).await? {
                Some(manifest) => {
                    below.push(child.digest);
                    next.push(manifest);
                }
                None => is_whole = false,
            }
        }
    }
    let bytes = sizes.values().chain(blobs.values()).sum();
    let content = Content { manifests: sizes.len(), blobs: blobs.len(), bytes: Some(bytes) };
    Ok((is_whole.then_some(content), below))
}

/// A manifest that is there and whole.
async fn readable(repository: &Repository, digest: &Digest) -> Result<Option<Manifest>, RegistryError> {
    match repository.manifests().get(&Reference::Digest(*digest)).await {
        Ok(manifest) => Ok(Some(manifest)),
        Err(error) if error.is_not_found() || matches!(error, RegistryError::Damaged(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
