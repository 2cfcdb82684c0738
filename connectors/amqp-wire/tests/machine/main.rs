//! The client's end of a connection against a scripted peer, against a model, and against anything.
#![allow(clippy::unwrap_used, clippy::panic)]

mod handshake;
mod links;
mod peer;
mod receiving;
mod sending;
mod time;
