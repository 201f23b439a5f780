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
const TLS: &str = "there is no encryption";
const URLS: &str = "URLs of layers are stored and never followed";
const ASKED: &str = "the store is asked each time, nothing is remembered in a service of its own";

/// The top-level keys.
pub(super) const ROOT: Rows = &[
    ("version", Read(VERSION)),
    ("log", Section(LOG)),
    ("loglevel", Read(OLD_LEVEL)),
    ("storage", Storage),
    ("auth", Ignored("there is no authentication")),
    ("middleware", Ignored("there is no middleware")),
    ("reporting", Ignored("nothing is reported to services of others")),
    ("http", Section(HTTP)),
    ("notifications", Ignored("nobody is notified")),
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
    ("accesslog", Ignored("requests are logged by whoever serves them")),
    ("hooks", Ignored("nobody is notified")),
    ("reportcaller", Ignored("the log is the host's")),
];

const HTTP: Rows = &[
    ("addr", Read(ADDR)),
    ("secret", Read(SECRET)),
    ("net", Ignored(LISTENER)),
    ("host", Ignored("locations are relative")),
    ("relativeurls", Ignored("locations are relative")),
    ("prefix", Ignored("there is no prefix")),
    ("draintimeout", Ignored("requests under way have 10 seconds")),
    ("tls", Ignored(TLS)),
    ("headers", Ignored("no headers are added")),
    ("debug", Ignored(LISTENER)),
    ("http2", Ignored("HTTP/1.1 alone is spoken")),
    ("h2c", Ignored("HTTP/1.1 alone is spoken")),
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
                    ("platformlist", Ignored("the platforms of an index are required all or none")),
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
    ("tag", Ignored("the limit is the registry's own")),
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
