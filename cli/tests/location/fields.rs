//! A secret in each field of every provider's credentials, and in those beside them: nothing that the library and the
//! drivers say of it, and log at TRACE, has it. One field at a time, in this process.

use std::{
    error::Error as _,
    fmt::Write as _,
    io,
    sync::{Arc, Mutex},
};

use plugin_registry_core::Error;
use plugin_registry_locations::{BackupStorageLocation, Config, LocationCredentials};
use serde_json::{Value, json};
use tokio::runtime;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
};

use crate::{Files, NOBODY};

/// A word that would be shown where a name is.
const WORD: &str = "canary-hunter";

/// Secrets of the forms that keys have: of AWS, of an account of Azure, a private key, a token, a client's secret.
const SECRETS: &[&str] = &[
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "-----BEGIN PRIVATE KEY----- MIIEvQIBADANBgkqhkiG9w0BAQEFAASC5Kc -----END PRIVATE KEY-----",
    // The token of an account is longer than any name.
    "eyJhbGciOiJSUzI1NiIsImtpZCI6IkRId2ZRIn0.pU3KGCUwux1tEyze1iN7LtkeP3IfyxlxF0SU1kk8nVw0YL4xIB5p_tqg\
     7ui5mX9cfCmZ_a_lkyU81lSvTfrXFCegrrP-6SMvivIhH57kkcWxC-y1Vjv8Hm-TQn7LyP4pVeXNjkbcjtS3wnZNKlpNdncG\
     -F2GkAJK1r2jQBvpyMvMyTX2zR9hImrhUziuGjQATTO6DSRqwEyBsbryPjv57vX3nytJNK-H9VILablLDZguhbtVtnKocmN6\
     zXRm_LYODo_xhGOw5LK6KXA0dPBkrGj3APWwKz3GZvRb3qosyu3NK1FXQQ5N7krys09DCgc0.R95jbA6AbJV7poTWQx-16td\
     CTQnhXQJMWEjyPR-m9zYdf2GNFTLnDiDipmaN5_R-hGflRtU-yOKhJXvbJWybPk-7SYFG73Awy_lTclLczq3XZLajL7sJrer\
     hCcSplyA5dTUrh4sUXIpC2ITPTP2nLY4dXdkliQgthSpxIoc-6AWt1YlCFno4UoYZXGefnGmU5FuKsQmAEgcJYfN95Dbd_cm\
     dbnWvZUfPsRtCBySC3FMcK8OQfJYX615QieQBhrqopX0Rnm-2XQCrwyrzjmZ_Ai6HLUnMFckLmZt3K0_Hpv1MkUoW20cIdSs\
     PFUS4NcDnGQl9-ocB6SMvIfKBJod4aQ",
    "dmT8Q~Aa1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v",
];

/// A key that is right, where another field is looked at.
const KEY: &str = "bm90IGEga2V5";

/// Properties that a profile of AWS may have beside an identity, for any tool.
const PROPERTIES: &[&str] = &[
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_security_token",
    "aws_account_id",
    "role_arn",
    "role_session_name",
    "external_id",
    "source_profile",
    "credential_source",
    "credential_process",
    "web_identity_token_file",
    "region",
    "output",
    "duration_seconds",
    "mfa_serial",
    "sso_session",
    "sso_start_url",
    "sso_region",
    "sso_account_id",
    "sso_role_name",
    "sso_registration_scopes",
    "endpoint_url",
    "services",
    "ca_bundle",
    "sts_regional_endpoints",
    "login_session",
    "s3",
    "unknown",
];

const VARIABLES: &[&str] = &[
    "AZURE_STORAGE_ACCOUNT_ACCESS_KEY",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLOUD_NAME",
    "AZURE_CLIENT_CERTIFICATE",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_USERNAME",
    "AZURE_PASSWORD",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
    "AZURE_SUBSCRIPTION_ID",
    "AZURE_RESOURCE_GROUP",
    "AZURE_STORAGE_ACCOUNT",
    "AZURE_STORAGE_ACCOUNT_ID",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_CONTAINER",
    "AZURE_REGION",
    "AZURE_UNKNOWN",
    "MINE",
    "UNKNOWN",
];

