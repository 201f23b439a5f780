//! No secret is ever in a message or in `Debug`.

use super::*;

const CANARY: &str = "hunter2";

/// Forms of credentials, whole ones, each with the canary as every secret.
fn files() -> Vec<String> {
    vec![
        format!(
            "[default]\naws_access_key_id={CANARY}\naws_secret_access_key={CANARY}\naws_session_token={CANARY}\n"
        ),
        format!(
            "[default]\nrole_arn=arn\nexternal_id={CANARY}\nweb_identity_token_file=/t\nregion={CANARY}\n"
        ),
        format!("[p]\r\nrole_arn=arn\r\nexternal_id={CANARY}\r\ncredential_process=/bin/x {CANARY}\r\n"),
        format!(
            "AZURE_TENANT_ID=t\nAZURE_CLIENT_ID=c\nAZURE_CLIENT_SECRET={CANARY}\nAZURE_STORAGE_ACCOUNT_ACCESS_KEY={CANARY}\nMINE={CANARY}\n"
        ),
        format!("AZURE_CLIENT_SECRET={CANARY}\nAZURE_PASSWORD={CANARY}\nAZURE_CLOUD_NAME={CANARY}\n"),
        format!("AZURE_CLIENT_CERTIFICATE={CANARY}\n"),
        format!(
            r#"{{"type": "service_account", "private_key": "{CANARY}", "x": ["{CANARY}", {{"{CANARY}": "{CANARY}"}}]}}"#
        ),
        format!("{{\n  \"private_key\": \"{CANARY}\",\n  \"type\": \"{CANARY}\"\n}}\n"),
        format!("{CANARY}\n{CANARY}\n\"{CANARY}\": {CANARY}\n"),
        format!("{CANARY} = {CANARY}\n"),
    ]
}

/// Files that were cut or changed on their way.
fn damaged(file: &str) -> Vec<String> {
    let cuts = (0..=file.len()).filter(|at| file.is_char_boundary(*at)).map(|at| file[..at].to_owned());
    let tails = (0..file.len()).filter(|at| file.is_char_boundary(*at)).map(|at| file[at..].to_owned());
    let others = [
        file.replace('=', ""),
        file.replace('=', ":"),
        file.replace('\n', " "),
        file.replace('"', ""),
        file.replace(']', ""),
        file.replace('[', ""),
        file.replace('{', "["),
        file.replace(CANARY, &format!("\"{CANARY}")),
        file.replace(CANARY, ""),
        format!("{file}{file}"),
        format!("\0{file}\0"),
        file.chars().flat_map(|c| [c, '\0']).collect(),
    ];
    cuts.chain(tails).chain(others).collect()
}

fn locations() -> Vec<BackupStorageLocation> {
    let mut locations = Vec::new();
    for location in [aws(), azure(), gcp()] {
        locations.push(location.clone());
        locations.push(location.clone().with_config("profile", "p").with_config("enableSharedConfig", "1"));
        locations.push(location.clone().with_config("storageAccountKeyEnvVar", "MINE"));
        locations.push(location.with_config("useAAD", "true"));
    }
    // Keys of another provider are mistakes, and would hide what the credentials are.
    let plain = |location: &BackupStorageLocation, keys: &[&str]| {
        location.spec.config.keys().all(|key| keys.contains(&key.as_str()))
    };
    locations.retain(|location| match location.provider().unwrap() {
        Provider::Aws => plain(location, &["profile", "enableSharedConfig"]),
        Provider::Azure => plain(location, &["storageAccount", "storageAccountKeyEnvVar", "useAAD"]),
        Provider::Gcp => plain(location, &[]),
    });
    locations
}

