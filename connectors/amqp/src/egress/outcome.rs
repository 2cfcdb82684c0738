//! Whose fault a send is that was not accepted (C11): outcomes, and the conditions of links and connections, to
//! [`SendError`]s.
//!
//! - Rejected is the event's fault, unless the condition says that it is the broker's state or our rights.
//! - Modified with delivery-failed is an attempt: the broker tried this message and failed.
//! - Released says nothing against the event: nobody looked at it. It is the destination's, and the event waits. Turned
//!   down: an attempt; a router with no consumer releases everything, and would send it all to the dead letter. Where a
//!   template made the address, others may be well, so there it is an attempt.

use weft_amqp_wire::condition;
use weft_amqp_wire::performative::{DeliveryState, Error};
use weft_api::outcome::{Reason, SendError};

use crate::client::trouble::line;

/// Where the event was to go.
#[derive(Clone, Copy)]
pub(crate) struct Where<'a> {
    /// The address.
    pub(crate) address: &'a str,
    /// It came out of a template: then a bad one is the event's fault.
    pub(crate) templated: bool,
}

/// What a state of a delivery says; `None`: it is accepted.
pub(crate) fn of(state: Option<&DeliveryState>, at: Where<'_>) -> Option<SendError> {
    let address = at.address;
    Some(match state {
        Some(DeliveryState::Accepted) => return None,
        Some(DeliveryState::Rejected(error)) => rejected(error.as_deref(), at),
        Some(DeliveryState::Modified(modified)) if modified.undeliverable_here => SendError::event(
            Reason::Refused,
            format!("amqp `{address}` says that this message can never be delivered there"),
        ),
        Some(DeliveryState::Modified(modified)) if modified.delivery_failed => SendError::attempt(
            Reason::Failed,
            format!("amqp `{address}` tried to take the message and failed"),
        ),
        Some(DeliveryState::Released | DeliveryState::Modified(_)) if at.templated => SendError::attempt(
            Reason::Failed,
            format!("amqp `{address}` gives the message back; has it a queue or a consumer?"),
        ),
        Some(DeliveryState::Released | DeliveryState::Modified(_)) => SendError::destination(
            Reason::Unavailable,
            format!("amqp `{address}` gives messages back; give it a queue or a consumer"),
        ),
        // Settled without an outcome: nothing is known.
        Some(DeliveryState::Received { .. } | DeliveryState::Other(_)) | None => SendError::destination(
            Reason::Failed,
            format!("amqp `{address}` settles without saying whether it took the message"),
        )
        .maybe_delivered(),
    })
}

fn rejected(error: Option<&Error>, at: Where<'_>) -> SendError {
    let address = at.address;
    let Some(error) = error else {
        return SendError::event(Reason::Refused, format!("amqp `{address}` rejects the message"));
    };
    let text = format!("amqp `{address}` rejects the message: {}", line(error));
    match error.condition.as_str() {
        condition::MESSAGE_SIZE_EXCEEDED => SendError::event(Reason::TooLarge, text),
        condition::RESOURCE_LIMIT_EXCEEDED => SendError::destination(Reason::Overloaded, text),
        condition::UNAUTHORIZED_ACCESS => ours(Reason::Unauthorised, text, at),
        condition::NOT_FOUND | condition::RESOURCE_DELETED => ours(Reason::Misconfigured, text, at),
        condition::INTERNAL_ERROR | condition::RESOURCE_LOCKED => SendError::attempt(Reason::Failed, text),
        _ => SendError::event(Reason::Refused, text),
    }
}

/// Why a link cannot be used; nothing was sent on it.
pub(crate) fn link(error: Option<&Error>, at: Where<'_>) -> SendError {
    let address = at.address;
    let Some(error) = error else {
        let text = format!("amqp `{address}` is refused without a reason; does it exist?");
        return ours(Reason::Misconfigured, text, at);
    };
    let text = format!("amqp `{address}` is refused: {}", line(error));
    match error.condition.as_str() {
        condition::NOT_FOUND | condition::RESOURCE_DELETED => {
            let text = format!("{text}; create it, or correct `address` and `kind`");
            ours(Reason::Misconfigured, text, at)
        }
        condition::UNAUTHORIZED_ACCESS | condition::NOT_ALLOWED => {
            let text = format!("{text}; grant this user the right to send there");
            ours(Reason::Unauthorised, text, at)
        }
        condition::RESOURCE_LIMIT_EXCEEDED => SendError::destination(Reason::Overloaded, text),
        condition::INVALID_FIELD | condition::NOT_IMPLEMENTED | condition::PRECONDITION_FAILED => {
            ours(Reason::Misconfigured, text, at)
        }
        _ => SendError::destination(Reason::Unavailable, text),
    }
}

