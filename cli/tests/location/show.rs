//! `location show`, to the letter.

use serde_json::json;

use crate::{Files, NOBODY, check, show};

#[test]
fn a_location_with_its_credentials() {
    let files = Files::new();
    let location = files.location("velero.io/aws", "backup", "http://minio:9000");
    let cloud = files.cloud("key", "secret");
    let arguments = ["--location", &location, "--credentials", &cloud];
    let ran = show(&arguments).ok();
    let expected = "location: velero/default
driver: s3
  accesskey: …
  bucket: backup
  forcepathstyle: true
  region: us-east-1
  regionendpoint: http://minio:9000
  secretkey: …
assumed: conditions on writes are honoured, until the store is known; the first write finds out, with at most 6 requests
assumed: keys are in directories, until the store is known; the first write finds out, with at most 6 requests
assumed: uploads carry a CRC32 until the store refuses it
changes: pushes, and deletes by `rm`; no deletes by clients
ignored: BackupStorageLocation velero/default: spec.objectStorage.prefix is ignored: images are stored at the root of the bucket, as always
warning: `spec.config.s3Url` uses http to another machine: anyone on the network path can read and change images, and copy signatures and session tokens; use https
";
    assert_eq!((ran.out.as_str(), ran.err.as_str()), (expected, ""));
    let document = show(&[&arguments[..], &["--format", "json"]].concat()).ok().json();
    let expected = json!({
        "location": "velero/default",
        "driver": "s3",
        "parameters": {
            "accesskey": "…",
            "bucket": "backup",
            "forcepathstyle": "true",
            "region": "us-east-1",
            "regionendpoint": "http://minio:9000",
            "secretkey": "…",
        },
        "assumed": [
            "conditions on writes are honoured, until the store is known; the first write finds out, with at \
             most 6 requests",
            "keys are in directories, until the store is known; the first write finds out, with at most 6 \
             requests",
            "uploads carry a CRC32 until the store refuses it",
        ],
        "readOnly": false,
        "deletes": { "rm": true, "clients": false },
        "ignored": ["BackupStorageLocation velero/default: spec.objectStorage.prefix is ignored: images are \
                     stored at the root of the bucket, as always"],
        "warnings": ["`spec.config.s3Url` uses http to another machine: anyone on the network path can read \
                      and change images, and copy signatures and session tokens; use https"],
    });
    assert_eq!(document, expected);
}

#[test]
fn a_location_without_credentials_says_where_they_are() {
    let files = Files::new();
    let location = files.location("aws", "backup", "http://minio:9000");
    let ran = show(&["--location", &location]).ok();
    let line = "\ncredentials: none given; they are in key `cloud` of Secret `velero/cloud-credentials`\n";
    assert!(ran.out.contains(line) && !ran.out.contains("key: …"), "{ran:?}");
}

/// They may be in the variables on top of the location.
#[test]
fn credentials_of_variables_are_credentials() {
    let files = Files::new();
    let location = files.location("aws", "backup", NOBODY);
    let fast = "REGISTRY_STORAGE_S3_MAXATTEMPTS=1";
    let variables = |name: &str, value: &str| {
        files.write("r.env", format!("{fast}\nREGISTRY_STORAGE_S3_{name}={value}\n"))
    };
    let shown = |env: &str| {
        let arguments = ["--location", location.as_str(), "--env-file", env];
        // Without credentials an endpoint that the location names is asked only with `--ambient`.
        let checked = check(&[&arguments[..], &["--ambient"]].concat());
        let shown = show(&arguments).ok();
        [shown.out, checked.out].map(|out| {
            let none =
                out.lines().any(|line| line.starts_with("credentials:") && line.contains("none given"));
            (none, out)
        })
    };
    for name in ["ACCESSKEY", "CREDENTIALSCONFIGPATH"] {
        for (none, out) in shown(&variables(name, "a")) {
            assert!(!none, "{name}: {out}");
        }
    }
    // An empty value counts as unset, and a region is not a credential.
    for (name, value) in [("ACCESSKEY", ""), ("REGION", "eu")] {
        for (none, out) in shown(&variables(name, value)) {
            assert!(none, "{name}: {out}");
        }
    }
}

#[test]
fn credentials_of_variables_are_known_of_each_provider() {
    let files = Files::new();
    for (provider, config, variables) in [
        ("azure", "storageAccount: a", "AZURE_ACCOUNTKEY=a2V5"),
        (
            "azure",
            "storageAccount: a",
            "AZURE_CREDENTIALS_TYPE=client_secret\nREGISTRY_STORAGE_AZURE_CREDENTIALS_SECRET=c",
        ),
        ("gcp", "serviceAccount: a", "GCS_KEYFILE=/key.json"),
        ("gcp", "serviceAccount: a", "GCS_CREDENTIALS={}"),
    ] {
        let location = files.write(
            "bsl.yaml",
            format!(
                "metadata: {{name: default, namespace: velero}}\nspec:\n  provider: {provider}\n  \
                 objectStorage: {{bucket: backup}}\n  config: {{{config}}}\n"
            ),
        );
        let alone = show(&["--location", &location]).ok();
        assert!(alone.out.contains("\ncredentials: none given"), "{alone:?}");
        let env = files.write("r.env", format!("REGISTRY_STORAGE_{variables}\n"));
        let ran = show(&["--location", &location, "--env-file", &env]).ok();
        assert!(!ran.out.contains("\ncredentials:"), "{variables}: {ran:?}");
    }
}

#[test]
fn a_location_in_json_that_is_read_only() {
    let files = Files::new();
    let location = json!({
        "kind": "BackupStorageLocation",
        "metadata": { "name": "archive", "namespace": "oadp" },
        "spec": { "provider": "azure", "objectStorage": { "bucket": "images", "prefix": "v" }, "accessMode": "ReadOnly",
                  "config": { "storageAccount": "acc" } },
    });
    let location = files.write("bsl.json", location.to_string());
    let cloud = files.write("cloud", "AZURE_STORAGE_ACCOUNT_ACCESS_KEY=a2V5\n");
    let ran = show(&["--location", &location, "--credentials", &cloud]).ok();
    let begin = "location: oadp/archive\ndriver: azure\n  accountkey: …\n  accountname: acc\n  container: images\n\
                 changes: none: read-only\n";
    assert!(ran.out.starts_with(begin), "{ran:?}");
    assert!(ran.out.lines().any(|line| line.starts_with("warning: ")), "{ran:?}");
}

#[test]
fn a_configuration_file_with_all_that_is_shown() {
    let files = Files::new();
    let config = files.write(
        "config.yml",
        "version: 0.1\nlog: {level: debug}\nstorage:\n  filesystem: {rootdirectory: /srv}\n  delete: {enabled: true}\n  \
         cache: {blobdescriptor: redis}\nhttp: {secret: hunter2}\n",
    );
    let ran = show(&["--config", &config]).ok();
    let begin = "driver: filesystem\n  rootdirectory: /srv\nlog level: debug\n";
    assert!(ran.out.starts_with(begin), "{ran:?}");
    assert!(ran.out.contains("\nchanges: pushes and deletes\nignored: "), "{ran:?}");
    assert!(ran.out.contains("storage.cache is ignored") && !ran.out.contains("hunter2"), "{ran:?}");
}
