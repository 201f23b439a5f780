//! `serve`: the HTTP service of the registry on loopback or a unix socket.

mod browser;
mod budget;
mod connection;
mod guarded;
mod linger;
mod listener;
mod patience;
mod refuse;
mod request;
mod settings;

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use plugin_registry::RegistryService;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

pub(crate) use self::listener::address as listen_address;
use self::{
    browser::Door,
    budget::Budget,
    connection::Rules,
    listener::Listener,
    patience::Patience,
    settings::{address, registry},
};
use crate::{
    args::{Level, Serve},
    failure::Failure,
    source::Configured,
    store::{Place, require_answer},
};

/// How long requests under way may take after the signal to end.
const GRACE: Duration = Duration::from_secs(10);
/// Connections at a time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;
/// From this many connections on, the server does not wait for stalled clients, so that others still get in.
const CROWD: usize = MAX_CONNECTIONS / 4 * 3;
/// Files that may be open where the system lets us choose: the connections, and what their requests open.
const FILES: u64 = 8192;
/// Where the SDK of AWS names the access key of each request, and what is logged there instead: it may be a secret in the
/// wrong place.
const NAMES_KEYS: [(&str, LevelFilter); 6] = [
    ("aws_config", LevelFilter::WARN),
    ("aws_runtime::env_config", LevelFilter::INFO),
    ("aws_smithy_runtime::client::orchestrator", LevelFilter::INFO),
    ("aws_sigv4", LevelFilter::INFO),
    ("aws_sdk_s3::endpoint_auth", LevelFilter::INFO),
    ("aws_sdk_sts::endpoint_auth", LevelFilter::INFO),
];
/// A pause after an accept that failed, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn run(options: Serve) -> Result<(), Failure> {
    let store = &options.store;
    let place = Place::of(store.root.as_deref(), &store.source).unwrap_or_default();
    let opened = place.make_durable(!options.no_durable).await?;
    // Before anything is logged: at its most talkative an SDK names keys.
    if let Some(configured) = &opened.configured {
        require_answer(&*opened.driver).await.map_err(|error| configured.failure(error))?;
    }
    log_to_stderr(&options, opened.configured.as_ref());
    let listen = address(&options, opened.configured.as_ref())?;
    let registry = registry(&options, opened);
    raise_files();
    // Before the first line is printed, so that its reader can already end the process.
    let mut end = End::new()?;
    let listener = Listener::bind(&listen).await?;
    if listener.is_exposed() {
        warn_exposed(&listener)?;
    }
    if options.no_durable {
        writeln!(io::stderr(), "warning: --no-durable: a power cut may lose or damage acknowledged content")?;
    }
    let mut out = io::stdout();
    writeln!(out, "{}", listener.url())?;
    out.flush()?;
    let limit = Some(options.body_timeout).filter(|seconds| *seconds > 0).map(Duration::from_secs);
    // A browser reaches no unix socket, and the names of an address that others reach are theirs to give.
    let door = match &listener {
        Listener::Tcp { .. } if !listener.is_exposed() => Door::loopback(&listen),
        Listener::Tcp { .. } | Listener::Unix { .. } => Door::any_name(),
    };
    let patience = Patience::new(limit);
    let rules = Rules { door: Arc::new(door), budget: Budget::new(patience.clone()) };
    accept_until(&mut end, listener, registry.service(), patience, rules).await;
    Ok(())
}

/// Accepts until the signal, then waits for the connections, at most [`GRACE`] or until a second signal.
async fn accept_until(
    end: &mut End,
    listener: Listener,
    service: RegistryService,
    patience: Patience,
    rules: Rules,
) {
    let (closing, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        let has_room = connections.len() < MAX_CONNECTIONS;
        patience.set_crowded(connections.len() >= CROWD);
        tokio::select! {
            () = end.signalled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if has_room => match accepted {
                Ok(stream) => {
                    let (service, closing) = (service.clone(), closing.subscribe());
                    connections.spawn(connection::serve(stream, service, patience.clone(), rules.clone(), closing));
                }
                Err(error) => {
                    patience.set_crowded(true);
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    listener.close();
    closing.send_replace(true);
    tracing::info!(connections = connections.len(), "ending");
    let all_ended = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = all_ended => {}
        () = end.signalled() => tracing::warn!("a second signal came: open requests were cut off"),
        () = tokio::time::sleep(GRACE) => tracing::warn!("open requests took too long and were cut off"),
    }
}

/// The signals that end the command.
struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl End {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::failed(format!("signals cannot be received: {error}")))
        };
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn signalled(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The usual soft limit of 1024 files is less than the connections need.
fn raise_files() {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES, |most| most.min(FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files could not be raised");
        }
    }
}

fn warn_exposed(listener: &Listener) -> io::Result<()> {
    let line = "!".repeat(78);
    writeln!(
        io::stderr(),
        "{line}\nWARNING: {} is not a loopback address. Anyone who can reach it can read and change\n\
         this registry: there is no authentication and no encryption. Use 127.0.0.1 or unix:/PATH.\n{line}",
        listener.url()
    )
}

/// Logs as the argument says, or else as the configuration does.
fn log_to_stderr(options: &Serve, configured: Option<&Configured>) {
    let filter = match options.log {
        Some(Level::Off) => LevelFilter::OFF,
        Some(Level::Error) => LevelFilter::ERROR,
        Some(Level::Warn) => LevelFilter::WARN,
        Some(Level::Info) => LevelFilter::INFO,
        Some(Level::Debug) => LevelFilter::DEBUG,
        Some(Level::Trace) => LevelFilter::TRACE,
        None => configured.and_then(|configured| configured.config.log.level).unwrap_or(LevelFilter::WARN),
    };
    let quiet = NAMES_KEYS.map(|(target, most)| (target, filter.min(most)));
    let targets = Targets::new().with_default(filter).with_targets(quiet);
    let lines = tracing_subscriber::fmt().with_max_level(filter).with_writer(io::stderr).with_ansi(false);
    lines.finish().with(targets).init();
}
