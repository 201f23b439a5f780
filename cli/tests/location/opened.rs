//! The command opens the files that are passed and those of every program, and no others, whatever they and
//! the environment contain. Checked with strace.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use plugin_registry_conformance::report;
use plugin_registry_emulator::s3::Server;
use rustix::process::{Pid, Signal, kill_process};

use crate::{Files, common::command, profile};

/// Files that any program opens: libraries, machine settings, host names, the system's certificates, its own
/// entries in `/proc`.
const ANY: &[&str] = &[
    "/lib",
    "/usr/lib",
    "/etc/ld.so",
    "/sys/",
    "/dev/null",
    "/dev/urandom",
    "/proc/self/maps",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/proc/self/exe",
    "/proc/self/task",
    "/proc/self/fd",
    "/proc/self/auxv",
    "/proc/stat",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/sys",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/etc/ssl",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/etc/pki",
    "/etc/ca-certificates",
];

/// A command under strace, in an environment that leads elsewhere, and the log of its system calls.
fn traced(files: &Files, arguments: &[&str]) -> (Command, String) {
    let log = files.path("strace");
    let home = files.path("home");
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "-qq",
        "-y",
        "-s",
        "4096",
        "-e",
        "trace=open,openat,openat2,execve,readlink,readlinkat",
        "-o",
        &log,
    ]);
    strace.arg(command().get_program()).args(arguments).env_clear();
    for (name, value) in [
        ("HOME", home.clone()),
        ("PATH", "/usr/bin:/bin".to_owned()),
        ("AWS_ACCESS_KEY_ID", "leaked".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "leaked".to_owned()),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9".to_owned()),
        ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9".to_owned()),
        ("AWS_PROFILE", "leaked".to_owned()),
        ("AWS_CONFIG_FILE", format!("{home}/.aws/config")),
        ("AWS_SHARED_CREDENTIALS_FILE", format!("{home}/.aws/credentials")),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", format!("{home}/token")),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/leaked".to_owned()),
        ("AWS_CA_BUNDLE", format!("{home}/ca.pem")),
    ] {
        strace.env(name, value);
    }
    (strace, log)
}

/// Runs a command under strace. The files that it tried to open or to run, and what it said; `None`, and a counted
/// skip, where nothing can be traced.
fn opened(files: &Files, arguments: &[&str]) -> Option<(BTreeSet<String>, String)> {
    let (mut strace, log) = traced(files, arguments);
    let output = match strace.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            report::skip("cli", "opened", "strace is not installed", "location");
            return None;
        }
        output => output.unwrap(),
    };
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if said.contains("strace: ") && said.contains("ptrace") {
        report::skip("cli", "opened", "strace may not trace here", "location");
        return None;
    }
    Some((paths(&log), said))
}

/// The files in the log, except for those that any program opens.
fn paths(log: &str) -> BTreeSet<String> {
    let program = command().get_program().to_owned();
    let mut paths = BTreeSet::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let mut parts = line.split('"');
        let (Some(before), Some(path)) = (parts.next(), parts.next()) else { continue };
        // One that is relative is so to the directory that stands before it: `openat(9</directory>, "file"`.
        let directory =
            before.split_once('<').and_then(|(_, rest)| rest.rsplit_once('>')).map(|(path, _)| path);
        let path = Path::new(directory.unwrap_or_default()).join(path);
        if path != Path::new(&program) && !ANY.iter().any(|any| path.to_string_lossy().starts_with(any)) {
            paths.insert(path.display().to_string());
        }
    }
    paths
}

