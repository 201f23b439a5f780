//! A running server, as the test sees it.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use s3s::{
    config::{S3Config, StaticConfigProvider},
    service::S3ServiceBuilder,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
};

use super::{
    auth::Guard,
    connection::accept,
    fault::Fault,
    front::Front,
    log::{Looked, Request},
    options::{Builder, Quirks},
    service::Service,
    shared::Shared,
};

/// An S3 server on loopback, which ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    pub(super) shared: Arc<Shared>,
    address: SocketAddr,
    /// Its own runtime, so that a test without one, or with a stopped clock, can use the server.
    runtime: Option<Runtime>,
}

impl Server {
    /// Starts a server with the defaults.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Makes a builder, for other limits, latency, keys or quirks.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn run(builder: Builder) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a test harness")]
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let address = listener.local_addr().expect("a bound socket has an address");

        let shared = Arc::new(Shared::new(builder));
        let mut service = S3ServiceBuilder::new(Service(Arc::clone(&shared)));
        service.set_auth(Guard(Arc::clone(&shared)));
        service.set_access(Guard(Arc::clone(&shared)));
        let mut config = S3Config::default();
        // The layer in front compares times itself, by a clock that tests move.
        config.presigned_url_max_skew_time_secs = u32::MAX;
        service.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        let front = Arc::new(Front { shared: Arc::clone(&shared), service: service.build() });

        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).thread_name("s3-emulator").enable_all();
        let runtime = runtime.build().expect("threads for the server");
        runtime.spawn(accept(listener, front));
        Self { shared, address, runtime: Some(runtime) }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The bucket, which exists from the start.
    pub fn bucket(&self) -> &str {
        &self.shared.bucket
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.shared.region
    }

    /// The access key that was set last.
    pub fn access_key(&self) -> String {
        self.shared.keys.lock().unwrap().current().0
    }

    /// The secret key that was set last.
    pub fn secret_key(&self) -> String {
        self.shared.keys.lock().unwrap().current().1
    }

    /// The requests since the start or since [`forget`](Self::forget), in the order of their arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.log.lock().unwrap().requests()
    }

    /// The requests of one operation.
    pub fn requests_of(&self, operation: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.operation == operation);
        requests
    }

    /// The number of requests.
    pub fn count(&self) -> usize {
        self.shared.log.lock().unwrap().count()
    }

    /// The number of requests of one operation.
    pub fn count_of(&self, operation: &str) -> usize {
        self.counts().get(operation).copied().unwrap_or_default()
    }

    /// The number of requests of each operation.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.shared.log.lock().unwrap().counts()
    }

    /// The most requests that were open at once.
    pub fn peak(&self) -> usize {
        self.shared.log.lock().unwrap().peak()
    }

    /// Waits until nothing that was sent about keys with this part has effects any more, also if its client left.
    ///
    /// Unread bytes in a socket are not a request yet, and a client may have something left to send. So the
    /// wait ends only when ten looks in a row, 20 ms apart, find nothing running and nothing new, and the
    /// server has answered a new connection before each of them.
    ///
    /// # Panics
    /// If something runs for half a minute.
    pub fn settled(&self, part: &str) -> impl Future<Output = ()> + Send + use<> {
        let (shared, address, part) = (Arc::clone(&self.shared), self.address, part.to_owned());
        async move {
            let since = shared.log.lock().unwrap().now();
            let (mut before, mut looks, mut looked) = (None, 0, Looked::default());
            while looks < 10 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let is_answered = answered(address).await.is_ok();
                let (now, (count, running)) = {
                    let log = shared.log.lock().unwrap();
                    (log.now(), log.activity(&part, since, &mut looked))
                };
                assert!(now < since + Duration::from_secs(30), "still running: {running:?}");
                let is_calm = is_answered && running.is_empty() && before == Some(count);
                looks = if is_calm { looks + 1 } else { 0 };
                before = Some(count);
            }
        }
    }

    /// Forgets the requests. The objects stay.
    pub fn forget(&self) {
        self.shared.log.lock().unwrap().forget();
    }

    /// Sets a wait before each request is handled.
    pub fn set_latency(&self, latency: Duration) {
        *self.shared.latency.lock().unwrap() = latency;
    }

    /// Moves the server's clock ahead by these seconds, or back if they are negative.
    pub fn set_clock_skew(&self, seconds: i64) {
        self.shared.skew.store(seconds, Ordering::Relaxed);
    }

    /// Changes the quirks in place.
    pub fn quirks(&self, change: impl FnOnce(&mut Quirks)) {
        change(&mut self.shared.quirks.lock().unwrap());
    }

    /// From now on only these keys are valid. All others give 403 `InvalidAccessKeyId`.
    pub fn rotate_keys(&self, access: &str, secret: &str) {
        let mut keys = self.shared.keys.lock().unwrap();
        keys.forget();
        keys.add(access, secret, None);
    }

    /// The same with a session token, which every request must have.
    pub fn rotate_session(&self, access: &str, secret: &str, token: &str) {
        let mut keys = self.shared.keys.lock().unwrap();
        keys.forget();
        keys.add(access, secret, Some(token));
    }

    /// Adds keys to the valid ones, and makes them the current ones.
    pub fn add_keys(&self, access: &str, secret: &str, token: Option<&str>) {
        self.shared.keys.lock().unwrap().add(access, secret, token);
    }

    /// The current keys give 400 `ExpiredToken`, until others are set.
    pub fn expire_keys(&self) {
        self.shared.keys.lock().unwrap().expire();
    }

    /// F14: this operation gives 403 `AccessDenied`.
    pub fn deny(&self, operation: &str) {
        self.shared.denied.lock().unwrap().insert(operation.to_owned());
    }

    /// Undoes [`deny`](Self::deny).
    pub fn allow(&self, operation: &str) {
        self.shared.denied.lock().unwrap().remove(operation);
    }

    /// Adds a fault to the end of the queue. The first one that matches a request happens.
    pub fn fault(&self, fault: Fault) {
        self.shared.faults.lock().unwrap().push(fault);
    }

    /// The faults that have not yet happened as often as they should.
    pub fn faults_left(&self) -> Vec<Fault> {
        self.shared.faults.lock().unwrap().clone()
    }

    /// The keys of delete markers in a bucket with versions, and whether they hide something.
    pub fn markers(&self) -> Vec<(String, bool)> {
        self.shared.store.lock().unwrap().markers.clone()
    }

    /// The number of versions that are no longer current.
    pub fn old_versions(&self) -> usize {
        self.shared.store.lock().unwrap().old_versions
    }

    /// The operations that change something, since the start or since [`forget`](Self::forget).
    pub fn writes(&self) -> Vec<&'static str> {
        let mut requests = self.requests();
        requests.retain(|request| request.is_write());
        requests.into_iter().map(|request| request.operation).collect()
    }

    /// Empties the queue of faults.
    pub fn clear_faults(&self) {
        self.shared.faults.lock().unwrap().clear();
    }
}

/// Sends something that is not a request, and waits until the server has refused it.
async fn answered(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"\0\r\n\r\n").await?;
    stream.read_to_end(&mut Vec::new()).await.map(drop)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Never waits, because the drop may happen on a thread of another runtime.
            runtime.shutdown_background();
        }
    }
}
