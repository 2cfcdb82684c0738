//! The suite of every connector, against a real broker: the shared one, or, for the cases that hurt it, one of this
//! binary's own behind a relay, which those cases use one after the other.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::OwnedMutexGuard;
use tokio::task::block_in_place;
use weft_api::connector::{EgressSettings, IngressSettings};
use weft_api::egress::Egress;
use weft_api::event::{AttrKind, Event, EventBuilder};
use weft_api::ingress::{Ingress, Window};
use weft_conformance::events::with_data;
use weft_conformance::{EgressSubject, IngressSubject, Remote, Shape, TooLarge, hurts};
use weft_rig::{Broker, Kafka, Record, Relay};

/// `limits.event` here.
const EVENT_MAX: usize = 1 << 20;
/// The largest record of a topic of the suite's: an event of the largest size, and the headers.
const RECORD_MAX: (&str, &str) = ("max.message.bytes", "2097152");
/// The `max.message.bytes` of a topic that says nothing of it.
const BROKER_MAX: usize = 1_048_588;
/// What a slow network adds to each chunk, in each direction.
const SLOW: Duration = Duration::from_millis(50);

/// The broker that is hurt.
struct Own {
    broker: Broker,
    relay: Relay,
}

/// Where a subject's topic is.
enum Cluster {
    Shared,
    Own(Mutex<OwnedMutexGuard<Own>>),
}

impl Cluster {
    async fn of(case: &str) -> Cluster {
        static OWN: OnceLock<Arc<tokio::sync::Mutex<Own>>> = OnceLock::new();
        if !hurts(case) {
            return Cluster::Shared;
        }
        let own = block_in_place(|| {
            OWN.get_or_init(|| {
                let (broker, relay) = Broker::reserve_with_relay();
                Arc::new(tokio::sync::Mutex::new(Own { broker, relay }))
            })
        });
        let mut own = Arc::clone(own).lock_owned().await;
        // Whatever the case before this one has left behind.
        block_in_place(|| {
            if own.broker.pid().is_none() {
                own.broker.start();
            }
            own.relay.heal();
        });
        Cluster::Own(Mutex::new(own))
    }

    /// For the test's own clients.
    fn kafka(&self) -> Kafka {
        match self {
            Cluster::Shared => Kafka::shared().clone(),
            Cluster::Own(own) => own.lock().unwrap().broker.clone(),
        }
    }

    /// For the connector.
    fn brokers(&self) -> String {
        match self {
            Cluster::Shared => Kafka::shared().brokers().to_owned(),
            Cluster::Own(own) => own.lock().unwrap().relay.address(),
        }
    }

    fn hurt(&self, how: impl FnOnce(&mut Own)) -> bool {
        match self {
            Cluster::Shared => false,
            Cluster::Own(own) => {
                block_in_place(|| how(&mut own.lock().unwrap()));
                true
            }
        }
    }

    fn cut(&self) -> bool {
        self.hurt(|own| {
            own.relay.cut();
            own.relay.heal();
        })
    }

    fn kill(&self) -> bool {
        self.hurt(|own| own.broker.kill9())
    }

    fn restart(&self) {
        self.hurt(|own| own.broker.start());
    }
}

struct In {
    cluster: Cluster,
    topic: String,
}

#[async_trait]
impl IngressSubject for In {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn ingress(&self, window: Option<Window>) -> Box<dyn Ingress> {
        let section = json!({
            "brokers": [self.cluster.brokers()],
            "topics": [self.topic],
            "group": self.topic,
            "commit_every": "50ms",
            "librdkafka": soon_back(),
        });
        let settings = IngressSettings {
            window,
            event_max: EVENT_MAX as u64,
            ..support::ingress_settings(1)
        };
        support::ingress(&section, &settings)
    }

    fn shape(&self) -> Shape {
        Shape::InOrder
    }

    async fn inject(&self, event: &Event) {
        self.inject_all(std::slice::from_ref(event)).await;
    }

    async fn inject_all(&self, events: &[Event]) {
        let records: Vec<Record> = events.iter().map(|event| record(&self.topic, event)).collect();
        block_in_place(|| self.cluster.kafka().produce(&records));
    }

    async fn inject_malformed(&self, body: &[u8]) -> bool {
        let record = Record::to(&self.topic)
            .header("ce_specversion", "1.0")
            .header("ce_id", "1")
            .header("ce_source", "/s")
            .header("ce_type", "t")
            .header("ce_Not-a-name", "x")
            .value(body);
        block_in_place(|| self.cluster.kafka().produce(&[record]));
        true
    }

    async fn acknowledged(&self) -> usize {
        let committed = block_in_place(|| self.cluster.kafka().committed(&self.topic, &self.topic));
        usize::try_from(committed.get(&0).copied().unwrap_or(0)).unwrap()
    }

    async fn cut(&self) -> bool {
        self.cluster.cut()
    }

    async fn hide(&self) -> bool {
        self.cluster.hurt(|own| own.relay.cut())
    }

    async fn show(&self) {
        self.cluster.hurt(|own| own.relay.heal());
    }

    async fn kill(&self) -> bool {
        self.cluster.kill()
    }

    async fn restart(&self) {
        self.cluster.restart();
    }

    fn keeps_types(&self) -> bool {
        false
    }

    fn data_max(&self) -> usize {
        EVENT_MAX - 4096
    }

    fn event_max(&self) -> usize {
        EVENT_MAX
    }

    fn too_large(&self) -> TooLarge {
        TooLarge::Malformed
    }
}

struct Out {
    cluster: Cluster,
    topic: String,
    event_max: usize,
    exists: Mutex<bool>,
}

