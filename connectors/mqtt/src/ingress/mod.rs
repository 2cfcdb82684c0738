//! Messages in: sessions that outlive their connections, one lane each.
//!
//! Owns: one section's plan, and the ingress that the router runs.
//! Invariants: a message is acknowledged at its ack point, in the order of receipt, on the connection on which it came (C7); the broker's
//! session is never ended by us, so that what is published while we are away is there when we come back.
//! Does not know: how a message becomes an event (`mapping`), routes, retries.

mod desk;
mod engine;
mod inbox;
mod session;
mod subscription;
mod turn;

use std::sync::Arc;

use async_trait::async_trait;
use weft_api::config::{ByteSize, Finding, Node};
use weft_api::connector::{IngressBuilder, IngressSettings, RawMessage};
use weft_api::event::Event;
use weft_api::ingress::{Incoming, Ingress, IngressContext, IngressError, Window};

use self::subscription::Subscription;
use crate::client::dial::{self, Target, Terms};
use crate::client::wire::subscribe::Options;
use crate::config::{self, IngressSection, Retain};
use crate::mapping::{Mapper, Mapping};

/// The window of a session where the file is silent.
const WINDOW: Window = Window {
    events: 1024,
    bytes: 64 << 20,
};
/// Room for topic and properties beside the event's own bytes, where `max_packet` is not given.
const HEADROOM: u64 = 64 * 1024;
/// The largest packet that MQTT can say.
const PACKET_MAX: u64 = 268_435_460;

/// A validated section with everything that its sessions need.
pub(crate) struct Plan {
    section: IngressSection,
    name: Arc<str>,
    client_id: String,
    window: Window,
    receive_maximum: u16,
    mapping: Arc<Mapping>,
    target: Target,
}

impl Plan {
    /// Reads the section and the ingress' other keys.
    ///
    /// # Errors
    /// Every mistake.
    pub(crate) fn new(node: &Node, settings: &IngressSettings) -> Result<Plan, Vec<Finding>> {
        let (section, mapping) = config::ingress(node, settings)?;
        let largest = section
            .max_packet
            .map_or(settings.event_max + HEADROOM, ByteSize::get)
            .min(PACKET_MAX);
        let limit = u32::try_from(largest).unwrap_or(u32::MAX);
        let window = settings.window.unwrap_or(WINDOW);
        let target = Target::new(section.remote(), section.keep_alive.get(), limit, dial::LIMIT)
            .map_err(|error| vec![Finding::error(node, error, "correct `url`")])?;
        Ok(Plan {
            name: settings.name.clone(),
            client_id: section
                .client_id
                .clone()
                .unwrap_or_else(|| format!("{}-{}", settings.node, settings.name)),
            window,
            receive_maximum: receive_maximum(window, largest),
            mapping: Arc::new(mapping),
            target,
            section,
        })
    }

    /// What session `number` says of itself.
    fn terms(&self, number: u16) -> Terms {
        let expiry = self.section.session_expiry();
        let seconds = expiry.as_secs() + u64::from(expiry.subsec_nanos() > 0);
        Terms {
            client_id: match number {
                0 => self.client_id.clone(),
                // A dot, which no name has: `plant.1` is nobody else's.
                further => format!("{}.{further}", self.client_id),
            },
            clean: false,
            // The largest value means for ever.
            session_expiry: u32::try_from(seconds).unwrap_or(u32::MAX),
            receive_maximum: self.receive_maximum,
        }
    }

    fn lane_name(&self, number: u16) -> Arc<str> {
        match number {
            0 => self.name.clone(),
            further => format!("{}/{further}", self.name).into(),
        }
    }

    fn loose_name(&self) -> Arc<str> {
        format!("{}/qos0", self.name).into()
    }

    fn subscription(&self) -> Subscription {
        let options = Options {
            qos: self.section.qos as u8,
            retain_handling: match self.section.retain.unwrap_or_default() {
                Retain::Send => 0,
                Retain::New => 1,
                Retain::Never => 2,
            },
            no_local: self.section.no_local,
        };
        let share = self.section.share(&self.name);
        Subscription::new(&self.section.subscribe, share.as_deref(), options)
    }
}

