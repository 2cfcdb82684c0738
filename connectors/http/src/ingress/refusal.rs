//! The words of refusals: whose fault it is, and what to do.

use std::time::Duration;

use http::header::HOST;
use http::request::Parts;
use weft_api::outcome::Reason;

use super::body::BodyError;
use super::site::Site;
use crate::mapping::{ModeError, excerpt};
use crate::problem::{Kind, Problem};

/// Why a message's mode cannot be read. `Ok`: it is no event, and the router decides whether it is kept. `Err`: it is
/// refused as it stands.
pub(super) fn unreadable(error: ModeError, site: &Site, head: &Parts) -> Result<Problem, Problem> {
    let malformed = |detail: String| Problem::new(Kind::Malformed, detail);
    match error {
        ModeError::Format(media) => Err(Problem::new(
            Kind::Unsupported,
            format!(
                "event format {media} is not spoken here: send application/cloudevents+json, \
                 application/cloudevents-batch+json, or binary mode"
            ),
        )),
        ModeError::Charset(name) => {
            let detail = format!("charset {name} is not spoken here: send JSON as UTF-8");
            Err(Problem::new(Kind::Unsupported, detail))
        }
        ModeError::ContentType => {
            let detail = "header \"content-type\" comes more than once or is no text: send one";
            Ok(malformed(detail.to_owned()))
        }
        ModeError::Plain => {
            let example = example(site, head);
            let detail = format!(
                "this is no CloudEvent and this ingress takes CloudEvents only: add the ce- headers ({example}), or \
                 let the router's operator set accept: both"
            );
            Ok(malformed(detail).with("example", example))
        }
    }
}

/// A line that works when it is pasted into a shell.
fn example(site: &Site, head: &Parts) -> String {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or(head.uri.authority().map(|authority| authority.as_str()));
    // A stranger's text must not become shell syntax in a line that is meant to be pasted.
    let harmless = |host: &&str| {
        host.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte))
    };
    let host = host
        .filter(harmless)
        .or(site.listen.first().map(String::as_str))
        .unwrap_or("localhost");
    format!(
        "curl 'http://{host}{}' -H 'ce-specversion: 1.0' -H 'ce-id: 1' -H 'ce-source: /curl' -H 'ce-type: \
         com.example.hello' -H 'content-type: application/json' -d '{{\"hello\":1}}'",
        head.uri.path()
    )
}

/// Why there is no body.
pub(super) fn body(error: BodyError, limit: u64, is_batch: bool, time: Duration) -> Problem {
    match error {
        BodyError::TooLarge => too_large(limit, is_batch),
        BodyError::NoRoom => no_room(),
        BodyError::Slow => {
            let seconds = time.as_secs_f32();
            Problem::new(
                Kind::Slow,
                format!("the body did not end within {seconds} s: send it faster, or in smaller events"),
            )
        }
        BodyError::Broken(why) => Problem::new(
            Kind::Malformed,
            format!("the body broke off or is framed wrongly ({why}): send it again"),
        ),
        BodyError::Coding(why) => Problem::new(
            Kind::Malformed,
            format!(
                "the body is not what content-encoding: gzip says ({}): pack it again",
                excerpt(&why)
            ),
        ),
    }
}

/// A body over its limit.
pub(super) fn too_large(limit: u64, is_batch: bool) -> Problem {
    let (which, remedy) = if is_batch {
        ("batch.bytes of this ingress", "smaller batches")
    } else {
        ("limits.event of the router", "smaller events")
    };
    Problem::new(
        Kind::TooLarge,
        format!("the body is larger than {limit} bytes, {which}: send {remedy}"),
    )
    .with("limit", limit)
}

/// The router, or the memory for bodies being read, is full.
pub(super) fn no_room() -> Problem {
    Problem::new(
        Kind::Released,
        "the router is full and did not take the event: send it again later",
    )
    .with("reason", Reason::Overloaded.as_str())
    .retry_after(1)
}
