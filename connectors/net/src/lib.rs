//! How connectors reach their remotes: addresses, TCP and TLS, and how long to wait before the next try.
//!
//! Owns: what `url:` and `tls:` mean where a protocol runs on a byte stream ([`Address`], [`Tls`]), dialing ([`Dialer`]) and
//! [`Backoff`].
//! Invariants
//! - Reading a section opens nothing. Certificates are read anew for each connection, so that renewed ones are found.
//! - A certificate is verified unless the file says `insecure: true`; the provider is named here, never taken from the
//!   process.
//!
//! Deliberately unknown: protocols, credentials inside of them, events.

#![forbid(unsafe_code)]

mod address;
mod backoff;
mod dial;
mod tls;

pub use address::{Address, AddressError, Scheme};
pub use backoff::Backoff;
pub use dial::{DialError, Dialer, Stream};
pub use tls::Tls;
