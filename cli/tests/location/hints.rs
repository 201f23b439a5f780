//! What to do about a failure, the same from every command.

use crate::{Files, common::run, profile};

/// A document in the place of another, with an option and what else it needs.
#[test]
fn a_document_in_the_place_of_another_is_named() {
    let files = Files::new();
    let location = files.location("aws", "backup", crate::NOBODY);
    let named = files.write(
        "named.yaml",
        "kind: BackupStorageLocation\nmetadata: {name: default, namespace: velero}\nspec:\n  provider: aws\n  \
         credential: {name: mine, key: cloud}\n  objectStorage: {bucket: backup, prefix: velero}\n",
    );
    let secret = files.write(
        "secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: mine}\ndata:\n  cloud: W2RlZmF1bHRdCg==\n",
    );
    let plain = files.write("plain.yaml", "kind: Secret\nstringData:\n  cloud: |\n    [default]\n");
    let encoded = files.write("encoded", "W2RlZmF1bHRdCmF3c19hY2Nlc3Nfa2V5X2lkID0gYQo=\n");
    let config = files.write("config.yml", "version: 0.1\nstorage: inmemory\n");
    let cloud = files.cloud("key", "secret");
    const KUBECTL: &str = "`kubectl get secret mine -n velero -o go-template='{{index .data \"cloud\" | base64decode}}' \
                           > FILE` saves the value: add --credentials FILE.";
    for (arguments, error, hint) in [
        (
            &["--location", &named, "--credentials", &secret][..],
            "this is a Kubernetes Secret, not a credentials file: pass the value of its key `cloud`, which `base64 -d` \
             decodes",
            KUBECTL,
        ),
        (
            &["--location", &named, "--credentials", &plain],
            "this is a Kubernetes Secret, not a credentials file: pass the text of its key `cloud`, without the indent",
            KUBECTL,
        ),
        (
            &["--location", &named, "--credentials", &encoded],
            "this is a credentials file that is still encoded as base64",
            "Decode the file with `base64 -d`, and name the result with --credentials.",
        ),
        (
            &["--location", &named, "--credentials", &location],
            "this is a BackupStorageLocation, not a credentials file",
            "Name the file with the location's credentials with --credentials.",
        ),
        (
            &["--config", &location],
            "`kind` (line 2): this is a BackupStorageLocation, not the configuration of a registry",
            "Name it with --location.",
        ),
        (
            &["--config", &secret],
            "`kind` (line 2): this is a Kubernetes Secret, not the configuration of a registry",
            "Save the decoded value of the Secret as a file, and name that with --credentials.",
        ),
        (
            &["--location", &config],
            "`storage` (line 2): this is the configuration of a registry, not a BackupStorageLocation",
            "Name it with --config.",
        ),
        (
            &["--location", &secret],
            "`kind` (line 2): this is a Kubernetes Secret, not a BackupStorageLocation",
            "Name the location with --location.",
        ),
        (
            &["--location", &cloud],
            "this is a credentials file, not a BackupStorageLocation",
            "Name the location with --location, and its credentials with --credentials.",
        ),
    ] {
        for command in [&["ls"][..], &["location", "check"], &["location", "show"]] {
            let ran = run(command.iter().chain(arguments));
            assert_eq!(ran.code, 1, "{ran:?}");
            assert!(ran.err.contains(error) && ran.err.contains(hint), "{ran:?}");
            assert!(!ran.err.contains("mistakes"), "{ran:?}");
        }
    }
}

/// Everything that speaks to a store fails with the same hint.
#[cfg(feature = "s3")]
mod of_a_store {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        process::Output,
    };

    use super::*;
    use crate::{NOBODY, common::command};

    /// Every command that opens a registry.
    fn commands(out: &str) -> Vec<Vec<String>> {
        let copy = format!("copy registry:a:1 {out}");
        let lines = [
            "location check",
            "ls",
            "tags a",
            "inspect a:1",
            "verify --all",
            "verify a",
            "rm a:1",
            "rm a --all",
            "purge --dry-run",
            &copy,
            "serve",
            "quickstart --yes",
        ];
        lines.map(|line| line.split(' ').map(str::to_owned).collect()).to_vec()
    }

    /// Runs it without an identity of this machine, with one attempt.
    fn ends(files: &Files, line: &[String], source: &[&str]) -> String {
        let env = files.write("quick.env", "REGISTRY_STORAGE_S3_MAXATTEMPTS=1\n");
        let Output { status, stderr, .. } = command()
            .args(line)
            .args(source)
            .args(["--env-file", &env])
            .env_clear()
            .envs([("HOME", files.root()), ("AWS_EC2_METADATA_DISABLED", "true".to_owned())])
            .output()
            .unwrap();
        assert_eq!(status.code(), Some(1), "{line:?}");
        String::from_utf8(stderr).unwrap()
    }

    fn every_command_says(files: &Files, source: &[&str], error: &str, hint: &str) {
        for line in commands(&format!("oci:{}", files.path("out"))) {
            let err = ends(files, &line, source);
            assert!(err.contains(error), "{line:?}: {err}");
            assert!(err.ends_with(&format!("\n  {hint}\n")), "{line:?}: {err}");
        }
    }

    #[test]
    fn where_nobody_listens() {
        let files = Files::new();
        let location = files.location("aws", "backup", NOBODY);
        let cloud = files.write("cloud", profile("key", "secret"));
        every_command_says(
            &files,
            &["--location", &location, "--credentials", &cloud],
            "Connection refused",
            "Check the endpoint (`s3Url`), its certificate, the network and the proxy, and the state of the store \
             itself.",
        );
    }

    #[test]
    fn without_credentials() {
        let files = Files::new();
        let config = files.write(
            "config.yml",
            format!(
                "version: 0.1\nstorage:\n  s3: {{bucket: b, region: us-east-1, regionendpoint: '{NOBODY}'}}\n"
            ),
        );
        every_command_says(
            &files,
            &["--config", &config],
            "not authenticated: no credentials are set, and none are in the environment, in the files of this user or \
             in the cloud's metadata service",
            "No credentials are set here, so the SDK looks for some by itself. Set `accesskey` and `secretkey` in the \
             file, or REGISTRY_STORAGE_S3_ACCESSKEY and REGISTRY_STORAGE_S3_SECRETKEY.",
        );
    }

    #[test]
    fn https_where_there_is_only_http() {
        #[expect(clippy::disallowed_methods, reason = "a server of HTTP for the test")]
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("https://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                // As servers of HTTP do with anything else.
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
            }
        });
        let files = Files::new();
        let location = files.location("aws", "backup", &endpoint);
        let cloud = files.write("cloud", profile("key", "secret"));
        let source = ["--location", &location, "--credentials", &cloud];
        let err = ends(&files, &["ls".to_owned()], &source);
        let expected = "(the answer is not TLS: if the store does not use it, write http:// in the endpoint instead of \
                        https://)";
        assert!(err.contains(expected), "{err}");
    }
}
