//! Journeys of events between the four protocols, through the real binary and real brokers, as foreign clients see them:
//! attributes of every type and the data's bytes arrive equal, whatever the pair, the mode and the way (C2, C35).
//!
//! `pairs` goes every way that there is between two protocols, `bytes` does it with data that a careless router would
//! change, and `clients` with other languages. `plain` begins with messages that are no events, `metadata` follows what a
//! message says beside its event. `chain` goes through all four protocols one after the other, and `rabbit` through a broker
//! that has less to offer.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod bytes;
mod chain;
mod clients;
mod essence;
mod mesh;
mod metadata;
mod pairs;
mod plain;
mod rabbit;
