//! Hostile brokers: whatever one sends, at whatever moment, costs a connection or a message, and nobody else notices
//! (C33). The brokers are fakes of this test, whose bytes are made by hand; the router is the real binary, with one
//! connector for each hostility, all at once, while HTTP to HTTP goes on in the same process.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod amqp;
mod amqp_bytes;
mod amqp_cases;
mod arena;
mod fake;
mod mqtt;
mod mqtt_bytes;
mod mqtt_cases;
