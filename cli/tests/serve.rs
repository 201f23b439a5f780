//! `serve`: the URL comes first, the end is clean. How connections fare is in `edge/`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::{fs::FileTypeExt, net::UnixStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{Backup, run, server::Server};
use rustix::process::Signal;
use tempfile::TempDir;

/// Sends a request and reads one answer: its head, and a body of its Content-Length.
fn exchange(stream: &mut (impl Read + Write), request: &str) -> (u16, String, String) {
    stream.write_all(request.as_bytes()).unwrap();
    answer(stream)
}

fn answer(stream: &mut impl Read) -> (u16, String, String) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split('\r').next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head, String::from_utf8_lossy(&body).into_owned())
}

const PING: &str = "GET /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[test]
fn the_url_comes_first_and_sigterm_ends_it() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&["--memory"]);
        assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
        // An idle connection does not hold up the end.
        let mut stream = server.connect();
        assert_eq!(exchange(&mut stream, PING).0, 200);
        let begin = Instant::now();
        server.signal(signal);
        assert_eq!(server.wait(), (Some(0), String::new(), String::new()));
        assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    }
}

#[test]
fn a_request_under_way_is_finished_after_sigterm() {
    let mut server = Server::start(&["--memory"]);
    let mut stream = server.connect();
    let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server sends this when it reads the body.
    let mut told = [0; 25];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(told, *b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"a").unwrap();
    server.signal(Signal::TERM);
    let begin = Instant::now();
    while TcpStream::connect(server.url.strip_prefix("http://").unwrap()).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it still takes connections");
        std::thread::sleep(Duration::from_millis(10));
    }
    stream.write_all(b"bc").unwrap();
    assert_eq!(answer(&mut stream).0, 201);
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn a_directory_is_served_and_read_only_is() {
    let backup = Backup::make();
    let server = Server::start(&["--root", &backup.root(), "--read-only"]);
    let mut stream = server.connect();
    let (status, head, _) =
        exchange(&mut stream, "GET /v2/quickstart/app/manifests/1.0 HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(status, 200);
    assert!(head.contains(backup.document["digest"].as_str().unwrap()), "{head}");
    let mut stream = server.connect();
    let upload = "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(exchange(&mut stream, upload).0, 405);
}

#[test]
fn deletes_are_off_unless_asked_for() {
    let delete = format!("DELETE /v2/a/blobs/sha256:{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "0".repeat(64));
    for (arguments, status) in [(&["--memory"][..], 405), (&["--memory", "--delete"], 404)] {
        let server = Server::start(arguments);
        assert_eq!(exchange(&mut server.connect(), &delete).0, status);
    }
}

/// Between its making and the change of its mode a socket's file has what the umask left: until then it may not listen.
#[test]
fn a_unix_socket_is_private_before_anybody_is_let_in() {
    let directory = TempDir::new().unwrap();
    let (path, log) = (directory.path().join("registry.sock"), directory.path().join("log"));
    let script = "umask 000 && exec strace -D -f -qq -e trace=bind,listen,/chmod -o \"$0\" \"$@\"";
    let traced = Command::new("sh")
        .args(["-c", script])
        .arg(&log)
        .args([env!("CARGO_BIN_EXE_plugin-registry"), "serve", "--memory", "--listen"])
        .arg(format!("unix:{}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    // The tracer is the grandchild: it ends with the server.
    let mut traced = traced.unwrap();
    let mut line = String::new();
    BufReader::new(traced.stdout.take().unwrap()).read_line(&mut line).unwrap();
    traced.kill().unwrap();
    let output = traced.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    if err.contains("not found") || err.contains("ptrace") {
        println!("SKIPPED: strace may not trace here: {err}");
        return;
    }
    assert!(line.starts_with("unix:"), "{line}{err}");
    let log = std::fs::read_to_string(&log).unwrap();
    let name = "registry.sock";
    let at = |what: &str, named: bool| {
        let position = log.lines().position(|line| line.contains(what) && (!named || line.contains(name)));
        position.unwrap_or_else(|| panic!("no {what}: {log}"))
    };
    assert!(at("bind(", true) < at("chmod", true) && at("chmod", true) < at("listen(", false), "{log}");
}

#[test]
fn a_unix_socket_is_private_and_goes_away() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("registry.sock");
    let address = format!("unix:{}", path.display());
    let mut server = Server::start(&["--memory", "--listen", &address]);
    assert_eq!(server.url, address);
    let metadata = std::fs::metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(exchange(&mut UnixStream::connect(&path).unwrap(), PING).0, 200);

    // Browsers do not reach a Unix socket, so a client may use any host name. A web page is still refused.
    let named = PING.replace("localhost", "registry.internal");
    assert_eq!(exchange(&mut UnixStream::connect(&path).unwrap(), &named).0, 200);
    let page = PING.replace("\r\n\r\n", "\r\nsec-fetch-site: cross-site\r\n\r\n");
    assert_eq!(exchange(&mut UnixStream::connect(&path).unwrap(), &page).0, 403);

    // A second one does not take it away.
    let mut second = Server::start(&["--memory", "--listen", &address]);
    let (code, _, err) = second.wait();
    assert_eq!(code, Some(1));
    assert!(err.contains("another process answers"), "{err}");

    server.signal(Signal::TERM);
    assert_eq!(server.wait().0, Some(0));
    assert!(!path.exists());
}

#[test]
fn a_stale_unix_socket_is_replaced() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("registry.sock");
    let address = format!("unix:{}", path.display());
    let mut killed = Server::start(&["--memory", "--listen", &address]);
    killed.signal(Signal::KILL);
    killed.wait();
    assert!(path.exists());
    let server = Server::start(&["--memory", "--listen", &address]);
    assert_eq!(exchange(&mut UnixStream::connect(&path).unwrap(), PING).0, 200);
    drop(server);
}

#[test]
fn another_address_than_loopback_is_warned_about() {
    let mut server = Server::start(&["--memory", "--listen", "0.0.0.0:0"]);
    assert!(server.url.starts_with("http://0.0.0.0:"), "{}", server.url);
    server.signal(Signal::TERM);
    let (code, _, err) = server.wait();
    assert_eq!(code, Some(0));
    assert!(err.contains("WARNING"), "{err}");
}

/// Wrong usage does nothing.
#[test]
fn a_wrong_address_is_found_before_anything_is_made() {
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("made");
    for address in ["nonsense", "127.0.0.1", "127.0.0.1:99999", ":5000", "unix:", ""] {
        let ran = run(["serve", "--listen", address, "--root", &root.display().to_string()]);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{address}: {ran:?}");
        assert!(ran.err.contains("--listen <ADDR>"), "{address}: {ran:?}");
        assert!(!root.exists(), "{address}");
    }
}

#[test]
fn writing_without_fsync_says_so() {
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("made").display().to_string();
    let mut server = Server::start(&["--root", &root, "--no-durable"]);
    server.signal(Signal::TERM);
    let (code, _, err) = server.wait();
    assert_eq!(code, Some(0));
    assert!(err.contains("--no-durable"), "{err}");
}
