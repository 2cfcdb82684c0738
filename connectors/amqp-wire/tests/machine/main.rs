//! The client's end of a connection against a scripted peer: what it says, what it tells, what it bears.
#![allow(clippy::unwrap_used, clippy::panic)]

mod careless;
mod credit_given;
mod drain;
mod hostile;
mod laws;
mod links;
mod open;
mod peer;
mod phases;
mod receive;
mod receive_laws;
mod room;
mod script;
mod send;
mod send_laws;
mod time;
