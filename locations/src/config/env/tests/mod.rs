use plugin_registry_core::ErrorKind;
use tracing::level_filters::LevelFilter;

use super::super::{Config, LogSettings, PurgeSettings};

mod drivers;
mod many;
mod mistakes;
mod services;

fn refusal(pairs: &[(&str, &str)]) -> String {
    refusal_of(Config::from_env(pairs.iter().copied()))
}

fn refusal_of(read: plugin_registry_core::Result<Config>) -> String {
    let error = read.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    error.to_string().strip_prefix("invalid configuration: ").unwrap().to_owned()
}

/// In memory, with these variables.
fn memory(pairs: &[(&str, &str)]) -> Config {
    Config::from_env(pairs.iter().copied().chain([("REGISTRY_STORAGE", "inmemory")])).unwrap()
}

fn ignored(config: &Config) -> Vec<String> {
    config.ignored.iter().map(ToString::to_string).collect()
}

const FILE: &str = "version: 0.1
log: {level: info, fields: {Service: registry, site_id: 7}}
storage:
  s3:
    bucket: backup
    accesskey: 0123456
  delete: {enabled: true}
  redirect: {disable: false}
  cache: {blobdescriptor: redis}
  maintenance:
    uploadpurging: {age: 72h}
    readonly: {enabled: true}
http: {addr: localhost:5000, secret: a}
";

#[test]
fn everything_that_is_served() {
    let config = memory(&[
        ("REGISTRY_HTTP_ADDR", "localhost:1"),
        ("REGISTRY_HTTP_SECRET", "0123"),
        ("REGISTRY_LOG_LEVEL", "debug"),
        ("REGISTRY_LOG_FORMATTER", "json"),
        ("REGISTRY_LOG_FIELDS_SERVICE", "backup"),
        ("REGISTRY_LOG_FIELDS_K8S_POD", "0x10"),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
        ("REGISTRY_STORAGE_REDIRECT_DISABLE", "false"),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE", "1h"),
        ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "1"),
        ("REGISTRY_CATALOG_MAXENTRIES", "500"),
        ("REGISTRY_TAGS_MAXTAGS", "400"),
        ("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS", "none"),
        ("PATH", "/bin"),
        ("registry_log_level", "nothing"),
        ("MY_REGISTRY_LOG_LEVEL", "nothing"),
    ]);
    assert_eq!(config.driver, "inmemory");
    assert!(config.delete && config.read_only && config.parameters.is_empty());
    assert_eq!((config.redirect, config.max_page_size), (Some(true), Some(400)));
    assert_eq!(config.references, Some(plugin_registry::ReferencePolicy::SparseIndexes));
    assert_eq!(config.addr.as_deref(), Some("localhost:1"));
    assert_eq!(config.secret.as_ref().unwrap().expose(), "0123");
    assert_eq!(config.log.level, Some(LevelFilter::DEBUG));
    assert_eq!(config.log.formatter, super::super::LogFormatter::Json);
    let fields: Vec<_> =
        config.log.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(fields, [("k8s.pod", "0x10"), ("service", "backup")]);
    assert_eq!(config.purge.unwrap().older_than.as_secs(), 3600);
    assert_eq!(ignored(&config), [""; 0]);
    assert!(!format!("{config:?}").contains("0123"));
}

#[test]
fn a_variable_replaces_one_leaf_of_the_file() {
    let none: [(&str, &str); 0] = [];
    let file = Config::from_yaml_and_env(FILE, none).unwrap();
    let merged = Config::from_yaml_and_env(
        FILE,
        [
            ("REGISTRY_STORAGE_S3_REGION", "eu"),
            ("REGISTRY_LOG_FIELDS_SERVICE", "other"),
            ("REGISTRY_LOG_FIELDS_SITE_ID", "8"),
            ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_INTERVAL", "1h"),
            ("REGISTRY_LOG_LEVEL", "debug"),
        ],
    )
    .unwrap();
    let expected = LogSettings::default()
        .with_level(LevelFilter::DEBUG)
        .with_field("Service", "other")
        .with_field("site_id", "8");
    assert_eq!(merged.log, expected);
    assert_eq!(merged.parameters.keys().collect::<Vec<_>>(), ["accesskey", "bucket", "region"]);
    let (old, new) = (file.purge.unwrap(), merged.purge.unwrap());
    assert_eq!((old.older_than, new.interval.as_secs()), (new.older_than, 3600));
    assert!(merged.delete && merged.read_only && merged.addr == file.addr && merged.secret == file.secret);
    assert_eq!(merged.ignored, file.ignored);
    // An empty one too: it counts as unset.
    let merged = file.merge_env([("REGISTRY_LOG_LEVEL", ""), ("REGISTRY_HTTP_ADDR", "")]).unwrap();
    assert!(merged.log.level.is_none() && merged.addr.is_none());
}

