//! How a connector registers: what it is called, how its sections are read, what it builds.
//!
//! Parsing and building are pure: a builder spawns nothing and opens nothing. First start, restart after a failure
//! and reload all go through the same builder.

use std::sync::Arc;

use crate::browse::{Browsable, BrowseError};
use crate::config::{Finding, Node};
use crate::egress::Egress;
use crate::ingress::{Incoming, Ingress, Window};
use crate::mapping::Accept;

/// A kind of connector (`kafka`); one value of it stands in the router's visible list.
pub trait Connector: Send + Sync {
    /// The key that the file uses (`kafka:`).
    fn kind(&self) -> &'static str;

    /// Reads `ingress.NAME.KIND`. `None` where this connector has no ingress.
    ///
    /// # Errors
    /// Every mistake in the section.
    fn ingress(
        &self,
        section: &Node,
        settings: &IngressSettings,
    ) -> Option<Result<Box<dyn IngressBuilder>, Vec<Finding>>>;

    /// Reads `destinations.NAME.KIND`. `None` where this connector has no egress.
    ///
    /// # Errors
    /// Every mistake in the section.
    fn egress(
        &self,
        section: &Node,
        settings: &EgressSettings,
    ) -> Option<Result<Box<dyn EgressBuilder>, Vec<Finding>>>;

    /// The JSON Schema of the ingress section, from the same types that read it.
    fn ingress_schema(&self, generator: &mut schemars::SchemaGenerator) -> Option<schemars::Schema>;

    /// The JSON Schema of the egress section.
    fn egress_schema(&self, generator: &mut schemars::SchemaGenerator) -> Option<schemars::Schema>;

    /// The keys of the section that may stand in a shared `connections.NAME.KIND` instead (`brokers`).
    fn connection_keys(&self) -> &'static [&'static str];
}

/// What the ingress' other keys say that its connector needs to know.
#[derive(Clone, Debug)]
pub struct IngressSettings {
    /// The ingress' name.
    pub name: Arc<str>,
    /// `node.name`: for client ids only; never part of an event's identity.
    pub node: Arc<str>,
    /// `node.cluster`.
    pub cluster: Arc<str>,
    /// `accept:`; `None` where the file is silent: the connector's own default.
    pub accept: Option<Accept>,
    /// `event:`, the mapping of plain messages.
    pub event: Option<Node>,
    /// `window:`; `None` where the file is silent: the connector's own default.
    pub window: Option<Window>,
    /// `limits.event`, in bytes.
    pub event_max: u64,
    /// How many bytes of client buffers this connector may use for this ingress; its share of `limits.memory`.
    pub client_memory: u64,
    /// It reads a log that routers share: what is not settled in it counts as lag, and what is gone from it was lost.
    pub log: bool,
}

impl IngressSettings {
    /// The default `source` of plain messages: `weft://CLUSTER/INGRESS`.
    #[must_use]
    pub fn default_source(&self) -> String {
        format!("weft://{}/{}", self.cluster, self.name)
    }
}

/// What the destination's other keys say that its connector needs to know.
#[derive(Clone, Debug)]
pub struct EgressSettings {
    /// The destination's name.
    pub name: Arc<str>,
    /// `node.name`: for client ids only.
    pub node: Arc<str>,
    /// `node.cluster`.
    pub cluster: Arc<str>,
    /// `limits.event`, in bytes.
    pub event_max: u64,
    /// How many bytes of client buffers this connector may use for this destination.
    pub client_memory: u64,
    /// Whether the file marks the destination `lossy: true`.
    pub lossy: bool,
    /// It writes a log that routers share: nothing may leave that but by being read.
    pub log: bool,
}

impl EgressSettings {
    /// Settings under which what the destination was sent is read back ([`EgressBuilder::browse`]): every message as it is, up
    /// to `event_max` bytes.
    #[must_use]
    pub fn reading_back(&self, event_max: u64) -> IngressSettings {
        IngressSettings {
            name: Arc::clone(&self.name),
            node: Arc::clone(&self.node),
            cluster: Arc::clone(&self.cluster),
            accept: None,
            event: None,
            window: None,
            event_max,
            client_memory: self.client_memory,
            log: false,
        }
    }
}

