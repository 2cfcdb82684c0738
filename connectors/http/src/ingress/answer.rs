//! What a verdict is in HTTP (CONTRACT C8).
//!
//! | outcome | answer |
//! |---|---|
//! | accepted, all delivered | 204 |
//! | accepted, some only stored | 202 |
//! | rejected | 422 |
//! | released | 503 with Retry-After |
//! | unknown, or past the deadline | 504 |

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use weft_api::event::Event;
use weft_api::ingress::Verdict;
use weft_api::outcome::{Outcome, Reason};

use crate::problem::{Body, Kind, Problem};

/// How many routes matched.
pub(crate) const WEFT_MATCHED: HeaderName = HeaderName::from_static("weft-matched");
/// When nobody said how long to wait.
const RETRY_AFTER_DEFAULT: u64 = 1;

/// The answer to one event.
pub(super) fn one(verdict: &Verdict) -> Response<Body> {
    let mut response = match verdict.outcome {
        Outcome::Accepted => empty(accepted(verdict)),
        outcome => problem(outcome, retry_after(verdict))
            .with("matched", verdict.matched)
            .into_response(),
    };
    response
        .headers_mut()
        .insert(WEFT_MATCHED, HeaderValue::from(verdict.matched));
    response
}

/// The answer to a message that could not become an event, by the fate of the `weft.malformed` event that keeps it:
/// 400 where it was not kept, 202 where it was (there is nothing to send again), both with what is wrong.
pub(super) fn malformed(verdict: &Verdict, problem: Problem) -> Response<Body> {
    match verdict.outcome {
        Outcome::Rejected(_) => problem.into_response(),
        Outcome::Accepted => problem
            .status(StatusCode::ACCEPTED)
            .with("kept", true)
            .into_response(),
        _ => one(verdict),
    }
}

