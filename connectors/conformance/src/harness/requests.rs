//! Request lanes over a list: every request waits for the test to answer it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use weft_api::ingress::{
    Incoming, LaneSpec, RequestLaneBackend, RequestLanesBackend, Verdict, VerdictFuture,
};
use weft_api::outcome::{Outcome, Reason};

use super::ingress::{Admitted, Place, World};

pub(super) struct Backend(pub(super) Arc<World>);

struct Lane {
    world: Arc<World>,
    name: Arc<str>,
}

impl RequestLanesBackend for Backend {
    fn open(&self, spec: LaneSpec) -> Arc<dyn RequestLaneBackend> {
        Arc::new(Lane {
            world: Arc::clone(&self.0),
            name: spec.name,
        })
    }
}

impl RequestLaneBackend for Lane {
    fn submit(self: Arc<Self>, incoming: Incoming, deadline: Duration) -> VerdictFuture {
        if !self.has_room(0) {
            let refused = Verdict::released(Reason::Overloaded, Duration::from_secs(1));
            return Box::pin(std::future::ready(refused));
        }
        let (answer, verdict) = oneshot::channel();
        let place = Place::Request { answer };
        self.world.admit(Admitted {
            lane: Arc::clone(&self.name),
            incoming,
            place,
        });
        Box::pin(async move {
            match tokio::time::timeout(deadline, verdict).await {
                Ok(Ok(verdict)) => verdict,
                // Nobody answered, or the test threw the question away.
                _ => {
                    let outcome = Outcome::Unknown(Reason::Deadline);
                    Verdict {
                        outcome,
                        matched: 1,
                        stored: false,
                        retry_after: None,
                    }
                }
            }
        })
    }

    fn has_room(&self, _: u64) -> bool {
        self.world.has_room()
    }
}
