//! Requests, each given up when it stalls, never because it takes long (ADR 0023).

use std::{error::Error as StdError, fmt, pin::pin};

use bytes::Bytes;
use futures::future::{Either, select};
use http::{Request, Response, StatusCode, header::PROXY_AUTHORIZATION, uri::Scheme};
use http_body::Body;
use hyper_util::client::legacy::{
    Error as ClientError,
    connect::{CaptureConnection, capture_connection},
};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    HttpClient,
    body::{RequestBody, ResponseBody, Sent},
    limits::{Limits, Stalled},
};

/// Why there is no answer.
#[derive(Debug)]
pub enum SendError {
    /// The connection failed. The request may or may not have arrived.
    Connection(ClientError),
    /// The request was given up.
    Stalled(Stalled),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => error.fmt(f),
            Self::Stalled(stalled) => stalled.fmt(f),
        }
    }
}

impl StdError for SendError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Connection(error) => error.source(),
            Self::Stalled(stalled) => Some(stalled),
        }
    }
}

impl<B> HttpClient<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// Sends a request and waits for the beginning of its answer.
    ///
    /// `most` is the most bytes of the answer's body for a status. `watch` gets the connection that the
    /// request will use, before there is one.
    ///
    /// # Errors
    /// If there is no answer. An answer that is an error is an answer.
    pub async fn send(
        &self,
        request: Request<B>,
        limits: Limits,
        most: impl FnOnce(StatusCode) -> u64,
        watch: impl FnOnce(&CaptureConnection),
    ) -> Result<Response<ResponseBody>, SendError> {
        let mut request = request.map(RequestBody::new);
        if let Some(authorization) = self.proxy_authorization()
            && request.uri().scheme() == Some(&Scheme::HTTP)
        {
            request.headers_mut().entry(PROXY_AUTHORIZATION).or_insert(authorization.clone());
        }
        let connection = capture_connection(&mut request);
        watch(&connection);
        let sent = request.body_mut().watched(connection.clone());
        let stalled = stalled(connection, &sent, limits);
        let answer = match select(self.client().request(request), pin!(stalled)).await {
            Either::Left((answer, _)) => answer.map_err(SendError::Connection)?,
            Either::Right((stalled, _)) => return Err(SendError::Stalled(stalled)),
        };
        let most = most(answer.status());
        Ok(answer.map(|body| ResponseBody {
            body,
            idle: limits.idle,
            progress: sent.progress(),
            most,
            received: 0,
            timer: None,
        }))
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
