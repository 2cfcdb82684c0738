//! What a [`Receiver`](crate::Receiver) does with one request: the vocabulary of its scripts.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;

/// An answer, or the lack of one.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
    pub(crate) delay: Option<Duration>,
    pub(crate) held: bool,
    pub(crate) end: End,
}

/// How the exchange ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With a response.
    Answer,
    /// Not at all, until the connection goes: the client must lose patience.
    Hang,
    /// With a reset of the connection: the client cannot know whether the request was taken.
    Reset,
    /// In the middle of the response's head, by a close (HTTP/1 only).
    Half,
}

impl Reply {
    /// A status with an empty body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            delay: None,
            held: false,
            end: End::Answer,
        }
    }

    /// Takes the request and never answers.
    #[must_use]
    pub fn hang() -> Self {
        Self {
            end: End::Hang,
            ..Self::status(204)
        }
    }

    /// Takes the request and resets the connection.
    #[must_use]
    pub fn reset() -> Self {
        Self {
            end: End::Reset,
            ..Self::status(204)
        }
    }

    /// Takes the request, says the first half of a response's head, and closes the connection (HTTP/1 only).
    #[must_use]
    pub fn half() -> Self {
        Self {
            end: End::Half,
            ..Self::status(204)
        }
    }

    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The same, but only after a time.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// The same, but only when the test says [`release`](crate::Receiver::release).
    #[must_use]
    pub fn held(mut self) -> Self {
        self.held = true;
        self
    }

    /// Whether this is an answer that says: delivered.
    #[must_use]
    pub fn accepts(&self) -> bool {
        self.end == End::Answer && (200..300).contains(&self.status)
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> u16 {
        self.status
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response
            .body(Full::new(self.body))
            .expect("the script names a valid status and valid headers")
    }
}
