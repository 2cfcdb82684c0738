//! Both ends of a backlog: senders, a connection for each key, and the receiver, which is away until it is opened. Each
//! side has a thread of its own.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

use super::keys::{self, ID_BYTES, Keys};
use crate::{Failure, event, response, tool};

/// Between two attempts where nobody listens, or nothing is taken.
const PAUSE: Duration = Duration::from_millis(20);

/// Senders that are under way. Dropped, they end once each has its answer.
pub struct Senders {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Senders {
    /// Sends until it is dropped, or `most` are promised over all: so many a second, or as many as are answered.
    ///
    /// # Errors
    /// There is no thread.
    pub fn start(port: u16, keys: &Arc<Keys>, rate: Option<f64>, most: u64) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, keys) = (Arc::clone(&stop), Arc::clone(keys));
        let left = Arc::new(AtomicU64::new(most));
        let run = move || {
            let Some(runtime) = runtime() else { return };
            runtime.block_on(async {
                let count = keys.count();
                let pause = rate.map(|rate| Duration::from_secs_f64(count as f64 / rate));
                let senders: Vec<_> = (0..count)
                    .map(|key| {
                        let (keys, ended, left) = (Arc::clone(&keys), Arc::clone(&ended), Arc::clone(&left));
                        let first =
                            pause.map_or(Duration::ZERO, |pause| pause.mul_f64(key as f64 / count as f64));
                        tokio::task::spawn_local(async move {
                            let mut due = Instant::now() + first;
                            let mut connection = None;
                            while !ended.load(Ordering::Acquire)
                                && left
                                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                                    .is_ok()
                            {
                                if let Some(pause) = pause {
                                    tokio::time::sleep_until(due.into()).await;
                                    due += pause;
                                }
                                let sequence = keys.next(key);
                                while !post(&mut connection, port, (key, sequence), &keys).await {
                                    if ended.load(Ordering::Acquire) {
                                        return;
                                    }
                                    tokio::time::sleep(PAUSE).await;
                                }
                                keys.promise(key, sequence);
                            }
                        })
                    })
                    .collect();
                for sender in senders {
                    // One that panicked has said so; its events are missing.
                    let _ = sender.await;
                }
            });
        };
        let thread = thread::Builder::new().name("senders".to_owned()).spawn(run)?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Whether all of them have ended.
    #[must_use]
    pub fn have_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One attempt; whether the event is promised.
async fn post(
    connection: &mut Option<TcpStream>,
    port: u16,
    (key, sequence): (usize, u64),
    keys: &Keys,
) -> bool {
    match exchange(connection, port, key, sequence).await {
        Ok(200..300) => true,
        Ok(429 | 503) => {
            keys.refused.fetch_add(1, Ordering::Relaxed);
            false
        }
        _ => {
            keys.unknown.fetch_add(1, Ordering::Relaxed);
            *connection = None;
            false
        }
    }
}

async fn exchange(
    connection: &mut Option<TcpStream>,
    port: u16,
    key: usize,
    sequence: u64,
) -> Result<u16, Failure> {
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(("127.0.0.1", port)).await?;
            stream.set_nodelay(true)?;
            stream
        }
    };
    stream.write_all(&request(port, key, sequence)).await?;
    let mut answer = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err("the connection was closed without an answer".into());
        }
        if let Some(head) = response::head(&answer)?
            && answer.len() >= head.whole
        {
            *connection = (!head.close).then_some(stream);
            return Ok(head.status);
        }
    }
}

fn request(port: u16, key: usize, sequence: u64) -> Vec<u8> {
    let data = event::data();
    let mut text = format!("POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    for (name, value) in event::ATTRIBUTES {
        text += &format!("ce-{name}: {value}\r\n");
    }
    text += &format!(
        "ce-partitionkey: machine-{key}\r\nce-id: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        keys::id(key, sequence),
        event::CONTENT_TYPE,
        data.len()
    );
    let mut request = text.into_bytes();
    request.extend(data);
    request
}

/// Lets the receiver be there, on its port, as long as the process lives.
///
/// # Errors
/// The port is taken, or there is no thread.
pub fn open(port: u16, keys: &Arc<Keys>) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    let keys = Arc::clone(keys);
    let run = move || {
        let Some(runtime) = runtime() else { return };
        runtime.block_on(async {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let keys = Arc::clone(&keys);
                tokio::task::spawn_local(async move {
                    let service = service_fn(|request| answer(request, &keys));
                    // A client that hangs up is no news.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
    };
    thread::Builder::new().name("receiver".to_owned()).spawn(run)?;
    Ok(())
}

async fn answer(request: Request<Incoming>, keys: &Keys) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut answer = Response::new(Full::default());
    let body = body.collect().await.map(http_body_util::Collected::to_bytes);
    let id = head.headers.get("ce-id").map(|id| id.as_bytes());
    match (body, id) {
        (Ok(body), Some(id)) if body.len() == event::DATA_BYTES && id.len() == ID_BYTES => keys.arrive(id),
        _ => {
            keys.foreign.fetch_add(1, Ordering::Relaxed);
        }
    }
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Ok(answer)
}

fn runtime() -> Option<LocalRuntime> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default());
    runtime
        .map_err(|error| tool::note(&format!("a runtime: {error}")))
        .ok()
}
