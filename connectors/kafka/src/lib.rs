//! The Kafka connector: records in and out through librdkafka.
//!
//! Owns: the `kafka:` sections, the mapping between records and events (CloudEvents Kafka binding), consumers with one
//! lane a partition, idempotent producers, and a way to look through what a topic holds.
//!
//! Invariants
//! - What is committed is the lowest offset that is not settled; nothing of a partition is stored once it is revoked (C5).
//! - A delivery is a delivery report at acks=all; what fails takes with it whatever could overtake it (C10, C20).
//! - No record, header or key can panic or be allocated for without bound (C33).
//!
//! Deliberately unknown: routes, retries, breakers, dead letters.

#![forbid(unsafe_code)]

#[doc(hidden)]
pub mod bench;
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

/// The kind `kafka`.
#[derive(Clone, Copy, Default, Debug)]
pub struct Kafka;

impl Connector for Kafka {
    fn kind(&self) -> &'static str {
        "kafka"
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
        &["brokers", "librdkafka"]
    }
}
