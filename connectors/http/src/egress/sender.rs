//! Delivers events: makes the request, finds a connection, judges the answer.
//!
//! What is certain decides what is said (CONTRACT C9, C15): before a request got into a connection it is certainly not
//! delivered; after that, without an answer, it may have been.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use hyper::body::Body as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use weft_api::egress::{DirectSend, SendFuture};
use weft_api::event::Event;
use weft_api::outcome::{Reason, SendError};

use super::classify::Answer;
use super::exchange::{ANSWER_MAX, Body, Connection, Failure, describe, keep_start};
use super::h2;
use super::headers::Headers;
use super::pool::Pool;
use super::target::Target;
use crate::config::SendMode;
use crate::mapping::{binary, structured};

/// Smaller bodies are sent as they are: packing them gains nothing.
const GZIP_MIN: usize = 256;

/// What a destination's file says, compiled.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) headers: Headers,
    pub(crate) method: Method,
    pub(crate) mode: SendMode,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) concurrency: u32,
    pub(crate) gzip: bool,
    pub(crate) http2: bool,
}

/// A sender with its own connections.
#[derive(Clone)]
pub(crate) struct Sender(Arc<Inner>);

struct Inner {
    plan: Arc<Plan>,
    /// `POST http://crm/events`.
    what: String,
    pool: Arc<Pool>,
    http2: h2::Shared,
}

impl DirectSend for Sender {
    fn send(&self, event: Event) -> SendFuture {
        let sender = self.0.clone();
        Box::pin(async move { sender.one(&event).await })
    }
}

impl Sender {
    pub(crate) fn new(plan: Arc<Plan>) -> Sender {
        let what = format!("{} {}", plan.method, plan.target.text);
        let pool = Arc::new(Pool::new(plan.concurrency as usize, plan.idle_timeout));
        Sender(Arc::new(Inner {
            plan,
            what,
            pool,
            http2: h2::Shared::default(),
        }))
    }

    /// Delivers one event.
    pub(crate) async fn one(&self, event: &Event) -> Result<(), SendError> {
        self.0.one(event).await
    }

    /// Sends several events as one batch; the answer is for all of them.
    pub(crate) async fn several(&self, events: &[Event]) -> Result<Answer, SendError> {
        let Some(first) = events.first() else {
            return Ok(Answer::new(http::StatusCode::NO_CONTENT, &HeaderMap::new(), &[]));
        };
        let mut headers = HeaderMap::with_capacity(8);
        let body = structured::encode_batch(events, &mut headers);
        // A batch has no templates, so that any event's request is everyone's.
        let request = self.0.request(first, headers, body)?;
        self.0.exchange(request).await
    }

    /// What an answer means.
    pub(crate) fn judge(&self, answer: &Answer) -> Result<(), SendError> {
        answer.judge(&self.0.what)
    }

    /// Connects, and closes again.
    pub(crate) async fn probe(&self) -> Result<(), SendError> {
        self.0.connect().await.map(drop)
    }
}

impl Inner {
    async fn one(&self, event: &Event) -> Result<(), SendError> {
        let mut headers = HeaderMap::with_capacity(16 + self.plan.headers.len());
        let body = match self.plan.mode {
            SendMode::Binary => binary::encode(event, &mut headers),
            SendMode::Structured => structured::encode(event, &mut headers),
            SendMode::Batch => structured::encode_batch([event], &mut headers),
        };
        let request = self.request(event, headers, body)?;
        self.exchange(request).await?.judge(&self.what)
    }

