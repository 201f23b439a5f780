//! `serve` and a real browser on the same machine: pages of other sites, and one whose name was made to lead to the
//! registry (DNS rebinding).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test harness: a failed check is a panic of the test; the pages need a server"
)]

mod common;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use common::server::Server;
use plugin_registry_conformance::report;
use plugin_registry_core::Digest;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// How long the browser may take, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(180);
const INDEX: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
const OTHER: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"a":"b"}}"#;

/// Each page sends a request and reports the result: a status and a text, `opaque` for an answer that it may
/// not read, or `failed`.
const SCRIPT: &str = r#"<!doctype html><title>page</title><body><script>
const INDEX = 'application/vnd.oci.image.index.v1+json';
async function ask(url, options) {
  try {
    const answer = await fetch(url, options);
    return answer.type === 'opaque' ? 'opaque' : answer.status + ' ' + await answer.text();
  } catch (error) { return 'failed'; }
}
async function main() {
  const told = [];
  for (const [url, options] of ASKED) told.push(await ask(url, options));
  // Not on a connection that was passed on.
  await fetch('http://told.test:PORT/told/NAME', { method: 'POST', mode: 'no-cors', body: told.join('\n') });
}
main();
</script>FRAMES</body>"#;

/// A browser, ended with its children.
struct Browser {
    child: Child,
    _profile: TempDir,
}

impl Browser {
    /// Opens a page; `*.test` is this machine, and nothing else is anywhere.
    fn open(url: &str) -> io::Result<Self> {
        let profile = TempDir::new()?;
        let log = File::create(profile.path().join("log"))?;
        let child = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--no-proxy-server", "--disable-background-networking", "--disable-component-update"])
            .args(["--disable-sync", "--disable-extensions", "--mute-audio"])
            .arg("--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable")
            .arg(
                "--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
            )
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("--remote-debugging-port=0")
            .arg(url)
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        Ok(Self { child, _profile: profile })
    }

    fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Serves pages by their paths, receives their reports, and passes everything below `/v2/` on to the
/// registry, byte by byte. That is what a browser sends there once a name leads to the registry.
struct Pages {
    port: u16,
    pages: BTreeMap<String, String>,
    registry: String,
    told: Sender<(String, String)>,
}

impl Pages {
    fn serve(self, listener: TcpListener) {
        thread::scope(|scope| {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                scope.spawn(|| drop(self.answer(stream)));
            }
        });
    }