/// The keys of `spec.config`, of all providers.
const CONFIG: &[&str] = &[
    "region",
    "s3Url",
    "publicUrl",
    "s3ForcePathStyle",
    "insecureSkipTLSVerify",
    "profile",
    "enableSharedConfig",
    "kmsKeyId",
    "serverSideEncryption",
    "customerKeyEncryptionFile",
    "customerKeyEncryptionSecret",
    "checksumAlgorithm",
    "signatureVersion",
    "tagging",
    "credentialsFile",
    "bucket",
    "prefix",
    "caCert",
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
    "unknown",
];

/// The log lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Looks at every text about a configuration.
struct Look {
    lines: Lines,
    log: Dispatch,
    runtime: runtime::Runtime,
    right: usize,
    wrong: usize,
    logged: usize,
    /// The value is a part of the address that requests go to, or of the keys of objects: the log has those.
    is_address: bool,
    /// A request is made. Not where a token service would be asked, which is asked again and again.
    asks: bool,
}

/// The parts of addresses and of object keys, and a header.
const ADDRESSES: &[&str] = &["s3Url", "bucket", "regionendpoint", "rootdirectory", "useragent"];

impl Look {
    fn new() -> Self {
        let lines = Lines::default();
        let writer = lines.clone();
        // As `serve` logs: there the SDK names the access key, which is not a secret if it is in the right
        // place.
        let targets = Targets::new().with_default(LevelFilter::TRACE).with_targets([
            ("aws_smithy_runtime::client::orchestrator", LevelFilter::INFO),
            ("aws_sigv4", LevelFilter::INFO),
            ("aws_sdk_s3::endpoint_auth", LevelFilter::INFO),
            ("aws_sdk_sts::endpoint_auth", LevelFilter::INFO),
        ]);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish()
            .with(targets);
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self {
            lines,
            log: Dispatch::new(subscriber),
            runtime,
            right: 0,
            wrong: 0,
            logged: 0,
            is_address: false,
            asks: true,
        }
    }

    /// The texts about a configuration: from its driver when it is opened, from a request to a store that
    /// does not answer, and from the log meanwhile.
    fn said(&mut self, read: impl FnOnce() -> Result<Config, Error>) -> String {
        self.lines.0.lock().unwrap().clear();
        let log = self.log.clone();
        let mut text = dispatcher::with_default(&log, || match read() {
            Err(error) => {
                self.wrong += 1;
                chain(&error)
            }
            Ok(config) => {
                self.right += 1;
                self.opened(&config)
            }
        });
        let logged = self.lines.0.lock().unwrap();
        self.logged += logged.split(|byte| *byte == b'\n').count() - 1;
        if !self.is_address {
            text += &String::from_utf8_lossy(&logged);
        }
        text
    }

    fn opened(&self, config: &Config) -> String {
        let ignored: Vec<_> = config.ignored.iter().map(ToString::to_string).collect();
        let storage = config.storage();
        let mut text = format!("{config:?} {config:#?} {storage:?} {ignored:?} {:?}", config.warnings());
        text += &plugin_registry_drivers::assumptions(&storage).concat();
        self.runtime.block_on(async {
            match plugin_registry_drivers::open(&storage).await {
                Err(error) => text += &chain(&error),
                Ok(driver) => {
                    write!(text, "{driver:?}").unwrap();
                    let registry = config.builder(driver).build();
                    write!(text, "{registry:?}").unwrap();
                    if self.asks
                        && let Err(error) = registry.catalog(None, 10).await
                    {
                        write!(text, "{error} {error:?}").unwrap();
                    }
                }
            }
        });
        text
    }

    /// A location with credentials. The host allows `/token`, and no endpoint answers.
    fn location(
        &mut self,
        location: &BackupStorageLocation,
        credentials: LocationCredentials,
        secret: &str,
        what: &str,
    ) {
        let credentials = credentials.with_token_files(["/token"]);
        let text = self.said(|| {
            let config = Config::from_backup_location(location, &credentials)?;
            match config.driver.as_str() {
                "s3" => config.merge_env([
                    ("REGISTRY_STORAGE_S3_STSENDPOINT", NOBODY),
                    ("REGISTRY_STORAGE_S3_MAXATTEMPTS", "1"),
                ]),
                _ => Ok(config),
            }
        });
        let said = format!("{location:?} {credentials:?} {:?} {text}", location.warnings());
        assert_hidden(secret, what, &said);
    }

