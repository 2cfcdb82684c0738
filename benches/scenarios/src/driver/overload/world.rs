//! What a case runs in: sender, broker, router, destination. Dropped, all of it ends, the senders first.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use weft_rig::{Artemis, Kafka, Mosquitto, Weft, free_port, unique};

use super::{Case, Ingress, Limit};
use crate::Failure;
use crate::books::Books;
use crate::driver::stage::{self, Stage};
use crate::driver::{amqp, kafka, mqtt};
use crate::offer::{self, Offering, Pace, Shape};
use crate::sink::{Service, Sink};

/// Requests that the slow destination serves at a time.
const PLACES: usize = 32;
/// Partitions of the topic, and so lanes.
const PARTITIONS: i32 = 4;
/// The most connections of the HTTP sender, above what the windows of all workers hold, and what the router takes.
const CONNECTIONS: usize = 6000;
/// Routes that look at an event in vain, where the router's CPU shall be the limit.
const COSTLY_ROUTES: usize = 400;

/// See the module. Fields are dropped in their order.
pub struct World {
    _offering: Offering,
    /// The router.
    pub stage: Stage,
    /// What the router may have taken and not settled, by its windows.
    pub window: usize,
    /// Resident memory at rest, in MiB.
    pub base_mib: f64,
    _sink: Sink,
    _broker: Option<Box<dyn Any>>,
}

impl World {
    /// Starts all of it, with nothing on its way.
    ///
    /// # Errors
    /// Something does not start.
    pub fn start(case: &Case) -> Result<Self, Failure> {
        let (shape, pace) = (Shape::plain(), Pace::still());
        let books = Arc::new(Books::new(1));
        let sink = Sink::start(&books, &shape, service(case))?;
        let weft = |ingress: &str| router(case, ingress, sink.port(0));
        let (offering, weft, window, broker): (_, _, usize, Option<Box<dyn Any>>) = match case.ingress {
            Ingress::Http => {
                let (port, workers) = (free_port(), workers(case));
                let weft = weft(&format!(
                    r#"http: {{ listen: "127.0.0.1:{port}", path: /, workers: {workers}, max_connections: 16384 }}"#
                ))?;
                let plan = offer::http::Plan {
                    port,
                    flows: vec![0],
                    connections: CONNECTIONS,
                };
                let offering = offer::http::start(plan, &shape, &books, &pace);
                (offering, weft, http_window(case, workers), None)
            }
            Ingress::Kafka => {
                let broker = Kafka::private();
                let topic = broker.topic("overload", PARTITIONS);
                let brokers = broker.brokers().to_owned();
                let weft = weft(&kafka::source(&brokers, &topic, &unique("group")))?;
                let offering = offer::kafka::start(&brokers, vec![topic], vec![0], &shape, &books, &pace)?;
                let window = usize::try_from(PARTITIONS)? * 8192;
                (offering, weft, window, Some(Box::new(broker)))
            }
            Ingress::Amqp => {
                let artemis = Artemis::private();
                let (address, queue) = (format!("127.0.0.1:{}", artemis.amqp_port()), unique("overload"));
                let weft = weft(&amqp::source(&address, &queue))?;
                let offering = offer::amqp::start(address, queue, &shape, &books, &pace);
                (offering, weft, 1024, Some(Box::new(artemis)))
            }
            Ingress::Mqtt => {
                let mut mosquitto = Mosquitto::reserve_with(mqtt::SETTINGS);
                mosquitto.start();
                let (port, topic) = (mosquitto.port(), unique("overload"));
                let weft = weft(&mqtt::source(&port.to_string(), &unique("client"), &topic))?;
                let offering = offer::mqtt::start(port, vec![topic], vec![0], &shape, &books, &pace);
                (offering, weft, 1024, Some(Box::new(mosquitto)))
            }
        };
        let stage = Stage::new(weft, &books, &pace);
        let world = Self {
            _offering: offering,
            window,
            base_mib: stage.memory()?.now,
            stage,
            _sink: sink,
            _broker: broker,
        };
        world.stage.warm_up(1)?;
        Ok(world)
    }
}

/// The default window of all workers, as `docs/connectors/http.md` has it: a quarter of the memory is for clients, half of
/// that for the ingress, and 8 KiB of it for each request.
fn http_window(case: &Case, workers: usize) -> usize {
    let share = usize::try_from(case.memory_mib * 1024 / 4 / 2 / 8).unwrap_or(usize::MAX) / workers;
    share.clamp(256, 2048) * workers
}

fn service(case: &Case) -> Service {
    match case.limit {
        Limit::Cpu => Service::FAST,
        Limit::Destination => Service {
            places: PLACES,
            time: Duration::from_secs_f64(PLACES as f64 / case.capacity as f64),
        },
    }
}

fn workers(case: &Case) -> usize {
    match case.limit {
        Limit::Cpu => 1,
        Limit::Destination => 2,
    }
}

fn router(case: &Case, ingress: &str, port: u16) -> Result<Weft, Failure> {
    let mut yaml = stage::head(case.memory_mib);
    yaml += &format!(
        r#"
ingress:
  in: {{ {ingress} }}
destinations:
  out: {{ http: {{ url: "http://127.0.0.1:{port}/" }} }}
routes:
  copy: {{ from: [in], to: out }}
"#
    );
    if case.limit == Limit::Cpu {
        for route in 0..COSTLY_ROUTES {
            yaml += &format!(
                "  costly-{route}: {{ from: [in], filters: [{{ sql: \"priority > {}\" }}], to: out }}\n",
                1000 + route
            );
        }
    }
    let binary = case
        .weft
        .to_str()
        .ok_or("the path of the router's binary is not UTF-8")?;
    Ok(Weft::at(binary).config(&yaml).start())
}