/// Traces `serve`, from its start to its end by a signal, with one request between them. The files that it tried to open,
/// and what it answered.
fn opened_by_serve(files: &Files, from: &[&str]) -> (BTreeSet<String>, String) {
    let arguments = ["serve", "--log", "trace"].iter().chain(from).copied().collect::<Vec<_>>();
    let (mut strace, log) = traced(files, &arguments);
    let mut running = Running(strace.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    // It writes at TRACE whether its output is read or not.
    let mut stderr = running.0.stderr.take().unwrap();
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut url = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let mut answer = String::new();
    if let Some(address) = url.trim_end().strip_prefix("http://") {
        let mut stream = TcpStream::connect(address).unwrap();
        let request =
            "GET /v2/quickstart/app/tags/list HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_to_string(&mut answer).unwrap();
        let tracer = running.0.id();
        let children = fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap();
        let child = children.split_whitespace().next().unwrap().parse().ok().and_then(Pid::from_raw);
        kill_process(child.unwrap(), Signal::TERM).unwrap();
    }
    let status = running.0.wait().unwrap();
    let errors = errors.join().unwrap();
    assert!(status.success() && !url.is_empty(), "{status}: {errors}");
    (paths(&log), answer)
}

/// Killed when a test ends before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A home that would say where keys are.
fn home(files: &Files) {
    fs::create_dir_all(files.path("home/.aws")).unwrap();
    for name in ["home/.aws/config", "home/.aws/credentials", "home/token", "home/ca.pem", "stranger"] {
        files.write(name, profile("leaked", "leaked"));
    }
}

const COMMANDS: &[&[&str]] = &[
    &["ls"],
    &["tags", "quickstart/app"],
    &["inspect", "quickstart/app:1.0"],
    &["verify", "--all"],
    &["purge", "--dry-run"],
    &["rm", "quickstart/app:gone"],
    &["location", "check"],
    &["location", "check", "--read-only"],
    &["location", "show"],
];

/// Keys in the location's Secret, and the same in a file that the driver reads.
#[test]
fn only_what_is_passed() {
    let (server, files) = (Server::start(), Files::new());
    home(&files);
    let location = files.location("aws", server.bucket(), &server.endpoint());
    let cloud = files.cloud(&server.access_key(), &server.secret_key());
    let env = files.write("r.env", "REGISTRY_STORAGE_S3_MAXATTEMPTS=1\n");
    let by_path = files.write(
        "path.env",
        format!(
            "REGISTRY_STORAGE=s3\nREGISTRY_STORAGE_S3_BUCKET={}\nREGISTRY_STORAGE_S3_REGIONENDPOINT={}\n\
             REGISTRY_STORAGE_S3_CREDENTIALSCONFIGPATH={cloud}\nREGISTRY_STORAGE_S3_MAXATTEMPTS=1\n",
            server.bucket(),
            server.endpoint()
        ),
    );
    let by_content = ["--location", &location, "--credentials", &cloud, "--env-file", &env];
    let mut quickstart = command();
    quickstart
        .args(["quickstart", "--yes", "--format", "json"])
        .args(by_content)
        .env("TMPDIR", files.path("."));
    let made = quickstart.output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let image = made["image"].as_str().unwrap();
    let (copied, into) = (files.path("copied"), format!("oci:{image}:1.0"));
    let out_of = format!("oci:{copied}:1.0");
    let copies = [
        ["copy", &into, "registry:copied/app:1.0", "--quiet"],
        ["copy", "registry:quickstart/app:1.0", &out_of, "--quiet"],
    ];
    let commands: Vec<&[&str]> =
        COMMANDS.iter().copied().chain(copies.iter().map(|copy| &copy[..])).collect();
    for from in [&by_content[..], &["--env-file", &by_path]] {
        let passed: BTreeSet<String> = from
            .iter()
            .filter(|text| !text.starts_with("--"))
            .map(|text| (*text).to_owned())
            .chain([cloud.clone()])
            .collect();
        for command in &commands {
            let arguments: Vec<&str> = command.iter().chain(from).copied().collect();
            server.forget();
            let Some((paths, said)) = opened(&files, &arguments) else { return };
            // The files of a layout are its directory and everything below it.
            let is_of = |path: &str, layout: &str| Path::new(path).starts_with(layout);
            // One that is made is made in the directory above it.
            let above = files.path("");
            let is_of_layout = |path: &str| {
                let is_copy = command[0] == "copy" && (is_of(path, image) || is_of(path, &copied));
                is_copy || (command.contains(&out_of.as_str()) && Path::new(path) == Path::new(&above))
            };
            let strangers: Vec<_> = paths.difference(&passed).filter(|path| !is_of_layout(path)).collect();
            assert!(strangers.is_empty(), "{arguments:?} opened {strangers:?}\n{said}");
            if command[0] == "copy" {
                assert!(paths.iter().any(|path| is_of_layout(path)), "{arguments:?} {paths:?}\n{said}");
            }
            assert!(
                paths.contains(&cloud) || (from.len() == 2 && command.ends_with(&["show"])),
                "{arguments:?} {paths:?}"
            );
            assert!(server.count() > 0 || command.ends_with(&["show"]), "{arguments:?}: {said}");
        }
        server.forget();
        let (paths, answer) = opened_by_serve(&files, from);
        let strangers: Vec<_> = paths.difference(&passed).collect();
        assert!(strangers.is_empty() && paths.contains(&cloud), "serve opened {strangers:?}");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(r#"["1.0"]"#), "{answer}");
        assert!(server.count() > 0);
        fs::remove_dir_all(&copied).unwrap();
    }
}

/// A Secret that names files, programs and endpoints: nothing of it is touched, in both forms.
#[test]
fn a_secret_is_not_obeyed() {
    let (server, files) = (Server::start(), Files::new());
    home(&files);
    let (stranger, made) = (files.path("stranger"), files.path("made"));
    let location = files.location("aws", server.bucket(), &server.endpoint());
    let role = "role_arn = arn:aws:iam::1:role/r\n";
    for (property, key) in [
        (format!("{role}web_identity_token_file = {stranger}\n"), "web_identity_token_file"),
        (
            format!("{role}web_identity_token_file = {stranger}\nendpoint_url = http://127.0.0.1:9\n"),
            "endpoint_url",
        ),
        (format!("credential_process = /usr/bin/touch {made}\n"), "credential_process"),
        (format!("ca_bundle = {stranger}\n"), "ca_bundle"),
        (format!("{role}credential_source = Environment\n"), "credential_source"),
        ("sso_session = leaked\n".to_owned(), "sso_session"),
    ] {
        // Keys beside a role sign, and a token file beside them is not looked at.
        let keys = match key {
            "web_identity_token_file" => "[default]\n".to_owned(),
            _ => profile(&server.access_key(), &server.secret_key()),
        };
        let text = keys + &property;
        let cloud = files.write("cloud", text);
        let by_path = files.write(
            "path.env",
            format!(
                "REGISTRY_STORAGE=s3\nREGISTRY_STORAGE_S3_BUCKET={}\nREGISTRY_STORAGE_S3_REGIONENDPOINT={}\n\
                 REGISTRY_STORAGE_S3_CREDENTIALSCONFIGPATH={cloud}\nREGISTRY_STORAGE_S3_MAXATTEMPTS=1\n",
                server.bucket(),
                server.endpoint()
            ),
        );
        for from in
            [&["--location", location.as_str(), "--credentials", &cloud][..], &["--env-file", &by_path]]
        {
            let arguments: Vec<&str> = ["ls"].iter().chain(from).copied().collect();
            let Some((paths, said)) = opened(&files, &arguments) else { return };
            let passed = [location.as_str(), &cloud, &by_path];
            let strangers: Vec<_> = paths.iter().filter(|path| !passed.contains(&path.as_str())).collect();
            assert!(strangers.is_empty() && !Path::new(&made).exists(), "{key}: opened {strangers:?}");
            assert!(said.contains(&format!("`{key}`")), "{key}: {said}");
            assert_eq!(server.count(), 0, "{key}");
        }
    }
}
