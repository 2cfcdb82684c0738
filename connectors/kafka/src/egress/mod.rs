//! Records out: batches into an idempotent producer, delivery reports back into batches.
//!
//! Owns: one section's plan, and the egress that the router runs.
//! Invariant: what `profile` promises about order rests on `docs/adr/0007-kafka-producer-order.md`.
//! Does not know: the loop (`sender`), retry, breaker and dead letter (the router's).

mod errors;
mod kept;
mod producer;
mod sender;
pub(crate) mod topics;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::producer::Producer;
use weft_api::browse::Browsable;
use weft_api::config::{Finding, Node};
use weft_api::connector::{EgressBuilder, EgressSettings};
use weft_api::egress::{Egress, EgressContext, EgressError, EgressProfile};
use weft_api::outcome::{Reason, SendError};
use weft_api::status::Silent;

use self::kept::Loss;
use self::producer::{Inbox, KafkaProducer, Reports, producer_settings};
use self::topics::Found;
use crate::browse::browsable;
use crate::client::voice::Voice;
use crate::config::{Create, EgressSection, NewTopicSpec};
use crate::mapping::egress::Layout;

/// Most events of one batch.
const BATCH_EVENTS: u32 = 1000;
/// Most bytes of one batch.
const BATCH_BYTES: u64 = 1 << 20;
/// Most events that are unconfirmed.
const IN_FLIGHT: u32 = 10_000;

/// A validated section with everything that a producer needs.
pub(crate) struct Plan {
    layout: Layout,
    name: Arc<str>,
    brokers: String,
    topic: String,
    partition: Option<i32>,
    create: Create,
    timeout: Duration,
    /// The topic is a log that routers share.
    log: bool,
    client: ClientConfig,
    browse: Browsable,
}

impl Plan {
    /// Reads the section and the destination's other keys.
    ///
    /// # Errors
    /// Every mistake.
    pub(crate) fn new(node: &Node, settings: &EgressSettings) -> Result<Plan, Vec<Finding>> {
        let section: EgressSection = weft_api::config::decode(node)?;
        let layout = Layout::new(&section, node)?;
        let largest = producer::largest(settings);
        Ok(Plan {
            browse: browsable(&section, layout.fixed_topic(), node, settings, largest),
            layout,
            name: settings.name.clone(),
            brokers: section.brokers.join(","),
            partition: section.partition,
            create: section.create,
            timeout: section.timeout.0,
            log: settings.log,
            client: producer_settings(&section, settings),
            topic: section.topic,
        })
    }

    /// Makes a producer that sends batches of at most `batch_bytes`; connects in the background.
    fn connect(
        &self,
        batch_bytes: u64,
        voice: Arc<Voice>,
        inbox: Arc<Inbox>,
    ) -> Result<KafkaProducer, String> {
        let mut config = self.client.clone();
        if config.get("batch.size").is_none() || batch_bytes < producer::BATCH_BYTES {
            config.set("batch.size", batch_bytes.to_string());
        }
        KafkaProducer::from_config_and_context(&config, Reports { voice, inbox })
            .map_err(|error| format!("making the Kafka producer: {error}"))
    }

    /// What the brokers say about a topic; makes it if the file says so (blocking; not for an async thread).
    fn look_up(&self, runtime: &tokio::runtime::Handle, producer: &KafkaProducer, topic: &str) -> Found {
        match (topics::look_up(producer, topic, self.timeout), self.create) {
            (Found::Missing, Create::Yes(shape)) => {
                let keeps: &[_] = if self.log { &self.keeps(shape) } else { &[] };
                topics::make(runtime, &self.client, producer, topic, shape, keeps).unwrap_or_else(|why| {
                    producer.client().context().voice.say(&why);
                    Found::Missing
                })
            }
            (found, _) => found,
        }
    }

    /// With what the topic of a log is made, so that it loses nothing and takes whatever the producer lets through.
    fn keeps(&self, shape: NewTopicSpec) -> Vec<(&'static str, String)> {
        let largest = self
            .client
            .get("message.max.bytes")
            .and_then(|bytes| bytes.parse().ok());
        let largest = largest.unwrap_or(0).max(producer::BATCH_BYTES) + producer::RECORD_OVERHEAD;
        let mut keeps = vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", "-1".to_owned()),
            ("max.message.bytes", largest.min(i32::MAX as u64).to_string()),
        ];
        if shape.replication >= 3 {
            keeps.push(("min.insync.replicas", "2".to_owned()));
        }
        keeps
    }
}

