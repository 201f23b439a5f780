//! Locations and what becomes of them.

mod aws;
mod azure;
mod files;
mod gcp;
mod resource;
mod secrets;

use plugin_registry_core::ErrorKind;

use super::*;

fn aws() -> BackupStorageLocation {
    BackupStorageLocation::new("velero", "x", "aws", "backup").with_prefix("p")
}

fn azure() -> BackupStorageLocation {
    let location = BackupStorageLocation::new("velero", "x", "velero.io/azure", "backup").with_prefix("p");
    location.with_config("storageAccount", "account")
}

fn gcp() -> BackupStorageLocation {
    BackupStorageLocation::new("velero", "x", "gcp", "backup").with_prefix("p")
}

fn file(contents: &str) -> LocationCredentials {
    LocationCredentials::from_contents(contents)
}

fn registry(pairs: &[(&str, &str)]) -> LocationCredentials {
    let pairs = pairs.iter().map(|(key, text)| (*key, plugin_registry_core::Secret::new(*text)));
    LocationCredentials::none().with_registry_secret(pairs)
}

fn config(location: &BackupStorageLocation, credentials: &LocationCredentials) -> Config {
    Config::from_backup_location(location, credentials).unwrap()
}

/// The parameters as lines, without the bucket.
fn parameters(location: &BackupStorageLocation, credentials: &LocationCredentials) -> Vec<String> {
    let parameters = config(location, credentials).parameters;
    let keys = parameters.keys().filter(|key| !matches!(*key, "bucket" | "container" | "accountname"));
    keys.map(|key| format!("{key}={}", parameters.get(key).unwrap())).collect()
}

/// What is ignored, without the prefix.
fn ignored(location: &BackupStorageLocation, credentials: &LocationCredentials) -> Vec<String> {
    let place = format!("{}: ", location.place());
    let ignored = config(location, credentials).ignored;
    let ignored: Vec<String> = ignored.iter().map(|ignored| ignored.to_string()).collect();
    let ignored: Vec<_> = ignored.iter().map(|ignored| ignored.strip_prefix(&place).unwrap()).collect();
    assert_eq!(
        ignored[0],
        "spec.objectStorage.prefix is ignored: images are stored at the root of the bucket, as always"
    );
    ignored[1..].iter().map(ToString::to_string).collect()
}

/// What is wrong, without the words that are the same for all.
fn wrong(location: &BackupStorageLocation, credentials: &LocationCredentials) -> String {
    let error = Config::from_backup_location(location, credentials).unwrap_err();
    message(&error)
}

fn message(error: &plugin_registry_core::Error) -> String {
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let text = error.to_string();
    text.strip_prefix("invalid configuration: ").unwrap().to_owned()
}

#[test]
fn what_all_providers_have() {
    for (location, driver, bucket) in
        [(aws(), "s3", "bucket"), (azure(), "azure", "container"), (gcp(), "gcs", "bucket")]
    {
        let found = config(&location, &LocationCredentials::none());
        assert_eq!(found.driver, driver);
        assert_eq!(found.parameters.get(bucket), Some("backup"));
        assert_eq!(found.parameters.get("rootdirectory"), None);
        assert!(!found.delete && !found.read_only && found.redirect.is_none() && found.secret.is_none());
        assert_eq!(found.storage().driver, driver);
        let read_only = location.with_access_mode("ReadOnly");
        assert!(config(&read_only, &LocationCredentials::none()).read_only);
    }
}

/// A tenant's store gets no identity but the tenant's: without the Secret that it names, a location is not
/// opened.
#[test]
fn a_secret_that_is_not_passed_is_a_mistake() {
    let what = "names credentials of the location, but none are passed in: pass the content of the Secret \
                with `LocationCredentials::from_contents`, or allow the identity of the process with \
                `LocationCredentials::ambient`";
    let (none, ambient) = (LocationCredentials::none(), LocationCredentials::ambient());
    for location in [aws(), azure(), gcp()] {
        // A name that is empty is the usual one.
        for (name, key) in [("mine", "cloud"), ("", "")] {
            let named = location.clone().with_credential(name, key);
            assert_eq!(wrong(&named, &none), format!("`spec.credential`: {what}"));
            assert_eq!(parameters(&named, &ambient), parameters(&location, &none));
        }
    }
    assert_eq!(wrong(&aws().with_config("profile", "p"), &none), format!("`spec.config.profile`: {what}"));
    assert!(config(&aws().with_config("profile", "p"), &ambient).parameters.get("profile").is_none());
    // The passed credentials are used, whatever else is allowed.
    let keys = file("[default]\naws_access_key_id=a\naws_secret_access_key=b\n").with_ambient();
    assert_eq!(parameters(&aws().with_credential("mine", ""), &keys), ["accesskey=a", "secretkey=b"]);
    let of_registry = registry(&[("access_key", "a"), ("secret_key", "b")]);
    assert_eq!(parameters(&aws().with_credential("mine", ""), &of_registry), ["accesskey=a", "secretkey=b"]);
}

