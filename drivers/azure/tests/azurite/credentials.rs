//! Who a request comes from, and what is said if the store does not accept it.

use plugin_registry_core::{ErrorKind, Secret, StorageDriver, StorageDriverExt, WriteMode};
use plugin_registry_drivers_azure::{AzureConfig, AzureCredentials, AzureDriver, LeadingSlash};

use crate::{common, path, walked};

const LATER: &str = "2099-01-01T00:00:00Z";

fn with_sas(config: &AzureConfig, token: &str) -> AzureConfig {
    let token = AzureCredentials::Sas(Secret::new(token));
    config.clone().with_credentials(token).with_leading_slash(LeadingSlash::No)
}

#[tokio::test]
async fn a_sas_token_is_enough_for_everything() {
    let Some(azurite) = common::or_skip("a_sas_token_is_enough_for_everything") else { return };
    let config = common::of_container(azurite, "sas-all").with_chunk_size(1 << 20);
    let driver = AzureDriver::open(with_sas(&config, &azurite.sas("sas-all", "rcwdl", LATER))).await.unwrap();
    let (file, upload, blob) = (path("/d/file"), path("/u/data"), path("/b/data"));
    driver.put(&file, "content").await.unwrap();
    assert_eq!(driver.get_content(&file, 100).await.unwrap(), "content");
    let mut writer = driver.writer(&upload, WriteMode::Stage).await.unwrap();
    writer.write(vec![7; 3 << 20].into()).await.unwrap();
    let staged = writer.close().await.unwrap();
    driver.commit_staged(&staged, &blob).await.unwrap();
    assert_eq!(driver.stat(&blob).await.unwrap().size, 3 << 20);
    let report = driver.delete_many(vec![file.clone(), blob.clone()], &[staged]).await.unwrap();
    assert_eq!((report.deleted, report.failed.len()), (2, 0));
    assert!(walked(&driver).await.is_empty() && azurite.names("sas-all").is_empty());
    // It allows more than reading one blob.
    assert_eq!(driver.redirect_url(&blob, &http::Method::GET).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_sas_token_does_not_allow_is_refused_by_name() {
    let Some(azurite) = common::or_skip("what_a_sas_token_does_not_allow_is_refused_by_name") else { return };
    let config = common::of_container(azurite, "sas-some");
    let driver = AzureDriver::open(with_sas(&config, &azurite.sas("sas-some", "rl", LATER))).await.unwrap();
    let refused = driver.put(&path("/a"), "x").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
    assert!(refused.to_string().contains("a SAS token with"), "{refused}");
    let old = azurite.sas("sas-some", "rcwdl", "2020-02-03T00:00:00Z");
    let expired = AzureDriver::open(with_sas(&config, &old)).await.unwrap_err();
    assert_eq!(expired.kind(), ErrorKind::Unauthenticated, "{expired}");
    assert!(expired.to_string().contains("expired at 2020-02-03T00:00:00Z"), "{expired}");
    let signature = old.rsplit_once("sig=").unwrap().1;
    assert!(!format!("{expired:?}").contains(signature));
}

#[tokio::test]
async fn a_wrong_key_and_a_wrong_container_say_what_to_check() {
    let Some(azurite) = common::or_skip("a_wrong_key_and_a_wrong_container_say_what_to_check") else {
        return;
    };
    let config = common::of_container(azurite, "wrong");
    let wrong = "d3Jvbmcga2V5IG9mIGFuIGFjY291bnQ=";
    let key = AzureCredentials::SharedKey(Secret::new(wrong));
    let refused = AzureDriver::open(config.clone().with_credentials(key)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unauthenticated, "{refused}");
    assert!(refused.to_string().contains("`accountkey`"), "{refused}");
    assert!(!format!("{refused:?}").contains(wrong));
    let mut elsewhere = config;
    elsewhere.container = "missing".to_owned();
    let refused = AzureDriver::open(elsewhere).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidConfig, "{refused}");
    assert!(refused.to_string().contains("check `container`"), "{refused}");
}

#[tokio::test]
async fn identities_are_not_sent_unencrypted_and_programs_need_the_host() {
    let plain = AzureConfig::new("account", "backup")
        .with_service_url("http://store.example/account".parse().unwrap());
    for credentials in [AzureCredentials::Sas(Secret::new("sig=x")), AzureCredentials::ManagedIdentity(None)]
    {
        let refused = AzureDriver::open(plain.clone().with_credentials(credentials)).await.unwrap_err();
        assert!(refused.to_string().contains("has to be https"), "{refused}");
    }
    let program = AzureConfig::new("account", "backup").with_credentials(AzureCredentials::Cli);
    let refused = AzureDriver::open(program).await.unwrap_err();
    assert!(refused.to_string().contains("runs a program, which this host does not allow"), "{refused}");
}
