//! Why there is no connection, or no link: whose fault it is, and what an operator reads.

use std::fmt;

use weft_amqp_wire::condition;
use weft_amqp_wire::login::LoginError;
use weft_amqp_wire::performative::Error;
use weft_api::outcome::{Reason, SendError};
use weft_net::DialError;

/// Why a connection could not be made, or ended.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// What kind of fault it is.
    pub(crate) reason: Reason,
    /// One line: what, where, what to do.
    pub(crate) text: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Trouble {
    /// There is no connection for now.
    pub(crate) fn unavailable(text: impl Into<String>) -> Trouble {
        Trouble {
            reason: Reason::Unavailable,
            text: text.into(),
        }
    }

    /// The broker does not take who we say that we are.
    pub(crate) fn unauthorised(text: impl Into<String>) -> Trouble {
        Trouble {
            reason: Reason::Unauthorised,
            text: text.into(),
        }
    }

    /// The file asks for what the broker does not have.
    pub(crate) fn misconfigured(text: impl Into<String>) -> Trouble {
        Trouble {
            reason: Reason::Misconfigured,
            text: text.into(),
        }
    }

    /// The broker closed the connection `at`.
    pub(crate) fn closed(at: &str, error: Option<&Error>) -> Trouble {
        let Some(error) = error else {
            return Trouble::unavailable(format!("{at}: the broker closed the connection"));
        };
        let text = format!("{at}: the broker closed the connection: {}", line(error));
        match error.condition.as_str() {
            condition::UNAUTHORIZED_ACCESS => {
                Trouble::unauthorised(format!("{text}; check `auth` and this user's rights"))
            }
            condition::NOT_FOUND | condition::NOT_ALLOWED | condition::INVALID_FIELD => {
                Trouble::misconfigured(format!("{text}; check `virtual_host` and `container_id`"))
            }
            condition::CONNECTION_REDIRECT => {
                Trouble::misconfigured(format!("{text}; write that address into `url`"))
            }
            _ => Trouble::unavailable(text),
        }
    }

    /// The broker does not let us in.
    pub(crate) fn login(at: &str, error: &LoginError) -> Trouble {
        match error {
            LoginError::NotOffered { .. } => {
                Trouble::misconfigured(format!("{at}: {error}; choose another `auth.mechanism`"))
            }
            LoginError::Refused { .. } => Trouble::unauthorised(format!("{at}: {error}; check `auth`")),
            LoginError::NotAuthentic(_) => {
                Trouble::unauthorised(format!("{at}: {error}; check `url` and the password"))
            }
            LoginError::Unavailable | LoginError::Challenge { .. } => {
                Trouble::unavailable(format!("{at}: {error}"))
            }
        }
    }

    /// The fault of an event that could not be sent for this; certainly not delivered.
    pub(crate) fn error(&self) -> SendError {
        SendError::destination(self.reason, self.text.as_str())
    }
}

/// Why a consumer cannot have its link.
pub(crate) fn link(at: &str, address: &str, error: Option<&Error>) -> Trouble {
    let Some(error) = error else {
        return Trouble::misconfigured(format!(
            "{at}: `{address}` is refused without a reason; does it exist?"
        ));
    };
    let text = format!("{at}: `{address}` is refused: {}", line(error));
    match error.condition.as_str() {
        condition::NOT_FOUND | condition::RESOURCE_DELETED => {
            Trouble::misconfigured(format!("{text}; create it, or correct `address` and `kind`"))
        }
        condition::UNAUTHORIZED_ACCESS | condition::NOT_ALLOWED => {
            Trouble::unauthorised(format!("{text}; grant this user the right to consume it"))
        }
        condition::INVALID_FIELD | condition::NOT_IMPLEMENTED => Trouble::misconfigured(format!(
            "{text}; check `selector`, `kind`, `subscription` and `shared`"
        )),
        _ => Trouble::unavailable(text),
    }
}

impl From<DialError> for Trouble {
    fn from(error: DialError) -> Trouble {
        match error {
            DialError::Unreachable(text) => Trouble::unavailable(text),
            DialError::Untrusted(text) => Trouble::unauthorised(text),
            DialError::Misconfigured(text) => Trouble::misconfigured(text),
        }
    }
}

/// An error of the peer in one line of bounded length.
pub(crate) fn line(error: &Error) -> String {
    const MAX: usize = 300;
    let text = error.to_string();
    let mut chars = text.chars();
    let mut line: String = chars
        .by_ref()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(MAX)
        .collect();
    if chars.next().is_some() {
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_text_is_cut_and_stays_on_one_line() {
        let text = line(&Error::new(condition::NOT_FOUND, "x\r\n".repeat(1000)));
        assert!(
            text.len() < 320 && text.ends_with("...") && !text.contains('\n'),
            "{text}"
        );
        assert!(!line(&Error::new(condition::NOT_FOUND, "short")).ends_with("..."));
    }

    #[test]
    fn a_close_says_whose_fault_it_is_and_what_to_do() {
        for (condition, reason) in [
            (condition::UNAUTHORIZED_ACCESS, Reason::Unauthorised),
            (condition::NOT_ALLOWED, Reason::Misconfigured),
            (condition::CONNECTION_FORCED, Reason::Unavailable),
        ] {
            let trouble = Trouble::closed("amqp://b:1", Some(&Error::new(condition, "why")));
            assert_eq!(trouble.reason, reason);
            assert!(trouble.text.contains("why") && trouble.text.contains("amqp://b:1"));
        }
    }
}
