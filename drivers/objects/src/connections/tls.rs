//! TLS by rustls with ring, with certificates and a proxy for each instance.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, LazyLock, OnceLock},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use http::{HeaderValue, Uri};
use http_body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use plugin_registry_core::{Error, ErrorKind, Result, Secret};
use rustls::{
    CipherSuite, ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use url::Url;

use super::{
    body::RequestBody,
    connect::{HostConnector, Proxy, TcpConnector},
    insecure::AnyCertificate,
};

/// The system's certificates, which take milliseconds to read.
static SYSTEM: LazyLock<Vec<CertificateDer<'static>>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    if !found.errors.is_empty() {
        tracing::warn!(errors = ?found.errors, "some of the system's certificates cannot be read");
    }
    found.certs
});

/// The cipher suites that AWS requires of its clients.
const SUITES: &[CipherSuite] = &[
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// Which certificates to trust.
#[derive(Clone, Debug)]
pub enum Trust {
    /// `skipverify`.
    Any,
    /// Those that are known.
    Known {
        /// For this instance alone.
        own: Vec<CertificateDer<'static>>,
        /// Also those of the system.
        system: bool,
    },
}

impl Trust {
    fn tls(&self, versions: ConfigBuilder<ClientConfig, WantsVerifier>) -> ClientConfig {
        match self {
            Self::Any => {
                let any = AnyCertificate(versions.crypto_provider().clone());
                versions.dangerous().with_custom_certificate_verifier(Arc::new(any)).with_no_client_auth()
            }
            Self::Known { own, system } => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(own.iter().cloned());
                if *system {
                    roots.add_parsable_certificates(SYSTEM.iter().cloned());
                }
                versions.with_root_certificates(roots).with_no_client_auth()
            }
        }
    }
}

fn versions() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| SUITES.contains(&suite.suite()));
    ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(|_| invalid("this build supports no version of TLS"))
}

/// Reads the certificates of a setting.
///
/// # Errors
/// `InvalidConfig` names the setting.
pub fn certificates(key: &str, bundle: Option<&str>) -> Result<Vec<CertificateDer<'static>>> {
    let Some(bundle) = bundle else { return Ok(Vec::new()) };
    let broken = || invalid(format!("{key} holds a certificate that cannot be read"));
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        let certificate = certificate.map_err(|_| broken())?;
        RootCertStore::empty().add(certificate.clone()).map_err(|_| broken())?;
        found.push(certificate);
    }
    if found.is_empty() { Err(invalid(format!("{key} holds no PEM certificate"))) } else { Ok(found) }
}

/// The connections of one instance. Clones share them. None is opened before the first request.
///
/// They speak HTTP/1.1, one request at a time, over TCP, or TLS by rustls with ring. They are made at the first
/// request: the system's certificates take milliseconds and 100 KB, and a plugin opens more locations than it
/// uses.
pub struct HttpClient<B>(Arc<Lazy<B>>);

type Connections<B> = Client<HttpsConnector<HostConnector>, RequestBody<B>>;

struct Lazy<B> {
    versions: ConfigBuilder<ClientConfig, WantsVerifier>,
    trust: Trust,
    proxy: Option<Proxy>,
    patience: Duration,
    client: OnceLock<Connections<B>>,
}

impl<B> HttpClient<B> {
    /// Sets up connections. `patience` is how long one may stall before the system asks whether its peer is still
    /// there. The environment is not read (ADR 0007).
    ///
    /// # Errors
    /// `InvalidConfig` if the proxy is not a URL.
    pub fn new(trust: Trust, proxy: Option<&Secret>, patience: Duration) -> Result<Self> {
        let (versions, proxy) = (versions()?, proxy.map(self::proxy).transpose()?);
        Ok(Self(Arc::new(Lazy { versions, trust, proxy, patience, client: OnceLock::new() })))
    }

    /// What a proxy requires of requests that it forwards.
    pub(super) fn proxy_authorization(&self) -> Option<&HeaderValue> {
        self.0.proxy.as_ref()?.authorization.as_ref()
    }
}

impl<B> HttpClient<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) fn client(&self) -> &Connections<B> {
        let make = || {
            let tls = self.0.trust.tls(self.0.versions.clone());
            let way = HostConnector::new(TcpConnector::new(self.0.patience), self.0.proxy.as_ref(), &tls);
            let connector = HttpsConnectorBuilder::new()
                .with_tls_config(tls)
                .https_or_http()
                .enable_http1()
                .wrap_connector(way);
            Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector)
        };
        self.0.client.get_or_init(make)
    }
}

impl<B> Clone for HttpClient<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B> fmt::Debug for HttpClient<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

/// Reads the proxy, whose URL includes user and password.
fn proxy(text: &Secret) -> Result<Proxy> {
    // The text may hold a password, so no error quotes it.
    let mut url: Url = text.expose().parse().map_err(|_| invalid("`proxy` is not a URL"))?;
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    let is_plain = url.set_username("").is_ok() && url.set_password(None).is_ok();
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    let address: Option<Uri> = url.as_str().parse().ok().filter(|_| is_plain && is_http);
    let url = address.ok_or_else(|| invalid("`proxy` is not the URL of a proxy"))?;
    let authorization = (!user.is_empty()).then(|| {
        let text = format!("Basic {}", BASE64.encode(format!("{user}:{password}")));
        HeaderValue::try_from(text).map(|mut value| {
            value.set_sensitive(true);
            value
        })
    });
    let authorization =
        authorization.transpose().map_err(|_| invalid("`proxy` is not the URL of a proxy"))?;
    Ok(Proxy { url, authorization })
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidConfig).with_message(message)
}