/// Builds producers of one section.
pub(crate) struct Builder {
    pub(crate) plan: Arc<Plan>,
}

impl EgressBuilder for Builder {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        // Fails on a setting that librdkafka refuses; opens nothing.
        self.plan
            .client
            .create_native_config()
            .map_err(|error| format!("kafka settings: {error}"))?;
        Ok(Box::new(KafkaEgress {
            plan: self.plan.clone(),
        }))
    }

    fn address(&self) -> String {
        format!("{} {}", self.plan.brokers, self.plan.topic)
    }

    fn browse(&self) -> Browsable {
        self.plan.browse.clone()
    }
}

struct KafkaEgress {
    plan: Arc<Plan>,
}

#[async_trait]
impl Egress for KafkaEgress {
    fn profile(&self) -> EgressProfile {
        EgressProfile {
            batch_events: BATCH_EVENTS,
            batch_bytes: BATCH_BYTES,
            in_flight: IN_FLIGHT,
            keeps_order_or_fails: true,
        }
    }

    async fn run(self: Box<Self>, cx: EgressContext) -> Result<(), EgressError> {
        sender::run(self.plan, cx).await
    }

    async fn probe(&self) -> Result<(), SendError> {
        let plan = self.plan.clone();
        let runtime = tokio::runtime::Handle::current();
        let probed = tokio::task::spawn_blocking(move || probe(&plan, &runtime)).await;
        probed.unwrap_or_else(|error| {
            Err(SendError::destination(
                Reason::Unavailable,
                format!("probing Kafka: {error}"),
            ))
        })
    }
}

/// Asks the brokers for the topic, or, where it is a template, whether they answer at all (blocking).
fn probe(plan: &Plan, runtime: &tokio::runtime::Handle) -> Result<(), SendError> {
    let voice = Arc::new(Voice::new(plan.brokers.clone(), Arc::new(Silent)));
    let producer = plan
        .connect(producer::BATCH_BYTES, voice.clone(), Arc::default())
        .map_err(|error| SendError::destination(Reason::Misconfigured, error))?;
    let Some(topic) = plan.layout.fixed_topic() else {
        let answer = producer.client().fetch_metadata(None, topics::LOOKUP);
        return answer.map(|_| ()).map_err(|error| {
            let why = voice.trouble().unwrap_or_else(|| error.to_string());
            SendError::destination(Reason::Unavailable, format!("kafka does not answer: {why}"))
        });
    };
    match plan.look_up(runtime, &producer, topic).error(topic, false) {
        Some(error) => return Err(error),
        None if plan.log => {}
        None => return Ok(()),
    }
    match kept::loses(runtime, &plan.client, topic) {
        Some(Loss::Compacted(what)) => Err(SendError::destination(Reason::Misconfigured, what)),
        // Where it is longer than the longest outage, it may be meant.
        Some(Loss::Retained(_)) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;
    use weft_api::connector::EgressSettings;

    use super::{NewTopicSpec, Plan};
    use crate::testing::node;

    /// C24: what the writer lets through fits, nothing goes by itself, and one replica alone acknowledges nothing.
    #[test]
    fn the_topic_of_a_log_is_made_so_that_it_keeps_what_is_in_it() {
        let settings = EgressSettings {
            name: "a.log".into(),
            node: "n".into(),
            cluster: "c".into(),
            event_max: 4 << 20,
            client_memory: 64 << 20,
            lossy: false,
            log: true,
        };
        let plan = Plan::new(&node(&json!({ "brokers": ["a:1"], "topic": "t" })), &settings).unwrap();
        let keeps = |replication| {
            let shape = NewTopicSpec {
                partitions: 6,
                replication,
            };
            plan.keeps(shape)
        };
        let all = keeps(3);
        let said = |key: &str| all.iter().find(|(known, _)| *known == key).unwrap().1.clone();
        assert_eq!(
            (said("cleanup.policy"), said("retention.ms")),
            ("delete".into(), "-1".into())
        );
        assert_eq!(said("min.insync.replicas"), "2");
        let largest: u64 = plan.client.get("message.max.bytes").unwrap().parse().unwrap();
        assert!(said("max.message.bytes").parse::<u64>().unwrap() > largest);
        assert!(keeps(2).iter().all(|(key, _)| *key != "min.insync.replicas"));
    }
}
