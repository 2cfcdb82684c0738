//! A receiver for floods: it keeps counts instead of requests.
//!
//! Events are named `KEY/SEQUENCE` by `ce-id`. Invariant: what is counted is what was answered 204; an event that was
//! answered 503 did not happen.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// The server, on threads of its own.
pub(crate) struct Sink {
    port: u16,
    tally: Arc<Mutex<Tally>>,
    runtime: Option<Runtime>,
}

/// What came so far.
#[derive(Default)]
pub(crate) struct Tally {
    /// Events that came for the first time.
    pub(crate) first: usize,
    /// Events that came again.
    pub(crate) again: usize,
    /// Requests that were answered 503.
    pub(crate) refused: usize,
    /// First deliveries after a later one of the same key.
    pub(crate) disorder: Vec<String>,
    keys: HashMap<String, Key>,
    down_until: Option<Instant>,
}

#[derive(Default)]
struct Key {
    seen: Vec<bool>,
    last: Option<usize>,
}

impl Sink {
    /// Listens on a free port and answers 204.
    pub(crate) fn start() -> Sink {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let tally = Arc::new(Mutex::new(Tally::default()));
        runtime.spawn(accept(listener, Arc::clone(&tally)));
        Sink {
            port,
            tally,
            runtime: Some(runtime),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap()
    }

    /// Answers 503 from now on, for so long.
    pub(crate) fn fail_for(&self, time: Duration) {
        self.tally().down_until = Some(Instant::now() + time);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Tally {
    /// Whether 503 is answered now.
    pub(crate) fn is_down(&self) -> bool {
        self.down_until.is_some_and(|until| Instant::now() < until)
    }

    fn take(&mut self, id: &str) -> u16 {
        if self.is_down() {
            self.refused += 1;
            return 503;
        }
        let (name, sequence) = id.split_once('/').expect("events are named KEY/SEQUENCE");
        let sequence: usize = sequence.parse().expect("a sequence is a number");
        let key = self.keys.entry(name.to_owned()).or_default();
        if key.seen.len() <= sequence {
            key.seen.resize(sequence + 1, false);
        }
        if std::mem::replace(&mut key.seen[sequence], true) {
            self.again += 1;
            return 204;
        }
        if key.last.is_some_and(|last| last > sequence) {
            self.disorder.push(format!("{id} after {:?}", key.last));
        }
        key.last = key.last.max(Some(sequence));
        self.first += 1;
        204
    }
}

async fn accept(listener: TcpListener, tally: Arc<Mutex<Tally>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let tally = Arc::clone(&tally);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &tally));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    tally: &Mutex<Tally>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    // A sender that was killed in the middle of a request has delivered nothing.
    if body.collect().await.is_err() {
        return std::future::pending().await;
    }
    let id = head
        .headers
        .get("ce-id")
        .and_then(|id| id.to_str().ok())
        .expect("binary mode");
    let status = tally.lock().unwrap().take(id);
    let mut response = Response::new(Empty::new());
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
    Ok(response)
}
