//! No output of any command contains keys, whatever the store answers to them.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Output, Stdio},
    thread,
};

use plugin_registry_emulator::s3::{Fault, Kind, Server};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Files, NOBODY,
    common::{Backup, command},
    profile,
};

const ACCESS: &str = "AKIACANARYACCESSSPOKEN";
const SECRET: &str = "canary-secret/0f1c+spoken";
const TOKEN: &str = "canary-token/71aa+spoken==";

/// The store's answer to the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    Answers,
    KnowsAnotherSecret,
    KnowsOtherKeys,
    SaysThatTheyExpired,
    ForbidsAll,
    Fails,
    SpeaksNoTls,
    IsDown,
}

/// Where the keys come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Secret,
    Variables,
    Process,
}

/// The command in a process with its own credentials file, or without one.
fn within(environment: Option<&str>) -> Command {
    let mut command = command();
    if let Some(file) = environment {
        command.env("AWS_SHARED_CREDENTIALS_FILE", file).env("AWS_CONFIG_FILE", file);
        command.env("AWS_EC2_METADATA_DISABLED", "true");
    }
    command
}

/// A store that answers, as yet.
fn started() -> Server {
    let server = Server::start();
    server.rotate_session(ACCESS, SECRET, TOKEN);
    server
}

fn change(server: &Server, store: Store) {
    match store {
        Store::KnowsAnotherSecret => server.rotate_session(ACCESS, "another", TOKEN),
        Store::KnowsOtherKeys => server.rotate_keys("other", "another"),
        Store::SaysThatTheyExpired => server.expire_keys(),
        Store::ForbidsAll => {
            for operation in
                ["GetObject", "HeadObject", "ListObjectsV2", "PutObject", "CopyObject", "DeleteObject"]
            {
                server.deny(operation);
            }
        }
        Store::Fails => server.fault(Fault::new(Kind::error(500, "InternalError")).forever()),
        Store::Answers | Store::SpeaksNoTls | Store::IsDown => {}
    }
}

/// All output of the commands, and how many of them failed.
fn said(arguments: &[&str], environment: Option<&str>, layout: &str, out: &str) -> (String, Vec<String>) {
    let (into, out_of) = (format!("oci:{layout}:1.0"), format!("oci:{out}:1.0"));
    let lines: &[&[&str]] = &[
        &["copy", &into, "registry:ns/app:1.0"],
        &["ls"],
        &["tags", "ns/app"],
        &["inspect", "ns/app:1.0"],
        &["copy", "registry:ns/app:1.0", &out_of],
        &["verify", "--all"],
        &["purge", "--dry-run"],
        &["purge", "--older-than", "1h", "--format", "json"],
        &["location", "check"],
        &["location", "check", "--read-only", "--format", "json"],
        &["location", "show"],
        &["location", "show", "--format", "json"],
        &["rm", "ns/app:1.0"],
    ];
    let (mut said, mut failed) = (String::new(), Vec::new());
    for line in lines {
        let mut run = within(environment);
        let Output { status, stdout, stderr } = run.args(*line).args(arguments).output().unwrap();
        if !status.success() {
            failed.push(line.join(" "));
        }
        let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        said += &format!("$ {}\n{out}{err}", line.join(" "));
    }
    (said, failed)
}

/// Killed when a test ends before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `serve` logs at TRACE about a push, a list and a pull, and what it answers. The store changes once it listens.
fn served(arguments: &[&str], environment: Option<&str>, server: &Server, store: Store) -> String {
    let mut serve = within(environment);
    serve.args(["serve", "--log", "trace"]).args(arguments);
    let mut running = Running(serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    // It logs whether its output is read or not.
    let mut stderr = running.0.stderr.take().unwrap();
    let log = thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut stdout = running.0.stdout.take().unwrap();
    let mut said = String::new();
    let mut byte = [0];
    while !said.ends_with('\n') && stdout.read(&mut byte).unwrap() == 1 {
        said.push(char::from(byte[0]));
    }
    if let Some(address) = said.clone().trim_end().strip_prefix("http://") {
        change(server, store);
        let blob = "blob";
        let digest = "sha256:fa2c8cc4f28176bbeed4b736df569a34c79cd3723e9ec42f9674b4d46ac6b8b8";
        let push = format!("POST /v2/ns/app/blobs/uploads/?digest={digest}");
        for (line, body) in [
            (push.as_str(), blob),
            ("POST /v2/ns/app/blobs/uploads/", ""),
            ("GET /v2/ns/app/tags/list", ""),
            ("GET /v2/_catalog", ""),
            ("GET /v2/ns/app/manifests/1.0", ""),
            ("PUT /v2/ns/app/manifests/2.0", "{}"),
        ] {
            let mut stream = TcpStream::connect(address).unwrap();
            let request = format!(
                "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 "), "{line}");
            said += &format!("$ {line}\n{}\n", String::from_utf8_lossy(&answer));
        }
        kill_process(Pid::from_child(&running.0), Signal::TERM).unwrap();
    }
    running.0.wait().unwrap();
    said + &log.join().unwrap()
}

