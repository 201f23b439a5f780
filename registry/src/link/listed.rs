//! Links found by a listing: what is not listed does not exist, what is listed may exist (ADR 0019).

use std::future::ready;

use futures::{StreamExt, stream::BoxStream};
use plugin_registry_core::{Algorithm, Digest, FileInfo, StorageDriver, StoragePath};

use crate::error::Result;

/// The size of a link to a canonical digest: `sha256:` and 64 characters.
const LINK_SIZE: u64 = 71;

/// A directory of sha256 links, listed from some digest on.
#[derive(Debug)]
pub(crate) struct LinkDirectory {
    path: StoragePath,
    before: Option<String>,
    after: Option<StoragePath>,
}

/// One entry of the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The digest whose link may exist. `None` for a foreign name, which still takes room in the listing.
    pub(crate) digest: Option<Digest>,
    /// Whether the link was listed by its own key and has the size of one. If not, it has to be read.
    pub(crate) is_link: bool,
}

impl LinkDirectory {
    /// All links of the directory.
    pub(crate) fn all(path: StoragePath) -> Self {
        Self { path, before: None, after: None }
    }

    /// The links of `first` and of greater digests.
    pub(crate) fn from(path: StoragePath, first: &Digest) -> Self {
        let hex = first.hex();
        // A shorter name sorts before it, and so does the directory before the link in it.
        let before = hex.get(..hex.len().saturating_sub(1)).map(str::to_owned);
        let after = path.join(&hex).ok();
        Self { path, before, after }
    }

    /// Lists the links in order of the digests: 1 driver call per page of the store. A missing directory has
    /// none.
    pub(crate) fn list<'a>(&'a self, driver: &'a dyn StorageDriver) -> BoxStream<'a, Result<Listed>> {
        let listed = if driver.capabilities().empty_directories {
            // Walking by keys, such a store would look into each directory.
            let names = driver.list(&self.path, self.before.as_deref());
            names.map(|entry| entry.map(|entry| Listed::of_name(&entry.name))).boxed()
        } else {
            let files = driver.walk(&self.path, self.after.as_ref());
            files.map(|file| file.map(|file| self.of_file(&file))).boxed()
        };
        listed
            .take_while(|listed| ready(!matches!(listed, Err(error) if error.is_not_found())))
            .map(|listed| Ok(listed?))
            .boxed()
    }

    fn of_file(&self, file: &FileInfo) -> Listed {
        let below = file.path.strip_prefix(&self.path).unwrap_or_default();
        match below.split_once('/') {
            Some((name, "link")) => Listed { is_link: file.size == LINK_SIZE, ..Listed::of_name(name) },
            _ => Listed { digest: None, is_link: false },
        }
    }
}

impl Listed {
    fn of_name(name: &str) -> Self {
        Self { digest: format!("{}:{name}", Algorithm::Sha256).parse().ok(), is_link: false }
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use plugin_registry_core::StorageDriverExt;
    use plugin_registry_drivers_memory::MemoryDriver;

    use super::*;
    use crate::layout;

    #[tokio::test]
    async fn only_a_link_of_the_right_size_counts_as_one() {
        let driver = MemoryDriver::new();
        let directory = layout::layers(&"a".parse().unwrap(), Algorithm::Sha256);
        let mut digests: Vec<Digest> = (0..5_u8).map(|n| Digest::sha256(&[n])).collect();
        digests.sort();
        let [first, whole, empty, cut, foreign] = digests[..] else { panic!() };
        let content = layout::link_content(&whole);
        let puts = [
            (first, "link", content.clone()),
            (whole, "link", content.clone()),
            (empty, "link", content.slice(..0)),
            (cut, "link", content.slice(..70)),
            (foreign, "other", content.clone()),
        ];
        for (digest, name, content) in puts {
            driver.put(&directory.join(&digest.hex()).unwrap().join(name).unwrap(), content).await.unwrap();
        }
        driver.put(&directory.join("zz/link").unwrap(), content).await.unwrap();
        let links = LinkDirectory::from(directory, &whole);
        let listed: Vec<Listed> = links.list(&driver).try_collect().await.unwrap();
        let expected =
            [(Some(whole), true), (Some(empty), false), (Some(cut), false), (None, false), (None, true)];
        let expected: Vec<Listed> =
            expected.iter().map(|(digest, is_link)| Listed { digest: *digest, is_link: *is_link }).collect();
        assert_eq!(listed, expected);
        let nowhere = LinkDirectory::all(layout::layers(&"b".parse().unwrap(), Algorithm::Sha256));
        assert_eq!(nowhere.list(&driver).try_collect::<Vec<_>>().await.unwrap(), []);
    }
}
