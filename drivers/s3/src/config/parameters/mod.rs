//! Reads the settings from text, under the names of distribution and its fork.

use std::{path::PathBuf, time::Duration};

use plugin_registry_core::{ParameterReader, Parameters, Result, profiles, store_url};
use url::Url;

use super::{AccessKeys, Checksums, S3Config, S3Credentials};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The sizes that S3 accepts for a part of an upload.
const PART: std::ops::RangeInclusive<u64> = 5 * MIB..=5 * GIB;
/// The most parts that S3 accepts in an upload.
const MAX_PARTS: u64 = 10_000;

/// Less than a second gives up what a busy machine would have done. No caller needs to wait for more than an
/// hour.
const LIMITS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

const STORAGE_CLASSES: &[&str] = &[
    NO_CLASS,
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "OUTPOSTS",
    "GLACIER_IR",
    "EXPRESS_ONEZONE",
];
/// The longest name that AWS ever gave a bucket, and the longest part of a host name. A longer value is a token
/// in the wrong place.
const MAX_BUCKET: usize = 255;
const MAX_REGION: usize = 63;
/// The value that sends no header.
const NO_CLASS: &str = "NONE";

const ACLS: &[&str] = &[
    "private",
    "public-read",
    "public-read-write",
    "aws-exec-read",
    "authenticated-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];

impl S3Config {
    /// Reads the settings from distribution's parameters, including those of its fork in OpenShift. Checks
    /// everything that can be checked without the store. Reads no file and makes no connection.
    ///
    /// Besides the parameters that the fields name, there are:
    ///
    /// | Parameter | Does |
    /// |---|---|
    /// | `profile` | the profile in `credentials` or in the file of `credentialsconfigpath`; else `default` |
    /// | `virtualhostedstyle` | true: the same as `forcepathstyle` false, which wins if both are given |
    /// | `v4auth` | has to be true: there is no other signature |
    /// | `loglevel`, `multipartcombinesmallpart` | nothing: the host does the logging, and nothing is joined |
    ///
    /// # Errors
    /// One [`InvalidConfig`](plugin_registry_core::ErrorKind::InvalidConfig) that lists all mistakes: what is
    /// missing, out of range, contradictory or unknown.
    pub fn from_parameters(parameters: &Parameters) -> Result<Self> {
        let mut reader = parameters.reader();
        let read = &mut reader;
        let usual = Self::new(bucket(read));
        let secure = read.flag("secure").unwrap_or(usual.secure);
        let config = Self {
            root_directory: read.root_directory("rootdirectory"),
            region: region(read),
            endpoint: endpoint(read, secure),
            force_path_style: path_style(read),
            token_files: token_files(read),
            credentials: S3Credentials::Chain,
            sts_endpoint: sts_endpoint(read),
            sts_ca_bundle: read.ca_bundle("stscabundle", "stscabundlepath"),
            sts_ca_bundle_path: read.text("stscabundlepath").map(Into::into),
            secure,
            skip_verify: read.flag("skipverify").unwrap_or(usual.skip_verify),
            ca_bundle: read.ca_bundle("cabundle", "cabundlepath"),
            proxy: read.proxy("proxy"),
            encrypt: read.flag("encrypt").unwrap_or(usual.encrypt),
            key_id: read.header("keyid"),
            storage_class: storage_class(read),
            object_acl: read.choice("objectacl", ACLS).map(str::to_owned),
            user_agent: read.header("useragent"),
            chunk_size: read.bytes("chunksize", PART).unwrap_or(usual.chunk_size),
            copy_chunk_size: read.bytes("multipartcopychunksize", PART).unwrap_or(usual.copy_chunk_size),
            copy_concurrency: concurrency(read, "multipartcopymaxconcurrency", u64::MAX)
                .unwrap_or(usual.copy_concurrency),
            copy_threshold: read
                .bytes("multipartcopythresholdsize", 0..=5 * GIB)
                .unwrap_or(usual.copy_threshold),
            dual_stack: read.flag("usedualstack").unwrap_or(usual.dual_stack),
            accelerate: read.flag("accelerate").unwrap_or(usual.accelerate),
            fips: read.flag("usefipsendpoint").unwrap_or(usual.fips),
            redirect_endpoint: redirect_endpoint(read),
            checksums: checksums(read),
            concurrency: concurrency(read, "maxconcurrency", MAX_PARTS).unwrap_or(usual.concurrency),
            max_attempts: read
                .number("maxattempts", 1..=20)
                .and_then(|attempts| attempts.try_into().ok())
                .unwrap_or(usual.max_attempts),
            idle_timeout: read.duration("idletimeout", LIMITS).unwrap_or(usual.idle_timeout),
            answer_timeout: read.duration("answertimeout", LIMITS).unwrap_or(usual.answer_timeout),
            ca_bundle_path: read.text("cabundlepath").map(Into::into),
            conditional_writes: read.flag("conditionalwrites"),
            directories: read.flag("directories"),
            ..usual
        };
        let config = Self { credentials: credentials(read, &config.token_files), ..config };
        without_effect(read);
        contradictions(read, &config);
        reader.finish().map_err(|error| error.with_driver("s3"))?;
        Ok(config)
    }
}

/// Stores other than AWS also accept capitals and `_`, and Ceph a tenant before a colon. An access point is
/// named by its ARN. The value is never repeated: one that does not look like a name may be a misplaced key.
fn bucket(read: &mut ParameterReader<'_>) -> String {
    let name = read.required("bucket");
    let of_tenant = name.split_once(':').filter(|_| read.is_given("regionendpoint"));
    let is_name = match of_tenant {
        Some((tenant, bucket)) => is_of(tenant, b"_") && !bucket.is_empty() && is_of(bucket, b"._-"),
        None => is_of(&name, b"._-"),
    };
    if name.len() > MAX_BUCKET || (!name.starts_with("arn:") && !is_name) {
        read.mistake(
            "bucket",
            format_args!(
                "has to be a name of letters, digits, `.`, `-` and `_`, the ARN of an access point, or, with \
                 `regionendpoint`, TENANT:BUCKET, of at most {MAX_BUCKET} bytes"
            ),
        );
    }
    name
}

/// It becomes part of host names.
fn region(read: &mut ParameterReader<'_>) -> Option<String> {
    let region = read.text("region")?;
    if region.len() > MAX_REGION || !is_of(&region, b"._-") {
        read.mistake(
            "region",
            format_args!("has to be at most {MAX_REGION} letters, digits and `-`, such as us-east-1"),
        );
    }
    Some(region)
}

fn is_of(text: &str, others: &[u8]) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

fn endpoint(read: &mut ParameterReader<'_>, secure: bool) -> Option<Url> {
    let text = read.text("regionendpoint")?;
    let scheme = match (text.contains("://"), secure) {
        (true, _) => "",
        (false, true) => "https://",
        (false, false) => "http://",
    };
    // A key of AWS has slashes, and would be looked up as a host.
    let has_path = !scheme.is_empty() && text.trim_end_matches('/').contains('/');
    let url = store_url(&format!("{scheme}{text}")).filter(|_| !has_path);
    if url.is_none() {
        read.mistake("regionendpoint", "has to be HOST, HOST:PORT or http(s)://HOST:PORT");
    }
    url
}

fn redirect_endpoint(read: &mut ParameterReader<'_>) -> Option<Url> {
    let text = read.text("redirectendpoint")?;
    host_url(read, "redirectendpoint", &text)
}

fn sts_endpoint(read: &mut ParameterReader<'_>) -> Option<Url> {
    let text = read.text("stsendpoint")?;
    host_url(read, "stsendpoint", &text)
}

fn host_url(read: &mut ParameterReader<'_>, key: &str, text: &str) -> Option<Url> {
    let url = store_url(text).filter(|url| url.path() == "/");
    if url.is_none() {
        read.mistake(key, "has to be http(s)://HOST:PORT, without a path or query");
    }
    url
}

/// The files that the host allows credentials to name.
fn token_files(read: &mut ParameterReader<'_>) -> Vec<PathBuf> {
    let Some(text) = read.text("tokenfiles") else { return Vec::new() };
    let paths: Vec<PathBuf> = text.split(',').map(|path| path.trim().into()).collect();
    if !paths.iter().all(|path| path.is_absolute()) {
        read.mistake("tokenfiles", "has to be paths that begin with `/`, separated by `,`");
    }
    paths
}

fn path_style(read: &mut ParameterReader<'_>) -> Option<bool> {
    let path = read.flag("forcepathstyle");
    let host = read.flag("virtualhostedstyle");
    path.or_else(|| host.filter(|yes| *yes).map(|_| false))
}

fn credentials(read: &mut ParameterReader<'_>, tokens: &[PathBuf]) -> S3Credentials {
    for key in ["accesskey", "secretkey", "sessiontoken"] {
        read.conflict("credentialsconfigpath", key);
        read.conflict("credentials", key);
    }
    read.conflict("credentialsconfigpath", "credentials");
    let path = read.text("credentialsconfigpath");
    let text = read.secret("credentials");
    let profile = read.text("profile");
    if path.is_none() && text.is_none() && profile.is_some() {
        read.mistake("profile", "needs `credentials` or `credentialsconfigpath`, which have the profiles");
    }
    // Both empty count as both missing, as in distribution: files are made from templates.
    let is_blank = !read.is_given("accesskey") && !read.is_given("secretkey");
    let keys = if is_blank { (None, None) } else { (read.secret("accesskey"), read.secret("secretkey")) };
    let (access_key, secret_key) = keys;
    let session_token =
        if is_blank && !read.is_given("sessiontoken") { None } else { read.secret("sessiontoken") };
    if let Some(path) = path {
        return S3Credentials::File { path: path.into(), profile };
    }
    if let Some(text) = text {
        let name = profile.as_deref().unwrap_or(profiles::DEFAULT);
        for mistake in profiles::find(text.expose(), name, tokens).err().into_iter().flatten() {
            read.mistake("credentials", mistake);
        }
        return S3Credentials::Text { text, profile };
    }
    // Half a pair does not justify looking for other keys, which may belong to a different identity.
    match (access_key, secret_key, session_token) {
        (Some(access_key), Some(secret_key), session_token) => {
            return S3Credentials::AccessKeys(AccessKeys {
                session_token,
                ..AccessKeys::new(access_key, secret_key)
            });
        }
        (Some(_), None, _) => read.mistake("secretkey", "required with `accesskey`, but not given"),
        (None, Some(_), _) => read.mistake("accesskey", "required with `secretkey`, but not given"),
        (None, None, Some(_)) => read.mistake("sessiontoken", "needs `accesskey` and `secretkey`"),
        (None, None, None) => {}
    }
    S3Credentials::Chain
}

fn storage_class(read: &mut ParameterReader<'_>) -> Option<String> {
    let class = read.choice("storageclass", STORAGE_CLASSES)?;
    (class != NO_CLASS).then(|| class.to_owned())
}

fn checksums(read: &mut ParameterReader<'_>) -> Checksums {
    match read.choice("checksums", &["automatic", "required", "supported"]) {
        Some("supported") => Checksums::Supported,
        Some("required") => Checksums::Required,
        _ => Checksums::Automatic,
    }
}

/// How many requests at a time. More than an upload can have parts counts as that many.
fn concurrency(read: &mut ParameterReader<'_>, key: &'static str, most: u64) -> Option<usize> {
    let number = read.number(key, 1..=most)?;
    usize::try_from(number.min(MAX_PARTS)).ok()
}

/// Parameters without effect here.
fn without_effect(read: &mut ParameterReader<'_>) {
    if read.flag("v4auth") == Some(false) {
        read.mistake("v4auth", "has to be true: only signature version 4 is supported");
    }
    read.flag("multipartcombinesmallpart");
    read.text("loglevel");
}

/// Values that the SDK would refuse at each request.
fn contradictions(read: &mut ParameterReader<'_>, config: &S3Config) {
    let with_endpoint = [
        ("usedualstack", config.dual_stack),
        ("accelerate", config.accelerate),
        ("usefipsendpoint", config.fips),
    ];
    if config.endpoint.is_some() {
        for (key, _) in with_endpoint.into_iter().filter(|(_, on)| *on) {
            read.mistake(key, "chooses an AWS endpoint, so it cannot be true together with `regionendpoint`");
        }
    }
    if config.accelerate && config.fips {
        read.mistake("accelerate", "cannot be true together with `usefipsendpoint`");
    }
    if config.accelerate && config.force_path_style == Some(true) {
        read.mistake("accelerate", "cannot be true together with `forcepathstyle`");
    }
}

#[cfg(test)]
mod tests;
