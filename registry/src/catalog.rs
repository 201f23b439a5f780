//! The repositories of a registry.

use std::pin::pin;

use futures::{StreamExt, TryStreamExt};
use plugin_registry_core::{RepositoryName, StorageDriver};

use crate::{
    error::Result,
    layout,
    operation::{About, operation},
    registry::Registry,
    tag::Page,
};

impl Registry {
    /// Lists at most `limit` repositories after `last`.
    ///
    /// The order is component by component in byte order: `a/b` comes before `a-b`, as in distribution. 1
    /// driver call per page of the store, whatever the repositories hold. One that holds only unfinished
    /// uploads is listed too (ADR 0005).
    ///
    /// # Errors
    /// Only those of the store.
    pub async fn catalog(&self, last: Option<&RepositoryName>, limit: usize) -> Result<Page<RepositoryName>> {
        self.list(last, limit, |_| true).await
    }

    /// The same after any text, as in distribution. If no repository can have that name, the list is read from
    /// its beginning.
    pub(crate) async fn catalog_after(
        &self,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<RepositoryName>> {
        let Some(text) = last else { return self.catalog(None, limit).await };
        match text.parse() {
            Ok(last) => self.catalog(Some(&last), limit).await,
            Err(_) => self.list(None, limit, |name| name.as_str().split('/').gt(text.split('/'))).await,
        }
    }

    async fn list(
        &self,
        last: Option<&RepositoryName>,
        limit: usize,
        is_wanted: impl Fn(&RepositoryName) -> bool + Send,
    ) -> Result<Page<RepositoryName>> {
        let operation = operation!("catalog", self.shared, About::default());
        let page = self.page(last, limit, is_wanted);
        operation.run(pin!(page), |page, record| record.entries = Some(page.entries.len())).await
    }

    async fn page(
        &self,
        last: Option<&RepositoryName>,
        limit: usize,
        is_wanted: impl Fn(&RepositoryName) -> bool + Send,
    ) -> Result<Page<RepositoryName>> {
        let root = layout::repositories();
        let after = last.map(layout::repository);
        let mut found = self.shared.driver.find_directories(&root, "_", after.as_ref()).filter_map(|path| {
            // A name that no repository can have was put there by other software.
            let name = path.map(|path| path.strip_prefix(&root).and_then(|name| name.parse().ok()));
            std::future::ready(name.transpose())
        });
        let mut page = Page { entries: Vec::new(), has_more: false };
        while let Some(name) = found.try_next().await? {
            if !is_wanted(&name) {
                continue;
            }
            if page.entries.len() == limit {
                page.has_more = true;
                break;
            }
            page.entries.push(name);
        }
        Ok(page)
    }
}
