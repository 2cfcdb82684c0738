//! One request: what it asks for, its body, its event, the lane's verdict, the answer.
//!
//! Refusals that need no body come first, the lane's room among them, so that an overloaded router answers within
//! 50 ms without reading what it will not take (CONTRACT C21).

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT};
use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use weft_api::event::{Coordinates, Event, malformed};
use weft_api::ingress::{Incoming as Message, Verdict, VerdictFuture};

use super::body;
use super::site::Site;
use super::worker::Worker;
use super::{answer, refusal, webhook};
use crate::mapping::structured::{self, BatchError};
use crate::mapping::{Mode, excerpt, mode};
use crate::problem::{Body, Kind, Problem};

/// Answers one request.
pub(super) async fn handle(worker: &Worker, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let (reading, limit, gzip) = match admit(worker, &head, &body) {
        Ok(Admitted::Events { reading, limit, gzip }) => (reading, limit, gzip),
        Ok(Admitted::Handshake(answer)) => return answer,
        Err(problem) => {
            // A client that waits for leave to send must not be asked for its body now.
            if !head.headers.contains_key(EXPECT) {
                body::discard(body).await;
            }
            return problem.into_response();
        }
    };
    let read = body::read(body, limit, worker.site.limits.body_timeout, &worker.site.reading).await;
    let read = read.and_then(|body| {
        if gzip {
            body::gunzip(&body, limit)
        } else {
            Ok(body)
        }
    });
    match read {
        Ok(body) => take(worker, &head, reading, body).await,
        Err(error) => {
            refusal::body(error, limit, reading.is_batch(), worker.site.limits.body_timeout).into_response()
        }
    }
}

/// What may go on to have its body read.
enum Admitted {
    Events {
        reading: Reading,
        limit: u64,
        gzip: bool,
    },
    Handshake(Response<Body>),
}

/// What the head says about the body.
enum Reading {
    /// It is to be read in this mode.
    As(Mode),
    /// It is no event; the router decides whether it is kept.
    Malformed(Problem),
}

impl Reading {
    fn is_batch(&self) -> bool {
        matches!(self, Reading::As(Mode::Batch))
    }
}

fn admit(worker: &Worker, head: &Parts, body: &Incoming) -> Result<Admitted, Problem> {
    let site = &*worker.site;
    let admitted = ask(site, head)?;
    if let Admitted::Events { reading, limit, .. } = &admitted {
        let declared = body.size_hint().exact().unwrap_or(0);
        if declared > *limit {
            return Err(refusal::too_large(*limit, reading.is_batch()));
        }
        if !worker.lane.has_room(declared) {
            return Err(refusal::no_room());
        }
    }
    Ok(admitted)
}

/// What the head alone decides.
fn ask(site: &Site, head: &Parts) -> Result<Admitted, Problem> {
    let path = head.uri.path();
    if !site.paths.iter().any(|known| known == path) {
        let detail = format!(
            "this ingress takes events at {}: correct the path",
            site.paths.join(", ")
        );
        return Err(Problem::new(Kind::NotFound, detail));
    }
    if head.method == Method::OPTIONS && !site.webhook_origins.is_empty() {
        return Ok(Admitted::Handshake(webhook::handshake(site, head)));
    }
    if !site.methods.contains(&head.method) {
        let allowed = site.allow.to_str().unwrap_or_default();
        let detail = format!(
            "{} carries no events here: use {allowed}",
            excerpt(head.method.as_str())
        );
        return Err(Problem::new(Kind::Method, detail).allow(site.allow.clone()));
    }
    let reading = match mode(&head.headers, site.accept) {
        Ok(mode) => Reading::As(mode),
        Err(error) => Reading::Malformed(refusal::unreadable(error, site, head)?),
    };
    let gzip = coding(head)?;
    let limit = if reading.is_batch() {
        site.limits.batch_bytes
    } else {
        site.limits.event_bytes
    };
    Ok(Admitted::Events { reading, limit, gzip })
}

/// Whether the body is packed.
fn coding(head: &Parts) -> Result<bool, Problem> {
    let mut codings = head.headers.get_all(CONTENT_ENCODING).iter();
    let first = codings.next().map(|value| value.as_bytes().trim_ascii());
    match (first, codings.next()) {
        (None, _) => Ok(false),
        (Some(value), None) if value.eq_ignore_ascii_case(b"identity") => Ok(false),
        (Some(value), None)
            if value.eq_ignore_ascii_case(b"gzip") || value.eq_ignore_ascii_case(b"x-gzip") =>
        {
            Ok(true)
        }
        _ => Err(Problem::new(
            Kind::Unsupported,
            "content-encoding: send the body as it is, or gzip, once",
        )),
    }
}

/// Makes the event or events, submits them, and answers by the verdict.
async fn take(worker: &Worker, head: &Parts, reading: Reading, body: Bytes) -> Response<Body> {
    let site = &*worker.site;
    match make(site, head, reading, &body) {
        Ok(Made::One(event)) => {
            let verdict = worker
                .lane
                .submit(Message::from(event), site.limits.deadline)
                .await;
            answer::one(&verdict)
        }
        Ok(Made::Several(events)) => {
            let verdicts = all(worker, &events).await;
            answer::batch(&events, &verdicts)
        }
        Err(Refused::Malformed(problem)) => {
            let event = kept(site, head, body, problem.detail());
            let message = Message {
                event,
                malformed: true,
            };
            let verdict = worker.lane.submit(message, site.limits.deadline).await;
            answer::malformed(&verdict, problem)
        }
        Err(Refused::TooLarge(problem)) => problem.into_response(),
    }
}

