//! The suite of every connector, against a real Artemis: the shared one, or, for the cases that hurt it, one of this
//! binary's own behind a relay. Answers that a broker does not give at will come from Qpid Proton, listening.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value as Json, json};
use tokio::sync::OwnedMutexGuard;
use tokio::task::block_in_place;
use weft_api::egress::Egress;
use weft_api::event::Event;
use weft_api::ingress::{Ingress, Window};
use weft_conformance::events::with_data;
use weft_conformance::{EgressSubject, IngressSubject, Remote, Shape, TooLarge, hurts};
use weft_rig::{Artemis, Private, Relay};

use support::{EVENT_MAX, Peer, events, message};

/// What a slow network adds to each chunk, in each direction.
const SLOW: Duration = Duration::from_millis(50);
/// The cases whose answers are scripted.
const SCRIPTED: [&str; 5] = [
    "a_refusal_is_the_events_fault",
    "a_failure_is_an_attempt",
    "an_overload_is_the_destinations_fault",
    "refused_credentials_are_the_destinations_fault",
    "what_does_not_exist_is_the_destinations_fault",
];

/// The broker that is hurt.
struct Own {
    broker: Private<Artemis>,
    relay: Relay,
}

/// Where a subject's address is.
enum Broker {
    Shared,
    Own(Mutex<OwnedMutexGuard<Own>>),
}