    /// One request; the connection ends with it.
    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut request = Vec::new();
        let end = loop {
            if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let mut piece = [0; 4096];
            match stream.read(&mut piece)? {
                0 => return Ok(()),
                read => request.extend_from_slice(&piece[..read]),
            }
        };
        let head = String::from_utf8_lossy(&request[..end]).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default();
        if path.starts_with("/v2/") {
            return pass_on(stream, &request, &self.registry);
        }
        let mut body = String::new();
        if let Some(page) = path.strip_prefix("/told/") {
            let lower = head.to_lowercase();
            let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
            let mut rest = request.split_off(end);
            let missing = length.unwrap().parse::<usize>().unwrap() - rest.len();
            (&mut stream).take(missing as u64).read_to_end(&mut rest)?;
            let _ = self.told.send((page.to_owned(), String::from_utf8_lossy(&rest).into_owned()));
        } else if let Some(page) = self.pages.get(path) {
            body = page.replace("PORT", &self.port.to_string());
        }
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

fn pass_on(mut browser: TcpStream, request: &[u8], registry: &str) -> io::Result<()> {
    let mut server = TcpStream::connect(registry)?;
    server.write_all(request)?;
    let (mut from, mut to) = (browser.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut server, &mut browser);
    let _ = browser.shutdown(Shutdown::Both);
    Ok(())
}

fn page(name: &str, asked: &[String], frames: &[&str]) -> (String, String) {
    let frames: String = frames.iter().map(|url| format!("<iframe src='{url}'></iframe>")).collect();
    let text = SCRIPT
        .replace("ASKED", &format!("[{}]", asked.join(",")))
        .replace("NAME", name)
        .replace("FRAMES", &frames);
    (format!("/{name}"), text)
}

fn exchange(server: &Server, request: &str) -> String {
    let mut stream = server.connect();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(server: &Server, path: &str) -> String {
    exchange(server, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
}

/// Waits for the reports of all pages.
fn wait(told: &Receiver<(String, String)>, browser: &mut Browser, pages: usize) -> BTreeMap<String, String> {
    let begin = Instant::now();
    let mut found = BTreeMap::new();
    while found.len() < pages {
        found.extend(told.recv_timeout(Duration::from_millis(100)));
        assert!(begin.elapsed() < PATIENCE, "the browser told only {found:?}");
        assert!(browser.is_alive(), "the browser ended; it told only {found:?}");
    }
    found
}

#[test]
fn a_page_in_a_browser_reaches_nothing() {
    let is_there =
        Command::new("chromium").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !is_there.is_ok_and(|status| status.success()) {
        report::skip(
            "browser",
            "a_page_in_a_browser_reaches_nothing",
            "no chromium; ./test installs it",
            "serve",
        );
        return;
    }
    let server = Server::start(&["--memory", "--delete"]);
    let put = format!(
        "PUT /v2/a/manifests/latest HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/vnd.oci.image.index.v1+json\r\ncontent-length: {}\r\n\r\n{INDEX}",
        INDEX.len()
    );
    assert!(exchange(&server, &put).starts_with("HTTP/1.1 201"));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let registry = server.url.strip_prefix("http://").unwrap().to_owned();
    let local = registry.replace("127.0.0.1", "localhost");
    let post = |base: &str, text: &str, mode: &str| {
        let target = format!("{base}/v2/a/blobs/uploads/?digest={}", Digest::sha256(text.as_bytes()));
        format!("['{target}', {{method: 'POST', mode: '{mode}', body: '{text}'}}]")
    };
    let image = format!("/v2/a/manifests/{}", Digest::sha256(INDEX.as_bytes()));
    // The requests of the page of another site, the page of another port, and the page under a name for the
    // registry.
    let cross = [
        post(&format!("http://{registry}"), "cross", "no-cors"),
        post(&format!("http://{registry}"), "cross with cors", "cors"),
        format!("['http://{registry}/v2/_catalog', {{mode: 'no-cors'}}]"),
    ];
    let near = [
        post(&format!("http://{local}"), "near", "no-cors"),
        format!("['http://{local}/v2/_catalog', {{mode: 'no-cors'}}]"),
    ];
    let rebound = [
        "['/v2/_catalog']".to_owned(),
        "['/v2/a/manifests/latest']".to_owned(),
        post("", "rebound", "same-origin"),
        format!(
            "['/v2/a/manifests/new', {{method: 'PUT', body: '{OTHER}', headers: {{'content-type': INDEX}}}}]"
        ),
        format!("['{image}', {{method: 'DELETE'}}]"),
    ];
    let frames = ["http://localhost:PORT/near", "http://rebound.test:PORT/rebound"];
    let pages = [page("cross", &cross, &frames), page("near", &near, &[]), page("rebound", &rebound, &[])];
    let (sender, told) = channel();
    let pages = Pages { port, pages: pages.into(), registry, told: sender };
    thread::spawn(move || pages.serve(listener));
    let mut browser = Browser::open(&format!("http://page.test:{port}/cross")).unwrap();
    let told = wait(&told, &mut browser, 3);
    drop(browser);

    // The browser did send them, and got an answer that a page may not read.
    assert_eq!(told["cross"].lines().collect::<Vec<_>>(), ["opaque", "failed", "opaque"], "{told:?}");
    assert_eq!(told["near"].lines().collect::<Vec<_>>(), ["opaque", "opaque"], "{told:?}");
    let refusals = told["rebound"].lines().filter(|line| !line.is_empty());
    assert!(refusals.clone().all(|line| line.starts_with("403 ") && line.contains("DENIED")), "{told:?}");
    assert_eq!(refusals.count(), rebound.len(), "{told:?}");
    for text in ["cross", "cross with cors", "near", "rebound"] {
        let blob = get(&server, &format!("/v2/a/blobs/{}", Digest::sha256(text.as_bytes())));
        assert!(blob.starts_with("HTTP/1.1 404"), "{text}: {blob}");
    }
    assert!(get(&server, "/v2/a/manifests/new").starts_with("HTTP/1.1 404"));
    assert!(get(&server, "/v2/a/manifests/latest").ends_with(INDEX));
}
