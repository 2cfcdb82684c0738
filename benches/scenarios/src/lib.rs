//! Whole processes side by side: the router, and plain loops that do the same work by hand with the same libraries.
//!
//! Owns: the plain loops (`hyper-forward`, `rdkafka-copy`, `fe2o3-copy`, `fe2o3-kafka`, `kafka-fe2o3`,
//! `rumqttc-kafka`, `kafka-rumqttc`), what surrounds them
//! (`http-load`, `http-sink`, and `-fill` and `-count` of `kafka`, `amqp` and `mqtt`), and the driver (`scenarios`) that
//! runs loop and router in turns and prints a table. And the runs that hold the router alone to its contract, `overload`
//! and `stalled`, with their open-loop senders (`offer`), their far end (`sink`) and the books outside it (`books`).
//!
//! Invariants:
//! - Both sides get the same events, the same surroundings and the same number of threads, in the same run.
//! - A run in which an event is lost, changed or refused gives no figure but an error.
//! - Nothing here judges a figure: machines differ, so no threshold ever fails. A lost event does, on any machine.
//!
//! Must not know: any crate of Weft but the test rig. It sees the router as a user does: a binary, a file, sockets.

pub mod amqp;
pub mod books;
pub mod consumer;
pub mod driver;
pub mod event;
pub mod ledger;
pub mod mqtt;
pub mod offer;
pub mod outbox;
pub mod producer;
pub mod response;
pub mod serve;
pub mod sink;
pub mod tool;

/// What ends a tool early: text for the person at the terminal.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