#[test]
fn damaged_files_tell_nothing() {
    let (mut read, mut refused) = (0, 0);
    for contents in files().iter().flat_map(|file| damaged(file)) {
        let allowed = file(&contents).with_token_files(["/t"]).with_ambient();
        for credentials in [file(&contents), file(&contents).with_path("/c"), allowed] {
            assert!(!format!("{credentials:?} {credentials:#?}").contains(CANARY));
            for location in locations() {
                match Config::from_backup_location(&location, &credentials) {
                    Ok(found) => {
                        read += 1;
                        assert!(!format!("{found:?} {found:#?}").contains(CANARY), "{contents:?}");
                        let storage = found.storage();
                        assert!(!format!("{storage:?}").contains(CANARY), "{contents:?}");
                    }
                    Err(error) => {
                        refused += 1;
                        let text = format!("{error} {error:?} {error:#?}");
                        assert!(!text.contains(CANARY), "{contents:?}: {text}");
                    }
                }
            }
        }
    }
    assert!(read > 400 && refused > 10_000, "{read} {refused}");
}

#[test]
fn the_secret_of_oadp_tells_nothing() {
    let keys = [
        "access_key",
        "secret_key",
        "storage_account_key",
        "client_secret_key",
        "client_id_key",
        "tenant_id_key",
    ];
    let (mut read, mut refused) = (0, 0);
    for given in 0..1 << keys.len() {
        let text = |index: usize| if given & (1 << index) == 0 { "" } else { CANARY };
        let pairs: Vec<_> = keys.iter().enumerate().map(|(index, key)| (*key, text(index))).collect();
        for count in [keys.len(), 3] {
            let credentials = registry(&pairs[..count]);
            assert!(!format!("{credentials:?}").contains(CANARY));
            for location in locations() {
                let text = match Config::from_backup_location(&location, &credentials) {
                    Ok(found) => {
                        read += 1;
                        format!("{found:?}")
                    }
                    Err(error) => {
                        refused += 1;
                        format!("{error} {error:?}")
                    }
                };
                assert!(!text.contains(CANARY), "{text}");
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} {refused}");
}

#[test]
fn a_secret_in_the_location_tells_nothing() {
    let url = format!("https://user:{CANARY}@minio:9000");
    let long = format!("{CANARY}-{CANARY}");
    for location in [
        aws().with_config("s3Url", &url),
        aws().with_config("publicUrl", &url),
        aws().with_config("s3ForcePathStyle", &long),
        aws().with_config("serverSideEncryption", &long),
        aws().with_config("checksumAlgorithm", &long),
        aws().with_config("signatureVersion", &long),
        aws().with_config("s3Uri", &url),
        azure().with_config("storageAccountURI", &url),
        azure().with_config("useAAD", &long),
        gcp().with_config("storeEndpoint", &url),
        gcp().with_config("universeDomain", &long),
        gcp().with_ca_cert(&long),
        gcp().with_access_mode(&long),
    ] {
        let shown = match Config::from_backup_location(&location, &LocationCredentials::none()) {
            Ok(found) => format!("{found:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains(CANARY), "{shown}");
        let shown = format!("{:?}", location.spec.config.keys());
        assert!(!shown.contains(CANARY));
        assert!(!format!("{:?}", location.warnings()).contains(CANARY));
    }
    let location = aws().with_config("s3Url", &url);
    assert!(!format!("{location:?} {location:#?}").contains(CANARY));
    assert!(format!("{location:?}").contains(r#"config: {"s3Url": …}"#));
}

#[test]
fn texts_that_are_no_location_tell_nothing() {
    let text = format!(
        "kind: BackupStorageLocation\nspec:\n  provider: aws\n  config:\n    s3Url: 'https://a:{CANARY}@b'\n    x: [{CANARY}]\n  objectStorage:\n    bucket: b\n    caCert: {CANARY}\n"
    );
    let (mut read, mut refused) = (0, 0);
    for damaged in damaged(&text) {
        match BackupStorageLocation::from_text(&damaged) {
            Ok(_) => read += 1,
            Err(error) => {
                refused += 1;
                let shown = format!("{error} {error:?}");
                // A key that is set twice is named; here it may be one that the damage made.
                if !shown.contains("is set twice") {
                    assert!(!shown.contains(CANARY), "{damaged:?}: {shown}");
                }
            }
        }
    }
    assert!(read > 50 && refused > 50, "{read} {refused}");
}
