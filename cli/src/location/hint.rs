//! Hints for a store that cannot be opened.

use plugin_registry_core::{Error, ErrorKind, shown_name};
use plugin_registry_locations::BackupStorageLocation;

use crate::source::{Configured, Source};

/// One sentence or two, in the words of a probe's hints; `None` where the error says it all.
pub(super) fn hint(error: &Error, source: &Source, configured: &Configured) -> Option<String> {
    // Without an operation nothing was asked of the store: the error names the setting that is wrong.
    error.operation()?;
    if error.driver() != Some("s3") {
        return None;
    }
    let location = configured.location.as_ref();
    Some(match error.kind() {
        ErrorKind::Unauthenticated => identity(source, configured),
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
fn identity(source: &Source, configured: &Configured) -> String {
    let location = configured.location.as_ref();
    let keys = "check the access key, the secret key, the session token or the role";
    match (&source.credentials, location) {
        (Some(file), _) => format!(
            "The credentials are wrong or expired: {keys} in `{}`{}, and this machine's clock.",
            file.display(),
            if source.has_variables() { " and in the REGISTRY_… variables" } else { "" }
        ),
        (None, Some(_)) if configured.has_credentials => {
            format!(
                "The credentials are wrong or expired: {keys} in the REGISTRY_… variables, and this \
                 machine's clock."
            )
        }
        (None, Some(location)) => {
            let key = location.credential_secret().map_or_else(
                |_| "its Secret".to_owned(),
                |secret| {
                    let namespace = &location.metadata.namespace;
                    let [key, namespace, name] =
                        [&secret.key, namespace, &secret.name].map(|text| shown_name(text).unwrap_or("…"));
                    format!("key `{key}` of Secret `{namespace}/{name}`")
                },
            );
            format!(
                "Without --credentials, the SDK looks for some by itself. The location's credentials are in \
                 {key}: save its value as a file and add --credentials FILE."
            )
        }
        (None, None) => {
            format!("The credentials are missing, wrong or expired: {keys}, and this machine's clock.")
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
