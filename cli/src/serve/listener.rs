//! Where `serve` listens.

use std::{
    fs,
    io::{self, ErrorKind},
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use rustix::net::sockopt;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream, lookup_host},
};

use crate::failure::{Failure, Outcome};

/// How long a connection may be silent before the kernel probes the client's machine, how long it waits for
/// an answer, and how often it probes. A machine that is gone is noticed after two minutes.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEP_ALIVE_PROBES: u32 = 4;
/// Bytes that a socket takes beyond what its client has room for. By default it is some megabytes: 1024
/// clients that do not read would hold gigabytes of the kernel's memory, and the server could not tell that
/// they stand still.
const UNSENT: u32 = 128 * 1024;

/// Connections that wait to be accepted, as many as for TCP.
const BACKLOG: u32 = 1024;

/// A bound socket.
pub(super) enum Listener {
    Tcp { listener: TcpListener, address: SocketAddr },
    Unix { listener: UnixListener, path: PathBuf, file: Option<FileId> },
}

/// Device and inode of the socket's file, so that only our own is removed.
type FileId = (u64, u64);

/// An accepted connection.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// Binds `HOST:PORT` or `unix:/PATH`.
    pub(super) async fn bind(address: &str) -> Result<Self, Failure> {
        match address.strip_prefix("unix:") {
            Some(path) => Self::bind_unix(Path::new(path)).await,
            None => Self::bind_tcp(address).await,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "serve is the one command that listens (ADR 0001)")]
    async fn bind_tcp(text: &str) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            let hint = match error.kind() {
                ErrorKind::AddrInUse => "Choose another port, or port 0 for a free one.",
                ErrorKind::PermissionDenied => "Ports below 1024 need privileges; choose a higher one.",
                _ => "Write --listen 127.0.0.1:0, --listen HOST:PORT or --listen unix:/PATH.",
            };
            let outcome = match error.kind() {
                ErrorKind::InvalidInput => Outcome::Usage,
                _ => Outcome::Failed,
            };
            Failure::new(outcome, format!("cannot listen on `{text}`: {error}")).with_hint(hint)
        };
        let addresses: Vec<SocketAddr> = lookup_host(text).await.map_err(failed)?.collect();
        let listener = TcpListener::bind(addresses.as_slice()).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self::Tcp { listener, address })
    }

    #[expect(clippy::disallowed_methods, reason = "serve is the one command that listens (ADR 0001)")]
    async fn bind_unix(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::failed(format!("cannot listen on `unix:{}`: {error}", path.display()))
                .with_hint("Choose a path of at most 100 bytes in a directory that you can write to.")
        };
        remove_stale(path).await?;
        // No client can connect before it listens, and by then the file is private, whatever the umask.
        let socket = UnixSocket::new_stream().map_err(failed)?;
        socket.bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let listener = socket.listen(BACKLOG).map_err(failed)?;
        Ok(Self::Unix { listener, path: path.to_owned(), file: file_id(path) })
    }

    /// The address for clients: `http://HOST:PORT` or `unix:/PATH`.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Tcp { address, .. } => format!("http://{address}"),
            Self::Unix { path, .. } => format!("unix:{}", path.display()),
        }
    }

    /// Whether others than processes of this machine may reach it.
    pub(super) fn is_exposed(&self) -> bool {
        match self {
            Self::Tcp { address, .. } => !address.ip().to_canonical().is_loopback(),
            Self::Unix { .. } => false,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                // An answer's head and body are two writes; the second must not wait for an acknowledgement.
                // It fails only on a connection that is gone, which its first read also shows.
                let _ = stream.set_nodelay(true);
                // So is a machine that is switched off: it says nothing.
                let _ = keep_alive(&stream);
                let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
                Ok(Stream::Tcp(stream))
            }
            Self::Unix { listener, .. } => Ok(Stream::Unix(listener.accept().await?.0)),
        }
    }

    /// Stops listening and removes the socket's file, so that no client waits for a connection. Connections
    /// live on.
    pub(super) fn close(self) {
        if let Self::Unix { path, file: Some(file), .. } = &self
            && file_id(path).as_ref() == Some(file)
            && let Err(error) = fs::remove_file(path)
        {
            tracing::warn!(path = %path.display(), %error, "the socket was not removed");
        }
    }
}

fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEP_ALIVE_PROBES)
}

fn file_id(path: &Path) -> Option<FileId> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Removes a socket that a killed process left: only a socket, and only if no process answers on it.
async fn remove_stale(path: &Path) -> Result<(), Failure> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(Failure::failed(format!("`{}` exists and is not a socket", path.display()))
            .with_hint("Choose another path for --listen unix:/PATH."));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| {
                Failure::failed(format!("the stale socket `{}` cannot be removed: {error}", path.display()))
            })
        }
        _ => Err(Failure::failed(format!("another process answers on `{}`", path.display()))
            .with_hint("Stop it, or choose another path for --listen unix:/PATH.")),
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
