//! From what people write to the settings of the driver: nothing changes a credential on its way, whatever it is
//! written in.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test harness: a failed check is a panic")]

use plugin_registry_drivers_s3::{S3Config, S3Credentials};
use plugin_registry_locations::{BackupStorageLocation, Config, LocationCredentials};

/// Keys that a reader of YAML makes something else of.
const KEYS: [&str; 11] =
    ["0123456", "1e9", "a: b", "ab #c", "@abc", "'x'", "~", "null", "yes", "0x10", "ab=c+/d=="];

fn s3(config: &Config) -> S3Config {
    assert_eq!(config.driver, "s3");
    S3Config::from_parameters(&config.parameters).unwrap()
}

fn keys(config: &S3Config) -> (String, String) {
    match &config.credentials {
        S3Credentials::AccessKeys(keys) => (keys.access_key.expose().into(), keys.secret_key.expose().into()),
        other => panic!("{other:?}"),
    }
}

fn variables<'a>(access: &'a str, secret: &'a str) -> [(&'static str, &'a str); 5] {
    [
        ("REGISTRY_STORAGE", "s3"),
        ("REGISTRY_STORAGE_S3_BUCKET", "backup"),
        ("REGISTRY_STORAGE_S3_REGION", "us-east-1"),
        ("REGISTRY_STORAGE_S3_ACCESSKEY", access),
        ("REGISTRY_STORAGE_S3_SECRETKEY", secret),
    ]
}

#[test]
fn keys_arrive_byte_for_byte_from_everywhere() {
    for key in KEYS {
        let expected = (key.to_owned(), format!("{key}2"));
        let config = Config::from_env(variables(key, &expected.1)).unwrap();
        assert_eq!(keys(&s3(&config)), expected, "variables");
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let file = format!(
            "version: 0.1\nstorage:\n  s3:\n    bucket: b\n    region: r\n    accesskey: {}\n    secretkey: {}\n",
            quoted(key),
            quoted(&expected.1)
        );
        assert_eq!(keys(&s3(&Config::from_yaml(&file).unwrap())), expected, "a file");
        let location = BackupStorageLocation::new("velero", "default", "velero.io/aws", "backup");
        let secret = [("access_key", key.into()), ("secret_key", expected.1.as_str().into())];
        let credentials = LocationCredentials::none().with_registry_secret(secret);
        let config = Config::from_backup_location(&location, &credentials).unwrap();
        assert_eq!(keys(&s3(&config)), expected, "the registry's Secret");
    }
    // In a file of AWS, quotes around a value and what follows ` #` are not of it.
    for key in KEYS.into_iter().filter(|key| !matches!(*key, "ab #c" | "'x'")) {
        let file = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key={key}2\n");
        let location = BackupStorageLocation::new("velero", "default", "aws", "backup");
        let config =
            Config::from_backup_location(&location, &LocationCredentials::from_contents(file)).unwrap();
        assert_eq!(keys(&s3(&config)), (key.to_owned(), format!("{key}2")), "a file of AWS");
    }
}

#[test]
fn an_empty_key_is_a_mistake_that_names_it() {
    let config = Config::from_env(variables("", "x")).unwrap();
    let error = S3Config::from_parameters(&config.parameters).unwrap_err().to_string();
    assert!(error.contains("`accesskey` (REGISTRY_STORAGE_S3_ACCESSKEY)"), "{error}");
}

#[test]
fn unknown_variables_are_mistakes_with_a_suggestion() {
    let pairs = [("REGISTRY_STORAGE_S3_BUKET", "b"), ("REGISTRY_STORAGE_S3_USE_HTTP", "true")];
    let config = Config::from_env(variables("a", "b").into_iter().chain(pairs)).unwrap();
    let error = S3Config::from_parameters(&config.parameters).unwrap_err().to_string();
    assert!(
        error.contains("`buket` (REGISTRY_STORAGE_S3_BUKET): unknown, did you mean `bucket`?"),
        "{error}"
    );
    assert!(error.contains("(REGISTRY_STORAGE_S3_USE_HTTP): unknown"), "{error}");
}

#[test]
fn naming_the_driver_wipes_nothing() {
    let file = "version: 0.1\nstorage:\n  s3: {bucket: b, region: r, chunksize: 5242880}\n  delete: {enabled: true}\n";
    let config = Config::from_yaml_and_env(file, [("REGISTRY_STORAGE", "s3")]).unwrap();
    assert!(config.delete);
    assert_eq!(s3(&config).chunk_size, 5 << 20);
}

#[test]
fn sizes_and_classes_have_their_limits() {
    let of = |key: &str, value: &str| {
        let name = format!("REGISTRY_STORAGE_S3_{key}");
        let pairs: Vec<(&str, &str)> = variables("a", "b").into_iter().chain([(&*name, value)]).collect();
        S3Config::from_parameters(&Config::from_env(pairs).unwrap().parameters)
    };
    for (size, fits) in [("5242879", false), ("5242880", true), ("5368709120", true), ("5368709121", false)] {
        assert_eq!(of("CHUNKSIZE", size).is_ok(), fits, "{size}");
    }
    assert_eq!(of("STORAGECLASS", "standard_ia").unwrap().storage_class.as_deref(), Some("STANDARD_IA"));
    assert_eq!(of("STORAGECLASS", "NONE").unwrap().storage_class, None);
    let error = of("STORAGECLASS", "FOO").unwrap_err().to_string();
    // The wrong value is not repeated: it may be a secret in the wrong place.
    assert!(error.contains("GLACIER_IR") && !error.contains("FOO"), "{error}");
}

/// Whatever a location's Secret has passes to the driver as it is, and only with the files that the host allows.
#[test]
fn a_role_arrives_with_the_files_that_are_allowed() {
    let file = "[default]\nrole_arn = arn:aws:iam::1:role/r\nweb_identity_token_file = /token\n";
    let location =
        BackupStorageLocation::new("velero", "default", "aws", "backup").with_config("region", "r");
    let credentials = LocationCredentials::from_contents(file).with_token_files(["/token"]);
    let config = s3(&Config::from_backup_location(&location, &credentials).unwrap());
    match &config.credentials {
        S3Credentials::Text { text, profile: None } => assert_eq!(text.expose(), file),
        other => panic!("{other:?}"),
    }
    assert_eq!(config.token_files, [std::path::PathBuf::from("/token")]);
    let credentials =
        LocationCredentials::none().with_path("/credentials/cloud").with_token_files(["/token"]);
    let config = s3(&Config::from_backup_location(&location, &credentials).unwrap());
    match &config.credentials {
        S3Credentials::File { path, .. } => assert_eq!(path.to_str(), Some("/credentials/cloud")),
        other => panic!("{other:?}"),
    }
    assert_eq!(config.token_files, [std::path::PathBuf::from("/token")]);
}