    /// So that nothing above passes because nothing was said.
    fn finish(self, right: usize, wrong: usize, logged: usize) {
        assert!(self.right >= right && self.wrong >= wrong, "{} {}", self.right, self.wrong);
        assert!(self.logged >= logged, "{} lines", self.logged);
    }
}

/// An error with its sources.
fn chain(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, " {cause} {cause:?}").unwrap();
        source = cause.source();
    }
    text
}

/// No twelve characters of it, but for what any key in PEM has.
fn assert_hidden(secret: &str, what: &str, said: &str) {
    let letters: Vec<char> = secret.chars().collect();
    for window in letters.windows(12) {
        let part: String = window.iter().collect();
        if ["-----", "BEGIN PRIV", "RIVATE K"].iter().any(|pem| part.contains(pem)) {
            continue;
        }
        let at = said.find(&part).or_else(|| said.find(&part.to_lowercase()));
        if let Some(at) = at {
            let begin = said.floor_char_boundary(at.saturating_sub(2000));
            let end = said.ceil_char_boundary((at + 300).min(said.len()));
            panic!("{what}: `{part}` is in: {}", &said[begin..end]);
        }
    }
}

fn values() -> impl Iterator<Item = &'static str> {
    [WORD].into_iter().chain(SECRETS.iter().copied())
}

/// A valid location of this provider, at an endpoint that does not answer.
fn location(provider: &str) -> BackupStorageLocation {
    let location = BackupStorageLocation::new("velero", "default", provider, "backup");
    match provider {
        "aws" => location.with_config("region", "us-east-1").with_config("s3Url", NOBODY),
        "azure" => location.with_config("storageAccount", "account"),
        _ => location,
    }
}

/// The same lines with one set to a value, or with one more.
fn with(lines: &[(&str, &str)], field: &str, value: &str) -> String {
    let mut text = String::new();
    for (name, usual) in lines {
        writeln!(text, "{name}={}", if *name == field { value } else { usual }).unwrap();
    }
    if !lines.iter().any(|(name, _)| *name == field) {
        writeln!(text, "{field}={value}").unwrap();
    }
    text
}

/// A document with one of its values set, for each of them.
fn each_value(document: &Value, value: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let Some(fields) = document.as_object() else { return found };
    for (name, inner) in fields {
        let mut changed = document.clone();
        changed[name] = json!(value);
        found.push((name.clone(), changed));
        for (path, inner) in each_value(inner, value) {
            let mut changed = document.clone();
            changed[name] = inner;
            found.push((format!("{name}.{path}"), changed));
        }
    }
    found
}

#[test]
fn of_a_profile() {
    let (mut look, files, location) = (Look::new(), Files::new(), location("aws"));
    let keys =
        [("aws_access_key_id", "AKIAOTHER"), ("aws_secret_access_key", "b"), ("aws_session_token", "c")];
    let role = [("role_arn", "arn:aws:iam::1:role/r"), ("external_id", "e"), ("role_session_name", "s")];
    let by_token =
        [role.as_slice(), &[("web_identity_token_file", "/token"), ("region", "eu-west-1")]].concat();
    let by_keys = [&role[..1], &keys[..2]].concat();
    for (lines, behind) in [
        (keys.as_slice(), ""),
        (&by_token, ""),
        (&by_keys, ""),
        // The role's keys are another profile's.
        (&[role[0], ("source_profile", "base")], "[base]\naws_access_key_id=a\naws_secret_access_key=b\n"),
    ] {
        for (property, value) in
            PROPERTIES.iter().flat_map(|property| values().map(move |value| (property, value)))
        {
            // The name of another profile is a name too, and is shown if there is no such profile.
            if *property == "source_profile" && value == WORD {
                continue;
            }
            look.asks = lines == keys && *property != "role_arn";
            let text = format!("[default]\n{}{behind}", with(lines, property, value));
            let what = format!("{property} of\n{text}");
            look.location(&location, LocationCredentials::from_contents(text.as_str()), value, &what);
            let path = files.write("cloud", &text);
            look.location(&location, LocationCredentials::none().with_path(path), value, &what);
        }
    }
    look.asks = true;
    // Malformed files, and names of profiles and of properties. A word may be shown there.
    for secret in SECRETS {
        for text in [
            format!("[{secret}]\naws_access_key_id=a\naws_secret_access_key=b\n"),
            format!("[default\naws_secret_access_key={secret}\n"),
            format!("aws_secret_access_key={secret}\n[default]\n"),
            format!("[default]\naws_secret_access_key: {secret}\n"),
            format!("[default]\naws_access_key_id=a\naws_secret_access_key={secret}\n{secret}\n"),
            format!("[default]\naws_access_key_id=a\naws_secret_access_key={secret}\n{secret}=x\n"),
            format!("[default]\naws_access_key_id=a\naws_secret_access_key=\n  {secret}\n"),
            secret.replace(' ', "\n"),
        ] {
            look.location(&location, LocationCredentials::from_contents(text.as_str()), secret, &text);
            let path = files.write("cloud", &text);
            look.location(&location, LocationCredentials::none().with_path(path), secret, &text);
        }
        let pairs = |access: &str, key: &str| [("access_key", access), ("secret_key", key)].map(owned);
        for pairs in [pairs(secret, "b"), pairs("AKIAOTHER", secret)] {
            let credentials = LocationCredentials::none().with_registry_secret(pairs);
            look.location(&location, credentials, secret, "OADP's Secret");
        }
    }
    look.finish(300, 300, 5000);
}

