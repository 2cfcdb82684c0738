//! Makes a connection: name, TCP, TLS, within one time limit.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Address, Tls};

/// How a remote is reached; cheap to make, holds nothing open.
#[derive(Clone, Debug)]
pub struct Dialer {
    address: Address,
    tls: Option<Tls>,
}

/// Why there is no connection; nothing was sent in the protocol that would have run on it. One line for an operator.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The remote's, or the network's: try again.
    #[error("{0}")]
    Unreachable(String),
    /// The remote's certificate, or what it thinks of ours.
    #[error("{0}")]
    Untrusted(String),
    /// The file's author: certificates that cannot be read or used here.
    #[error("{0}")]
    Misconfigured(String),
}

impl Dialer {
    /// For an address and, if its scheme is one of TLS or `tls:` is given, TLS.
    #[must_use]
    pub fn new(address: Address, tls: Option<Tls>) -> Dialer {
        let tls = tls.or_else(|| address.scheme().tls.then(Tls::default));
        Dialer { address, tls }
    }

    /// Where it dials to.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Connects, and shakes hands where it is TLS.
    ///
    /// # Errors
    /// Whose fault it is, in one line that names the address.
    pub async fn dial(&self, limit: Duration) -> Result<Stream, DialError> {
        match timeout(limit, self.connect()).await {
            Ok(result) => result,
            Err(_) => Err(DialError::Unreachable(format!(
                "{}: no connection within {limit:?}",
                self.address
            ))),
        }
    }

    async fn connect(&self) -> Result<Stream, DialError> {
        let address = &self.address;
        // Before the connection, so that a wrong file is told even while the remote is away.
        let tls = match &self.tls {
            Some(tls) => Some(load(tls.clone()).await.map_err(DialError::Misconfigured)?),
            None => None,
        };
        let tcp = TcpStream::connect((address.host(), address.port()))
            .await
            .map_err(|error| DialError::Unreachable(format!("{address}: {error}")))?;
        // Batches are written whole; waiting for more would only delay them.
        tcp.set_nodelay(true)
            .map_err(|error| DialError::Unreachable(format!("{address}: {error}")))?;
        let Some(config) = tls else {
            return Ok(Stream::Plain(tcp));
        };
        let name = ServerName::try_from(address.host().to_owned()).map_err(|_| {
            DialError::Misconfigured(format!(
                "{address}: the host is no name that a certificate may have"
            ))
        })?;
        match TlsConnector::from(config).connect(name, tcp).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(error) => Err(refused(address, &error)),
        }
    }
}

/// Reads certificate files where blocking does no harm.
async fn load(tls: Tls) -> Result<std::sync::Arc<rustls::ClientConfig>, String> {
    tokio::task::spawn_blocking(move || tls.load())
        .await
        .unwrap_or_else(|error| Err(format!("reading certificates: {error}")))
}

fn refused(address: &Address, error: &io::Error) -> DialError {
    let cause = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(why)) => DialError::Untrusted(format!(
            "{address}: its certificate is not trusted ({why:?}); name its authority in `tls.ca`"
        )),
        Some(rustls::Error::AlertReceived(alert)) => DialError::Untrusted(format!(
            "{address}: it refused the TLS handshake ({alert:?}); it may want a certificate of ours (`tls.cert`, `tls.key`)"
        )),
        Some(rustls::Error::InvalidMessage(_)) => {
            DialError::Unreachable(format!("{address}: it does not speak TLS on this port"))
        }
        _ => DialError::Unreachable(format!("{address}: TLS handshake: {error}")),
    }
}

/// A connection to the remote.
#[derive(Debug)]
pub enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