#[test]
fn merging_is_the_same_at_once_or_later() {
    let (first, second) = (
        [("REGISTRY_STORAGE", "gcs"), ("REGISTRY_STORAGE_GCS_BUCKET", "a")],
        [("REGISTRY_STORAGE_GCS_BUCKET", "b")],
    );
    let at_once = Config::from_yaml_and_env(FILE, first).unwrap().merge_env(second).unwrap();
    let later = Config::from_yaml(FILE).unwrap().merge_env(first).unwrap().merge_env(second).unwrap();
    assert_eq!(format!("{at_once:?}"), format!("{later:?}"));
    assert_eq!(later.parameters.get("bucket"), Some("b"));
    assert!(later.delete && later.parameters == at_once.parameters);
}

#[test]
fn the_order_of_pairs_does_not_matter() {
    const PAIRS: [(&str, &str); 6] = [
        ("REGISTRY_STORAGE", "s3aws"),
        ("REGISTRY_STORAGE_S3_BUCKET", "other"),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING", "{enabled: false, age: 1h}"),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED", "true"),
        ("REGISTRY_REDIS_ADDR", "a"),
        ("REGISTRY_LOG_FIELDS", "{service: b}"),
    ];
    let (usual, mut count) = (Config::from_yaml_and_env(FILE, PAIRS).unwrap(), 0);
    assert_eq!(usual.purge.unwrap().older_than.as_secs(), 3600);
    permutations(&mut PAIRS.to_vec(), 0, &mut |pairs| {
        let config = Config::from_yaml_and_env(FILE, pairs.iter().copied()).unwrap();
        assert_eq!(format!("{config:?}"), format!("{usual:?}"));
        assert_eq!(config.parameters, usual.parameters);
        count += 1;
    });
    assert_eq!(count, 720);
}

#[test]
fn the_order_of_mistakes_does_not_depend_on_that_of_pairs() {
    const PAIRS: [(&str, &str); 5] = [
        ("REGISTRY_STORAGE_GCS_BUCKET", "a"),
        ("REGISTRY_STORAGE_S3_BUCKET", "b"),
        ("REGISTRY_LOG_LEVEL", "c"),
        ("REGISTRY_LOG_LEVEL", "d"),
        ("REGISTRY_HTPP", "e"),
    ];
    permutations(&mut PAIRS.to_vec(), 0, &mut |pairs| {
        assert_eq!(
            refusal(pairs),
            "3 mistakes: `htpp` (REGISTRY_HTPP): unknown, did you mean `http`?; `REGISTRY_LOG_LEVEL`: is set \
             twice; `storage`: only one driver is allowed, not `gcs` (REGISTRY_STORAGE_GCS_BUCKET) and `s3` \
             (REGISTRY_STORAGE_S3_BUCKET)"
        );
    });
}

fn permutations<T: Copy>(items: &mut [T], fixed: usize, each: &mut impl FnMut(&[T])) {
    if fixed == items.len() {
        return each(items);
    }
    for at in fixed..items.len() {
        items.swap(fixed, at);
        permutations(items, fixed + 1, each);
        items.swap(fixed, at);
    }
}

#[test]
fn sections_without_secrets_may_be_maps_in_braces() {
    let config = memory(&[
        ("REGISTRY_LOG_FIELDS", "{service: 007, k8s: {pod: a}}"),
        ("REGISTRY_STORAGE_DELETE", "{enabled: true}"),
        ("REGISTRY_STORAGE_MAINTENANCE", "{uploadpurging: {}, readonly: {enabled: true}}"),
        ("REGISTRY_LOG", "{level: warn, hooks: []}"),
        ("REGISTRY_TAGS", " "),
        ("REGISTRY_CATALOG", "maxentries: 7"),
    ]);
    assert!(config.delete && config.read_only);
    assert_eq!((config.purge, config.max_page_size), (Some(PurgeSettings::default()), Some(7)));
    let log = LogSettings::default().with_level(LevelFilter::WARN);
    assert_eq!(config.log, log.with_field("service", "007").with_field("k8s.pod", "a"));
    assert_eq!(ignored(&config), ["REGISTRY_LOG: log.hooks is ignored: no notifications are sent"]);
}

