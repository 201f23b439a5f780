//! `location show`.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use plugin_registry_core::{shown_name, shown_path, shown_words};
use plugin_registry_locations::{BackupStorageLocation, Config, config::WarningKind};
use serde::Serialize;

use crate::{args::LocationShow, failure::Failure, output::Output, source::Configured};

/// The parameters whose values may be shown, if they are written like names. Any other parameter may be a
/// secret, or hold one.
const SHOWN: &[&str] = &[
    "accelerate",
    "accountname",
    "bucket",
    "checksums",
    "chunksize",
    "conditionalwrites",
    "container",
    "credentials.clientid",
    "credentials.tenantid",
    "credentials.type",
    "directories",
    "encrypt",
    "forcepathstyle",
    "keyid",
    "leadingslash",
    "max_retries",
    "maxattempts",
    "maxconcurrency",
    "maxthreads",
    "multipartcopychunksize",
    "multipartcopymaxconcurrency",
    "multipartcopythresholdsize",
    "objectacl",
    "profile",
    "realm",
    "region",
    "retry_delay",
    "secure",
    "skipverify",
    "storageclass",
    "usedualstack",
    "usefipsendpoint",
    "useragent",
    "virtualhostedstyle",
];

/// Paths of files and directories.
const PATHS: &[&str] = &[
    "cabundlepath",
    "credentials.tokenfile",
    "credentialsconfigpath",
    "keyfile",
    "rootdirectory",
    "stscabundlepath",
    "tokenfiles",
];

/// In the place of what may be a secret.
const HIDDEN: &str = "…";

/// URLs: shown only where they hold nothing but a host and a path.
const URLS: &[&str] = &["endpoint", "redirectendpoint", "regionendpoint", "serviceurl", "stsendpoint"];

/// The settings that a registry is opened with, without secrets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    driver: String,
    parameters: BTreeMap<String, String>,
    /// The driver's assumptions about the store until it knows more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    assumed: Vec<String>,
    read_only: bool,
    deletes: Deletes,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_level: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purge: Option<String>,
    ignored: Vec<String>,
    pub(super) warnings: Vec<String>,
    /// Where the location's credentials are expected, if it does not have them here.
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<String>,
}

/// Who may delete. `rm` only heeds that a registry is read-only.
#[derive(Clone, Copy, Serialize)]
struct Deletes {
    rm: bool,
    clients: bool,
}

pub(super) fn run(options: &LocationShow) -> Result<(), Failure> {
    if !options.source.is_given() {
        let hint = "Name a --location, a --config, an --env-file, or --from-env.";
        return Err(Failure::usage("there is nothing to show").with_hint(hint));
    }
    let summary = Summary::of(&options.source.read_to_show()?);
    Output::new(options.printing.format).print(&summary, |out| {
        head(&summary, out)?;
        for ignored in &summary.ignored {
            writeln!(out, "ignored: {ignored}")?;
        }
        for warning in &summary.warnings {
            writeln!(out, "warning: {warning}")?;
        }
        Ok(())
    })
}

/// The lines that `check` prints too.
pub(super) fn head(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    if let Some(location) = &summary.location {
        writeln!(out, "location: {location}")?;
    }
    writeln!(out, "driver: {}", summary.driver)?;
    for (name, value) in &summary.parameters {
        writeln!(out, "  {name}: {value}")?;
    }
    for assumed in &summary.assumed {
        writeln!(out, "assumed: {assumed}")?;
    }
    if let Some(credentials) = &summary.credentials {
        writeln!(out, "credentials: {credentials}")?;
    }
    for (name, value) in [("log level", &summary.log_level), ("purge of uploads", &summary.purge)] {
        if let Some(value) = value {
            writeln!(out, "{name}: {value}")?;
        }
    }
    let changes = match (summary.deletes.rm, summary.deletes.clients) {
        (false, _) => "none: read-only",
        (true, true) => "pushes and deletes",
        (true, false) => "pushes, and deletes by `rm`; no deletes by clients",
    };
    writeln!(out, "changes: {changes}")
}

