//! Records in: a consumer on a thread of its own, one lane a partition.
//!
//! Owns: the thread, and its end. The consumer's callbacks block (a rebalance looks offsets up, a close waits for the
//! group's coordinator), so they run where nothing else has to run; the loop itself is a future like any other, driven
//! by that thread, and its timers are the router's.
//! Invariants: whatever ends the thread, the lanes go with it, so that nothing stays acknowledged that was not.
//! Does not know: records (`consumer`), offsets (`offsets`), the group (`context`).
//!
//! Turned down: polling in the router's own worker threads (a revoke would block one), and a channel from a polling
//! thread into a task (one more hand-over for every batch and every settlement).

mod answer;
mod assignment;
mod commit;
mod consumer;
mod context;
mod flow;
mod lag;
mod offsets;
mod partition;
mod start;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::oneshot;
use weft_api::config::Finding;
use weft_api::config::Node;
use weft_api::connector::{IngressBuilder, IngressSettings, RawMessage};
use weft_api::event::Event;
use weft_api::ingress::{Incoming, Ingress, IngressContext, IngressError, Window};

use crate::client;
use crate::config::{IngressSection, Isolation};
use crate::mapping::ingress::{Mapped, Mapper, Mapping};

/// How long a probe waits for the brokers.
const PROBE: Duration = Duration::from_secs(5);
/// How long `run` waits for the consumer to leave its group after the stop; the group finds out by itself later.
const CLOSE: Duration = Duration::from_secs(5);
/// The window of a partition where the file is silent: what is on its way and what waits for its commit.
const WINDOW: Window = Window {
    events: 8192,
    bytes: 8 << 20,
};
/// The least that librdkafka prefetches, and the spill holds, however small the share of memory.
const BUFFER_MIN: u64 = 1 << 20;
/// Most bytes of one fetch where the file is silent.
const FETCH_MAX: u64 = 1 << 20;

/// A validated section with everything that a consumer needs.
pub(crate) struct Plan {
    pub(crate) section: IngressSection,
    pub(crate) name: Arc<str>,
    pub(crate) window: Window,
    pub(crate) mapping: Arc<Mapping>,
    /// Bytes that records polled past the credit may hold, over all partitions.
    pub(crate) spill_bytes: u64,
    /// It reads a log that routers share.
    pub(crate) log: bool,
    client: ClientConfig,
}

impl Plan {
    /// Reads the section and the ingress' other keys.
    ///
    /// # Errors
    /// Every mistake.
    pub(crate) fn new(node: &Node, settings: &IngressSettings) -> Result<Plan, Vec<Finding>> {
        let section: IngressSection = weft_api::config::decode(node)?;
        let mut findings = section.check(node);
        let mapping = Mapping::new(section.tombstones, node, settings).map_err(|more| findings.extend(more));
        match mapping {
            Ok(mapping) if findings.is_empty() => Ok(Plan {
                client: consumer_settings(&section, settings),
                name: settings.name.clone(),
                window: settings.window.unwrap_or(WINDOW),
                mapping: Arc::new(mapping),
                spill_bytes: half(settings.client_memory),
                log: settings.log,
                section,
            }),
            _ => Err(findings),
        }
    }
}

fn half(bytes: u64) -> u64 {
    (bytes / 2).max(BUFFER_MIN)
}

/// The client's settings; half of the share of memory is librdkafka's prefetch, the other half our spill.
fn consumer_settings(section: &IngressSection, settings: &IngressSettings) -> ClientConfig {
    let mut config = client::settings(&section.remote(), &format!("{}-{}", settings.node, settings.name));
    let prefetch = half(settings.client_memory);
    let fetch = section
        .fetch_max
        .map_or(FETCH_MAX, |max| max.0)
        .clamp(1024, prefetch.min(1 << 30));
    let mut set = |key: &str, value: String| {
        config.set(key, value);
    };
    set("group.id", section.group.clone());
    if let Some(id) = &section.instance_id {
        set("group.instance.id", id.clone());
    }
    set("partition.assignment.strategy", "cooperative-sticky".into());
    set(
        "session.timeout.ms",
        section.session_timeout.0.as_millis().to_string(),
    );
    set(
        "max.poll.interval.ms",
        section.session_timeout.0.as_millis().max(300_000).to_string(),
    );
    // Stored by us. librdkafka commits by itself at a revoke and at the close only: a second committer by the clock could
    // overtake ours, or be overtaken by it.
    set("enable.auto.offset.store", "false".into());
    set("enable.auto.commit", "true".into());
    set("auto.commit.interval.ms", "0".into());
    // `start` is ours; this is what happens to a committed offset that retention has overtaken.
    set("auto.offset.reset", "earliest".into());
    set("enable.partition.eof", "false".into());
    set("allow.auto.create.topics", "false".into());
    set(
        "isolation.level",
        match section.isolation {
            Isolation::ReadCommitted => "read_committed".into(),
            Isolation::ReadUncommitted => "read_uncommitted".into(),
        },
    );
    set("fetch.wait.max.ms", section.fetch_wait.0.as_millis().to_string());
    set("max.partition.fetch.bytes", fetch.to_string());
    set(
        "queued.max.messages.kbytes",
        (prefetch / 1024).min(2_097_151).to_string(),
    );
    // Bytes bound the prefetch, not records; and a full prefetch is looked at again soon: librdkafka's own second of
    // waiting would leave a fast lane idle for most of it.
    set("queued.min.messages", "100000".into());
    set("fetch.queue.backoff.ms", "10".into());
    set("statistics.interval.ms", "5000".into());
    config
}

