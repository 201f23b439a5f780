//! One HTTP/1.1 connection.

use std::{
    convert::Infallible,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use plugin_registry::{Body, RegistryService};
use tokio::sync::watch;

use super::{
    browser::Door,
    budget::Budget,
    guarded::Guarded,
    linger::linger,
    listener::Stream,
    patience::Patience,
    refuse,
    request::{Ending, Leftover},
};

/// How long the head of a request may take, from its first byte or from the end of the one before.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes of the head of a request, and of trailers: more than the longest request target that is read
/// (64 KiB), so that a longer one gets its own status.
const MAX_HEAD: usize = 128 * 1024;
/// Buffer of a connection in bytes, for request heads and for bodies on their way in.
const BUFFER: usize = 256 * 1024;

/// The settings and state of all connections.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) door: Arc<Door>,
    pub(super) budget: Budget,
}

/// Serves a connection until the client closes it, or, once `closing` turns true, until its request is
/// answered. Holds [`BUFFER`], plus what the request holds, plus its part of the [`Budget`].
pub(super) async fn serve(
    stream: Stream,
    service: RegistryService,
    patience: Patience,
    rules: Rules,
    mut closing: watch::Receiver<bool>,
) {
    let unread = Arc::new(AtomicBool::new(false));
    let flag = unread.clone();
    let stream = Guarded::new(stream, patience.reading_clock());
    let limits = patience.clone();
    let answer = service_fn(move |request| {
        Box::pin(answer(service.clone(), request, limits.clone(), rules.clone(), flag.clone()))
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(MAX_HEAD)
        // A client may say that it sends no more and still wait for its answer.
        .half_close(true)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), answer);
    let mut is_closing = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            _ = closing.wait_for(|closing| *closing), if !is_closing => {
                is_closing = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    if let Err(error) = &ended {
        tracing::debug!(%error, "a connection ended early");
    }
    let stream = connection.into_parts().io.into_inner();
    if ended.is_err() || unread.load(Ordering::Relaxed) {
        // An answer may still be on its way, which only hurts a client that is gone.
        linger(stream, &patience, &closing).await;
    }
}

async fn answer(
    mut service: RegistryService,
    request: Request<Incoming>,
    patience: Patience,
    rules: Rules,
    unread: Arc<AtomicBool>,
) -> Result<Response<Body>, Infallible> {
    let line = tracing::enabled!(tracing::Level::INFO)
        .then(|| (request.method().clone(), request.uri().path().to_owned()));
    let refused = match refuse::refusal(&request) {
        Some(status) => Some(refuse::answer(status)),
        None => rules.door.refusal(&request).map(refuse::denied),
    };
    let response = match refused {
        Some(answer) => {
            unread.store(true, Ordering::Relaxed);
            answer
        }
        None => {
            let (request, leftover) = Leftover::share(request, patience.clock());
            let mut response = rules.budget.ask(&mut service, request).await?;
            let ending = leftover.drain().await;
            if ending == Ending::StoodStill && response.status() == StatusCode::BAD_REQUEST {
                // The registry knows that the body failed, not why (RFC 9110, section 15.5.9).
                *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
            }
            if ending != Ending::Whole {
                unread.store(true, Ordering::Relaxed);
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    };
    if let Some((method, path)) = line {
        tracing::info!(%method, path, status = response.status().as_u16(), "answered");
    }
    Ok(response)
}
