//! A secret in any place is in no message and in no `Debug`.

use std::error::Error as _;

use plugin_registry_core::{Error, Secret};

use super::{Config, EnvPairs};
use crate::{BackupStorageLocation, LocationCredentials};

/// Secrets of all kinds, as they are found in Secrets of clusters.
const SECRETS: &[&str] = &[
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "wJalrXUtnFEMIaK7MDENGabPxRfiCYEXAMPLEKEY",
    "dmT8Q~Aa1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v",
    "3b1f5e0c9d7a4f2e8c6b1a0d9e8f7c6b5a4d3c2b1a0f9e8d",
    "https://me:P4ss-w0rd-of-me@host.example/a?sig=wJalrXUtnFEMIaK7MDENG",
];

/// Whether a part of the secret is in the text that would help to guess the rest.
fn is_in(secret: &str, text: &str) -> bool {
    let bytes: Vec<char> = secret.chars().collect();
    let password = "P4ss-w0rd-of-me";
    let windows = bytes.windows(12).map(|window| window.iter().collect::<String>());
    windows
        .filter(|window| !window.contains("://") && !window.contains("host.ex"))
        .any(|window| text.contains(&window))
        || (secret.contains(password) && text.contains(password))
}

/// Every text about a configuration that is read or refused.
fn said(result: &Result<Config, Error>) -> String {
    match result {
        Ok(config) => {
            let ignored: Vec<_> = config.ignored.iter().map(ToString::to_string).collect();
            format!("{config:?} {config:#?} {:?} {ignored:?}", config.storage())
        }
        Err(error) => {
            let mut text = format!("{error} {error:?} {error:#?}");
            let mut source = error.source();
            while let Some(cause) = source {
                text += &format!(" {cause} {cause:?}");
                source = cause.source();
            }
            text
        }
    }
}

/// The keys of `spec.config` that Velero and OADP know, of all providers, and one unknown key.
const KEYS: &[&str] = &[
    "region",
    "s3Url",
    "s3ForcePathStyle",
    "insecureSkipTLSVerify",
    "publicUrl",
    "kmsKeyId",
    "serverSideEncryption",
    "checksumAlgorithm",
    "signatureVersion",
    "tagging",
    "customerKeyEncryptionFile",
    "customerKeyEncryptionSecret",
    "profile",
    "enableSharedConfig",
    "storageAccount",
    "storageAccountURI",
    "storageAccountKeyEnvVar",
    "resourceGroup",
    "subscriptionId",
    "blockSizeInBytes",
    "activeDirectoryAuthorityURI",
    "apiVersion",
    "useAAD",
    "storeEndpoint",
    "kmsKeyName",
    "serviceAccount",
    "universeDomain",
    "bucket",
    "prefix",
    "caCert",
    "credentialsFile",
    "resticRepoPrefix",
    "unknown",
];

fn locations() -> Vec<BackupStorageLocation> {
    let location = |provider| BackupStorageLocation::new("velero", "default", provider, "backup");
    vec![
        location("aws").with_config("region", "us-east-1"),
        location("azure").with_config("storageAccount", "account"),
        location("gcp"),
    ]
}

/// Credentials of all forms, right and wrong.
fn credentials(secret: &str) -> Vec<LocationCredentials> {
    let file = |text: &str| LocationCredentials::from_contents(text.to_owned());
    vec![
        LocationCredentials::none(),
        file("[default]\naws_access_key_id=a\naws_secret_access_key=b\n"),
        file("AZURE_STORAGE_ACCOUNT_ACCESS_KEY=bm90IGEga2V5\n"),
        file(&format!("[{secret}]\naws_access_key_id=a\n[{secret}\n{secret}=\nsso_{secret}=x\n")),
        file(&format!("{secret}=\nAZURE_{secret}=x\nAZURE_CLOUD_NAME={secret}\n{secret}\n")),
        file(secret),
        LocationCredentials::ambient(),
        file(&format!(
            "[default]\nrole_arn={secret}\nexternal_id={secret}\nweb_identity_token_file={secret}\n"
        )),
        file(&format!("[default]\nrole_arn={secret}\nweb_identity_token_file={secret}\n"))
            .with_token_files([secret]),
        file(&format!(
            "[default]\nrole_arn=r\nsource_profile={secret}\ncredential_process={secret}\nregion={secret}\n"
        )),
        file(&format!(
            "AZURE_CLIENT_ID=c\nAZURE_FEDERATED_TOKEN_FILE={secret}\nAZURE_AUTHORITY_HOST={secret}\n{secret}=x\n"
        )),
        LocationCredentials::none().with_registry_secret([(secret.to_owned(), Secret::new(secret))]),
        LocationCredentials::none().with_ca_bundle(secret),
    ]
}

#[test]
fn of_a_location() {
    let (mut right, mut wrong) = (0, 0);
    for secret in SECRETS {
        for location in locations() {
            let mut changed: Vec<_> =
                KEYS.iter().map(|key| location.clone().with_config(*key, *secret)).collect();
            changed.push(location.clone().with_config(*secret, "x"));
            changed.push(location.clone().with_credential(*secret, *secret));
            changed.push(location.clone().with_prefix(*secret));
            changed.push(location.clone().with_ca_cert(*secret));
            changed.push(location.clone().with_access_mode(*secret));
            for field in 0..4 {
                let mut changed_field = location.clone();
                *match field {
                    0 => &mut changed_field.metadata.name,
                    1 => &mut changed_field.metadata.namespace,
                    2 => &mut changed_field.spec.provider,
                    _ => &mut changed_field.spec.object_storage.bucket,
                } = (*secret).to_owned();
                changed.push(changed_field);
            }
            for location in changed {
                for credentials in credentials(secret) {
                    let result = Config::from_backup_location(&location, &credentials);
                    *if result.is_ok() { &mut right } else { &mut wrong } += 1;
                    let text = format!(
                        "{} {location:?} {location:#?} {credentials:?} {:?}",
                        said(&result),
                        location.warnings()
                    );
                    assert!(!is_in(secret, &text) && !is_in(&secret.to_lowercase(), &text), "{text}");
                }
            }
        }
    }
    assert!(right > 300 && wrong > 3000, "{right} {wrong}");
}

