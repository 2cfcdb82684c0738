//! The receivers: each takes what arrives at one destination and writes it into the ledger.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use weft_rig::{Kafka, Python, Receiver, Reply, Request};

use crate::event::{self, KEYS, SIZE};
use crate::flow::PARTITIONS;
use crate::ledger::{Ledger, Letter};
use crate::load::{numbers, until};

const POLL: Duration = Duration::from_millis(50);

/// Decides on an event by its request and its number. What is not answered 2xx has not arrived.
type Script = Arc<dyn Fn(&Request, usize) -> Reply + Send + Sync>;

/// A receiver that is under way. Dropping it ends it.
pub(crate) enum Arrivals {
    /// A server on loopback.
    Http(Sink),
    /// A reader of a topic, or a drain of the rig.
    Thread(Arc<AtomicBool>),
}

/// The HTTP receiver.
pub(crate) struct Sink {
    pub(crate) receiver: Receiver,
    script: Arc<Mutex<Script>>,
    /// Whether answers are held back.
    held: Arc<AtomicBool>,
}

impl Sink {
    /// Listens on a free port and takes everything.
    pub(crate) fn start(leg: usize, ledger: &Arc<Ledger>) -> Sink {
        let receiver = Receiver::start();
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Arc::new(|_: &Request, _| Reply::status(204))));
        let held = Arc::new(AtomicBool::new(false));
        let (current, ledger, holds) = (Arc::clone(&script), Arc::clone(ledger), Arc::clone(&held));
        receiver.respond(move |request| {
            let script = Arc::clone(&current.lock().unwrap_or_else(PoisonError::into_inner));
            let reply = answer(request, leg, &ledger, &script);
            if holds.load(Ordering::SeqCst) {
                reply.held()
            } else {
                reply
            }
        });
        Sink {
            receiver,
            script,
            held,
        }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        self.receiver.url("/")
    }

    /// While this is on, events arrive and nobody is answered.
    pub(crate) fn hold(&self, is_on: bool) {
        self.held.store(is_on, Ordering::SeqCst);
        if !is_on {
            self.receiver.release();
        }
    }

    /// From now on answers with the status that `script` says.
    pub(crate) fn respond(&self, script: impl Fn(usize) -> u16 + Send + Sync + 'static) {
        self.reply(move |_, number| Reply::status(script(number)));
    }

    /// From now on does as `script` says.
    pub(crate) fn reply(&self, script: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }

    /// Takes everything again.
    pub(crate) fn heal(&self) {
        self.respond(|_| 204);
        self.receiver.release();
    }
}

impl Arrivals {
    /// Reads the topic of a destination.
    pub(crate) fn kafka(kafka: &Kafka, topic: &str, leg: usize, ledger: &Arc<Ledger>) -> Arrivals {
        let ledger = Arc::clone(ledger);
        Arrivals::read(kafka, topic, PARTITIONS, move |record| {
            let found = attributes(record);
            enter(leg, record.payload().unwrap_or_default(), &found, &ledger);
        })
    }

    /// Reads the topic of a dead letter.
    pub(crate) fn dead_letter(kafka: &Kafka, topic: &str, ledger: &Arc<Ledger>) -> Arrivals {
        let ledger = Arc::clone(ledger);
        Arrivals::read(kafka, topic, 1, move |record| {
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
    fn read(
        kafka: &Kafka,
        topic: &str,
        partitions: usize,
        take: impl Fn(&BorrowedMessage<'_>) + Send + 'static,
    ) -> Arrivals {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", kafka.brokers())
            .set("group.id", "ledger")
            .set("enable.auto.commit", "false")
            .set("reconnect.backoff.max.ms", "500")
            .create()
            .expect("these settings are known");
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions {
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
            // It closes as it is dropped.
            Arrivals::Http(_) => {}
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
        None if event::is_ballast(found) => {}
        None => ledger.foreign(leg),
    }
}

fn numbered(found: &[(&str, &str)]) -> Option<usize> {
    let (_, id) = found.iter().find(|(name, _)| *name == "id")?;
    event::number(id)
}

fn answer(request: &Request, leg: usize, ledger: &Ledger, script: &Script) -> Reply {
    let text = |(name, value): &'_ (String, String)| match name.strip_prefix("ce-") {
        Some(name) => Some((name.to_owned(), value.clone())),
        None if name == "content-type" => Some(("datacontenttype".to_owned(), value.clone())),
        None => None,
    };
    let found: Vec<(String, String)> = request.headers.iter().filter_map(text).collect();
    let found: Vec<(&str, &str)> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let reply = numbered(&found).map_or_else(|| Reply::status(204), |number| script(request, number));
    if reply.accepts() {
        enter(leg, &request.body, &found, ledger);
    }
    reply
}
