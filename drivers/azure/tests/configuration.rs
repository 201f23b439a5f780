//! From what people write to the settings of the driver.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test harness: a failed check is a panic")]

use plugin_registry_drivers_azure::{AzureConfig, AzureCredentials};
use plugin_registry_locations::{BackupStorageLocation, Config, LocationCredentials};

fn azure(config: &Config) -> AzureConfig {
    assert_eq!(config.driver, "azure");
    AzureConfig::from_parameters(&config.parameters).unwrap()
}

fn location() -> BackupStorageLocation {
    BackupStorageLocation::new("velero", "default", "velero.io/azure", "backup")
        .with_config("storageAccount", "account")
}

#[test]
fn names_with_underscores_can_be_variables() {
    let config = Config::from_env([
        ("REGISTRY_STORAGE", "azure"),
        ("REGISTRY_STORAGE_AZURE_ACCOUNTNAME", "account"),
        ("REGISTRY_STORAGE_AZURE_CONTAINER", "backup"),
        ("REGISTRY_STORAGE_AZURE_MAX_RETRIES", "7"),
    ])
    .unwrap();
    assert_eq!(azure(&config).max_retries, 7);
}

#[test]
fn the_service_principal_of_oadp_works() {
    let config = Config::from_env([
        ("REGISTRY_STORAGE", "azure"),
        ("REGISTRY_STORAGE_AZURE_ACCOUNTNAME", "account"),
        ("REGISTRY_STORAGE_AZURE_ACCOUNTKEY", ""),
        ("REGISTRY_STORAGE_AZURE_CONTAINER", "backup"),
        ("REGISTRY_STORAGE_AZURE_AAD_ENDPOINT", ""),
        ("REGISTRY_STORAGE_AZURE_SPN_CLIENT_ID", "0123456"),
        ("REGISTRY_STORAGE_AZURE_SPN_CLIENT_SECRET", "a: b"),
        ("REGISTRY_STORAGE_AZURE_SPN_TENANT_ID", "1e9"),
    ])
    .unwrap();
    match azure(&config).credentials {
        AzureCredentials::ClientSecret(principal) => {
            assert_eq!((principal.client_id.as_str(), principal.tenant_id.as_str()), ("0123456", "1e9"));
            assert_eq!(principal.secret.expose(), "a: b");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn credentials_of_a_location_arrive() {
    let key = "AZURE_STORAGE_ACCOUNT_ACCESS_KEY='a2V5'\r\nAZURE_CLOUD_NAME=AzureChinaCloud\r\n";
    let config = Config::from_backup_location(&location(), &LocationCredentials::from_contents(key)).unwrap();
    let config = azure(&config);
    assert!(matches!(&config.credentials, AzureCredentials::SharedKey(key) if key.expose() == "a2V5"));
    assert_eq!(config.realm, "core.chinacloudapi.cn");
    let principal = "AZURE_TENANT_ID=t\nAZURE_CLIENT_ID=c\nAZURE_CLIENT_SECRET=s # old\n";
    let config =
        Config::from_backup_location(&location(), &LocationCredentials::from_contents(principal)).unwrap();
    match azure(&config).credentials {
        AzureCredentials::ClientSecret(principal) => assert_eq!(principal.secret.expose(), "s"),
        other => panic!("{other:?}"),
    }
    let config = Config::from_backup_location(&location(), &LocationCredentials::none()).unwrap();
    assert!(matches!(azure(&config).credentials, AzureCredentials::Chain));
}
