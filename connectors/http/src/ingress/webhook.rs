//! The validation handshake of the CloudEvents webhook specification (HTTP 1.1 Web Hooks, section 4), where configured.

use http::header::ALLOW;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;

use super::site::Site;
use crate::problem::{Body, Kind, Problem};

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");

/// Answers whether the sender may deliver here. No rate is promised: an overloaded router answers 503.
pub(super) fn handshake(site: &Site, head: &Parts) -> Response<Body> {
    let origin = head.headers.get(REQUEST_ORIGIN);
    let known = |origin: &&HeaderValue| {
        site.webhook_origins
            .iter()
            .any(|allowed| allowed == "*" || allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    };
    match origin {
        Some(origin) if known(&origin) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(ALLOWED_ORIGIN, origin.clone());
            response.headers_mut().insert(ALLOW, site.allow.clone());
            response
        }
        // Section 4.2: a receiver that does not agree leaves the header out.
        _ => Problem::new(
            Kind::Method,
            "this sender may not register here: send webhook-request-origin with an origin that the router's operator \
             lists under webhook_origins",
        )
        .allow(site.allow.clone())
        .into_response(),
    }
}
