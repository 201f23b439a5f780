//! Secrets are in no line of any log: canaries at TRACE of every crate in the process, through what succeeds and what
//! fails. Runs in its own process, since a log level is per process.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test harness: a failed check is a panic"
)]

mod common;

use std::{
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use common::sts::{Listener, TokenFile};
use futures::{TryStreamExt, stream};
use plugin_registry::Registry;
use plugin_registry_conformance::registry::fixture::content;
use plugin_registry_core::{ByteRange, Descriptor, MediaType, Secret, StorageDriver};
use plugin_registry_drivers_s3::{AccessKeys, S3Config, S3Credentials, S3Driver};
use plugin_registry_emulator::s3::{Fault, Kind, Server};
use tracing::Level;

const ACCESS: &str = "AKIACANARY";
const SECRET: &str = "canary-secret-7f3a";
const TOKEN: &str = "canary-token-91bc";
const PASSWORD: &str = "canary-password-c4d2";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn canaries(server: &Server) -> S3Config {
    server.rotate_session(ACCESS, SECRET, TOKEN);
    let keys =
        AccessKeys::new(Secret::new(ACCESS), Secret::new(SECRET)).with_session_token(Secret::new(TOKEN));
    common::of_server(server).with_credentials(S3Credentials::AccessKeys(keys)).with_max_attempts(2)
}

/// Everything that a registry does with a store, whatever comes of it.
async fn use_everything(registry: &Registry, seed: u64) {
    let repository = registry.repository("ns/app".parse().unwrap());
    let blob = content(seed, 12 << 20);
    let descriptor = Descriptor::of(MediaType::ImageLayer, &blob);
    let pieces = || stream::iter([Ok::<_, io::Error>(blob.clone())]);
    let _ = repository.blobs().push(&descriptor, pieces()).await;
    if let Ok(reader) = repository.blobs().open(&descriptor.digest, ByteRange::full()).await {
        let _: Result<Vec<Bytes>, _> = reader.into_stream().try_collect().await;
    }
    let session = repository.uploads().start().unwrap();
    let _ = session.append(Some(0), None, pieces()).await;
    let _ = session.finish(None, None, &descriptor.digest, stream::empty::<io::Result<Bytes>>()).await;
    let _ = repository.manifests().exists(&"none".parse().unwrap()).await;
    let _ = repository.tags().list(None, 10).await;
    let _ = registry.catalog(None, 10).await;
    let _ = registry.purge_uploads(std::time::Duration::ZERO, false).await;
    let _ = plugin_registry_locations::probe(registry).await;
    let path = "/f".parse().unwrap();
    let _ = registry.driver().redirect_url(&path, &http::Method::GET).await;
}

#[tokio::test]
async fn no_line_of_any_crate_tells_a_secret() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let server = Server::start();
    let driver = S3Driver::open(canaries(&server)).await.unwrap();
    let registry = Registry::builder(driver).delete(true).build();
    use_everything(&registry, 1).await;
    let faults = [
        Kind::error(500, "InternalError"),
        Kind::access_denied(),
        Kind::forbidden_without_code(),
        Kind::expired_token(),
        Kind::time_skewed(),
        Kind::error(403, "SignatureDoesNotMatch"),
        Kind::error(403, "InvalidAccessKeyId"),
    ];
    for (kind, seed) in faults.into_iter().zip(10..) {
        server.fault(Fault::new(kind).forever());
        use_everything(&registry, seed).await;
        server.clear_faults();
    }
    // No server is there; a proxy with a password is not there either.
    let nowhere = canaries(&server).with_endpoint("http://127.0.0.1:1".parse().unwrap());
    let proxied = canaries(&server).with_proxy(Secret::new(format!("http://user:{PASSWORD}@127.0.0.1:1")));
    for config in [nowhere, proxied] {
        let registry = Registry::builder(S3Driver::open(config).await.unwrap()).build();
        use_everything(&registry, 2).await;
    }

    // A role, which the token service gives or refuses; and one that keys ask for.
    let token = TokenFile::new("canary-identity-2b7f");
    let base = "[default]\nrole_arn = r\naws_access_key_id = a\naws_secret_access_key = canary-base-90aa\n";
    for text in [token.profile(""), base.to_owned()] {
        for credentials in token.forms(&text) {
            for sts in [Listener::sts().await, Listener::start(None).await] {
                let config = common::of_server(&server)
                    .with_credentials(credentials.clone())
                    .with_token_files(vec![token.path.clone()])
                    .with_sts_endpoint(format!("http://{}", sts.address).parse().unwrap());
                server.rotate_session("role-key", "role-secret", "role-token");
                let registry = Registry::builder(S3Driver::open(config).await.unwrap()).build();
                let _ = registry.catalog(None, 10).await;
                assert!(!sts.heard().is_empty());
            }
        }
    }

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    // The server of the test says what it gets.
    let is_ours = |line: &&str| ![" s3s::", " s3s_"].iter().any(|server| line.contains(server));
    let text: String = text.lines().filter(is_ours).map(|line| format!("{line}\n")).collect();
    println!("{} lines", text.lines().count());
    assert!(text.lines().count() > 1000, "the log is on");
    let of_roles = ["canary-identity-2b7f", "canary-base-90aa", "role-secret", "role-token"];
    for canary in [SECRET, TOKEN, PASSWORD, "X-Amz-Signature", "Signature="].into_iter().chain(of_roles) {
        let found: Vec<&str> = text.lines().filter(|line| line.contains(canary)).collect();
        let shown: Vec<String> = found.iter().take(5).map(|line| line.chars().take(600).collect()).collect();
        assert!(found.is_empty(), "{canary} in {} lines: {shown:#?}", found.len());
    }
}
