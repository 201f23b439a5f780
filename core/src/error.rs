//! The one storage error: what failed, in which driver, in which operation, on which path.
//!
//! The rule for every error of this workspace: its `Display` says all of it, with the text of the error that it
//! wraps and of that one's causes. So its [`source`](StdError::source) is `None`, and a host that logs `{error}`
//! and a host that walks the chain read the same words, once. Programs find the wrapped error in the variant, or
//! with [`Error::get_ref`]. (`#[error(transparent)]` fits; a field named `source`, `#[source]` and `#[from]` on
//! any other variant do not, since they show the cause twice.)

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

use crate::{metrics::Operation, path::StoragePath};

/// The result of a storage operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Arc<dyn StdError + Send + Sync + 'static>;

/// The kind of a storage operation's failure.
///
/// A driver maps every error of its SDK to one of these, in a table with a test per row. It reports
/// [`ErrorKind::NotFound`] only if the store said so. A refused or failed request never becomes "not found": a
/// listing error once made a garbage collector believe that a repository was empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store answered that nothing is at this path.
    NotFound,
    /// A create-only write found something at this path.
    AlreadyExists,
    /// The path breaks the grammar, or is the root where a file is expected.
    InvalidPath,
    /// An offset beyond the end, or not at the end where bytes are appended.
    InvalidOffset,
    /// The content is larger than the caller's or the store's limit.
    TooLarge,
    /// The credentials are valid but do not allow this.
    PermissionDenied,
    /// The credentials are missing, wrong or expired.
    Unauthenticated,
    /// The store is full or a quota is used up.
    NoSpace,
    /// The store refuses all writes.
    ReadOnly,
    /// Another writer is changing the same thing at this moment.
    Conflict,
    /// The store asks the caller to slow down.
    RateLimited,
    /// The store did not answer in time. A write may or may not have taken effect.
    Timeout,
    /// The store cannot be reached or answers with a server error.
    Unavailable,
    /// The driver does not offer this operation.
    Unsupported,
    /// The stored bytes do not match their path or size.
    Corrupted,
    /// The driver's settings are wrong.
    InvalidConfig,
    /// Everything else. The source says more.
    Other,
}

impl ErrorKind {
    /// Returns whether repeating the same call later may succeed without any change in between.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Timeout | Self::Unavailable | Self::Conflict)
    }

    /// Returns a short phrase for messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::InvalidPath => "invalid path",
            Self::InvalidOffset => "invalid offset",
            Self::TooLarge => "too large",
            Self::PermissionDenied => "permission denied",
            Self::Unauthenticated => "not authenticated",
            Self::NoSpace => "no space left in the store",
            Self::ReadOnly => "the store is read-only",
            Self::Conflict => "conflicting change",
            Self::RateLimited => "rate limited",
            Self::Timeout => "timed out",
            Self::Unavailable => "store unavailable",
            Self::Unsupported => "not supported by the driver",
            Self::Corrupted => "stored content is damaged",
            Self::InvalidConfig => "invalid configuration",
            Self::Other => "failed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error of a storage driver.
///
/// It is one pointer wide. [`Checked`](crate::Checked) fills in the driver's name, the operation and the path
/// if the driver left them out. The text names these three and never a secret: drivers put no signed URL and no
/// header into messages or sources. The text includes the causes, so [`source`](StdError::source) is `None`;
/// [`get_ref`](Self::get_ref) returns the cause.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    context: Option<String>,
    driver: Option<&'static str>,
    operation: Option<Operation>,
    path: Option<String>,
    message: Option<Cow<'static, str>>,
    mistakes: Option<Arc<[String]>>,
    retryable: Option<bool>,
    source: Option<Source>,
}

