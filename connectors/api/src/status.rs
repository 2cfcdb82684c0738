//! What a connector tells the router about itself, for `/readyz`, `weft status`, the metrics and one clear log line.

use std::sync::Arc;

/// Where a connector stands with its remote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Health {
    /// Not tried yet.
    Starting,
    /// Listening or connected.
    Ready,
    /// Waiting for something outside; the text says for what, and what is tried ("kafka:9093: connection refused").
    Waiting(String),
}

/// Receives the reports. The router's implementation logs each change once and resolves metric handles beforehand.
pub trait Report: Send + Sync {
    /// The connector's standing changed (repeats are ignored).
    fn health(&self, health: Health);
    /// How many messages the remote still holds for us, over all lanes; `None` when it cannot be known.
    fn lag(&self, events: Option<u64>);
    /// The connector dropped or shed something by a rule that the user wrote; `what` is a fixed word (`"tombstone"`).
    fn dropped(&self, what: &'static str, count: u64);
    /// Something that an operator should read, at most one line; repeats are thinned out.
    fn warn(&self, line: String);
}

/// A shared handle to the receiver.
pub type Reporter = Arc<dyn Report>;

/// Receives reports and forgets them: for tests and probes.
pub struct Silent;

impl Report for Silent {
    fn health(&self, _: Health) {}
    fn lag(&self, _: Option<u64>) {}
    fn dropped(&self, _: &'static str, _: u64) {}
    fn warn(&self, _: String) {}
}
