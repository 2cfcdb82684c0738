//! The contract between Weft and its connectors, and the event that travels between them.
//!
//! Owns: the [`event::Event`] and its codecs, the two connector roles ([`ingress`], [`egress`]), the words that both
//! sides settle with ([`outcome`]), and what a connector's configuration is read from ([`config`]).
//!
//! Invariants
//! - Nothing here opens a socket, spawns a task or knows a protocol client.
//! - Dropping anything unsettled reports it as unknown: to forget means to deliver again, never to acknowledge.
//!
//! Deliberately unknown: routes, plans, queues, retries. They stand behind [`ingress::Lanes`],
//! [`ingress::RequestLane`] and [`egress::EgressContext`], which are handles only.

#![forbid(unsafe_code)]

pub mod browse;
pub mod config;
pub mod connector;
pub mod crash;
pub mod egress;
pub mod event;
pub mod ingress;
pub mod mapping;
pub mod outcome;
pub mod status;
pub mod stop;
pub mod template;
