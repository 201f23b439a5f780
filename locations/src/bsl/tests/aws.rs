//! Provider aws.

use super::*;

const KEYS: &str = "[default]\naws_access_key_id=id\naws_secret_access_key=key\n";

#[test]
fn settings_become_parameters() {
    let (none, ambient) = (LocationCredentials::none(), LocationCredentials::ambient());
    for (key, value, expected) in [
        ("region", "jp-tok", &["region=jp-tok"][..]),
        ("region", "", &[]),
        ("s3Url", "https://minio:9000", &["regionendpoint=https://minio:9000"]),
        ("s3ForcePathStyle", "true", &["forcepathstyle=true"]),
        ("s3ForcePathStyle", "F", &["forcepathstyle=false"]),
        ("s3ForcePathStyle", "", &[]),
        ("insecureSkipTLSVerify", "1", &["skipverify=true"]),
        ("publicUrl", "https://minio.example", &["redirectendpoint=https://minio.example"]),
        ("serverSideEncryption", "AES256", &["encrypt=true"]),
        ("serverSideEncryption", "aws:kms", &["encrypt=true", "keyid=alias/aws/s3"]),
        ("kmsKeyId", "alias/mine", &["encrypt=true", "keyid=alias/mine"]),
        ("checksumAlgorithm", "", &["checksums=required"]),
        ("checksumAlgorithm", "CRC32", &["checksums=supported"]),
        ("checksumAlgorithm", "SHA256", &["checksums=supported"]),
        ("signatureVersion", "4", &[]),
        ("signatureVersion", "", &[]),
        ("profile", "", &[]),
        ("enableSharedConfig", "true", &[]),
    ] {
        assert_eq!(parameters(&aws().with_config(key, value), &ambient), expected, "{key} {value}");
    }
    assert_eq!(parameters(&aws(), &none), [""; 0]);
    let both = aws().with_config("serverSideEncryption", "AES256").with_config("kmsKeyId", "k");
    assert_eq!(parameters(&both, &none), ["encrypt=true", "keyid=k"]);
}

#[test]
fn wrong_settings() {
    let none = LocationCredentials::none();
    for (key, value, expected) in [
        ("s3ForcePathStyle", "ja", "has to be true or false"),
        ("insecureSkipTLSVerify", "tRUE", "has to be true or false"),
        ("enableSharedConfig", "2", "has to be true or false"),
        ("serverSideEncryption", "aes256", "has to be AES256 or aws:kms"),
        ("checksumAlgorithm", "MD5", "has to be empty or one of CRC32, CRC32C, SHA1, SHA256, CRC64NVME"),
        ("signatureVersion", "1", "has to be 4: no other signature version is supported"),
        ("regoin", "x", "unknown, did you mean `spec.config.region`?"),
        ("storageAccount", "x", "unknown"),
    ] {
        let found = wrong(&aws().with_config(key, value), &none);
        assert_eq!(found, format!("`spec.config.{key}`: {expected}"));
    }
    let elsewhere =
        aws().with_config("serverSideEncryption", "aws:kms").with_config("s3Url", "https://minio");
    assert_eq!(
        wrong(&elsewhere, &LocationCredentials::ambient()),
        "`spec.config.serverSideEncryption`: aws:kms needs `spec.config.kmsKeyId` if `spec.config.s3Url` is \
         set"
    );
}

#[test]
fn what_velero_has_and_images_have_not() {
    let location = aws()
        .with_config("tagging", "a=b")
        .with_config("customerKeyEncryptionFile", "/f")
        .with_config("customerKeyEncryptionSecret", "s/k")
        .with_config("checksumAlgorithm", "SHA1")
        .with_config("profile", "p");
    assert_eq!(
        ignored(&location, &LocationCredentials::ambient()),
        [
            "spec.config.checksumAlgorithm SHA1 is ignored: the checksum of images is CRC32",
            "spec.config.tagging is ignored: images have no S3 tags",
            "spec.config.customerKeyEncryptionFile is ignored: images are stored without the customer's key, \
             as always",
            "spec.config.customerKeyEncryptionSecret is ignored: images are stored without the customer's \
             key, as always",
            "spec.config.profile is ignored: the identity of the process is used",
        ]
    );
    assert_eq!(ignored(&aws().with_config("profile", "default"), &file(KEYS)), [""; 0]);
}

#[test]
fn parameters_know_where_they_come_from() {
    let found = config(&aws().with_config("s3Url", "::"), &file(KEYS)).parameters;
    let mut reader = found.reader();
    for key in ["regionendpoint", "secretkey", "bucket", "cabundle"] {
        reader.mistake(key, "x");
    }
    for key in ["regionendpoint", "accesskey", "secretkey", "bucket"] {
        reader.is_given(key);
    }
    assert_eq!(
        message(&reader.finish().unwrap_err()),
        "4 mistakes: `regionendpoint` (spec.config.s3Url): x; `secretkey` (credentials file, line 3): x; \
         `bucket` (spec.objectStorage.bucket): x; `cabundle` (BackupStorageLocation velero/x): x"
    );
}