#[async_trait]
impl EgressSubject for Out {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn waives(&self, case: &str) -> Option<&'static str> {
        match case {
            "a_failure_is_an_attempt" => Some("no code of Kafka's blames one record for now only"),
            "an_overload_is_the_destinations_fault" => {
                Some("brokers throttle by answering late; they do not refuse for now")
            }
            "refused_credentials_are_the_destinations_fault" => Some(
                "the broker of the tests has no authoriser; the codes are unit tests of `egress/errors.rs`",
            ),
            _ => None,
        }
    }

    fn egress(&self) -> Box<dyn Egress> {
        let section = json!({
            "brokers": [self.cluster.brokers()],
            "topic": self.topic,
            "timeout": "3s",
            "librdkafka": soon_back(),
        });
        let settings = EgressSettings {
            event_max: self.event_max as u64,
            ..support::egress_settings()
        };
        support::egress_with(&section, &settings)
    }

    async fn set(&self, remote: Remote) -> bool {
        match remote {
            Remote::Accepts => {
                self.cluster.hurt(|own| own.relay.heal());
                self.configure("delete");
                true
            }
            // A record without a key is none for a topic that keeps the last of each key.
            Remote::Refuses => {
                self.configure("compact");
                true
            }
            Remote::Slow => self.cluster.hurt(|own| own.relay.delay(SLOW)),
            Remote::Silent => self.cluster.hurt(|own| own.relay.stall_answers()),
            Remote::Gone => self.cluster.hurt(|own| own.relay.cut()),
            // It is made by `Accepts`.
            Remote::Missing => !*self.exists.lock().unwrap(),
            Remote::Fails | Remote::Overloaded | Remote::Unauthorised => false,
        }
    }

    async fn received(&self) -> Vec<Event> {
        let records = block_in_place(|| self.cluster.kafka().drain(&self.topic));
        records.iter().map(event).collect()
    }

    async fn poison(&self, id: &str) -> Option<Event> {
        let data = bytes::Bytes::from(vec![7; BROKER_MAX]);
        Some(with_data(id, "application/octet-stream", data))
    }

    async fn limit(&self) -> Option<(usize, String)> {
        // The broker says that it is too large, and not how much would be taken.
        Some((BROKER_MAX, "max.message.bytes".to_owned()))
    }

    async fn cut(&self) -> bool {
        self.cluster.cut()
    }

    async fn kill(&self) -> bool {
        self.cluster.kill()
    }

    async fn restart(&self) {
        self.cluster.restart();
    }

    fn keeps_types(&self) -> bool {
        false
    }

    fn data_max(&self) -> usize {
        EVENT_MAX - 4096
    }
}

impl Out {
    fn configure(&self, cleanup: &str) {
        let settings = [("cleanup.policy", cleanup), RECORD_MAX];
        let kafka = self.cluster.kafka();
        let mut exists = self.exists.lock().unwrap();
        block_in_place(|| match std::mem::replace(&mut *exists, true) {
            true => kafka.configure_topic(&self.topic, &settings),
            false => kafka.create_topic(&self.topic, 1, &settings),
        });
    }
}

/// The pause before a reconnect grows up to five seconds otherwise, which no case is about.
fn soon_back() -> serde_json::Value {
    json!({ "reconnect.backoff.max.ms": 300 })
}

/// An event in binary mode.
fn record(topic: &str, event: &Event) -> Record {
    let mut record = Record::to(topic).header("ce_specversion", "1.0");
    for (name, value) in event.attributes() {
        let name = match name {
            "datacontenttype" => "content-type".to_owned(),
            name => format!("ce_{name}"),
        };
        record = record.header(&name, value.text);
    }
    record.key = event.key().map(<[u8]>::to_vec);
    record.value = event.data().map(|data| data.to_vec());
    record
}

/// And back.
fn event(record: &Record) -> Event {
    let mut builder = EventBuilder::new();
    for (name, value) in &record.headers {
        let text = std::str::from_utf8(value.as_deref().unwrap()).unwrap();
        match name.as_str() {
            "ce_specversion" => &mut builder,
            "content-type" => builder.datacontenttype(text),
            name => builder.set(name.strip_prefix("ce_").unwrap(), AttrKind::String, text),
        };
    }
    if let Some(data) = &record.value {
        builder.data(bytes::Bytes::copy_from_slice(data));
    }
    builder.build().unwrap()
}

async fn ingress(case: &str) -> In {
    let cluster = Cluster::of(case).await;
    let topic = block_in_place(|| {
        let kafka = cluster.kafka();
        let topic = kafka.topic("conformance-in", 1);
        kafka.configure_topic(&topic, &[RECORD_MAX]);
        topic
    });
    In { cluster, topic }
}

async fn egress(case: &str) -> Out {
    let cluster = Cluster::of(case).await;
    let kafka = cluster.kafka();
    let topic = block_in_place(|| kafka.topic("conformance-out", 1));
    let mut out = Out {
        topic,
        cluster,
        event_max: EVENT_MAX,
        exists: Mutex::new(true),
    };
    match case {
        // These have the limit of the topic, and none of ours before it.
        "an_event_that_is_never_taken_disturbs_no_other" | "what_is_above_the_limit_is_the_events_fault" => {
            out.event_max = 2 * EVENT_MAX;
        }
        "what_does_not_exist_is_the_destinations_fault" => {
            out.topic.push_str("-later");
            *out.exists.lock().unwrap() = false;
        }
        "docs" => {}
        _ => out.configure("delete"),
    }
    out
}

mod taking {
    weft_conformance::ingress_suite!(super::ingress);
}

mod delivering {
    weft_conformance::egress_suite!(super::egress);
}
