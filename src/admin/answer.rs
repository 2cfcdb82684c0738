//! What an endpoint gives back, before it is HTTP.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};

const TEXT: &str = "text/plain; charset=utf-8";

/// A status, a content type and a body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: String,
    /// What 405 says may be asked.
    pub(super) allow: &'static str,
}

impl Answer {
    /// 200 with any content type.
    pub(super) fn ok(content_type: &'static str, body: String) -> Answer {
        Answer {
            status: StatusCode::OK,
            content_type,
            body,
            allow: "",
        }
    }

    /// Plain text with a status.
    pub(super) fn text(status: StatusCode, body: impl Into<String>) -> Answer {
        Answer {
            status,
            content_type: TEXT,
            body: body.into(),
            allow: "",
        }
    }

    /// 200 with indented JSON and a line feed at the end, so that it reads well under `curl`.
    pub(super) fn json(value: &impl serde::Serialize) -> Answer {
        match serde_json::to_string_pretty(value) {
            Ok(text) => Answer::ok("application/json", text + "\n"),
            Err(error) => Answer::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("encoding the answer: {error}\n"),
            ),
        }
    }

    /// 404 that names what there is.
    pub(super) fn not_found(paths: &[&str]) -> Answer {
        Answer::text(
            StatusCode::NOT_FOUND,
            format!("not found; here are: {}\n", paths.join(" ")),
        )
    }

    /// 405: only these methods do anything here.
    pub(super) fn method(allow: &'static str) -> Answer {
        let text = format!("this endpoint takes {allow}\n");
        Answer {
            allow,
            ..Answer::text(StatusCode::METHOD_NOT_ALLOWED, text)
        }
    }

    /// As HTTP. hyper leaves the body of a HEAD request out and keeps its length.
    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if !self.allow.is_empty() {
            headers.insert(ALLOW, HeaderValue::from_static(self.allow));
        }
        response
    }
}
