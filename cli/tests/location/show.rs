//! `location show`, to the letter.

use serde_json::json;

use crate::{Files, show};

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
changes: pushes; no deletes
ignored: BackupStorageLocation velero/default: spec.objectStorage.prefix is ignored: images lie at the bucket's root, as they always did
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
        "readOnly": false,
        "delete": false,
        "ignored": ["BackupStorageLocation velero/default: spec.objectStorage.prefix is ignored: images lie at the \
                     bucket's root, as they always did"],
        "warnings": [],
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
