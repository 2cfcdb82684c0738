//! The suite of every connector, against real brokers: a shared Mosquitto, one of its own for the cases that hurt it, and an Artemis, which
//! journals what it confirms, for the cases that kill it. Between them and the connector a tap counts acknowledgements on the wire, and
//! answers for the broker where no broker can be made to say a code.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::task::block_in_place;
use weft_api::egress::Egress;
use weft_api::event::Event;
use weft_api::ingress::{Ingress, Window};
use weft_conformance::events::{plain, with_data};
use weft_conformance::{EgressSubject, IngressSubject, Remote, Shape, TooLarge, hurts};
use weft_rig::{Artemis, Mosquitto, Private, Relay, unique};

use support::client::{Client, Gatherer, session};
use support::tap::Tap;
use support::{EVENT_MAX, packet};

/// What a slow network adds to each chunk, in each direction.
const SLOW: Duration = Duration::from_millis(50);
/// The largest packet of a broker that has a limit.
const PACKET_MAX: usize = 200_000;

enum Broker {
    Shared,
    Mosquitto(Private<Mosquitto>),
    Artemis(Private<Artemis>),
}

/// The way from the connector to the broker.
struct Way {
    five: bool,
    broker: Mutex<Broker>,
    port: u16,
    tap: Tap,
    relay: Mutex<Relay>,
}

impl Way {
    async fn of(case: &str, five: bool, out: bool) -> Way {
        let broker = block_in_place(|| match case {
            case if case.contains("killed") => {
                let mut broker = Artemis::reserve();
                broker.start();
                Broker::Artemis(broker)
            }
            "what_is_above_the_limit_is_the_events_fault"
            | "an_event_that_is_never_taken_disturbs_no_other" => {
                let mut broker = Mosquitto::reserve_with(&format!("max_packet_size {PACKET_MAX}"));
                broker.start();
                Broker::Mosquitto(broker)
            }
            "docs" => Broker::Shared,
            case if hurts(case) || out => {
                // The broker of the tests writes all its sessions down whenever one changes; a window takes seconds then.
                let mut broker = Mosquitto::reserve_with("autosave_on_changes false");
                broker.start();
                Broker::Mosquitto(broker)
            }
            _ => Broker::Shared,
        });
        let port = match &broker {
            Broker::Shared => block_in_place(|| Mosquitto::shared().port()),
            Broker::Mosquitto(broker) => broker.port(),
            Broker::Artemis(broker) => broker.mqtt_port(),
        };
        let tap = Tap::to(port, five).await;
        let relay = block_in_place(|| Relay::to(tap.port));
        Way {
            five,
            broker: Mutex::new(broker),
            port,
            tap,
            relay: Mutex::new(relay),
        }
    }

    fn version(&self) -> &'static str {
        if self.five { "5" } else { "3.1.1" }
    }

    fn url(&self) -> String {
        format!("mqtt://{}", self.relay.lock().unwrap().address())
    }

    fn relay(&self, how: impl FnOnce(&mut Relay)) -> bool {
        block_in_place(|| how(&mut self.relay.lock().unwrap()));
        true
    }

    fn cut(&self) -> bool {
        self.relay(|relay| {
            relay.cut();
            relay.heal();
        })
    }

    fn kill(&self) -> bool {
        block_in_place(|| match &mut *self.broker.lock().unwrap() {
            Broker::Artemis(broker) => broker.kill9(),
            _ => panic!("this broker keeps nothing over a kill"),
        });
        true
    }

    fn restart(&self) {
        block_in_place(|| match &mut *self.broker.lock().unwrap() {
            Broker::Artemis(broker) => broker.start(),
            _ => panic!("this broker was not killed"),
        });
    }
}

struct In {
    way: Way,
    topic: String,
    qos: u8,
    max_packet: usize,
}

impl In {
    async fn of(case: &str, five: bool) -> In {
        let way = Way::of(case, five, false).await;
        let topic = unique("mqtt-in");
        if case != "docs" {
            // A broker keeps nothing for a session that was never there.
            block_in_place(|| session(way.port, five, &topic, &topic, 1));
        }
        let max_packet = match case {
            // Of the events of that case three fit into its window, and so do three packets of this size.
            "no_more_bytes_are_taken_than_the_window_allows" if five => 20_480,
            _ => EVENT_MAX + 65_536,
        };
        In {
            way,
            topic,
            qos: 1,
            max_packet,
        }
    }

    fn publisher(&self) -> Client {
        Client::connect(self.way.port, self.way.five, &unique("publisher"), true)
    }
}

