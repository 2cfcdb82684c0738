//! One connection to a broker: dialing, and the bytes of the state machine in and out.
//!
//! Owns: how a section's settings become a connection ([`Endpoint`]), the socket of one ([`wire`]), and what is said when
//! there is none ([`trouble`]).
//! Does not know: messages, lanes, batches.

mod io;
pub(crate) mod terminus;
pub(crate) mod trouble;
pub(crate) mod wire;

use std::time::Duration;

use weft_net::{Backoff, Dialer};

use crate::config::{Auth, Mechanism, Remote};

/// How long dialing, TLS, SASL and `open` may take together.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// The first and the longest wait between tries to connect.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// A connection that lasted for so long was a good one: the next try waits as if it were the first. A broker that takes
/// connections and drops them is asked less and less often.
pub(crate) const STEADY: Duration = Duration::from_secs(10);

/// The waits between tries to connect.
pub(crate) fn backoff() -> Backoff {
    Backoff::new(BACKOFF.0, BACKOFF.1)
}

/// How a broker is reached; holds nothing open.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) dialer: Dialer,
    /// The hostname of SASL and `open`.
    pub(crate) hostname: String,
    pub(crate) container_id: String,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_frame: u32,
    pub(crate) auth: Auth,
}

impl Endpoint {
    /// `node` and `name` make the container id where the file names none.
    ///
    /// # Errors
    /// An address that the section's check refuses.
    pub(crate) fn new(remote: &Remote, node: &str, name: &str) -> Result<Endpoint, String> {
        let address = remote.address().map_err(|error| error.to_string())?;
        let host = address.host().to_owned();
        Ok(Endpoint {
            dialer: Dialer::new(address, remote.tls.clone()),
            hostname: remote.virtual_host.clone().unwrap_or(host),
            container_id: remote
                .container_id
                .clone()
                .unwrap_or_else(|| format!("weft-{node}-{name}")),
            idle_timeout: remote.idle_timeout,
            max_frame: remote.max_frame,
            auth: remote.auth.clone().unwrap_or(Auth {
                mechanism: Mechanism::Anonymous,
                user: None,
                password: None,
            }),
        })
    }
}
