//! The one HTTP/2 connection of a sender: opened by the first request that needs it, shared by all.

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::exchange::{Body, Failure, describe};

/// How often a connection with requests on it is probed, and how long the receiver has to answer that.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How much a receiver may send ahead.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Most of an answer's head.
const HEADER_LIST_MAX: u32 = 64 * 1024;

/// The place of the connection.
#[derive(Default)]
pub(super) struct Shared(Mutex<Option<http2::SendRequest<Body>>>);

impl Shared {
    /// The connection; `connect` is called where there is none that lives. One caller connects, the others wait for it.
    pub(super) async fn get<E>(
        &self,
        connect: impl AsyncFnOnce() -> Result<TcpStream, E>,
    ) -> Result<http2::SendRequest<Body>, Result<E, hyper::Error>> {
        let mut place = self.0.lock().await;
        if let Some(requests) = place.as_ref().filter(|requests| !requests.is_closed()) {
            return Ok(requests.clone());
        }
        let tcp = connect().await.map_err(Ok)?;
        let (requests, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW)
            .max_header_list_size(HEADER_LIST_MAX)
            .handshake(TokioIo::new(tcp))
            .await
            .map_err(Err)?;
        // Ends when the connection does, or when the last sender of requests is dropped. Its error reaches each request.
        tokio::spawn(connection);
        *place = Some(requests.clone());
        Ok(requests)
    }
}

/// Sends a request and reads the answer's head.
pub(super) async fn exchange(
    mut requests: http2::SendRequest<Body>,
    request: Request<Body>,
) -> Result<Response<Incoming>, Failure> {
    requests
        .try_send_request(request)
        .await
        .map_err(|mut error| match error.take_message() {
            Some(request) => Failure::Unsent(Box::new(request)),
            None if was_refused(error.error()) => Failure::Refused,
            None => Failure::Broken(describe(error.error())),
        })
}

/// The receiver says that it has not looked at the request (RFC 9113 section 8.7).
fn was_refused(error: &hyper::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.reason() == Some(h2::Reason::REFUSED_STREAM);
        }
        cause = error.source();
    }
    false
}