#[async_trait]
impl IngressSubject for In {
    fn name(&self) -> &'static str {
        if self.way.five { "mqtt 5" } else { "mqtt 3.1.1" }
    }

    fn ingress(&self, window: Option<Window>) -> Box<dyn Ingress> {
        let section = json!({
            "url": self.way.url(), "version": self.way.version(), "subscribe": [self.topic], "client_id": self.topic,
            "qos": self.qos, "max_packet": self.max_packet,
        });
        support::ingress(&section, window)
    }

    fn shape(&self) -> Shape {
        Shape::InOrder
    }

    async fn inject(&self, event: &Event) {
        self.inject_all(std::slice::from_ref(event)).await;
    }

    async fn inject_all(&self, events: &[Event]) {
        block_in_place(|| {
            let mut client = self.publisher();
            client.publish_all(&self.topic, self.qos, events);
            client.disconnect();
        });
    }

    async fn inject_malformed(&self, body: &[u8]) -> bool {
        let mut properties = Vec::new();
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", "1"),
            ("source", "/s"),
            ("type", ""),
        ] {
            properties.push(0x26);
            properties.extend(packet::text(name));
            properties.extend(packet::text(value));
        }
        let properties = self.way.five.then_some(&properties[..]);
        if properties.is_none() {
            // Without properties nothing says that it is an event, but for the setting.
            return false;
        }
        block_in_place(|| {
            let mut client = self.publisher();
            client.publish(&packet::publish(0x32, &self.topic, 1, properties, body), 1);
        });
        true
    }

    fn waives(&self, case: &str) -> Option<&'static str> {
        match case {
            "what_is_malformed_comes_with_its_bytes" if !self.way.five => Some(
                "3.1.1 has no properties by which a message says that it is an event; with `accept: cloudevents` a unit test",
            ),
            _ => None,
        }
    }

    async fn acknowledged(&self) -> usize {
        self.way.tap.acknowledged() + self.way.tap.refused()
    }

    async fn cut(&self) -> bool {
        self.way.cut()
    }

    async fn hide(&self) -> bool {
        self.way.relay(Relay::cut)
    }

    async fn show(&self) {
        self.way.relay(Relay::heal);
    }

    async fn kill(&self) -> bool {
        self.way.kill()
    }

    async fn restart(&self) {
        self.way.restart();
    }

    fn keeps_types(&self) -> bool {
        false
    }

    fn data_max(&self) -> usize {
        // In JSON, with a quarter more.
        if self.way.five {
            EVENT_MAX - 4096
        } else {
            EVENT_MAX * 3 / 4 - 4096
        }
    }

    fn event_max(&self) -> usize {
        EVENT_MAX
    }

    fn too_large(&self) -> TooLarge {
        TooLarge::Malformed
    }
}

struct Out {
    way: Way,
    topic: String,
    qos: u8,
    gatherer: Option<Gatherer>,
}

impl Out {
    async fn of(case: &str, five: bool, qos: u8) -> Out {
        let way = Way::of(case, five, true).await;
        let topic = unique("mqtt-out");
        let gatherer = (case != "docs").then(|| block_in_place(|| Gatherer::new(way.port, five, &topic)));
        Out {
            way,
            topic,
            qos,
            gatherer,
        }
    }
}

#[async_trait]
impl EgressSubject for Out {
    fn name(&self) -> &'static str {
        match (self.way.five, self.qos) {
            (true, 2) => "mqtt 5, QoS 2",
            (true, _) => "mqtt 5",
            (false, _) => "mqtt 3.1.1",
        }
    }

    fn waives(&self, case: &str) -> Option<&'static str> {
        const NO_CODES: &str =
            "3.1.1 has no reason codes: its broker takes every message, or ends the connection";
        match case {
            "a_refusal_is_the_events_fault"
            | "a_failure_is_an_attempt"
            | "an_overload_is_the_destinations_fault"
            | "refused_credentials_are_the_destinations_fault"
            | "what_does_not_exist_is_the_destinations_fault"
            | "what_is_above_the_limit_is_the_events_fault"
            | "an_event_that_is_never_taken_disturbs_no_other"
                if !self.way.five =>
            {
                Some(NO_CODES)
            }
            _ => None,
        }
    }

    fn egress(&self) -> Box<dyn Egress> {
        support::egress(&json!({
            "url": self.way.url(), "version": self.way.version(), "topic": self.topic, "client_id": format!("{}-c", self.topic),
            "qos": self.qos, "timeout": "1s",
        }))
    }

    async fn set(&self, remote: Remote) -> bool {
        self.way.tap.answer(match remote {
            Remote::Refuses => Some(0x99),
            Remote::Fails => Some(0x80),
            Remote::Overloaded => Some(0x97),
            Remote::Unauthorised => Some(0x87),
            Remote::Missing => Some(0x90),
            _ => None,
        });
        match remote {
            Remote::Accepts => self.way.relay(Relay::heal),
            Remote::Slow => self.way.relay(|relay| relay.delay(SLOW)),
            Remote::Silent => self.way.relay(|relay| relay.stall_answers()),
            Remote::Gone => self.way.relay(Relay::cut),
            _ => self.way.five,
        }
    }

    async fn received(&self) -> Vec<Event> {
        let gatherer = self.gatherer.as_ref().unwrap();
        block_in_place(|| gatherer.all(&plain(&unique("mark"))))
    }

    async fn poison(&self, id: &str) -> Option<Event> {
        let data = bytes::Bytes::from(vec![7; PACKET_MAX]);
        Some(with_data(id, "application/octet-stream", data))
    }

    async fn limit(&self) -> Option<(usize, String)> {
        Some((PACKET_MAX, PACKET_MAX.to_string()))
    }

    async fn most_unanswered(&self) -> Option<usize> {
        Some(self.way.tap.most_unanswered())
    }

    async fn cut(&self) -> bool {
        self.way.cut()
    }

    async fn kill(&self) -> bool {
        self.way.kill()
    }

    async fn restart(&self) {
        self.way.restart();
    }

    fn keeps_types(&self) -> bool {
        false
    }

    fn data_max(&self) -> usize {
        if self.way.five {
            EVENT_MAX - 4096
        } else {
            EVENT_MAX * 3 / 4 - 4096
        }
    }
}

mod taking_5 {
    weft_conformance::ingress_suite!(|case| super::In::of(case, true));
}

mod taking_3_1_1 {
    weft_conformance::ingress_suite!(|case| super::In::of(case, false));
}

mod delivering_5 {
    weft_conformance::egress_suite!(|case| super::Out::of(case, true, 1));
}

mod delivering_5_exactly_once {
    weft_conformance::egress_suite!(|case| super::Out::of(case, true, 2));
}

mod delivering_3_1_1 {
    weft_conformance::egress_suite!(|case| super::Out::of(case, false, 1));
}