impl Broker {
    async fn of(case: &str) -> Broker {
        static OWN: OnceLock<Arc<tokio::sync::Mutex<Own>>> = OnceLock::new();
        if !hurts(case) {
            return Broker::Shared;
        }
        let own = block_in_place(|| {
            OWN.get_or_init(|| {
                let broker = Artemis::private();
                let relay = Relay::to(broker.amqp_port());
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
            own.relay.delay(Duration::ZERO);
        });
        Broker::Own(Mutex::new(own))
    }

    /// For the test's own clients.
    fn port(&self) -> u16 {
        match self {
            Broker::Shared => Artemis::shared().amqp_port(),
            Broker::Own(own) => own.lock().unwrap().broker.amqp_port(),
        }
    }

    /// For the connector.
    fn url(&self) -> String {
        match self {
            Broker::Shared => Artemis::shared().amqp_url(),
            Broker::Own(own) => format!("amqp://{}", own.lock().unwrap().relay.address()),
        }
    }

    fn hurt(&self, how: impl FnOnce(&mut Own)) -> bool {
        match self {
            Broker::Shared => false,
            Broker::Own(own) => {
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
    broker: Broker,
    address: String,
    peer: Option<Peer>,
    injected: AtomicUsize,
}

impl In {
    fn peer(&self) -> &Peer {
        self.peer.as_ref().unwrap()
    }

    fn send(&self, messages: &[Json]) {
        self.peer().send(&self.address, messages);
        self.injected.fetch_add(messages.len(), Ordering::Relaxed);
    }
}

#[async_trait]
impl IngressSubject for In {
    fn name(&self) -> &'static str {
        "amqp"
    }

    fn ingress(&self, window: Option<Window>) -> Box<dyn Ingress> {
        let section = json!({ "url": self.broker.url(), "address": self.address, "kind": "queue" });
        support::ingress(&section, window)
    }

    fn shape(&self) -> Shape {
        Shape::Individual
    }

    async fn inject(&self, event: &Event) {
        self.send(&[message(event)]);
    }

    async fn inject_all(&self, events: &[Event]) {
        let messages: Vec<Json> = events.iter().map(message).collect();
        self.send(&messages);
    }

    async fn inject_malformed(&self, body: &[u8]) -> bool {
        let mut bad = message(&with_data("1", "text/plain", Bytes::copy_from_slice(body)));
        bad["attributes"]
            .as_array_mut()
            .unwrap()
            .push(json!(["Not-a-name", "string", "x"]));
        self.send(&[bad]);
        true
    }

    async fn acknowledged(&self) -> usize {
        let refused = self.refused().await.unwrap_or(0);
        let left = self.peer().depth(&self.address);
        self.injected
            .load(Ordering::Relaxed)
            .saturating_sub(left + refused)
    }

    async fn refused(&self) -> Option<usize> {
        Some(self.peer().depth(&format!("DLQ.{}", self.address)))
    }

    async fn cut(&self) -> bool {
        self.broker.cut()
    }

    async fn hide(&self) -> bool {
        self.broker.hurt(|own| own.relay.cut())
    }

    async fn show(&self) {
        self.broker.hurt(|own| own.relay.heal());
    }

    async fn kill(&self) -> bool {
        self.broker.kill()
    }

    async fn restart(&self) {
        self.broker.restart();
    }

    fn keeps_types(&self) -> bool {
        // URIs, and times that milliseconds in UTC do not say, are strings.
        false
    }

    fn data_max(&self) -> usize {
        EVENT_MAX - 4096
    }

    fn event_max(&self) -> usize {
        EVENT_MAX
    }

    fn too_large(&self) -> TooLarge {
        TooLarge::Refused
    }
}

async fn ingress(case: &str) -> In {
    let sends = case != "docs";
    let broker = Broker::of(case).await;
    let peer = sends.then(|| block_in_place(|| Peer::client(broker.port())));
    In {
        peer,
        broker,
        address: weft_rig::unique("in"),
        injected: AtomicUsize::new(0),
    }
}

struct Out {
    broker: Broker,
    address: String,
    peer: Option<Peer>,
    /// The scripted broker and its port, where the case needs one.
    fake: Option<(Peer, u16)>,
    received: Mutex<Vec<Event>>,
}

#[async_trait]
impl EgressSubject for Out {
    fn name(&self) -> &'static str {
        "amqp"
    }

    fn egress(&self) -> Box<dyn Egress> {
        let url = match &self.fake {
            Some((_, port)) => format!("amqp://127.0.0.1:{port}"),
            None => self.broker.url(),
        };
        let section = json!({ "url": url, "address": self.address, "kind": "queue", "timeout": "1s" });
        support::egress(&section)
    }

    async fn set(&self, remote: Remote) -> bool {
        if let Some((fake, _)) = &self.fake {
            let mode = match remote {
                Remote::Accepts => "accept",
                Remote::Refuses => "reject",
                Remote::Fails => "fail",
                Remote::Overloaded => "overloaded",
                Remote::Unauthorised => "unauthorised",
                Remote::Missing => "missing",
                Remote::Silent => "silent",
                Remote::Slow | Remote::Gone => return false,
            };
            fake.ask(&json!({ "mode": mode }));
            return true;
        }
        match remote {
            Remote::Accepts => {
                self.broker.hurt(|own| {
                    own.relay.delay(Duration::ZERO);
                    own.relay.heal();
                });
                true
            }
            Remote::Slow => self.broker.hurt(|own| own.relay.delay(SLOW)),
            Remote::Silent => self.broker.hurt(|own| own.relay.stall_answers()),
            Remote::Gone => self.broker.hurt(|own| own.relay.cut()),
            _ => false,
        }
    }

    async fn received(&self) -> Vec<Event> {
        if let Some((fake, _)) = &self.fake {
            return events(&fake.ask(&json!({ "taken": true })));
        }
        let more = self.peer.as_ref().unwrap().drain(&self.address);
        let mut received = self.received.lock().unwrap();
        received.extend(more);
        received.clone()
    }

    async fn poison(&self, id: &str) -> Option<Event> {
        let large = Bytes::from(vec![7; EVENT_MAX + 1]);
        Some(with_data(id, "application/octet-stream", large))
    }

    async fn limit(&self) -> Option<(usize, String)> {
        Some((EVENT_MAX, EVENT_MAX.to_string()))
    }

    async fn cut(&self) -> bool {
        self.broker.cut()
    }

    async fn kill(&self) -> bool {
        self.broker.kill()
    }

    async fn restart(&self) {
        self.broker.restart();
    }

    fn keeps_types(&self) -> bool {
        false
    }

    fn data_max(&self) -> usize {
        EVENT_MAX - 4096
    }
}

async fn egress(case: &str) -> Out {
    let broker = Broker::of(case).await;
    let (sends, scripted) = (case != "docs", SCRIPTED.contains(&case));
    let peer = (sends && !scripted).then(|| block_in_place(|| Peer::client(broker.port())));
    Out {
        peer,
        broker,
        address: weft_rig::unique("out"),
        fake: scripted.then(|| block_in_place(Peer::broker)),
        received: Mutex::new(Vec::new()),
    }
}

mod taking {
    weft_conformance::ingress_suite!(|case| super::ingress(case));
}

mod giving {
    weft_conformance::egress_suite!(|case| super::egress(case));
}
