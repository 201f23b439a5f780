//! Provider aws: parameters of the driver `s3`.

mod profile;

use plugin_registry_core::Secret;

use super::{
    credentials::LocationCredentials,
    settings::{Settings, path, shown},
};
use profile::Profile;

/// The algorithms of AWS; any of them asks for checksums, and the driver's is the first.
const CHECKSUMS: &[&str] = &["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"];
/// The key that S3 takes for `aws:kms` without a key.
const AWS_KEY: &str = "alias/aws/s3";
/// The profile where none is named.
const DEFAULT_PROFILE: &str = "default";

const CUSTOMER_KEY: &str = "images are stored without the customer's key, as they always were";

pub(super) fn read(settings: &mut Settings<'_>, credentials: &LocationCredentials) {
    settings.pass("region", "region");
    settings.pass("s3Url", "regionendpoint");
    settings.pass_flag("s3ForcePathStyle", "forcepathstyle");
    settings.pass_flag("insecureSkipTLSVerify", "skipverify");
    settings.pass("publicUrl", "redirectendpoint");
    encryption(settings);
    checksums(settings);
    if settings.config("signatureVersion").is_some_and(|version| version != "4") {
        settings.mistake("signatureVersion", "has to be 4: there is no other signature");
    }
    settings.ignore("tagging", "images have no tags of S3");
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
            let what = "aws:kms needs `spec.config.kmsKeyId` where `spec.config.s3Url` is given";
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
    let profile = settings.config("profile");
    let is_shared = settings.flag("enableSharedConfig").unwrap_or_default();
    let name = profile.unwrap_or(DEFAULT_PROFILE);
    let path = credentials.path.as_deref();
    let found = credentials.contents.as_ref().map(|contents| {
        let found = profile::find(contents.expose(), name, &mut settings.mistakes);
        // What is wrong is among the mistakes already.
        found.unwrap_or(Profile::Wrong)
    });
    match (found, path) {
        (Some(Profile::Wrong), _) => {}
        (Some(Profile::Keys(keys)), None) => set_keys(settings, &keys),
        (Some(Profile::Keys(keys)), Some(_)) if !is_shared => set_keys(settings, &keys),
        (Some(Profile::Delegated { key, line }), None) => {
            let what = format!(
                "`{}` needs the path of the file, which the SDK reads itself: pass it, by \
                 `LocationCredentials::with_path`",
                shown(key)
            );
            settings.mistakes.add(format_args!("credentials file, line {line}"), what);
        }
        (Some(Profile::Keys(_) | Profile::Delegated { .. }) | None, Some(file)) => {
            settings.set_path("credentialsconfigpath", file);
            settings.pass("profile", "profile");
        }
        (None, None) if credentials.registry.is_some() => registry(settings, credentials),
        (None, None) => {
            settings.ignore("profile", "without credentials of the location the SDK looks for some");
            settings
                .ignore("enableSharedConfig", "without credentials of the location the SDK looks for some");
        }
    }
}

fn set_keys(settings: &mut Settings<'_>, keys: &profile::Keys<'_>) {
    let pairs =
        [("accesskey", Some(keys.access)), ("secretkey", Some(keys.secret)), ("sessiontoken", keys.token)];
    for (parameter, value) in pairs {
        if let Some(value) = value {
            settings.set(parameter, value.text, format!("credentials file, line {}", value.line));
        }
    }
}

/// The Secret of OADP. The operator made it from the location's profile.
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