#[test]
fn which_credentials_are_used() {
    let role = "[default]\nrole_arn=arn:aws:iam::1:role/r\nweb_identity_token_file=/token\n";
    let shared = aws().with_config("enableSharedConfig", "true");
    let keys = ["accesskey=id", "secretkey=key"];
    let path = ["credentialsconfigpath=/c"];
    let of_role = format!("credentials={role}");
    let of_registry = registry(&[("access_key", "r"), ("secret_key", "s")]);
    let none: [&str; 0] = [];
    for (location, credentials, expected) in [
        (aws(), file(KEYS), &keys[..]),
        // The checked content is the one that is used.
        (aws(), file(KEYS).with_path("/c"), &keys),
        (shared.clone(), file(KEYS), &keys),
        (shared.clone(), file(KEYS).with_path("/c"), &keys),
        (
            shared.with_config("profile", "default"),
            LocationCredentials::none().with_path("/c"),
            &["credentialsconfigpath=/c", "profile=default"],
        ),
        (aws(), LocationCredentials::none().with_path("/c"), &path),
        (
            aws(),
            LocationCredentials::none().with_path("/c").with_token_files(["/token", "/other"]),
            &["credentialsconfigpath=/c", "tokenfiles=/token,/other"],
        ),
        (aws(), file(role).with_token_files(["/token"]), &[&of_role, "tokenfiles=/token"]),
        (
            aws().with_config("profile", "default"),
            file(role).with_token_files(["/token"]).with_path("/c"),
            &[&of_role, "profile=default", "tokenfiles=/token"],
        ),
        (aws(), of_registry.clone(), &["accesskey=r", "secretkey=s"]),
        (aws().with_config("profile", "p"), of_registry.clone(), &["accesskey=r", "secretkey=s"]),
        (aws(), of_registry.with_path("/c"), &path),
        (aws(), LocationCredentials { contents: file(KEYS).contents, ..registry(&[]) }, &keys),
        (aws(), LocationCredentials::none(), &none),
        (aws().with_config("profile", "p"), LocationCredentials::ambient(), &none),
    ] {
        assert_eq!(parameters(&location, &credentials), expected, "{credentials:?}");
    }
    assert_eq!(
        ignored(&aws(), &file(KEYS).with_path("/c")),
        ["path of the credentials file is ignored: the content passed with it is used instead"]
    );
    assert_eq!(
        wrong(&aws(), &file(role)),
        "credentials file, line 3: `web_identity_token_file` names `/token`, which the host has not allowed: \
         allow it with `tokenfiles`, `LocationCredentials::with_token_files` or `--token-file`"
    );
    assert_eq!(
        wrong(&aws(), &LocationCredentials::none().with_path("")),
        "path of the credentials file: is empty"
    );
}

/// With the host's word a profile without an identity leaves it to the process, as for Velero.
#[test]
fn a_profile_without_an_identity() {
    let text = "[default]\nregion=eu-west-1\n";
    assert!(
        wrong(&aws(), &file(text))
            .starts_with("2 mistakes: credentials file, profile `default` (line 1): has no")
    );
    for contents in [text, "[default]\n", "[profile default]\ns3 =\n  addressing_style = path\n"] {
        let location = aws().with_credential("mine", "cloud").with_config("profile", "default");
        assert_eq!(parameters(&location, &file(contents).with_ambient()), [""; 0], "{contents}");
        assert_eq!(
            ignored(&location, &file(contents).with_ambient()),
            ["credentials file is ignored: it names no identity, so the identity of the process is used"]
        );
        let evil = location.with_config("s3Url", "http://evil.example");
        assert!(wrong(&evil, &file(contents).with_ambient()).contains("is never sent"));
    }
    for contents in ["", "[other]\n", "[default]\naws_access_key_id=a\n", "[default]\naws_acess_key_id=a\n"] {
        wrong(&aws(), &file(contents).with_ambient());
    }
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_text() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let path = std::path::Path::new(OsStr::from_bytes(b"/\xff"));
    let found = wrong(&aws(), &LocationCredentials::none().with_path(path));
    assert_eq!(found, "path of the credentials file: has to be UTF-8");
}

#[test]
fn the_secret_of_oadp() {
    for text in ["0123456", "1e9", "a: b", "ab #c", "@abc", "'x'", "~", "null", "yes", "0x10", " x\n"] {
        let credentials = registry(&[("access_key", text), ("secret_key", text), ("other", "")]);
        let found = config(&aws(), &credentials).parameters;
        assert_eq!((found.get("accesskey"), found.get("secretkey")), (Some(text), Some(text)));
    }
    for (pairs, expected) in [
        (
            &[("access_key", ""), ("secret_key", "x")][..],
            "Secret oadp-x-aws-registry-secret, key access_key: is empty",
        ),
        (&[("access_key", "x")], "Secret oadp-x-aws-registry-secret, key secret_key: is missing"),
        (
            &[("secret_key", "")],
            "2 mistakes: Secret oadp-x-aws-registry-secret, key access_key: is missing; \
             Secret oadp-x-aws-registry-secret, key secret_key: is empty",
        ),
    ] {
        assert_eq!(wrong(&aws(), &registry(pairs)), expected);
    }
    let nameless = BackupStorageLocation::new("velero", "", "aws", "b");
    let found = wrong(&nameless, &registry(&[("access_key", "x")]));
    assert_eq!(found, "registry Secret, key secret_key: is missing");
}
