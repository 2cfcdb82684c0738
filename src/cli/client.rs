//! A small HTTP client for the commands: one request, one answer, both bounded.
//!
//! Plain HTTP only: the admin port is on loopback, and `weft send` is for a test at hand.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::CliError;

/// Longest wait for a whole answer: longer than the 30 s within which an ingress must decide.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(40);

/// Longest wait for a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// What came back.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// `GET url`.
pub(super) async fn get(url: &str) -> Result<Reply, CliError> {
    request(Method::GET, url, None, Bytes::new()).await
}

/// `POST url` with a body.
pub(super) async fn post(url: &str, content_type: &str, body: Bytes) -> Result<Reply, CliError> {
    request(Method::POST, url, Some(content_type), body).await
}

async fn request(
    method: Method,
    url: &str,
    content_type: Option<&str>,
    body: Bytes,
) -> Result<Reply, CliError> {
    let place = Place::of(url)?;
    let mut request = Request::builder()
        .method(method)
        .uri(place.target)
        .header(HOST, &place.authority)
        .header(USER_AGENT, concat!("weft/", env!("CARGO_PKG_VERSION")));
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    let request = request
        .body(Full::new(body))
        .map_err(|error| CliError::Config(format!("the URL {url:?} makes no request: {error}")))?;
    let unavailable = |what: String| CliError::Unavailable(format!("{url}: {what}"));
    let stream = timeout(CONNECT_TIME_MAX, TcpStream::connect(&place.address))
        .await
        .map_err(|_| unavailable(format!("no connection within {} s", CONNECT_TIME_MAX.as_secs())))?
        .map_err(|error| unavailable(error.to_string()))?;
    let exchange = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the exchange; its errors come out of the request, too.
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    let answer = async {
        let response = exchange.await.map_err(|error| unavailable(error.to_string()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await;
        let body = body
            .map_err(|error| unavailable(format!("reading the answer: {error}")))?
            .to_bytes();
        Ok(Reply { status, body })
    };
    timeout(ANSWER_TIME_MAX, answer)
        .await
        .map_err(|_| unavailable(format!("no answer within {} s", ANSWER_TIME_MAX.as_secs())))?
}

/// Where a URL leads.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// `host:port` for the socket.
    address: String,
    /// As the `Host` header has it.
    authority: String,
    /// Path and query.
    target: String,
}

impl Place {
    fn of(url: &str) -> Result<Place, CliError> {
        let wrong =
            |why: &str| CliError::Config(format!("the URL {url:?} {why}; write http://HOST[:PORT]/PATH"));
        let uri: Uri = url.parse().map_err(|_| wrong("is not one"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("is not plain HTTP"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("carries credentials, which are not sent"));
        }
        let port = authority.port_u16().unwrap_or(80);
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Place {
            address: format!("{}:{port}", authority.host()),
            authority: authority.to_string(),
            target: target.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_url_leads_to_a_socket_and_a_target() {
        let place = Place::of("http://localhost:8080/events?x=1").unwrap();
        assert_eq!(
            (place.address.as_str(), place.target.as_str()),
            ("localhost:8080", "/events?x=1")
        );
        let place = Place::of("http://[::1]").unwrap();
        assert_eq!((place.address.as_str(), place.target.as_str()), ("[::1]:80", "/"));
    }

    #[test]
    fn what_is_no_plain_http_url_is_refused_with_what_to_write() {
        for wrong in [
            "",
            "localhost:8080",
            "https://x/",
            "ftp://x/",
            "http://u:p@x/",
            "/events",
            "http://",
        ] {
            let error = Place::of(wrong).unwrap_err();
            assert_eq!(error.code(), 64, "{wrong}");
            assert!(error.to_string().contains("write http://HOST"), "{error}");
        }
    }
}
