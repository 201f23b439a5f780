//! The drivers of a host, by name.

use std::{collections::BTreeMap, fmt, pin::Pin, sync::Arc};

use async_trait::async_trait;
use plugin_registry_core::{
    Error, ErrorKind, OpenDriver, Parameters, Result, StorageConfig, StorageDriver, did_you_mean, shown_words,
};

use crate::builtin;

/// Drivers of distribution before its version 3, which are no longer maintained.
const REMOVED: &[&str] = &["oss", "swift"];

type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn StorageDriver>>> + Send>>;

/// The drivers that a host opens by name.
///
/// It is a value that the host creates and passes on, never a table of the process: two hosts in one process
/// each have their own. Cloning is cheap.
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

/// The entry of a name.
#[derive(Clone)]
pub(crate) enum Entry {
    /// A driver that can be opened.
    Opens(Arc<dyn Fn(StorageConfig) -> Opening + Send + Sync>),
    /// A driver of distribution that is not in this build.
    Unavailable(Unavailable),
}

/// Facts about a driver that this build lacks.
#[derive(Clone, Copy)]
pub(crate) struct Unavailable {
    /// How to get the driver.
    pub(crate) remedy: &'static str,
    /// Checks its parameters even so.
    pub(crate) check: fn(&Parameters) -> Result<()>,
}

impl Drivers {
    /// All drivers of this build, as selected by the crate's features.
    ///
    /// The drivers of distribution that this build lacks stay known: opening one says which feature it needs, or
    /// that it is still to come.
    #[must_use]
    pub fn new() -> Self {
        Self { entries: builtin::entries().map(|(name, entry)| (name.to_owned(), entry)).collect() }
    }

    /// No drivers, for a host that opens only its own.
    #[must_use]
    pub fn empty() -> Self {
        Self { entries: BTreeMap::new() }
    }

    /// Adds a driver under a name of lower-case letters, digits and `-`. `open` gets the whole configuration.
    /// It names its driver in its errors ([`Error::with_driver`]), since nothing has wrapped it yet.
    ///
    /// A name that is taken is refused, not replaced: otherwise two plugins with one name would open each
    /// other's stores, depending on which came last. A host that wants its own driver under a built-in name,
    /// such as a wrapper of `filesystem`, first removes that one with [`without`](Self::without). The name of a
    /// driver that this build lacks is free.
    ///
    /// # Errors
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) if the name is taken, empty, or has other characters.
    pub fn register<F, Fut>(mut self, name: impl Into<String>, open: F) -> Result<Self>
    where
        F: Fn(StorageConfig) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Arc<dyn StorageDriver>>> + Send + 'static,
    {
        let name = name.into();
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(mistake(format!(
                "invalid driver name `{}`: use lower-case letters, digits and `-`",
                name.escape_debug()
            )));
        }
        if let Some(Entry::Opens(_)) = self.entries.get(&name) {
            return Err(mistake(format!("the driver `{name}` exists already")));
        }
        self.entries.insert(name, Entry::new(open));
        Ok(self)
    }

    /// Removes a name, if it exists: for a driver that a host does not want to open, or replaces. Each name
    /// stands alone: without `memory` there is still `inmemory`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.entries.remove(&name.to_ascii_lowercase());
        self
    }

    /// The names that can be opened, in byte order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Opens(_) => Some(name.as_str()),
            Entry::Unavailable(_) => None,
        })
    }

    /// Opens a driver. The driver's own `open` documents what it does to the store, what it needs from the
    /// caller's runtime, and what a dropped future leaves behind.
    ///
    /// # Errors
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for a driver that is not in this build, and for mistakes in
    /// the parameters, all of them at once; otherwise the errors of the driver.
    pub async fn open(&self, config: &StorageConfig) -> Result<Arc<dyn StorageDriver>> {
        match self.entries.get(&config.driver.to_ascii_lowercase()) {
            Some(Entry::Opens(open)) => open(config.clone()).await,
            Some(Entry::Unavailable(Unavailable { remedy, check })) => {
                check(&config.parameters)?;
                let name = config.driver.to_ascii_lowercase();
                Err(mistake(format!("this build has no driver `{name}`: {remedy}")))
            }
            None => Err(self.unknown(&config.driver)),
        }
    }

    fn unknown(&self, name: &str) -> Error {
        let shown = match shown_words(name, "._-") {
            None if name.is_empty() => " ``".to_owned(),
            None => String::new(),
            Some(name) => format!(" `{name}`"),
        };
        if let Some(removed) = REMOVED.iter().find(|removed| removed.eq_ignore_ascii_case(name)) {
            return mistake(format!("distribution 3 removed the driver `{removed}`; it is not supported"));
        }
        let known = || self.entries.keys().map(String::as_str);
        mistake(match did_you_mean(name, known()) {
            Some(near) => format!("unknown driver{shown}, did you mean `{near}`?"),
            None if self.entries.is_empty() => format!("unknown driver{shown}: no driver is registered"),
            None => {
                format!("unknown driver{shown}; known drivers: {}", known().collect::<Vec<_>>().join(", "))
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
