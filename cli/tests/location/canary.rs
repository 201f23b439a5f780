//! A secret in a field that takes something else is in no output of any command.

use std::{
    fmt::Write as _,
    process::{Output, Stdio},
};

use crate::{Files, common::command};

/// Secrets of the forms that are found in Secrets of clusters.
const SECRETS: &[&str] = &[
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
];

const KEYS: &[(&str, &[&str])] = &[
    (
        "aws",
        &[
            "region",
            "s3Url",
            "s3ForcePathStyle",
            "insecureSkipTLSVerify",
            "publicUrl",
            "kmsKeyId",
            "serverSideEncryption",
            "checksumAlgorithm",
            "signatureVersion",
            "profile",
            "enableSharedConfig",
            "unknown",
        ],
    ),
    ("azure", &["storageAccount", "storageAccountURI", "storageAccountKeyEnvVar", "useAAD", "unknown"]),
    ("gcp", &["storeEndpoint", "kmsKeyName", "serviceAccount", "universeDomain", "unknown"]),
];

/// The parameters of the drivers, and other leaves of the file, as variables.
const VARIABLES: &[&str] = &[
    "STORAGE",
    "STORAGE_S3_BUCKET",
    "STORAGE_S3_ROOTDIRECTORY",
    "STORAGE_S3_CABUNDLEPATH",
    "STORAGE_S3_PROFILE",
    "STORAGE_S3_CREDENTIALSCONFIGPATH",
    "STORAGE_S3_KEYID",
    "STORAGE_S3_USERAGENT",
    "STORAGE_S3_PROXY",
    "STORAGE_S3_CHUNKSIZE",
    "STORAGE_S3_SECURE",
    "STORAGE_S3_STORAGECLASS",
    "STORAGE_FILESYSTEM_ROOTDIRECTORY",
    "STORAGE_FILESYSTEM_MAXTHREADS",
    "STORAGE_AZURE_ACCOUNTNAME",
    "STORAGE_GCS_KEYFILE",
    "STORAGE_DELETE_ENABLED",
    "HTTP_ADDR",
    "LOG_LEVEL",
    "LOG_FORMATTER",
];

/// The output of each command.
fn said(arguments: &[&str]) -> String {
    let mut said = String::new();
    for line in [
        "location show",
        "location show --format json",
        "location check --format json",
        "ls",
        "tags ns/app",
        "inspect ns/app:1.0",
        "verify --all",
        "purge --dry-run",
        "rm ns/app:1.0",
        "copy oci:/nowhere registry:ns/app:1.0",
        "copy registry:ns/app:1.0 oci:/nowhere",
    ] {
        let mut run = command();
        run.args(line.split(' ')).args(arguments);
        let Output { stdout, stderr, .. } = run.stdin(Stdio::null()).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        write!(said, "$ {line}\n{out}{err}").unwrap();
    }
    said
}

/// No twelve characters of it.
fn assert_silent(secret: &str, what: &str, said: &str) {
    let letters: Vec<char> = secret.chars().collect();
    for window in letters.windows(12) {
        let part: String = window.iter().collect();
        assert!(
            !said.contains(&part) && !said.contains(&part.to_lowercase()),
            "{what}: {part} is in:\n{said}"
        );
    }
}

#[test]
fn in_a_location_of_any_provider() {
    let files = Files::new();
    let quick = files.write("quick.env", "REGISTRY_STORAGE_S3_MAXATTEMPTS=1\n");
    for secret in SECRETS {
        for (provider, keys) in KEYS {
            let fields = keys.iter().map(|key| format!("config: {{'{key}': '{secret}'}}"));
            let others =
                ["bucket", "prefix", "caCert"].map(|field| format!("objectStorage: {{{field}: '{secret}'}}"));
            let others = others.into_iter().chain([
                format!("credential: {{name: '{secret}', key: '{secret}'}}"),
                format!("accessMode: '{secret}'"),
                format!("provider: '{secret}'"),
            ]);
            for field in fields.chain(others) {
                let mut spec = vec![field.clone()];
                for (name, usual) in [
                    ("provider", format!("provider: {provider}")),
                    ("objectStorage", "objectStorage: {bucket: backup}".to_owned()),
                    (
                        "config",
                        match *provider {
                            "aws" => "config: {region: us-east-1, s3Url: 'http://127.0.0.1:1'}".to_owned(),
                            "azure" => "config: {storageAccount: account}".to_owned(),
                            _ => "config: {}".to_owned(),
                        },
                    ),
                ] {
                    if !field.starts_with(name) {
                        spec.push(usual);
                    }
                }
                let text = format!(
                    "metadata: {{name: default, namespace: velero}}\nspec:\n  {}\n",
                    spec.join("\n  ")
                );
                let location = files.write("bsl.yaml", &text);
                let cloud = files.write(
                    "cloud",
                    match *provider {
                        "azure" => "AZURE_STORAGE_ACCOUNT_ACCESS_KEY=bm90IGEga2V5\n",
                        "gcp" => "{}",
                        _ => "[default]\naws_access_key_id=a\naws_secret_access_key=b\n",
                    },
                );
                let mut arguments = vec!["--location", &location, "--credentials", &cloud];
                if *provider == "aws" {
                    arguments.extend(["--env-file", &quick]);
                }
                assert_silent(secret, &text, &said(&arguments));
            }
        }
    }
}

#[test]
fn in_variables_and_files_that_are_named() {
    let files = Files::new();
    for secret in SECRETS {
        for variable in VARIABLES {
            let driver = variable.split('_').nth(1).filter(|_| variable.starts_with("STORAGE_"));
            let driver = driver.filter(|driver| *driver != "DELETE").unwrap_or("S3").to_lowercase();
            let mut text = String::new();
            if *variable != "STORAGE" {
                writeln!(text, "REGISTRY_STORAGE={driver}").unwrap();
            }
            if driver == "s3" {
                text += "REGISTRY_STORAGE_S3_REGIONENDPOINT=http://127.0.0.1:1\nREGISTRY_STORAGE_S3_MAXATTEMPTS=1\n";
                if *variable != "STORAGE_S3_BUCKET" {
                    text += "REGISTRY_STORAGE_S3_BUCKET=b\n";
                }
            }
            writeln!(text, "REGISTRY_{variable}={secret}").unwrap();
            // The address would only be shown if the server could listen on it.
            let file = files.write("r.env", &text);
            let said = if *variable == "HTTP_ADDR" {
                crate::show(&["--env-file", &file]).ok().out
            } else {
                said(&["--env-file", &file])
            };
            assert_silent(secret, &text, &said);
        }
        // In the place of a file.
        for option in ["--config", "--location", "--env-file"] {
            assert_silent(secret, option, &said(&[option, secret]));
            // One that is longer than any file's name.
            assert_silent(secret, option, &said(&[option, &secret.repeat(9)]));
        }
        let location = files.location("aws", "backup", "http://127.0.0.1:1");
        assert_silent(secret, "--credentials", &said(&["--location", &location, "--credentials", secret]));
    }
}
