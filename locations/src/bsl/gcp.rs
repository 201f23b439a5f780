//! Provider gcp: parameters of the driver `gcs`.

use plugin_registry_core::profiles::MAX_FILE;
use serde::Deserialize;

use super::{
    credentials::LocationCredentials,
    provider::Provider,
    settings::{Settings, path},
};

/// The kinds of credentials documents that the driver reads.
const KINDS: &[&str] =
    &["service_account", "external_account", "authorized_user", "impersonated_service_account"];
/// The suffix after the host in the endpoints of Google's clients.
const API: &str = "/storage/v1";
const UNIVERSE: &str = "googleapis.com";

/// The only part that is looked at; nothing else is kept.
#[derive(Deserialize)]
struct Document {
    #[serde(rename = "type")]
    kind: Option<String>,
}

pub(super) fn read(settings: &mut Settings<'_>, credentials: &LocationCredentials) {
    endpoint(settings);
    settings.ignore("kmsKeyName", "images are encrypted with the bucket's default key");
    settings.ignore("serviceAccount", "URLs are signed by the owner of the credentials");
    if settings.config("universeDomain").is_some_and(|universe| universe != UNIVERSE) {
        settings.mistake("universeDomain", "has to be googleapis.com");
    }
    if let Some(contents) = &credentials.contents
        && let Err(wrong) = check(without_mark(contents.expose()))
    {
        return settings.mistakes.add("credentials file", wrong);
    }
    match (&credentials.path, &credentials.contents) {
        (path, Some(contents)) => {
            if path.is_some() {
                settings.note("path of the credentials file", "the content passed with it is used instead");
            }
            settings.set("credentials", without_mark(contents.expose()), "credentials file");
            settings.token_files(credentials);
        }
        (Some(path), None) => {
            settings.set_path("keyfile", path);
            settings.token_files(credentials);
        }
        // OADP makes no Secret for this provider.
        (None, None) => settings.ambient(Provider::Gcp, credentials),
    }
}

/// Sets the endpoint. The driver wants a URL with only the host.
fn endpoint(settings: &mut Settings<'_>) {
    const KEY: &str = "storeEndpoint";
    let Some(text) = settings.config(KEY) else { return };
    let text = text.trim_end_matches('/');
    let host = text.strip_suffix(API).unwrap_or(text);
    let scheme = if host.contains("://") { "" } else { "https://" };
    settings.set("endpoint", format!("{scheme}{host}"), path(KEY));
}

/// Removes the byte order mark of some editors, which JSON does not have.
fn without_mark(json: &str) -> &str {
    json.trim_start_matches('\u{feff}')
}

/// Checks that this is a credentials document, and otherwise says what is wrong with it. The parser's messages
/// are not used: they may hold what is in it.
fn check(json: &str) -> Result<(), String> {
    if json.len() as u64 > MAX_FILE {
        return Err(format!("is longer than {MAX_FILE} bytes"));
    }
    if json.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if !json.trim_start().starts_with('{') {
        return Err("has to be the JSON of a service account or another account".to_owned());
    }
    let document: Document = serde_json::from_str(json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => kinds(),
            _ => format!("line {line}, column {column}: invalid JSON"),
        }
    })?;
    document.kind.filter(|kind| KINDS.contains(&kind.as_str())).map(|_| ()).ok_or_else(kinds)
}

fn kinds() -> String {
    format!("`type` has to be one of {}", KINDS.join(", "))
}