/// The answer to a batch: the join, and what became of each event.
pub(super) fn batch(events: &[Event], verdicts: &[Verdict]) -> Response<Body> {
    let outcome = verdicts
        .iter()
        .fold(Outcome::Accepted, |join, verdict| join.join(verdict.outcome));
    let matched: u64 = verdicts.iter().map(|verdict| u64::from(verdict.matched)).sum();
    let stored = verdicts.iter().any(|verdict| verdict.stored);
    let mut response = match outcome {
        Outcome::Accepted if !stored => empty(StatusCode::NO_CONTENT),
        Outcome::Accepted => {
            let body = json!({ "status": 202, "matched": matched, "events": each(events, verdicts) });
            let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
            *response.status_mut() = StatusCode::ACCEPTED;
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        outcome => {
            let wait = verdicts
                .iter()
                .filter(|verdict| verdict.outcome != Outcome::Accepted)
                .map(retry_after)
                .max();
            problem(outcome, wait.unwrap_or(RETRY_AFTER_DEFAULT))
                .with("matched", matched)
                .with("events", each(events, verdicts))
                .into_response()
        }
    };
    response
        .headers_mut()
        .insert(WEFT_MATCHED, HeaderValue::from(matched));
    response
}

fn each(events: &[Event], verdicts: &[Verdict]) -> Vec<Value> {
    let one = |(event, verdict): (&Event, &Verdict)| {
        json!({
            "id": event.id(),
            "source": event.source(),
            "status": status(verdict).as_u16(),
            "outcome": verdict.outcome.as_str(),
            "reason": verdict.outcome.reason().map(Reason::as_str),
            "matched": verdict.matched,
        })
    };
    events.iter().zip(verdicts).map(one).collect()
}

fn status(verdict: &Verdict) -> StatusCode {
    match verdict.outcome {
        Outcome::Accepted => accepted(verdict),
        Outcome::Rejected(_) => Kind::Rejected.status(),
        Outcome::Released(_) => Kind::Released.status(),
        Outcome::Unknown(_) => Kind::Unknown.status(),
    }
}

fn accepted(verdict: &Verdict) -> StatusCode {
    if verdict.stored {
        StatusCode::ACCEPTED
    } else {
        StatusCode::NO_CONTENT
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// In whole seconds, never early, never zero: a client that comes back at once gains nothing.
fn retry_after(verdict: &Verdict) -> u64 {
    verdict.retry_after.map_or(RETRY_AFTER_DEFAULT, |wait| {
        wait.as_millis().div_ceil(1000).max(1) as u64
    })
}

fn problem(outcome: Outcome, wait: u64) -> Problem {
    let reason = outcome.reason().map_or("", Reason::as_str);
    match outcome {
        Outcome::Accepted | Outcome::Rejected(_) => Problem::new(Kind::Rejected, rejected(outcome.reason())),
        Outcome::Released(reason) => Problem::new(Kind::Released, released(reason)).retry_after(wait),
        Outcome::Unknown(reason) => Problem::new(Kind::Unknown, unknown(reason)),
    }
    .with("reason", reason)
}

fn rejected(reason: Option<Reason>) -> &'static str {
    match reason {
        Some(Reason::Unmatched) => {
            "no route takes this event and this ingress rejects such events: correct the event's attributes, or ask the \
             router's operator for a route; sending it again unchanged fails again"
        }
        Some(Reason::TooLarge) => "a destination does not take an event of this size: send a smaller one",
        Some(Reason::Address) => {
            "an attribute or value that a destination's address is made of is missing or not allowed: correct the event"
        }
        Some(Reason::Exhausted) => {
            "the destination failed on this event as often as it was tried and there is no dead letter to keep it: look \
             at the destination's log before sending it again"
        }
        _ => {
            "a destination refused this event for good and there is no dead letter to keep it: correct the event"
        }
    }
}

fn released(reason: Reason) -> &'static str {
    match reason {
        Reason::Stopping => {
            "the router is stopping and did not take the event: send it again, to its successor"
        }
        Reason::Overloaded => {
            "the router or a destination is full and did not take the event: send it again later"
        }
        Reason::Unauthorised => {
            "a destination refuses the router's credentials, so that the event was not taken: the router's operator must \
             act; send it again later"
        }
        Reason::Misconfigured => {
            "a destination does not have what the router's configuration names, so that the event was not taken: the \
             router's operator must act; send it again later"
        }
        _ => "a destination cannot take the event now, and it was not delivered: send it again later",
    }
}

fn unknown(reason: Reason) -> &'static str {
    match reason {
        Reason::Deadline => {
            "not every destination confirmed the event before this ingress' deadline: send it again with the same id and \
             source, so that receivers can recognise a duplicate"
        }
        _ => {
            "a destination may or may not have taken the event: send it again with the same id and source, so that \
             receivers can recognise a duplicate"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn verdict(outcome: Outcome) -> Verdict {
        Verdict {
            outcome,
            matched: 2,
            stored: false,
            retry_after: None,
        }
    }

    #[test]
    fn each_outcome_has_its_status() {
        let stored = Verdict {
            stored: true,
            ..verdict(Outcome::Accepted)
        };
        for (verdict, expected) in [
            (verdict(Outcome::Accepted), 204),
            (stored, 202),
            (verdict(Outcome::Rejected(Reason::Refused)), 422),
            (verdict(Outcome::Released(Reason::Overloaded)), 503),
            (verdict(Outcome::Unknown(Reason::Deadline)), 504),
        ] {
            let answer = one(&verdict);
            assert_eq!(answer.status(), expected);
            assert_eq!(answer.headers()["weft-matched"], "2");
        }
    }

    #[test]
    fn retry_after_is_never_early_and_never_zero() {
        for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (59_900, "60")] {
            let wait = Some(Duration::from_millis(millis));
            let answer = one(&Verdict {
                retry_after: wait,
                ..verdict(Outcome::Released(Reason::Unavailable))
            });
            assert_eq!(answer.headers()["retry-after"], seconds, "{millis} ms");
        }
    }

    #[test]
    fn malformed_is_400_unless_it_was_kept() {
        let problem = || Problem::new(Kind::Malformed, "x");
        let status = |outcome| malformed(&verdict(outcome), problem()).status().as_u16();
        assert_eq!(status(Outcome::Rejected(Reason::Malformed)), 400);
        assert_eq!(status(Outcome::Accepted), 202);
        assert_eq!(status(Outcome::Released(Reason::Overloaded)), 503);
        assert_eq!(status(Outcome::Unknown(Reason::Timeout)), 504);
    }

    /// Who sends has the docs only: each answer that a verdict may have stands in their table.
    #[test]
    fn the_docs_say_of_each_answer_whether_to_send_again() {
        let docs = include_str!("../../../../docs/connectors/http.md");
        let stored = Verdict {
            stored: true,
            ..verdict(Outcome::Accepted)
        };
        let answers = [
            (verdict(Outcome::Accepted), "| 204 |"),
            (stored, "| 202 without a body;"),
            (verdict(Outcome::Rejected(Reason::Refused)), "| 422 |"),
            (
                verdict(Outcome::Released(Reason::Unavailable)),
                "| 503 + `Retry-After` |",
            ),
            (verdict(Outcome::Unknown(Reason::Timeout)), "| 504 |"),
        ];
        for (verdict, row) in answers {
            let status = one(&verdict).status();
            assert!(row.contains(status.as_str()), "{row}: {status}");
            assert!(
                docs.contains(&format!("\n{row}")),
                "docs/connectors/http.md has no row {row}"
            );
        }
    }
}
