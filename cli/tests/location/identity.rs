//! Whose identity a location is opened with.

use crate::{Files, NOBODY, check, common::run, profile, show};

/// A location with its own Secret.
fn named(files: &Files, endpoint: &str) -> String {
    files.write(
        "bsl.yaml",
        format!(
            "metadata: {{name: default, namespace: velero}}\nspec:\n  provider: aws\n  credential: {{name: mine, key: cloud}}\n  \
             objectStorage: {{bucket: backup, prefix: velero}}\n  config: {{region: us-east-1, s3Url: '{endpoint}'}}\n"
        ),
    )
}

/// It is not opened with the identity of the process, unless `--ambient` allows it.
#[test]
fn a_location_with_a_secret_needs_it() {
    let files = Files::new();
    let location = named(&files, NOBODY);
    for command in [&["ls"][..], &["location", "check"], &["verify", "--all"]] {
        let ran = run(command.iter().copied().chain(["--location", &location]));
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.err.contains("`spec.credential`: names credentials of the location, but none are passed"),
            "{ran:?}"
        );
        assert!(
            ran.err.contains("key `cloud` of Secret `velero/mine`") && ran.err.contains("--ambient"),
            "{ran:?}"
        );
    }
    // Showing a location needs no credentials.
    let shown = show(&["--location", &location]).ok();
    assert!(
        shown.out.contains("credentials: none given; they are in key `cloud` of Secret `velero/mine`"),
        "{shown:?}"
    );
    // Variables may have them.
    let env = "REGISTRY_STORAGE_S3_ACCESSKEY=a\nREGISTRY_STORAGE_S3_SECRETKEY=b\nREGISTRY_STORAGE_S3_MAXATTEMPTS=1\n";
    let env = files.write("r.env", env);
    let mut arguments = vec!["--location", location.as_str(), "--env-file", &env];
    let ran = check(&arguments);
    assert!(!ran.err.contains("none are passed"), "{ran:?}");
    // `--ambient` allows it.
    let quick = files.write("quick.env", "REGISTRY_STORAGE_S3_MAXATTEMPTS=1\n");
    arguments[3] = &quick;
    arguments.push("--ambient");
    let ran = check(&arguments);
    assert!(!ran.err.contains("none are passed"), "{ran:?}");
}

/// The Secret that OADP makes of a role: with the token's file that the host names, and no other.
#[test]
fn a_role_needs_its_token_to_be_allowed() {
    let files = Files::new();
    let location = files.location("aws", "backup", NOBODY);
    let token = "/var/run/secrets/openshift/serviceaccount/token";
    let role = format!(
        "[default]\nsts_regional_endpoints = regional\nrole_arn = arn:aws:iam::123456789012:role/r\n\
         web_identity_token_file = {token}"
    );
    let cloud = files.write("cloud", role);
    let arguments = ["--location", location.as_str(), "--credentials", &cloud];
    let ran = show(&arguments);
    assert!(
        ran.err.contains("line 4: `web_identity_token_file` names `") && ran.err.contains("--token-file"),
        "{ran:?}"
    );
    let shown = show(&[&arguments[..], &["--token-file", token]].concat()).ok();
    assert!(
        shown.out.contains("  credentials: …\n") && shown.out.contains(&format!("  tokenfiles: {token}\n")),
        "{shown:?}"
    );
    let other = show(&[&arguments[..], &["--token-file", "/other"]].concat());
    assert_eq!(other.code, 1, "{other:?}");
    // Two of them.
    show(&[&arguments[..], &["--token-file", "/other", "--token-file", token]].concat()).ok();
}

#[test]
fn an_endpoint_in_clear_is_warned_of() {
    let files = Files::new();
    let cloud = files.write("cloud", profile("a", "b"));
    let warning = "uses http to another machine: anyone on the network path can read and change images";
    let location = files.location("aws", "backup", "http://minio.invalid:9000");
    let shown = show(&["--location", &location, "--credentials", &cloud]).ok();
    assert!(shown.out.contains(&format!("warning: `spec.config.s3Url` {warning}")), "{shown:?}");
    assert_eq!(shown.out.matches(warning).count(), 1, "{shown:?}");
    let quick = files.write("quick.env", "REGISTRY_STORAGE_S3_MAXATTEMPTS=1\n");
    let checked = check(&["--location", &location, "--credentials", &cloud, "--env-file", &quick]);
    assert!(checked.out.contains(warning), "{checked:?}");
    let env = files.write(
        "r.env",
        "REGISTRY_STORAGE=s3\nREGISTRY_STORAGE_S3_BUCKET=b\nREGISTRY_STORAGE_S3_REGIONENDPOINT=http://minio.invalid\n",
    );
    let shown = show(&["--env-file", &env]).ok();
    assert!(shown.out.contains(&format!("warning: `regionendpoint` {warning}")), "{shown:?}");
    let location = files.location("aws", "backup", NOBODY);
    assert!(!show(&["--location", &location, "--credentials", &cloud]).ok().out.contains(warning));
}

/// A device without an end, in the place of each file.
#[cfg(unix)]
#[test]
fn files_have_a_limit() {
    let files = Files::new();
    let location = files.location("aws", "backup", NOBODY);
    for arguments in [
        &["--config", "/dev/zero"][..],
        &["--location", "/dev/zero"],
        &["--env-file", "/dev/zero"],
        &["--location", &location, "--credentials", "/dev/zero"],
    ] {
        let ran = show(arguments);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("`/dev/zero` is longer than 1048576 bytes"), "{arguments:?} {}", ran.err);
    }
}
