//! The AMQP 1.0 connector: messages in and out of any broker that speaks it.
//!
//! Owns: the `amqp:` sections, the mapping between messages and events (CloudEvents AMQP binding), links as lanes,
//! deliveries with their outcomes, and the look through what a queue holds.
//!
//! Invariants
//! - A delivery is settled as accepted at the ack point, never before (C6); what is not settled when a link ends comes
//!   again, from us or from the broker.
//! - A send is delivered when its outcome is accepted (C11).
//! - No frame and no message can panic or be allocated for without bound (C33).
//!
//! Deliberately unknown: the bytes of AMQP (`weft-amqp-wire`), routes, retries, breakers, dead letters.

#![forbid(unsafe_code)]

mod browse;
mod client;
mod config;
mod egress;
mod ingress;
mod mapping;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};
use weft_api::config::{Finding, Node};
use weft_api::connector::{Connector, EgressBuilder, EgressSettings, IngressBuilder, IngressSettings};

/// The kind `amqp`.
#[derive(Clone, Copy, Default, Debug)]
pub struct Amqp;

impl Connector for Amqp {
    fn kind(&self) -> &'static str {
        "amqp"
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
        config::CONNECTION_KEYS
    }
}