#[test]
fn by_no_command_whatever_the_store_answers() {
    let backup = Backup::make();
    let layout = backup.image().display().to_string();
    for store in [
        Store::Answers,
        Store::KnowsAnotherSecret,
        Store::KnowsOtherKeys,
        Store::SaysThatTheyExpired,
        Store::ForbidsAll,
        Store::Fails,
        Store::SpeaksNoTls,
        Store::IsDown,
    ] {
        for form in [Form::Secret, Form::Variables, Form::Process] {
            let server = started();
            let files = Files::new();
            let endpoint = match store {
                Store::SpeaksNoTls => server.endpoint().replace("http:", "https:"),
                Store::IsDown => NOBODY.to_owned(),
                _ => server.endpoint(),
            };
            let text = format!("{}aws_session_token = {TOKEN}\n", profile(ACCESS, SECRET));
            let cloud = files.write("cloud", text);
            let from = if form == Form::Secret {
                let location = files.location("aws", server.bucket(), &endpoint);
                let quick = files.write("quick.env", "REGISTRY_STORAGE_S3_MAXATTEMPTS=1\n");
                vec![
                    "--location".to_owned(),
                    location,
                    "--credentials".into(),
                    cloud.clone(),
                    "--env-file".into(),
                    quick,
                ]
            } else {
                let mut variables = format!(
                    "REGISTRY_STORAGE=s3\nREGISTRY_STORAGE_S3_BUCKET={}\n\
                     REGISTRY_STORAGE_S3_REGIONENDPOINT={endpoint}\nREGISTRY_STORAGE_S3_MAXATTEMPTS=1\n",
                    server.bucket()
                );
                if form == Form::Variables {
                    variables += &format!(
                        "REGISTRY_STORAGE_S3_ACCESSKEY={ACCESS}\nREGISTRY_STORAGE_S3_SECRETKEY={SECRET}\n\
                         REGISTRY_STORAGE_S3_SESSIONTOKEN={TOKEN}\n"
                    );
                }
                vec!["--env-file".to_owned(), files.write("keys.env", variables)]
            };
            let from: Vec<&str> = from.iter().map(String::as_str).collect();
            // The chain of the SDK reads the environment of the process.
            let environment = (form == Form::Process).then_some(cloud.as_str());
            let log = served(&from, environment, &server, store);
            // A store that cannot be reached is reported before anything is logged.
            let is_reached = !matches!(store, Store::SpeaksNoTls | Store::IsDown);
            assert_eq!(log.contains(" TRACE "), is_reached, "{store:?}: {log}");
            change(&server, store);
            let (all, failed) = said(&from, environment, &layout, &files.path("out"));
            for canary in [ACCESS, SECRET, TOKEN, "canary", "CANARY"] {
                let line = all.lines().chain(log.lines()).find(|line| line.contains(canary));
                assert_eq!(line, None, "{store:?} {from:?}: {canary}");
            }
            println!("{store:?} {form:?}: {} lines, {} commands failed", log.lines().count(), failed.len());
            // The failures have to be the intended ones.
            if store == Store::Answers {
                assert!(failed.is_empty(), "{failed:?}\n{all}");
                assert!(server.count() > 50, "{}", server.count());
            } else {
                assert!(failed.len() >= 10, "{store:?}: {failed:?}\n{all}");
            }
        }
    }
}
