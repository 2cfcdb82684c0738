//! Error answers as `application/problem+json` (RFC 9457).
//!
//! Owns: the names of our problems, their members, and the response that carries them. A detail says whose fault it is
//! and what to do. Must not know: how a request was read or mapped.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value};

/// What every answer's body is.
pub(crate) type Body = Full<Bytes>;

/// The media type of a problem.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Every kind of problem that an ingress answers with; `type` is `urn:weft:problem:NAME`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The request could not become an event.
    Malformed,
    /// No such path.
    NotFound,
    /// The method is not taken here.
    Method,
    /// Larger than a limit.
    TooLarge,
    /// A media type or content coding that is not spoken here.
    Unsupported,
    /// The body did not come in time.
    Slow,
    /// The event will never be taken.
    Rejected,
    /// Certainly not taken; to be sent again later.
    Released,
    /// May have been taken; to be sent again under the same id.
    Unknown,
}

impl Kind {
    /// The status that goes with it.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Kind::Malformed => StatusCode::BAD_REQUEST,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Method => StatusCode::METHOD_NOT_ALLOWED,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::Slow => StatusCode::REQUEST_TIMEOUT,
            Kind::Rejected => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Released => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Unknown => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Malformed => "malformed",
            Kind::NotFound => "not-found",
            Kind::Method => "method",
            Kind::TooLarge => "too-large",
            Kind::Unsupported => "unsupported",
            Kind::Slow => "slow",
            Kind::Rejected => "rejected",
            Kind::Released => "released",
            Kind::Unknown => "unknown",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Kind::Malformed => "The request is no event",
            Kind::NotFound => "No events are taken at this path",
            Kind::Method => "This method carries no events here",
            Kind::TooLarge => "The request is too large",
            Kind::Unsupported => "This media type or content coding is not spoken here",
            Kind::Slow => "The body did not arrive in time",
            Kind::Rejected => "The event was rejected",
            Kind::Released => "The event was not taken",
            Kind::Unknown => "The event's fate is not known",
        }
    }
}

/// A problem on its way to become an answer. Boxed, so that what may fail stays small.
#[derive(Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    members: Map<String, Value>,
    allow: Option<HeaderValue>,
    retry_after: Option<u64>,
}

impl Problem {
    /// `detail` says whose fault it is and what to do.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        let mut members = Map::new();
        members.insert("type".into(), format!("urn:weft:problem:{}", kind.name()).into());
        members.insert("title".into(), kind.title().into());
        members.insert("status".into(), kind.status().as_u16().into());
        members.insert("detail".into(), detail.into().into());
        Problem(Box::new(Inner {
            status: kind.status(),
            members,
            allow: None,
            retry_after: None,
        }))
    }

    /// What it says to a person.
    pub(crate) fn detail(&self) -> &str {
        self.0
            .members
            .get("detail")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Answers with another status than the kind's own (202 for a malformed request that was kept).
    pub(crate) fn status(mut self, status: StatusCode) -> Problem {
        self.0.status = status;
        self.0.members.insert("status".into(), status.as_u16().into());
        self
    }

    /// One more member.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Problem {
        self.0.members.insert(name.into(), value.into());
        self
    }

    /// The `Allow` header of a 405.
    pub(crate) fn allow(mut self, methods: HeaderValue) -> Problem {
        self.0.allow = Some(methods);
        self
    }

    /// The `Retry-After` header, in whole seconds; also a member.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Problem {
        self.0.retry_after = Some(seconds);
        self.with("retry_after", seconds)
    }

    /// The answer.
    pub(crate) fn into_response(self) -> Response<Body> {
        // A map of strings to JSON values always has a JSON text.
        let body = serde_json::to_vec(&self.0.members).unwrap_or_default();
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        if let Some(methods) = self.0.allow {
            headers.insert(ALLOW, methods);
        }
        if let Some(seconds) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_problem_carries_its_members_and_headers() {
        let answer = Problem::new(Kind::Released, "full")
            .with("reason", "overloaded")
            .retry_after(2)
            .into_response();
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "2");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["type"], "urn:weft:problem:released");
        assert_eq!(value["status"], 503);
        assert_eq!(value["reason"], "overloaded");
        assert_eq!(value["retry_after"], 2);
    }

    #[test]
    fn a_status_that_differs_from_the_kind_s_stands_in_both_places() {
        let problem = Problem::new(Kind::Malformed, "x").status(StatusCode::ACCEPTED);
        assert_eq!(problem.0.members["status"], 202);
        assert_eq!(problem.into_response().status(), 202);
    }
}
