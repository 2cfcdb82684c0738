//! Three connectors that read sections and build nothing: an HTTP-like one, a Kafka-like one with connections, and a
//! destination without an ingress. The real ones' sections have tests of their own.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use weft_api::config::{Finding, HumanDuration, Node, decode};
use weft_api::connector::{
    Connector, EgressBuilder, EgressSettings, IngressBuilder, IngressSettings, RawMessage,
};
use weft_api::egress::Egress;
use weft_api::event::Event;
use weft_api::ingress::Ingress;

pub(crate) const ALL: &[&dyn Connector] = &[&Http, &Kafka, &Log];

pub(crate) struct Http;
pub(crate) struct Kafka;
pub(crate) struct Log;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HttpIn {
    /// Where it listens.
    listen: std::net::SocketAddr,
    /// The path.
    #[serde(default)]
    path: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HttpOut {
    /// Where to.
    url: String,
    /// How long an answer may take.
    #[serde(default)]
    timeout: Option<HumanDuration>,
    /// Added to each request.
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Auth {
    /// Who.
    user: String,
    /// The secret.
    password: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KafkaIn {
    /// Some of the brokers.
    brokers: Vec<String>,
    /// What is read.
    topics: Vec<String>,
    /// The consumer group.
    group: String,
    /// Credentials.
    #[serde(default)]
    auth: Option<Auth>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KafkaOut {
    /// Some of the brokers.
    brokers: Vec<String>,
    /// Where to.
    topic: String,
    /// Where to at most.
    #[serde(default)]
    topics: Option<Vec<String>>,
    /// Credentials.
    #[serde(default)]
    auth: Option<Auth>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct LogOut {
    /// `stdout` or `stderr`.
    to: String,
}

/// Remembers the address.
struct Built(String);

/// Remembers what it reads; `^` takes what begins so.
struct Reads(Built, Vec<String>);

impl IngressBuilder for Built {
    fn build(&self) -> Result<Box<dyn Ingress>, String> {
        Err("builds nothing".into())
    }

    fn address(&self) -> String {
        self.0.clone()
    }

    fn explain(&self, _: &RawMessage) -> Result<Event, String> {
        Err("explains nothing".into())
    }
}

impl IngressBuilder for Reads {
    fn build(&self) -> Result<Box<dyn Ingress>, String> {
        IngressBuilder::build(&self.0)
    }

    fn address(&self) -> String {
        IngressBuilder::address(&self.0)
    }

    fn explain(&self, raw: &RawMessage) -> Result<Event, String> {
        self.0.explain(raw)
    }

    fn reads(&self, topic: &str) -> bool {
        self.1.iter().any(|known| match known.strip_prefix('^') {
            Some(prefix) => topic.starts_with(prefix),
            None => known == topic,
        })
    }
}

impl EgressBuilder for Built {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        Err("builds nothing".into())
    }

    fn address(&self) -> String {
        self.0.clone()
    }
}

type In = Option<Result<Box<dyn IngressBuilder>, Vec<Finding>>>;
type Out = Option<Result<Box<dyn EgressBuilder>, Vec<Finding>>>;

impl Connector for Http {
    fn kind(&self) -> &'static str {
        "http"
    }

    fn ingress(&self, section: &Node, _: &IngressSettings) -> In {
        Some(
            decode::<HttpIn>(section)
                .map(|s| Box::new(Built(format!("{}{}", s.listen, s.path.unwrap_or_default()))) as _),
        )
    }

    fn egress(&self, section: &Node, _: &EgressSettings) -> Out {
        let read = decode::<HttpOut>(section);
        Some(read.map(|s| Box::new(Built(format!("{} {:?} {}", s.url, s.timeout, s.headers.len()))) as _))
    }

    fn ingress_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<HttpIn>())
    }

    fn egress_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<HttpOut>())
    }

    fn connection_keys(&self) -> &'static [&'static str] {
        &[]
    }
}

fn kafka(brokers: &[String], what: &str, auth: Option<&Auth>) -> Built {
    let user = auth.map(|auth| format!("{} ({})", auth.user, auth.password.len()));
    Built(format!(
        "{} {what} {}",
        brokers.join(","),
        user.unwrap_or_default()
    ))
}

impl Connector for Kafka {
    fn kind(&self) -> &'static str {
        "kafka"
    }

    fn ingress(&self, section: &Node, _: &IngressSettings) -> In {
        let read = decode::<KafkaIn>(section);
        Some(read.map(|s| {
            let built = kafka(&s.brokers, &(s.topics.join(",") + &s.group), s.auth.as_ref());
            Box::new(Reads(built, s.topics)) as _
        }))
    }

    fn egress(&self, section: &Node, _: &EgressSettings) -> Out {
        let read = decode::<KafkaOut>(section);
        Some(read.map(|s| {
            let topics = s.topics.unwrap_or_default().join(",");
            Box::new(kafka(&s.brokers, &(s.topic + &topics), s.auth.as_ref())) as _
        }))
    }

    fn ingress_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<KafkaIn>())
    }

    fn egress_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<KafkaOut>())
    }

    fn connection_keys(&self) -> &'static [&'static str] {
        &["brokers"]
    }
}

impl Connector for Log {
    fn kind(&self) -> &'static str {
        "log"
    }

    fn ingress(&self, _: &Node, _: &IngressSettings) -> In {
        None
    }

    fn egress(&self, section: &Node, _: &EgressSettings) -> Out {
        Some(decode::<LogOut>(section).map(|s| Box::new(Built(s.to)) as _))
    }

    fn ingress_schema(&self, _: &mut SchemaGenerator) -> Option<Schema> {
        None
    }

    fn egress_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<LogOut>())
    }

    fn connection_keys(&self) -> &'static [&'static str] {
        &[]
    }
}
