//! `location show` and `location check`, and where locations and variables come from.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

#[path = "../common/mod.rs"]
mod common;

mod canary;
mod directory;
#[cfg(feature = "s3")]
mod fields;
mod files;
mod hints;
mod identity;
#[cfg(all(feature = "s3", target_os = "linux"))]
mod opened;
#[cfg(feature = "s3")]
mod reading;
#[cfg(feature = "s3")]
mod seaweed;
mod secrets;
mod show;
#[cfg(feature = "s3")]
mod spoken;
mod usage;

use std::fs;

use common::{Ran, run};
use tempfile::TempDir;

/// Nothing listens there, and only root could listen.
pub(crate) const NOBODY: &str = "http://127.0.0.1:1";

/// A directory of files for one test.
pub(crate) struct Files {
    directory: TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    /// The path of a file or directory, whether there is one or not.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// A location of this provider, bucket and endpoint.
    pub(crate) fn location(&self, provider: &str, bucket: &str, endpoint: &str) -> String {
        let text = format!(
            "apiVersion: velero.io/v1
kind: BackupStorageLocation
metadata: {{name: default, namespace: velero}}
spec:
  provider: {provider}
  objectStorage: {{bucket: {bucket}, prefix: velero}}
  config: {{region: us-east-1, s3Url: '{endpoint}', s3ForcePathStyle: 'true'}}
"
        );
        self.write("bsl.yaml", text)
    }

    /// Credentials with these keys.
    pub(crate) fn cloud(&self, access_key: &str, secret_key: &str) -> String {
        self.write("cloud", profile(access_key, secret_key))
    }

    /// An empty directory.
    pub(crate) fn root(&self) -> String {
        let root = self.path("registry");
        fs::create_dir_all(&root).unwrap();
        root
    }
}

/// A file of profiles with one.
pub(crate) fn profile(access_key: &str, secret_key: &str) -> String {
    format!("[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n")
}

/// `location check` with more arguments.
pub(crate) fn check(arguments: &[&str]) -> Ran {
    run(["location", "check"].iter().chain(arguments))
}

/// `location show` with more arguments.
pub(crate) fn show(arguments: &[&str]) -> Ran {
    run(["location", "show"].iter().chain(arguments))
}

/// The same text without what differs from run to run: times, ids of probes and of requests.
pub(crate) fn steady(text: &str) -> String {
    let mut steady = String::new();
    for line in text.split_inclusive('\n') {
        let line = replaced(line, "passed (", " ms)", |id| id.bytes().all(|byte| byte.is_ascii_digit()));
        let line = replaced(&line, "gc/probe/", "", |id| id.len() == 36);
        let line = replaced(&line, ", request ", "", |id| id.len() == 24);
        steady.push_str(&line);
    }
    steady
}

/// `…` for a word of hexadecimal digits and hyphens between two texts.
fn replaced(line: &str, before: &str, after: &str, is_one: impl Fn(&str) -> bool) -> String {
    let mut parts = line.split(before);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_inside = |c: char| c.is_ascii_hexdigit() || c == '-';
        let end = part.find(|c| !is_inside(c)).unwrap_or(part.len());
        let (word, rest) = part.split_at(end);
        let word = if is_one(word) && rest.starts_with(after) { "…" } else { word };
        text.extend([before, word, rest]);
    }
    text
}