fn owned((key, value): (&str, &str)) -> (String, plugin_registry_core::Secret) {
    (key.to_owned(), plugin_registry_core::Secret::new(value))
}

#[test]
fn of_the_variables_of_azure() {
    let (mut look, location) = (Look::new(), location("azure"));
    let principal =
        [("AZURE_TENANT_ID", "tenant"), ("AZURE_CLIENT_ID", "client"), ("AZURE_CLIENT_SECRET", "secret")];
    for lines in [
        [("AZURE_STORAGE_ACCOUNT_ACCESS_KEY", KEY)].as_slice(),
        &principal,
        &[principal[0], principal[1], ("AZURE_FEDERATED_TOKEN_FILE", "/token")],
        &[("AZURE_SUBSCRIPTION_ID", "s")],
    ] {
        for value in values() {
            for variable in VARIABLES {
                let text = with(lines, variable, value);
                let credentials = LocationCredentials::from_contents(text.as_str());
                look.location(&location, credentials.clone(), value, &text);
                look.location(&location, credentials.clone().with_ambient(), value, &text);
                let named = location.clone().with_config("storageAccountKeyEnvVar", "MINE");
                look.location(&named, credentials, value, &text);
            }
            for key in ["storage_account_key", "client_secret_key", "client_id_key", "tenant_id_key"] {
                let pairs = [("client_id_key", "c"), ("tenant_id_key", "t"), (key, value)].map(owned);
                let credentials = LocationCredentials::none().with_registry_secret(pairs);
                look.location(&location, credentials, value, key);
            }
            let damaged = format!("AZURE_CLIENT_ID {value}\nAZURE_CLIENT_SECRET\n={value}\n");
            look.location(&location, LocationCredentials::from_contents(damaged.as_str()), value, &damaged);
        }
    }
    look.finish(300, 300, 0);
}

