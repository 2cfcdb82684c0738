//! The AMQP 1.0 connector: messages in and out of any broker that speaks it.
//!
//! Owns: the `amqp:` sections, the mapping between messages and events (CloudEvents AMQP binding), links as lanes, and
//! deliveries with their outcomes.
//!
//! Invariants
//! - A delivery is settled as accepted at the ack point, never before (C6); what is not settled when a link ends comes
//!   again, from us or from the broker.
//! - A send is delivered when its outcome is accepted (C11).
//! - No frame and no message can panic or be allocated for without bound (C33).
//!
//! Deliberately unknown: the bytes of AMQP (`weft-amqp-wire`), routes, retries, breakers, dead letters.

#![forbid(unsafe_code)]

mod config;
mod mapping;
#[cfg(test)]
mod testing;
