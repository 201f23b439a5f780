//! A TLS end and a proxy between a driver and the server, and checks that tests share.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use plugin_registry_core::{Error, ErrorKind, PutMode, Result, StorageDriver, StoragePath};
use plugin_registry_drivers_s3::{S3Config, S3Driver};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ProtocolVersion, ServerConfig, SupportedProtocolVersion, crypto::ring, pki_types::PrivatePkcs8KeyDer,
        version,
    },
};

pub(crate) fn path(text: &str) -> StoragePath {
    text.parse().unwrap()
}

/// Opens a location and writes and reads a file there. One attempt: no test waits for a refusal.
pub(crate) async fn attempt(config: &S3Config) -> Result<()> {
    let driver = S3Driver::open(config.clone().with_max_attempts(1)).await?;
    driver.put_content(&path("/a"), Bytes::from_static(b"text"), PutMode::Overwrite).await?;
    assert_eq!(driver.get_content(&path("/a"), 100).await?, "text");
    Ok(())
}

/// That an error has this kind, says these words, and shows none of the secrets.
pub(crate) fn check(error: &Error, kind: ErrorKind, words: &[&str], secrets: &[&str]) {
    let shown = format!("{error} {error:?}");
    assert_eq!(error.kind(), kind, "{shown}");
    for word in words {
        assert!(error.to_string().to_lowercase().contains(word), "no `{word}` in: {shown}");
    }
    for secret in secrets {
        assert!(!shown.contains(secret), "a secret is shown");
    }
}

/// An authority of a test.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }
}

/// The certificates of a front.
pub(crate) struct Face<'a> {
    pub(crate) names: &'a [&'a str],
    pub(crate) has_expired: bool,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
}

impl Default for Face<'_> {
    fn default() -> Self {
        let versions = vec![&version::TLS13, &version::TLS12];
        Self { names: &["localhost", "127.0.0.1"], has_expired: false, versions }
    }
}

/// The end of TLS before a server. It lives as long as the test's runtime.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    /// The versions of the connections whose handshake succeeded.
    pub(crate) versions: Arc<Mutex<Vec<ProtocolVersion>>>,
}

impl Front {
    pub(crate) async fn start(authority: &Authority, face: Face<'_>, target: SocketAddr) -> Self {
        let names: Vec<String> = face.names.iter().map(|&name| name.to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        if face.has_expired {
            parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &authority.0).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&face.versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, versions) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<_>>>::default());
        let seen = versions.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), seen.clone());
                tokio::spawn(async move {
                    // A client that does not trust the certificate leaves here.
                    let Ok(mut client) = acceptor.accept(stream).await else { return };
                    seen.lock().unwrap().extend(client.get_ref().1.protocol_version());
                    let mut server = TcpStream::connect(target).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { address, versions }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}

/// An HTTP proxy that leads everything to one target, so that names need no DNS.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// The head of the first request of each connection.
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, heads) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<_>>>::default());
        let seen = heads.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, target, seen.clone()));
            }
        });
        Self { address, heads }
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(mut client: TcpStream, target: SocketAddr, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let text = String::from_utf8(head.clone()).unwrap();
    let is_tunnel = text.starts_with("CONNECT ");
    seen.lock().unwrap().push(text);
    let mut server = TcpStream::connect(target).await.unwrap();
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    } else {
        server.write_all(&head).await.unwrap();
    }
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
