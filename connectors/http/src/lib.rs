//! The HTTP connector of Weft: events over HTTP/1.1 and HTTP/2, by the HTTP binding of CloudEvents 1.0.2.
//!
//! - `ingress`: a server. Each request is answered when the router's verdict on its event is known.
//! - `egress`: a client. Each event is a request, and its answer says whether it is delivered.
//! - [`mapping`]: between HTTP messages and events, both directions, pure.
//! - `config`: the sections of the configuration file.
//!
//! Invariants
//! - A request is answered 2xx only when every obligation of its event is met (CONTRACT C8).
//! - On the direct path nothing crosses a thread: a connection, its lane and its senders belong to one worker.
//! - Every read, connection, buffer and time has a bound.

#![forbid(unsafe_code)]

mod config;
mod egress;
mod ingress;
pub mod mapping;
mod problem;

use schemars::{Schema, SchemaGenerator};
use weft_api::config::{Finding, Node};
use weft_api::connector::{Connector, EgressBuilder, EgressSettings, IngressBuilder, IngressSettings};

use config::{EgressSection, IngressSection};

/// The connector, as it stands in the router's list.
pub struct Http;

impl Connector for Http {
    fn kind(&self) -> &'static str {
        "http"
    }

    fn ingress(
        &self,
        section: &Node,
        settings: &IngressSettings,
    ) -> Option<Result<Box<dyn IngressBuilder>, Vec<Finding>>> {
        let plain = ingress::plain::Plain::read(settings, section);
        Some(match (IngressSection::read(section), plain) {
            (Ok(read), Ok(plain)) => Ok(Box::new(ingress::Builder::new(read, settings.clone(), plain))),
            (read, plain) => Err(read.err().into_iter().chain(plain.err()).flatten().collect()),
        })
    }

    fn egress(
        &self,
        section: &Node,
        settings: &EgressSettings,
    ) -> Option<Result<Box<dyn EgressBuilder>, Vec<Finding>>> {
        let build = || {
            let read = EgressSection::read(section)?;
            let (target, headers) = config::target_and_headers(&read, section)?;
            Ok(Box::new(egress::Builder::new(&read, settings, target, headers)) as Box<dyn EgressBuilder>)
        };
        Some(build())
    }

    fn ingress_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<IngressSection>())
    }

    fn egress_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<EgressSection>())
    }

    fn connection_keys(&self) -> &'static [&'static str] {
        &["url"]
    }
}
