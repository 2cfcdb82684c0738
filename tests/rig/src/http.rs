//! One request over one connection of its own, blocking. For probes, metrics and the odd event; a test that is about
//! HTTP itself brings its own client.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::runtime;

/// How long one exchange may take; then the answer is an error of the kind `TimedOut`.
const LIMIT: Duration = Duration::from_secs(60);

/// What came back.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

impl Response {
    /// The first header of that name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// GET on a loopback port.
pub fn get(port: u16, path: &str) -> io::Result<Response> {
    send(Method::GET, port, path, &[], Bytes::new())
}

/// POST on a loopback port.
pub fn post(port: u16, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> io::Result<Response> {
    send(Method::POST, port, path, headers, body.into())
}

/// POST of one event in structured mode.
pub fn post_event(port: u16, path: &str, event: &serde_json::Value) -> io::Result<Response> {
    post(
        port,
        path,
        &[(CONTENT_TYPE.as_str(), "application/cloudevents+json")],
        event.to_string(),
    )
}

fn send(
    method: Method,
    port: u16,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> io::Result<Response> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, format!("127.0.0.1:{port}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Full::new(body))
        .expect("the test names a valid path and valid headers");
    runtime::wait(async move {
        timeout(LIMIT, exchange(port, request))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    })
}

async fn exchange(port: u16, request: Request<Full<Bytes>>) -> io::Result<Response> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    connection.abort();
    Ok(Response {
        status: head.status.as_u16(),
        headers: text_headers(&head.headers),
        body,
    })
}

/// Headers as text; a value's bytes that are not UTF-8 are replaced.
pub(crate) fn text_headers(headers: &hyper::HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
        .collect()
}