/// How many messages the broker may send without an acknowledgement: so many that the window holds them all, were each the largest.
fn receive_maximum(window: Window, largest: u64) -> u16 {
    let by_bytes = window.bytes / largest.max(1);
    let both = by_bytes.min(u64::from(window.events)).max(1);
    u16::try_from(both).unwrap_or(u16::MAX)
}

/// Builds ingresses of one section.
pub(crate) struct Builder {
    pub(crate) plan: Arc<Plan>,
}

impl IngressBuilder for Builder {
    fn build(&self) -> Result<Box<dyn Ingress>, String> {
        Ok(Box::new(MqttIngress {
            plan: self.plan.clone(),
        }))
    }

    fn address(&self) -> String {
        format!(
            "{} {}",
            self.plan.target.address(),
            self.plan.section.subscribe.join(",")
        )
    }

    fn explain(&self, raw: &RawMessage) -> Result<Event, String> {
        Mapper::new(self.plan.mapping.clone()).explain(self.topic_of(raw), raw)
    }

    fn map(&self, raw: &RawMessage) -> Result<Vec<Incoming>, String> {
        let topic = self.topic_of(raw);
        Ok(vec![Mapper::new(self.plan.mapping.clone()).map_raw(topic, raw)])
    }

    fn in_order(&self) -> bool {
        true
    }
}

impl Builder {
    /// The topic that the message names, else the first filter of the section.
    fn topic_of<'a>(&'a self, raw: &'a RawMessage) -> &'a str {
        match raw.address.as_str() {
            "" => self.plan.section.subscribe.first().map_or("", String::as_str),
            named => named,
        }
    }
}

struct MqttIngress {
    plan: Arc<Plan>,
}

#[async_trait]
impl Ingress for MqttIngress {
    async fn run(self: Box<Self>, cx: IngressContext) -> Result<(), IngressError> {
        engine::run(self.plan, cx).await
    }

    async fn probe(&self) -> Result<(), IngressError> {
        let probed = self.plan.target.probe(&self.plan.client_id).await;
        probed.map(|_| ()).map_err(|refusal| IngressError(refusal.line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_sessions_of_one_node_have_the_same_client_id() {
        use crate::testing::{egress_settings, ingress_settings, node};
        let section = serde_json::json!({ "url": "mqtt://a", "subscribe": ["a"], "sessions": 2 });
        let mut settings = ingress_settings(None, None);
        let mut ids = Vec::new();
        for name in ["plant", "plant-1"] {
            settings.name = name.into();
            let plan = Plan::new(&node(&section), &settings).unwrap_or_else(|found| panic!("{found:?}"));
            ids.extend((0..2).map(|number| plan.terms(number).client_id));
        }
        let mut settings = egress_settings(false);
        settings.name = "plant".into();
        let section = serde_json::json!({ "url": "mqtt://a", "topic": "a" });
        let plan =
            crate::egress::Plan::new(&node(&section), &settings).unwrap_or_else(|found| panic!("{found:?}"));
        ids.push(plan.client_id().to_owned());
        assert_eq!(
            ids,
            ["n-plant", "n-plant.1", "n-plant-1", "n-plant-1.1", "n-plant.out"]
        );
    }

    #[test]
    fn receive_maximum_is_the_smaller_of_events_and_of_largest_packets_that_fit() {
        let window = |events, bytes| Window { events, bytes };
        assert_eq!(receive_maximum(window(1024, 8 << 20), 1 << 20), 8);
        assert_eq!(receive_maximum(window(5, 8 << 20), 1 << 20), 5);
        assert_eq!(receive_maximum(window(1024, 100), 1 << 20), 1, "never none");
        assert_eq!(receive_maximum(window(u32::MAX, u64::MAX), 1), u16::MAX);
    }
}
