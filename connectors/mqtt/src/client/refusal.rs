//! Why there is no session: whose fault it is, in one line that says what to do.

use weft_api::outcome::{Reason, SendError};
use weft_net::DialError;

use super::wire::connect::Connack;
use super::wire::reason::{describe, shown};
use crate::config::Version;

/// No connection, or none that the broker accepts. Nothing was sent on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    /// The code for the router.
    pub(crate) reason: Reason,
    /// The line for an operator; names the address.
    pub(crate) line: String,
}

impl Refusal {
    /// As the error of an event that was not even sent.
    pub(crate) fn error(&self) -> SendError {
        SendError::destination(self.reason, self.line.as_str())
    }

    /// The remote is away.
    pub(crate) fn unavailable(line: String) -> Refusal {
        Refusal {
            reason: Reason::Unavailable,
            line,
        }
    }
}

impl From<DialError> for Refusal {
    fn from(error: DialError) -> Refusal {
        let reason = match &error {
            DialError::Unreachable(_) => Reason::Unavailable,
            DialError::Untrusted(_) => Reason::Unauthorised,
            DialError::Misconfigured(_) => Reason::Misconfigured,
        };
        Refusal {
            reason,
            line: error.to_string(),
        }
    }
}

/// What a CONNACK that refuses means.
pub(crate) fn connack(connack: &Connack, version: Version, address: &str, client_id: &str) -> Refusal {
    // The return codes of 3.1.1 mean the same as these.
    let code = match connack.code {
        1 => 0x84,
        2 => 0x85,
        3 => 0x88,
        4 => 0x86,
        5 => 0x87,
        code => code,
    };
    let (reason, remedy) = match code {
        0x84 => (
            Reason::Misconfigured,
            format!("it does not speak MQTT {version}: set `version`"),
        ),
        0x85 => (
            Reason::Misconfigured,
            format!("it does not take the client id `{client_id}`: set `client_id`"),
        ),
        0x86 => (Reason::Unauthorised, "correct `auth`".into()),
        0x87 => (
            Reason::Unauthorised,
            "allow this user, or this client id, at the broker".into(),
        ),
        0x8a => (
            Reason::Unauthorised,
            "it has banned this client; ask its operator".into(),
        ),
        0x8c => (
            Reason::Unauthorised,
            "it wants an enhanced authentication, which is not spoken here".into(),
        ),
        0x95 => (Reason::Misconfigured, "lower `max_packet`".into()),
        0x9c | 0x9d => {
            let other = connack
                .elsewhere
                .as_deref()
                .map_or_else(String::new, |other| format!(" ({})", shown(other)));
            (
                Reason::Misconfigured,
                format!("set `url` to the other broker{other}"),
            )
        }
        0x89 | 0x97 | 0x9f => (Reason::Overloaded, "tried again".into()),
        _ => (Reason::Unavailable, "tried again".into()),
    };
    Refusal {
        reason,
        line: format!(
            "{address}: the broker refuses the connection: {}; {remedy}",
            describe(code, connack.reason.as_deref())
        ),
    }
}
