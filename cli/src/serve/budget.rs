//! How much memory answers may take that wait for their clients.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Empty;
use plugin_registry::{Body, RegistryService};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tower_service::Service;

use super::{patience::Patience, refuse, request::RequestBody};

/// Bytes of large answers that clients may leave untaken, in all.
const BYTES: u32 = 64 << 20;
/// Answers up to this size do not count: with them, each connection holds no more than with a blob.
const SMALL: usize = 64 * 1024;
/// Answers of manifests and lists that are made at a time; while that goes on, their size is not known.
const MADE: usize = 16;
/// How long a large answer waits until others have been taken.
const TIME: Duration = Duration::from_secs(30);

/// The memory that all connections share. Blobs do not count: they are read as the client takes them.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    bytes: Arc<Semaphore>,
    made: Arc<Semaphore>,
    patience: Patience,
}

/// Bytes that give their part of the budget back once the connection is done with them.
struct Held {
    bytes: Bytes,
    _part: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Budget {
    pub(super) fn new(patience: Patience) -> Self {
        let (bytes, made) = (Semaphore::new(BYTES as usize), Semaphore::new(MADE));
        Self { bytes: Arc::new(bytes), made: Arc::new(made), patience }
    }

    /// Asks the registry. A large answer for which there is no room is thrown away and made again when there is:
    /// what waits holds nothing. Where there is none for too long the client is to come back.
    pub(super) async fn ask(
        &self,
        service: &mut RegistryService,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Infallible> {
        if *request.method() != Method::GET || request.uri().path().contains("/blobs/") {
            return service.call(request).await;
        }
        let again = without_body(&request);
        let mut response = self.make(service.call(request)).await?;
        let mut part: Option<OwnedSemaphorePermit> = None;
        loop {
            let Some(bytes) = response.body().in_memory().filter(|bytes| bytes.len() > SMALL).cloned() else {
                return Ok(response);
            };
            let wanted = u32::try_from(bytes.len()).unwrap_or(BYTES).min(BYTES);
            let enough = part.take().filter(|part| part.num_permits() >= wanted as usize);
            if let Some(part) = enough.or_else(|| self.bytes.clone().try_acquire_many_owned(wanted).ok()) {
                *response.body_mut() = Body::from(Bytes::from_owner(Held { bytes, _part: part }));
                return Ok(response);
            }
            drop((bytes, response));
            let _waits = self.patience.wait_for_readers();
            match timeout(TIME, self.bytes.clone().acquire_many_owned(wanted)).await {
                Ok(Ok(acquired)) => part = Some(acquired),
                Ok(Err(_)) | Err(_) => return Ok(refuse::busy()),
            }
            response = self.make(service.call(again.clone())).await?;
        }
    }

    async fn make<T>(&self, answer: impl Future<Output = T>) -> T {
        // Never closed.
        let _turn = self.made.acquire().await;
        answer.await
    }
}

fn without_body<B>(request: &Request<B>) -> Request<Empty<Bytes>> {
    let mut copy = Request::new(Empty::new());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
