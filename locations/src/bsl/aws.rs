//! Provider aws: parameters of the driver `s3`.

use plugin_registry_core::{
    Secret,
    profiles::{DEFAULT, Profile, find, has_no_identity},
};

use super::{
    credentials::LocationCredentials,
    provider::Provider,
    settings::{Settings, path},
};

/// The checksum algorithms of AWS. Any of them turns checksums on, and the driver's is the first.
const CHECKSUMS: &[&str] = &["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"];
/// The key that S3 uses for `aws:kms` without a key.
const AWS_KEY: &str = "alias/aws/s3";

const CUSTOMER_KEY: &str = "images are stored without the customer's key, as always";

pub(super) fn read(settings: &mut Settings<'_>, credentials: &LocationCredentials) {
    settings.pass("region", "region");
    settings.pass("s3Url", "regionendpoint");
    settings.pass_flag("s3ForcePathStyle", "forcepathstyle");
    settings.pass_flag("insecureSkipTLSVerify", "skipverify");
    settings.pass("publicUrl", "redirectendpoint");
    encryption(settings);
    checksums(settings);
    if settings.config("signatureVersion").is_some_and(|version| version != "4") {
        settings.mistake("signatureVersion", "has to be 4: no other signature version is supported");
    }
    settings.ignore("tagging", "images have no S3 tags");
    settings.ignore("customerKeyEncryptionFile", CUSTOMER_KEY);
    settings.ignore("customerKeyEncryptionSecret", CUSTOMER_KEY);
    keys(settings, credentials);
}

fn encryption(settings: &mut Settings<'_>) {
    const KEY: &str = "kmsKeyId";
    const ALGORITHM: &str = "serverSideEncryption";
    let algorithm = settings.config(ALGORITHM);
    let key = settings.config(KEY);
    match (algorithm, key) {
        (None | Some("AES256" | "aws:kms"), Some(key)) => {
            settings.set("encrypt", "true", path(KEY));
            settings.set("keyid", key, path(KEY));
        }
        (Some("AES256"), None) => settings.set("encrypt", "true", path(ALGORITHM)),
        (Some("aws:kms"), None) if settings.config("s3Url").is_some() => {
            let what = "aws:kms needs `spec.config.kmsKeyId` if `spec.config.s3Url` is set";
            settings.mistake(ALGORITHM, what);
        }
        (Some("aws:kms"), None) => {
            settings.set("encrypt", "true", path(ALGORITHM));
            settings.set("keyid", AWS_KEY, path(ALGORITHM));
        }
        (Some(_), _) => settings.mistake(ALGORITHM, "has to be AES256 or aws:kms"),
        (None, None) => {}
    }
}

fn checksums(settings: &mut Settings<'_>) {
    const KEY: &str = "checksumAlgorithm";
    match settings.config_or_empty(KEY) {
        None => {}
        Some("") => settings.set("checksums", "required", path(KEY)),
        Some(algorithm) if CHECKSUMS.contains(&algorithm) => {
            settings.set("checksums", "supported", path(KEY));
            if Some(&algorithm) != CHECKSUMS.first() {
                settings.note(format!("{} {algorithm}", path(KEY)), "the checksum of images is CRC32");
            }
        }
        Some(_) => {
            settings.mistake(KEY, format_args!("has to be empty or one of {}", CHECKSUMS.join(", ")));
        }
    }
}

fn keys(settings: &mut Settings<'_>, credentials: &LocationCredentials) {
    let name = settings.config("profile").unwrap_or(DEFAULT);
    // Whether it is shared has no effect: a profile is read in the same way wherever it is.
    settings.flag("enableSharedConfig");
    match (&credentials.contents, &credentials.path) {
        (Some(contents), path) => {
            if path.is_some() {
                settings.note("path of the credentials file", "the content passed with it is used instead");
            }
            of_contents(settings, contents.expose(), name, credentials);
        }
        (None, Some(file)) => {
            settings.set_path("credentialsconfigpath", file);
            settings.pass("profile", "profile");
            settings.token_files(credentials);
        }
        (None, None) if credentials.registry.is_some() => registry(settings, credentials),
        (None, None) => {
            settings.ambient(Provider::Aws, credentials);
            const REASON: &str = "the identity of the process is used";
            settings.ignore("profile", REASON);
            settings.ignore("enableSharedConfig", REASON);
        }
    }
}

fn of_contents(settings: &mut Settings<'_>, contents: &str, name: &str, credentials: &LocationCredentials) {
    match find(contents, name, &credentials.token_files) {
        Ok(Profile::AccessKeys(keys)) => {
            let pairs = [
                ("accesskey", Some(keys.access)),
                ("secretkey", Some(keys.secret)),
                ("sessiontoken", keys.token),
            ];
            for (parameter, value) in
                pairs.into_iter().filter_map(|(parameter, value)| Some((parameter, value?)))
            {
                settings.set(parameter, value.text, format!("credentials file, line {}", value.line));
            }
        }
        // The driver reads the same content again, each time it asks for the role.
        Ok(_) => {
            settings.set("credentials", contents, "credentials file");
            settings.pass("profile", "profile");
            settings.token_files(credentials);
        }
        // As in Velero, a profile without an identity leaves it to the process.
        Err(_) if credentials.ambient && has_no_identity(contents, name) => {
            settings.note("credentials file", "it names no identity, so the identity of the process is used");
            settings.ambient(Provider::Aws, credentials);
        }
        Err(mistakes) => {
            for mistake in mistakes {
                let place = mistake.place().map(|place| format!(", {place}")).unwrap_or_default();
                settings.mistakes.add(format_args!("credentials file{place}"), mistake.what());
            }
        }
    }
}

/// Reads OADP's Secret. The operator made it from the location's profile.
fn registry(settings: &mut Settings<'_>, credentials: &LocationCredentials) {
    let Some(pairs) = &credentials.registry else { return };
    let secret = settings.registry_secret();
    for (key, parameter) in [("access_key", "accesskey"), ("secret_key", "secretkey")] {
        let place = format!("{secret}, key {key}");
        match pairs.get(key).map(Secret::expose) {
            None => settings.mistakes.add(place, "is missing"),
            Some("") => settings.mistakes.add(place, "is empty"),
            Some(text) => settings.set(parameter, text, place),
        }
    }
}
