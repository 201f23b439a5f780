//! Reads the settings from text, under the names of distribution and its fork.

mod connection;
mod connection_string;
mod credentials;
mod names;

use std::{ops::RangeInclusive, time::Duration};

use plugin_registry_core::{ParameterReader, Parameters, Result};

use super::{AzureConfig, AzureCredentials, LeadingSlash};

/// How often the status of a copy may be requested again. With the longest waits that takes nearly a year.
const MAX_RETRIES: RangeInclusive<u32> = 1..=1000;
/// Shorter waits would flood the store with requests.
const DELAY: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);

/// Smaller blocks would need too many of them, larger ones are refused.
const CHUNK: RangeInclusive<u64> = 1 << 20..=4000 << 20;
/// More blocks at a time than a blob has.
const CONCURRENCY: u64 = 50_000;
/// A shorter limit would give up requests that only wait for their turn.
const LIMITS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Names that people know from elsewhere and no driver reads, each with what to write instead.
const ELSEWHERE: &[(&str, &str)] = &[
    ("spn.client.id", "write `credentials.clientid`, with `credentials.type` client_secret"),
    ("spn.client.secret", "write `credentials.secret`, with `credentials.type` client_secret"),
    ("spn.tenant.id", "write `credentials.tenantid`, with `credentials.type` client_secret"),
    ("aad.endpoint", "name another cloud with `realm`"),
    ("copy_status_poll_max_retry", "distribution 3.0 renamed it to `max_retries`"),
    ("copy_status_poll_delay", "distribution 3.0 renamed it to `retry_delay`"),
];

impl AzureConfig {
    /// Reads the settings from distribution's parameters, including those of 2.8 and of its fork in
    /// OpenShift. Checks everything that can be checked without the store. Reads no file and makes no
    /// connection.
    ///
    /// An `accountkey` takes precedence over the parameters below `credentials`, as in the fork. Without
    /// either, the identity of the process is used. A `connectionstring` stands for the account, its
    /// credentials and its endpoint: distribution accepts it and ignores it.
    ///
    /// # Errors
    /// One [`InvalidConfig`](plugin_registry_core::ErrorKind::InvalidConfig) that lists all mistakes: what is
    /// missing, out of range, contradictory or unknown.
    pub fn from_parameters(parameters: &Parameters) -> Result<Self> {
        let mut reader = parameters.reader();
        let read = &mut reader;
        let string = connection_string::read(read);
        let string = string.as_ref();
        let usual = Self::new(names::account(read, string), names::container(read));
        let config = Self {
            credentials: match string {
                Some(string) => credentials::of_string(read, string),
                None => credentials::credentials(read, parameters),
            },
            realm: names::realm(read, string).unwrap_or(usual.realm),
            service_url: string
                .map_or_else(|| connection::service_url(read), |string| string.endpoint.clone()),
            root_directory: read.root_directory("rootdirectory"),
            leading_slash: leading_slash(read),
            max_retries: max_retries(read).unwrap_or(usual.max_retries),
            retry_delay: read.duration("retry_delay", DELAY).unwrap_or(usual.retry_delay),
            skip_verify: read.flag("skipverify").unwrap_or(usual.skip_verify),
            ca_bundle: read.ca_bundle("cabundle", "cabundlepath"),
            ca_bundle_path: read.text("cabundlepath").map(Into::into),
            proxy: read.proxy("proxy"),
            chunk_size: read.bytes("chunksize", CHUNK).unwrap_or(usual.chunk_size),
            concurrency: read
                .number("maxconcurrency", 1..=CONCURRENCY)
                .and_then(|blocks| blocks.try_into().ok())
                .unwrap_or(usual.concurrency),
            max_attempts: read
                .number("maxattempts", 1..=20)
                .and_then(|attempts| attempts.try_into().ok())
                .unwrap_or(usual.max_attempts),
            idle_timeout: read.duration("idletimeout", LIMITS).unwrap_or(usual.idle_timeout),
            answer_timeout: read.duration("answertimeout", LIMITS).unwrap_or(usual.answer_timeout),
            ..usual
        };
        elsewhere(read, parameters);
        contradictions(read, &config);
        reader.finish().map_err(|error| error.with_driver("azure"))?;
        Ok(config)
    }
}

fn leading_slash(read: &mut ParameterReader<'_>) -> LeadingSlash {
    match read.choice("leadingslash", &["yes", "no", "detect"]) {
        Some("yes") => LeadingSlash::Yes,
        Some("no") => LeadingSlash::No,
        _ => LeadingSlash::Detect,
    }
}

/// -1 means none, as in distribution. 0 means the default there, but would be read as none.
fn max_retries(read: &mut ParameterReader<'_>) -> Option<u32> {
    let text = read.text("max_retries")?;
    if text == "-1" {
        return Some(0);
    }
    let is_number = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_number && MAX_RETRIES.contains(number));
    if number.is_none() {
        let (least, most) = (MAX_RETRIES.start(), MAX_RETRIES.end());
        read.mistake(
            "max_retries",
            format_args!("has to be a number from {least} to {most}, or -1 for none"),
        );
    }
    number
}

/// These are unknown, but still marked as read, so that each is reported only once.
fn elsewhere(read: &mut ParameterReader<'_>, parameters: &Parameters) {
    for (key, instead) in ELSEWHERE.iter().filter(|(key, _)| parameters.get(key).is_some()) {
        read.is_given(key);
        read.mistake(key, format_args!("unknown: no driver reads it; {instead}"));
    }
}

/// Values that the SDK would refuse at each request.
fn contradictions(read: &mut ParameterReader<'_>, config: &AzureConfig) {
    let is_plain = config.service_url.as_ref().is_some_and(|url| url.scheme() == "http");
    if is_plain && !matches!(config.credentials, AzureCredentials::SharedKey(_)) {
        read.mistake("serviceurl", "has to be https without `accountkey`: a token would travel unencrypted");
    }
}

#[cfg(test)]
mod tests;
