//! Which driver it is, and its parameters.

use super::*;

fn keys(config: &Config) -> Vec<&str> {
    config.parameters.keys().collect()
}

#[test]
fn trap_1_credentials_arrive_byte_for_byte() {
    for key in
        ["0123456", "1e9", "a: b", "ab #c", "@abc", "'x'", "~", "null", "yes", "0x10", "{a: b}", " a ", ""]
    {
        let pairs = [("REGISTRY_STORAGE", "s3"), ("REGISTRY_STORAGE_S3_ACCESSKEY", key)];
        let config = Config::from_env(pairs).unwrap();
        assert_eq!(config.parameters.get("accesskey"), Some(key));
        let mut reader = config.parameters.reader();
        let read = reader.secret("accesskey");
        let ended = reader.finish().map_err(|error| error.to_string());
        if key.is_empty() {
            let expected =
                "invalid configuration: `accesskey` (REGISTRY_STORAGE_S3_ACCESSKEY): is empty".to_owned();
            assert_eq!(ended, Err(expected));
        } else {
            assert_eq!((read.unwrap().expose(), ended), (key, Ok(())));
        }
        // The same for the secret of the registry itself.
        let secret = memory(&[("REGISTRY_HTTP_SECRET", key)]).secret;
        assert_eq!(secret.as_ref().map_or("", |secret| secret.expose()), key);
    }
}

#[test]
fn trap_2_an_underscore_makes_no_map() {
    let config = Config::from_env([("REGISTRY_STORAGE_AZURE_MAX_RETRIES", "7")]).unwrap();
    assert_eq!((config.driver.as_str(), config.parameters.get("max_retries")), ("azure", Some("7")));
    let config =
        Config::from_env([("REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE", "default_credentials")]).unwrap();
    assert_eq!(config.parameters.get("credentials.type"), Some("default_credentials"));
    let config =
        Config::from_env([("REGISTRY_STORAGE_S3_USE_HTTP", "true"), ("REGISTRY_STORAGE_S3_BUKETT", "b")])
            .unwrap();
    let mut reader = config.parameters.reader();
    reader.required("bucket");
    assert_eq!(
        reader.finish().unwrap_err().to_string(),
        "invalid configuration: 3 mistakes: `bucket` (REGISTRY_STORAGE_S3_*): required, but not given; `bukett` \
         (REGISTRY_STORAGE_S3_BUKETT): unknown, did you mean `bucket`?; `use_http` (REGISTRY_STORAGE_S3_USE_HTTP): \
         unknown"
    );
}

#[test]
fn trap_3_naming_a_driver_wipes_nothing() {
    for name in ["s3", "S3", "s3aws"] {
        let config = Config::from_yaml_and_env(FILE, [("REGISTRY_STORAGE", name)]).unwrap();
        assert_eq!((config.driver.as_str(), keys(&config)), (name, vec!["accesskey", "bucket"]));
        assert!(config.delete && config.read_only && config.redirect == Some(true) && config.purge.is_some());
    }
    let config = Config::from_yaml_and_env(FILE, [("REGISTRY_STORAGE", "filesystem")]).unwrap();
    assert_eq!((config.driver.as_str(), keys(&config)), ("filesystem", vec![]));
    assert!(config.delete && config.read_only && config.redirect == Some(true) && config.purge.is_some());
    assert_eq!(ignored(&config).len(), 1, "cache");
}

#[test]
fn trap_4_purging_that_is_off_stays_off() {
    let file = "version: 0.1\nstorage:\n  inmemory:\n  maintenance: {uploadpurging: {enabled: false}}\n";
    for name in ["inmemory", "s3"] {
        assert_eq!(Config::from_yaml_and_env(file, [("REGISTRY_STORAGE", name)]).unwrap().purge, None);
    }
}

#[test]
fn trap_8_the_level_is_each_instances_own() {
    let [one, other] = ["debug", "error"].map(|level| memory(&[("REGISTRY_LOG_LEVEL", level)]).log.level);
    assert_eq!((one, other), (Some(LevelFilter::DEBUG), Some(LevelFilter::ERROR)));
}

