//! Messages out: one connection, many unconfirmed publishes.
//!
//! Owns: one section's plan, and the egress that the router runs.
//! Invariant: delivered means confirmed by the broker, PUBACK below 0x80 or PUBCOMP (C12); with QoS 0, which only a destination may use that
//! is marked lossy, it means written to the socket.
//! Does not know: retry, breaker, dead letter (the router's); how an event is laid into a message (`mapping`).

mod answer;
mod exchange;
mod outbox;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use weft_api::config::{Finding, Node};
use weft_api::connector::{EgressBuilder, EgressSettings};
use weft_api::egress::{Egress, EgressContext, EgressError, EgressProfile};
use weft_api::outcome::{Reason, SendError};

use crate::client::dial::{Target, Terms};
use crate::client::refusal::Refusal;
use crate::client::wire::connect::Connack;
use crate::config;
use crate::mapping::Layout;

/// Most events of one batch.
const BATCH_EVENTS: u32 = 256;
/// Most bytes of one batch.
const BATCH_BYTES: u64 = 1 << 20;
/// The largest packet that a broker may send to one who subscribes to nothing.
const PACKET_MAX: u32 = 256 * 1024;
/// How long the broker keeps the session of QoS 2 while we are away: far longer than anybody waits for a message.
const SESSION: u32 = 3600;

/// A validated section with everything that a sender needs.
pub(crate) struct Plan {
    layout: Layout,
    qos: u8,
    retain: bool,
    topic: String,
    client_id: String,
    timeout: Duration,
    in_flight: u16,
    target: Target,
    address: String,
}

impl Plan {
    /// Reads the section and the destination's other keys.
    ///
    /// # Errors
    /// Every mistake.
    pub(crate) fn new(node: &Node, settings: &EgressSettings) -> Result<Plan, Vec<Finding>> {
        let (section, layout) = config::egress(node, settings)?;
        let (keep_alive, timeout) = (section.keep_alive.get(), section.timeout.get());
        let target = Target::new(section.remote(), keep_alive, PACKET_MAX, timeout)
            .map_err(|error| vec![Finding::error(node, error, "correct `url`")])?;
        Ok(Plan {
            layout,
            qos: section.qos as u8,
            retain: section.retain,
            client_id: section
                .client_id
                .clone()
                // An ingress may have the same name, and another session; no name has a dot.
                .unwrap_or_else(|| format!("{}-{}.out", settings.node, settings.name)),
            timeout,
            in_flight: section.in_flight,
            address: target.address(),
            target,
            topic: section.topic,
        })
    }

    /// Names the session.
    #[cfg(test)]
    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What a connection says of itself. Only QoS 2 keeps its session: for QoS 1 a session at the broker holds nothing that a sender
    /// could use. The first connection of this process begins anew, since identifiers of an earlier life mean nothing to it.
    fn terms(&self, first: bool) -> Terms {
        let keeps = self.qos == 2;
        Terms {
            client_id: self.client_id.clone(),
            clean: first || !keeps,
            session_expiry: if keeps { SESSION } else { 0 },
            receive_maximum: 1,
        }
    }

    /// The quality of service with this broker.
    ///
    /// # Errors
    /// The broker cannot do what the file asks for.
    fn agree(&self, connack: &Connack) -> Result<u8, Refusal> {
        let refused = |line: String| Refusal {
            reason: Reason::Misconfigured,
            line: format!("{}: {line}", self.address),
        };
        if self.retain && !connack.retain {
            return Err(refused(
                "the broker retains no messages; set `retain: false`".into(),
            ));
        }
        if self.qos > 0 && connack.max_qos == 0 {
            return Err(refused(
                "the broker takes QoS 0 only, which nobody confirms; use another, or `qos: 0` with `lossy: true`".into(),
            ));
        }
        Ok(self.qos.min(connack.max_qos))
    }
}

/// Builds senders of one section.
pub(crate) struct Builder {
    pub(crate) plan: Arc<Plan>,
}

impl EgressBuilder for Builder {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        Ok(Box::new(MqttEgress {
            plan: self.plan.clone(),
        }))
    }

    fn address(&self) -> String {
        format!("{} {}", self.plan.address, self.plan.topic)
    }
}

struct MqttEgress {
    plan: Arc<Plan>,
}

#[async_trait]
impl Egress for MqttEgress {
    fn profile(&self) -> EgressProfile {
        EgressProfile {
            batch_events: BATCH_EVENTS,
            batch_bytes: BATCH_BYTES,
            in_flight: u32::from(self.plan.in_flight),
            keeps_order_or_fails: false,
        }
    }

    async fn run(self: Box<Self>, cx: EgressContext) -> Result<(), EgressError> {
        sender::run(self.plan, cx).await
    }

    async fn probe(&self) -> Result<(), SendError> {
        let probed = self.plan.target.probe(&self.plan.client_id).await;
        let agreed = probed.and_then(|connack| self.plan.agree(&connack));
        agreed.map(|_| ()).map_err(|refusal| refusal.error())
    }
}
