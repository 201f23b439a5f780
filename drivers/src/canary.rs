//! A secret in the place of any parameter is in no message and in no `Debug`.

use std::error::Error as _;

use futures::executor::block_on;
use plugin_registry_core::{Error, Parameters};
use plugin_registry_drivers_gcs::GcsConfig;

use super::*;

/// Secrets of all kinds, as they are found in Secrets of clusters.
const SECRETS: &[&str] = &[
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "wJalrXUtnFEMIaK7MDENGabPxRfiCYEXAMPLEKEY",
    "dmT8Q~Aa1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v",
    "3b1f5e0c9d7a4f2e8c6b1a0d9e8f7c6b5a4d3c2b1a0f9e8d",
    "https://me:P4ss-w0rd-of-me@host.example/a?sig=wJalrXUtnFEMIaK7MDENG",
];

#[cfg(feature = "azure")]
const AZURE: &[&str] = &[
    "accountname",
    "accountkey",
    "container",
    "credentials",
    "credentials.type",
    "credentials.clientid",
    "credentials.tenantid",
    "credentials.secret",
    "credentials.tokenfile",
    "realm",
    "serviceurl",
    "rootdirectory",
    "leadingslash",
    "max_retries",
    "retry_delay",
    "skipverify",
    "cabundle",
    "cabundlepath",
    "proxy",
    "chunksize",
    "maxconcurrency",
    "maxattempts",
    "idletimeout",
    "answertimeout",
    "sastoken",
    "connectionstring",
    "spn.client.secret",
];
const GCS: &[&str] = &[
    "bucket",
    "tokenfiles",
    "rootdirectory",
    "keyfile",
    "credentials",
    "credentials.type",
    "credentials.private_key",
    "credentials.client_email",
    "anonymous",
    "endpoint",
    "chunksize",
    "maxconcurrency",
    "useragent",
    "skipverify",
    "cabundle",
    "cabundlepath",
    "proxy",
];
#[cfg(feature = "s3")]
const S3: &[&str] = &[
    "credentials",
    "tokenfiles",
    "stsendpoint",
    "stscabundle",
    "stscabundlepath",
    "bucket",
    "rootdirectory",
    "region",
    "regionendpoint",
    "forcepathstyle",
    "virtualhostedstyle",
    "accesskey",
    "secretkey",
    "sessiontoken",
    "credentialsconfigpath",
    "profile",
    "secure",
    "skipverify",
    "cabundle",
    "proxy",
    "encrypt",
    "keyid",
    "storageclass",
    "objectacl",
    "useragent",
    "chunksize",
    "multipartcopychunksize",
    "multipartcopymaxconcurrency",
    "multipartcopythresholdsize",
    "usedualstack",
    "accelerate",
    "usefipsendpoint",
    "redirectendpoint",
    "checksums",
    "maxconcurrency",
    "maxattempts",
    "cabundlepath",
    "conditionalwrites",
    "directories",
    "v4auth",
    "loglevel",
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

/// Everything that an error says.
fn all(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    text
}

/// Puts every secret into every parameter, and in the place of a name. Returns every text about it.
fn each(
    driver: &str,
    given: &[(&str, &str)],
    names: &[&str],
    read: impl Fn(&Parameters) -> core::result::Result<String, Error>,
) {
    let (mut right, mut wrong) = (0, 0);
    for secret in SECRETS {
        for name in names.iter().chain([secret, &"unknown"]) {
            let parameters: Parameters = given.iter().copied().collect();
            let config = StorageConfig::new(driver).with_parameters(parameters.with(name, *secret));
            let text = match read(&config.parameters) {
                Ok(text) => {
                    right += 1;
                    text
                }
                Err(error) => {
                    wrong += 1;
                    all(&error)
                }
            };
            let text = format!("{text} {config:?}");
            assert!(!is_in(secret, &text) && !is_in(&secret.to_lowercase(), &text), "{name}: {text}");
        }
    }
    assert!(right >= SECRETS.len() && wrong >= 4 * SECRETS.len(), "{driver}: {right} {wrong}");
}

#[cfg(feature = "azure")]
#[test]
fn of_azure() {
    let given = [("accountname", "account"), ("container", "backup")];
    each("azure", &given, AZURE, |parameters| {
        plugin_registry_drivers_azure::AzureConfig::from_parameters(parameters)
            .map(|config| format!("{config:?} {config:#?}"))
    });
}

#[test]
fn of_gcs() {
    each("gcs", &[("bucket", "backup")], GCS, |parameters| {
        GcsConfig::from_parameters(parameters).map(|config| format!("{config:?} {config:#?}"))
    });
}

#[cfg(feature = "s3")]
#[test]
fn of_s3() {
    each("s3", &[("bucket", "backup")], S3, |parameters| {
        plugin_registry_drivers_s3::S3Config::from_parameters(parameters)
            .map(|config| format!("{config:?} {config:#?}"))
    });
}

#[test]
fn of_drivers_that_are_opened_and_of_their_names() {
    for secret in SECRETS {
        for config in [
            StorageConfig::new(*secret),
            StorageConfig::new("inmemory").with(secret, *secret),
            StorageConfig::new("inmemory").with("x", *secret),
            StorageConfig::new("filesystem").with("maxthreads", *secret),
            StorageConfig::new("filesystem").with(secret, "1"),
        ] {
            let text = match block_on(open(&config)) {
                Ok(driver) => format!("{driver:?}"),
                Err(error) => all(&error),
            };
            let text = format!("{text} {config:?}");
            assert!(!is_in(secret, &text) && !is_in(&secret.to_lowercase(), &text), "{text}");
        }
    }
}
