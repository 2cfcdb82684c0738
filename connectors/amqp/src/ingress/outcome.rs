//! What an outcome of the router is on the wire (C6).
//!
//! | outcome | delivery state |
//! |---|---|
//! | accepted | accepted |
//! | rejected | rejected, with a condition that names the reason |
//! | released: no capacity, nobody there, stopping | released: another consumer may take it at once |
//! | released for a failure; unknown | modified (delivery-failed): the broker counts it, and its own limit applies |

use weft_amqp_wire::condition;
use weft_amqp_wire::performative::{DeliveryState, Error, Modified};
use weft_amqp_wire::value::{Fields, Symbol, Text};
use weft_api::outcome::{Outcome, Reason};

/// The state that settles a delivery.
pub(crate) fn state(outcome: Outcome) -> DeliveryState {
    match outcome {
        Outcome::Accepted => DeliveryState::Accepted,
        Outcome::Rejected(reason) => DeliveryState::Rejected(Some(Box::new(rejection(reason)))),
        Outcome::Released(
            Reason::Overloaded
            | Reason::Unavailable
            | Reason::Stopping
            | Reason::Removed
            | Reason::Deadline
            | Reason::Unauthorised
            | Reason::Misconfigured,
        ) => DeliveryState::Released,
        Outcome::Released(_) | Outcome::Unknown(_) => DeliveryState::Modified(Modified {
            delivery_failed: true,
            ..Modified::default()
        }),
    }
}

/// A message that is larger than we take, without having looked at it.
pub(crate) fn too_large(event_max: u64) -> DeliveryState {
    let text = format!("the message is larger than limits.event, {event_max} bytes");
    DeliveryState::Rejected(Some(Box::new(Error::new(condition::MESSAGE_SIZE_EXCEEDED, text))))
}

fn rejection(reason: Reason) -> Error {
    let (condition, text) = match reason {
        Reason::Malformed => (
            Symbol::from_static(condition::DECODE_ERROR),
            "the message cannot become a CloudEvent".to_owned(),
        ),
        Reason::TooLarge => (
            Symbol::from_static(condition::MESSAGE_SIZE_EXCEEDED),
            "the message is larger than a destination takes".to_owned(),
        ),
        Reason::Unmatched => (
            Symbol::from_static("weft:unmatched"),
            "no route takes the event".to_owned(),
        ),
        other => (
            // Reasons are lower-case words.
            Symbol::new(&format!("weft:{other}")).unwrap_or_default(),
            format!("the event is refused for good: {other}"),
        ),
    };
    Error {
        condition,
        description: Some(Text::from(text)),
        info: Fields::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_accepted_accepts() {
        assert_eq!(state(Outcome::Accepted), DeliveryState::Accepted);
        for reason in Reason::ALL {
            for outcome in [
                Outcome::Rejected(*reason),
                Outcome::Released(*reason),
                Outcome::Unknown(*reason),
            ] {
                assert_ne!(state(outcome), DeliveryState::Accepted);
            }
        }
    }

    #[test]
    fn every_rejection_has_a_condition_and_a_text() {
        for reason in Reason::ALL {
            let DeliveryState::Rejected(Some(error)) = state(Outcome::Rejected(*reason)) else {
                panic!("{reason} is not rejected");
            };
            assert!(
                !error.condition.is_empty() && error.description.is_some(),
                "{reason}"
            );
        }
    }

    #[test]
    fn no_capacity_and_stopping_are_released_and_failures_are_counted_by_the_broker() {
        for reason in [Reason::Overloaded, Reason::Stopping, Reason::Unavailable] {
            assert_eq!(state(Outcome::Released(reason)), DeliveryState::Released);
        }
        for outcome in [
            Outcome::Released(Reason::Failed),
            Outcome::Unknown(Reason::Timeout),
        ] {
            let DeliveryState::Modified(modified) = state(outcome) else {
                panic!("{outcome:?} is not modified");
            };
            assert!(modified.delivery_failed && !modified.undeliverable_here);
        }
    }
}
