//! No output contains a secret, whatever is printed and whatever fails.

use std::process::{Output, Stdio};

use crate::{Files, NOBODY, common::command, profile};

const ACCESS: &str = "AKIACANARYACCESS";
const SECRET: &str = "canary-secret-5b1e";
const TOKEN: &str = "canary-token-88d0";
const PASSWORD: &str = "canary-password-3c9a";
const HTTP: &str = "canary-http-d17f";
const VARIABLE: &str = "canary-variable-a044";

/// The commands that open a location, and `serve` at its most talkative.
const OPEN: [&str; 11] = [
    "location check",
    "location check --format json",
    "ls",
    "tags ns/app",
    "inspect ns/app:1.0",
    "verify --all",
    "purge --dry-run",
    "rm ns/app:1.0",
    "copy oci:/nowhere registry:ns/app:1.0",
    "copy registry:ns/app:1.0 oci:/nowhere",
    "serve --log trace",
];

/// Runs every command that is given a location. How many of them failed.
fn all_outputs(arguments: &[&str]) -> (String, usize) {
    let (mut said, mut failed) = (String::new(), 0);
    for line in ["location show", "location show --format json"].into_iter().chain(OPEN) {
        let mut run = command();
        run.args(line.split(' ')).args(arguments).env("REGISTRY_STORAGE_S3_ENCRYPT", VARIABLE);
        let Output { status, stdout, stderr } = run.stderr(Stdio::piped()).output().unwrap();
        failed += usize::from(!status.success());
        said +=
            &format!("$ {line}\n{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    }
    (said, failed)
}

fn assert_silent(said: &str) {
    for canary in [ACCESS, SECRET, TOKEN, PASSWORD, HTTP, VARIABLE, "canary"] {
        assert!(!said.contains(canary), "{canary} is in:\n{said}");
    }
}

/// The variables that make a run short, and more.
fn env(files: &Files, more: &str) -> String {
    files.write("r.env", format!("REGISTRY_STORAGE_S3_MAXATTEMPTS=1\n{more}"))
}

#[test]
fn in_a_location_that_nobody_answers_at() {
    let files = Files::new();
    let location = files.location("aws", "backup", NOBODY);
    let cloud = files.write("cloud", format!("{}aws_session_token = {TOKEN}\n", profile(ACCESS, SECRET)));
    let env = env(&files, &format!("REGISTRY_HTTP_SECRET={HTTP}\n"));
    let (said, failed) = all_outputs(&["--location", &location, "--credentials", &cloud, "--env-file", &env]);
    assert_silent(&said);
    assert_eq!(failed, OPEN.len(), "{said}");
    assert!(said.contains("  sessiontoken: …\n") && said.contains(r#""secretkey":"…""#), "{said}");
    if cfg!(feature = "s3") {
        assert!(said.contains("Connection refused"), "{said}");
    }
}

/// A role by a token, and by keys, of a token service that does not answer; and in refusals.
#[test]
fn in_a_role() {
    let files = Files::new();
    let location = files.location("aws", "backup", NOBODY);
    let token = files.write("token", TOKEN);
    let env = env(&files, &format!("REGISTRY_STORAGE_S3_STSENDPOINT={NOBODY}\n"));
    let by_token =
        format!("[default]\nrole_arn = r\nexternal_id = {SECRET}\nweb_identity_token_file = {token}\n");
    let by_keys = format!("{}role_arn = r\nexternal_id = {SECRET}\n", profile(ACCESS, SECRET));
    for text in [
        by_token.clone(),
        by_keys.clone(),
        format!("{by_token}endpoint_url = http://user:{PASSWORD}@127.0.0.1:1\n"),
        format!("{by_keys}credential_process = /bin/echo {PASSWORD}\n"),
        by_token.replace(&token, PASSWORD),
    ] {
        let cloud = files.write("cloud", &text);
        let arguments =
            ["--location", &location, "--credentials", &cloud, "--env-file", &env, "--token-file", &token];
        let (said, failed) = all_outputs(&arguments);
        assert_silent(&said);
        assert!(failed >= OPEN.len(), "{said}");
    }
}

#[test]
fn in_an_endpoint() {
    let files = Files::new();
    let cloud = files.cloud(ACCESS, SECRET);
    let env = env(&files, "");
    for endpoint in [
        format!("http://user:{PASSWORD}@127.0.0.1:1"),
        format!("{NOBODY}/?sv=2024&sig={PASSWORD}"),
        format!("{NOBODY}#{PASSWORD}"),
    ] {
        let location = files.location("aws", "backup", &endpoint);
        let (said, failed) =
            all_outputs(&["--location", &location, "--credentials", &cloud, "--env-file", &env]);
        assert_silent(&said);
        assert_eq!(failed, OPEN.len(), "{said}");
        assert!(said.contains("  regionendpoint: …\n"), "{said}");
        assert!(said.contains(r#""regionendpoint":"…""#), "{said}");
        if cfg!(feature = "s3") {
            assert!(said.contains("`regionendpoint` (spec.config.s3Url): has to be HOST"), "{said}");
        }
    }
}

/// Every parameter that is a URL, by the key of the location that it comes from.
#[test]
fn in_the_url_of_any_provider() {
    let files = Files::new();
    for (provider, key, parameter) in [
        ("aws", "s3Url", "regionendpoint"),
        ("aws", "publicUrl", "redirectendpoint"),
        ("azure", "storageAccountURI", "serviceurl"),
        ("gcp", "storeEndpoint", "endpoint"),
    ] {
        for behind in ["?sv=2024&sig=canary", "#canary"] {
            let location = files.write(
                "bsl.yaml",
                format!(
                    "metadata: {{name: default, namespace: velero}}\nspec:\n  provider: {provider}\n  \
                     objectStorage: {{bucket: backup}}\n  config: {{{config}, {key}: 'https://store.example/{behind}'}}\n",
                    config = match provider {
                        "aws" => "region: us-east-1",
                        "azure" => "storageAccount: account",
                        _ => "serviceAccount: a",
                    }
                ),
            );
            let shown = crate::show(&["--location", &location]).ok().out;
            assert!(shown.contains(&format!("  {parameter}: …\n")), "{shown}");
            let json = crate::show(&["--location", &location, "--format", "json"]).ok();
            assert_eq!(json.json()["parameters"][parameter], "…");
            let checked = crate::check(&["--location", &location]);
            assert_silent(&format!("{shown}{json:?}{checked:?}"));
        }
    }
}

#[test]
fn in_variables_that_are_right_or_wrong() {
    let files = Files::new();
    let location = files.location("aws", "backup", NOBODY);
    let cloud = files.cloud("key", "secret");
    let more = format!(
        "REGISTRY_STORAGE_S3_SECRETKEY={SECRET}\nREGISTRY_STORAGE_S3_ACCESSKEY={ACCESS}\n\
         REGISTRY_STORAGE_S3_SECRETKEYY={TOKEN}\n"
    );
    let env = env(&files, &more);
    let from = ["--location", &location, "--credentials", &cloud, "--env-file", &env];
    let (said, failed) = all_outputs(&from);
    assert_silent(&said);
    assert_eq!(failed, OPEN.len(), "{said}");
    if cfg!(feature = "s3") {
        assert!(said.contains("REGISTRY_STORAGE_S3_SECRETKEYY"), "{said}");
    }
    // The variable of the environment is an invalid flag, and its value must not be shown either.
    let (said, failed) = all_outputs(&[&from[..4], &["--from-env"]].concat());
    assert_eq!(failed, OPEN.len(), "{said}");
    assert!(!said.contains(SECRET), "{said}");
}
