//! Connections to a host: TCP that counts its progress, through a proxy or not, with TLS or not.

use std::{
    error::Error as StdError,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Uri, uri::Scheme};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector, proxy::Tunnel};
use rustls::ClientConfig;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tower_service::Service;

use super::progress::Metered;

type BoxError = Box<dyn StdError + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// The most bytes that the system accepts before it has sent them. Its own limit is megabytes. On a slow link
/// that takes minutes, which would look like a store that does not answer.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 256 << 10;

type Stream = <HttpConnector as Service<Uri>>::Response;

/// TCP to a host and port.
#[derive(Clone, Debug)]
pub(super) struct TcpConnector(HttpConnector);

impl TcpConnector {
    /// A dead peer is noticed within `patience`, even while nothing is sent.
    pub(super) fn new(patience: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(patience / 2));
        tcp.set_keepalive_interval(Some(patience / 6));
        tcp.set_keepalive_retries(Some(3));
        // For bytes that were sent but not acknowledged. Later than the limit of the request, which reports its
        // own name.
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(patience * 2));
        Self(tcp)
    }
}

impl Service<Uri> for TcpConnector {
    type Response = Metered<Stream>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.0.call(to);
        Box::pin(async move {
            let stream = connecting.await?;
            #[cfg(target_os = "linux")]
            if let Err(error) = SockRef::from(stream.inner()).set_tcp_notsent_lowat(UNSENT) {
                tracing::debug!(%error, "a connection takes more bytes than it has sent");
            }
            Ok(Metered::new(stream))
        })
    }
}

/// The way to a host, up to the point where TLS with the host begins.
#[derive(Clone, Debug)]
pub(super) enum HostConnector {
    Direct(TcpConnector),
    Proxy {
        url: Uri,
        /// `Proxy-Authorization` of a tunnel. Requests without TLS carry it themselves.
        authorization: Option<HeaderValue>,
        connector: HttpsConnector<TcpConnector>,
    },
}

impl HostConnector {
    pub(super) fn new(tcp: TcpConnector, proxy: Option<&Proxy>, tls: &ClientConfig) -> Self {
        match proxy {
            None => Self::Direct(tcp),
            Some(proxy) => Self::Proxy {
                url: proxy.url.clone(),
                authorization: proxy.authorization.clone(),
                connector: HttpsConnector::from((tcp, tls.clone())),
            },
        }
    }
}

/// An HTTP proxy.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    /// Its URL, without user and password.
    pub(super) url: Uri,
    /// `Proxy-Authorization`.
    pub(super) authorization: Option<HeaderValue>,
}

impl Service<Uri> for HostConnector {
    type Response = HostStream;
    type Error = BoxError;
    type Future = Connecting<HostStream>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Direct(tcp) => tcp.poll_ready(cx),
            Self::Proxy { connector, .. } => connector.poll_ready(cx),
        }
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        match self {
            Self::Direct(tcp) => {
                let connecting = tcp.call(to);
                Box::pin(async move {
                    Ok(HostStream { io: MaybeHttpsStream::Http(connecting.await?), is_forwarded: false })
                })
            }
            Self::Proxy { url, authorization, connector } if to.scheme() == Some(&Scheme::HTTPS) => {
                let tunnel = Tunnel::new(url.clone(), connector.clone());
                let mut tunnel = match authorization {
                    Some(authorization) => tunnel.with_auth(authorization.clone()),
                    None => tunnel,
                };
                let connecting = tunnel.call(to);
                Box::pin(async move { Ok(HostStream { io: connecting.await?, is_forwarded: false }) })
            }
            Self::Proxy { url, connector, .. } => {
                let connecting = connector.call(url.clone());
                Box::pin(async move { Ok(HostStream { io: connecting.await?, is_forwarded: true }) })
            }
        }
    }
}

/// A connection to the host, to the end of a tunnel, or to a proxy that forwards requests.
#[derive(Debug)]
pub(super) struct HostStream {
    io: MaybeHttpsStream<Metered<Stream>>,
    is_forwarded: bool,
}

impl Connection for HostStream {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.is_forwarded)
    }
}

impl Read for HostStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for HostStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
