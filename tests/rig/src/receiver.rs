//! An HTTP/1.1 and h2c server that records each request and answers as a script says. It owns its port, also while it
//! is closed, and lives on the rig's own runtime. It judges nothing: the test does.

use std::convert::Infallible;
use std::fmt;
use std::future;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::http::text_headers;
use crate::reply::{End, Reply};
use crate::{free_port, runtime};

/// What a half response has to say.
const HALF: &[u8] = b"HTTP/1.1 204 No Con";

/// A request as it arrived, whole.
#[derive(Debug, Clone)]
pub struct Request {
    /// `POST`, as a rule.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// 1 or 2.
    pub http: u8,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
    /// When its last byte was there.
    pub at: Instant,
    /// Counts the connections from 0, over a close and an open too.
    pub connection: usize,
    /// Whether it was answered with 2xx: an arrival. What was refused, reset or never answered is none.
    pub accepted: bool,
}

impl Request {
    /// The first header of that name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The body as JSON. Panics where it is none.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// The server. Dropping it closes it.
pub struct Receiver {
    port: u16,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    script: Mutex<Arc<Script>>,
    log: Mutex<Log>,
    grown: Condvar,
    /// Rises with each release; a held reply waits for a value that is not the one it began with.
    released: watch::Sender<u64>,
}

#[derive(Default)]
struct Log {
    requests: Vec<Request>,
    connections: usize,
}

impl Receiver {
    /// Listens on a free port and answers 204 to everything.
    #[must_use]
    pub fn start() -> Self {
        Self::on(free_port())
    }

    /// The same on a port that is known already.
    #[must_use]
    pub fn on(port: u16) -> Self {
        let mut receiver = Self::closed(port);
        receiver.open();
        receiver
    }

    /// Does not listen yet: whoever connects is refused until [`Receiver::open`].
    #[must_use]
    pub fn closed(port: u16) -> Self {
        let shared = Shared {
            script: Mutex::new(Arc::new(|_: &Request| Reply::status(204))),
            log: Mutex::default(),
            grown: Condvar::new(),
            released: watch::Sender::new(0),
        };
        Self {
            port,
            shared: Arc::new(shared),
            listener: None,
        }
    }

    /// Listens, for the first time or again on the same port.
    pub fn open(&mut self) {
        assert!(self.listener.is_none(), "the receiver listens already");
        let (port, shared) = (self.port, Arc::clone(&self.shared));
        let listener = runtime::wait(async move { TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await });
        let listener = listener.unwrap_or_else(|e| panic!("listening on port {port}: {e}"));
        self.listener = Some(runtime::get().spawn(accept(listener, shared)));
    }

    /// Stops to listen and drops every connection, answered or not.
    pub fn close(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.abort();
            // The port is free and the connections are gone only when the task is.
            runtime::wait(async move {
                let _ = listener.await;
            });
        }
    }

    /// The port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT` and the path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// From now on answers as `script` says, which sees each request just before it is recorded.
    pub fn respond(&self, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().expect("no holder panics") = Arc::new(script);
    }

    /// From now on answers everything with one status.
    pub fn answer(&self, status: u16) {
        self.respond(move |_| Reply::status(status));
    }

    /// Lets go every reply that is [held](Reply::held) now.
    pub fn release(&self) {
        self.shared.released.send_modify(|count| *count += 1);
    }

    /// How many requests there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.log.lock().expect("no holder panics").requests.len()
    }

    /// How many requests were answered with 2xx, or will be when they are released.
    #[must_use]
    pub fn accepted(&self) -> usize {
        let log = self.shared.log.lock().expect("no holder panics");
        log.requests.iter().filter(|request| request.accepted).count()
    }

    /// All requests, in the order in which they were complete.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.log.lock().expect("no holder panics").requests.clone()
    }

    /// Waits until there are `count` requests, and returns all of them, which may be more.
    #[track_caller]
    #[must_use]
    pub fn wait_for(&self, count: usize, limit: Duration) -> Vec<Request> {
        let log = self.shared.log.lock().expect("no holder panics");
        let few = |log: &mut Log| log.requests.len() < count;
        let (log, _) = self
            .shared
            .grown
            .wait_timeout_while(log, limit, few)
            .expect("no holder panics");
        let requests = log.requests.clone();
        drop(log);
        assert!(
            requests.len() >= count,
            "{} of {count} requests within {limit:?}",
            requests.len()
        );
        requests
    }

    /// Forgets the requests so far. Connections go on counting.
    pub fn forget(&self) {
        self.shared.log.lock().expect("no holder panics").requests.clear();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({}, {} requests)", self.port, self.count())
    }
}

/// Owns the listener and all connections: aborting it drops them.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let id = {
                    let mut log = shared.log.lock().expect("no holder panics");
                    log.connections += 1;
                    log.connections - 1
                };
                connections.spawn(serve(stream, id, Arc::clone(&shared)));
            }
        }
    }
}

async fn serve(stream: TcpStream, id: usize, shared: Arc<Shared>) {
    let Ok((stream, mut socket)) = twice(stream) else {
        return;
    };
    let (end, mut ended) = mpsc::channel(1);
    let service = service_fn(|request| answer(request, id, Arc::clone(&shared), end.clone()));
    let server = auto::Builder::new(TokioExecutor::new());
    tokio::select! {
        biased;
        Some(end) = ended.recv() => match end {
            // What is written past the server, which has nothing to say any more.
            End::Half => _ = socket.write_all(HALF).await,
            // Closing with no time to linger sends RST in place of FIN.
            _ => _ = socket.set_zero_linger(),
        },
        _ = server.serve_connection(TokioIo::new(stream), service) => {}
    }
}

/// The stream and a second handle to its socket, which we keep when the server has taken the first.
fn twice(stream: TcpStream) -> io::Result<(TcpStream, TcpStream)> {
    let stream = stream.into_std()?;
    let socket = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, TcpStream::from_std(socket)?))
}

async fn answer(
    request: hyper::Request<Incoming>,
    connection: usize,
    shared: Arc<Shared>,
    end: mpsc::Sender<End>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return future::pending().await;
    };
    let request = Request {
        method: head.method.to_string(),
        path: head
            .uri
            .path_and_query()
            .map_or_else(|| "/".to_owned(), ToString::to_string),
        http: if head.version == hyper::Version::HTTP_2 {
            2
        } else {
            1
        },
        headers: text_headers(&head.headers),
        body: body.to_bytes(),
        at: Instant::now(),
        connection,
        accepted: false,
    };
    // Before the request can be seen, or a release that follows at once would be missed.
    let mut released = shared.released.subscribe();
    let script = Arc::clone(&shared.script.lock().expect("no holder panics"));
    let reply = script(&request);
    shared
        .log
        .lock()
        .expect("no holder panics")
        .requests
        .push(Request {
            accepted: reply.accepts(),
            ..request
        });
    shared.grown.notify_all();

    if reply.held {
        let _ = released.changed().await;
    }
    if let Some(delay) = reply.delay {
        tokio::time::sleep(delay).await;
    }
    match reply.end {
        End::Answer => Ok(reply.into_response()),
        End::Hang => future::pending().await,
        broken => {
            // A second end of the same connection changes nothing.
            let _ = end.try_send(broken);
            future::pending().await
        }
    }
}
