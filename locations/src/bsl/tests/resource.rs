//! The resource, its names and its warnings.

use std::path::Path;

use super::*;
use crate::config::WarningKind;

/// As `kubectl get -o yaml` writes it.
const YAML: &str = r#"apiVersion: velero.io/v1
kind: BackupStorageLocation
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"apiVersion":"velero.io/v1","kind":"BackupStorageLocation","spec":{"provider":"other"}}
  creationTimestamp: "2026-01-05T10:11:12Z"
  generation: 42
  labels:
    app.kubernetes.io/managed-by: oadp-operator
    openshift.io/oadp: "True"
    openshift.io/oadp-registry: "True"
  managedFields:
  - apiVersion: velero.io/v1
    fieldsType: FieldsV1
    fieldsV1:
      f:metadata:
        f:annotations:
          .: {}
          f:kubectl.kubernetes.io/last-applied-configuration: {}
        f:ownerReferences:
          .: {}
          k:{"uid":"0d5e9a0c-0c3d-4d9b-9d0b-2a6f6f0a1b2c"}: {}
      f:spec:
        .: {}
        f:config:
          f:region: {}
    manager: manager
    operation: Update
    time: "2026-01-05T10:11:12Z"
  name: dpa-1
  namespace: openshift-adp
  ownerReferences:
  - apiVersion: oadp.openshift.io/v1alpha1
    blockOwnerDeletion: true
    controller: true
    kind: DataProtectionApplication
    name: dpa
    uid: 0d5e9a0c-0c3d-4d9b-9d0b-2a6f6f0a1b2c
  resourceVersion: "123456"
  uid: 6f1f9e68-8a1f-4f2e-9a25-6a1f7d6f5b4e
spec:
  accessMode: ReadWrite
  backupSyncPeriod: 1m0s
  config:
    checksumAlgorithm: ""
    insecureSkipTLSVerify: "false"
    profile: default
    region: minio
    s3ForcePathStyle: "true"
    s3Url: http://minio.minio.svc:9000
  credential:
    key: cloud
    name: cloud-credentials
  default: true
  objectStorage:
    bucket: "0123"
    caCert: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1BPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=
    prefix: velero
  provider: aws
  validationFrequency: null
status:
  lastSyncedTime: "2026-01-05T10:12:12Z"
  lastValidationTime: "2026-01-05T10:12:12Z"
  phase: Available
"#;

/// The same, as `-o json` writes it.
const JSON: &str = r#"{
	"apiVersion": "velero.io/v1",
	"kind": "BackupStorageLocation",
	"metadata": {
		"annotations": {"a\/b": "\ud83d\ude00 \"x\""},
		"name": "dpa-1",
		"namespace": "openshift-adp",
		"managedFields": [{"fieldsV1": {"f:spec": {".": {}}}, "operation": "Update"}]
	},
	"spec": {
		"accessMode": "ReadWrite",
		"config": {
			"checksumAlgorithm": "", "insecureSkipTLSVerify": "false", "profile": "default",
			"region": "minio", "s3ForcePathStyle": "true", "s3Url": "http:\/\/minio.minio.svc:9000"
		},
		"credential": {"key": "cloud", "name": "cloud-credentials"},
		"default": true,
		"objectStorage": {
			"bucket": "0123",
			"caCert": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1BPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=",
			"prefix": "velero"
		},
		"provider": "aws"
	},
	"status": {"phase": "Available"}
}
"#;

