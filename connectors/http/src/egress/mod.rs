//! HTTP out: one request an event (or a batch), judged by its answer.
//!
//! Owns: requests, connections, and what an answer means. Two ways in: `run` takes from the destination's queue, and
//! [`DirectSend`] sends from the caller's own task with connections of its thread.
//!
//! Must not know: retry, order, breaker. It delivers what it is given, once.

mod classify;
mod exchange;
mod h2;
pub(crate) mod headers;
mod pool;
mod run;
pub(crate) mod sender;
pub(crate) mod target;

use std::sync::Arc;

use async_trait::async_trait;
use weft_api::connector::{EgressBuilder, EgressSettings};
use weft_api::egress::{DirectFactory, DirectSend, Egress, EgressContext, EgressError, EgressProfile};
use weft_api::outcome::SendError;

use crate::config::{EgressSection, SendMode};
use headers::Headers;
use sender::{Plan, Sender};
use target::Target;

/// Most events in one batch, before the file's `batch:` narrows it.
const BATCH_EVENTS: u32 = 100;
/// Most bytes in one batch, unless one event may be larger.
const BATCH_BYTES: u64 = 1024 * 1024;

/// A validated destination section.
pub(crate) struct Builder {
    plan: Arc<Plan>,
    event_max: u64,
}

impl Builder {
    pub(crate) fn new(
        section: &EgressSection,
        settings: &EgressSettings,
        target: Target,
        headers: Headers,
    ) -> Builder {
        let plan = Plan {
            target,
            headers,
            method: section.method(),
            mode: section.mode,
            timeout: section.timeout.get(),
            connect_timeout: section.connect_timeout.get(),
            idle_timeout: section.idle_timeout.get(),
            concurrency: section.concurrency,
            gzip: section.gzip,
            http2: section.http2,
        };
        Builder {
            plan: Arc::new(plan),
            event_max: settings.event_max,
        }
    }
}

impl EgressBuilder for Builder {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        Ok(Box::new(HttpEgress {
            plan: self.plan.clone(),
            event_max: self.event_max,
        }))
    }

    fn address(&self) -> String {
        self.plan.target.text.clone()
    }
}

/// An HTTP destination.
struct HttpEgress {
    plan: Arc<Plan>,
    event_max: u64,
}

#[async_trait]
impl Egress for HttpEgress {
    fn profile(&self) -> EgressProfile {
        let batch_events = if self.plan.mode == SendMode::Batch {
            BATCH_EVENTS
        } else {
            1
        };
        EgressProfile {
            batch_events,
            // An event's size counts its attributes and overhead, too: the largest one must fit.
            batch_bytes: BATCH_BYTES.max(self.event_max.saturating_mul(2)),
            in_flight: self.plan.concurrency.saturating_mul(batch_events),
            keeps_order_or_fails: false,
        }
    }

    fn direct(&self) -> Option<Arc<dyn DirectFactory>> {
        // A batch wants company.
        (self.plan.mode != SendMode::Batch)
            .then(|| Arc::new(Factory(self.plan.clone())) as Arc<dyn DirectFactory>)
    }

    async fn run(self: Box<Self>, cx: EgressContext) -> Result<(), EgressError> {
        run::run(Sender::new(self.plan.clone()), self.plan.concurrency as usize, cx).await;
        Ok(())
    }

    async fn probe(&self) -> Result<(), SendError> {
        Sender::new(self.plan.clone()).probe().await
    }
}

struct Factory(Arc<Plan>);

impl DirectFactory for Factory {
    fn open(&self) -> Arc<dyn DirectSend> {
        Arc::new(Sender::new(self.0.clone()))
    }
}
