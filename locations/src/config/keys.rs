//! The keys of distribution's file, and what becomes of each.

use plugin_registry_core::did_you_mean;

/// The keys of a section.
pub(super) type Rows = &'static [(&'static str, Key)];

/// What becomes of a key.
pub(super) enum Key {
    /// More keys are below it.
    Section(Rows),
    /// The same, but its presence has a meaning too: it is noted under this path.
    Given(&'static str, Rows),
    /// Its value is read, under this path.
    Read(&'static str),
    /// Texts under arbitrary names.
    Fields,
    /// Known but without effect, for this reason.
    Ignored(&'static str),
    /// The section of the drivers.
    Storage,
}

use Key::{Fields, Given, Ignored, Read, Section, Storage};

pub(super) const VERSION: &str = "version";
pub(super) const DELETE: &str = "storage.delete.enabled";
pub(super) const PURGE: &str = "storage.maintenance.uploadpurging";
pub(super) const PURGE_ENABLED: &str = "storage.maintenance.uploadpurging.enabled";
pub(super) const PURGE_AGE: &str = "storage.maintenance.uploadpurging.age";
pub(super) const PURGE_INTERVAL: &str = "storage.maintenance.uploadpurging.interval";
pub(super) const PURGE_DRY_RUN: &str = "storage.maintenance.uploadpurging.dryrun";
pub(super) const NO_REDIRECT: &str = "storage.redirect.disable";
pub(super) const READ_ONLY: &str = "storage.maintenance.readonly.enabled";
pub(super) const MAX_ENTRIES: &str = "catalog.maxentries";
pub(super) const MAX_TAGS: &str = "tags.maxtags";
pub(super) const PLATFORMS: &str = "validation.manifests.indexes.platforms";
pub(super) const ADDR: &str = "http.addr";
pub(super) const SECRET: &str = "http.secret";
pub(super) const LEVEL: &str = "log.level";
pub(super) const OLD_LEVEL: &str = "loglevel";
pub(super) const FORMATTER: &str = "log.formatter";

const LISTENER: &str = "there is no such listener";
const TLS: &str = "TLS is not supported";
const URLS: &str = "layer URLs are stored but never followed";
const ASKED: &str = "the store is asked each time; nothing is cached in another service";

/// The top-level keys.
pub(super) const ROOT: Rows = &[
    ("version", Read(VERSION)),
    ("log", Section(LOG)),
    ("loglevel", Read(OLD_LEVEL)),
    ("storage", Storage),
    ("auth", Ignored("there is no authentication")),
    ("middleware", Ignored("there is no middleware")),
    ("reporting", Ignored("nothing is reported to third-party services")),
    ("http", Section(HTTP)),
    ("notifications", Ignored("no notifications are sent")),
    ("redis", Ignored(ASKED)),
    ("health", Ignored("nothing runs in the background")),
    ("proxy", Ignored("there is no pull-through cache")),
    ("compatibility", Ignored("schema 1 is not accepted")),
    ("validation", Section(VALIDATION)),
    ("policy", Ignored("all classes of repositories are accepted")),
    ("catalog", Section(&[("maxentries", Read(MAX_ENTRIES))])),
    ("tags", Section(&[("maxtags", Read(MAX_TAGS))])),
];

const LOG: Rows = &[
    ("level", Read(LEVEL)),
    ("formatter", Read(FORMATTER)),
    ("fields", Fields),
    ("accesslog", Ignored("the program that serves requests logs them")),
    ("hooks", Ignored("no notifications are sent")),
    ("reportcaller", Ignored("the host controls the log")),
];

const HTTP: Rows = &[
    ("addr", Read(ADDR)),
    ("secret", Read(SECRET)),
    ("net", Ignored(LISTENER)),
    ("host", Ignored("`Location` headers are relative")),
    ("relativeurls", Ignored("`Location` headers are relative")),
    ("prefix", Ignored("a path prefix is not supported")),
    ("draintimeout", Ignored("requests in progress have 10 seconds to finish")),
    ("tls", Ignored(TLS)),
    ("headers", Ignored("no headers are added")),
    ("debug", Ignored(LISTENER)),
    ("http2", Ignored("only HTTP/1.1 is supported")),
    ("h2c", Ignored("only HTTP/1.1 is supported")),
];

const VALIDATION: Rows = &[
    ("enabled", Ignored("manifests are always checked")),
    ("disabled", Ignored("manifests are always checked")),
    (
        "manifests",
        Section(&[
            ("urls", Ignored(URLS)),
            (
                "indexes",
                Section(&[
                    ("platforms", Read(PLATFORMS)),
                    ("platformlist", Ignored("either all platforms of an index are required, or none")),
                ]),
            ),
        ]),
    ),
];

/// The keys beside the driver.
pub(super) const STORAGE: Rows = &[
    ("cache", Ignored(ASKED)),
    ("delete", Section(&[("enabled", Read(DELETE))])),
    ("redirect", Section(&[("disable", Read(NO_REDIRECT))])),
    ("tag", Ignored("the registry has its own limit")),
    (
        "maintenance",
        Section(&[
            (
                "uploadpurging",
                Given(
                    PURGE,
                    &[
                        ("enabled", Read(PURGE_ENABLED)),
                        ("age", Read(PURGE_AGE)),
                        ("interval", Read(PURGE_INTERVAL)),
                        ("dryrun", Read(PURGE_DRY_RUN)),
                    ],
                ),
            ),
            ("readonly", Section(&[("enabled", Read(READ_ONLY))])),
        ]),
    ),
];

/// The drivers that distribution has or had, and our name for one. Any other name that is near to one of the
/// keys above is a typo.
pub(super) const DRIVERS: &[&str] =
    &["azure", "filesystem", "gcs", "inmemory", "memory", "oss", "s3", "s3aws", "swift"];

/// What becomes of a key of a section.
pub(super) fn find(rows: Rows, name: &str) -> Option<&'static Key> {
    rows.iter().find(|(known, _)| *known == name).map(|(_, key)| key)
}

/// The key of a section that was probably meant.
pub(super) fn near(rows: Rows, name: &str) -> Option<&'static str> {
    did_you_mean(name, rows.iter().map(|(known, _)| *known))
}

/// Returns the path of a key within another one.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
