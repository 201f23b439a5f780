//! From what people write to the settings of the driver.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic")]

use plugin_registry_drivers_gcs::{GcsConfig, GcsCredentials};
use plugin_registry_locations::{BackupStorageLocation, Config, LocationCredentials};

fn gcs(config: &Config) -> plugin_registry_core::Result<GcsConfig> {
    assert_eq!(config.driver, "gcs");
    GcsConfig::from_parameters(&config.parameters)
}

#[test]
fn sizes_of_chunks() {
    for (size, fits) in [("262144", true), ("262145", false), ("262143", false)] {
        let config = Config::from_env([
            ("REGISTRY_STORAGE", "gcs"),
            ("REGISTRY_STORAGE_GCS_BUCKET", "backup"),
            ("REGISTRY_STORAGE_GCS_CHUNKSIZE", size),
        ])
        .unwrap();
        assert_eq!(gcs(&config).is_ok(), fits, "{size}");
    }
}

#[test]
fn credentials_of_a_location_arrive() {
    let location = BackupStorageLocation::new("velero", "default", "velero.io/gcp", "backup");
    let json = r#"{"type": "external_account", "audience": "a", "subject_token_type": "t", "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": "/token"}}"#;
    // The token is this process's: only by the path that the host names.
    let config = Config::from_backup_location(&location, &LocationCredentials::from_contents(json)).unwrap();
    let error = gcs(&config).unwrap_err().to_string();
    assert!(
        error.contains("(credentials file): its `credential_source.file` names a file that the host"),
        "{error}"
    );
    // The checked content is the one that is used, even beside a path.
    let credentials =
        LocationCredentials::from_contents(json).with_path("/credentials/cloud").with_token_files(["/token"]);
    let config = Config::from_backup_location(&location, &credentials).unwrap();
    assert!(matches!(gcs(&config).unwrap().credentials, GcsCredentials::Json(text) if text.expose() == json));
    let credentials = LocationCredentials::none().with_path("/credentials/cloud");
    let config = Config::from_backup_location(&location, &credentials).unwrap();
    let expected = std::path::Path::new("/credentials/cloud");
    assert!(matches!(gcs(&config).unwrap().credentials, GcsCredentials::KeyFile(path) if path == expected));
    let config = Config::from_backup_location(&location, &LocationCredentials::none()).unwrap();
    assert!(matches!(gcs(&config).unwrap().credentials, GcsCredentials::Chain));
}