#[test]
fn trap_5_uploadpurging_and_readonly_can_be_set_leaf_by_leaf() {
    for (name, value, expected) in [
        ("ENABLED", "false", None),
        ("ENABLED", "true", Some(PurgeSettings::default())),
        ("DRYRUN", "false", Some(PurgeSettings::default())),
    ] {
        let name = format!("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_{name}");
        assert_eq!(memory(&[(name.as_str(), value)]).purge, expected, "{name}={value}");
    }
    assert!(memory(&[("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true")]).read_only);
}

#[test]
fn what_is_not_served_is_named_by_its_variable() {
    let config = memory(&[
        ("REGISTRY_HTTP_TLS_CERTIFICATE", "/c"),
        ("REGISTRY_REDIS_ADDR", "hunter2"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME", "a"),
        ("REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES", "true"),
        ("REGISTRY_HEALTH_FILECHECKERS", "[]"),
        ("REGISTRY_AUTH", "{htpasswd: {}}"),
        ("REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR", "redis"),
        ("REGISTRY_CONFIGURATION_PATH", "/etc/x"),
        ("REGISTRY_PORT", "tcp://10.0.0.1:5000"),
        ("REGISTRY_PORT_5000_TCP_ADDR", "10.0.0.1"),
        ("REGISTRY_SERVICE_HOST", "10.0.0.1"),
    ]);
    let expected = [
        "REGISTRY_AUTH: auth is ignored: there is no authentication",
        "REGISTRY_CONFIGURATION_PATH: configuration_path is ignored: the host passes in the text of the file",
        "REGISTRY_HEALTH_FILECHECKERS: health is ignored: nothing runs in the background",
        "REGISTRY_HTTP_TLS_CERTIFICATE: http.tls is ignored: TLS is not supported",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME: notifications is ignored: no notifications are sent",
        "REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES: notifications is ignored: no notifications \
         are sent",
        "REGISTRY_PORT: port is ignored: Kubernetes sets it for a service with this name",
        "REGISTRY_PORT_5000_TCP_ADDR: port is ignored: Kubernetes sets it for a service with this name",
        "REGISTRY_REDIS_ADDR: redis is ignored: the store is asked each time; nothing is cached in another \
         service",
        "REGISTRY_SERVICE_HOST: service_host is ignored: Kubernetes sets it for a service with this name",
        "REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR: storage.cache is ignored: the store is asked each time; \
         nothing is cached in another service",
    ];
    assert_eq!(ignored(&config), expected);
}

/// The fields of distribution's types in Go, which differ from the keys of the file in two places.
#[test]
fn everything_that_distribution_knows_is_known() {
    let names = "LOG_ACCESSLOG_DISABLED LOG_HOOKS LOG_REPORTCALLER STORAGE_TAG_CONCURRENCYLIMIT \
                 STORAGE_CACHE_BLOBDESCRIPTORSIZE AUTH_TOKEN_REALM MIDDLEWARE_STORAGE REPORTING_BUGSNAG_APIKEY HTTP_NET \
                 HTTP_HOST HTTP_PREFIX HTTP_RELATIVEURLS HTTP_DRAINTIMEOUT HTTP_TLS_LETSENCRYPT_CACHEFILE \
                 HTTP_TLS_CLIENTCAS_0 HTTP_HEADERS HTTP_DEBUG_PROMETHEUS_ENABLED HTTP_HTTP2_DISABLED HTTP_H2C_ENABLED \
                 NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES REDIS_POOL_MAXIDLE REDIS_TLS HEALTH_STORAGEDRIVER_ENABLED \
                 HEALTH_HTTPCHECKERS PROXY_REMOTEURL PROXY_TTL VALIDATION_ENABLED VALIDATION_DISABLED \
                 VALIDATION_MANIFESTS_URLS_ALLOW VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS \
                 POLICY_REPOSITORY_CLASSES COMPATIBILITY_SCHEMA1_ENABLED";
    for name in names.split(' ').map(|name| format!("REGISTRY_{name}")) {
        let config = memory(&[(name.as_str(), "x")]);
        assert_eq!(config.ignored.len(), 1, "{name}");
        assert_eq!(config.ignored[0].source.to_string(), name);
    }
}
