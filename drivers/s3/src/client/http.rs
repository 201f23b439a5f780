//! The connections of the SDK: TLS by rustls with ring, certificates and a proxy for each instance.
//!
//! The SDK's connections are not used. They give up a request a minute after it began, even while its bytes
//! flow, and they always verify certificates (ADR 0023).

use aws_smithy_runtime_api::client::{
    http::{HttpClient as SdkHttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use plugin_registry_core::Result;
use plugin_registry_drivers_objects::connections::{HttpClient, Limits, Trust, certificates};

use super::requests::Requests;
use crate::S3Config;

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
    let connections = HttpClient::new(trust, config.proxy.as_ref(), config.idle_timeout)?;
    Ok(SharedHttpClient::new(Connections { connections, limits }))
}

#[derive(Debug)]
struct Connections {
    connections: HttpClient<SdkBody>,
    /// The limits of a store. Credentials providers have those that the SDK sets for them.
    limits: Option<Limits>,
}

impl SdkHttpClient for Connections {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let limits = self.limits.unwrap_or_else(|| {
            let read = settings.read_timeout().unwrap_or(super::credentials::PROVIDER_TIMEOUT);
            let connect = settings.connect_timeout().unwrap_or(super::CONNECT);
            Limits { connect, idle: read, answer: read }
        });
        SharedHttpConnector::new(Requests { connections: self.connections.clone(), limits })
    }
}
