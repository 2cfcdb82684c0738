//! One request on one HTTP/1.1 connection, driven inside the request's own task.
//!
//! The alternative, a task for each connection as hyper's examples have it, costs two wakes and two channel hops a
//! request. Here the connection and the request are polled together; what hyper's channels between the two say is
//! always heard in the same poll, so that they are polled with a waker that does nothing.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, timeout_at};

use super::classify::{Answer, EXCERPT_MAX};

/// A request's body: whole, in memory.
pub(super) type Body = Full<Bytes>;

/// How much of an answer's body is read, so that its connection can be used again.
pub(super) const ANSWER_MAX: usize = 64 * 1024;
/// Most that is buffered of an answer; its head must fit.
const BUFFER_MAX: usize = 64 * 1024;

/// Why there is no answer.
pub(super) enum Failure {
    /// The connection was closed before the request got into it: certainly not sent. Here it is again.
    Unsent(Box<Request<Body>>),
    /// The connection broke after bytes may have gone out.
    Broken(String),
    /// No answer in time.
    Late,
    /// The receiver said that it has not looked at the request.
    Refused,
}

/// A connection, idle or in use by one request.
pub(super) struct Connection {
    requests: http1::SendRequest<Body>,
    /// `None` once it has ended.
    driver: Option<http1::Connection<TokioIo<TcpStream>, Body>>,
}

impl Connection {
    /// Wraps a fresh socket.
    pub(super) async fn open(tcp: TcpStream) -> hyper::Result<Connection> {
        let io = TokioIo::new(tcp);
        let (requests, driver) = http1::Builder::new()
            .max_buf_size(BUFFER_MAX)
            .handshake(io)
            .await?;
        Ok(Connection {
            requests,
            driver: Some(driver),
        })
    }

    /// Whether another request can be sent: the receiver has not closed it, and the last answer is over.
    ///
    /// Leaves no waker behind, so that an idle connection wakes nobody.
    pub(super) fn is_usable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.requests.is_ready()
    }

    /// Moves bytes; true when the connection has ended. What it owed is told through its channels.
    fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        let ended = match &mut self.driver {
            // An exhausted budget of the task must not look like a connection that has nothing to say.
            Some(driver) => pin!(unconstrained(driver)).poll(cx).is_ready(),
            None => return true,
        };
        if ended {
            self.driver = None;
        }
        ended
    }

    /// Sends the request and reads the answer. A success that is read is a success, whatever becomes of its body.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Body>,
        deadline: Instant,
    ) -> Result<Answered, Failure> {
        let head = timeout_at(deadline, self.head(request))
            .await
            .map_err(|_| Failure::Late)?;
        let (head, mut body) = head?.into_parts();
        let mut text = Vec::new();
        let done = body.is_end_stream()
            || timeout_at(deadline, self.body(&mut body, &mut text))
                .await
                .unwrap_or(false);
        drop(body);
        let answer = Answer::new(head.status, &head.headers, &text);
        Ok(Answered {
            answer,
            headers: head.headers,
            reusable: done && self.is_usable(),
        })
    }

    async fn head(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Failure> {
        let mut answer = pin!(unconstrained(self.requests.try_send_request(request)));
        // `answer` borrows nothing of the driver.
        let driver = &mut self.driver;
        let answered = poll_fn(|cx| {
            if let Some(running) = driver
                && pin!(unconstrained(running)).poll(cx).is_ready()
            {
                // Dropping it tells `answer` what became of the request.
                *driver = None;
            }
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        });
        answered.await.map_err(|mut error| match error.take_message() {
            Some(request) => Failure::Unsent(Box::new(request)),
            None => Failure::Broken(describe(error.error())),
        })
    }

    /// Reads the body, at most [`ANSWER_MAX`] of it, and keeps its start in `text`; true when it ended.
    async fn body(&mut self, body: &mut Incoming, text: &mut Vec<u8>) -> bool {
        let mut size = 0;
        poll_fn(|cx| {
            let mut driven = None;
            loop {
                let frame = Pin::new(&mut *body).poll_frame(&mut Context::from_waker(Waker::noop()));
                match (frame, driven) {
                    (Poll::Ready(None), _) => return Poll::Ready(true),
                    (Poll::Ready(Some(Err(_))), _) => return Poll::Ready(false),
                    (Poll::Ready(Some(Ok(frame))), _) => {
                        size += keep_start(&frame, text);
                        if size > ANSWER_MAX {
                            return Poll::Ready(false);
                        }
                        driven = None;
                    }
                    // Nothing lies ready, so that the connection must move; then look again.
                    (Poll::Pending, None) => driven = Some(self.drive(cx)),
                    (Poll::Pending, Some(ended)) if ended => return Poll::Ready(false),
                    (Poll::Pending, Some(_)) => return Poll::Pending,
                }
            }
        })
        .await
    }
}

/// Keeps as much of the frame as an excerpt may need; returns the frame's size.
pub(super) fn keep_start(frame: &Frame<Bytes>, text: &mut Vec<u8>) -> usize {
    // A character has at most four bytes.
    const KEPT_MAX: usize = EXCERPT_MAX * 4;
    let Some(data) = frame.data_ref() else { return 0 };
    let room = KEPT_MAX.saturating_sub(text.len());
    text.extend_from_slice(&data[..data.len().min(room)]);
    data.len()
}

/// An answer and what it means for its connection.
pub(super) struct Answered {
    pub(super) answer: Answer,
    pub(super) headers: HeaderMap,
    /// The connection may carry another request.
    pub(super) reusable: bool,
}

/// An error with its causes, in one line.
pub(super) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
