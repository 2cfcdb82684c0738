//! What a receiver's answer means (CONTRACT C9): delivered, or whose fault it is.
//!
//! | status | fault |
//! |---|---|
//! | 2xx | delivered |
//! | 400, 413, 415, 422 | the event's, for good |
//! | 408, 425, 429, 502, 503, 504 | the destination's: full or away (504: it may have been delivered) |
//! | 401, 403 | the destination's: our credentials |
//! | any other 3xx or 4xx | the destination's: not what the configuration names |
//! | any other 5xx | counts an attempt of the event |

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use weft_api::outcome::{Reason, SendError};

/// The longest wait that a receiver may ask for; a larger one is cut, or a typing error would stop a destination for ever.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// How much of an answer's body stands in an error, in characters.
pub(crate) const EXCERPT_MAX: usize = 200;

/// An answer, as far as it matters.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    /// The body's start, for a person.
    pub(crate) excerpt: String,
}

impl Answer {
    /// Reads an answer; `text` is its body's start. A success needs no words.
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, text: &[u8]) -> Answer {
        if status.is_success() {
            return Answer {
                status,
                retry_after: None,
                excerpt: String::new(),
            };
        }
        Answer {
            status,
            retry_after: retry_after(headers, SystemTime::now()),
            excerpt: excerpt(text),
        }
    }

    /// Whether the receiver said that this very event is at fault, for good.
    pub(crate) fn blames_event(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 413 | 415 | 422)
    }

    /// What it means; `what` says what was asked of whom (`POST http://crm/events`).
    pub(crate) fn judge(&self, what: &str) -> Result<(), SendError> {
        let remedy = match self.status.as_u16() {
            200..=299 => return Ok(()),
            400 | 413 | 415 | 422 => {
                "the receiver will not take this event: look at what it says, and correct the producer or the route"
            }
            401 | 403 => "the receiver refuses our credentials: correct `headers` of this destination",
            408 | 425 | 429 | 502..=504 => "the receiver is full or away: it is tried again",
            300..=399 => "redirects are not followed: put the final address into `url`",
            404 | 410 => "the receiver does not have this path: correct `url`, or the receiver",
            402..=499 => {
                "the receiver does not take such requests: correct this destination's settings, or the receiver"
            }
            _ => "the receiver failed on this event: look at its log",
        };
        let said = if self.excerpt.is_empty() {
            String::new()
        } else {
            format!(" ({})", self.excerpt)
        };
        let detail = format!("{what} answered {}{said}; {remedy}", self.status);
        let error = match self.status.as_u16() {
            413 => SendError::event(Reason::TooLarge, detail),
            400 | 415 | 422 => SendError::event(Reason::Refused, detail),
            401 | 403 => SendError::destination(Reason::Unauthorised, detail),
            425 | 429 | 503 => SendError::destination(Reason::Overloaded, detail),
            408 | 502 => SendError::destination(Reason::Unavailable, detail),
            // A gateway that gave up does not know what became of the request.
            504 => SendError::destination(Reason::Unavailable, detail).maybe_delivered(),
            300..=499 => SendError::destination(Reason::Misconfigured, detail),
            _ => SendError::attempt(Reason::Failed, detail),
        };
        Err(error.retry_after(self.retry_after))
    }
}

/// `Retry-After` as seconds or as a date (RFC 9110 section 10.2.3), at most [`RETRY_AFTER_MAX`].
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time.
        text.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        // A date that has passed means now.
        httpdate::parse_http_date(text)
            .ok()?
            .duration_since(now)
            .unwrap_or_default()
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The start of a stranger's text, as one line.
fn excerpt(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut out = String::new();
    for character in text.trim().chars().take(EXCERPT_MAX) {
        match character {
            '\n' | '\r' | '\t' => out.push(' '),
            other => out.extend(other.escape_debug().filter(|c| *c != '\\')),
        }
    }
    if text.trim().chars().nth(EXCERPT_MAX).is_some() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::HeaderValue;
    use weft_api::outcome::Fault;

    fn judged(status: u16) -> Result<(), SendError> {
        let status = StatusCode::from_u16(status).unwrap();
        Answer {
            status,
            retry_after: None,
            excerpt: "why".into(),
        }
        .judge("POST http://crm/")
    }

    #[test]
    fn each_status_blames_whom_the_contract_says() {
        for status in [200, 201, 202, 204, 206] {
            assert!(judged(status).is_ok(), "{status}");
        }
        for (status, fault, reason, maybe) in [
            (400, Fault::Event, Reason::Refused, false),
            (413, Fault::Event, Reason::TooLarge, false),
            (415, Fault::Event, Reason::Refused, false),
            (422, Fault::Event, Reason::Refused, false),
            (401, Fault::Destination, Reason::Unauthorised, false),
            (403, Fault::Destination, Reason::Unauthorised, false),
            (404, Fault::Destination, Reason::Misconfigured, false),
            (410, Fault::Destination, Reason::Misconfigured, false),
            (301, Fault::Destination, Reason::Misconfigured, false),
            (304, Fault::Destination, Reason::Misconfigured, false),
            (405, Fault::Destination, Reason::Misconfigured, false),
            (418, Fault::Destination, Reason::Misconfigured, false),
            (408, Fault::Destination, Reason::Unavailable, false),
            (425, Fault::Destination, Reason::Overloaded, false),
            (429, Fault::Destination, Reason::Overloaded, false),
            (502, Fault::Destination, Reason::Unavailable, false),
            (503, Fault::Destination, Reason::Overloaded, false),
            (504, Fault::Destination, Reason::Unavailable, true),
            (500, Fault::Attempt, Reason::Failed, false),
            (501, Fault::Attempt, Reason::Failed, false),
            (505, Fault::Attempt, Reason::Failed, false),
            (599, Fault::Attempt, Reason::Failed, false),
            (999, Fault::Attempt, Reason::Failed, false),
        ] {
            let error = judged(status).unwrap_err();
            assert_eq!(
                (error.fault, error.reason, error.maybe_delivered),
                (fault, reason, maybe),
                "{status}"
            );
            assert!(
                error.detail.contains("POST http://crm/ answered") && error.detail.contains("(why); "),
                "{error}"
            );
        }
    }

    #[test]
    fn an_excerpt_is_one_bounded_line() {
        assert_eq!(excerpt(b"  a\r\nb\x1b[0m \xff "), "a  bu{1b}[0m \u{fffd}");
        let long = excerpt("\u{e9}".repeat(1000).as_bytes());
        assert_eq!(long.chars().count(), EXCERPT_MAX + 3);
    }

    #[test]
    fn retry_after_reads_seconds_and_dates_and_is_bounded() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&headers, now)
        };
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(
            read("Sun, 06 Nov 1994 08:50:07 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            read("Sunday, 06-Nov-94 08:50:07 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("99999999999999999999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(read("Sat, 06 Nov 2094 08:49:37 GMT"), Some(RETRY_AFTER_MAX));
        for bad in ["soon", "", "-1", "1.5"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
