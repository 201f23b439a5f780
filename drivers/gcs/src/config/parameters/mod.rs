//! Reads the settings from text, under distribution's names.

mod bucket;
mod connection;
mod credentials;

use plugin_registry_core::{ParameterReader, Parameters, Result};

pub(super) use self::credentials::check_document;

use super::GcsConfig;

/// Google requires a chunk to be a multiple of this.
const UNIT: u64 = 256 << 10;
/// A chunk is held in memory.
const MAX_CHUNK: u64 = 5 << 30;
/// Distribution takes a lower concurrency for a mistake, and raises it to this.
const MIN_CONCURRENCY: usize = 25;

impl GcsConfig {
    /// Reads the settings from distribution's parameters. Checks everything that can be checked without the
    /// store. Reads no file and makes no connection.
    ///
    /// The keys of a document below `credentials`, as in a YAML file, are put together as one JSON document.
    /// Without any credentials, the application default is used.
    ///
    /// # Errors
    /// One [`InvalidConfig`](plugin_registry_core::ErrorKind::InvalidConfig) that lists all mistakes: what is
    /// missing, out of range, contradictory or unknown.
    pub fn from_parameters(parameters: &Parameters) -> Result<Self> {
        let mut reader = parameters.reader();
        let read = &mut reader;
        let usual = Self::new(bucket::bucket(read));
        let token_files = credentials::token_files(read);
        let config = Self {
            root_directory: read.root_directory("rootdirectory"),
            credentials: credentials::credentials(read, parameters, &token_files),
            token_files,
            endpoint: connection::endpoint(read),
            chunk_size: chunk_size(read).unwrap_or(usual.chunk_size),
            concurrency: concurrency(read).unwrap_or(usual.concurrency),
            user_agent: read.header("useragent"),
            skip_verify: read.flag("skipverify").unwrap_or(usual.skip_verify),
            ca_bundle: read.ca_bundle("cabundle", "cabundlepath"),
            ca_bundle_path: read.text("cabundlepath").map(Into::into),
            proxy: read.proxy("proxy"),
            ..usual
        };
        connection::contradictions(read, &config);
        reader.finish().map_err(|error| error.with_driver("gcs"))?;
        Ok(config)
    }
}

fn chunk_size(read: &mut ParameterReader<'_>) -> Option<u64> {
    let bytes = read.bytes("chunksize", UNIT..=MAX_CHUNK)?;
    if bytes % UNIT != 0 {
        read.mistake("chunksize", format_args!("has to be a multiple of {UNIT} (256 KiB)"));
    }
    Some(bytes)
}

/// As in distribution, fewer than 25 count as 25. Unlike there, a negative number is a mistake.
fn concurrency(read: &mut ParameterReader<'_>) -> Option<usize> {
    let number = read.number("maxconcurrency", 0..=u64::from(u32::MAX))?;
    usize::try_from(number).ok().map(|number| number.max(MIN_CONCURRENCY))
}

#[cfg(test)]
mod tests;
