//! Messages out: one task, one connection, many unsettled sends.
//!
//! Owns: one section's plan, and the egress that the router runs.
//! Does not know: the loop (`sender`), whose fault an answer is (`outcome`), retry, breaker and dead letter (the
//! router's).

mod late;
mod links;
mod outcome;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use weft_api::browse::Browsable;
use weft_api::config::{Finding, Node};
use weft_api::connector::{EgressBuilder, EgressSettings};
use weft_api::egress::{Egress, EgressContext, EgressError, EgressProfile};
use weft_api::outcome::{Reason, SendError};

use self::outcome::Where;
use crate::browse;
use crate::client::terminus;
use crate::client::trouble::Trouble;
use crate::client::wire::{Happened, Wire, WireSpec};
use crate::client::{self, Endpoint};
use crate::config::{AddressKind, EgressSection};
use crate::mapping::egress::Layout;
use crate::mapping::ingress::Mapping;

/// Most events of one batch.
const BATCH_EVENTS: u32 = 256;
/// Most bytes of one batch.
const BATCH_BYTES: u64 = 1 << 20;
/// Most events that have no outcome.
const IN_FLIGHT: u32 = 2_000;
/// A producer takes nothing in; this is for what the specification lets a peer send all the same.
const INCOMING_BYTES: u64 = 1 << 20;

/// What the attributes of an event may take beside its data when it is read again.
const BACK_SPARE: u64 = 256 << 10;

/// A validated section with everything that a producer needs.
pub(crate) struct Plan {
    pub(crate) endpoint: Endpoint,
    pub(crate) layout: Layout,
    pub(crate) name: Arc<str>,
    pub(crate) kind: AddressKind,
    pub(crate) timeout: Duration,
    pub(crate) event_max: u64,
    pub(crate) client_memory: u64,
    pub(crate) address: String,
    /// What was written, read again.
    pub(crate) back: Arc<Mapping>,
    /// The largest message that is put together of what was written.
    pub(crate) back_max: u64,
}

impl Plan {
    /// Reads the section and the destination's other keys.
    ///
    /// # Errors
    /// Every mistake.
    pub(crate) fn new(node: &Node, settings: &EgressSettings) -> Result<Plan, Vec<Finding>> {
        let section: EgressSection = weft_api::config::decode(node)?;
        let layout = Layout::new(&section, node)?;
        // An ingress may have the same name, and is another container; no name has a dot.
        let container = format!("{}.out", settings.name);
        let endpoint = Endpoint::new(&section.remote(), &settings.node, &container)
            .map_err(|error| vec![Finding::error(node, error, "correct `url`")])?;
        // An event of the largest data, as JSON in base64, and its attributes.
        let back_max = settings.event_max.saturating_mul(2).saturating_add(BACK_SPARE);
        let back = Mapping::back(node, settings, back_max, layout.habits())?;
        Ok(Plan {
            endpoint,
            layout,
            name: settings.name.clone(),
            kind: section.kind,
            timeout: section.timeout.0,
            event_max: settings.event_max,
            client_memory: settings.client_memory,
            address: section.address,
            back: Arc::new(back),
            back_max,
        })
    }

    /// Makes a connection.
    async fn connect(&self) -> Result<Wire, Trouble> {
        let spec = WireSpec {
            incoming_bytes: INCOMING_BYTES,
            message_max: 0,
        };
        Wire::connect(&self.endpoint, &spec).await
    }

    fn at<'a>(&self, address: &'a str) -> Where<'a> {
        Where {
            address,
            templated: self.layout.address.templated(),
        }
    }
}

/// Builds producers of one section.
pub(crate) struct Builder {
    pub(crate) plan: Arc<Plan>,
}

impl EgressBuilder for Builder {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        Ok(Box::new(AmqpEgress {
            plan: self.plan.clone(),
        }))
    }

    fn address(&self) -> String {
        format!("{} {}", self.plan.endpoint.dialer.address(), self.plan.address)
    }

    fn browse(&self) -> Browsable {
        browse::of(&self.plan)
    }
}

struct AmqpEgress {
    plan: Arc<Plan>,
}

#[async_trait]
impl Egress for AmqpEgress {
    fn profile(&self) -> EgressProfile {
        EgressProfile {
            batch_events: BATCH_EVENTS,
            batch_bytes: BATCH_BYTES,
            in_flight: IN_FLIGHT,
            // An outcome may be released while later messages are accepted.
            keeps_order_or_fails: false,
        }
    }

    async fn run(self: Box<Self>, cx: EgressContext) -> Result<(), EgressError> {
        sender::run(self.plan, cx).await;
        Ok(())
    }

    async fn probe(&self) -> Result<(), SendError> {
        let plan = &*self.plan;
        let tried = tokio::time::timeout(client::CONNECT, probe(plan)).await;
        tried.unwrap_or_else(|_| {
            let text = format!("{} does not answer", plan.endpoint.dialer.address());
            Err(SendError::destination(Reason::Unavailable, text))
        })
    }
}

/// Attaches to the address, or, where it is a template, connects only.
async fn probe(plan: &Plan) -> Result<(), SendError> {
    let mut wire = plan.connect().await.map_err(|trouble| trouble.error())?;
    let Some(address) = plan.layout.address.fixed() else {
        wire.close().await;
        return Ok(());
    };
    wire.sender(0, &terminus::sender(plan.kind, &plan.name, address, 0));
    let outcome = loop {
        match wire.next() {
            Some(Happened::Attached { .. }) => break Ok(()),
            Some(Happened::Detached { error, .. }) => {
                break Err(outcome::link(error.as_deref(), plan.at(address)));
            }
            Some(_) => {}
            None => wire.io().await.map_err(|trouble| trouble.error())?,
        }
    };
    wire.close().await;
    outcome
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::ingress;
    use crate::testing::{egress_settings, ingress_settings, node};

    #[test]
    fn an_ingress_and_a_destination_of_one_name_are_two_containers() {
        let section = node(&json!({ "url": "amqp://b", "address": "a" }));
        let settings = EgressSettings {
            name: Arc::from("in"),
            ..egress_settings()
        };
        let destination = Plan::new(&section, &settings)
            .map_err(|f| format!("{f:?}"))
            .unwrap();
        let source = ingress::Plan::new(&section, &ingress_settings())
            .map_err(|f| format!("{f:?}"))
            .unwrap();
        assert_eq!(source.endpoint.container_id, "weft-n-in");
        assert_eq!(destination.endpoint.container_id, "weft-n-in.out");
    }
}
