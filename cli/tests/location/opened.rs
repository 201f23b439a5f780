//! What the command opens: the files that are passed and those of every program, and no other, whatever is written in
//! them and in the environment. Seen by strace.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use plugin_registry_conformance::report;
use plugin_registry_emulator::s3::Server;

use crate::{Files, common::command, profile};

/// What any program opens: libraries, the machine, names of hosts, the system's certificates, its own parts in `/proc`.
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

/// Runs a command under strace, in an environment that leads elsewhere. The files that it tried to open or to run.
fn opened(files: &Files, arguments: &[&str]) -> Option<(BTreeSet<String>, String)> {
    let log = files.path("strace");
    let program = command().get_program().to_owned();
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
    strace.arg(&program).args(arguments).env_clear();
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
    let mut paths = BTreeSet::new();
    for line in fs::read_to_string(&log).unwrap().lines() {
        let Some(path) = line.split('"').nth(1) else { continue };
        let is_own = Path::new(path) == Path::new(&program);
        if !is_own && !ANY.iter().any(|any| path.starts_with(any)) {
            paths.insert(path.to_owned());
        }
    }
    Some((paths, said))
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
    let made = command().args(["quickstart"]).args(by_content).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    for from in [&by_content[..], &["--env-file", &by_path]] {
        let passed: BTreeSet<String> = from
            .iter()
            .filter(|text| !text.starts_with("--"))
            .map(|text| (*text).to_owned())
            .chain([cloud.clone()])
            .collect();
        for command in COMMANDS {
            let arguments: Vec<&str> = command.iter().chain(from).copied().collect();
            server.forget();
            let Some((paths, said)) = opened(&files, &arguments) else { return };
            let strangers: Vec<_> = paths.difference(&passed).collect();
            assert!(strangers.is_empty(), "{arguments:?} opened {strangers:?}\n{said}");
            assert!(
                paths.contains(&cloud) || (from.len() == 2 && command.ends_with(&["show"])),
                "{arguments:?} {paths:?}"
            );
            assert!(server.count() > 0 || command.ends_with(&["show"]), "{arguments:?}: {said}");
        }
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
