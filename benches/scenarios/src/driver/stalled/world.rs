//! What a case runs in: senders, broker, router, destinations. Dropped, all of it ends, the senders first.

use std::any::Any;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use weft_rig::{Kafka, Mosquitto, Weft, free_port, unique};

use super::{Case, FLOWS, Feed, STALLED};
use crate::Failure;
use crate::books::{Books, Second};
use crate::driver::stage::{self, Stage};
use crate::driver::{kafka, mqtt};
use crate::offer::{self, Offering, Pace, Shape};
use crate::sink::{Service, Sink};

/// What each destination can do: far more than it is asked for, and not at once.
const SERVICE: Service = Service {
    places: 64,
    time: Duration::from_millis(5),
};

/// See the module. Fields are dropped in their order.
pub struct World {
    _offering: Vec<Offering>,
    /// The router.
    pub stage: Stage,
    sink: Sink,
    _broker: Option<Box<dyn Any>>,
}

impl World {
    /// Starts all of it, with nothing on its way.
    ///
    /// # Errors
    /// Something does not start.
    pub fn start(case: &Case) -> Result<Self, Failure> {
        let (shape, pace) = (Shape::flows(FLOWS, case.event_bytes), Pace::still());
        let books = Arc::new(Books::new(FLOWS));
        let sink = Sink::start(&books, &shape, SERVICE)?;
        let healthy: Vec<usize> = (0..FLOWS).filter(|flow| *flow != STALLED).collect();
        let parts = [healthy, vec![STALLED]];
        let (offering, weft, broker): (Vec<Offering>, Weft, Option<Box<dyn Any>>) = match case.feed {
            Feed::Http => {
                let port = free_port();
                let http =
                    format!(r#"http: {{ listen: "127.0.0.1:{port}", path: /, max_connections: 16384 }}"#);
                let weft = router(case, &[http], &sink, &shape)?;
                let start = |flows: Vec<usize>| {
                    let connections = 3000;
                    offer::http::start(
                        offer::http::Plan {
                            port,
                            flows,
                            connections,
                        },
                        &shape,
                        &books,
                        &pace,
                    )
                };
                (parts.into_iter().map(start).collect(), weft, None)
            }
            Feed::Kafka | Feed::KafkaTopics => {
                let broker = Kafka::private();
                let topics: Vec<String> = (0..FLOWS)
                    .map(|n| broker.topic(&format!("flow-{n}"), 1))
                    .collect();
                let brokers = broker.brokers().to_owned();
                let source = |topics: &str| kafka::source(&brokers, topics, &unique("group"));
                let ingresses = if case.feed == Feed::Kafka {
                    topics.iter().map(|topic| source(topic)).collect()
                } else {
                    vec![source(&topics.join(r#"", ""#))]
                };
                let weft = router(case, &ingresses, &sink, &shape)?;
                let start =
                    |flows| offer::kafka::start(&brokers, topics.clone(), flows, &shape, &books, &pace);
                let offering: Result<_, Failure> = parts.into_iter().map(start).collect();
                (offering?, weft, Some(Box::new(broker)))
            }
            Feed::Mqtt => {
                let mut broker = Mosquitto::reserve_with(mqtt::SETTINGS);
                broker.start();
                let topics: Vec<String> = (0..FLOWS).map(|n| unique(&format!("flow-{n}"))).collect();
                let port = broker.port();
                // Room for the larger events: a broker drops what is larger than it was told.
                let source = |topic: &String| {
                    mqtt::source(&port.to_string(), &unique("client"), topic).replace("8KiB", "64KiB")
                };
                let ingresses: Vec<String> = topics.iter().map(source).collect();
                let weft = router(case, &ingresses, &sink, &shape)?;
                let start = |flows| offer::mqtt::start(port, topics.clone(), flows, &shape, &books, &pace);
                (
                    parts.into_iter().map(start).collect(),
                    weft,
                    Some(Box::new(broker)),
                )
            }
        };
        let world = Self {
            _offering: offering,
            stage: Stage::new(weft, &books, &pace),
            sink,
            _broker: broker,
        };
        world.stage.warm_up(FLOWS)?;
        Ok(world)
    }

    /// Lets the one destination swallow what comes, or answer again.
    pub fn swallow(&self, on: bool) {
        self.sink.swallow(STALLED, on);
    }

    /// Each flow's sum over a range of seconds.
    #[must_use]
    pub fn flows(&self, range: Range<usize>) -> Vec<Second> {
        (0..FLOWS)
            .map(|flow| self.stage.books.sum(flow, range.clone()))
            .collect()
    }
}

/// A destination and a route for each flow: by ingress where there are as many, else by type.
fn router(case: &Case, ingresses: &[String], sink: &Sink, shape: &Shape) -> Result<Weft, Failure> {
    let (mut from, mut to, mut routes) = (String::new(), String::new(), String::new());
    for (at, ingress) in ingresses.iter().enumerate() {
        writeln!(from, "  in-{at}: {{ {ingress} }}")?;
    }
    for (flow, kind) in shape.kinds.iter().enumerate() {
        writeln!(
            to,
            r#"  out-{flow}: {{ http: {{ url: "http://127.0.0.1:{}/" }} }}"#,
            sink.port(flow)
        )?;
        let at = if ingresses.len() > 1 { flow } else { 0 };
        writeln!(
            routes,
            "  flow-{flow}: {{ from: [in-{at}], filters: [{{ exact: {{ type: {kind} }} }}], to: out-{flow} }}"
        )?;
    }
    let head = stage::head(case.memory_mib);
    let yaml = format!("{head}ingress:\n{from}destinations:\n{to}routes:\n{routes}");
    let binary = case
        .weft
        .to_str()
        .ok_or("the path of the router's binary is not UTF-8")?;
    Ok(Weft::at(binary).config(&yaml).start())
}
