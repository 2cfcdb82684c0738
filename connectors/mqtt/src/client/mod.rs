//! A client's side of MQTT.
//!
//! Owns: packets (`wire`), one connection with its buffers and its keep alive (`link`, `keep_alive`), how one is opened (`dial`)
//! and what is said when it is refused (`refusal`), why one ended (`end`), and the quarrel of two clients over one client id (`takeover`).
//! Does not know: messages that wait for an acknowledgement, in either direction (`ingress::inbox`, `egress::outbox`).

pub(crate) mod dial;
pub(crate) mod end;
pub(crate) mod keep_alive;
pub(crate) mod link;
pub(crate) mod refusal;
pub(crate) mod takeover;
pub(crate) mod wire;
