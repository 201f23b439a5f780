//! What to do about a failure, whatever the command was: the hint comes from the error and from what is known
//! about the store.

use plugin_registry_core::{Error, ErrorKind, shown_name};
use plugin_registry_locations::{BackupStorageLocation, DocumentKind, WrongDocument};

use crate::{
    args::{Command, LocationCommand},
    failure::{Cause, Failure},
    source::Source,
};

/// What a [`Source`] turned out to be, once it was read.
#[derive(Debug)]
pub(crate) struct Known {
    /// The location, if it came from one.
    pub(crate) location: Option<BackupStorageLocation>,
    /// Whether it has credentials.
    pub(crate) has_credentials: bool,
}

impl Command {
    /// The configuration that the command works with.
    pub(crate) fn source(&self) -> Option<&Source> {
        Some(match self {
            Self::Quickstart(options) => &options.source,
            Self::Copy(options) => &options.registry,
            Self::Ls(options) => &options.root.source,
            Self::Tags(options) => &options.root.source,
            Self::Inspect(options) => &options.root.source,
            Self::Rm(options) => &options.root.source,
            Self::Verify(options) => &options.root.source,
            Self::Purge(options) => &options.root.source,
            Self::Location(options) => match &options.command {
                LocationCommand::Check(options) => &options.root.source,
                LocationCommand::Show(options) => &options.source,
            },
            Self::Serve(options) => &options.store.source,
            Self::Completion(_) => return None,
        })
    }
}

impl Source {
    /// Adds what to do about a failure of the store, if the failure does not say so already.
    pub(crate) fn advise(&self, failure: Failure) -> Failure {
        let hint = failure.cause().and_then(|cause| of_store(cause, self, self.known.get()?));
        match hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

/// One sentence or two, in the words of a probe's hints; `None` where the error says it all.
fn of_store(cause: Cause, source: &Source, known: &Known) -> Option<String> {
    // Without an operation nothing was asked of the store: the error names the setting that is wrong.
    cause.operation?;
    if cause.driver != Some("s3") {
        return None;
    }
    let location = known.location.as_ref();
    Some(match cause.kind {
        ErrorKind::Unauthenticated => identity(source, known),
        ErrorKind::PermissionDenied => {
            "The store knows these credentials, but they may not do this: check their permissions.".to_owned()
        }
        ErrorKind::InvalidConfig | ErrorKind::NotFound => format!("Check {}.", place(location)),
        ErrorKind::Unavailable | ErrorKind::Timeout => format!(
            "Check the endpoint{}, its certificate, the network and the proxy, and the state of the store itself.",
            if location.is_some() { " (`s3Url`)" } else { "" }
        ),
        ErrorKind::RateLimited => "The store throttles requests: try again later.".to_owned(),
        _ => return None,
    })
}

/// Where the credentials come from, and what to check there.
fn identity(source: &Source, known: &Known) -> String {
    let keys = "check the access key, the secret key, the session token or the role";
    match (&source.credentials, &known.location) {
        (Some(file), _) => format!(
            "The credentials are wrong or expired: {keys} in `{}`{}, and this machine's clock.",
            file.display(),
            if source.has_variables() { " and in the REGISTRY_… variables" } else { "" }
        ),
        (None, Some(_)) if known.has_credentials => {
            format!(
                "The credentials are wrong or expired: {keys} in the REGISTRY_… variables, and this \
                 machine's clock."
            )
        }
        (None, Some(location)) => {
            let secret =
                SecretName::of(location).map_or_else(|| "its Secret".to_owned(), |name| name.key_of());
            format!(
                "Without --credentials, the SDK looks for some by itself. The location's credentials are in \
                 {secret}: save its value as a file and add --credentials FILE."
            )
        }
        (None, None) if known.has_credentials => {
            format!("The credentials are wrong or expired: {keys}, and this machine's clock.")
        }
        (None, None) => {
            "No credentials are set here, so the SDK looks for some by itself. Set `accesskey` and \
                         `secretkey` in the file, or REGISTRY_STORAGE_S3_ACCESSKEY and \
                         REGISTRY_STORAGE_S3_SECRETKEY."
                .to_owned()
        }
    }
}

/// The settings that say which store it is.
fn place(location: Option<&BackupStorageLocation>) -> &'static str {
    if location.is_some() {
        "the bucket (`objectStorage.bucket`), the region (`region`) and the endpoint (`s3Url`)"
    } else {
        "the bucket, the region and the endpoint"
    }
}

/// What to do about a document in the place of another.
pub(crate) fn of_document(error: &Error) -> Option<&'static str> {
    Some(match found_instead(error)? {
        DocumentKind::Location => "Name it with --location.",
        DocumentKind::Configuration => "Name it with --config.",
        DocumentKind::Credentials | DocumentKind::EncodedCredentials => {
            "Name the location with --location, and its credentials with --credentials."
        }
        DocumentKind::Secret => {
            "Name the location with --location. Save the decoded value of the Secret as a file, and name that \
             with --credentials."
        }
        _ => return None,
    })
}

/// The same, for the credentials of a location.
pub(crate) fn of_credentials(error: &Error, location: &BackupStorageLocation) -> Option<String> {
    match found_instead(error)? {
        DocumentKind::Secret => {
            let SecretName { namespace, name, key } = SecretName::of(location)?;
            Some(format!(
                "`kubectl get secret {name} -n {namespace} -o go-template='{{{{index .data \"{key}\" | \
                 base64decode}}}}' > FILE` saves the value: add --credentials FILE."
            ))
        }
        DocumentKind::EncodedCredentials => {
            Some("Decode the file with `base64 -d`, and name the result with --credentials.".to_owned())
        }
        _ => Some("Name the file with the location's credentials with --credentials.".to_owned()),
    }
}

fn found_instead(error: &Error) -> Option<DocumentKind> {
    Some(error.get_ref()?.downcast_ref::<WrongDocument>()?.found)
}

/// What to do about credentials that a location names and that are not given.
pub(crate) fn of_missing_credentials(location: &BackupStorageLocation) -> String {
    let secret = SecretName::of(location).map_or_else(|| "its Secret".to_owned(), |name| name.key_of());
    format!(
        "The location's credentials are in {secret}: save its value as a file and add --credentials FILE. \
         --ambient uses the identity of this process instead."
    )
}

/// The Secret of a location. A name that is not written like one is not shown.
struct SecretName {
    namespace: String,
    name: String,
    key: String,
}

impl SecretName {
    fn of(location: &BackupStorageLocation) -> Option<Self> {
        let secret = location.credential_secret().ok()?;
        let shown = |text: &str| shown_name(text).unwrap_or("…").to_owned();
        Some(Self {
            namespace: shown(&location.metadata.namespace),
            name: shown(&secret.name),
            key: shown(&secret.key),
        })
    }

    fn key_of(&self) -> String {
        format!("key `{}` of Secret `{}/{}`", self.key, self.namespace, self.name)
    }
}
