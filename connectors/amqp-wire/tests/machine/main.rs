//! The client's end of a connection against a scripted peer, against a model, and against anything.
#![allow(clippy::unwrap_used, clippy::panic)]

mod handshake;
mod hostile;
mod links;
mod outcomes;
mod peer;
mod receive_laws;
mod receiving;
mod send_laws;
mod sending;
#[path = "../support/mod.rs"]
mod support;
mod time;
