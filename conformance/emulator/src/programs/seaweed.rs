//! SeaweedFS 4.48.

use std::{
    collections::BTreeMap,
    io::Write,
    net::TcpListener,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use serde_json::Value;

use super::{
    Account, Missing,
    process::{Process, free_port, request},
    tool,
};

/// How often other ports are tried if another process took one in between.
const TRIES: usize = 10;
/// Seconds that its shell may take. It may wait for ever for a master that has just begun to answer.
const SHELL_TIME: &str = "30";
/// Entries of a directory in one answer.
const PAGE: usize = 1000;
/// The bit of a mode, as Go defines it, that marks a directory.
const IS_DIRECTORY: u64 = 1 << 31;

/// A running SeaweedFS: a production S3 server that checks signatures and checksums.
#[derive(Debug)]
pub struct SeaweedFs {
    process: Process,
    account: Account,
    filer: String,
    /// The program, and the servers that its shell asks.
    program: PathBuf,
    servers: [String; 2],
}

impl Deref for SeaweedFs {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.account
    }
}

impl SeaweedFs {
    /// The instance of this process, started when it is first asked for.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn shared() -> Result<&'static Self, Missing> {
        static SHARED: LazyLock<Result<SeaweedFs, Missing>> = LazyLock::new(SeaweedFs::start);
        SHARED.as_ref().map_err(Clone::clone)
    }

    /// Starts an instance with an empty bucket, and waits until it answers.
    ///
    /// # Errors
    /// If it is not installed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Result<Self, Missing> {
        let program = tool("weed")?;
        let mut log = String::new();
        for _ in 0..TRIES {
            match Self::try_start(&program) {
                Ok(started) => return Ok(started),
                Err(said) => log = said,
            }
        }
        panic!("SeaweedFS does not start: {log}");
    }

    fn try_start(program: &Path) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // No other instance has a bucket of this name, so the answer below comes from this one.
        let bucket = format!("bucket-{}-{number}", std::process::id());
        let ports = ports();
        let flag = |(name, port): (&str, &u16)| format!("-{name}={port}");
        let names = [
            "admin.port",
            "admin.port.grpc",
            "s3.port",
            "s3.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
        ];
        let account = Account::new(format!("127.0.0.1:{}", ports[2]), bucket);
        let filer = format!("127.0.0.1:{}", ports[4]);
        let server = |name, at: usize| format!("-{name}=127.0.0.1:{}.{}", ports[at], ports[at + 1]);
        let servers = [server("master", 6), server("filer", 4)];
        let environment = [
            ("AWS_ACCESS_KEY_ID", account.access_key()),
            ("AWS_SECRET_ACCESS_KEY", account.secret_key()),
            ("S3_BUCKET", account.bucket()),
            // Never: otherwise a folder that is written to at that moment would be missing from listings
            // (`prune`).
            ("WEED_FILER_OPTIONS_S3_EMPTY_FOLDER_CLEANUP_DELAY", "24h"),
        ];
        let mut process = Process::start(program, &ports, &environment, |directory| {
            let mut arguments = vec!["mini".to_owned(), format!("-dir={}", directory.display())];
            // A bucket that does not exist is an error, as on AWS. Nothing outside of loopback is called.
            arguments.extend(
                "-ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false -webdav=false -admin.ui=false \
                 -s3.port.iceberg=0 -s3.port.lance=0 -s3.iam=false -s3.autoCreateBucket=false"
                    .split(' ')
                    .map(str::to_owned),
            );
            // Otherwise they are in `/tmp`.
            arguments.push(format!("-filer.localSocket={}", directory.join("filer.sock").display()));
            arguments.push(format!("-s3.localSocket={}", directory.join("s3.sock").display()));
            arguments.extend(names.into_iter().zip(&ports).map(flag));
            arguments
        });
        let is = |address: &str, method: &str, path: &str, wanted: u16| {
            request(address, method, path, b"ready").is_ok_and(|(status, _)| status == wanted)
        };
        process.wait(|_| {
            // The bucket exists, bytes can be stored, and S3 listens.
            let is_ready = is(&filer, "GET", &format!("/buckets/{}/", account.bucket()), 200)
                && is(&filer, "PUT", "/ready", 201)
                && is(&account.address, "GET", "/healthz", 200);
            is_ready.then_some(())
        })?;
        Ok(Self { process, account, filer, program: program.to_owned(), servers })
    }

    /// The number of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Runs commands in its own shell, one a line, as an administrator would. Returns what it printed.
    ///
    /// The S3 server learns of new users and keys a moment later.
    ///
    /// # Panics
    /// If the shell fails or does not answer.
    pub fn shell(&self, commands: &str) -> String {
        let mut said = String::new();
        for _ in 0..TRIES {
            let place = tempfile::tempdir().unwrap();
            let mut shell = Command::new("timeout")
                .arg(SHELL_TIME)
                .arg(&self.program)
                .arg("shell")
                .args(&self.servers)
                .current_dir(place.path())
                .env("HOME", place.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            shell.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
            let output = shell.wait_with_output().unwrap();
            said = [output.stdout, output.stderr]
                .map(|text| String::from_utf8_lossy(&text).into_owned())
                .concat();
            if output.status.success() {
                return said;
            }
        }
        panic!("the shell of SeaweedFS does not answer: {said}");
    }

    /// The log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log().unwrap_or_default()
    }

    /// All objects below a prefix that ends in `/`, by the rest of their keys.
    ///
    /// They are read past S3, from the tree of files in which SeaweedFS keeps the bucket. `enter` tells
    /// which directories to read.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn objects(&self, prefix: &str, enter: impl Fn(&str) -> bool) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let top = format!("/buckets/{}/{prefix}", self.bucket());
        let mut directories = vec![top.clone()];
        while let Some(directory) = directories.pop() {
            for (path, is_directory) in self.entries(&directory) {
                let relative = path.strip_prefix(&top).unwrap().to_owned();
                if !is_directory {
                    found.insert(relative, self.content(&path));
                } else if enter(&relative) {
                    directories.push(format!("{path}/"));
                }
            }
        }
        found
    }

    /// Removes the empty directories below a prefix that ends in `/`.
    ///
    /// Keys are paths of files here, and a directory stays when its last file is deleted. Listings with a
    /// delimiter still show it, which no S3 of the clouds does. Nothing may be written there meanwhile.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn prune(&self, prefix: &str) {
        let _ = self.prune_directory(&format!("/buckets/{}/{prefix}", self.bucket()));
    }

    /// Whether the directory is gone.
    fn prune_directory(&self, directory: &str) -> bool {
        let mut is_empty = true;
        for (path, is_directory) in self.entries(directory) {
            is_empty &= is_directory && self.prune_directory(&format!("{path}/"));
        }
        if is_empty {
            let path = escaped(directory.trim_end_matches('/'));
            let (status, body) = request(&self.filer, "DELETE", &path, b"").unwrap();
            assert!(matches!(status, 204 | 404), "{path}: {}", String::from_utf8_lossy(&body));
        }
        is_empty
    }

    /// The paths in a directory, and whether they are directories. Empty if there is no directory.
    fn entries(&self, directory: &str) -> Vec<(String, bool)> {
        let mut found = Vec::new();
        let mut last = String::new();
        loop {
            let path = format!("{}?limit={PAGE}&lastFileName={}", escaped(directory), escaped(&last));
            let (status, body) = request(&self.filer, "GET", &path, b"").unwrap();
            if status == 404 {
                return found;
            }
            assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
            let page: Value = serde_json::from_slice(&body).unwrap();
            let entries = page["Entries"].as_array().cloned().unwrap_or_default();
            for entry in &entries {
                let mode = entry["Mode"].as_u64().unwrap();
                found.push((entry["FullPath"].as_str().unwrap().to_owned(), mode & IS_DIRECTORY != 0));
            }
            if entries.len() < PAGE {
                return found;
            }
            last = page["LastFileName"].as_str().unwrap().to_owned();
        }
    }

    fn content(&self, path: &str) -> Vec<u8> {
        let (status, body) = request(&self.filer, "GET", &escaped(path), b"").unwrap();
        assert_eq!(status, 200, "{path}");
        body
    }
}

/// Escapes a path for a URL.
fn escaped(path: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    path.bytes().map(escape).collect()
}

/// Ten free ports. The first two are 10,000 apart, because weed's worker looks for the second one there,
/// whatever its options are.
fn ports() -> [u16; 10] {
    let mut held: Vec<TcpListener> = Vec::new();
    while held.len() < 2 {
        held.clear();
        let first = free_port(0).unwrap();
        let second =
            first.local_addr().unwrap().port().checked_add(10_000).and_then(|port| free_port(port).ok());
        held.push(first);
        held.extend(second);
    }
    // All are held at once, so that no two are the same.
    held.extend((2..10).map(|_| free_port(0).unwrap()));
    let ports: Vec<u16> = held.iter().map(|held| held.local_addr().unwrap().port()).collect();
    ports.try_into().unwrap()
}