#[test]
fn parameters_name_the_driver_where_nothing_else_does() {
    for (pairs, driver) in [
        (&[("REGISTRY_STORAGE_INMEMORY", "")][..], "inmemory"),
        (&[("REGISTRY_STORAGE_INMEMORY", "{}")], "inmemory"),
        (&[("REGISTRY_STORAGE", "InMemory"), ("REGISTRY_STORAGE_MEMORY", "")], "InMemory"),
        (&[("REGISTRY_STORAGE_GCS_BUCKET", "b")], "gcs"),
        (&[("REGISTRY_STORAGE_MINE_A_B", "b")], "mine"),
    ] {
        assert_eq!(Config::from_env(pairs.iter().copied()).unwrap().driver, driver);
    }
}

#[test]
fn drivers_of_others_have_any_names() {
    let config = Config::from_env([("REGISTRY_STORAGE", "my_store"), ("REGISTRY_STORAGE_MY_STORE_A_B", "c")]);
    assert_eq!(config.unwrap().parameters.get("a_b"), Some("c"));
    let file = "version: 0.1\nstorage: {delete_: {a: {b: 1}, c_d: 2}}\n";
    let pairs = [
        ("REGISTRY_STORAGE_DELETE__A_B", "3"),
        ("REGISTRY_STORAGE_DELETE__C_D", "4"),
        ("REGISTRY_STORAGE_DELETE__E_F", "5"),
    ];
    // A name that is close to one of our keys is refused in a file, so the name here is not close.
    assert!(Config::from_yaml(file).is_err());
    let file = file.replace("delete_", "far_away");
    let pairs = pairs.map(|(name, value)| (name.replace("DELETE_", "FAR_AWAY"), value));
    let config = Config::from_yaml_and_env(&file, pairs).unwrap();
    assert_eq!(keys(&config), ["a.b", "c_d", "e_f"]);
    assert_eq!(config.parameters.get("a.b"), Some("3"));
}

#[test]
fn two_locations_never_mix() {
    let [one, other] = ["a", "b"].map(|name| {
        let pairs = [("REGISTRY_STORAGE", "azure"), ("REGISTRY_STORAGE_AZURE_ACCOUNTNAME", name)];
        Config::from_env(pairs).unwrap().parameters
    });
    assert_eq!((one.get("accountname"), other.get("accountname")), (Some("a"), Some("b")));
}

/// What OADP passes for Azure, with these texts.
fn oadp(key: &str, [id, secret, tenant]: [&str; 3], more: &[(&str, &str)]) -> Config {
    let pairs = [
        ("REGISTRY_STORAGE", "azure"),
        ("REGISTRY_STORAGE_AZURE_CONTAINER", "c"),
        ("REGISTRY_STORAGE_AZURE_ACCOUNTNAME", "a"),
        ("REGISTRY_STORAGE_AZURE_ACCOUNTKEY", key),
        ("REGISTRY_STORAGE_AZURE_AAD_ENDPOINT", ""),
        ("REGISTRY_STORAGE_AZURE_SPN_CLIENT_ID", id),
        ("REGISTRY_STORAGE_AZURE_SPN_CLIENT_SECRET", secret),
        ("REGISTRY_STORAGE_AZURE_SPN_TENANT_ID", tenant),
    ];
    Config::from_env(pairs.iter().chain(more).copied()).unwrap()
}

