//! A link that is slow, one way or both, or stalls: TCP on loopback, forwarded at a given pace.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::Runtime,
    task::JoinSet,
};

/// The system's buffers at the near end, so that a client does not see much more as sent than has arrived.
const BUFFER: u32 = 16 << 10;
/// How often bytes move.
const TICK: Duration = Duration::from_millis(10);
/// The most bytes that move at once.
const PIECE: usize = 64 << 10;

/// A link to an address. It ends, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    pace: Arc<Pace>,
    /// Its own runtime, so that a test without one, or with a stopped clock, can use the link.
    runtime: Option<Runtime>,
}

/// Bytes per second of each connection, and the bytes that passed on all of them.
#[derive(Debug)]
struct Pace {
    up: AtomicU64,
    down: AtomicU64,
    passed_up: AtomicU64,
    passed_down: AtomicU64,
}

/// The direction.
#[derive(Clone, Copy)]
enum Way {
    Up,
    Down,
}

impl Pace {
    fn rate(&self, way: Way) -> u64 {
        match way {
            Way::Up => self.up.load(Ordering::Relaxed),
            Way::Down => self.down.load(Ordering::Relaxed),
        }
    }

    fn passed(&self, way: Way, bytes: usize) {
        let count = match way {
            Way::Up => &self.passed_up,
            Way::Down => &self.passed_down,
        };
        count.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Link {
    /// Starts a link that forwards each connection at these rates, in bytes per second. A rate of zero stalls.
    pub fn start(to: SocketAddr, up: u64, down: u64) -> Self {
        let pace = Arc::new(Pace {
            up: up.into(),
            down: down.into(),
            passed_up: AtomicU64::default(),
            passed_down: AtomicU64::default(),
        });
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(1).thread_name("slow-link").enable_all();
        let runtime = runtime.build().expect("a thread for the link");
        let listener = {
            let _inside = runtime.enter();
            listen()
        };
        let address = listener.local_addr().expect("a bound socket has an address");
        runtime.spawn(accept(listener, to, pace.clone()));
        Self { address, pace, runtime: Some(runtime) }
    }

    /// The address at which it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes how fast bytes go up, also on open connections.
    pub fn set_up(&self, rate: u64) {
        self.pace.up.store(rate, Ordering::Relaxed);
    }

    /// Changes how fast bytes come down, also on open connections.
    pub fn set_down(&self, rate: u64) {
        self.pace.down.store(rate, Ordering::Relaxed);
    }

    /// Bytes that went up.
    pub fn passed_up(&self) -> u64 {
        self.pace.passed_up.load(Ordering::Relaxed)
    }

    /// Bytes that came down.
    pub fn passed_down(&self) -> u64 {
        self.pace.passed_down.load(Ordering::Relaxed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn listen() -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(BUFFER).expect("a small buffer");
    socket.set_send_buffer_size(BUFFER).expect("a small buffer");
    #[expect(clippy::disallowed_methods, reason = "a test harness")]
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("loopback has a free port");
    socket.listen(1024).expect("a socket that listens")
}

async fn accept(listener: TcpListener, to: SocketAddr, pace: Arc<Pace>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((near, _)) => drop(connections.spawn(join(near, to, pace.clone()))),
            // Out of file descriptors. The tests' own connections will free some.
            Err(_) => tokio::time::sleep(TICK).await,
        }
    }
}

async fn join(near: TcpStream, to: SocketAddr, pace: Arc<Pace>) {
    let Ok(far) = TcpStream::connect(to).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let up = pass(near_in, far_out, pace.clone(), Way::Up);
    futures::future::join(up, pass(far_in, near_out, pace.clone(), Way::Down)).await;
}

/// Forwards bytes until one end is closed, which closes the other.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, pace: Arc<Pace>, way: Way) {
    let mut bytes = vec![0; PIECE];
    // Bytes that may move now. A link does not save up what it did not use.
    let mut allowed = 0.0_f64;
    let mut last = tokio::time::Instant::now();
    loop {
        let now = tokio::time::Instant::now();
        let rate = pace.rate(way) as f64;
        allowed = (allowed + rate * (now - last).as_secs_f64()).min((rate / 10.0).max(1.0));
        last = now;
        let most = (allowed as usize).min(PIECE);
        if most == 0 || rate == 0.0 {
            tokio::time::sleep(TICK).await;
            continue;
        }
        match from.read(&mut bytes[..most]).await {
            Ok(size @ 1..) => {
                allowed -= size as f64;
                if to.write_all(&bytes[..size]).await.is_err() {
                    return;
                }
                pace.passed(way, size);
            }
            Ok(0) | Err(_) => return,
        }
    }
}
