//! Requests of the SDK over the driver's own connections.

use std::fmt;

use aws_smithy_runtime_api::client::{
    connection::{CaptureSmithyConnection, ConnectionMetadata},
    http::{HttpConnector, HttpConnectorFuture},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpInfo};
use plugin_registry_drivers_objects::connections::{HttpClient, Limits, SendError, Stalled};

use super::limits::Allowance;

pub(super) struct Requests {
    pub(super) connections: HttpClient<SdkBody>,
    pub(super) limits: Limits,
}

impl HttpConnector for Requests {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connections, limits) = (self.connections.clone(), self.limits);
        HttpConnectorFuture::new(async move {
            let captured = request.extension::<CaptureSmithyConnection>().cloned();
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let allowance = Allowance::new(&request, limits);
            let watch = |connection: &CaptureConnection| {
                if let Some(captured) = captured {
                    let connection = connection.clone();
                    captured.set_connection_retriever(move || metadata(&connection));
                }
            };
            let most = |status: http::StatusCode| allowance.most(status.is_success());
            let answer = connections.send(request, allowance.limits, most, watch).await;
            let answer = answer.map_err(|error| match error {
                // Any error that breaks a connection may be retried.
                SendError::Connection(error) => ConnectorError::io(error.into()),
                // The caller that sent it knows how to find out whether it was done.
                SendError::Stalled(stalled @ Stalled::Answer(_)) if allowance.is_long => {
                    ConnectorError::other(stalled.into(), None)
                }
                SendError::Stalled(stalled) => ConnectorError::timeout(stalled.into()),
            })?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// The data that the SDK needs about a connection: it closes connections on which a server failed.
fn metadata(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    let mut extensions = http::Extensions::new();
    let found = connection.connection_metadata();
    let connected = found.as_ref()?;
    connected.get_extras(&mut extensions);
    let info = extensions.get::<HttpInfo>();
    let poisoned = connection.clone();
    let mut metadata = ConnectionMetadata::builder().proxied(connected.is_proxied()).poison_fn(move || {
        if let Some(connected) = poisoned.connection_metadata().as_ref() {
            connected.poison();
        }
    });
    metadata.set_local_addr(info.map(HttpInfo::local_addr)).set_remote_addr(info.map(HttpInfo::remote_addr));
    Some(metadata.build())
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("limits", &self.limits).finish_non_exhaustive()
    }
}