    fn request(
        &self,
        event: &Event,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Body>, SendError> {
        let plan = &*self.plan;
        let uri = plan.target.uri(event, plan.http2)?;
        plan.headers.render(event, &mut headers)?;
        let body = if plan.gzip && body.len() >= GZIP_MIN {
            packed(&body, &mut headers)?
        } else {
            body
        };
        let mut request = Request::new(Body::new(body));
        *request.method_mut() = plan.method.clone();
        *request.uri_mut() = uri;
        if plan.http2 {
            *request.version_mut() = Version::HTTP_2;
        } else {
            headers.insert(HOST, plan.target.host.clone());
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Answer, SendError> {
        let deadline = Instant::now() + self.plan.timeout;
        if self.plan.http2 {
            self.over_http2(request, deadline).await
        } else {
            self.over_http1(request, deadline).await
        }
    }

    async fn over_http1(&self, mut request: Request<Body>, deadline: Instant) -> Result<Answer, SendError> {
        loop {
            let idle = self.pool.take(deadline - self.plan.timeout);
            let fresh = idle.is_none();
            let mut connection = match idle {
                Some(connection) => connection,
                None => {
                    let tcp = timeout_at(deadline, self.connect())
                        .await
                        .map_err(|_| self.not_connected())??;
                    Box::new(
                        Connection::open(tcp)
                            .await
                            .map_err(|error| self.closed(&describe(&error)))?,
                    )
                }
            };
            match connection.exchange(request, deadline).await {
                Ok(answered) => {
                    if answered.reusable {
                        self.pool.park(connection, &answered.headers);
                    }
                    return Ok(answered.answer);
                }
                // The receiver closed it while it was idle. Each turn takes one such away, so that this ends.
                Err(Failure::Unsent(back)) if !fresh => request = *back,
                Err(failure) => return Err(self.failed(failure)),
            }
        }
    }

    async fn over_http2(&self, mut request: Request<Body>, deadline: Instant) -> Result<Answer, SendError> {
        // Twice: the shared connection may have been closed while nobody looked.
        for again in [true, false] {
            let shared = timeout_at(deadline, self.http2.get(async || self.connect().await));
            let requests = match shared.await {
                Ok(Ok(requests)) => requests,
                Ok(Err(Ok(error))) => return Err(error),
                Ok(Err(Err(error))) => return Err(self.closed(&describe(&error))),
                Err(_) => return Err(self.not_connected()),
            };
            let head = timeout_at(deadline, h2::exchange(requests, request))
                .await
                .unwrap_or(Err(Failure::Late));
            let (head, mut body) = match head {
                Ok(response) => response.into_parts(),
                Err(Failure::Unsent(back)) if again => {
                    request = *back;
                    continue;
                }
                Err(failure) => return Err(self.failed(failure)),
            };
            let mut text = Vec::new();
            let read = async {
                let mut size = 0;
                while let Some(Ok(frame)) =
                    std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await
                {
                    size += keep_start(&frame, &mut text);
                    if size > ANSWER_MAX {
                        break;
                    }
                }
            };
            // Dropping a body that goes on resets its stream; the answer counts all the same.
            let _ = timeout_at(deadline, read).await;
            return Ok(Answer::new(head.status, &head.headers, &text));
        }
        Err(self.closed("the connection closes at once"))
    }

    async fn connect(&self) -> Result<TcpStream, SendError> {
        let target = self.plan.target.connect_to();
        let tcp = match timeout(self.plan.connect_timeout, TcpStream::connect(target)).await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(error)) => {
                return Err(SendError::destination(
                    Reason::Unavailable,
                    self.unreachable(&error),
                ));
            }
            Err(_) => return Err(self.not_connected()),
        };
        // Requests are whole and wanted at once. A socket that is dead already says so at the first write.
        let _ = tcp.set_nodelay(true);
        Ok(tcp)
    }

    fn unreachable(&self, error: &io::Error) -> String {
        let remedy = match error.kind() {
            io::ErrorKind::ConnectionRefused => "nothing listens there: start the receiver, or correct `url`",
            _ => "look whether the host's name and address are right, and whether the network reaches it",
        };
        format!("connecting for {}: {error}; {remedy}", self.what)
    }

    fn not_connected(&self) -> SendError {
        let time = self.plan.connect_timeout.min(self.plan.timeout);
        let detail = format!(
            "connecting for {}: no answer within {time:?}; look whether the network reaches the host",
            self.what
        );
        SendError::destination(Reason::Unavailable, detail)
    }

    fn closed(&self, why: &str) -> SendError {
        let detail = format!(
            "{}: the receiver closed the connection before the request was sent ({why}); it is tried again",
            self.what
        );
        SendError::destination(Reason::Unavailable, detail)
    }

    fn failed(&self, failure: Failure) -> SendError {
        match failure {
            Failure::Unsent(_) => self.closed("no byte of it was sent"),
            Failure::Refused => SendError::destination(
                Reason::Overloaded,
                format!(
                    "{}: the receiver refused the stream and has not looked at the request; it is tried again",
                    self.what
                ),
            ),
            Failure::Broken(why) => SendError::destination(
                Reason::Reset,
                format!(
                    "{}: the connection broke before an answer came ({why}); look at the receiver's log",
                    self.what
                ),
            )
            .maybe_delivered(),
            Failure::Late => SendError::destination(
                Reason::Timeout,
                format!(
                    "{}: no answer within {:?}; look at the receiver, or raise `timeout`",
                    self.what, self.plan.timeout
                ),
            )
            .maybe_delivered(),
        }
    }
}

fn packed(body: &[u8], headers: &mut HeaderMap) -> Result<Bytes, SendError> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::fast());
    let packed = encoder.write_all(body).and_then(|()| encoder.finish());
    let packed =
        packed.map_err(|error| SendError::attempt(Reason::Failed, format!("packing the body: {error}")))?;
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(packed.len()));
    Ok(Bytes::from(packed))
}
