//! Azurite 3.37.

use std::{path::Path, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
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
/// Of the requests that this harness makes itself.
const VERSION: &str = "2022-11-02";
/// Azurite compares no times.
const DATE: &str = "Mon, 30 Nov 2026 10:00:00 GMT";

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
        self.send("PUT", &format!("/{ACCOUNT}/{name}"), &["restype:container"], &[], b"", 201);
    }

    /// Writes an append blob, as distribution 3.0 writes a link. `path` is the container and the name, as in
    /// a URL.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn append_blob(&self, path: &str, content: &[u8]) {
        let path = format!("/{ACCOUNT}/{path}");
        self.send("PUT", &path, &[], &[("x-ms-blob-type", "AppendBlob")], b"", 201);
        self.send("PUT", &path, &["comp:appendblock"], &[], content, 201);
    }

    /// The names of the blobs in a container, in order: what a client's view of names cannot hide.
    ///
    /// # Panics
    /// If it cannot be listed.
    #[must_use]
    pub fn names(&self, container: &str) -> Vec<String> {
        let path = format!("/{ACCOUNT}/{container}");
        let page = self.send("GET", &path, &["comp:list", "restype:container"], &[], b"", 200);
        let page = String::from_utf8(page).unwrap();
        let names = page.split("<Name>").skip(1).filter_map(|rest| rest.split_once("</Name>"));
        names.map(|(name, _)| name.to_owned()).collect()
    }

    /// A SAS token for a container, with letters such as `rcwdl`, until a time such as
    /// `2030-01-01T00:00:00Z`.
    #[must_use]
    pub fn sas(&self, container: &str, permissions: &str, expiry: &str) -> String {
        let resource = format!("/blob/{ACCOUNT}/{container}");
        let text = format!("{permissions}\n\n{expiry}\n{resource}\n\n\n\n{VERSION}\nc\n\n\n\n\n\n\n");
        let signature: String = sign(&text)
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect();
        let expiry = expiry.replace(':', "%3A");
        format!("sv={VERSION}&sp={permissions}&se={expiry}&sr=c&sig={signature}")
    }

    /// Makes one request that is signed with the key. `query` is `NAME:VALUE`, in order.
    fn send(
        &self,
        method: &str,
        path: &str,
        query: &[&str],
        headers: &[(&str, &str)],
        body: &[u8],
        expected: u16,
    ) -> Vec<u8> {
        let mut headers = headers.to_vec();
        headers.extend([("x-ms-date", DATE), ("x-ms-version", VERSION)]);
        let signed: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let length = if body.is_empty() { String::new() } else { body.len().to_string() };
        let parameters: String = query.iter().map(|parameter| format!("\n{parameter}")).collect();
        let text = format!("{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{signed}/{ACCOUNT}{path}{parameters}");
        let mut lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        lines.push_str(&format!("Authorization: SharedKey {ACCOUNT}:{}\r\n", sign(&text)));
        let query = query.join("&").replace(':', "=");
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let (status, answer) = request_with(&self.address, method, &target, &lines, body).unwrap();
        assert_eq!(status, expected, "{method} {target}: {}", String::from_utf8_lossy(&answer));
        answer
    }
}

/// The signature of a text with the account's key, in base64.
fn sign(text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&BASE64.decode(KEY).unwrap()).unwrap();
    mac.update(text.as_bytes());
    BASE64.encode(mac.finalize().into_bytes())
}

fn arguments(_directory: &Path) -> Vec<String> {
    // The system chooses the port, and the log contains it.
    "--blobHost 127.0.0.1 --blobPort 0 --inMemoryPersistence --silent --disableTelemetry"
        .split(' ')
        .map(str::to_owned)
        .collect()
}
