//! The receivers: each takes what arrives at one destination and writes it into the ledger.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use weft_rig::{Kafka, Python};

use crate::event::{self, KEYS, SIZE};
use crate::ledger::{Ledger, Letter};
use crate::load::{numbers, until};
use crate::runtime;

const POLL: Duration = Duration::from_millis(50);

/// Decides on an event by its number: the status with which it is answered. What is not answered 2xx has not arrived.
pub(crate) type Script = Arc<dyn Fn(usize) -> u16 + Send + Sync>;

/// A receiver that is under way. Dropping it ends it.
pub(crate) enum Arrivals {
    /// A server on loopback.
    Http(Sink),
    /// A reader of a topic, or a drain of the rig.
    Thread(Arc<AtomicBool>),
}

/// The HTTP receiver.
pub(crate) struct Sink {
    port: u16,
    script: Arc<Mutex<Script>>,
    /// Whether answers are held back.
    held: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Sink {
    /// Listens on a free port and takes everything.
    pub(crate) fn start(leg: usize, ledger: &Arc<Ledger>) -> Sink {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime::get().block_on(listener).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Arc::new(|_| 204)));
        let held = watch::Sender::new(false);
        let desk = Desk {
            leg,
            ledger: Arc::clone(ledger),
            script: Arc::clone(&script),
            held: held.subscribe(),
        };
        let task = runtime::get().spawn(accept(listener, desk));
        Sink {
            port,
            script,
            held,
            task,
        }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// While this is on, events arrive and nobody is answered.
    pub(crate) fn hold(&self, is_on: bool) {
        self.held.send_replace(is_on);
    }

    /// From now on answers as `script` says.
    pub(crate) fn respond(&self, script: impl Fn(usize) -> u16 + Send + Sync + 'static) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }
}

impl Arrivals {
    /// Reads the topic of a destination.
    pub(crate) fn kafka(kafka: &Kafka, topic: &str, leg: usize, ledger: &Arc<Ledger>) -> Arrivals {
        let ledger = Arc::clone(ledger);
        Arrivals::read(kafka, topic, move |record| {
            let found = attributes(record);
            enter(leg, record.payload().unwrap_or_default(), &found, &ledger);
        })
    }

    /// Reads the topic of a dead letter.
    pub(crate) fn dead_letter(kafka: &Kafka, topic: &str, ledger: &Arc<Ledger>) -> Arrivals {
        let ledger = Arc::clone(ledger);
        Arrivals::read(kafka, topic, move |record| {
            let found = attributes(record);
            let get = |wanted: &str| {
                let entry = found.iter().find(|(name, _)| *name == wanted);
                entry.map_or("", |(_, value)| *value)
            };
            let leg = get("weftdestination")
                .strip_prefix("out-")
                .and_then(|n| n.parse().ok());
            match (leg, numbered(&found)) {
                (Some(leg), Some(number)) => ledger.dead_lettered(Letter::Event { leg, number }),
                _ => ledger.dead_lettered(Letter::Malformed(get("id").to_owned())),
            }
        })
    }

    /// Reads a topic from its beginning.
    fn read(kafka: &Kafka, topic: &str, take: impl Fn(&BorrowedMessage<'_>) + Send + 'static) -> Arrivals {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", kafka.brokers())
            .set("group.id", "ledger")
            .set("enable.auto.commit", "false")
            .set("reconnect.backoff.max.ms", "500")
            .create()
            .expect("these settings are known");
        let mut all = TopicPartitionList::new();
        for partition in 0..kafka.offsets(topic).len() {
            let partition = i32::try_from(partition).expect("partitions are few");
            all.add_partition_offset(topic, partition, Offset::Beginning)
                .expect("a valid offset");
        }
        consumer.assign(&all).expect("the topic is there");
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                // An error is the broker's absence; librdkafka comes back by itself.
                if let Some(Ok(record)) = consumer.poll(POLL) {
                    take(&record);
                }
            }
        });
        Arrivals::Thread(stop)
    }

    /// Runs a drain of the rig; returns when it is connected.
    pub(crate) fn script(drain: Python, leg: usize, ledger: &Arc<Ledger>) -> Arrivals {
        let drain = drain
            .option("--keys", KEYS)
            .option("--size", SIZE)
            .flag("--ledger");
        let mut process = drain.spawn();
        until(&mut process, "connected");
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, ledger) = (Arc::clone(&stop), Arc::clone(ledger));
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let line = match process.poll_line(POLL) {
                    Some(line) => line,
                    None if process.has_ended() => return,
                    None => continue,
                };
                let damaged: Vec<usize> = numbers(&line, "damaged").collect();
                for number in numbers(&line, "came") {
                    ledger.arrived(leg, number, !damaged.contains(&number));
                }
            }
        });
        Arrivals::Thread(stop)
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        match self {
            Arrivals::Http(sink) => sink.task.abort(),
            Arrivals::Thread(stop) => stop.store(true, Ordering::Relaxed),
        }
    }
}

/// The attributes in the headers of a record.
fn attributes<'a>(record: &'a BorrowedMessage<'_>) -> Vec<(&'a str, &'a str)> {
    let mut found = Vec::new();
    for header in record.headers().into_iter().flat_map(Headers::iter) {
        let value = header.value.and_then(|value| std::str::from_utf8(value).ok());
        match header.key.strip_prefix("ce_") {
            Some(name) => found.push((name, value.unwrap_or(""))),
            None if header.key == "content-type" => found.push(("datacontenttype", value.unwrap_or(""))),
            None => {}
        }
    }
    found
}

/// Writes an event into the ledger, by its attributes.
fn enter(leg: usize, body: &[u8], found: &[(&str, &str)], ledger: &Ledger) {
    match numbered(found) {
        Some(number) => {
            let intact = event::is_intact(number, body, found.iter().copied());
            ledger.arrived(leg, number, intact);
        }
        None => ledger.foreign(leg),
    }
}

fn numbered(found: &[(&str, &str)]) -> Option<usize> {
    let (_, id) = found.iter().find(|(name, _)| *name == "id")?;
    event::number(id)
}

/// What answers a request.
#[derive(Clone)]
struct Desk {
    leg: usize,
    ledger: Arc<Ledger>,
    script: Arc<Mutex<Script>>,
    held: watch::Receiver<bool>,
}

async fn accept(listener: TcpListener, desk: Desk) {
    // All of them end with the listener.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let desk = desk.clone();
        connections.spawn(async move {
            let _ = stream.set_nodelay(true);
            let service = service_fn(|request| answer(request, desk.clone()));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(request: Request<Incoming>, mut desk: Desk) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    // A sender that was killed in the middle of a request has delivered nothing.
    let Ok(body) = body.collect().await else {
        return std::future::pending().await;
    };
    let mut found = Vec::new();
    for (name, value) in &head.headers {
        let value = value.to_str().unwrap_or("");
        match name.as_str().strip_prefix("ce-") {
            Some(name) => found.push((name, value)),
            None if name == CONTENT_TYPE => found.push(("datacontenttype", value)),
            None => {}
        }
    }
    let script = Arc::clone(&desk.script.lock().unwrap_or_else(PoisonError::into_inner));
    let status = numbered(&found).map_or(204, |number| script(number));
    if (200..300).contains(&status) {
        enter(desk.leg, &body.to_bytes(), &found, &desk.ledger);
    }
    // Who holds it is gone: the run is over.
    let _ = desk.held.wait_for(|held| !held).await;
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok(response)
}