#[test]
fn of_the_documents_of_google() {
    let (mut look, files, location) = (Look::new(), Files::new(), location("gcp"));
    let source = json!({
        "file": "/token", "url": "https://metadata.example/token", "headers": { "Authorization": "x" },
        "format": { "type": "json", "subject_token_field_name": "access_token" },
        "executable": { "command": "/bin/token", "timeout_millis": 1, "output_file": "/output" },
        "certificate": { "certificate_config_location": "/config", "trust_chain_path": "/chain" },
        "environment_id": "aws1", "region_url": "http://169.254.169.254/region",
        "regional_cred_verification_url": "https://sts.example", "imdsv2_session_token_url": "http://169.254.169.254",
    });
    let external = |source: Value| {
        json!({
            "type": "external_account", "audience": "//iam.googleapis.com/projects/1/x", "subject_token_type": "jwt",
            "token_url": "https://sts.googleapis.com/v1/token", "token_info_url": "https://sts.googleapis.com/v1/introspect",
            "credential_source": source, "quota_project_id": "q", "client_id": "c", "client_secret": "s",
            "service_account_impersonation_url":
                "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a:generateAccessToken",
            "service_account_impersonation": { "token_lifetime_seconds": 3600 },
            "workforce_pool_user_project": "p", "universe_domain": "googleapis.com", "unknown": "u",
        })
    };
    let user = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "account": "a",
        "quota_project_id": "q", "universe_domain": "googleapis.com", "token_uri": "https://oauth2.googleapis.com/token",
        "rapt_token": "t", "unknown": "u",
    });
    let documents = [
        json!({
            "type": "service_account", "project_id": "p", "private_key_id": "k",
            "private_key": "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n",
            "client_email": "a@p.iam.gserviceaccount.com", "client_id": "1",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": "https://oauth2.googleapis.com/token",
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/a",
            "universe_domain": "googleapis.com", "unknown": { "inner": "u" },
        }),
        external(json!({ "file": "/token", "format": { "type": "text", "subject_token_field_name": "t" } })),
        external(source),
        json!({
            "type": "impersonated_service_account", "delegates": [], "quota_project_id": "q",
            "service_account_impersonation_url":
                "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a:generateAccessToken",
            "source_credentials": user.clone(),
        }),
        user,
    ];
    for document in &documents {
        for value in values() {
            for (field, changed) in each_value(document, value) {
                let text = changed.to_string();
                look.location(&location, LocationCredentials::from_contents(text.as_str()), value, &field);
                let path = files.write("key.json", &text);
                look.location(&location, LocationCredentials::none().with_path(path), value, &field);
                // The same as keys of the driver's, where they are texts.
                if !field.contains('.') && changed[&field] == json!(value) {
                    let pairs = changed.as_object().unwrap().iter().filter_map(|(name, value)| {
                        Some((
                            format!("REGISTRY_STORAGE_GCS_CREDENTIALS_{}", name.to_uppercase()),
                            value.as_str()?,
                        ))
                    });
                    let bucket = ("REGISTRY_STORAGE_GCS_BUCKET".to_owned(), "backup");
                    let text = look.said(|| Config::from_env(pairs.chain([bucket])));
                    assert_hidden(value, &field, &text);
                }
            }
            for text in
                [format!("{{\"private_key\": \"{value}\""), format!("{{\"{value}\": 1}}"), value.to_owned()]
            {
                look.location(&location, LocationCredentials::from_contents(text.as_str()), value, &text);
            }
        }
    }
    look.finish(300, 0, 0);
}

/// Outside of the credentials a word is a name and may be shown; a secret is not.
#[test]
fn of_a_location() {
    let (mut look, files) = (Look::new(), Files::new());
    for (provider, text) in [
        ("aws", "[default]\naws_access_key_id=a\naws_secret_access_key=b\n".to_owned()),
        ("azure", format!("AZURE_STORAGE_ACCOUNT_ACCESS_KEY={KEY}\n")),
        (
            "gcp",
            r#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r"}"#
                .to_owned(),
        ),
    ] {
        let path = files.write("cloud", &text);
        for secret in SECRETS {
            let mut changed: Vec<_> =
                CONFIG.iter().map(|key| (*key, location(provider).with_config(*key, *secret))).collect();
            changed.extend([
                ("a key", location(provider).with_config(*secret, "x")),
                ("prefix", location(provider).with_prefix(*secret)),
                ("caCert", location(provider).with_ca_cert(*secret)),
                ("accessMode", location(provider).with_access_mode(*secret)),
                ("credential", location(provider).with_credential(*secret, *secret)),
                ("bucket", {
                    let mut location = location(provider);
                    location.spec.object_storage.bucket = (*secret).to_owned();
                    location
                }),
            ]);
            for (field, location) in changed {
                look.is_address = ADDRESSES.contains(&field);
                for credentials in [
                    LocationCredentials::from_contents(text.as_str()),
                    LocationCredentials::none().with_path(&path),
                    LocationCredentials::from_contents(text.as_str()).with_ca_bundle(*secret),
                ] {
                    look.location(&location, credentials, secret, &format!("{provider}: {field}"));
                }
            }
        }
    }
    look.finish(100, 300, 500);
}

/// A name, what it needs, its parameters that are secrets, and the others.
type Driver = (&'static str, &'static [(&'static str, &'static str)], Names, Names);
type Names = &'static [&'static str];