#[test]
fn trap_10_the_service_principal_of_oadp_works() {
    let config = oadp("", ["id", "0123", "tenant"], &[]);
    let texts: Vec<_> =
        keys(&config).into_iter().map(|key| (key, config.parameters.get(key).unwrap())).collect();
    let expected = [
        ("accountname", "a"),
        ("container", "c"),
        ("credentials.clientid", "id"),
        ("credentials.secret", "0123"),
        ("credentials.tenantid", "tenant"),
        ("credentials.type", "client_secret"),
    ];
    assert_eq!((texts, ignored(&config)), (expected.to_vec(), vec![]));
    assert!(!format!("{config:?}").contains("0123"));
    // Mistakes in it name the variable.
    let mut reader = config.parameters.reader();
    for key in ["credentials.tenantid", "credentials.type"] {
        reader.mistake(key, "is wrong");
    }
    let text = reader.finish().unwrap_err().to_string();
    let expected = "`credentials.tenantid` (REGISTRY_STORAGE_AZURE_SPN_TENANT_ID): is wrong; `credentials.type` \
                    (REGISTRY_STORAGE_AZURE_SPN_CLIENT_ID): is wrong; ";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn an_account_key_wins_over_the_service_principal() {
    let config = oadp("key", ["id", "secret", ""], &[]);
    assert_eq!(keys(&config), ["accountkey", "accountname", "container"]);
    let expected = [
        "REGISTRY_STORAGE_AZURE_SPN_CLIENT_ID: storage.azure.credentials.clientid is ignored: the account key is used",
        "REGISTRY_STORAGE_AZURE_SPN_CLIENT_SECRET: storage.azure.credentials.secret is ignored: the account key is \
         used",
    ];
    assert_eq!(ignored(&config), expected);
}

#[test]
fn empty_variables_of_oadp_do_no_harm() {
    let config = oadp("key", ["", "", ""], &[]);
    assert_eq!(keys(&config), ["accountkey", "accountname", "container"]);
    assert!(config.ignored.is_empty());
    // No key at all: the driver reports an empty key.
    let config = oadp("", ["", "", ""], &[]);
    assert_eq!((keys(&config), config.ignored.len()), (vec!["accountkey", "accountname", "container"], 0));
}

#[test]
fn a_principal_without_secret_is_that_of_a_workload_identity() {
    let config = oadp("", ["id", "", "tenant"], &[]);
    assert_eq!(keys(&config), ["accountname", "container"]);
    let reasons: Vec<_> = config.ignored.iter().map(|ignored| ignored.reason).collect();
    assert_eq!(reasons, ["it has no effect without a client secret"; 2]);
    let config =
        oadp("", ["", "secret", ""], &[("REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE", "client_secret")]);
    assert_eq!(keys(&config), ["accountname", "container", "credentials.secret", "credentials.type"]);
}

#[test]
fn own_names_win_over_those_of_oadp() {
    let more = [
        ("REGISTRY_STORAGE_AZURE_CREDENTIALS_CLIENTID", "own"),
        ("REGISTRY_STORAGE_AZURE_CREDENTIALS_TENANTID", ""),
    ];
    let config = oadp("", ["id", "secret", "tenant"], &more);
    assert_eq!(config.parameters.get("credentials.clientid"), Some("own"));
    assert_eq!(config.parameters.get("credentials.tenantid"), Some("tenant"));
    assert_eq!(config.parameters.get("credentials.type"), Some("client_secret"));
    assert_eq!(config.ignored.len(), 1);
    assert_eq!(config.ignored[0].reason, "it is also set under its own name");
    let other = [("REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE", "default_credentials")];
    let config = oadp("", ["id", "secret", "tenant"], &other);
    assert_eq!(keys(&config), ["accountname", "container", "credentials.type"]);
    assert_eq!(config.ignored.len(), 3);
}

#[test]
fn a_later_account_key_replaces_an_earlier_principal() {
    let config = oadp("", ["id", "secret", "tenant"], &[]);
    let config = config.merge_env([("REGISTRY_STORAGE_AZURE_ACCOUNTKEY", "key")]).unwrap();
    assert_eq!(keys(&config), ["accountkey", "accountname", "container"]);
    let config = config.merge_env([("REGISTRY_STORAGE", "inmemory")]).unwrap();
    assert!(config.parameters.is_empty() && config.ignored.is_empty());
}

#[test]
fn the_endpoint_for_tokens_is_named() {
    let config = Config::from_env([("REGISTRY_STORAGE_AZURE_AAD_ENDPOINT", "https://login")]).unwrap();
    let expected = "REGISTRY_STORAGE_AZURE_AAD_ENDPOINT: storage.azure.aad_endpoint is ignored: the cloud of \
                    the account determines where tokens come from";
    assert_eq!((ignored(&config), keys(&config)), (vec![expected.to_owned()], vec![]));
}
