//! The drivers of a host, by name.

use std::{collections::BTreeMap, fmt, pin::Pin, sync::Arc};

use async_trait::async_trait;
use plugin_registry_core::{
    Error, ErrorKind, OpenDriver, Parameters, Result, StorageConfig, StorageDriver, did_you_mean, shown_words,
};

use crate::builtin;

/// Drivers of distribution before its version 3. Nobody writes them any more.
const REMOVED: &[&str] = &["oss", "swift"];

type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn StorageDriver>>> + Send>>;

/// The drivers that a host opens by name.
///
/// It is a value that the host makes and hands on, never a table of the process: two hosts in one process have
/// each their own. Cloning is cheap.
///
/// ```
/// # fn main() -> plugin_registry_core::Result<()> {
/// # use std::sync::Arc;
/// # use plugin_registry_core::{Result, StorageConfig, StorageDriver};
/// # use plugin_registry_drivers::Drivers;
/// # async fn open_tape(config: StorageConfig) -> Result<Arc<dyn StorageDriver>> {
/// #     Err(plugin_registry_core::ErrorKind::Unsupported.into())
/// # }
/// let drivers = Drivers::new().register("tape", open_tape)?;
/// assert!(drivers.names().any(|name| name == "tape"));
/// let opened = futures::executor::block_on(drivers.open(&StorageConfig::new("tape").with("drive", "0")));
/// # assert!(opened.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Drivers {
    entries: BTreeMap<String, Entry>,
}

/// What a name stands for.
#[derive(Clone)]
pub(crate) enum Entry {
    /// A driver that can be opened.
    Opens(Arc<dyn Fn(StorageConfig) -> Opening + Send + Sync>),
    /// A driver of distribution that is not in this build.
    Lacking(Lacking),
}

/// What is known of a driver that is not here.
#[derive(Clone, Copy)]
pub(crate) struct Lacking {
    /// How one comes by it.
    pub(crate) remedy: &'static str,
    /// What is wrong with its parameters all the same.
    pub(crate) check: fn(&Parameters) -> Result<()>,
}

impl Drivers {
    /// Every driver of this build: what the crate's features chose.
    ///
    /// The drivers of distribution that this build lacks stay known: opening one says which feature it needs.
    #[must_use]
    pub fn new() -> Self {
        Self { entries: builtin::entries().map(|(name, entry)| (name.to_owned(), entry)).collect() }
    }

    /// No driver at all, for a host that opens its own only.
    #[must_use]
    pub fn empty() -> Self {
        Self { entries: BTreeMap::new() }
    }

    /// Adds a driver under a name: lower-case letters, digits and `-`. `open` gets the whole configuration, and
    /// names its driver in its errors ([`Error::with_driver`]): nothing has wrapped it yet.
    ///
    /// A name that is taken is refused rather than replaced: two plugins with one name would otherwise open each
    /// other's stores, depending on who came last. A host that wants a driver of its own under a built-in name,
    /// such as a wrapper of `filesystem`, takes that one out first by [`without`](Self::without). The name of a
    /// driver that this build lacks is free.
    ///
    /// # Errors
    /// Of the kind [`InvalidConfig`](ErrorKind::InvalidConfig) for a name that is taken, empty, or has other
    /// characters.
    pub fn register<F, Fut>(mut self, name: impl Into<String>, open: F) -> Result<Self>
    where
        F: Fn(StorageConfig) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Arc<dyn StorageDriver>>> + Send + 'static,
    {
        let name = name.into();
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(mistake(format!(
                "`{}` is no name for a driver: lower-case letters, digits and `-`",
                name.escape_debug()
            )));
        }
        if let Some(Entry::Opens(_)) = self.entries.get(&name) {
            return Err(mistake(format!("there is a driver `{name}` already")));
        }
        self.entries.insert(name, Entry::new(open));
        Ok(self)
    }

    /// Takes a name out, if it is there: for a driver that a host does not want to be opened, or replaces. Each
    /// name is on its own: without `memory` there is `inmemory` still.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.entries.remove(&name.to_ascii_lowercase());
        self
    }

    /// The names that can be opened, in byte order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Opens(_) => Some(name.as_str()),
            Entry::Lacking(_) => None,
        })
    }

    /// Opens a driver. What it does to the store, what it needs from the caller's runtime, and what a dropped
    /// future leaves, its own `open` says.
    ///
    /// # Errors
    /// Of the kind [`InvalidConfig`](ErrorKind::InvalidConfig) for a driver that is not here, and for mistakes in
    /// the parameters, all of them at once; otherwise those of the driver.
    pub async fn open(&self, config: &StorageConfig) -> Result<Arc<dyn StorageDriver>> {
        match self.entries.get(&config.driver.to_ascii_lowercase()) {
            Some(Entry::Opens(open)) => open(config.clone()).await,
            Some(Entry::Lacking(Lacking { remedy, check })) => {
                check(&config.parameters)?;
                let name = config.driver.to_ascii_lowercase();
                Err(mistake(format!("this build has no driver `{name}`: {remedy}")))
            }
            None => Err(self.unknown(&config.driver)),
        }
    }

    fn unknown(&self, name: &str) -> Error {
        let shown = match shown_words(name, "._-") {
            None if name.is_empty() => "``".to_owned(),
            None => "of that name".to_owned(),
            Some(name) => format!("`{name}`"),
        };
        if let Some(removed) = REMOVED.iter().find(|removed| removed.eq_ignore_ascii_case(name)) {
            return mistake(format!("distribution 3 removed the driver `{removed}`, and there is none here"));
        }
        let known = || self.entries.keys().map(String::as_str);
        mistake(match did_you_mean(name, known()) {
            Some(near) => format!("there is no driver {shown}, did you mean `{near}`?"),
            None if self.entries.is_empty() => format!("there is no driver {shown}, nor any other"),
            None => {
                format!("there is no driver {shown}; there are {}", known().collect::<Vec<_>>().join(", "))
            }
        })
    }
}

impl Default for Drivers {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Drivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drivers ")?;
        f.debug_set().entries(self.names()).finish()
    }
}

#[async_trait]
impl OpenDriver for Drivers {
    async fn open_driver(&self, config: &StorageConfig) -> Result<Arc<dyn StorageDriver>> {
        self.open(config).await
    }
}

impl Entry {
    pub(crate) fn new<F, Fut>(open: F) -> Self
    where
        F: Fn(StorageConfig) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Arc<dyn StorageDriver>>> + Send + 'static,
    {
        Self::Opens(Arc::new(move |config| Box::pin(open(config))))
    }
}

fn mistake(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig).with_message(message)
}

#[cfg(test)]
mod tests;
