use plugin_registry_core::ErrorKind;

use super::*;

fn refusal(text: &str) -> String {
    let error = Config::from_yaml(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    error.to_string().strip_prefix("invalid configuration: ").unwrap().to_owned()
}

/// A file with these lines below `storage`.
fn with_storage(lines: &str) -> String {
    format!("version: 0.1\nstorage:\n{lines}")
}

#[test]
fn everything_that_is_served() {
    let config = Config::from_yaml(
        "version: '0.1'
storage:
  s3aws:
    Bucket: backup
    secure: true
    chunksize: 5242880
    rootdirectory: \"/a b\"
  delete: {enabled: true}
  redirect:
    disable: false
  maintenance:
    readonly:
      enabled: t
catalog:
  maxentries: 500
tags:
  maxtags: 400
validation:
  manifests:
    indexes:
      platforms: None
http:
  addr: 127.0.0.1:5000
  secret: 0123456
",
    )
    .unwrap();
    assert_eq!(config.driver, "s3aws");
    let texts: Vec<_> =
        config.parameters.keys().map(|key| (key, config.parameters.get(key).unwrap())).collect();
    let expected =
        [("bucket", "backup"), ("chunksize", "5242880"), ("rootdirectory", "/a b"), ("secure", "true")];
    assert_eq!(texts, expected);
    assert!(config.delete && config.read_only);
    assert_eq!((config.redirect, config.max_page_size), (Some(true), Some(400)));
    assert_eq!(config.references, Some(ReferencePolicy::SparseIndexes));
    assert_eq!(config.addr.as_deref(), Some("127.0.0.1:5000"));
    assert_eq!(config.secret.as_ref().unwrap().expose(), "0123456");
    assert_eq!(config.ignored, []);
    assert!(!format!("{config:?}").contains("0123456"));
}

#[test]
fn little_is_enough() {
    for storage in ["storage: inmemory\n", "storage:\n  inmemory:\n", "storage: {inmemory: {}}\n"] {
        let config = Config::from_yaml(&format!("version: 0.1\n{storage}")).unwrap();
        assert_eq!(config.driver, "inmemory");
        assert!(config.parameters.is_empty() && !config.delete && !config.read_only);
        assert_eq!((config.redirect, config.max_page_size, config.references), (None, None, None));
        assert!(config.addr.is_none() && config.secret.is_none());
    }
    // Sections without content, as in distribution.
    let empty = "version: 0.1\nstorage:\n  inmemory: ~\n  delete:\n  cache: null\nhttp:\n  addr: ~\ntags:\n";
    let config = Config::from_yaml(empty).unwrap();
    assert!(config.addr.is_none() && config.ignored.len() == 1);
    assert_eq!(
        Config::from_yaml("version: 0.1\nstorage: inmemory\ncatalog: {maxentries: 0}").unwrap().max_page_size,
        None
    );
}

#[test]
fn credentials_are_texts() {
    for (written, expected) in [
        ("0123456", "0123456"),
        ("1e9", "1e9"),
        ("'a: b'", "a: b"),
        ("'ab #c'", "ab #c"),
        ("\"@abc\"", "@abc"),
        ("'x'", "x"),
        ("~", "~"),
        ("null", "null"),
        ("yes", "yes"),
        ("0x10", "0x10"),
        ("", ""),
    ] {
        let config = Config::from_yaml(&with_storage(&format!("  s3:\n    accesskey: {written}\n"))).unwrap();
        assert_eq!(config.parameters.get("accesskey"), Some(expected), "{written}");
    }
}

#[test]
fn sections_of_a_driver_become_names_with_dots() {
    let text =
        "  azure:\n    accountname: a\n    max_retries: 7\n    credentials:\n      type: client_secret\n";
    let config = Config::from_yaml(&with_storage(text)).unwrap();
    let keys: Vec<_> = config.parameters.keys().collect();
    assert_eq!(keys, ["accountname", "credentials.type", "max_retries"]);
}

#[test]
fn capitals_make_no_second_parameter() {
    let text = refusal(&with_storage("  s3:\n    bucket: a\n    Bucket: b\n"));
    assert_eq!(text, "`storage.s3.Bucket` (line 5): is set twice");
}

#[test]
fn mistakes_in_parameters_name_their_lines() {
    let config = Config::from_yaml(&with_storage("  s3:\n    bucket: b\n    chunksize: 12\n")).unwrap();
    let mut reader = config.parameters.reader();
    reader.text("bucket");
    reader.bytes("chunksize", 20..=30);
    reader.required("region");
    assert_eq!(
        reader.finish().unwrap_err().to_string(),
        "invalid configuration: 2 mistakes: `chunksize` (line 5): has to be a number of bytes from 20 to 30; `region` (storage.s3, line 3): required, but not given"
    );
}

#[test]
fn two_drivers_are_one_mistake_that_names_both() {
    assert_eq!(
        refusal(&with_storage("  s3:\n    bucket: b\n  filesystem:\n    rootdirectory: /x\n")),
        "`storage` (line 3): only one driver is allowed, not `s3` (line 3) and `filesystem` (line 5)"
    );
}

#[test]
fn keys_that_are_not_served_are_named_with_a_reason() {
    let config = Config::from_yaml(
        "version: 0.1
log:
  accesslog: {disabled: true}
  hooks: [{type: mail}]
storage:
  filesystem:
    rootdirectory: /var/lib/registry
  cache:
    blobdescriptor: inmemory
  maintenance:
    uploadpurging: {enabled: false}
  tag: {concurrencylimit: 8}
http:
  addr: :5000
  tls: {certificate: /c}
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver: {enabled: true}
redis: {addr: localhost:6379}
notifications: {endpoints: [{name: a}]}
proxy: {remoteurl: https://registry-1.docker.io}
auth: {htpasswd: {realm: r}}
middleware: {storage: [{name: cloudfront}]}
validation: {disabled: true, manifests: {urls: {allow: [a]}, indexes: {platforms: list, platformlist: []}}}
reporting: {bugsnag: {}}
compatibility: {schema1: {}}
policy: {repository: {classes: [a]}}
loglevel: info
",
    )
    .unwrap();
    let line = |ignored: &Ignored| match ignored.source {
        Source::Line(line) => line,
        Source::Named(_) => 0,
    };
    let ignored: Vec<_> =
        config.ignored.iter().map(|ignored| (line(ignored), ignored.key.as_str())).collect();
    let expected = [
        (3, "log.accesslog"),
        (4, "log.hooks"),
        (8, "storage.cache"),
        (12, "storage.tag"),
        (15, "http.tls"),
        (16, "http.headers"),
        (18, "health"),
        (20, "redis"),
        (21, "notifications"),
        (22, "proxy"),
        (23, "auth"),
        (24, "middleware"),
        (25, "validation.disabled"),
        (25, "validation.manifests.urls"),
        (25, "validation.manifests.indexes.platformlist"),
        (26, "reporting"),
        (27, "compatibility"),
        (28, "policy"),
    ];
    assert_eq!(ignored, expected);
    assert_eq!(config.references, Some(ReferencePolicy::Complete));
    assert_eq!(config.addr.as_deref(), Some(":5000"));
    assert_eq!(config.ignored[4].to_string(), "line 15: http.tls is ignored: TLS is not supported");
}

#[test]
fn all_mistakes_at_once() {
    assert_eq!(
        refusal(
            "version: 0.2
storage:
  s3:
    bucket: b
    bucket: c
    Region: [a]
  delet:
    enabled: true
  redirect:
    disable: maybe
htpp: {}
http:
  tsl: {}
  addr: [a]
catalog:
  maxentries: -1
tags: 7
something: hunter2
"
        ),
        "11 mistakes: line 5: `bucket` is set twice; `storage.delet` (line 7): unknown, did you mean \
         `storage.delete`?; `storage.s3.Region` (line 6): has to be a single value; `htpp` (line 11): \
         unknown, did you mean `http`?; `http.tsl` (line 13): unknown, did you mean `http.tls`?; `http.addr` \
         (line 14): has to be a single value; `tags` (line 17): has to be a section of keys and values; \
         `something` (line 18): unknown; `version` (line 1): has to be 0.1; `catalog.maxentries` (line 16): \
         has to be a number from 0 to 4294967295; `storage.redirect.disable` (line 10): has to be true or \
         false"
    );
}

#[test]
fn what_is_missing() {
    for (text, expected) in [
        ("", "2 mistakes: `version`: required, but not given; `storage`: a driver is required"),
        ("version: 0.1\n", "`storage`: a driver is required, such as `s3` or `filesystem`"),
        ("version: 0.1\nstorage:\n", "`storage`: a driver is required"),
        ("version: 0.1\nstorage:\n  delete: {enabled: true}\n", "`storage`: a driver is required"),
        ("storage: inmemory\n", "`version`: required, but not given"),
        ("hello\n", "3 mistakes: the file: has to contain keys and values; "),
        ("version: 0.1\nstorage: [a]\n", "2 mistakes: `storage` (line 2): has to be a section"),
        ("version: 0.1\nstorage: {s3: b}\n", "`storage.s3` (line 2): has to be a section of keys and values"),
        (
            "version: 0.1\nstorage: 's3: {secretkey: x}'\n",
            "2 mistakes: `storage` (line 2): has to be the name of a driver, such as `s3`",
        ),
        ("version: 0.1\nstorage: {s3: {bucket: *b}}\n", "line 2, column 24: invalid YAML: "),
    ] {
        let refusal = refusal(text);
        assert!(refusal.starts_with(expected), "{text}: {refusal}");
    }
}

#[test]
fn the_builder_does_what_the_file_says() {
    let file = "version: 0.1\nstorage:\n  inmemory:\n  maintenance: {readonly: {enabled: true}}\n";
    let config = Config::from_yaml(file).unwrap();
    let driver = Arc::new(plugin_registry_drivers_memory::MemoryDriver::new());
    let built = format!("{:?}", config.builder(driver).build());
    assert!(built.contains("read_only: true") && built.contains("delete: false"), "{built}");
}

/// Every key of the reference files of 2.8 and 3.x.
const ALL: &str = "version: 0.1
log:
  accesslog: {disabled: true}
  level: debug
  formatter: text
  fields: {service: registry, environment: staging}
  hooks: [{type: mail, disabled: true, levels: [panic], options: {smtp: {addr: a}}}]
  reportcaller: true
loglevel: debug
storage:
  filesystem: {rootdirectory: /var/lib/registry, maxthreads: 100}
  delete: {enabled: false}
  redirect: {disable: false}
  cache: {blobdescriptor: redis, blobdescriptorsize: 10000, layerinfo: inmemory}
  tag: {concurrencylimit: 8}
  maintenance:
    uploadpurging: {enabled: true, age: 168h, interval: 24h, dryrun: false}
    readonly: {enabled: false}
auth: {silly: {realm: r}}
middleware: {registry: [], repository: [], storage: [{name: rewrite, disabled: true, options: {}}]}
reporting: {bugsnag: {apikey: k}, newrelic: {licensekey: k}}
http:
  addr: localhost:5000
  net: tcp
  prefix: /my/nested/registry/
  host: https://myregistryaddress.org:5000
  secret: asecretforlocaldevelopment
  relativeurls: false
  draintimeout: 60s
  tls: {certificate: c, key: k, clientcas: [c], clientauth: a, minimumtls: tls1.2, ciphersuites: [c], letsencrypt: {}}
  debug: {addr: localhost:5001, prometheus: {enabled: true, path: /metrics}}
  headers: {X-Content-Type-Options: [nosniff]}
  http2: {disabled: false}
  h2c: {enabled: false}
notifications: {events: {includereferences: true}, endpoints: [{name: a}]}
redis: {addr: localhost:6379, addrs: [a], pool: {maxidle: 16}, tls: {enabled: false}}
health: {storagedriver: {enabled: true, interval: 10s, threshold: 3}, file: [], http: [], tcp: []}
proxy: {remoteurl: u, username: u, password: p, ttl: 168h, exec: {command: c}, cachewritetimeout: 5m}
validation:
  enabled: true
  disabled: false
  manifests:
    urls: {allow: [a], deny: [b]}
    indexes: {platforms: List, platformlist: [{architecture: amd64, os: linux}]}
policy: {repository: {classes: [plugin]}}
catalog: {maxentries: 1000}
tags: {maxtags: 1000}
compatibility: {schema1: {enabled: true}}
";

#[test]
fn everything_that_distribution_knows_is_known() {
    let config = Config::from_yaml(ALL).unwrap();
    let ignored: Vec<_> = config.ignored.iter().map(|ignored| ignored.key.as_str()).collect();
    let expected = "log.accesslog log.hooks log.reportcaller storage.cache storage.tag auth middleware reporting \
                    http.net http.prefix http.host http.relativeurls http.draintimeout http.tls http.debug \
                    http.headers http.http2 http.h2c notifications redis health proxy validation.enabled \
                    validation.disabled validation.manifests.urls validation.manifests.indexes.platformlist policy \
                    compatibility";
    assert_eq!(ignored.join(" "), expected);
    assert_eq!(config.purge, Some(PurgeSettings::default()));
    assert_eq!(config.log.fields.len(), 2);
}
