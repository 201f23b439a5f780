use std::path::Path;

use plugin_registry_core::{ErrorKind, Secret};
use serde_json::Value;

use super::*;
use crate::config::GcsCredentials;

const PEM_KEY: &str = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n";

fn parse(pairs: &[(&str, &str)]) -> Result<GcsConfig> {
    let least = Parameters::new().with("bucket", "backup");
    GcsConfig::from_parameters(&pairs.iter().fold(least, |all, (key, value)| all.with(key, *value)))
}

fn config(pairs: &[(&str, &str)]) -> GcsConfig {
    parse(pairs).unwrap()
}

/// The message of settings that are refused, without what all have in common.
fn mistake(pairs: &[(&str, &str)]) -> String {
    let error = parse(pairs).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let text = error.to_string();
    text.strip_prefix("gcs driver: invalid configuration: ").unwrap().to_owned()
}

fn json(config: &GcsConfig) -> &Secret {
    match &config.credentials {
        GcsCredentials::Json(json) => json,
        other => panic!("{other:?}"),
    }
}

fn document(config: &GcsConfig) -> Value {
    serde_json::from_str(json(config).expose()).unwrap()
}

#[test]
fn the_bucket_alone_is_enough() {
    assert_eq!(format!("{:?}", config(&[])), format!("{:?}", GcsConfig::new("backup")));
    let missing = GcsConfig::from_parameters(&Parameters::new()).unwrap_err();
    assert!(missing.to_string().ends_with("`bucket`: required, but not given"), "{missing}");
}

