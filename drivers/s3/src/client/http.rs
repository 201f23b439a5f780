//! Connections: TLS by rustls with ring, certificates and a proxy for each instance.

use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    connector_metadata::ConnectorMetadata,
    http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
    runtime_components::RuntimeComponents,
};
use plugin_registry_core::{Error, ErrorKind, Result};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use url::Url;

use crate::{S3Config, client::insecure};

/// The connections of one instance to its store. None is opened before the first request.
///
/// # Errors
/// `InvalidConfig` for certificates or a proxy that cannot be read.
pub(super) fn connections(config: &S3Config) -> Result<SharedHttpClient> {
    if config.skip_verify {
        if config.proxy.is_some() {
            return Err(invalid(
                "`proxy` together with `skipverify` is not supported: give `cabundle` instead",
            ));
        }
        return insecure::connections();
    }
    let (trusted, proxy) = (trusted(config)?, proxy(config)?);
    // Where nothing is ever encrypted, the system's certificates are not read.
    let is_plain = config.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http");
    let trusted = trusted.with_native_roots(!is_plain || config.proxy.is_some());
    lazy(trusted, proxy)
}

/// Connections to who gives credentials. They are always verified: `skipverify` is about the store.
///
/// # Errors
/// As [`connections`].
pub(super) fn verified(config: &S3Config) -> Result<SharedHttpClient> {
    lazy(trusted(config)?, proxy(config)?)
}

/// The system's certificates and those of the settings.
fn trusted(config: &S3Config) -> Result<TrustStore> {
    let Some(bundle) = &config.ca_bundle else { return Ok(TrustStore::default()) };
    // The SDK would panic at a certificate that cannot be read.
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        let is_read = certificate.is_ok_and(|found| RootCertStore::empty().add(found).is_ok());
        if !is_read {
            return Err(invalid("`cabundle` holds a certificate that cannot be read"));
        }
        count += 1;
    }
    if count == 0 {
        return Err(invalid("`cabundle` holds no certificate in PEM"));
    }
    Ok(TrustStore::default().with_pem_certificate(bundle.as_bytes()))
}

fn lazy(trusted: TrustStore, proxy: ProxyConfig) -> Result<SharedHttpClient> {
    let tls = TlsContext::builder().with_trust_store(trusted).build();
    let tls = tls.map_err(|_| invalid("`cabundle` holds a certificate that cannot be read"))?;
    let connect = move |settings: Option<&_>, components: Option<&RuntimeComponents>| {
        let mut builder = Connector::builder().proxy_config(proxy.clone());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone()).build()
    };
    Ok(SharedHttpClient::new(Lazy(Builder::new().build_with_connector_fn(connect))))
}

/// Makes what connections need at the first request. The SDK's own does so for each client that is built, and
/// the system's certificates take milliseconds and 100 KB: a plugin opens more locations than it uses.
#[derive(Debug)]
struct Lazy(SharedHttpClient);

impl HttpClient for Lazy {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

/// The proxy: the environment's is not asked for (ADR 0007). User and password are part of its URL.
fn proxy(config: &S3Config) -> Result<ProxyConfig> {
    let Some(text) = &config.proxy else { return Ok(ProxyConfig::disabled()) };
    // The text may hold a password, so no error quotes it.
    let mut url: Url = text.expose().parse().map_err(|_| invalid("`proxy` is no URL"))?;
    let (user, password) = (url.username().to_owned(), url.password().unwrap_or_default().to_owned());
    let is_plain = url.set_username("").is_ok() && url.set_password(None).is_ok();
    let proxy = ProxyConfig::all(url.as_str()).ok().filter(|_| is_plain);
    let proxy = proxy.ok_or_else(|| invalid("`proxy` is no URL of a proxy"))?;
    Ok(if user.is_empty() { proxy } else { proxy.with_basic_auth(user, password) })
}

pub(super) fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidConfig).with_message(message)
}