impl Summary {
    pub(super) fn of(configured: &Configured) -> Self {
        let Configured { config, location, has_credentials, .. } = configured;
        let metadata = location.as_ref().map(|location| &location.metadata);
        Self {
            location: metadata.map(|names| format!("{}/{}", name(&names.namespace), name(&names.name))),
            driver: shown_name(&config.driver).unwrap_or(HIDDEN).to_owned(),
            parameters: parameters(config),
            assumed: plugin_registry_drivers::assumptions(&config.storage()),
            read_only: config.read_only,
            deletes: Deletes { rm: !config.read_only, clients: config.delete && !config.read_only },
            log_level: config.log.level.map(|level| level.to_string().to_lowercase()),
            purge: config.purge.map(|purge| {
                let time = humantime::format_duration;
                let dry = if purge.dry_run { ", dry run" } else { "" };
                format!("idle for {}, every {}{dry}", time(purge.older_than), time(purge.interval))
            }),
            ignored: config.ignored.iter().map(ToString::to_string).collect(),
            warnings: warnings(configured),
            credentials: location.as_ref().filter(|_| !has_credentials).and_then(|location| {
                let secret = location.credential_secret().ok()?;
                let names = metadata?;
                Some(format!(
                    "none given; they are in key `{}` of Secret `{}/{}`",
                    name(&secret.key),
                    name(&names.namespace),
                    name(&secret.name)
                ))
            }),
        }
    }
}

/// Returns the warnings about the location, and about the variables laid over it.
fn warnings(configured: &Configured) -> Vec<String> {
    let Configured { config, location, .. } = configured;
    let mut warnings = location.as_ref().map(BackupStorageLocation::warnings).unwrap_or_default();
    // The location names the same endpoint, in the words of its user.
    if !warnings.iter().any(|warning| warning.kind == WarningKind::Cleartext) {
        warnings.extend(config.warnings());
    }
    warnings.iter().map(ToString::to_string).collect()
}

/// The name of an object in a cluster.
fn name(text: &str) -> &str {
    if text.is_empty() { text } else { shown_name(text).unwrap_or(HIDDEN) }
}

fn parameters(config: &Config) -> BTreeMap<String, String> {
    let keys = config.parameters.keys();
    keys.map(|key| {
        let value = config.parameters.get(key).unwrap_or_default();
        let name = shown_name(key).unwrap_or(HIDDEN).to_owned();
        (name, shown(key, value).unwrap_or(HIDDEN).to_owned())
    })
    .collect()
}

/// A value, if it has the form of this parameter's values. Any other text may be a secret in the wrong place.
fn shown<'a>(key: &str, value: &'a str) -> Option<&'a str> {
    if value.is_empty() && SHOWN.contains(&key) {
        return Some(value);
    }
    if PATHS.contains(&key) {
        return value.split(',').all(|path| shown_path(path).is_some()).then_some(value);
    }
    if URLS.contains(&key) {
        // User and password stand before an `@`, signatures and tokens behind a `?` or a `#`.
        let host = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
        let is_host = host.is_some() || value.contains(['.', ':']);
        let host = host.unwrap_or(value).trim_end_matches('/').trim_start_matches('[').replace("::", ":");
        let host = host.trim_matches(':');
        return (is_host && shown_words(host, ".:-_/]").is_some()).then_some(value);
    }
    let between = match key {
        // `alias/aws/s3`, `arn:aws:kms:…`, and an access point of S3.
        "keyid" | "bucket" => "._-:/",
        "useragent" => " ._-/",
        "max_retries" => "-",
        _ => "._-",
    };
    let text = if key == "max_retries" { value.trim_start_matches('-') } else { value };
    (SHOWN.contains(&key) && shown_words(text, between).is_some()).then_some(value)
}
