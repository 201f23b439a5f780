//! Files that are missing, too long, or wrong.

use crate::{Files, NOBODY, check, profile, show};

#[test]
fn missing_files_are_2_and_named() {
    let files = Files::new();
    let location = files.location("aws", "backup", NOBODY);
    let config = files.write("config.yml", "version: 0.1\nstorage: inmemory\n");
    let none = files.path("none");
    for (what, arguments) in [
        ("the location", vec!["--location", &none]),
        ("the credentials file", vec!["--location", &location, "--credentials", &none]),
        ("the configuration file", vec!["--config", &none]),
        ("the variables file", vec!["--env-file", &none]),
        ("the variables file", vec!["--config", &config, "--env-file", &none]),
    ] {
        for ran in [check(&arguments), show(&arguments)] {
            let expected = format!("error: {what} `{none}` does not exist\n  Check the path.\n");
            assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (2, "", expected.as_str()));
        }
    }
}

#[test]
fn a_file_that_cannot_be_one_is_not_read() {
    let files = Files::new();
    let location = files.location("aws", "backup", NOBODY);
    let long = files.write("long", vec![b' '; (1 << 20) + 1]);
    let binary = files.write("binary", [0xff, 0xfe]);
    let directory = files.root();
    for (what, path, arguments, why) in [
        ("the location", &long, vec!["--location", &long], "is longer than 1048576 bytes"),
        (
            "the credentials file",
            &long,
            vec!["--location", &location, "--credentials", &long],
            "is longer than 1048576 bytes",
        ),
        ("the variables file", &long, vec!["--env-file", &long], "is longer than 1048576 bytes"),
        (
            "the location",
            &binary,
            vec!["--location", &binary],
            "cannot be read: stream did not contain valid UTF-8",
        ),
        (
            "the configuration file",
            &directory,
            vec!["--config", &directory],
            "cannot be read: Is a directory (os error 21)",
        ),
    ] {
        let ran = show(&arguments);
        assert_eq!((ran.code, ran.err), (1, format!("error: {what} `{path}` {why}\n")));
    }
}

#[test]
fn providers_are_told_apart_and_near_ones_suggested() {
    let files = Files::new();
    let cloud = files.cloud("key", "secret");
    for provider in ["aws", "velero.io/aws"] {
        let location = files.location(provider, "backup", NOBODY);
        let ran = show(&["--location", &location, "--credentials", &cloud]).ok();
        assert!(ran.out.contains("\ndriver: s3\n"), "{ran:?}");
    }
    for (provider, why) in [
        ("asw", "unsupported provider `asw`, did you mean `aws`?"),
        ("velero.io/asw", "unsupported provider `velero.io/asw`, did you mean `aws`?"),
    ] {
        let location = files.location(provider, "backup", NOBODY);
        let ran = check(&["--location", &location, "--credentials", &cloud]);
        let expected =
            format!("error: `{location}` with `{cloud}`: invalid configuration: `spec.provider`: {why}\n");
        assert_eq!((ran.code, ran.out.as_str(), ran.err), (1, "", expected));
    }
}

#[test]
fn wrong_credentials_files_say_what_is_wrong() {
    let files = Files::new();
    let location = files.location("aws", "backup", NOBODY);
    let others = profile("a", "b").replace("default", "other") + "[third]\n";
    for (content, why) in [
        (others.as_str(), "credentials file: has no profile `default`; it has `other`, `third`"),
        (
            "[default]\naws_access_key_id = x\n",
            "credentials file, profile `default` (line 1): has no `aws_secret_access_key`",
        ),
        ("", "credentials file: is empty"),
    ] {
        let cloud = files.write("cloud", content);
        let ran = check(&["--location", &location, "--credentials", &cloud]);
        let expected = format!("error: `{location}` with `{cloud}`: invalid configuration: {why}\n");
        assert_eq!((ran.code, ran.out.as_str(), ran.err), (1, "", expected));
    }
}

#[test]
fn a_wrong_variable_is_named_without_its_value() {
    let files = Files::new();
    let env = files.write("r.env", "REGISTRY_STORAGE_S3_BUCKET=b\nhunter2\n");
    let ran = show(&["--env-file", &env]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with(&format!("error: `{env}`: ")) && ran.err.contains("line 2"), "{ran:?}");
    assert!(!ran.err.contains("hunter2"), "{ran:?}");
}
