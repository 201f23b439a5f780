//! Runs the command.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

pub mod server;

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// The result of a run.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The one JSON document on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// Its temporary files are in the target directory. A `quickstart` keeps 10 MB there: give it a `TMPDIR` that goes away.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plugin-registry"));
    command.stdin(Stdio::null()).env("TMPDIR", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Runs the command to its end, and deletes its temporary files.
pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    let temporary = TempDir::new().unwrap();
    let output = command().env("TMPDIR", temporary.path()).args(arguments).output().unwrap();
    let Output { status, stdout, stderr } = output;
    Ran {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// A directory with the quickstart's registry in `registry`, its image in `image`, and the output.
pub struct Backup {
    pub directory: TempDir,
    pub document: Value,
}

impl Backup {
    pub fn make() -> Self {
        let directory = TempDir::new().unwrap();
        let output = command()
            .args(["quickstart", "--format", "json", "--root"])
            .arg(directory.path().join("registry"))
            .env("TMPDIR", directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        Self { document: serde_json::from_slice(&output.stdout).unwrap(), directory }
    }

    pub fn root(&self) -> String {
        self.directory.path().join("registry").display().to_string()
    }

    pub fn image(&self) -> PathBuf {
        PathBuf::from(self.document["image"].as_str().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Stores a manifest as it is, also one that a push would refuse, under a tag of `quickstart/app`.
    pub fn put_manifest(&self, tag: &str, manifest: &Value) {
        let root = self.path("registry/docker/registry/v2");
        let bytes = serde_json::to_vec(manifest).unwrap();
        let digest = plugin_registry_core::Digest::sha256(&bytes).to_string();
        let hex = digest.strip_prefix("sha256:").unwrap();
        let manifests = root.join("repositories/quickstart/app/_manifests");
        for (directory, name, content) in [
            (root.join("blobs/sha256").join(&hex[..2]).join(hex), "data", bytes.as_slice()),
            (manifests.join("revisions/sha256").join(hex), "link", digest.as_bytes()),
            (manifests.join("tags").join(tag).join("current"), "link", digest.as_bytes()),
        ] {
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(name), content).unwrap();
        }
    }

    /// Runs a command with this `--root`.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let root = self.root();
        run(arguments.iter().copied().chain(["--root", &root]))
    }
}

/// All files below a directory with their bytes, in order.
pub fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.push((path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The largest stored blob.
pub fn largest_blob(root: &str) -> PathBuf {
    let blobs = Path::new(root).join("docker/registry/v2/blobs");
    let largest = files(&blobs).into_iter().max_by_key(|(_, content)| content.len()).unwrap();
    blobs.join(largest.0)
}
