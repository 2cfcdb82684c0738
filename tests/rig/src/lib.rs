//! Real brokers, real clients and the real binary, for the tests of Weft.
//!
//! Owns every process and port that a test needs: the real brokers [`Kafka`] (with its [`Broker`]), [`Artemis`],
//! [`Mosquitto`] and [`RabbitMq`], shared or [`Private`]; [`Weft`] (the binary under test); [`Receiver`] (an HTTP server that
//! records and obeys a script, such as a [`Mix`]); [`BlackHole`] (one that is no use); [`Relay`] and [`Hop`] (networks that
//! fail, as a stream and as packets); [`Clock`] and [`MemoryLimit`] for the binary; and the foreign clients [`Client`], [`kcat`] and
//! [`promtool`].
//!
//! Invariants:
//! - No process outlives the test binary that started it, however that one ends (`child`).
//! - Nothing waits for a fixed time: it waits for a line, a request or a state, up to a deadline, and a failure shows
//!   the end of the log.
//! - Every call blocks its thread and works inside and outside of a tokio runtime; the rig's own servers and clients
//!   live on a runtime of their own.
//! - Ports are on loopback and reserved across processes (`port`).
//!
//! Must not know: any crate of Weft. It sees the router as a user does: a binary, a file, sockets.
//!
//! A failure here panics with what went wrong, since there is nobody but a test to hand an error to.

pub mod artemis;
mod broker;
mod cache;
mod child;
mod client;
mod clock;
mod dir;
mod disk;
mod hole;
mod hop;
pub mod http;
mod kafka;
pub mod kcat;
mod lacking;
mod lines;
mod memory;
mod metrics;
mod mix;
pub mod mosquitto;
mod name;
mod port;
mod private;
pub mod rabbitmq;
mod receiver;
mod record;
mod relay;
mod reply;
mod runtime;
mod shared;
pub mod tls;
mod tool;
mod wait;
mod weft;

pub use artemis::Artemis;
pub use broker::{Broker, SCRAM};
pub use client::{Client, ClientProcess, Python, PythonProcess};
pub use clock::Clock;
pub use dir::Dir;
pub use disk::{BadDisk, Failing, SmallDisk};
pub use hole::BlackHole;
pub use hop::{Hop, Loss};
pub use kafka::Kafka;
pub use lacking::{Lacking, skipped};
pub use lines::Lines;
pub use memory::MemoryLimit;
pub use metrics::Metrics;
pub use mix::Mix;
pub use mosquitto::Mosquitto;
pub use name::unique;
pub use port::free_port;
pub use private::Private;
pub use rabbitmq::RabbitMq;
pub use receiver::{Receiver, Request};
pub use record::Record;
pub use relay::Relay;
pub use reply::Reply;
pub use shared::Shared;
pub use tool::promtool;
pub use wait::eventually;
pub use weft::{Weft, WeftBuilder};