/// A validated ingress section.
pub trait IngressBuilder: Send + Sync {
    /// Makes the ingress; spawns and opens nothing.
    ///
    /// # Errors
    /// One line for an operator: what the client library would not accept.
    fn build(&self) -> Result<Box<dyn Ingress>, String>;

    /// Where it takes messages from, for logs and status (`http://127.0.0.1:8080/events`); no credentials.
    fn address(&self) -> String;

    /// Whether it listens, so that the router is ready only once it does.
    fn listens(&self) -> bool {
        false
    }

    /// Makes the event that this raw message would become, for `weft explain --ingress NAME --data`.
    ///
    /// # Errors
    /// Why it would be malformed.
    fn explain(&self, raw: &RawMessage) -> Result<crate::event::Event, String>;

    /// What the router would be handed for this raw message, for `weft test`: what cannot become an event is marked
    /// malformed, as in life; a batch gives several; what the connector leaves out gives none. Pure, and by the very code
    /// that maps what comes over the wire.
    ///
    /// # Errors
    /// Why the message never gets as far as the router: no such message exists in the protocol, or the connector itself
    /// turns it away.
    fn map(&self, raw: &RawMessage) -> Result<Vec<Incoming>, String> {
        self.explain(raw).map(|event| vec![event.into()])
    }

    /// Whether it takes messages out of this topic of its brokers, by name or by an expression: nobody may who is not the
    /// log's own reader, where a log that routers share is kept in it.
    fn reads(&self, _topic: &str) -> bool {
        false
    }

    /// Whether its lanes settle in order, so that an event that nobody takes holds up what came after it.
    fn in_order(&self) -> bool {
        false
    }
}

/// A raw message as a person gives it. Each protocol looks at its own parts and passes over the others.
#[derive(Clone, Debug, Default)]
pub struct RawMessage {
    /// The body.
    pub body: bytes::Bytes,
    /// There is no body, not even an empty one (Kafka: a tombstone).
    pub tombstone: bool,
    /// Headers, user properties or application properties.
    pub headers: Vec<(String, String)>,
    /// The topic, path or address; the ingress' own where it is empty.
    pub address: String,
    /// HTTP: the method; POST where it is empty.
    pub method: String,
    /// Kafka: the record's key.
    pub key: Option<bytes::Bytes>,
    /// Kafka: the partition.
    pub partition: i32,
    /// Kafka: the offset.
    pub offset: i64,
    /// Kafka: the record's timestamp, in milliseconds since 1970.
    pub timestamp: Option<i64>,
    /// MQTT: the RETAIN flag.
    pub retain: bool,
    /// MQTT: Message Expiry Interval, in seconds.
    pub expiry: Option<u32>,
    /// MQTT: Response Topic.
    pub response_topic: Option<String>,
    /// MQTT: Correlation Data.
    pub correlation: Option<bytes::Bytes>,
    /// AMQP: the message's own properties by their names in the specification (`message-id`). `None`: headers of those
    /// names are taken for them.
    pub properties: Option<Vec<(String, String)>>,
}

/// A validated destination section.
pub trait EgressBuilder: Send + Sync {
    /// Makes the egress; spawns and opens nothing.
    ///
    /// # Errors
    /// One line for an operator: what the client library would not accept.
    fn build(&self) -> Result<Box<dyn Egress>, String>;

    /// Where it delivers to, for logs and status; no credentials.
    fn address(&self) -> String;

    /// A way to look through what it delivered, where that waits for somebody.
    ///
    /// # Errors
    /// Nothing waits there, or it is not known where: why, and what to do.
    fn browse(&self) -> Browsable {
        Err(BrowseError(
            "what is delivered there does not wait to be looked at; a kafka topic or an amqp queue can be"
                .to_owned(),
        ))
    }
}
