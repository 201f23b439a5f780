//! Connections: TLS by rustls with ring, certificates and a proxy for each instance.

use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use plugin_registry_core::{Error, ErrorKind, Result};
use url::Url;

use crate::{S3Config, client::insecure};

/// The connections of one instance. None is opened before the first request.
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
    let mut trusted = TrustStore::default();
    if let Some(bundle) = &config.ca_bundle {
        if !bundle.contains("-----BEGIN CERTIFICATE-----") {
            return Err(invalid("`cabundle` holds no certificate in PEM"));
        }
        trusted = trusted.with_pem_certificate(bundle.as_bytes());
    }
    let tls = TlsContext::builder().with_trust_store(trusted).build();
    let tls = tls.map_err(|_| invalid("`cabundle` holds a certificate that cannot be read"))?;
    let proxy = proxy(config)?;
    let connect = move |settings: Option<&_>, components: Option<&_>| {
        let mut builder = Connector::builder().proxy_config(proxy.clone());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(sleep));
        builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone()).build()
    };
    Ok(Builder::new().build_with_connector_fn(connect))
}

fn sleep(
    components: &aws_smithy_runtime_api::client::runtime_components::RuntimeComponents,
) -> Option<aws_smithy_async::rt::sleep::SharedAsyncSleep> {
    components.sleep_impl()
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