/// For each driver: what it needs, the parameters that are or may hold secrets, and those that are not.
const PARAMETERS: &[Driver] = &[
    (
        "s3",
        &[("bucket", "backup"), ("region", "us-east-1"), ("regionendpoint", NOBODY), ("maxattempts", "1")],
        &["accesskey", "secretkey", "sessiontoken", "credentials", "proxy", "cabundle", "stscabundle"],
        &[
            "bucket",
            "rootdirectory",
            "region",
            "regionendpoint",
            "redirectendpoint",
            "stsendpoint",
            "forcepathstyle",
            "virtualhostedstyle",
            "credentialsconfigpath",
            "profile",
            "tokenfiles",
            "secure",
            "skipverify",
            "cabundlepath",
            "stscabundlepath",
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
            "checksums",
            "maxconcurrency",
            "maxattempts",
            "conditionalwrites",
            "directories",
            "v4auth",
            "loglevel",
            "unknown",
        ],
    ),
    (
        "azure",
        &[("accountname", "account"), ("container", "backup"), ("accountkey", KEY)],
        &[
            "accountkey",
            "sastoken",
            "credentials.secret",
            "credentials",
            "connectionstring",
            "proxy",
            "cabundle",
        ],
        &[
            "accountname",
            "container",
            "credentials.type",
            "credentials.clientid",
            "credentials.tenantid",
            "credentials.tokenfile",
            "realm",
            "serviceurl",
            "rootdirectory",
            "leadingslash",
            "max_retries",
            "retry_delay",
            "chunksize",
            "maxconcurrency",
            "maxattempts",
            "skipverify",
            "cabundlepath",
            "unknown",
        ],
    ),
    (
        "gcs",
        &[("bucket", "backup")],
        &["credentials", "credentials.private_key", "credentials.client_secret", "proxy", "cabundle"],
        &[
            "bucket",
            "rootdirectory",
            "keyfile",
            "tokenfiles",
            "anonymous",
            "endpoint",
            "chunksize",
            "maxconcurrency",
            "useragent",
            "skipverify",
            "cabundlepath",
            "unknown",
        ],
    ),
    ("filesystem", &[("rootdirectory", "/nowhere")], &[], &["maxthreads", "unknown"]),
    ("inmemory", &[], &[], &["unknown"]),
];

/// In a file, and as variables.
#[test]
fn of_parameters() {
    let mut look = Look::new();
    for (driver, needed, secrets, others) in PARAMETERS {
        let words = secrets.iter().map(|name| (*name, WORD));
        let all = secrets.iter().chain(*others);
        let secret = all.flat_map(|name| SECRETS.iter().map(move |secret| (*name, *secret)));
        for (name, value) in words.chain(secret) {
            look.is_address = ADDRESSES.contains(&name);
            let mut given: Vec<_> = needed.iter().copied().filter(|(needed, _)| *needed != name).collect();
            given.push((name, value));
            let lines: String =
                given.iter().map(|(name, value)| format!("    {name}: {}\n", json!(value))).collect();
            let (flat, mut lines) = (lines.clone(), lines);
            if let Some((section, key)) = name.split_once('.') {
                lines = lines.replace(&format!("{name}:"), &format!("{section}: {{{key}:"));
                lines.insert(lines.len() - 1, '}');
            }
            for lines in [flat, lines] {
                let file = format!("version: 0.1\nstorage:\n  {driver}:\n{lines}");
                let text = look.said(|| Config::from_yaml(&file));
                assert_hidden(value, &file, &text);
            }
            let pairs = given.iter().map(|(name, value)| {
                let name = name.replace('.', "_").to_uppercase();
                (format!("REGISTRY_STORAGE_{}_{name}", driver.to_uppercase()), *value)
            });
            let named = ("REGISTRY_STORAGE".to_owned(), *driver);
            let text = look.said(|| Config::from_env(pairs.chain([named])));
            assert_hidden(value, &format!("{driver}: {name}"), &text);
        }
    }
    look.is_address = false;
    for value in values() {
        let base = "version: 0.1\nstorage: inmemory\n";
        let text = look.said(|| Config::from_yaml(&format!("{base}http: {{secret: {}}}\n", json!(value))));
        assert_hidden(value, "http.secret", &text);
        let pairs = [("REGISTRY_STORAGE", "inmemory"), ("REGISTRY_HTTP_SECRET", value)];
        let text = look.said(|| Config::from_env(pairs));
        assert_hidden(value, "http.secret", &text);
    }
    look.finish(300, 0, 500);
}
