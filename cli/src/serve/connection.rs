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
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    time::timeout,
};
use tower_service::Service;

use super::{
    listener::Stream,
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
/// How long, and for how many bytes, the rest of an unwanted body is read after the answer, so that the
/// client reads the answer and not a reset.
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 8 << 20;

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long a body may stand still.
    pub(super) body_idle: Option<Duration>,
}

/// Serves a connection until the client closes it, or, once `closing` turns true, until its request is
/// answered. Holds [`BUFFER`], plus what the request holds.
pub(super) async fn serve(
    stream: Stream,
    service: RegistryService,
    limits: Limits,
    mut closing: watch::Receiver<bool>,
) {
    let unread = Arc::new(AtomicBool::new(false));
    let flag = unread.clone();
    let answer = service_fn(move |request| Box::pin(answer(service.clone(), request, limits, flag.clone())));
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
        let _ = timeout(LINGER_TIME, linger(stream)).await;
    }
}

/// Says that no more comes and reads what the client still sends: closing with unread bytes resets the
/// connection, which can take the answer from the client's hands.
async fn linger(mut stream: Stream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = vec![0; 16 * 1024];
    let mut left = LINGER_BYTES;
    while let Ok(read @ 1..) = stream.read(&mut rest).await {
        left = left.saturating_sub(read);
        if left == 0 {
            break;
        }
    }
}

async fn answer(
    mut service: RegistryService,
    request: Request<Incoming>,
    limits: Limits,
    unread: Arc<AtomicBool>,
) -> Result<Response<Body>, Infallible> {
    let line = tracing::enabled!(tracing::Level::INFO)
        .then(|| (request.method().clone(), request.uri().path().to_owned()));
    let response = match refuse::refusal(&request) {
        Some(status) => {
            unread.store(true, Ordering::Relaxed);
            refuse::answer(status)
        }
        None => {
            let (request, leftover) = Leftover::share(request, limits.body_idle);
            let mut response = service.call(request).await?;
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
