//! Over TLS: which authorities each instance trusts.

use bytes::Bytes;
use plugin_registry_core::{ErrorKind, StorageDriver, StoragePath, WriteMode};
use plugin_registry_drivers_s3::{Checksums, S3Config, S3Driver};
use plugin_registry_emulator::s3::Server;
use tokio_rustls::rustls::{ProtocolVersion, version};

use crate::{
    common,
    support::{Authority, Face, Front, attempt, check},
};

struct Bench {
    server: Server,
    authority: Authority,
    front: Front,
}

impl Bench {
    async fn new(face: Face<'_>) -> Self {
        let (server, authority) = (Server::start(), Authority::new());
        let front = Front::start(&authority, face, server.address()).await;
        Self { server, authority, front }
    }

    /// Settings that trust only the system's authorities.
    fn config(&self) -> S3Config {
        common::of_server(&self.server).with_endpoint(self.front.endpoint().parse().unwrap())
    }

    fn trusting(&self) -> S3Config {
        self.config().with_ca_bundle(self.authority.pem())
    }

    async fn is_refused(&self, config: &S3Config, words: &[&str]) {
        let error = attempt(config).await.unwrap_err();
        check(&error, ErrorKind::Unavailable, words, &[&self.server.secret_key()]);
        assert_eq!(self.server.count(), 0, "nothing was asked of an unknown server");
    }
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let bench = Bench::new(Face::default()).await;
    bench.is_refused(&bench.config(), &["certificate", "unknownissuer"]).await;
    let other = Authority::new();
    bench.is_refused(&bench.config().with_ca_bundle(other.pem()), &["certificate"]).await;
}

#[tokio::test]
async fn a_bundle_is_believed() {
    let bench = Bench::new(Face::default()).await;
    attempt(&bench.trusting()).await.unwrap();
    let by_address = format!("https://{}", bench.front.address);
    attempt(&bench.trusting().with_endpoint(by_address.parse().unwrap())).await.unwrap();
    // More than one certificate, from a file.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, format!("{}{}", Authority::new().pem(), bench.authority.pem())).unwrap();
    attempt(&bench.config().with_ca_bundle_path(file)).await.unwrap();
}

#[tokio::test]
async fn a_bundle_that_cannot_be_read_is_no_panic() {
    let broken = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    for bundle in [broken, "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n", "text", ""] {
        let error =
            S3Driver::open(S3Config::new("b").with_region("r").with_ca_bundle(bundle)).await.unwrap_err();
        check(&error, ErrorKind::InvalidConfig, &["`cabundle`", "certificate"], &[]);
    }
}

#[tokio::test]
async fn without_verification_any_certificate_will_do() {
    for face in [
        Face::default(),
        Face { names: &["other.example"], ..Face::default() },
        Face { has_expired: true, ..Face::default() },
        Face { versions: vec![&version::TLS12], ..Face::default() },
    ] {
        let bench = Bench::new(face).await;
        attempt(&bench.config().with_skip_verify(true)).await.unwrap();
    }
}

#[tokio::test]
async fn another_name_is_refused() {
    let bench = Bench::new(Face { names: &["other.example"], ..Face::default() }).await;
    bench.is_refused(&bench.trusting(), &["certificate", "name"]).await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let bench = Bench::new(Face { has_expired: true, ..Face::default() }).await;
    bench.is_refused(&bench.trusting(), &["certificate", "expired"]).await;
}

#[tokio::test]
async fn two_instances_share_no_trust() {
    let bench = Bench::new(Face::default()).await;
    let (trusting, strict) = (bench.trusting(), bench.config());
    let careless = bench.config().with_skip_verify(true);
    for _ in 0..4 {
        // At once, and each after the others have connections.
        let (trusted, refused, skipped) =
            tokio::join!(attempt(&trusting), attempt(&strict), attempt(&careless));
        trusted.unwrap();
        skipped.unwrap();
        check(&refused.unwrap_err(), ErrorKind::Unavailable, &["certificate"], &[]);
    }
}

#[tokio::test]
async fn both_versions_of_tls() {
    for (offered, expected) in
        [(&version::TLS12, ProtocolVersion::TLSv1_2), (&version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        let bench = Bench::new(Face { versions: vec![offered], ..Face::default() }).await;
        attempt(&bench.trusting()).await.unwrap();
        let seen = bench.front.versions.lock().unwrap().clone();
        assert!(!seen.is_empty() && seen.iter().all(|version| *version == expected), "{seen:?}");
    }
}

#[tokio::test]
async fn a_body_is_signed_where_nothing_else_guards_it() {
    let bench = Bench::new(Face::default()).await;
    let hash = || bench.server.requests_of("PutObject")[0].headers["x-amz-content-sha256"].clone();
    for config in [bench.trusting(), bench.config().with_skip_verify(true)] {
        attempt(&config).await.unwrap();
        assert_eq!(hash(), "UNSIGNED-PAYLOAD");
        bench.server.forget();
    }
    attempt(&common::of_server(&bench.server)).await.unwrap();
    // SHA-256 of `text`.
    assert_eq!(hash(), "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1");
}

/// A body whose signature says nothing of it is not coded: the coding would be stored.
#[tokio::test]
async fn parts_are_stored_as_they_were_written() {
    let (server, authority) = (Server::builder().min_part(1).start(), Authority::new());
    let front = Front::start(&authority, Face::default(), server.address()).await;
    let config = common::of_server(&server)
        .with_endpoint(front.endpoint().parse().unwrap())
        .with_ca_bundle(authority.pem())
        .with_chunk_size(1024);
    let path: StoragePath = "/f".parse().unwrap();
    let bytes = Bytes::from(vec![7; 5000]);
    let modes = [Checksums::Required, Checksums::Supported, Checksums::Automatic];
    for (begins, goes_on) in modes.into_iter().flat_map(|begins| modes.map(|goes_on| (begins, goes_on))) {
        let driver = S3Driver::open(config.clone().with_checksums(begins)).await.unwrap();
        let mut writer = driver.writer(&path, WriteMode::Stage).await.unwrap();
        writer.write(bytes.clone()).await.unwrap();
        let _ = writer.close().await.unwrap();
        let driver = S3Driver::open(config.clone().with_checksums(goes_on)).await.unwrap();
        let staged = driver.find_staged(&path).await.unwrap();
        let mut writer = driver.writer(&path, WriteMode::Resume(staged)).await.unwrap();
        writer.write(bytes.clone()).await.unwrap();
        writer.commit(&path).await.unwrap();
        let stored = driver.get_content(&path, 1 << 20).await.unwrap();
        assert_eq!(stored, [&bytes[..], &bytes].concat(), "{begins:?} {goes_on:?}");
        driver.delete(&path).await.unwrap();
    }
    let parts = server.requests_of("UploadPart");
    assert!(!parts.is_empty() && parts.iter().all(|sent| !sent.headers.contains_key("content-encoding")));
}
