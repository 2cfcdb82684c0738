//! A small HTTP/1.1 server that hostile input cannot hurt.
//!
//! Owns every bound of these ports: connections, head size, time for a head, life of a connection. A client that is
//! slow, silent or greedy holds one slot for a bounded time and gets nothing else. Request bodies are never read.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use weft_api::stop::Stop;

use super::Admin;
use super::answer::Answer;

/// Most connections of one listener; more wait in the system's backlog until a slot is free.
pub const CONNECTIONS_MAX: usize = 64;

/// Longest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Longest wait for a complete head, idle time between two requests included: at most so long does a silent client
/// hold a slot.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a connection may live before it is asked to end after its current answer...
const LIFE: Duration = Duration::from_secs(60);

/// ...and how long that answer may then take.
const LAST_ANSWER_MAX: Duration = Duration::from_secs(10);

/// Pause after a failed accept (no file descriptors left, say), lest the loop spins.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Which endpoints a listener shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Surface {
    /// `observe.listen`: for Prometheus and probes.
    Observe,
    /// `admin.listen`: for operators.
    Admin,
}

impl Surface {
    /// Its endpoints.
    #[must_use]
    pub fn paths(self) -> &'static [&'static str] {
        match self {
            Surface::Observe => &["/metrics", "/healthz", "/readyz"],
            Surface::Admin => &["/status", "/routes", "/config"],
        }
    }
}

/// Serves until `stop` says `Stopped`: health and metrics answer all through a drain (CONTRACT C22).
pub async fn serve(listener: TcpListener, surface: Surface, admin: Arc<Admin>, stop: Stop) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // Ended connections are reaped here, so the set is bounded by the slots.
        while connections.try_join_next().is_some() {}
        // Stop first, here and below: nothing new is taken once it fired. Dropping the set ends what is left.
        let slot = tokio::select! {
            biased;
            () = stop.stopped() => return,
            slot = slots.clone().acquire_owned() => slot.expect("the semaphore is never closed"),
        };
        let stream = tokio::select! {
            biased;
            () = stop.stopped() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "accepting an admin connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let admin = admin.clone();
        connections.spawn(async move {
            connection(stream, surface, admin).await;
            drop(slot);
        });
    }
}

async fn connection(stream: TcpStream, surface: Surface, admin: Arc<Admin>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let admin = admin.clone();
        async move { Ok::<_, Infallible>(respond(&admin, surface, &request).await.into_response()) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    // Errors here are the client's (it hung up, was slow, or spoke no HTTP); hyper has answered what can be answered.
    if timeout(LIFE, served.as_mut()).await.is_err() {
        served.as_mut().graceful_shutdown();
        let _ = timeout(LAST_ANSWER_MAX, served).await;
    }
}

async fn respond(admin: &Admin, surface: Surface, request: &Request<Incoming>) -> Answer {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Answer::read_only();
    }
    admin
        .answer(surface, request.uri().path(), request.uri().query().unwrap_or(""))
        .await
}
