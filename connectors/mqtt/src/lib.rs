//! The MQTT connector: 3.1.1 and 5.0, in and out, as a client of a broker.
//!
//! Owns: the `mqtt:` sections, the mapping between messages and events (CloudEvents MQTT binding), a client of its own
//! (`docs/adr/0009-mqtt-client.md`), sessions with one lane each, and confirmed publishes.
//!
//! Invariants
//! - A message is acknowledged at its ack point, in the order of receipt, never with an identifier of an earlier connection (C7).
//! - Delivered means confirmed by the broker (C12); the session, and what waits in it, is never thrown away.
//! - No packet can panic or be allocated for without bound (C33): its length is looked at before its bytes are.
//!
//! Deliberately unknown: routes, retries, breakers, dead letters.

#![forbid(unsafe_code)]

#[doc(hidden)]
pub mod bench;
mod client;
mod config;
mod egress;
#[doc(hidden)]
pub mod fuzz;
mod ingress;
mod mapping;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};
use weft_api::config::{Finding, Node};
use weft_api::connector::{Connector, EgressBuilder, EgressSettings, IngressBuilder, IngressSettings};

/// The kind `mqtt`.
#[derive(Clone, Copy, Default, Debug)]
pub struct Mqtt;

impl Connector for Mqtt {
    fn kind(&self) -> &'static str {
        "mqtt"
    }

    fn ingress(
        &self,
        section: &Node,
        settings: &IngressSettings,
    ) -> Option<Result<Box<dyn IngressBuilder>, Vec<Finding>>> {
        let plan = ingress::Plan::new(section, settings);
        Some(plan.map(|plan| Box::new(ingress::Builder { plan: Arc::new(plan) }) as Box<dyn IngressBuilder>))
    }

    fn egress(
        &self,
        section: &Node,
        settings: &EgressSettings,
    ) -> Option<Result<Box<dyn EgressBuilder>, Vec<Finding>>> {
        let plan = egress::Plan::new(section, settings);
        Some(plan.map(|plan| Box::new(egress::Builder { plan: Arc::new(plan) }) as Box<dyn EgressBuilder>))
    }

    fn ingress_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<config::IngressSection>())
    }

    fn egress_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<config::EgressSection>())
    }

    fn connection_keys(&self) -> &'static [&'static str] {
        &["url", "version"]
    }
}
