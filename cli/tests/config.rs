//! `--config`: the registry that a configuration file of distribution names.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use std::{
    fs,
    io::{Read, Write},
    path::Path,
};

use common::{Backup, run, server::Server};
use rustix::process::Signal;
use tempfile::TempDir;

/// Writes a file and returns its path.
fn write(directory: &Path, text: &str) -> String {
    let path = directory.join("config.yml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A file for the filesystem driver, with more lines.
fn filesystem(directory: &Path, root: &str, rest: &str) -> String {
    let text = format!("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {root}\n{rest}");
    write(directory, &text)
}

fn status(server: &Server, request: &str) -> u16 {
    let mut stream = server.connect();
    write!(stream, "{request} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn every_command_works_on_the_registry_of_a_file() {
    let backup = Backup::make();
    let config = filesystem(backup.directory.path(), &backup.root(), "log: {level: debug}\n");
    let with_config = |arguments: &[&str]| run(arguments.iter().chain(&["--config", &config]));
    let ran = with_config(&["ls"]).ok();
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("quickstart/app\nquickstart/copy\n", ""));
    assert_eq!(with_config(&["tags", "quickstart/app"]).ok().out, "1.0\n");
    with_config(&["inspect", "quickstart/app:1.0"]).ok();
    with_config(&["verify", "--all"]).ok();
    with_config(&["purge", "--dry-run"]).ok();
    with_config(&["copy", "registry:quickstart/app:1.0", "registry:other/app:2", "--quiet"]).ok();
    with_config(&["rm", "other/app:2"]).ok();
    let shown = with_config(&["quickstart", "--yes"]).ok().out;
    assert!(shown.contains(&format!("plugin-registry ls --config {config}")), "{shown}");
}

#[test]
fn a_missing_file_or_directory_is_not_found_and_not_made() {
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("missing");
    let missing = run(["ls", "--config", "/nowhere/config.yml"]);
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.err.starts_with("error: the configuration file `/nowhere/config.yml` does not exist"));
    let config = filesystem(directory.path(), root.to_str().unwrap(), "");
    let absent = run(["ls", "--config", &config]);
    assert_eq!(absent.code, 2, "{absent:?}");
    assert!(absent.err.contains("a mount may be missing") && !root.exists(), "{absent:?}");
    // A copy into it makes it, as with --root.
    let backup = Backup::make();
    let source = format!("oci:{}:1.0", backup.image().display());
    run(["copy", &source, "registry:a/b:1", "--quiet", "--config", &config]).ok();
    assert_eq!(run(["ls", "--config", &config]).ok().out, "a/b\n");
}

#[test]
fn one_place_is_named() {
    let both = run(["ls", "--root", "a", "--config", "b"]);
    assert_eq!(both.code, 64, "{both:?}");
    assert!(both.err.contains("cannot be used with"), "{both:?}");
    assert_eq!(run(["ls"]).code, 64);
    assert_eq!(run(["serve", "--memory", "--config", "b"]).code, 64);
    assert_eq!(run(["serve", "--no-durable", "--config", "b"]).code, 64);
    assert_eq!(run(["quickstart", "--root", "a", "--config", "b"]).code, 64);
    let neither = run(["copy", "registry:a:1", "registry:b:1"]);
    assert!(neither.err.contains("Add --root DIR, --config FILE or --location FILE."), "{neither:?}");
}

#[test]
fn mistakes_are_told_all_at_once_and_without_secrets() {
    let directory = TempDir::new().unwrap();
    let config = write(
        directory.path(),
        "version: 0.1\nstorage:\n  filesystem:\n    rootdir: /x\n    secretkey: hunter2\n    maxthreads: no\n",
    );
    let ran = run(["ls", "--config", &config]);
    assert_eq!(ran.code, 1);
    let expected = format!(
        "error: `{config}`: filesystem driver: invalid configuration: 3 mistakes: `maxthreads` (line 6): has to be a \
         number from 0 to 4294967295; `rootdir` (line 4): unknown, did you mean `rootdirectory`?; \
         `secretkey` (line 5): unknown\n"
    );
    assert_eq!(ran.err, expected);
    let config = write(directory.path(), "version: 0.1\nstorage:\n  s3: {}\n  filesystem: {}\n");
    let ran = run(["ls", "--config", &config]);
    assert!(ran.err.contains("not `s3` (line 3) and `filesystem` (line 4)"), "{ran:?}");
    let config = write(directory.path(), "version: 0.1\nstorage:\n  s3: {chunksize: 1}\n");
    let ran = run(["ls", "--config", &config]);
    assert_eq!(ran.code, 1);
    if cfg!(feature = "s3") {
        assert!(ran.err.contains("s3 driver: invalid configuration: 2 mistakes: `bucket`"), "{ran:?}");
    } else {
        assert!(ran.err.contains("this build has no driver `s3`"), "{ran:?}");
    }
}

#[test]
fn a_registry_in_memory_is_no_quickstart() {
    let directory = TempDir::new().unwrap();
    let config = write(directory.path(), "version: 0.1\nstorage: inmemory\n");
    let ran = run(["quickstart", "--config", &config]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("a registry in memory does not last"), "{ran:?}");
}

#[test]
fn a_file_can_make_the_registry_read_only() {
    let backup = Backup::make();
    let read_only = "  maintenance: {readonly: {enabled: true}}\n  delete: {enabled: true}\n";
    let config = filesystem(backup.directory.path(), &backup.root(), read_only);
    let refused = run(["rm", "quickstart/app:1.0", "--config", &config]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("read-only"), "{refused:?}");
    run(["verify", "--all", "--config", &config]).ok();
    let server = Server::start(&["--config", &config, "--delete"]);
    assert_eq!(status(&server, "DELETE /v2/quickstart/app/manifests/1.0"), 405);
    assert_eq!(status(&server, "GET /v2/quickstart/app/manifests/1.0"), 200);
}

#[test]
fn serve_takes_deletes_from_the_file_and_names_what_does_not_apply() {
    let backup = Backup::make();
    let rest =
        "  delete: {enabled: true}\n  cache: {blobdescriptor: inmemory}\nhttp:\n  addr: :5000\n  tls: {}\n";
    let config = filesystem(backup.directory.path(), &backup.root(), rest);
    let mut server = Server::start(&["--config", &config]);
    assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
    assert_eq!(status(&server, "DELETE /v2/quickstart/app/manifests/1.0"), 202);
    server.signal(Signal::TERM);
    let (code, _, err) = server.wait();
    assert_eq!(code, Some(0));
    assert_eq!(
        err,
        format!(
            "notice: `{config}`: line 6: storage.cache is ignored: the store is asked each time; nothing is \
             cached in another service\n\
             notice: `{config}`: line 9: http.tls is ignored: TLS is not supported\n\
             notice: http.addr is ignored: `:5000` is not a loopback address; to listen there anyway, use \
             --listen\n"
        )
    );
    // Read-only by an argument wins over deletes by the file.
    let server = Server::start(&["--config", &config, "--read-only"]);
    assert_eq!(status(&server, "DELETE /v2/quickstart/copy/manifests/stable"), 405);
}

#[test]
fn serve_listens_where_the_file_says_if_that_is_loopback() {
    let directory = TempDir::new().unwrap();
    let config = write(
        directory.path(),
        "version: 0.1\nstorage: inmemory\nhttp: {addr: '127.0.0.2:0', secret: hunter2}\n",
    );
    let server = Server::start(&["--config", &config]);
    assert!(server.url.starts_with("http://127.0.0.2:"), "{}", server.url);
    let server = Server::start(&["--config", &config, "--listen", "127.0.0.3:0"]);
    assert!(server.url.starts_with("http://127.0.0.3:"), "{}", server.url);
}
