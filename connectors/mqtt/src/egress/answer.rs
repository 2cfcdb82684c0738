//! What the broker's answer to a message means: whose fault it is (C12).

use weft_api::outcome::{Reason, SendError};

use crate::client::wire::reason::describe;

/// What the answer belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent<'a> {
    /// Where the broker is.
    pub(super) address: &'a str,
    /// Where the message went.
    pub(super) topic: &'a str,
    /// The topic came from the event.
    pub(super) templated: bool,
}

/// The error that a reason code stands for; `None`: the broker has taken the message.
pub(super) fn classify(code: u8, words: Option<&str>, sent: &Sent<'_>) -> Option<SendError> {
    if code < 0x80 {
        return None;
    }
    let Sent {
        address,
        topic,
        templated,
    } = sent;
    let line = |remedy: &str| {
        let why = describe(code, words);
        format!("{address}: the broker refuses a message to topic `{topic}`: {why}{remedy}")
    };
    Some(match code {
        // An event that names its own topic names a wrong one.
        0x87 | 0x90 if *templated => {
            SendError::event(Reason::Address, line("; its topic comes from the event"))
        }
        0x87 => SendError::destination(Reason::Unauthorised, line("; allow this user to publish there")),
        0x90 => SendError::destination(Reason::Misconfigured, line("; correct `topic`")),
        0x91 => SendError::destination(Reason::Failed, line("")),
        0x95 => SendError::event(Reason::TooLarge, line("")),
        0x97 => SendError::destination(Reason::Overloaded, line("")),
        0x99 => SendError::event(Reason::Refused, line("")),
        0x9a => SendError::destination(Reason::Misconfigured, line("; set `retain: false`")),
        0x9b => SendError::destination(Reason::Misconfigured, line("; lower `qos`")),
        _ => SendError::attempt(Reason::Failed, line("")),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use weft_api::outcome::Fault;

    use super::*;

    #[test]
    fn each_reason_code_is_somebodys_fault() {
        let fault = |code, templated| {
            let sent = Sent {
                address: "mqtt://b:1883",
                topic: "a/b",
                templated,
            };
            let error = classify(code, Some("no\n"), &sent)?;
            assert!(!error.maybe_delivered);
            assert!(
                error.detail.contains("`a/b`") && !error.detail.contains('\n'),
                "{error}"
            );
            Some((error.fault, error.reason))
        };
        for code in [0x00, 0x10] {
            assert_eq!(fault(code, false), None);
        }
        for (code, expected) in [
            (0x80, (Fault::Attempt, Reason::Failed)),
            (0x83, (Fault::Attempt, Reason::Failed)),
            (0x87, (Fault::Destination, Reason::Unauthorised)),
            (0x90, (Fault::Destination, Reason::Misconfigured)),
            (0x95, (Fault::Event, Reason::TooLarge)),
            (0x97, (Fault::Destination, Reason::Overloaded)),
            (0x99, (Fault::Event, Reason::Refused)),
        ] {
            assert_eq!(fault(code, false), Some(expected), "{code:x}");
        }
        for code in [0x87, 0x90] {
            assert_eq!(fault(code, true), Some((Fault::Event, Reason::Address)));
        }
    }
}
