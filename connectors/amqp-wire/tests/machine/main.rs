//! The client's end of a connection against a scripted peer: what it says, what it tells, what it bears.
#![allow(clippy::unwrap_used)]

mod hostile;
mod laws;
mod links;
mod open;
mod peer;
mod receive;
mod send;
