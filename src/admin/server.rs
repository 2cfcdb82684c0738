//! A small HTTP/1.1 server that hostile input cannot hurt.
//!
//! Owns every bound of these ports: connections, head size, time for a head, life of a connection. A client that is
//! slow, silent or greedy holds one slot for a bounded time and gets nothing else. A body is read only of a POST to the
//! admin surface.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use weft_api::stop::Stop;

use super::answer::Answer;
use super::{Admin, Method, dlq};

/// Most connections of one listener; more wait in the system's backlog until a slot is free.
pub const CONNECTIONS_MAX: usize = 64;

/// Longest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Longest wait for a complete head, idle time between two requests included: at most so long does a silent client
/// hold a slot.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);

/// Longest body, and longest wait for it.
const BODY_BYTES_MAX: usize = 64 << 10;
const BODY_TIME_MAX: Duration = Duration::from_secs(5);

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
    /// Its endpoints that can be looked at.
    #[must_use]
    pub fn paths(self) -> Vec<&'static str> {
        match self {
            Surface::Observe => vec!["/metrics", "/healthz", "/readyz"],
            Surface::Admin => {
                let mut paths = vec!["/status", "/routes", "/config"];
                paths.extend(dlq::LOOKED_AT);
                paths
            }
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
    let is_loopback = stream
        .local_addr()
        .is_ok_and(|address| address.ip().is_loopback());
    let service = service_fn(move |request: Request<Incoming>| {
        let admin = admin.clone();
        async move {
            let answer = match surface == Surface::Admin && is_loopback && !names_this_machine(&request) {
                true => Answer::text(
                    StatusCode::FORBIDDEN,
                    "ask for 127.0.0.1 or localhost: another name here is some web page's\n",
                ),
                false => respond(&admin, surface, request).await,
            };
            Ok::<_, Infallible>(answer.into_response())
        }
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

async fn respond(admin: &Admin, surface: Surface, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or(""));
    let doing = surface == Surface::Admin && dlq::DOING.contains(&path);
    match head.method {
        hyper::Method::GET | hyper::Method::HEAD => {
            admin.answer(surface, Method::Get, path, query, &[]).await
        }
        hyper::Method::POST if doing => match order(&head.headers, body).await {
            Ok(body) => admin.answer(surface, Method::Post, path, query, &body).await,
            Err(answer) => answer,
        },
        hyper::Method::POST => admin.answer(surface, Method::Post, path, query, &[]).await,
        _ if doing => Answer::method("POST"),
        _ => Answer::method("GET, HEAD"),
    }
}

/// A page in a browser on this machine can come by a name of its own that leads here (DNS rebinding), and would read
/// everything. Clients on the machine come by its address.
fn names_this_machine(request: &Request<Incoming>) -> bool {
    let Some(host) = request.headers().get(HOST) else {
        return true;
    };
    let host: Option<hyper::http::uri::Authority> = host.to_str().ok().and_then(|host| host.parse().ok());
    host.is_some_and(|host| {
        let name = host.host().trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
    })
}

/// The body of a request that changes something. A page in a browser can send one here, too, and the browser says so: JSON
/// it sends only after a question that nobody answers, and everything with the page's origin.
async fn order(headers: &HeaderMap, body: Incoming) -> Result<Bytes, Answer> {
    if headers.contains_key(ORIGIN) {
        return Err(Answer::text(StatusCode::FORBIDDEN, "no web page may send this\n"));
    }
    let is_json = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(';').next().unwrap_or("").trim() == "application/json");
    if !is_json {
        return Err(Answer::text(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send JSON, with content-type: application/json\n",
        ));
    }
    match timeout(BODY_TIME_MAX, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Answer::text(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a body of more than {BODY_BYTES_MAX} bytes\n"),
        )),
        Ok(Err(_)) => Err(Answer::text(StatusCode::BAD_REQUEST, "the body ended early\n")),
        Err(_) => Err(Answer::text(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not come\n",
        )),
    }
}
