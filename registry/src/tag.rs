//! The tags of one repository.

use std::pin::pin;

use futures::{StreamExt, TryStreamExt, future::ready, stream};
use plugin_registry_core::{Digest, EntryKind, StorageDriver, StorageDriverExt, Tag};

use crate::{
    error::{RegistryError, Result},
    layout,
    link::LinkStore,
    operation::operation,
    repository::Repository,
};

/// The tags of one repository: [`Repository::tags`](crate::Repository::tags). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tags {
    repository: Repository,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The entries, in order.
    pub entries: Vec<T>,
    /// Whether more follow after the last one.
    pub has_more: bool,
}

impl Repository {
    /// Returns its tags.
    #[must_use]
    pub fn tags(&self) -> Tags {
        Tags { repository: self.clone() }
    }
}

impl Tags {
    fn links(&self) -> LinkStore<'_> {
        LinkStore::new(&self.repository.shared.driver)
    }

    /// Returns the digest that a tag names now, or `None` if there is no such tag. 1 driver call.
    ///
    /// # Errors
    /// Only those of the store.
    pub async fn resolve(&self, tag: &Tag) -> Result<Option<Digest>> {
        let about = self.repository.about().with_tags(std::slice::from_ref(tag));
        let operation = operation!("tag.resolve", self.repository.shared, about);
        operation.run(pin!(self.current(tag)), |digest, record| record.digest = *digest).await
    }

    pub(crate) async fn current(&self, tag: &Tag) -> Result<Option<Digest>> {
        self.links().read(&layout::tag_current(&self.repository.name, tag)).await
    }

    /// Lists at most `limit` tags after `last`, in byte order.
    ///
    /// 1 driver call per page of the store; holds one page.
    ///
    /// # Errors
    /// [`RegistryError::RepositoryUnknown`] if the repository holds nothing.
    pub async fn list(&self, last: Option<&str>, limit: usize) -> Result<Page<Tag>> {
        let operation = operation!("tag.list", self.repository.shared, self.repository.about());
        let page = self.page(last, limit);
        operation.run(pin!(page), |page, record| record.entries = Some(page.entries.len())).await
    }

    pub(crate) async fn page(&self, last: Option<&str>, limit: usize) -> Result<Page<Tag>> {
        let directory = layout::tags(&self.repository.name);
        let mut entries = self.repository.shared.driver.list(&directory, last);
        let mut page = Page { entries: Vec::new(), has_more: false };
        let mut any = false;
        while let Some(entry) = entries.next().await {
            let entry = match entry {
                Err(error) if error.is_not_found() => break,
                entry => entry?,
            };
            any = true;
            // Only directories with a tag's name are tags. Anything else was put there by other software.
            let Some(tag) = (entry.kind == EntryKind::Directory).then(|| entry.name.parse().ok()).flatten()
            else {
                continue;
            };
            if page.entries.len() == limit {
                page.has_more = true;
                break;
            }
            page.entries.push(tag);
        }
        if !any && !self.repository_exists().await? {
            return Err(RegistryError::RepositoryUnknown(self.repository.name.clone()));
        }
        Ok(page)
    }

    async fn repository_exists(&self) -> Result<bool> {
        let directory = layout::repository(&self.repository.name);
        // A repository may have any number of other repositories below it; names that begin with `_` are few.
        let names = self.repository.shared.driver.list(&directory, Some("_")).map_ok(|entry| entry.name);
        let mut own = names.try_take_while(|name| ready(Ok(name.starts_with('_'))));
        loop {
            match own.try_next().await {
                Ok(Some(name)) if name == "_layers" || name == "_manifests" => return Ok(true),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(false),
                Err(error) if error.is_not_found() => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Points a tag at a revision: the index entry first, then the current link. A crash in between leaves the
    /// tag as it was.
    pub(crate) async fn set(&self, tag: &Tag, digest: &Digest) -> Result<()> {
        self.links().write(&layout::tag_index(&self.repository.name, tag, digest), digest).await?;
        self.links().write(&layout::tag_current(&self.repository.name, tag), digest).await
    }

    /// Deletes a tag with its history. The manifest that it named stays.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`] if there is no such tag; [`RegistryError::DeletesOff`] if deletes are
    /// off.
    pub async fn delete(&self, tag: &Tag) -> Result<()> {
        let about = self.repository.about().with_tags(std::slice::from_ref(tag));
        let operation = operation!("tag.delete", self.repository.shared, about);
        operation.run(pin!(self.remove(tag)), |_, _| ()).await
    }

    pub(crate) async fn remove(&self, tag: &Tag) -> Result<()> {
        self.repository.shared.require_delete()?;
        match self.repository.shared.driver.delete(&layout::tag(&self.repository.name, tag)).await {
            Err(error) if error.is_not_found() => Err(RegistryError::ManifestUnknown {
                repository: self.repository.name.clone(),
                reference: tag.clone().into(),
            }),
            result => Ok(result?),
        }
    }

    /// Returns all tags that name one of `digests` now: 1 listing, and 1 driver call per tag, `concurrency` at
    /// a time.
    pub(crate) async fn naming(&self, digests: &[Digest]) -> Result<Vec<Tag>> {
        let directory = layout::tags(&self.repository.name);
        let entries = self.repository.shared.driver.list(&directory, None).filter_map(|entry| async move {
            match entry {
                Ok(entry) => entry.name.parse::<Tag>().ok().map(Ok),
                Err(error) if error.is_not_found() => None,
                Err(error) => Some(Err(RegistryError::from(error))),
            }
        });
        let resolved = entries.map(|tag| async move {
            let tag = tag?;
            let digest = self.current(&tag).await?;
            Ok::<_, RegistryError>(digest.filter(|digest| digests.contains(digest)).map(|_| tag))
        });
        resolved
            .buffer_unordered(self.repository.shared.options.concurrency)
            .try_filter_map(|tag| async move { Ok(tag) })
            .try_collect()
            .await
    }

    /// Deletes several tags.
    pub(crate) async fn delete_all(&self, tags: Vec<Tag>) -> Result<()> {
        stream::iter(tags)
            .map(|tag| async move {
                let path = layout::tag(&self.repository.name, &tag);
                self.repository.shared.driver.delete_if_exists(&path).await.map_err(RegistryError::from)
            })
            .buffer_unordered(self.repository.shared.options.concurrency)
            .try_collect()
            .await
    }
}
