//! Connections: TLS by rustls with ring, certificates and a proxy for each instance.
//!
//! The SDK's connections are not used. They give up a request a minute after it began, even while its bytes
//! flow, and they always verify certificates (ADR 0023).

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock, OnceLock},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::base64;
use http::{HeaderValue, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use plugin_registry_core::{Error, ErrorKind, Result};
use rustls::{
    CipherSuite, ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use url::Url;

use super::{
    connect::{HostConnector, Proxy, TcpConnector},
    limits::Limits,
    requests::{Connections, Requests},
};
use crate::{S3Config, client::insecure::AnyCertificate};

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

/// The connections of one instance to its store. None is opened before the first request.
///
/// # Errors
/// `InvalidConfig` for certificates or a proxy that cannot be read.
pub(super) fn connections(config: &S3Config) -> Result<SharedHttpClient> {
    let trust = if config.skip_verify {
        Trust::Any
    } else {
        // If nothing is ever encrypted, the system's certificates are not read.
        let is_plain = config.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http");
        let own = certificates("`cabundle`", config.ca_bundle.as_deref())?;
        Trust::Known { own, system: !is_plain || config.proxy.is_some() }
    };
    lazy(trust, config, Some(limits(config)))
}

/// The connections to credentials providers. They are always verified, by the system's certificates and those
/// that the host gives for this purpose: `skipverify` and `cabundle` are about the store, and may come from the
/// store's owner.
///
/// # Errors
/// As [`connections`].
pub(super) fn verified(config: &S3Config) -> Result<SharedHttpClient> {
    let own = certificates("`stscabundle`", config.sts_ca_bundle.as_deref())?;
    lazy(Trust::Known { own, system: true }, config, None)
}

fn limits(config: &S3Config) -> Limits {
    Limits { connect: super::CONNECT, idle: config.idle_timeout, answer: config.answer_timeout }
}

fn lazy(trust: Trust, config: &S3Config, limits: Option<Limits>) -> Result<SharedHttpClient> {
    let (versions, proxy, patience) = (versions()?, proxy(config)?, config.idle_timeout);
    let connections = OnceLock::new();
    Ok(SharedHttpClient::new(LazyHttpClient { versions, trust, proxy, patience, limits, connections }))
}

/// Which certificates to trust.
#[derive(Debug)]
enum Trust {
    /// `skipverify`.
    Any,
    Known {
        own: Vec<CertificateDer<'static>>,
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
fn certificates(key: &str, bundle: Option<&str>) -> Result<Vec<CertificateDer<'static>>> {
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

/// Creates the parts of connections at the first request. The system's certificates take milliseconds and 100
/// KB, and a plugin opens more locations than it uses.
#[derive(Debug)]
struct LazyHttpClient {
    versions: ConfigBuilder<ClientConfig, WantsVerifier>,
    trust: Trust,
    proxy: Option<Proxy>,
    /// How long a connection may stall before the system asks whether its peer is still there.
    patience: Duration,
    /// The limits of a store. Credentials providers have those that the SDK sets for them.
    limits: Option<Limits>,
    connections: OnceLock<Connections>,
}

impl LazyHttpClient {
    fn connections(&self) -> Connections {
        let make = || {
            let tls = self.trust.tls(self.versions.clone());
            let way = HostConnector::new(TcpConnector::new(self.patience), self.proxy.as_ref(), &tls);
            let connector = HttpsConnectorBuilder::new()
                .with_tls_config(tls)
                .https_or_http()
                .enable_http1()
                .wrap_connector(way);
            Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector)
        };
        self.connections.get_or_init(make).clone()
    }
}

impl HttpClient for LazyHttpClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let limits = self.limits.unwrap_or_else(|| {
            let read = settings.read_timeout().unwrap_or(super::credentials::PROVIDER_TIMEOUT);
            let connect = settings.connect_timeout().unwrap_or(super::CONNECT);
            Limits { connect, idle: read, answer: read }
        });
        let authorization = self.proxy.as_ref().and_then(|proxy| proxy.authorization.clone());
        SharedHttpConnector::new(Requests { connections: self.connections(), limits, authorization })
    }
}

/// Reads the proxy, whose URL includes user and password. The environment is not read (ADR 0007).
fn proxy(config: &S3Config) -> Result<Option<Proxy>> {
    let Some(text) = &config.proxy else { return Ok(None) };
    // The text may hold a password, so no error quotes it.
    let mut url: Url = text.expose().parse().map_err(|_| invalid("`proxy` is not a URL"))?;
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    let is_plain = url.set_username("").is_ok() && url.set_password(None).is_ok();
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    let address: Option<Uri> = url.as_str().parse().ok().filter(|_| is_plain && is_http);
    let url = address.ok_or_else(|| invalid("`proxy` is not the URL of a proxy"))?;
    let authorization = (!user.is_empty()).then(|| {
        let text = format!("Basic {}", base64::encode(format!("{user}:{password}")));
        HeaderValue::try_from(text).map(|mut value| {
            value.set_sensitive(true);
            value
        })
    });
    let authorization =
        authorization.transpose().map_err(|_| invalid("`proxy` is not the URL of a proxy"))?;
    Ok(Some(Proxy { url, authorization }))
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidConfig).with_message(message)
}