/// Builds consumers of one section.
pub(crate) struct Builder {
    pub(crate) plan: Arc<Plan>,
}

impl IngressBuilder for Builder {
    fn build(&self) -> Result<Box<dyn Ingress>, String> {
        // Fails on a setting that librdkafka refuses; opens nothing.
        self.plan
            .client
            .create_native_config()
            .map_err(|error| format!("kafka settings: {error}"))?;
        Ok(Box::new(KafkaIngress {
            plan: self.plan.clone(),
        }))
    }

    fn address(&self) -> String {
        format!(
            "{} {}",
            self.plan.section.brokers.join(","),
            self.plan.section.topics.join(",")
        )
    }

    fn explain(&self, raw: &RawMessage) -> Result<Event, String> {
        Mapper::new(self.plan.mapping.clone()).explain(self.topic_of(raw), raw)
    }

    fn map(&self, raw: &RawMessage) -> Result<Vec<Incoming>, String> {
        let mapped = Mapper::new(self.plan.mapping.clone()).map_raw(self.topic_of(raw), raw);
        Ok(match mapped {
            Mapped::Event(event) => vec![event.into()],
            Mapped::Malformed(event) => vec![Incoming {
                event,
                malformed: true,
            }],
            Mapped::Dropped => Vec::new(),
        })
    }

    fn reads(&self, topic: &str) -> bool {
        self.plan.section.reads(topic)
    }

    fn in_order(&self) -> bool {
        true
    }
}

impl Builder {
    /// The topic that the message names, else the first of the section.
    fn topic_of<'a>(&'a self, raw: &'a RawMessage) -> &'a str {
        match raw.address.as_str() {
            "" => self.plan.section.topics.first().map_or("", String::as_str),
            named => named,
        }
    }
}

struct KafkaIngress {
    plan: Arc<Plan>,
}

#[async_trait]
impl Ingress for KafkaIngress {
    async fn run(self: Box<Self>, cx: IngressContext) -> Result<(), IngressError> {
        let runtime = tokio::runtime::Handle::current();
        let stop = cx.stop.clone();
        let (done, ended) = oneshot::channel();
        // Dropping this future drops `alive`, and the loop ends as if it were stopped.
        let (alive, gone) = oneshot::channel::<()>();
        let plan = self.plan;
        std::thread::Builder::new()
            .name(format!("kafka-{}", plan.name))
            .spawn(move || {
                let result = runtime.block_on(consumer::run(plan, cx, gone));
                // Nobody listens after a drop.
                let _ = done.send(result);
            })
            .map_err(|error| IngressError(format!("starting the thread of the Kafka consumer: {error}")))?;
        let closing = async {
            stop.stopped().await;
            tokio::time::sleep(CLOSE).await;
        };
        tokio::select! {
            biased;
            result = ended => result.unwrap_or_else(|_| Err(IngressError("the Kafka consumer's thread panicked".into()))),
            () = closing => {
                tracing::warn!("leaving the Kafka group takes too long; the brokers will notice by themselves");
                drop(alive);
                Ok(())
            }
        }
    }

    async fn probe(&self) -> Result<(), IngressError> {
        let plan = self.plan.clone();
        tokio::task::spawn_blocking(move || probe(&plan))
            .await
            .unwrap_or_else(|error| Err(format!("probing Kafka: {error}")))
            .map_err(IngressError)
    }
}

/// Asks the brokers for each topic that is named (blocking).
fn probe(plan: &Plan) -> Result<(), String> {
    let mut config = plan.client.clone();
    // Without a group nothing is joined, and so nothing is rebalanced by a probe.
    config.remove("group.id");
    config.remove("group.instance.id");
    let consumer: BaseConsumer = config
        .create()
        .map_err(|error| format!("kafka settings: {error}"))?;
    let named: Vec<&str> = plan
        .section
        .topics
        .iter()
        .map(String::as_str)
        .filter(|topic| !topic.starts_with('^'))
        .collect();
    let asked = if named.is_empty() {
        vec![None]
    } else {
        named.into_iter().map(Some).collect()
    };
    for topic in asked {
        let metadata = consumer.fetch_metadata(topic, PROBE).map_err(|error| {
            format!(
                "kafka {} does not answer: {error}",
                plan.section.brokers.join(",")
            )
        })?;
        let wrong = metadata
            .topics()
            .iter()
            .find_map(|t| t.error().map(|error| (t.name(), error)));
        if let (Some(_), Some((name, error))) = (topic, wrong) {
            let code = rdkafka::types::RDKafkaErrorCode::from(error);
            return Err(format!(
                "kafka topic `{name}` cannot be read: {code}; create it, or correct `topics`"
            ));
        }
    }
    Ok(())
}

pub(crate) use context::Context;

/// Makes the consumer with its callbacks; connects in the background.
fn connect(plan: &Plan, context: Context) -> Result<BaseConsumer<Context>, IngressError> {
    plan.client
        .create_with_context(context)
        .map_err(|error| IngressError(format!("making the Kafka consumer: {error}")))
}