/// What was sent on a link that the broker detached, and has no outcome.
pub(crate) fn detached(error: Option<&Error>, at: Where<'_>) -> SendError {
    let address = at.address;
    let why = error.map_or_else(|| "without a reason".to_owned(), line);
    let text = format!("amqp `{address}` was detached: {why}");
    let too_large = error.is_some_and(|error| error.condition == condition::MESSAGE_SIZE_EXCEEDED);
    if too_large {
        // One of those that were on their way; which, only an attempt of its own can tell.
        return SendError::attempt(Reason::TooLarge, text).maybe_delivered();
    }
    SendError::destination(Reason::Reset, text).maybe_delivered()
}

/// A fault of the file, unless it was the event that named the address.
fn ours(reason: Reason, text: String, at: Where<'_>) -> SendError {
    if at.templated {
        SendError::event(Reason::Address, text)
    } else {
        SendError::destination(reason, text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use weft_amqp_wire::performative::Modified;
    use weft_amqp_wire::value::Value;
    use weft_api::outcome::Fault;

    use super::*;

    fn at(templated: bool) -> Where<'static> {
        Where {
            address: "jobs",
            templated,
        }
    }

    fn blame(state: &DeliveryState, templated: bool) -> (Fault, Reason, bool) {
        let error = of(Some(state), at(templated)).unwrap();
        assert!(error.detail.contains("jobs"), "{error}");
        (error.fault, error.reason, error.maybe_delivered)
    }

    fn rejected(condition: &'static str) -> DeliveryState {
        DeliveryState::Rejected(Some(Box::new(Error::new(condition, "why\nnot"))))
    }

    #[test]
    fn only_accepted_is_a_delivery() {
        assert!(of(Some(&DeliveryState::Accepted), at(false)).is_none());
        let unknown = of(None, at(false)).unwrap();
        assert_eq!(
            (unknown.fault, unknown.maybe_delivered),
            (Fault::Destination, true)
        );
        assert!(of(Some(&DeliveryState::Other(Box::new(Value::Null))), at(false)).is_some());
    }

    #[test]
    fn rejected_is_the_events_fault_unless_the_condition_says_otherwise() {
        let event = (Fault::Event, Reason::Refused, false);
        assert_eq!(blame(&DeliveryState::Rejected(None), false), event);
        assert_eq!(blame(&rejected("amqp:precondition-failed"), false), event);
        assert_eq!(
            blame(&rejected(condition::MESSAGE_SIZE_EXCEEDED), false),
            (Fault::Event, Reason::TooLarge, false)
        );
        assert_eq!(
            blame(&rejected(condition::RESOURCE_LIMIT_EXCEEDED), false),
            (Fault::Destination, Reason::Overloaded, false)
        );
        assert_eq!(
            blame(&rejected(condition::UNAUTHORIZED_ACCESS), false),
            (Fault::Destination, Reason::Unauthorised, false)
        );
        assert_eq!(
            blame(&rejected(condition::INTERNAL_ERROR), false),
            (Fault::Attempt, Reason::Failed, false)
        );
        let text = of(Some(&rejected("a:b")), at(false)).unwrap().detail;
        assert!(text.contains("a:b: why not"), "{text}");
    }

    #[test]
    fn a_bad_address_is_the_events_fault_where_a_template_made_it() {
        for condition in [condition::NOT_FOUND, condition::UNAUTHORIZED_ACCESS] {
            let error = Error::new(condition, "");
            assert_eq!(link(Some(&error), at(true)).reason, Reason::Address);
            assert_eq!(link(Some(&error), at(false)).fault, Fault::Destination);
            assert_eq!(blame(&rejected(condition), true).1, Reason::Address);
        }
    }

    #[test]
    fn a_message_that_is_given_back_is_sent_again() {
        let modified = |delivery_failed, undeliverable_here| {
            DeliveryState::Modified(Modified {
                delivery_failed,
                undeliverable_here,
                ..Modified::default()
            })
        };
        let waits = (Fault::Destination, Reason::Unavailable, false);
        assert_eq!(blame(&DeliveryState::Released, false), waits);
        assert_eq!(blame(&modified(false, false), false), waits);
        let attempt = (Fault::Attempt, Reason::Failed, false);
        assert_eq!(blame(&DeliveryState::Released, true), attempt);
        assert_eq!(blame(&modified(true, false), false), attempt);
        assert_eq!(
            blame(&modified(true, true), false),
            (Fault::Event, Reason::Refused, false)
        );
    }

    #[test]
    fn what_was_on_its_way_when_a_link_ended_may_have_been_delivered() {
        let error = detached(Some(&Error::new(condition::DETACH_FORCED, "")), at(false));
        assert_eq!(
            (error.fault, error.reason, error.maybe_delivered),
            (Fault::Destination, Reason::Reset, true)
        );
        let error = detached(Some(&Error::new(condition::MESSAGE_SIZE_EXCEEDED, "")), at(false));
        assert_eq!((error.fault, error.reason), (Fault::Attempt, Reason::TooLarge));
    }
}
