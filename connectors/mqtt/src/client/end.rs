//! Why a connection ended that we did not end, in words, and what the broker is told.

use std::time::Duration;

use weft_api::outcome::Reason;

use super::wire::disconnect::Disconnect;
use super::wire::reason::{describe, shown};
use super::wire::{Fault, kind};

/// "Session taken over".
const TAKEN_OVER: u8 = 0x8e;

/// The end of a connection that we did not end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The socket failed, was closed, or fell silent.
    Broken(String),
    /// Nothing was confirmed for so long.
    Silent(Duration),
    /// The broker broke a rule, with a packet of that kind (0: one that is not known).
    Fault(Fault, u8),
    /// The broker said why.
    Disconnected {
        /// Reason Code.
        code: u8,
        /// Its meaning, and the broker's own words.
        line: String,
    },
}

impl End {
    /// A packet that has no place here.
    pub(crate) fn protocol(what: &'static str) -> End {
        End::Fault(Fault::Protocol(what), 0)
    }

    /// The broker's DISCONNECT.
    pub(crate) fn disconnected(said: &Disconnect<'_>) -> End {
        let other = said
            .elsewhere
            .map_or_else(String::new, |other| format!("; it names {}", shown(other)));
        End::Disconnected {
            code: said.code,
            line: format!(
                "the broker ended the connection: {}{other}",
                describe(said.code, said.reason)
            ),
        }
    }

    /// With the packet's kind.
    pub(crate) fn of(self, kind: u8) -> End {
        match self {
            End::Fault(fault, 0) => End::Fault(fault, kind),
            other => other,
        }
    }

    /// For an operator.
    pub(crate) fn line(&self) -> String {
        match self {
            End::Broken(why) => why.clone(),
            End::Silent(time) => format!("the broker has confirmed nothing within {time:?}"),
            End::Fault(fault @ Fault::TooLarge { .. }, _) => {
                format!("the broker sends {fault}; raise `max_packet`, or remove the message at the broker")
            }
            End::Fault(fault, kind) => format!(
                "the broker sends {fault} ({}); it is not MQTT as we know it, ask its operator",
                kind::name(*kind)
            ),
            End::Disconnected { line, .. } => line.clone(),
        }
    }

    /// The code for the router, of what was on its way.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            End::Disconnected {
                code: 0x87 | 0x8a, ..
            } => Reason::Unauthorised,
            End::Disconnected {
                code: 0x89 | 0x96 | 0x97 | 0x9f,
                ..
            } => Reason::Overloaded,
            _ => Reason::Reset,
        }
    }

    /// What to tell the broker, where it broke a rule.
    pub(crate) fn code(&self) -> Option<u8> {
        match self {
            End::Fault(fault, _) => Some(fault.code()),
            _ => None,
        }
    }

    /// The broker closed; neither for what it sent itself nor for what we waited for.
    pub(crate) fn is_theirs(&self) -> bool {
        !matches!(self, End::Fault(..) | End::Silent(_))
    }

    /// Another client has the session now.
    pub(crate) fn is_takeover(&self) -> bool {
        matches!(self, End::Disconnected { code: TAKEN_OVER, .. })
    }
}

impl From<Fault> for End {
    fn from(fault: Fault) -> End {
        End::Fault(fault, 0)
    }
}