impl Error {
    /// Creates an error of this kind, with everything else still unknown.
    #[must_use]
    pub fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner {
            kind,
            context: None,
            driver: None,
            operation: None,
            path: None,
            message: None,
            mistakes: None,
            retryable: None,
            source: None,
        }))
    }

    /// Adds a message that says more than the kind.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = Some(message.into());
        self
    }

    /// Lists what is wrong with a configuration, one entry each. None may hold a secret.
    #[must_use]
    pub fn with_mistakes(mut self, mistakes: Vec<String>) -> Self {
        self.0.mistakes = Some(mistakes.into());
        self
    }

    /// Says first what could not be done because of this error: `location `x` cannot be opened`. A later context
    /// comes before an earlier one.
    #[must_use]
    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        let context = context.into();
        self.0.context = Some(match self.0.context.take() {
            Some(earlier) => format!("{context}: {earlier}"),
            None => context,
        });
        self
    }

    /// Adds the error that caused this one. It becomes part of the text, and must not hold secrets.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync + 'static>>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// Names the path, unless one is already named.
    #[must_use]
    pub fn with_path(self, path: &StoragePath) -> Self {
        self.with_raw_path(path.as_str())
    }

    /// Names a path that may break the grammar, unless one is already named.
    #[must_use]
    pub fn with_raw_path(mut self, path: &str) -> Self {
        if self.0.path.is_none() {
            self.0.path = Some(path.escape_default().collect());
        }
        self
    }

    /// Names the driver, unless one is already named.
    #[must_use]
    pub fn with_driver(mut self, driver: &'static str) -> Self {
        self.0.driver.get_or_insert(driver);
        self
    }

    /// Names the operation, unless one is already named.
    #[must_use]
    pub fn with_operation(mut self, operation: Operation) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// Overrides whether the kind says that the call may be repeated.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = Some(retryable);
        self
    }

    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the driver's name, once known.
    #[must_use]
    pub fn driver(&self) -> Option<&'static str> {
        self.0.driver
    }

    /// Returns the operation that failed, once known.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        self.0.operation
    }

    /// Returns the path of the operation, with control characters escaped.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// Returns the message that says more than the kind, if there is one.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Returns what is wrong with a configuration, for a host that shows one mistake after the other: each names its
    /// key and place. [`message`](Self::message) has them in one line. At most the first twenty; none for all
    /// other kinds.
    pub fn mistakes(&self) -> impl Iterator<Item = &str> {
        let listed = self.0.mistakes.as_deref().unwrap_or_default();
        let is_only_one = listed.is_empty() && self.kind() == ErrorKind::InvalidConfig;
        let message = self.message().filter(|_| is_only_one);
        listed.iter().map(String::as_str).chain(message)
    }

    /// Returns the error that caused this one, if the driver added it. The text already includes it.
    #[must_use]
    pub fn get_ref(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    /// Returns whether the same call may succeed later without any change in between.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable.unwrap_or_else(|| self.0.kind.is_transient())
    }

    /// Returns whether the store said that nothing is at the path.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.0.kind == ErrorKind::NotFound
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        if let Some(context) = &inner.context {
            write!(f, "{context}: ")?;
        }
        if let Some(driver) = inner.driver {
            write!(f, "{driver} driver: ")?;
        }
        match (inner.operation, &inner.path) {
            (Some(operation), Some(path)) => write!(f, "{operation} {path}: ")?,
            (Some(operation), None) => write!(f, "{operation}: ")?,
            (None, Some(path)) => write!(f, "{path}: ")?,
            (None, None) => {}
        }
        let mut said = inner.kind.to_string();
        if let Some(message) = &inner.message {
            said.push_str(": ");
            said.push_str(message);
        }
        add_causes(&mut said, self.get_ref().map(|source| source as &(dyn StdError + 'static)));
        f.write_str(&said)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `source` is `None`: the text includes the cause.
impl StdError for Error {}

/// Returns the text of any error with that of its causes, each once.
///
/// It is for errors of other crates, whose text usually leaves out the cause. Some include it, so a cause whose
/// words are already there is not repeated.
///
/// ```
/// use plugin_registry_core::{Error, ErrorKind, error_text};
/// let error = Error::new(ErrorKind::Timeout).with_source(std::io::Error::other("no answer"));
/// assert_eq!(error.to_string(), "timed out: no answer");
/// assert_eq!(error_text(&error), error.to_string());
/// ```
#[must_use]
pub fn error_text(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    add_causes(&mut text, error.source());
    text
}

fn add_causes(text: &mut String, first: Option<&(dyn StdError + 'static)>) {
    let mut next = first;
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_driver_operation_and_path() {
        let path: StoragePath = "/a/b".parse().unwrap();
        let error = Error::new(ErrorKind::NoSpace)
            .with_message("12 bytes free")
            .with_path(&path)
            .with_operation(Operation::PutContent)
            .with_driver("filesystem");
        assert_eq!(
            error.to_string(),
            "filesystem driver: put_content /a/b: no space left in the store: 12 bytes free"
        );
    }

    #[test]
    fn an_operation_may_have_no_path() {
        let error = Error::new(ErrorKind::Timeout).with_operation(Operation::List).with_driver("s3");
        assert_eq!(error.to_string(), "s3 driver: list: timed out");
    }

    #[test]
    fn the_first_name_wins() {
        let error =
            Error::new(ErrorKind::Other).with_driver("inner").with_driver("outer").with_raw_path("/x\n");
        assert_eq!(error.driver(), Some("inner"));
        assert_eq!(error.path(), Some("/x\\n"));
    }

    #[test]
    fn a_clone_says_the_same() {
        let error = Error::new(ErrorKind::Other).with_path(&"/a".parse().unwrap()).with_source("a cause");
        let clone = error.clone();
        assert_eq!(format!("{clone:?}"), format!("{error:?}"));
        assert_eq!(clone.get_ref().unwrap().to_string(), "a cause");
    }

    /// An error of another crate, whose text leaves out its cause.
    #[derive(Debug, thiserror::Error)]
    #[error("no connection")]
    struct Foreign(#[source] std::io::Error);

    #[test]
    fn the_text_has_every_cause_once() {
        let foreign = || Foreign(std::io::Error::other("the wire is cut"));
        let error = Error::new(ErrorKind::Unavailable).with_driver("s3").with_source(foreign());
        assert_eq!(error.to_string(), "s3 driver: store unavailable: no connection: the wire is cut");
        assert!(error.source().is_none() && error.get_ref().unwrap().is::<Foreign>());
        let told = error.with_message("the wire is cut");
        assert_eq!(told.to_string(), "s3 driver: store unavailable: the wire is cut: no connection");
        assert_eq!(error_text(&foreign()), "no connection: the wire is cut");
    }

    #[test]
    fn a_context_is_said_first_and_changes_nothing_else() {
        let error = Error::new(ErrorKind::InvalidConfig)
            .with_message("2 mistakes")
            .with_mistakes(vec!["a".to_owned(), "b".to_owned()])
            .with_driver("s3")
            .with_context("location `x` cannot be opened")
            .with_context("the backup failed");
        assert_eq!(
            error.to_string(),
            "the backup failed: location `x` cannot be opened: s3 driver: invalid configuration: 2 mistakes"
        );
        assert_eq!((error.kind(), error.mistakes().count()), (ErrorKind::InvalidConfig, 2));
    }

    #[test]
    fn a_wrong_configuration_has_a_mistake() {
        let wrong = Error::new(ErrorKind::InvalidConfig).with_message("no driver");
        assert_eq!(wrong.mistakes().collect::<Vec<_>>(), ["no driver"]);
        let wrong = wrong.with_mistakes(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(wrong.mistakes().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(Error::new(ErrorKind::Other).with_message("no driver").mistakes().count(), 0);
    }

    #[test]
    fn transient_kinds_are_retryable_unless_overridden() {
        assert!(Error::new(ErrorKind::Timeout).is_retryable());
        assert!(!Error::new(ErrorKind::Timeout).with_retryable(false).is_retryable());
        assert!(!Error::new(ErrorKind::NotFound).is_retryable());
    }
}
