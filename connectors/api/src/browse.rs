//! Reading what a destination holds: dead letters that wait in a topic or a queue for somebody to look at them.
//!
//! A connector whose remote keeps what it was sent offers [`Browse`] beside its egress
//! ([`crate::connector::EgressBuilder::browse`]). The router's desk lists and searches with [`Browse::look`], and replays or
//! purges with [`Browse::take`].
//!
//! Duties of a connector
//! - Looking changes nothing at the remote and holds nobody up.
//! - A message that was taken leaves only by [`Browser::remove`]; whatever ends the browser otherwise leaves it there.
//! - A browser ends: what comes in after it was opened is not part of it, or a letter that dies again would go round.
//! - It keeps its connection alive by itself, whether anybody calls it or not.

use std::sync::Arc;

use async_trait::async_trait;

use crate::ingress::Incoming;

/// Opens what a destination holds. Cheap to make; connects only when it is asked.
#[async_trait]
pub trait Browse: Send + Sync {
    /// Opens it to look, from `from` on ([`Held::place`]; 0: from the beginning).
    ///
    /// # Errors
    /// One line for an operator: what could not be reached or was refused, and what to do.
    async fn look(&self, from: u64) -> Result<Box<dyn Browser>, BrowseError>;

    /// Opens it to take out, from the beginning.
    ///
    /// # Errors
    /// The same.
    async fn take(&self) -> Result<Box<dyn Browser>, BrowseError>;

    /// A place as a person reads it (`3/1042`), where it is the same tomorrow; `None` where it is a mere number in a row.
    fn write_place(&self, place: u64) -> Option<String>;

    /// The place that a person wrote.
    ///
    /// # Errors
    /// What to write instead.
    fn read_place(&self, text: &str) -> Result<u64, String>;

    /// What is looked through, for people (`topic dead-letters`); no credentials.
    fn address(&self) -> String;

    /// What it means there that a message has left, in a sentence for people; `None` where it is simply gone.
    fn left(&self) -> Option<String> {
        None
    }
}

/// One look through what is held, or one turn of taking out.
#[async_trait]
pub trait Browser: Send {
    /// The next messages in their order, `most` of them or fewer, at most a mebibyte and one message; none: that was the
    /// end, as it stood when this was opened. Cancel-safe: what was not returned comes with the next call.
    ///
    /// # Errors
    /// The remote is gone. What was taken and not removed is still there.
    async fn next(&mut self, most: usize) -> Result<Vec<Held>, BrowseError>;

    /// A message that was taken leaves, for good once [`Browser::close`] has ended well. Never waits for the remote.
    fn remove(&mut self, place: u64);

    /// Ends it. What was taken and not removed stays, for everybody to see.
    ///
    /// # Errors
    /// What was removed may be there still, and would come again: how many, and why.
    async fn close(self: Box<Self>) -> Result<(), BrowseError>;
}

/// A message that is held.
#[derive(Clone, Debug)]
pub struct Held {
    /// Where it is: ascending within a browser.
    pub place: u64,
    /// The event that it is.
    pub incoming: Incoming,
    /// When it came there, in milliseconds since 1970, if the remote tells.
    pub at_ms: Option<u64>,
}

/// Why it cannot be browsed, in one line for an operator.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct BrowseError(pub String);

/// What [`crate::connector::EgressBuilder::browse`] gives.
pub type Browsable = Result<Arc<dyn Browse>, BrowseError>;
