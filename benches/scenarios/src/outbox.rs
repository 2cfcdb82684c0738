//! What is sent and not confirmed, in the order of sending. It knows no protocol: a confirmation is a future.

use std::collections::VecDeque;
use std::pin::Pin;

/// Confirmations on their way, with what the sender keeps beside each.
#[derive(Debug)]
pub struct Outbox<F, T>(VecDeque<(Pin<Box<F>>, T)>);

impl<F, T> Default for Outbox<F, T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<F: Future, T> Outbox<F, T> {
    /// How many are not confirmed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether all are confirmed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One is sent.
    pub fn push(&mut self, confirmation: F, beside: T) {
        self.0.push_back((Box::pin(confirmation), beside));
    }

    /// Waits for the first one, for ever if there is none. May be dropped at any time.
    pub async fn first(&mut self) -> (F::Output, T) {
        let Some((confirmation, _)) = self.0.front_mut() else {
            return std::future::pending().await;
        };
        let output = confirmation.as_mut().await;
        let (_, beside) = self.0.pop_front().expect("it was there above");
        (output, beside)
    }
}
