//! Requests, each given up when it stalls, never because it takes long (ADR 0023).

use std::{fmt, pin::pin};

use aws_smithy_runtime_api::client::{
    connection::{CaptureSmithyConnection, ConnectionMetadata},
    http::{HttpConnector, HttpConnectorFuture},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use futures::future::{Either, select};
use http::{HeaderValue, header::PROXY_AUTHORIZATION, uri::Scheme};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{
    Client, Error as ClientError,
    connect::{CaptureConnection, HttpInfo, capture_connection},
};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    body::{RequestBody, ResponseBody, Sent},
    connect::HostConnector,
    limits::{Allowance, Limits, Stalled},
};

/// The connections of one instance. Clones share them.
pub(super) type Connections = Client<HttpsConnector<HostConnector>, RequestBody>;

pub(super) struct Requests {
    pub(super) connections: Connections,
    pub(super) limits: Limits,
    /// The headers that a proxy requires of requests that it forwards.
    pub(super) authorization: Option<HeaderValue>,
}

impl HttpConnector for Requests {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connections, limits) = (self.connections.clone(), self.limits);
        let authorization = self.authorization.clone();
        HttpConnectorFuture::new(async move {
            let captured = request.extension::<CaptureSmithyConnection>().cloned();
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let allowance = Allowance::new(&request, limits);
            let mut request = request.map(RequestBody::new);
            if let Some(authorization) = authorization
                && request.uri().scheme() == Some(&Scheme::HTTP)
            {
                request.headers_mut().entry(PROXY_AUTHORIZATION).or_insert(authorization);
            }
            let connection = capture_connection(&mut request);
            if let Some(captured) = captured {
                let connection = connection.clone();
                captured.set_connection_retriever(move || metadata(&connection));
            }
            let sent = request.body_mut().watched(connection.clone());
            let stalled = stalled(connection, &sent, allowance.limits);
            let answer = match select(connections.request(request), pin!(stalled)).await {
                Either::Left((answer, _)) => answer.map_err(of_client)?,
                // The caller that sent it knows how to find out whether it was done.
                Either::Right((stalled @ Stalled::Answer(_), _)) if allowance.is_long => {
                    return Err(ConnectorError::other(stalled.into(), None));
                }
                Either::Right((stalled, _)) => return Err(ConnectorError::timeout(stalled.into())),
            };
            let most = allowance.most(answer.status().is_success());
            let answer = answer.map(|body| {
                SdkBody::from_body_1_x(ResponseBody {
                    body,
                    idle: limits.idle,
                    progress: sent.progress(),
                    most,
                    received: 0,
                    timer: None,
                })
            });
            HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Waits for a request to stall.
async fn stalled(mut connection: CaptureConnection, sent: &Sent, limits: Limits) -> Stalled {
    let Limits { connect, idle, answer } = limits;
    if timeout(connect, connection.wait_for_connection_metadata()).await.is_err() {
        return Stalled::Connecting(connect);
    }
    // A reused connection has been idle until now.
    let begun = Instant::now();
    loop {
        let last = sent.progress().map_or(begun, |progress| progress.last().max(begun));
        let is_whole = sent.is_whole();
        let limit = if is_whole { answer } else { idle };
        if last.elapsed() >= limit {
            return if is_whole { Stalled::Answer(limit) } else { Stalled::Idle(limit) };
        }
        // The shorter limit may begin to apply meanwhile.
        let pause = if is_whole { answer } else { idle.min(answer) };
        sleep_until((last + pause).max(Instant::now() + pause / 16)).await;
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

/// Any error that breaks a connection may be retried.
fn of_client(error: ClientError) -> ConnectorError {
    ConnectorError::io(error.into())
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("limits", &self.limits).finish_non_exhaustive()
    }
}
