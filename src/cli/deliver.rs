//! Delivers one event through an egress that nobody runs yet: how `weft send` reaches an ingress that is no server.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::timeout;
use weft_api::egress::{Batch, BatchQueue, BatchSink, Egress, EgressContext};
use weft_api::event::Event;
use weft_api::outcome::{Reason, SendError};
use weft_api::status::Silent;
use weft_api::stop::StopHandle;

/// Longest wait for the confirmation.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(30);

/// Hands `event` to `egress` and waits for its confirmation.
pub(super) async fn deliver(egress: Box<dyn Egress>, name: &str, event: Event) -> Result<(), SendError> {
    let outcome = Outcome::default();
    let batch = Batch::new(vec![event], Box::new(Sink(outcome.clone())));
    // Kept until the end: a handle that is gone means stop.
    let (_handle, stop) = StopHandle::new();
    let queue = Box::new(Once(Some(batch)));
    let context = EgressContext::new(name.into(), stop, Arc::new(Silent), queue);
    let ended = timeout(CONFIRMED_WITHIN, egress.run(context)).await;
    let settled = outcome.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    let unknown = |why: String| SendError::destination(Reason::Timeout, why).maybe_delivered();
    match (settled, ended) {
        (Some(Ok(())), _) => Ok(()),
        // Before what was settled: dropping the egress has just let the batch go.
        (_, Err(_)) => Err(unknown(format!(
            "no confirmation within {} s",
            CONFIRMED_WITHIN.as_secs()
        ))),
        (_, Ok(Err(error))) => Err(unknown(error.to_string())),
        (Some(Err(error)), Ok(Ok(()))) => Err(error),
        (None, Ok(Ok(()))) => Err(unknown("the connector ended without an answer".to_owned())),
    }
}

/// Gives one batch, and then the end.
struct Once(Option<Batch>);

impl BatchQueue for Once {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Batch>> {
        Poll::Ready(self.0.take())
    }
}

#[derive(Clone, Default)]
struct Outcome(Arc<Mutex<Option<Result<(), SendError>>>>);

/// Keeps the first settlement of the only event.
struct Sink(Outcome);

impl Sink {
    fn settle(&self, end: Result<(), SendError>) -> usize {
        let mut kept = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_some() {
            return 0;
        }
        *kept = Some(end);
        1
    }
}

impl BatchSink for Sink {
    fn accept(&mut self, indices: &[u32]) -> usize {
        if indices.contains(&0) {
            self.settle(Ok(()))
        } else {
            0
        }
    }

    fn accept_rest(&mut self) {
        self.settle(Ok(()));
    }

    fn fail(&mut self, index: u32, _: &[Event], error: SendError) -> usize {
        if index == 0 { self.settle(Err(error)) } else { 0 }
    }

    fn abandon(&mut self, _: &[Event]) {
        let why = "the connector let it go without an answer";
        self.settle(Err(
            SendError::destination(Reason::Abandoned, why).maybe_delivered()
        ));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use async_trait::async_trait;
    use weft_api::egress::{EgressError, EgressProfile};
    use weft_api::event::EventBuilder;

    /// What the fake does with its batch.
    #[derive(Clone, Copy)]
    enum Does {
        Accept,
        Refuse,
        Forget,
        Hang,
    }

    #[async_trait]
    impl Egress for Does {
        fn profile(&self) -> EgressProfile {
            EgressProfile {
                batch_events: 1,
                batch_bytes: 1,
                in_flight: 1,
                keeps_order_or_fails: false,
            }
        }

        async fn run(self: Box<Self>, mut cx: EgressContext) -> Result<(), EgressError> {
            while let Some(mut batch) = cx.next_batch().await {
                match *self {
                    Does::Accept => batch.accept(&[0]),
                    Does::Refuse => batch.fail(0, SendError::event(Reason::Refused, "no such type")),
                    Does::Forget => drop(batch),
                    Does::Hang => std::future::pending().await,
                }
            }
            Ok(())
        }

        async fn probe(&self) -> Result<(), SendError> {
            Ok(())
        }
    }

    async fn end(does: Does) -> Result<(), SendError> {
        let event = EventBuilder::new().id("1").source("/s").ty("t").build().unwrap();
        deliver(Box::new(does), "orders", event).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_is_what_the_remote_said_and_silence_is_never_success() {
        assert!(end(Does::Accept).await.is_ok());
        assert_eq!(end(Does::Refuse).await.unwrap_err().to_string(), "no such type");
        assert!(end(Does::Forget).await.unwrap_err().maybe_delivered);
        let hung = end(Does::Hang).await.unwrap_err();
        assert!(
            hung.maybe_delivered && hung.to_string().contains("within 30 s"),
            "{hung}"
        );
    }
}