#[test]
fn as_velero_writes_it() {
    let location = BackupStorageLocation::from_text(YAML).unwrap();
    assert_eq!(
        (location.metadata.namespace.as_str(), location.metadata.name.as_str()),
        ("openshift-adp", "dpa-1")
    );
    let found = config(&location, &file("[default]\naws_access_key_id=a\naws_secret_access_key=b\n"));
    let shown: Vec<_> =
        found.parameters.keys().map(|key| (key, found.parameters.get(key).unwrap())).collect();
    assert_eq!(
        shown,
        [
            ("accesskey", "a"),
            ("bucket", "0123"),
            ("cabundle", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"),
            ("checksums", "required"),
            ("forcepathstyle", "true"),
            ("region", "minio"),
            ("regionendpoint", "http://minio.minio.svc:9000"),
            ("secretkey", "b"),
            ("skipverify", "false"),
        ]
    );
    let [warning] = &location.warnings()[..] else { panic!("{:?}", location.warnings()) };
    assert!(warning.to_string().starts_with("`spec.config.s3Url` uses http to another machine"), "{warning}");
}

#[test]
fn yaml_json_and_the_api_are_one() {
    let location = BackupStorageLocation::from_text(YAML).unwrap();
    assert_eq!(BackupStorageLocation::from_text(JSON).unwrap(), location);
    assert_eq!(serde_json::from_str::<BackupStorageLocation>(JSON).unwrap(), location);
    let compact = serde_json::from_str::<serde_json::Value>(JSON).unwrap().to_string();
    assert_eq!(BackupStorageLocation::from_text(&compact).unwrap(), location);
    assert_eq!(
        BackupStorageLocation::from_text(&format!("\u{feff}---\r\n{}", YAML.replace('\n', "\r\n"))).unwrap(),
        location
    );
}

#[test]
fn texts_stay_texts_and_nothing_is_required() {
    let text =
        "spec:\n  provider: aws\n  config: {a: true, b: 0123, c: 1e9, d: ~, e: '~'}\n  credential: null\n";
    let location = BackupStorageLocation::from_text(text).unwrap();
    let pairs: Vec<_> =
        location.spec.config.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
    assert_eq!(pairs, [("a", "true"), ("b", "0123"), ("c", "1e9"), ("e", "~")]);
    assert_eq!(location.spec.credential, None);
    let built = BackupStorageLocation::new("n", "x", "gcp", "b").with_prefix("p").with_credential("s", "k");
    let built = built.with_config("kmsKeyName", "k").with_access_mode("ReadOnly").with_ca_cert("c");
    let text = "metadata: {name: x, namespace: n}\nspec:\n  provider: gcp\n  objectStorage: {bucket: b, prefix: p, caCert: c}\n  \
                credential: {name: s, key: k}\n  config: {kmsKeyName: k}\n  accessMode: ReadOnly\n";
    assert_eq!(BackupStorageLocation::from_text(text).unwrap(), built);
    let nulls = r#"{"metadata": {}, "spec": {"config": null, "credential": null, "objectStorage": null}}"#;
    assert_eq!(
        serde_json::from_str::<BackupStorageLocation>(nulls).unwrap(),
        BackupStorageLocation::default()
    );
    assert_eq!(BackupStorageLocation::from_text(nulls).unwrap(), BackupStorageLocation::default());
}

#[test]
fn what_is_no_location() {
    for (text, expected) in [
        ("", "the text: is empty"),
        ("# nothing\n", "the text: is empty"),
        ("text", "line 1: has to be a BackupStorageLocation"),
        ("- a\n- b\n", "line 1: has to be a BackupStorageLocation"),
        ("[]", "line 1: has to be a BackupStorageLocation"),
        (
            "apiVersion: v1\nitems:\n- spec: {provider: aws}\nkind: List\n",
            "`kind` (line 4): is a list: pass one BackupStorageLocation, requested by its name",
        ),
        (
            r#"{"kind": "BackupStorageLocationList", "items": []}"#,
            "`kind` (line 1): is a list: pass one BackupStorageLocation, requested by its name",
        ),
        (
            "kind: VolumeSnapshotLocation\n",
            "`kind` (line 1): has to be BackupStorageLocation, not `VolumeSnapshotLocation`",
        ),
        ("kind: [a]\n", "`kind` (line 1): has to be BackupStorageLocation"),
        (
            "apiVersion: oadp.openshift.io/v1alpha1\nkind: BackupStorageLocation\n",
            "`apiVersion` (line 1): has to be in the group velero.io, not `oadp.openshift.io/v1alpha1`",
        ),
        ("spec: {}\n---\nspec: {}\n", "line 2: the file may contain only one document"),
        ("spec: {}\n---\n", "line 2: the file may contain only one document"),
        ("spec: {}\nspec: {}\n", "line 2: `spec` is set twice"),
        ("spec: a\n", "`spec` (line 1): has to be a section of keys and values"),
        ("spec:\n  provider: [a]\n", "`spec.provider` (line 2): has to be a single value"),
        (
            "spec:\n  config: a\n  credential: b\n  objectStorage:\n    bucket: {}\nmetadata: 7\n",
            "4 mistakes: `spec.config` (line 2): has to be a section of keys and values; \
             `spec.credential` (line 3): has to be a section of keys and values; \
             `spec.objectStorage.bucket` (line 5): has to be a single value; \
             `metadata` (line 6): has to be a section of keys and values",
        ),
        ("spec:\n  config:\n    s3Url: {a: b}\n", "`spec.config.s3Url` (line 3): has to be a single value"),
    ] {
        assert_eq!(message(&BackupStorageLocation::from_text(text).unwrap_err()), expected, "{text}");
    }
    let long = format!("# {}", "x".repeat(1 << 20));
    let found = message(&BackupStorageLocation::from_text(&long).unwrap_err());
    assert_eq!(found, "the file is longer than 1048576 bytes");
    for text in ["spec: {", "{\"spec\": ", "a: b: c", "{} {}"] {
        let found = message(&BackupStorageLocation::from_text(text).unwrap_err());
        assert!(found.contains("invalid YAML") && found.starts_with("line "), "{found}");
    }
}

#[test]
fn providers() {
    let of = |name: &str| BackupStorageLocation::new("n", "x", name, "b").provider();
    for (name, provider, driver) in [
        ("aws", Provider::Aws, "s3"),
        ("velero.io/aws", Provider::Aws, "s3"),
        ("azure", Provider::Azure, "azure"),
        ("velero.io/azure", Provider::Azure, "azure"),
        ("gcp", Provider::Gcp, "gcs"),
        ("velero.io/gcp", Provider::Gcp, "gcs"),
    ] {
        assert_eq!(of(name).unwrap(), provider);
        assert_eq!(provider.driver(), driver);
        assert!(name.ends_with(provider.as_str()));
    }
    let none = "; use aws, azure or gcp";
    for (name, expected) in [
        ("dell", format!("unsupported provider `dell`{none}")),
        ("velero.io/dell", format!("unsupported provider `velero.io/dell`{none}")),
        ("asw", "unsupported provider `asw`, did you mean `aws`?".to_owned()),
        ("AWS", "unsupported provider `AWS`, did you mean `aws`?".to_owned()),
        ("velero.io/azur", "unsupported provider `velero.io/azur`, did you mean `azure`?".to_owned()),
        ("gcs", "unsupported provider `gcs`, did you mean `gcp`?".to_owned()),
        ("example.com/aws", format!("unsupported provider `example.com/aws`{none}")),
        ("", "required, but not given".to_owned()),
    ] {
        let location = BackupStorageLocation::new("n", "x", name, "b");
        let expected = format!("`spec.provider`: {expected}");
        assert_eq!(message(&location.provider().unwrap_err()), expected);
        assert_eq!(wrong(&location, &LocationCredentials::none()), expected);
        assert_eq!(message(&location.credential_secret().unwrap_err()), expected);
        assert_eq!(message(&location.registry_secret_name().unwrap_err()), expected);
        assert_eq!(message(&location.velero_credentials_path(Path::new("/")).unwrap_err()), expected);
    }
}

#[test]
fn secrets_and_files() {
    for (location, usual, registry) in [
        (aws(), "cloud-credentials", Some("oadp-x-aws-registry-secret")),
        (azure(), "cloud-credentials-azure", Some("oadp-x-azure-registry-secret")),
        (gcp(), "cloud-credentials-gcp", None),
    ] {
        assert_eq!(location.registry_secret_name().unwrap().as_deref(), registry);
        let secret = |location: &BackupStorageLocation| {
            let secret = location.credential_secret().unwrap();
            let path = location.velero_credentials_path(Path::new(DEFAULT_CREDENTIALS_DIRECTORY)).unwrap();
            assert_eq!(path, Path::new(&format!("/tmp/credentials/velero/{}-{}", secret.name, secret.key)));
            (secret.name, secret.key)
        };
        let pair = |name: &str, key: &str| (name.to_owned(), key.to_owned());
        assert_eq!(secret(&location), pair(usual, "cloud"));
        assert_eq!(secret(&location.clone().with_credential("mine", "")), pair("mine", "cloud"));
        assert_eq!(secret(&location.clone().with_credential("", "key")), pair(usual, "key"));
        assert_eq!(secret(&location.clone().with_credential("", "")), pair(usual, "cloud"));
        assert_eq!(secret(&location.with_credential("mine", "key")), pair("mine", "key"));
    }
}

#[test]
fn names_that_lead_elsewhere() {
    let path = |namespace: &str, name: &str, key: &str| {
        let location = BackupStorageLocation::new(namespace, "x", "aws", "b").with_credential(name, key);
        location.velero_credentials_path(Path::new("/c")).map_err(|error| message(&error))
    };
    assert_eq!(path("n", "a", "b").unwrap(), Path::new("/c/n/a-b"));
    let no_name = "has to be a name, not a path";
    for (namespace, name, key, expected) in [
        ("", "a", "b", "`metadata.namespace`: required, but not given".to_owned()),
        ("..", "a", "b", format!("`metadata.namespace`: {no_name}")),
        ("/etc", "a", "b", format!("`metadata.namespace`: {no_name}")),
        ("n", "../a", "b", format!("`spec.credential.name`: {no_name}")),
        ("n", "a", "/../../b", format!("`spec.credential.key`: {no_name}")),
        ("n", "a", "b\0", format!("`spec.credential.key`: {no_name}")),
    ] {
        assert_eq!(path(namespace, name, key).unwrap_err(), expected);
    }
    let nameless = BackupStorageLocation::new("n", "", "aws", "b");
    assert_eq!(
        message(&nameless.registry_secret_name().unwrap_err()),
        "`metadata.name`: required, but not given"
    );
}

fn texts(location: &BackupStorageLocation) -> Vec<String> {
    location.warnings().iter().map(ToString::to_string).collect()
}

#[test]
fn warnings() {
    let invalid = |what: &str, found: &str| {
        format!(
            "`spec.objectStorage.prefix` {what}: Velero will report the location as unavailable once it has images \
             (\"Backup store contains invalid top-level directories: [{found}]\")"
        )
    };
    for (prefix, expected) in [
        ("", Some(invalid("is empty", "docker"))),
        ("/", Some(invalid("is empty", "docker"))),
        ("docker", Some(invalid("is above the directory of the images", "registry"))),
        ("/docker/registry/", Some(invalid("is above the directory of the images", "v2"))),
        ("docker/registry/v2", Some(invalid("is the directory of the images", "blobs repositories"))),
        (
            "docker/registry/v2/blobs",
            Some(
                "`spec.objectStorage.prefix` is inside the directory of the images: what Velero writes there \
                 damages the registry"
                    .to_owned(),
            ),
        ),
        ("docker/other", None),
        ("dock", None),
        ("velero", None),
    ] {
        assert_eq!(texts(&gcp().with_prefix(prefix)), expected.into_iter().collect::<Vec<_>>(), "{prefix}");
    }
    let location = aws()
        .with_access_mode("ReadOnly")
        .with_config("insecureSkipTLSVerify", "T")
        .with_config("s3ForcePathStyle", "true");
    assert_eq!(
        texts(&location),
        [
            "`spec.accessMode` is ReadOnly: images can be restored, but not backed up",
            "`spec.config.insecureSkipTLSVerify` is true: any certificate is accepted, so others can read \
             and change what is stored; use `caCert` instead",
            "`spec.config.region` is not set: oadp-operator refuses `s3ForcePathStyle` without it",
        ]
    );
    assert_eq!(aws().with_config("s3ForcePathStyle", "true").with_config("region", "r").warnings(), []);
    let kinds: Vec<_> = location.warnings().iter().map(|warning| warning.kind).collect();
    assert_eq!(kinds, [WarningKind::ReadOnly, WarningKind::AnyCertificate, WarningKind::NoRegion]);
}
