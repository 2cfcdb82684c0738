//! The client's side of SASL (security 5.3): which mechanism is taken, and what is answered to each challenge.
//!
//! Invariants: a password is never shown; a server of SCRAM that cannot prove that it knows the password is refused,
//! and none makes us work for longer than 200,000 iterations.
//! Does not know: frames, the connection that follows.

mod scram;

use std::fmt;

use bytes::Bytes;

use crate::value::Symbol;
use scram::{Hash, Scram};

/// Which mechanism is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mechanism {
    /// Nobody in particular.
    Anonymous,
    /// Name and password, in the clear.
    Plain,
    /// Who the certificate of TLS says.
    External,
    /// SCRAM with SHA-1.
    ScramSha1,
    /// SCRAM with SHA-256.
    ScramSha256,
    /// SCRAM with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// As it travels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Mechanism::Anonymous => "ANONYMOUS",
            Mechanism::Plain => "PLAIN",
            Mechanism::External => "EXTERNAL",
            Mechanism::ScramSha1 => "SCRAM-SHA-1",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Who we say that we are.
#[derive(Clone)]
pub struct Login {
    /// The mechanism; `None`: the strongest that the server offers for a name and password, or ANONYMOUS without.
    pub mechanism: Option<Mechanism>,
    /// The user; for EXTERNAL the identity that is asked for, if any.
    pub user: String,
    /// The password.
    pub password: String,
    /// Fresh for each connection, printable ASCII without a comma, of 16 characters or more: what SCRAM's proof is
    /// bound to.
    pub nonce: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({:?}, {:?})", self.mechanism, self.user)
    }
}

/// Why nobody was let in.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoginError {
    /// Ours: the server does not offer the mechanism, or none that fits.
    #[error("the broker offers {offered}, and not {wanted}")]
    NotOffered {
        /// What we would have taken.
        wanted: String,
        /// What it has.
        offered: String,
    },
    /// Ours: the credentials.
    #[error("the broker refuses these credentials ({mechanism})")]
    Refused {
        /// By which mechanism.
        mechanism: &'static str,
    },
    /// The server's, for now.
    #[error("the broker cannot check credentials now")]
    Unavailable,
    /// The server does not know the password: it may be somebody else.
    #[error("the broker did not prove that it knows the password ({0})")]
    NotAuthentic(&'static str),
    /// The server does not keep to the mechanism.
    #[error("the broker's challenge is not one of {mechanism}: {what}")]
    Challenge {
        /// The mechanism.
        mechanism: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// A login under way.
pub(crate) struct Exchange {
    mechanism: Mechanism,
    scram: Option<Scram>,
    /// A challenge of nothing was answered.
    asked: bool,
}

impl Exchange {
    /// Chooses the mechanism. Gives its name and the first response.
    pub(crate) fn begin(
        login: &Login,
        offered: &[Symbol],
    ) -> Result<(Exchange, Symbol, Option<Bytes>), LoginError> {
        let mechanism = choose(login, offered)?;
        let mut scram = None;
        let first = match mechanism {
            Mechanism::Anonymous => Some(Bytes::from_static(b"weft")),
            Mechanism::External => Some(Bytes::from(login.user.clone().into_bytes())),
            Mechanism::Plain => Some(Bytes::from(format!("\0{}\0{}", login.user, login.password))),
            Mechanism::ScramSha1 | Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
                let hash = match mechanism {
                    Mechanism::ScramSha1 => Hash::Sha1,
                    Mechanism::ScramSha256 => Hash::Sha256,
                    _ => Hash::Sha512,
                };
                let exchange = scram.insert(Scram::new(hash, &login.user, &login.password, &login.nonce));
                Some(Bytes::from(exchange.first()))
            }
        };
        let exchange = Exchange {
            mechanism,
            scram,
            asked: false,
        };
        Ok((exchange, Symbol::from_static(mechanism.as_str()), first))
    }

    /// Answers a challenge.
    pub(crate) fn answer(&mut self, challenge: &[u8]) -> Result<Bytes, LoginError> {
        let mechanism = self.mechanism.as_str();
        match &mut self.scram {
            Some(scram) => scram.answer(mechanism, challenge).map(Bytes::from),
            // EXTERNAL's servers may ask again with nothing, once; so may odd ones of PLAIN.
            None if challenge.is_empty() && !self.asked => {
                self.asked = true;
                Ok(Bytes::new())
            }
            None => Err(LoginError::Challenge {
                mechanism,
                what: "it has none",
            }),
        }
    }

    /// The server says that we are in: whether it has proved who it is.
    pub(crate) fn succeeded(&mut self, additional: Option<&[u8]>) -> Result<(), LoginError> {
        match &mut self.scram {
            Some(scram) => scram.finish(additional),
            None => Ok(()),
        }
    }

    /// The mechanism's name.
    pub(crate) fn name(&self) -> &'static str {
        self.mechanism.as_str()
    }
}

fn choose(login: &Login, offered: &[Symbol]) -> Result<Mechanism, LoginError> {
    let has = |mechanism: Mechanism| offered.iter().any(|symbol| symbol.as_str() == mechanism.as_str());
    let wanted: &[Mechanism] = match &login.mechanism {
        Some(mechanism) => std::slice::from_ref(mechanism),
        None if login.user.is_empty() => &[Mechanism::Anonymous],
        None => &[
            Mechanism::ScramSha512,
            Mechanism::ScramSha256,
            Mechanism::ScramSha1,
            Mechanism::Plain,
        ],
    };
    wanted
        .iter()
        .copied()
        .find(|mechanism| has(*mechanism))
        .ok_or_else(|| {
            let join = |names: Vec<&str>| names.join(", ");
            LoginError::NotOffered {
                wanted: join(wanted.iter().map(|mechanism| mechanism.as_str()).collect()),
                offered: join(offered.iter().take(16).map(Symbol::as_str).collect()),
            }
        })
}