fn make(site: &Site, head: &Parts, reading: Reading, body: &Bytes) -> Result<Made, Refused> {
    match reading {
        Reading::Malformed(problem) => Err(Refused::Malformed(problem)),
        Reading::As(Mode::Batch) => several(site, body),
        Reading::As(mode) => site
            .event(mode, &head.uri, &head.headers, body.clone())
            .map(Made::One)
            .map_err(no_event),
    }
}

/// What the router would be handed for a request that nobody sent.
///
/// # Errors
/// Why it would be answered without asking the router.
pub(super) fn map(site: &Site, head: &Parts, body: &Bytes) -> Result<Vec<Message>, String> {
    let refused = |problem: Problem| problem.detail().to_owned();
    let (reading, limit, gzip) = match ask(site, head).map_err(refused)? {
        Admitted::Events { reading, limit, gzip } => (reading, limit, gzip),
        Admitted::Handshake(_) => return Ok(Vec::new()),
    };
    let unread = |error| {
        refused(refusal::body(
            error,
            limit,
            reading.is_batch(),
            site.limits.body_timeout,
        ))
    };
    if body.len() as u64 > limit {
        return Err(unread(body::BodyError::TooLarge));
    }
    let body = match gzip {
        true => body::gunzip(body, limit).map_err(unread)?,
        false => body.clone(),
    };
    match make(site, head, reading, &body) {
        Ok(Made::One(event)) => Ok(vec![event.into()]),
        Ok(Made::Several(events)) => Ok(events.into_iter().map(Message::from).collect()),
        Err(Refused::Malformed(problem)) => Ok(vec![Message {
            event: kept(site, head, body, problem.detail()),
            malformed: true,
        }]),
        Err(Refused::TooLarge(problem)) => Err(refused(problem)),
    }
}

enum Refused {
    /// The router decides whether it is kept.
    Malformed(Problem),
    TooLarge(Problem),
}

fn no_event(why: String) -> Refused {
    Refused::Malformed(Problem::new(
        Kind::Malformed,
        format!("{why}; correct the request"),
    ))
}

/// The events of a batch, each within the limit of one event.
fn several(site: &Site, body: &Bytes) -> Result<Made, Refused> {
    let max = site.limits.batch_events;
    let events = structured::decode_batch(body, max).map_err(|error| match error {
        BatchError::Malformed(why) => no_event(why),
        BatchError::TooMany => {
            let detail = format!(
                "the batch has more than {max} events, batch.events of this ingress: send smaller batches"
            );
            Refused::TooLarge(Problem::new(Kind::TooLarge, detail).with("limit", max))
        }
    })?;
    let limit = site.limits.event_bytes;
    match events
        .iter()
        .position(|event| event.data().map_or(0, Bytes::len) as u64 > limit)
    {
        None => Ok(Made::Several(events)),
        Some(index) => {
            let detail = format!(
                "event {index} of the batch is larger than {limit} bytes, limits.event of the router, and none of the batch \
                 was taken: send smaller events"
            );
            Err(Refused::TooLarge(
                Problem::new(Kind::TooLarge, detail).with("limit", limit),
            ))
        }
    }
}

enum Made {
    One(Event),
    Several(Vec<Event>),
}

/// Submits all, in their order, and waits for every verdict.
async fn all(worker: &Worker, events: &[Event]) -> Vec<Verdict> {
    let deadline = worker.site.limits.deadline;
    let mut waiting: Vec<(usize, VerdictFuture)> = events
        .iter()
        .enumerate()
        .map(|(index, event)| (index, worker.lane.submit(Message::from(event.clone()), deadline)))
        .collect();
    let mut verdicts = vec![None; events.len()];
    poll_fn(|cx| {
        // Polled in the order of the batch, so that first deliveries of one key follow it (C20).
        waiting.retain_mut(|(index, verdict)| match verdict.as_mut().poll(cx) {
            Poll::Ready(verdict) => {
                verdicts[*index] = Some(verdict);
                false
            }
            Poll::Pending => true,
        });
        if waiting.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    verdicts.into_iter().flatten().collect()
}

/// What could not become an event, kept as one.
fn kept(site: &Site, head: &Parts, original: Bytes, why: &str) -> Event {
    let media = head
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let others = head.headers.iter().filter(|(name, _)| !is_private(name));
    let headers = others.map(|(name, value)| (name.as_str(), value.as_bytes()));
    malformed(
        &Coordinates {
            source: &site.source,
            id: "",
        },
        original,
        media,
        headers,
        why,
    )
}

/// Credentials are for us, not for whoever reads the dead letter; the content type is told apart.
fn is_private(name: &http::HeaderName) -> bool {
    matches!(
        name.as_str(),
        "authorization" | "proxy-authorization" | "cookie" | "content-type"
    )
}
