//! Azurite 3.37.

use std::{path::Path, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{
    Missing,
    process::{Process, request_with},
    tool,
};

/// The account that Azurite has, and its key, which everybody knows.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const CONTAINER: &str = "container";
/// Of the requests that this harness makes itself. Any time will do, as long as it is the one that was signed.
const VERSION: &str = "2021-12-02";

/// A running Azurite, in memory: Microsoft's emulator of blobs, which checks keys, SAS tokens and conditions.
#[derive(Debug)]
pub struct Azurite {
    process: Process,
    address: String,
}

impl Azurite {
    /// The instance of this process, started when it is first asked for.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn shared() -> Result<&'static Self, Missing> {
        static SHARED: LazyLock<Result<Azurite, Missing>> = LazyLock::new(Azurite::start);
        SHARED.as_ref().map_err(Clone::clone)
    }

    /// Starts an instance with an empty container, and waits until it answers.
    ///
    /// # Errors
    /// If it is not installed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Result<Self, Missing> {
        let program = tool("azurite-blob")?;
        let mut process = Process::start(&program, &[], &[], arguments);
        let listening = |process: &Process| {
            let log = process.log()?;
            let (_, rest) = log.split_once("successfully listens on http://")?;
            // Only a complete line has the complete port.
            rest.split_once('\n').map(|(address, _)| address.trim().to_owned())
        };
        let address = process.wait(listening).unwrap_or_else(|log| panic!("Azurite does not start: {log}"));
        let azurite = Self { process, address };
        azurite.create_container(CONTAINER);
        Ok(azurite)
    }

    /// The URL of the account: plain HTTP on loopback, with the account in the path.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}/{ACCOUNT}", self.address)
    }

    /// The name of the account.
    #[must_use]
    pub fn account(&self) -> &'static str {
        ACCOUNT
    }

    /// The key of the account, in base64.
    #[must_use]
    pub fn key(&self) -> &'static str {
        KEY
    }

    /// The name of the container, which exists.
    #[must_use]
    pub fn container(&self) -> &'static str {
        CONTAINER
    }

    /// The number of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// The log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log().unwrap_or_default()
    }

    /// Creates another container.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn create_container(&self, name: &str) {
        let headers = [("x-ms-date", date()), ("x-ms-version", VERSION.to_owned())];
        self.send("PUT", &format!("/{ACCOUNT}/{name}"), "restype:container", &headers, b"", 201);
    }

    /// Writes an empty append blob and appends content, as distribution 3.0 writes a link. `path` is as in a URL.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn append_blob(&self, path: &str, content: &[u8]) {
        let version = || ("x-ms-version", VERSION.to_owned());
        let path = format!("/{ACCOUNT}/{CONTAINER}/{path}");
        let kind = ("x-ms-blob-type", "AppendBlob".to_owned());
        self.send("PUT", &path, "", &[kind, ("x-ms-date", date()), version()], b"", 201);
        self.send("PUT", &path, "comp:appendblock", &[("x-ms-date", date()), version()], content, 201);
    }

    /// Makes one request that is signed with the key. `query` is `NAME:VALUE`, or empty.
    fn send(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, String)],
        body: &[u8],
        expected: u16,
    ) {
        let signed: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let length = if body.is_empty() { String::new() } else { body.len().to_string() };
        let parameter = if query.is_empty() { String::new() } else { format!("\n{query}") };
        let text = format!("{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{signed}/{ACCOUNT}{path}{parameter}");
        let mut mac = Hmac::<Sha256>::new_from_slice(&BASE64.decode(KEY).unwrap()).unwrap();
        mac.update(text.as_bytes());
        let signature = BASE64.encode(mac.finalize().into_bytes());
        let mut lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        lines.push_str(&format!("Authorization: SharedKey {ACCOUNT}:{signature}\r\n"));
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.replace(':', "=")) };
        let (status, answer) = request_with(&self.address, method, &target, &lines, body).unwrap();
        assert_eq!(status, expected, "{method} {target}: {}", String::from_utf8_lossy(&answer));
    }
}

fn arguments(_directory: &Path) -> Vec<String> {
    // The system chooses the port, and the log contains it.
    "--blobHost 127.0.0.1 --blobPort 0 --inMemoryPersistence --silent --disableTelemetry"
        .split(' ')
        .map(str::to_owned)
        .collect()
}

/// Azurite compares no times.
fn date() -> String {
    "Mon, 30 Nov 2026 10:00:00 GMT".to_owned()
}
