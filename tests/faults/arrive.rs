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
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use weft_rig::{Kafka, Python};

use crate::event::{self, KEYS, SIZE};
use crate::ledger::Ledger;
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
    task: JoinHandle<()>,
}

impl Sink {
    /// Listens on a free port and takes everything.
    pub(crate) fn start(leg: usize, ledger: &Arc<Ledger>) -> Sink {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime::get().block_on(listener).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Arc::new(|_| 204)));
        let task = runtime::get().spawn(accept(listener, leg, Arc::clone(ledger), Arc::clone(&script)));
        Sink { port, script, task }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// From now on answers as `script` says.
    pub(crate) fn respond(&self, script: impl Fn(usize) -> u16 + Send + Sync + 'static) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }
}

impl Arrivals {
    /// Reads a topic from its beginning.
    pub(crate) fn kafka(kafka: &Kafka, topic: &str, leg: usize, ledger: &Arc<Ledger>) -> Arrivals {
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
        let (ended, ledger) = (Arc::clone(&stop), Arc::clone(ledger));
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                // An error is the broker's absence; librdkafka comes back by itself.
                if let Some(Ok(record)) = consumer.poll(POLL) {
                    take(&record, leg, &ledger);
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

fn take(record: &impl Message, leg: usize, ledger: &Ledger) {
    let mut found = Vec::new();
    for header in record.headers().into_iter().flat_map(Headers::iter) {
        let value = header
            .value
            .and_then(|value| std::str::from_utf8(value).ok())
            .unwrap_or("");
        match header.key.strip_prefix("ce_") {
            Some(name) => found.push((name, value)),
            None if header.key == "content-type" => found.push(("datacontenttype", value)),
            None => {}
        }
    }
    enter(leg, record.payload().unwrap_or_default(), &found, ledger);
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

async fn accept(listener: TcpListener, leg: usize, ledger: Arc<Ledger>, script: Arc<Mutex<Script>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (ledger, script) = (Arc::clone(&ledger), Arc::clone(&script));
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let service = service_fn(|request| answer(request, leg, &ledger, &script));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    leg: usize,
    ledger: &Ledger,
    script: &Mutex<Script>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    // A sender that was killed in the middle of a request has delivered nothing.
    let Ok(body) = body.collect().await else {
        return std::future::pending().await;
    };
    let text = |name: &str, value: &'_ hyper::header::HeaderValue| {
        let value = value.to_str().unwrap_or("").to_owned();
        match name.strip_prefix("ce-") {
            Some(name) => Some((name.to_owned(), value)),
            None if name == "content-type" => Some(("datacontenttype".to_owned(), value)),
            None => None,
        }
    };
    let found: Vec<(String, String)> = head
        .headers
        .iter()
        .filter_map(|(name, value)| text(name.as_str(), value))
        .collect();
    let found: Vec<(&str, &str)> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let script = Arc::clone(&script.lock().unwrap_or_else(PoisonError::into_inner));
    let status = numbered(&found).map_or(204, |number| script(number));
    if (200..300).contains(&status) {
        enter(leg, &body.to_bytes(), &found, ledger);
    }
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok(response)
}
