//! The certificates of the tests: one authority, a server for `localhost` and `127.0.0.1`, a client, and a second
//! authority that nobody trusts. `tools/setup.sh` makes them once, by `tests/rig/tls/make.sh`.

use std::path::PathBuf;

use crate::cache;

/// The user that the client's certificate names.
pub const CLIENT: &str = "weft-client";

/// The authority that signed the server and the client.
#[must_use]
pub fn ca() -> PathBuf {
    file("ca.pem")
}

/// An authority that signed nothing that a broker shows: who trusts only this one must refuse to connect.
#[must_use]
pub fn other_ca() -> PathBuf {
    file("other-ca.pem")
}

/// A server's certificate and its key, for `localhost` and `127.0.0.1`.
#[must_use]
pub fn server() -> (PathBuf, PathBuf) {
    (file("server.pem"), file("server.key"))
}

/// A client's certificate for [`CLIENT`], and its key.
#[must_use]
pub fn client() -> (PathBuf, PathBuf) {
    (file("client.pem"), file("client.key"))
}

/// The server's certificate, its key and the authority, as Java reads them; the password is `weftrig`.
pub(crate) fn java_stores() -> (PathBuf, PathBuf) {
    (file("server.p12"), file("ca.p12"))
}

fn file(name: &str) -> PathBuf {
    cache::tls().join(name)
}