/// What two users did: the key itself, where its name is asked for.
#[test]
fn the_key_of_an_account_in_the_place_of_its_name() {
    let location = BackupStorageLocation::new("velero", "default", "azure", "backup")
        .with_config("storageAccount", "account")
        .with_config("storageAccountKeyEnvVar", SECRETS[0]);
    let credentials = LocationCredentials::from_contents("AZURE_STORAGE_ACCOUNT_ACCESS_KEY=bm90IGEga2V5\n");
    let text = Config::from_backup_location(&location, &credentials).unwrap_err().to_string();
    assert!(text.contains("`spec.config.storageAccountKeyEnvVar`: has to be the name of a line"), "{text}");
    assert!(!text.contains("Eby8"), "{text}");
}

#[test]
fn of_a_resource_in_text() {
    for secret in SECRETS {
        for text in [
            format!("kind: '{secret}'\n"),
            format!("apiVersion: '{secret}'\n"),
            format!("'{secret}': 1\n'{secret}': 2\n"),
            format!("spec:\n  config:\n    '{secret}': [1]\n"),
            format!("spec: '{secret}'\n"),
            format!("spec: {{provider: ['{secret}']}}\n"),
            format!("'{secret}'\n"),
            format!("spec: *{secret}\n"),
            format!("spec: !{secret} x\n"),
            format!("spec: \"{secret}\n"),
            format!("@{secret}\n"),
            format!("{{\"{secret}\n"),
        ] {
            let said = match BackupStorageLocation::from_text(&text) {
                Ok(location) => format!("{location:?}"),
                Err(error) => said(&Err(error)),
            };
            assert!(!is_in(secret, &said), "{text}: {said}");
        }
    }
}

/// Leaves of the file, with the section that each is in.
const LEAVES: &[&str] = &[
    "version",
    "loglevel",
    "log.level",
    "log.formatter",
    "log.fields.service",
    "log.hooks",
    "storage",
    "storage.s3.bucket",
    "storage.s3.secretky",
    "storage.azure.accountname",
    "storage.filesystem.maxthreads",
    "storage.delete.enabled",
    "storage.redirect.disable",
    "storage.cache.blobdescriptor",
    "storage.maintenance.uploadpurging.age",
    "storage.maintenance.uploadpurging.interval",
    "storage.maintenance.uploadpurging.dryrun",
    "storage.maintenance.readonly.enabled",
    "http.addr",
    "http.secret",
    "http.host",
    "http.tls",
    "auth.token",
    "redis.password",
    "proxy.password",
    "catalog.maxentries",
    "tags.maxtags",
    "validation.manifests.indexes.platforms",
    "unknown.leaf",
];

fn yaml(path: &str, value: &str) -> String {
    let mut text = String::new();
    if path != "version" {
        text += "version: 0.1\n";
    }
    for (depth, key) in path.split('.').enumerate() {
        text += &format!("{}'{key}':\n", "  ".repeat(depth));
    }
    text.pop();
    text + &format!(" '{value}'\n")
}

#[test]
fn of_a_file_and_of_variables() {
    let (mut right, mut wrong) = (0, 0);
    let mut check = |secret: &str, result: &Result<Config, Error>| {
        *if result.is_ok() { &mut right } else { &mut wrong } += 1;
        let text = said(result);
        assert!(!is_in(secret, &text) && !is_in(&secret.to_lowercase(), &text), "{text}");
    };
    for secret in SECRETS {
        for leaf in LEAVES {
            check(secret, &Config::from_yaml(&yaml(leaf, secret)));
            let name = format!("REGISTRY_{}", leaf.replace('.', "_").to_uppercase());
            check(secret, &Config::from_env([(name.as_str(), *secret)]));
            check(secret, &Config::from_env([("REGISTRY_STORAGE", "s3"), (name.as_str(), secret)]));
            let below = format!("{name}_{secret}");
            check(secret, &Config::from_env([("REGISTRY_STORAGE", "s3"), (below.as_str(), "x")]));
            let key = leaf.split('.').next().unwrap();
            check(
                secret,
                &Config::from_yaml(&format!("version: 0.1\n{key}:\n  '{secret}': {{'{secret}': 1}}\n")),
            );
        }
        check(secret, &Config::from_yaml(&format!("version: 0.1\nstorage: {{s3: , '{secret}': }}\n")));
        check(
            secret,
            &Config::from_yaml(&format!("version: 0.1\nstorage: {{s3: {{'{secret}': 1, '{secret}': 2}}}}\n")),
        );
        for text in [format!("{secret}\n"), format!("REGISTRY_STORAGE {secret}=x\n"), format!("={secret}\n")]
        {
            let pairs = EnvPairs::parse(&text);
            let text = format!("{pairs:?}");
            assert!(!is_in(secret, &text), "{text}");
        }
    }
    assert!(right > 100 && wrong > 300, "{right} {wrong}");
}