/// A location without a Secret belongs to a tenant too. Its endpoint gets the identity of the process only if
/// the host allows it, and never in clear text.
#[test]
fn an_endpoint_of_its_own_gets_no_identity_of_the_process() {
    let (none, ambient) = (LocationCredentials::none(), LocationCredentials::ambient());
    let refused = "names an endpoint to which the identity of the process is not sent: pass the content of \
                   the Secret with `LocationCredentials::from_contents`, or allow it with \
                   `LocationCredentials::ambient`";
    let in_clear = "uses http to another machine, and the identity of the process is never sent that way: \
                    pass the location's own credentials, or use https";
    for (location, key, own) in [
        (aws(), "s3Url", "https://s3.eu-west-1.amazonaws.com"),
        (gcp(), "storeEndpoint", "https://storage.googleapis.com"),
        (azure(), "storageAccountURI", "https://account.blob.core.windows.net"),
    ] {
        config(&location.clone().with_config(key, own), &none);
        let evil = location.clone().with_config(key, "http://evil.example");
        for credentials in [&none, &ambient] {
            assert_eq!(wrong(&evil, credentials), format!("`spec.config.{key}`: {in_clear}"));
        }
        // Of one that is only shown, or gets its keys from elsewhere, nothing is known.
        config(&evil, &LocationCredentials::external());
        if key == "storageAccountURI" {
            continue;
        }
        for url in ["https://evil.example", "http://127.0.0.1:1"] {
            let evil = location.clone().with_config(key, url);
            assert_eq!(wrong(&evil, &none), format!("`spec.config.{key}`: {refused}"));
            config(&evil, &ambient);
        }
    }
    let keys = file("[default]\naws_access_key_id=a\naws_secret_access_key=b\n");
    config(&aws().with_config("s3Url", "http://minio:9000"), &keys);
}

#[test]
fn buckets() {
    let none = LocationCredentials::none();
    let of = |bucket| BackupStorageLocation::new("velero", "x", "aws", bucket);
    for (bucket, expected) in [("/b/", "b"), ("arn:aws:s3:::a/b", "arn:aws:s3:::a/b")] {
        assert_eq!(config(&of(bucket), &none).parameters.get("bucket"), Some(expected));
    }
    for bucket in ["", "/"] {
        assert_eq!(wrong(&of(bucket), &none), "`spec.objectStorage.bucket`: required, but not given");
    }
    assert_eq!(
        wrong(&of("a/b"), &none),
        "`spec.objectStorage.bucket`: must not contain `/`; put a path within the bucket into `prefix`"
    );
    assert_eq!(
        wrong(&aws().with_access_mode("Any"), &none),
        "`spec.accessMode`: has to be ReadOnly or ReadWrite"
    );
}

#[test]
fn certificates() {
    const PEM: &str = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    const BASE64: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1BPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=";
    let none = LocationCredentials::none();
    let (start, end) = BASE64.split_at(40);
    for location in [aws(), azure(), gcp()] {
        for text in [BASE64.to_owned(), format!("{start}\n  {end}\n")] {
            let found = config(&location.clone().with_ca_cert(text), &none);
            assert_eq!(found.parameters.get("cabundle"), Some(PEM));
        }
        assert_eq!(config(&location.with_ca_cert(""), &none).parameters.get("cabundle"), None);
    }
    for text in ["%%%", PEM, "aGVsbG8=", "/w=="] {
        let expected = "`spec.objectStorage.caCert`: has to be PEM certificates encoded as base64";
        assert_eq!(wrong(&aws().with_ca_cert(text), &none), expected);
    }

    let mut referring = aws();
    referring.spec.object_storage.ca_cert_ref =
        Some(SecretKeyRef { name: "ca".to_owned(), key: "pem".to_owned() });
    assert_eq!(
        wrong(&referring, &none),
        "`spec.objectStorage.caCertRef`: pass in the certificates it refers to, with \
         `LocationCredentials::with_ca_bundle`"
    );
    let found = config(&referring, &none.clone().with_ca_bundle(PEM));
    assert_eq!(found.parameters.get("cabundle"), Some(PEM));
    assert_eq!(
        wrong(&referring, &none.clone().with_ca_bundle("x")),
        "CA bundle: does not contain a PEM certificate"
    );
    assert_eq!(
        wrong(&referring.with_ca_cert(BASE64), &none),
        "`spec.objectStorage.caCert`: cannot be given together with `spec.objectStorage.caCertRef`"
    );
}

#[test]
fn all_mistakes_at_once() {
    let location = BackupStorageLocation::new("velero", "x", "aws", "")
        .with_config("s3url", "http://minio:9000")
        .with_config("s3ForcePathStyle", "yes")
        .with_config("insecureSkipTLSVerify", "a-long-text-that-may-be-a-secret")
        .with_config("colour", "red")
        .with_config("signatureVersion", "1");
    assert_eq!(
        wrong(&location, &file("[default]\naws_access_key_id=\n")),
        "8 mistakes: `spec.objectStorage.bucket`: required, but not given; `spec.config.s3ForcePathStyle`: \
         has to be true or false; `spec.config.insecureSkipTLSVerify`: has to be true or false; \
         `spec.config.signatureVersion`: has to be 4: no other signature version is supported; credentials \
         file, line 2: `aws_access_key_id` is empty; credentials file, profile `default` (line 1): has no \
         `aws_secret_access_key`; `spec.config.colour`: unknown; `spec.config.s3url`: unknown, did you mean \
         `spec.config.s3Url`?"
    );
}

#[test]
fn what_velero_adds_is_no_mistake() {
    let location = aws().with_config("bucket", "b").with_config("prefix", "p").with_config("caCert", "c");
    let location = location.with_config("credentialsFile", "/tmp/credentials/velero/a-b");
    let location = location.with_config("resticRepoPrefix", "s3:backup");
    assert_eq!(
        ignored(&location, &LocationCredentials::none()),
        [
            "spec.config.bucket is ignored: Velero takes it from `spec.objectStorage`",
            "spec.config.prefix is ignored: Velero takes it from `spec.objectStorage`",
            "spec.config.caCert is ignored: Velero takes it from `spec.objectStorage`",
            "spec.config.credentialsFile is ignored: credentials are passed in separately",
            "spec.config.resticRepoPrefix is ignored: it is where restic stores volumes",
        ]
    );
    assert_eq!(config(&location, &LocationCredentials::none()).parameters.get("bucket"), Some("backup"));
}