#[test]
fn every_parameter_is_read() {
    let config = config(&[
        ("Bucket", "example.com"),
        ("RootDirectory", "/ns/a/"),
        ("keyfile", "/tmp/credentials/ns/cloud"),
        ("endpoint", "https://storage-private.p.googleapis.com"),
        ("chunksize", "524288"),
        ("maxconcurrency", "60"),
        ("useragent", "backup/1.0"),
        ("skipverify", "t"),
        ("cabundle", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"),
        ("proxy", "http://me:canary@proxy:3128"),
    ]);
    assert_eq!((config.bucket.as_str(), config.root_directory.as_str()), ("example.com", "ns/a"));
    let GcsCredentials::KeyFile(path) = &config.credentials else { panic!("{config:?}") };
    assert_eq!(path, Path::new("/tmp/credentials/ns/cloud"));
    assert_eq!(config.endpoint.as_ref().unwrap().as_str(), "https://storage-private.p.googleapis.com/");
    assert_eq!((config.chunk_size, config.concurrency), (524_288, 60));
    assert_eq!((config.user_agent.as_deref(), config.skip_verify), (Some("backup/1.0"), true));
    assert!(config.ca_bundle.as_ref().unwrap().starts_with("-----BEGIN"));
    assert_eq!(config.proxy.as_ref().unwrap().expose(), "http://me:canary@proxy:3128");
    let shown = format!("{config:?}");
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn where_credentials_come_from() {
    assert!(matches!(config(&[]).credentials, GcsCredentials::Chain));
    assert!(matches!(config(&[("keyfile", ""), ("anonymous", "false")]).credentials, GcsCredentials::Chain));
    assert!(matches!(config(&[("anonymous", "true")]).credentials, GcsCredentials::Anonymous));
    let part = ("credentials.type", "service_account");
    let whole = (
        "credentials",
        r#"{"type":"impersonated_service_account","service_account_impersonation_url":"https://iamcredentials.googleapis.com/v1/a:generateAccessToken"}"#,
    );
    for (pairs, expected) in [
        (&[("keyfile", "/f"), whole][..], "`keyfile`: cannot be given together with `credentials`"),
        (&[("keyfile", "/f"), part], "`keyfile`: cannot be given together with `credentials.type`"),
        (&[whole, part], "`credentials`: cannot be given together with `credentials.type`"),
        (&[("anonymous", "true"), ("keyfile", "/f")], "`anonymous`: cannot be given together with `keyfile`"),
        (
            &[("anonymous", "true"), whole, part],
            "2 mistakes: `anonymous`: cannot be given together with `credentials`; `anonymous`: cannot be given \
             together with `credentials.type`",
        ),
        (&[("credentials", "")], "`credentials`: is empty"),
        (&[("credentials.private_key", "")], "`credentials.private_key`: is empty"),
        (&[("anonymous", "maybe")], "`anonymous`: has to be true or false"),
    ] {
        assert_eq!(mistake(pairs), expected);
    }
}

#[test]
fn a_document_is_taken_as_it_is() {
    let text = " {\"type\": \"authorized_user\",\n \"client_id\": \"i\", \"client_secret\": \"canary\", \
                \"refresh_token\": \"canary\", \"more\": {\"a\": [1]}}\n";
    let config = config(&[("credentials", text)]);
    assert_eq!(json(&config).expose(), text);
    assert!(!format!("{config:?}").contains("canary"));
    for (text, expected) in [
        ("/etc/canary.json", "is not a JSON object; to name a file, use `keyfile`"),
        ("{\"type\": canary}", "is invalid JSON at its line 1, column 10"),
        (
            "{\"type\": \"service_account\", \"client_email\": \"canary\"}",
            "is of the type service_account, but has no `private_key`",
        ),
    ] {
        assert_eq!(mistake(&[("credentials", text)]), format!("`credentials`: {expected}"));
    }
}

#[test]
fn keys_of_a_document_become_one() {
    let mut pairs = vec![
        ("credentials.type", "service_account"),
        ("credentials.project_id", "p"),
        ("credentials.private_key_id", "0123456"),
        ("credentials.private_key", PEM_KEY),
        ("credentials.client_email", "backup@p.iam.gserviceaccount.com"),
        ("credentials.client_id", "1e9"),
        ("credentials.auth_uri", "https://accounts.google.com/o/oauth2/auth"),
        ("credentials.token_uri", "https://oauth2.googleapis.com/token"),
        ("credentials.auth_provider_x509_cert_url", "https://www.googleapis.com/oauth2/v1/certs"),
        ("credentials.client_x509_cert_url", "https://www.googleapis.com/robot/v1/metadata/x509/backup"),
        ("credentials.universe_domain", "googleapis.com"),
    ];
    let all = config(&pairs);
    let expected = pairs
        .iter()
        .map(|(key, text)| (key.strip_prefix("credentials.").unwrap().to_owned(), Value::from(*text)));
    assert_eq!(document(&all), Value::Object(expected.collect()));
    assert!(!format!("{all:?}").contains("canary"));
    // The fields that a kind needs and does not need.
    pairs.retain(|(key, _)| {
        ["credentials.type", "credentials.private_key", "credentials.client_email"].contains(key)
    });
    config(&pairs);
    let user = [
        ("credentials.type", "Authorized_User"),
        ("credentials.client_id", "i"),
        ("credentials.client_secret", "s"),
        ("credentials.refresh_token", "t"),
        ("credentials.quota_project_id", "p"),
        ("credentials.account", ""),
    ];
    let user = document(&config(&user));
    assert_eq!((user.as_object().unwrap().len(), &user["type"]), (5, &Value::from("authorized_user")));
}

#[test]
fn secrets_arrive_byte_for_byte() {
    let with = |text| {
        [
            ("credentials.type", "authorized_user"),
            ("credentials.client_id", text),
            ("credentials.client_secret", text),
            ("credentials.refresh_token", text),
        ]
    };
    for text in ["0123456", "1e9", "a: b", "ab #c", "@abc", "'x'", "~", "null", "yes", "0x10", " x ", "\"\\"]
    {
        let read = document(&config(&with(text)));
        for name in ["client_id", "client_secret", "refresh_token"] {
            assert_eq!(read[name], text);
        }
    }
    assert_eq!(
        mistake(&with("")),
        "3 mistakes: `credentials.client_secret`: is empty; `credentials.refresh_token`: is empty; \
         `credentials.client_id`: required with `credentials.type` authorized_user, but not given"
    );
}

#[test]
fn mistakes_in_keys_of_a_document() {
    let kind = ("credentials.type", "service_account");
    let email = ("credentials.client_email", "a@b");
    for (pairs, expected) in [
        (
            &[kind][..],
            "2 mistakes: `credentials.client_email`: required with `credentials.type` service_account, but not \
             given; `credentials.private_key`: required with `credentials.type` service_account, but not given",
        ),
        (&[kind, email, ("credentials.private_key", "")], "`credentials.private_key`: is empty"),
        (
            &[kind, email, ("credentials.private_key", "canary")],
            "`credentials.private_key`: holds no PEM private key",
        ),
        (
            &[
                kind,
                email,
                (
                    "credentials.private_key",
                    "-----BEGIN PRIVATE KEY-----\\ncanary\\n-----END PRIVATE KEY-----",
                ),
            ],
            "`credentials.private_key`: has `\\n` as two characters instead of line breaks",
        ),
        (
            &[email, ("credentials.private_key", PEM_KEY)],
            "`credentials.type`: required with other keys of `credentials`, but not given",
        ),
        (
            &[("credentials.type", "service")],
            "`credentials.type`: has to be one of service_account, external_account, authorized_user, \
             impersonated_service_account",
        ),
        (
            &[("credentials.type", "external_account")],
            "`credentials.type`: this kind is read as a whole: put its JSON into `credentials`, or name its file \
             in `keyfile`",
        ),
    ] {
        assert_eq!(mistake(pairs), expected);
    }
}

#[test]
fn chunks_at_their_limits() {
    const UNIT: u64 = 262_144;
    for (text, expected) in
        [("", 64 * UNIT), ("262144", UNIT), ("0x80000", 2 * UNIT), ("5368709120", 5 << 30)]
    {
        assert_eq!(config(&[("chunksize", text)]).chunk_size, expected, "{text}");
    }
    for text in ["262145", "393216", "5368709119"] {
        let expected = "`chunksize`: has to be a multiple of 262144 (256 KiB)";
        assert_eq!(mistake(&[("chunksize", text)]), expected, "{text}");
    }
    for text in ["0", "262143", "131072", "5368971264", "-1", "16MiB"] {
        let expected = "`chunksize`: has to be a number of bytes from 262144 (256 KiB) to 5368709120 (5 GiB)";
        assert_eq!(mistake(&[("chunksize", text)]), expected, "{text}");
    }
}

#[test]
fn few_operations_at_a_time_are_25() {
    for (text, expected) in [("", 50), ("0", 25), ("1", 25), ("24", 25), ("25", 25), ("26", 26)] {
        assert_eq!(config(&[("maxconcurrency", text)]).concurrency, expected, "{text}");
    }
    assert_eq!(
        mistake(&[("maxconcurrency", "-3")]),
        "`maxconcurrency`: has to be a number from 0 to 4294967295"
    );
}

#[test]
fn endpoints_and_proxies() {
    for (text, credentials) in [
        ("https://storage.googleapis.com", ("keyfile", "/f")),
        ("https://gateway:8443/", ("keyfile", "/f")),
        ("http://127.0.0.1:4443", ("keyfile", "/f")),
        ("http://[::1]:4443", ("keyfile", "/f")),
        ("http://localhost:4443", ("keyfile", "/f")),
        ("http://fake-gcs:4443", ("anonymous", "true")),
    ] {
        let config = config(&[("endpoint", text), credentials]);
        assert_eq!(config.endpoint.unwrap().as_str().trim_end_matches('/'), text.trim_end_matches('/'));
    }
    for credentials in [("keyfile", "/f"), ("keyfile", ""), ("anonymous", "false")] {
        let expected = "`endpoint`: has to be https, or `anonymous` true: a token would travel unencrypted to another machine";
        assert_eq!(mistake(&[("endpoint", "http://fake-gcs:4443"), credentials]), expected);
    }
    for text in [
        "fake-gcs:4443",
        "ftp://a",
        "https://",
        "https://me:canary@a",
        "https://a/storage/v1/",
        "https://a?x",
        "https://a#x",
    ] {
        let expected = "`endpoint`: has to be http(s)://HOST:PORT, without a path or query";
        assert_eq!(mistake(&[("endpoint", text)]), expected, "{text}");
    }
    for text in ["proxy:3128", "socks5://me:canary@proxy", "canary"] {
        let expected = "`proxy`: has to be http(s)://HOST:PORT, with USER:PASSWORD@ before HOST if needed";
        assert_eq!(mistake(&[("proxy", text)]), expected, "{text}");
    }
    assert!(config(&[("proxy", ""), ("endpoint", "")]).proxy.is_none());
}

#[test]
fn what_is_refused() {
    for (pairs, expected) in [
        (
            &[("bucket", "My_Bucket")][..],
            "`bucket`: has to be 3 to 63 lower-case letters, digits, `-` and `_`, or several such parts \
             joined by dots, 222 characters in all, with a letter or digit at both ends",
        ),
        (&[("rootdirectory", "a/../b")], "`rootdirectory`: must not have `.` or `..` in it"),
        (&[("useragent", "a\nb")], "`useragent`: has to be printable ASCII"),
        (&[("skipverify", "yes")], "`skipverify`: has to be true or false"),
        (
            &[("cabundle", "/etc/ca.pem")],
            "`cabundle`: holds no PEM certificate; to name a file, use `cabundlepath`",
        ),
        (
            &[("cabundle", "-----BEGIN CERTIFICATE-----"), ("cabundlepath", "/ca.pem")],
            "`cabundle`: cannot be given together with `cabundlepath`",
        ),
        (&[("key_file", "/f")], "`key_file`: unknown, did you mean `keyfile`?"),
        (
            &[("credentials.privatekey", "canary")],
            "`credentials.privatekey`: unknown, did you mean `credentials.private_key`?",
        ),
        (&[("use_http", "true")], "`use_http`: unknown"),
    ] {
        assert_eq!(mistake(pairs), expected);
    }
    for (text, expected) in [("", ""), ("/", ""), ("foo", "foo"), ("/foo/", "foo"), ("//a/b", "a/b")] {
        assert_eq!(config(&[("rootdirectory", text)]).root_directory, expected, "{text}");
    }
    assert_eq!(config(&[("cabundlepath", "/ca.pem")]).ca_bundle_path.as_deref(), Some(Path::new("/ca.pem")));
}

#[test]
fn all_mistakes_at_once_and_no_secret_among_them() {
    let text = mistake(&[
        ("bucket", "canary canary"),
        ("bukcet", "canary"),
        ("chunksize", "canary-canary"),
        ("credentials.type", "service_account"),
        ("credentials.private_key", "canary"),
        ("credentials.client_secret", "canary"),
        ("endpoint", "https://canary@a"),
        ("proxy", "canary"),
        ("skipverify", "canary-canary"),
        ("maxconcurrency", "canary-canary"),
    ]);
    assert!(text.starts_with("9 mistakes: ") && !text.contains("canary"), "{text}");
    let text = mistake(&[("credentials", "{\"private_key\": \"canary\", canary}"), ("keyfile", "/canary")]);
    assert_eq!(text, "`keyfile`: cannot be given together with `credentials`");
}

#[test]
fn mistakes_name_their_place() {
    let parameters = Parameters::new()
        .with_from("credentials", "{}", "key `cloud` of Secret `a`")
        .with_source("BackupStorageLocation `b`");
    assert_eq!(
        GcsConfig::from_parameters(&parameters).unwrap_err().to_string(),
        "gcs driver: invalid configuration: 2 mistakes: `bucket` (BackupStorageLocation `b`): required, but not \
         given; `credentials` (key `cloud` of Secret `a`): its `type` has to be one of service_account, \
         external_account, authorized_user, impersonated_service_account"
    );
}
