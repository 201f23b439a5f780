//! Credentials: a file, a JSON document, or its keys as parameters.

mod document;

use std::{collections::BTreeMap, path::PathBuf};

use plugin_registry_core::{ParameterReader, Parameters, Secret};

use self::document::{AUTHORIZED_USER, Fields, SERVICE_ACCOUNT};
use crate::config::GcsCredentials;

/// Checks that a text is a document that gives no orders. Otherwise returns what is wrong with it.
pub(in crate::config) fn check_document(json: &str, tokens: &[PathBuf]) -> Result<(), String> {
    document::check(json, tokens)
}

/// The keys of a document for a service account or a user, as parameter names.
const KEYS: &[&str] = &[
    "credentials.type",
    "credentials.project_id",
    "credentials.private_key_id",
    "credentials.private_key",
    "credentials.client_email",
    "credentials.client_id",
    "credentials.client_secret",
    "credentials.refresh_token",
    "credentials.auth_uri",
    "credentials.token_uri",
    "credentials.auth_provider_x509_cert_url",
    "credentials.client_x509_cert_url",
    "credentials.universe_domain",
    "credentials.quota_project_id",
    "credentials.account",
];
/// Those of them that must not be empty.
const SECRETS: &[&str] =
    &["credentials.private_key", "credentials.client_secret", "credentials.refresh_token"];

/// The token files that a document may name.
pub(super) fn token_files(read: &mut ParameterReader<'_>) -> Vec<PathBuf> {
    let Some(text) = read.text("tokenfiles") else { return Vec::new() };
    let paths: Vec<PathBuf> = text.split(',').map(|path| path.trim().into()).collect();
    if !paths.iter().all(|path| path.is_absolute()) {
        read.mistake("tokenfiles", "has to be paths that begin with `/`, separated by `,`");
    }
    paths
}

pub(super) fn credentials(
    read: &mut ParameterReader<'_>,
    parameters: &Parameters,
    tokens: &[PathBuf],
) -> GcsCredentials {
    let is_anonymous = read.flag("anonymous").unwrap_or_default();
    let file = read.text("keyfile");
    let json = read.secret("credentials");
    let mut fields = fields(read);
    let part = KEYS.iter().copied().find(|key| read.is_given(key));
    let given = [
        ("anonymous", is_anonymous),
        ("keyfile", file.is_some()),
        ("credentials", json.is_some()),
        (part.unwrap_or_default(), part.is_some()),
    ];
    let mut given = given.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key);
    if let Some(first) = given.next() {
        for other in given {
            read.mistake(first, format_args!("cannot be given together with `{other}`"));
        }
    }
    match (file, json) {
        _ if is_anonymous => GcsCredentials::Anonymous,
        (Some(path), _) => GcsCredentials::KeyFile(path.into()),
        (None, Some(json)) => {
            if let Err(wrong) = document::check(json.expose(), tokens) {
                read.mistake("credentials", wrong);
            }
            GcsCredentials::Json(json)
        }
        (None, None) if part.is_some() => {
            if let Err(wrong) = document::check_directives(&fields) {
                read.mistake("credentials.token_uri", wrong);
            }
            if let Some(kind) = check(read, parameters, &fields) {
                // As Google writes it, whatever the capitals in the parameter.
                fields.insert("type".to_owned(), Secret::new(kind));
            }
            GcsCredentials::Json(document::write(&fields))
        }
        (None, None) => GcsCredentials::Chain,
    }
}

fn fields(read: &mut ParameterReader<'_>) -> Fields {
    let mut fields = BTreeMap::new();
    for key in KEYS.iter().copied() {
        let value = if SECRETS.contains(&key) { read.secret(key) } else { read.text(key).map(Secret::new) };
        if let Some(value) = value {
            fields.insert(field(key).to_owned(), value);
        }
    }
    fields
}

/// Checks whether the parameters make up a document, and returns its kind. Other kinds have sections in them,
/// and are given as a whole.
fn check(read: &mut ParameterReader<'_>, parameters: &Parameters, fields: &Fields) -> Option<&'static str> {
    let kinds = document::KINDS.iter().map(|(kind, _)| *kind).collect::<Vec<_>>();
    let kind = read.choice("credentials.type", &kinds);
    match kind {
        Some(kind @ (SERVICE_ACCOUNT | AUTHORIZED_USER)) => {
            for missing in document::missing(kind, fields) {
                let key = KEYS.iter().copied().find(|key| field(key) == missing).unwrap_or_default();
                // An empty one is among the mistakes already.
                if !(SECRETS.contains(&key) && parameters.get(key).is_some()) {
                    let what = format_args!("required with `credentials.type` {kind}, but not given");
                    read.mistake(key, what);
                }
            }
            if let Err(wrong) = document::check_key(fields) {
                read.mistake("credentials.private_key", wrong);
            }
        }
        Some(_) => read.mistake(
            "credentials.type",
            "this kind is read as a whole: put its JSON into `credentials`, or name its file in `keyfile`",
        ),
        None if read.is_given("credentials.type") => {}
        None => read.mistake("credentials.type", "required with other keys of `credentials`, but not given"),
    }
    kind
}

/// The name of a parameter in the document.
fn field(key: &str) -> &str {
    key.strip_prefix("credentials.").unwrap_or(key)
}
