use std::path::Path;

use plugin_registry_core::ErrorKind;

use super::*;
use crate::config::{AzureCredentials, ServicePrincipal};

fn parse(pairs: &[(&str, &str)]) -> Result<AzureConfig> {
    let least = Parameters::new().with("accountname", "account").with("container", "backup");
    AzureConfig::from_parameters(&pairs.iter().fold(least, |all, (key, value)| all.with(key, *value)))
}

fn config(pairs: &[(&str, &str)]) -> AzureConfig {
    parse(pairs).unwrap()
}

/// The message of settings that are refused, without what all have in common.
fn mistake(pairs: &[(&str, &str)]) -> String {
    let error = parse(pairs).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let text = error.to_string();
    text.strip_prefix("azure driver: invalid configuration: ").unwrap().to_owned()
}

fn principal(config: &AzureConfig) -> &ServicePrincipal {
    match &config.credentials {
        AzureCredentials::ClientSecret(principal) => principal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn account_and_container_are_enough() {
    assert_eq!(format!("{:?}", config(&[])), format!("{:?}", AzureConfig::new("account", "backup")));
    let missing = AzureConfig::from_parameters(&Parameters::new()).unwrap_err();
    assert!(
        missing.to_string().ends_with(
            "2 mistakes: `accountname`: required, but not given; `container`: required, but not given"
        ),
        "{missing}"
    );
}

#[test]
fn every_parameter_is_read() {
    let config = config(&[
        ("AccountName", "devstoreaccount1"),
        ("Container", "a-b"),
        ("credentials.type", "Client_Secret"),
        ("credentials.clientid", "client"),
        ("credentials.tenantid", "tenant"),
        ("credentials.secret", "canary"),
        ("realm", "core.usgovcloudapi.net"),
        ("serviceurl", "https://127.0.0.1:10000/devstoreaccount1"),
        ("rootdirectory", "/ns/a/"),
        ("leadingslash", "yes"),
        ("max_retries", "7"),
        ("retry_delay", "1.5s"),
        ("skipverify", "t"),
        ("cabundle", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"),
        ("proxy", "http://me:canary@proxy:3128"),
    ]);
    assert_eq!((config.account_name.as_str(), config.container.as_str()), ("devstoreaccount1", "a-b"));
    let principal = principal(&config);
    assert_eq!((principal.client_id.as_str(), principal.tenant_id.as_str()), ("client", "tenant"));
    assert_eq!(principal.secret.expose(), "canary");
    assert_eq!(config.realm, "core.usgovcloudapi.net");
    assert_eq!(config.service_url.as_ref().unwrap().as_str(), "https://127.0.0.1:10000/devstoreaccount1");
    assert_eq!((config.root_directory.as_str(), config.leading_slash), ("ns/a", LeadingSlash::Yes));
    assert_eq!((config.max_retries, config.retry_delay), (7, Duration::from_millis(1500)));
    assert!(config.skip_verify && config.ca_bundle.as_ref().unwrap().starts_with("-----BEGIN"));
    assert_eq!(config.proxy.as_ref().unwrap().expose(), "http://me:canary@proxy:3128");
    let shown = format!("{config:?}");
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn secrets_arrive_byte_for_byte() {
    let with = |secret| {
        [
            ("credentials.type", "client_secret"),
            ("credentials.clientid", "c"),
            ("credentials.tenantid", "t"),
            ("credentials.secret", secret),
        ]
    };
    for text in ["0123456", "1e9", "a: b", "ab #c", "@abc", "'x'", "~", "null", "yes", "0x10", " x "] {
        assert_eq!(principal(&config(&with(text))).secret.expose(), text);
    }
    assert_eq!(mistake(&with("")), "`credentials.secret`: is empty");
    assert_eq!(mistake(&[("credentials.secret", "")]), "`credentials.secret`: is empty");
    assert_eq!(mistake(&[("accountkey", "")]), "`accountkey`: is empty");
    assert_eq!(mistake(&[("accountkey", ""), ("credentials.type", "shared_key")]), "`accountkey`: is empty");
}

#[test]
fn keys_of_the_account_are_base64() {
    // As it is for distribution too: line breaks around and in it do not count.
    for (given, expected) in
        [("YWJj", "YWJj"), ("1e8=", "1e8="), ("YW\r\nJj\n", "YWJj"), ("null", "null"), ("/w==", "/w==")]
    {
        let config = config(&[("accountkey", given)]);
        let AzureCredentials::SharedKey(key) = &config.credentials else { panic!("{config:?}") };
        assert_eq!(key.expose(), expected);
        assert!(!format!("{config:?}").contains(expected));
    }
    for text in ["canary", "canary==", "canary-canary", " YWJj", "\n", "AccountKey=canary", "'YWJj'"] {
        let expected = "`accountkey`: has to be an account key in padded base64";
        assert_eq!(mistake(&[("accountkey", text)]), expected, "{text}");
    }
}

#[test]
fn where_credentials_come_from() {
    const KEY: (&str, &str) = ("accountkey", "YWJj");
    const SERVICE: &[(&str, &str)] = &[
        ("credentials.type", "client_secret"),
        ("credentials.clientid", "c"),
        ("credentials.tenantid", "t"),
        ("credentials.secret", "s"),
    ];
    for pairs in [&[][..], &[("credentials.type", "default_credentials")], &[("credentials.type", "")]] {
        assert!(matches!(config(pairs).credentials, AzureCredentials::Chain), "{pairs:?}");
    }
    // The key wins, whatever else is there: empty texts too, as variables for both kinds have them.
    for others in [
        &[][..],
        SERVICE,
        &SERVICE[..2],
        &[("credentials.type", "shared_key")],
        &[("credentials.type", "default_credentials")],
        &[("credentials.clientid", ""), ("credentials.tenantid", ""), ("credentials.secret", "")],
    ] {
        let config = config(&[&[KEY], others].concat());
        assert!(matches!(config.credentials, AzureCredentials::SharedKey(_)), "{others:?}");
    }
    let workload = config(&[
        ("credentials.type", "workload_identity"),
        ("credentials.clientid", "c"),
        ("credentials.tenantid", "t"),
        ("credentials.tokenfile", "/token"),
    ]);
    match workload.credentials {
        AzureCredentials::WorkloadIdentity(found) => {
            let ids = (found.client_id.as_str(), found.tenant_id.as_str());
            assert_eq!((ids, found.token_file.as_path()), (("c", "t"), Path::new("/token")));
        }
        other => panic!("{other:?}"),
    }
    let with_empty_key = config(&[&[("accountkey", "")], SERVICE].concat());
    assert_eq!(principal(&with_empty_key).client_id, "c");
    let chain = config(&[("accountkey", ""), ("credentials.type", "default_credentials")]);
    assert!(matches!(chain.credentials, AzureCredentials::Chain));
}

#[test]
fn more_kinds_of_credentials() {
    let machine = config(&[("credentials.type", "managed_identity")]);
    assert!(matches!(machine.credentials, AzureCredentials::ManagedIdentity(None)));
    let named = config(&[("credentials.type", "managed_identity"), ("credentials.clientid", "c")]);
    assert!(matches!(&named.credentials, AzureCredentials::ManagedIdentity(Some(client)) if client == "c"));
    assert!(matches!(config(&[("credentials.type", "azure_cli")]).credentials, AzureCredentials::Cli));
    for pairs in
        [&[("sastoken", "?sig=canary")][..], &[("sastoken", "sig=canary"), ("credentials.type", "sas")]]
    {
        let config = config(pairs);
        assert!(
            matches!(config.credentials, AzureCredentials::Sas(_))
                && !format!("{config:?}").contains("canary")
        );
    }
    for (pairs, expected) in [
        (
            &[("credentials.type", "sas")][..],
            "`sastoken`: required with `credentials.type` sas, but not given",
        ),
        (&[("sastoken", "canary")], "`sastoken`: is no SAS token: it has no `sig`"),
        (
            &[("sastoken", "sig=canary"), ("credentials.type", "managed_identity")],
            "`sastoken`: goes with `credentials.type` sas",
        ),
        (
            &[("credentials.type", "managed_identity"), ("credentials.tenantid", "t")],
            "`credentials.tenantid`: goes with `credentials.type` client_secret, not managed_identity",
        ),
        (
            &[("credentials.type", "azure_cli"), ("credentials.clientid", "c")],
            "`credentials.clientid`: goes with `credentials.type` client_secret, not azure_cli",
        ),
    ] {
        assert_eq!(mistake(pairs), expected);
    }
}

#[test]
fn a_connection_string_stands_for_the_account() {
    let read = |text: &str| {
        let parameters = Parameters::new().with("container", "backup").with("connectionstring", text);
        AzureConfig::from_parameters(&parameters)
    };
    let shown = read("AccountName=account;AccountKey=YWJj;EndpointSuffix=core.chinacloudapi.cn").unwrap();
    assert_eq!((shown.account_name.as_str(), shown.realm.as_str()), ("account", "core.chinacloudapi.cn"));
    assert!(matches!(shown.credentials, AzureCredentials::SharedKey(_)));
    let sas = read("AccountName=account;SharedAccessSignature=sv=2026&sig=x;BlobEndpoint=https://a.example")
        .unwrap();
    assert!(matches!(sas.credentials, AzureCredentials::Sas(_)));
    assert_eq!(sas.service_url.unwrap().as_str(), "https://a.example/");
    for (text, expected) in [
        ("canary", "`connectionstring`: has a part without `=`"),
        ("AccountName=CANARY;AccountKey=YWJj", "has an `AccountName` that is not 3 to 24 lower-case letters"),
        ("AccountName=account;AccountKey=canary", "has an `AccountKey` that is not in padded base64"),
        (
            "AccountName=account;AccountKey=YWJj;EndpointSuffix=canary/",
            "has an `EndpointSuffix` that is no domain",
        ),
        ("AccountName=account;SharedAccessSignature=sig=x;BlobEndpoint=http://a.example", "has to be https"),
    ] {
        let text = read(text).unwrap_err().to_string();
        assert!(text.contains(expected) && !text.to_lowercase().contains("canary"), "{text}");
    }
    let string = ("connectionstring", "AccountName=account;AccountKey=YWJj");
    assert_eq!(mistake(&[string]), "`accountname`: cannot be given together with `connectionstring`");
}

#[test]
fn blocks_and_limits() {
    let set = config(&[
        ("chunksize", "1048576"),
        ("maxconcurrency", "8"),
        ("maxattempts", "1"),
        ("idletimeout", "1s"),
        ("answertimeout", "1h"),
    ]);
    assert_eq!((set.chunk_size, set.concurrency, set.max_attempts), (1 << 20, 8, 1));
    assert_eq!((set.idle_timeout.as_secs(), set.answer_timeout.as_secs()), (1, 3600));
    for (key, text) in [
        ("chunksize", "1048575"),
        ("chunksize", "4194304001"),
        ("maxconcurrency", "0"),
        ("maxattempts", "21"),
        ("idletimeout", "999ms"),
        ("answertimeout", "2h"),
    ] {
        assert!(mistake(&[(key, text)]).starts_with(&format!("`{key}`: has to be")), "{key} {text}");
    }
}

#[test]
fn contradictions_of_credentials() {
    for (pairs, expected) in [
        (
            &[("credentials.type", "shared_key")][..],
            "`accountkey`: required with `credentials.type` shared_key, but not given",
        ),
        (
            &[
                ("credentials.type", "client_secret"),
                ("credentials.clientid", "c"),
                ("credentials.tenantid", "t"),
            ],
            "`credentials.secret`: required with `credentials.type` client_secret, but not given",
        ),
        (
            &[("credentials.type", "client_secret"), ("credentials.secret", "canary")],
            "2 mistakes: `credentials.clientid`: required with `credentials.type` client_secret, but not given; \
             `credentials.tenantid`: required with `credentials.type` client_secret, but not given",
        ),
        (
            &[("credentials.type", "default_credentials"), ("credentials.clientid", "c")],
            "`credentials.clientid`: goes with `credentials.type` client_secret, not default_credentials",
        ),
        (
            &[("credentials.clientid", "c"), ("credentials.tenantid", "t"), ("credentials.secret", "canary")],
            "`credentials.type`: required with `credentials.clientid`, but not given; client_secret uses it",
        ),
        (
            &[("credentials.secret", "canary")],
            "`credentials.type`: required with `credentials.secret`, but not given; client_secret uses it",
        ),
        (
            &[("credentials.type", "workload_identity"), ("credentials.secret", "canary")],
            "4 mistakes: `credentials.secret`: goes with `credentials.type` client_secret, not workload_identity; \
             `credentials.clientid`: required with `credentials.type` workload_identity, but not given; \
             `credentials.tenantid`: required with `credentials.type` workload_identity, but not given; \
             `credentials.tokenfile`: required with `credentials.type` workload_identity, but not given",
        ),
        (
            &[("credentials.tokenfile", "/token")],
            "`credentials.tokenfile`: goes with `credentials.type` workload_identity",
        ),
        (
            &[("credentials.type", "msi"), ("credentials.clientid", "c")],
            "`credentials.type`: has to be one of shared_key, sas, client_secret, workload_identity, managed_identity, azure_cli, default_credentials",
        ),
        (
            &[("accountkey", "YWJj"), ("credentials.type", "msi")],
            "`credentials.type`: has to be one of shared_key, sas, client_secret, workload_identity, managed_identity, azure_cli, default_credentials",
        ),
    ] {
        assert_eq!(mistake(pairs), expected);
    }
}

#[test]
fn names() {
    const CONTAINER: &str = "`container`: has to be 3 to 63 lower-case letters, digits and single hyphens, with no hyphen at its ends";
    for text in ["ab", "Account", "an-account"] {
        let expected = "`accountname`: has to be 3 to 24 lower-case letters and digits";
        assert_eq!(mistake(&[("accountname", text)]), expected, "{text}");
    }
    for text in ["ab", "Backup", "a--b", "-abc", "a/b/c", "$x"] {
        assert_eq!(mistake(&[("container", text)]), CONTAINER, "{text}");
    }
    for text in ["$root", "$logs", "$web"] {
        let expected = "`container`: is one of $root, $logs and $web, which cannot hold a registry";
        assert_eq!(mistake(&[("container", text)]), expected, "{text}");
    }
    for text in ["https://core.windows.net", "core.windows.net/", "core..net", "a.b:443"] {
        assert_eq!(
            mistake(&[("realm", text)]),
            "`realm`: has to be just a domain, such as core.windows.net; put a URL into `serviceurl`",
            "{text}"
        );
    }
    assert_eq!(
        mistake(&[("realm", "blob.core.windows.net")]),
        "`realm`: must not begin with `blob.`, which is added to it"
    );
    for (text, expected) in [("", ""), ("/", ""), ("foo", "foo"), ("/foo/", "foo"), ("//a/b", "a/b")] {
        assert_eq!(config(&[("rootdirectory", text)]).root_directory, expected, "{text}");
    }
    let dots = mistake(&[("rootdirectory", "a/../b")]);
    assert_eq!(dots, "`rootdirectory`: must not have `.` or `..` in it");
}

#[test]
fn urls() {
    let key = ("accountkey", "YWJj");
    for (text, expected) in [
        ("http://127.0.0.1:10000/devstoreaccount1", "http://127.0.0.1:10000/devstoreaccount1"),
        ("https://account.blob.core.windows.net", "https://account.blob.core.windows.net/"),
        ("http://[::1]:10000/a/", "http://[::1]:10000/a/"),
    ] {
        let config = config(&[key, ("serviceurl", text)]);
        assert_eq!(config.service_url.unwrap().as_str(), expected);
    }
    for text in [
        "account.blob.core.windows.net",
        "ftp://a",
        "https://",
        "https://me:canary@a",
        "https://a?sig=canary",
        "https://a#x",
    ] {
        assert_eq!(
            mistake(&[key, ("serviceurl", text)]),
            "`serviceurl`: has to be http(s)://HOST:PORT, with the account as path if the store needs it, \
             and without a user or a signature",
            "{text}"
        );
    }
    let plain = ("serviceurl", "http://127.0.0.1:10000/devstoreaccount1");
    assert_eq!(
        mistake(&[plain]),
        "`serviceurl`: has to be https without `accountkey`: a token would travel unencrypted"
    );
    for text in ["proxy:3128", "socks5://me:canary@proxy", "canary"] {
        let expected = "`proxy`: has to be http(s)://HOST:PORT, with USER:PASSWORD@ before HOST if needed";
        assert_eq!(mistake(&[("proxy", text)]), expected, "{text}");
    }
    assert!(config(&[("proxy", "")]).proxy.is_none());
}

#[test]
fn retries_and_delays() {
    for (text, expected) in [("", 5), ("-1", 0), ("1", 1), ("1000", 1000)] {
        assert_eq!(config(&[("max_retries", text)]).max_retries, expected, "{text}");
    }
    for text in ["0", "-2", "1001", "05", "+5", "0x5", "5.0", "99999999999", "five"] {
        let expected = "`max_retries`: has to be a number from 1 to 1000, or -1 for none";
        assert_eq!(mistake(&[("max_retries", text)]), expected, "{text}");
    }
    for (text, millis) in [("", 100), ("1ms", 1), ("250ms", 250), ("1m", 60_000), ("0m60s", 60_000)] {
        let expected = Duration::from_millis(millis);
        assert_eq!(config(&[("retry_delay", text)]).retry_delay, expected, "{text}");
    }
    for text in ["0", "999us", "60001ms", "100", "-1s", "1h", "soon"] {
        let expected = "`retry_delay`: has to be a duration from 1ms to 1m, such as 100ms or 1.5s";
        assert_eq!(mistake(&[("retry_delay", text)]), expected, "{text}");
    }
}

#[test]
fn slashes_before_names() {
    for (text, expected) in [
        ("", LeadingSlash::Detect),
        ("detect", LeadingSlash::Detect),
        ("yes", LeadingSlash::Yes),
        ("NO", LeadingSlash::No),
    ] {
        assert_eq!(config(&[("leadingslash", text)]).leading_slash, expected, "{text}");
    }
    assert_eq!(mistake(&[("leadingslash", "true")]), "`leadingslash`: has to be one of yes, no, detect");
}

#[test]
fn what_is_refused() {
    for (key, expected) in [
        (
            "spn.client.id",
            "unknown: no driver reads it; write `credentials.clientid`, with `credentials.type` client_secret",
        ),
        (
            "spn.client.secret",
            "unknown: no driver reads it; write `credentials.secret`, with `credentials.type` client_secret",
        ),
        (
            "spn.tenant.id",
            "unknown: no driver reads it; write `credentials.tenantid`, with `credentials.type` client_secret",
        ),
        ("aad.endpoint", "unknown: no driver reads it; name another cloud with `realm`"),
        (
            "copy_status_poll_max_retry",
            "unknown: no driver reads it; distribution 3.0 renamed it to `max_retries`",
        ),
        (
            "copy_status_poll_delay",
            "unknown: no driver reads it; distribution 3.0 renamed it to `retry_delay`",
        ),
        ("acountname", "unknown, did you mean `accountname`?"),
        ("maxretries", "unknown, did you mean `max_retries`?"),
        ("credentials.client_id", "unknown, did you mean `credentials.clientid`?"),
        ("credentials.client.id", "unknown, did you mean `credentials.clientid`?"),
        ("use_http", "unknown"),
    ] {
        assert_eq!(mistake(&[(key, "canary-canary")]), format!("`{key}`: {expected}"));
    }
    for (pairs, expected) in [
        (&[("skipverify", "yes")][..], "`skipverify`: has to be true or false"),
        (
            &[("cabundle", "/etc/ca.pem")],
            "`cabundle`: holds no PEM certificate; to name a file, use `cabundlepath`",
        ),
        (
            &[("cabundle", "-----BEGIN CERTIFICATE-----"), ("cabundlepath", "/ca.pem")],
            "`cabundle`: cannot be given together with `cabundlepath`",
        ),
    ] {
        assert_eq!(mistake(pairs), expected);
    }
    assert!(config(&[("connectionstring", "")]).service_url.is_none());
    assert_eq!(config(&[("cabundlepath", "/ca.pem")]).ca_bundle_path.as_deref(), Some(Path::new("/ca.pem")));
}

#[test]
fn all_mistakes_at_once_and_no_secret_among_them() {
    let text = mistake(&[
        ("accountname", "canary-canary"),
        ("container", "canary canary"),
        ("contaner", "canary-canary"),
        ("accountkey", "canary"),
        ("spn.client.secret", "canary"),
        ("credentials.type", "canary-canary"),
        ("credentials.secret", "canary"),
        ("serviceurl", "https://canary@a"),
        ("proxy", "canary"),
        ("realm", "canary@"),
        ("skipverify", "canary-canary"),
        ("max_retries", "canary"),
        ("retry_delay", "canary"),
    ]);
    assert!(text.starts_with("12 mistakes: ") && !text.contains("canary"), "{text}");
}

#[test]
fn mistakes_name_their_place() {
    let parameters = Parameters::new()
        .with("container", "backup")
        .with_from("accountkey", "canary", "key `cloud` of Secret `a`")
        .with_source("BackupStorageLocation `b`");
    assert_eq!(
        AzureConfig::from_parameters(&parameters).unwrap_err().to_string(),
        "azure driver: invalid configuration: 2 mistakes: `accountname` (BackupStorageLocation `b`): \
         required, but not given; `accountkey` (key `cloud` of Secret `a`): has to be an account key in \
         padded base64"
    );
}
