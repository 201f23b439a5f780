//! A token service, and the token of a pod.

#![allow(clippy::disallowed_methods, reason = "it listens, on loopback")]

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use plugin_registry_core::Secret;
use plugin_registry_drivers_s3::S3Credentials;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/velero";

/// Notes whatever is sent to it.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    answer: Answer,
}

/// The status and the document of the answers to come; none says that the request is a bad one.
type Answer = Arc<Mutex<Option<(&'static str, String)>>>;

impl Listener {
    /// Answers with this document, or that the request is a bad one.
    pub(crate) async fn start(answer: Option<String>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, heard) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<_>>>::default());
        let answer: Answer = Arc::new(Mutex::new(answer.map(|answer| ("200 OK", answer))));
        let (all, given) = (heard.clone(), answer.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, given.clone(), all.clone()));
            }
        });
        Self { address, heard, answer }
    }

    /// Answers with this status and document from now on.
    #[allow(dead_code, reason = "not all tests that share this have a service that fails")]
    pub(crate) fn turn(&self, status: &'static str, document: impl Into<String>) {
        *self.answer.lock().unwrap() = Some((status, document.into()));
    }

    /// A token service, whose keys are renewed before each request.
    pub(crate) async fn sts() -> Self {
        Self::sts_until("2020-01-01T00:00:00Z").await
    }

    /// A token service, whose keys end then.
    pub(crate) async fn sts_until(end: &str) -> Self {
        let keys = format!(
            "<Credentials><AccessKeyId>role-key</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>\
             <SessionToken>role-token</SessionToken><Expiration>{end}</Expiration></Credentials>"
        );
        let of = |name: &str| {
            format!(
                "<{name}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{name}Result>{keys}</{name}Result></{name}Response>"
            )
        };
        // The clients look for the element that belongs to their request.
        Self::start(Some(of("AssumeRoleNAME"))).await
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn serve(mut client: TcpStream, answer: Answer, heard: Arc<Mutex<Vec<String>>>) {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let Ok(byte) = client.read_u8().await else { return };
            request.push(byte);
        }
        let head = String::from_utf8_lossy(&request).to_lowercase();
        let length =
            head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        client.read_exact(&mut body).await.unwrap();
        request.extend(body);
        let text = String::from_utf8_lossy(&request).into_owned();
        let name = if text.contains("AssumeRoleWithWebIdentity") { "WithWebIdentity" } else { "" };
        heard.lock().unwrap().push(text);
        let (status, body) = match &*answer.lock().unwrap() {
            Some((status, answer)) => (*status, answer.replace("NAME", name)),
            None => ("400 Bad Request", String::new()),
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        client.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// A token, as it is mounted.
pub(crate) struct TokenFile {
    pub(crate) directory: TempDir,
    pub(crate) path: PathBuf,
}

impl TokenFile {
    pub(crate) fn new(token: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, token).unwrap();
        Self { directory, path }
    }

    /// As OADP writes it.
    pub(crate) fn profile(&self, more: &str) -> String {
        format!(
            "[default]\nsts_regional_endpoints = regional\nrole_arn = {ROLE}\nweb_identity_token_file = {}\n{more}",
            self.path.display()
        )
    }

    /// Both forms of credentials.
    pub(crate) fn forms(&self, text: &str) -> [S3Credentials; 2] {
        let path = self.directory.path().join("cloud");
        fs::write(&path, text).unwrap();
        [
            S3Credentials::Text { text: Secret::new(text), profile: None },
            S3Credentials::File { path, profile: Some("default".to_owned()) },
        ]
    }
}
