//! One connection: tells the protocol, serves its requests, ends it when it is still for too long or the worker drains.
//!
//! Everything runs in the connection's own task; hyper drives the requests of HTTP/1 inside it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::activity::{Activity, Due};
use super::request::handle;
use super::wire::{Protocol, Wire};
use super::worker::Worker;

/// How long a connection that was told to end may take to finish what it was answering and to read the answer.
const LEAVE_MAX: Duration = Duration::from_secs(10);
/// Most that hyper buffers of one connection beyond its head; bodies come through in pieces of at most this.
const BUFFER_MAX: usize = 128 * 1024;
/// How much an HTTP/2 client may send ahead, a stream and a connection.
const HTTP2_STREAM_WINDOW: u32 = 256 * 1024;
const HTTP2_CONNECTION_WINDOW: u32 = 1024 * 1024;

/// The last word to a client whose head never ended.
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How serving ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The connection is closed.
    Closed,
    /// A head took too long; nothing is being answered.
    Slow,
    /// It was told to end, and did not.
    Stuck,
}

/// Serves until the connection ends.
pub(super) async fn serve(worker: Arc<Worker>, tcp: TcpStream) {
    let limits = &worker.site.limits;
    let activity = Arc::new(Activity::new(limits.header_timeout, limits.idle_timeout));
    let opening = timeout(limits.header_timeout, Wire::open(tcp, activity.clone()));
    let opened = tokio::select! {
        biased;
        opened = opening => opened,
        // Nothing was asked yet, so that nothing is lost.
        () = worker.draining() => return,
    };
    // A client that is slow or gone before it said anything gets no answer: there is no request to answer.
    let Ok(Ok(Some((wire, protocol)))) = opened else {
        return;
    };
    let service = {
        let (worker, activity) = (worker.clone(), activity.clone());
        service_fn(move |request| {
            let (worker, activity) = (worker.clone(), activity.clone());
            async move {
                let _busy = activity.enter();
                Ok::<_, Infallible>(handle(&worker, request).await)
            }
        })
    };
    match protocol {
        Protocol::Http1 => {
            let mut conn = http1::Builder::new()
                .max_header_size(limits.header_bytes)
                .max_buf_size(BUFFER_MAX.max(limits.header_bytes))
                .serve_connection(wire, service);
            let end = drive(
                Pin::new(&mut conn),
                |conn| conn.graceful_shutdown(),
                &activity,
                &worker,
            )
            .await;
            if end == End::Slow {
                let mut tcp = conn.into_parts().io.into_inner();
                // Best effort: the client may be gone.
                let _ = timeout(Duration::from_secs(1), tcp.write_all(TOO_SLOW)).await;
            }
        }
        Protocol::Http2 => {
            activity.settled();
            let conn = http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(limits.streams)
                .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
                .initial_stream_window_size(HTTP2_STREAM_WINDOW)
                .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
                .max_send_buf_size(BUFFER_MAX)
                .serve_connection(wire, service);
            drive(pin!(conn), |conn| conn.graceful_shutdown(), &activity, &worker).await;
        }
    }
}

/// Polls the connection first; drain and timer are looked at by a flag, and registered once each time they are armed.
async fn drive<C: Future>(
    mut conn: Pin<&mut C>,
    graceful: impl Fn(Pin<&mut C>),
    activity: &Activity,
    worker: &Worker,
) -> End {
    let mut drained = pin!(worker.draining());
    let mut timer = pin!(sleep_until(Instant::now() + worker.site.limits.header_timeout));
    let (mut leaving, mut armed) = (false, false);
    std::future::poll_fn(|cx| {
        loop {
            // Before the connection is polled: what it answers now must say that it closes.
            if !leaving && worker.is_draining() {
                leaving = true;
                graceful(conn.as_mut());
                // While the router drains, answers may take as long as their deadline.
                timer
                    .as_mut()
                    .reset(Instant::now() + worker.site.limits.deadline + LEAVE_MAX);
                armed = false;
            }
            if conn.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Closed);
            }
            if !armed {
                // The task's waker never changes, so that one poll registers for good.
                armed = true;
                if !leaving && drained.as_mut().poll(cx).is_ready() {
                    continue;
                }
                let _ = timer.as_mut().poll(cx);
            }
            if !timer.is_elapsed() {
                return Poll::Pending;
            }
            let now = Instant::now();
            let again = match activity.due(now) {
                _ if leaving => return Poll::Ready(End::Stuck),
                Due::Head => return Poll::Ready(End::Slow),
                Due::At(at) => at,
                Due::Idle => {
                    leaving = true;
                    graceful(conn.as_mut());
                    now + LEAVE_MAX
                }
            };
            timer.as_mut().reset(again);
            armed = false;
        }
    })
    .await
}
