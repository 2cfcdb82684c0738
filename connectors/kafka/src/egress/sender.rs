//! The egress' loop: reports first, then batches.
//!
//! Owns: the producer, and when it is thrown away. librdkafka retries without end; this loop keeps the time. A record
//! that is not confirmed within `timeout`, or a fatal error (a gap that librdkafka could not avoid), gives back
//! everything on its way and makes a new producer, so that nothing overtakes what failed.
//! Invariants: every event is settled once; a batch is handed over in order, and while librdkafka's queue is full the
//! loop waits with the place kept.
//! Does not know: how a record is laid out (`mapping`), whose fault an error is (`errors`).

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseRecord, Producer};
use tokio::time::MissedTickBehavior;
use weft_api::crash;
use weft_api::egress::{EgressContext, EgressError, Flights, Ticket};
use weft_api::outcome::{Reason, SendError};
use weft_api::status::Health;

use super::Plan;
use super::errors::{self, Failed};
use super::kept::{self, Loss};
use super::producer::{BATCH_BYTES, Inbox, KafkaProducer, Report, opaque};
use super::topics::{Found, Topics};
use crate::client::voice::Voice;
use crate::mapping::egress::Scratch;

/// How often time-outs are looked for, and a full queue is tried again.
const TICK: Duration = Duration::from_millis(100);

/// Runs until the router has nothing more, or says stop.
pub(super) async fn run(plan: Arc<Plan>, mut cx: EgressContext) -> Result<(), EgressError> {
    let mut sender = Sender::start(plan, &cx)?;
    sender.greet().await;
    let stop = cx.stop.clone();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut finished = false;
    while !(finished && sender.sending.is_none() && sender.flights.is_empty()) {
        let inbox = sender.inbox.clone();
        tokio::select! {
            biased;
            () = inbox.wake.notified() => {}
            () = stop.stopped() => break,
            batch = cx.next_batch(), if !finished && sender.sending.is_none() => match batch {
                Some(batch) => sender.sending = Some(sender.flights.begin(batch)),
                None => finished = true,
            },
            _ = tick.tick() => sender.voice.tick(),
        }
        sender.collect();
        sender.replace_if_broken().await?;
        sender.hand_over().await;
    }
    sender.collect();
    // What is left is dropped with its batches, and so comes back as unknown.
    sender.throw_away().await;
    Ok(())
}

struct Sender {
    plan: Arc<Plan>,
    voice: Arc<Voice>,
    inbox: Arc<Inbox>,
    producer: Option<Arc<KafkaProducer>>,
    flights: Flights,
    /// The batch that is being handed over.
    sending: Option<u32>,
    topics: Topics,
    scratch: Scratch,
    reports: Vec<Report>,
    /// The largest batch for one request; halved when a broker says that one was too large.
    batch_bytes: u64,
    shrink: bool,
    report: weft_api::status::Reporter,
}

impl Sender {
    fn start(plan: Arc<Plan>, cx: &EgressContext) -> Result<Sender, EgressError> {
        let voice = Arc::new(Voice::new(plan.brokers.clone(), cx.report.clone()));
        let mut sender = Sender {
            plan,
            voice,
            inbox: Arc::default(),
            producer: None,
            flights: Flights::default(),
            sending: None,
            topics: Topics::default(),
            scratch: Scratch::default(),
            reports: Vec::new(),
            batch_bytes: BATCH_BYTES,
            shrink: false,
            report: cx.report.clone(),
        };
        sender.connect()?;
        Ok(sender)
    }

    fn connect(&mut self) -> Result<(), EgressError> {
        self.voice = Arc::new(Voice::new(self.plan.brokers.clone(), self.report.clone()));
        self.inbox = Arc::default();
        let producer = self
            .plan
            .connect(self.batch_bytes, self.voice.clone(), self.inbox.clone());
        self.producer = Some(Arc::new(producer.map_err(EgressError)?));
        Ok(())
    }

    /// Says at once whether the brokers answer and know the topic; takes batches either way.
    async fn greet(&mut self) {
        let plan = self.plan.clone();
        let Some(topic) = plan.layout.fixed_topic() else {
            self.report.health(Health::Ready);
            return;
        };
        let found = self.look_up(topic).await;
        if plan.log && matches!(found, Found::Partitions(_)) {
            let (topic, runtime) = (topic.to_owned(), tokio::runtime::Handle::current());
            let asking = plan.clone();
            // Nothing waits for the answer.
            tokio::task::spawn_blocking(move || match kept::loses(&runtime, &asking.client, &topic) {
                Some(Loss::Compacted(what)) => tracing::error!(destination = %asking.name, "{what}"),
                Some(Loss::Retained(what)) => tracing::warn!(destination = %asking.name, "{what}"),
                None => {}
            });
        }
    }

    /// Takes the reports that are there, and settles.
    fn collect(&mut self) {
        self.collect_for(None, Reason::Reset);
    }

    fn collect_for(&mut self, why: Option<&str>, reason: Reason) {
        let mut reports = std::mem::take(&mut self.reports);
        self.inbox.take(&mut reports);
        for Report { ticket, error } in reports.drain(..) {
            match error {
                None => self.flights.confirmed(ticket),
                Some(code) => {
                    let error = self.error(ticket, code, why, reason);
                    self.flights.failed(ticket, error);
                }
            }
        }
        self.reports = reports;
        self.flights.settle();
    }

    fn error(&mut self, ticket: Ticket, code: Code, why: Option<&str>, reason: Reason) -> SendError {
        let event = self.flights.event(ticket);
        let topic = event
            .and_then(|event| self.plan.layout.topic(event).ok())
            .unwrap_or_default();
        match code {
            Code::MessageSizeTooLarge => {
                // A broker measures the batch. Only a record that fills one by itself is to blame; for the others
                // the batches become smaller.
                let data = event
                    .and_then(|event| event.data())
                    .map_or(0, |data| data.len() as u64);
                if data < self.batch_bytes && self.batch_bytes > 1 {
                    self.shrink = true;
                    let text = format!("kafka topic `{topic}` found a batch too large; smaller ones follow");
                    return SendError::destination(Reason::Failed, text);
                }
                return errors::too_large(&topic);
            }
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
                self.topics.forget(&topic)
            }
            _ => {}
        }
        let failed = Failed {
            topic: &topic,
            templated: self.plan.layout.templated(),
            why,
            reason,
            trouble: self.voice.trouble(),
        };
        errors::classify(code, &failed)
    }

    /// Makes a new producer where this one is beyond repair, or has kept a record for too long.
    async fn replace_if_broken(&mut self) -> Result<(), EgressError> {
        let late = self
            .flights
            .oldest()
            .is_some_and(|since| since.elapsed() > self.plan.timeout);
        let (why, reason) = match self.voice.fatal() {
            Some(fatal) => (fatal, Reason::Reset),
            None if late => (
                format!("not confirmed within {:?}", self.plan.timeout),
                Reason::Timeout,
            ),
            None => return Ok(()),
        };
        tracing::warn!(destination = %self.plan.name, why, "kafka producer is replaced; what was on its way is sent again");
        // A refused record dooms its producer, too. If it was the last one on its way, what was not handed over yet
        // has nobody to pass: whatever comes again has taken its line back. It goes to the new producer, and no failure
        // is told of it.
        let untouched = self.flights.oldest().is_none();
        // Purges: each record that is still here is reported before the producer is gone.
        self.throw_away().await;
        self.collect_for(Some(&why), reason);
        let failed = Failed {
            topic: &self.plan.topic,
            templated: false,
            why: Some(&why),
            reason,
            trouble: self.voice.trouble(),
        };
        let handed = errors::gone(&failed);
        let kept = SendError::destination(reason, handed.detail.clone());
        if !untouched {
            self.flights.fail_all(&handed, &kept);
            self.sending = None;
        }
        if std::mem::take(&mut self.shrink) {
            self.batch_bytes = (self.batch_bytes / 2).max(1);
        }
        self.connect()
    }

    /// Drops the producer where blocking does no harm: it joins a thread and purges.
    async fn throw_away(&mut self) {
        if let Some(producer) = self.producer.take() {
            // Fails only when the runtime is ending, and then nothing is left to wait for.
            let _ = tokio::task::spawn_blocking(move || drop(producer)).await;
        }
    }

    /// Hands the current batch over, as far as librdkafka's queue has room.
    async fn hand_over(&mut self) {
        let Some(slot) = self.sending else { return };
        let plan = self.plan.clone();
        let mut looked_up = false;
        while let Some((_, event)) = self.flights.next(slot) {
            let topic = match plan.layout.topic(event) {
                Ok(topic) => topic,
                Err(error) => {
                    self.flights.refused(slot, error);
                    continue;
                }
            };
            // While no broker answers, one look-up for each batch finds out whether that has changed.
            let known = if self.voice.waiting() && !looked_up {
                None
            } else {
                self.topics.get(&topic)
            };
            let refusal = match known {
                Some(found) => refusal(found, &topic, &plan),
                None => {
                    let found = self.look_up(&topic).await;
                    looked_up = true;
                    if let Found::NoAnswer(_) = found {
                        let error = found
                            .error(&topic, false)
                            .unwrap_or_else(|| errors::missing(&topic, false));
                        self.flights.refused_rest(slot, &error);
                        break;
                    }
                    refusal(&found, &topic, &plan)
                }
            };
            if let Some(error) = refusal {
                self.flights.refused(slot, error);
                continue;
            }
            match self.hand(slot, &topic) {
                Handed::Yes => self.flights.handed(slot),
                Handed::Full => return,
                Handed::No(error) => self.flights.refused(slot, error),
            }
        }
        self.sending = None;
    }

    fn hand(&mut self, slot: u32, topic: &str) -> Handed {
        let (Some((ticket, event)), Some(producer)) = (self.flights.next(slot), &self.producer) else {
            return Handed::Full;
        };
        let layout = &self.plan.layout;
        let (key, headers) = match (layout.key(event), layout.headers(event, &mut self.scratch)) {
            (Ok(key), Ok(headers)) => (key, headers),
            (Err(error), _) | (_, Err(error)) => return Handed::No(error),
        };
        let value = layout.value(event, &mut self.scratch);
        let record = BaseRecord {
            topic,
            partition: self.plan.partition,
            payload: value,
            key: key.as_deref(),
            timestamp: None,
            headers: Some(headers),
            delivery_opaque: opaque(ticket),
        };
        match producer.send(record) {
            Ok(()) => {
                crash::point("kafka.sent");
                Handed::Yes
            }
            Err((KafkaError::MessageProduction(Code::QueueFull), _)) => Handed::Full,
            // The loop replaces the producer, and gives the rest of the batch back.
            Err((KafkaError::MessageProduction(Code::Fatal), _)) => {
                let why = producer
                    .client()
                    .fatal_error()
                    .map_or_else(|| "fatal error".into(), |(_, why)| why);
                self.voice.doom(&why);
                Handed::Full
            }
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                let failed = Failed {
                    topic,
                    templated: layout.templated(),
                    why: None,
                    reason: Reason::Reset,
                    trouble: self.voice.trouble(),
                };
                Handed::No(errors::classify(code, &failed))
            }
        }
    }

    /// Asks the brokers for a topic, while reports go on being settled.
    async fn look_up(&mut self, topic: &str) -> Found {
        let Some(producer) = self.producer.clone() else {
            return Found::NoAnswer("stopping".into());
        };
        let (plan, name) = (self.plan.clone(), topic.to_string());
        let runtime = tokio::runtime::Handle::current();
        let mut asked = tokio::task::spawn_blocking(move || plan.look_up(&runtime, &producer, &name));
        let inbox = self.inbox.clone();
        let found = loop {
            tokio::select! {
                biased;
                found = &mut asked => break found.unwrap_or_else(|error| Found::NoAnswer(error.to_string())),
                () = inbox.wake.notified() => self.collect(),
            }
        };
        self.topics.put(topic, found.clone());
        match found.error(topic, false) {
            None => self.report.health(Health::Ready),
            Some(_) if matches!(found, Found::NoAnswer(_)) => self.voice.all_down(),
            // A template that names a bad topic says nothing about the destination.
            Some(_) if self.plan.layout.templated() => {}
            Some(error) => self.report.health(Health::Waiting(error.to_string())),
        }
        found
    }
}

enum Handed {
    Yes,
    /// Not now: the queue is full.
    Full,
    No(SendError),
}

fn refusal(found: &Found, topic: &str, plan: &Plan) -> Option<SendError> {
    if let (Found::Partitions(count), Some(partition)) = (found, plan.partition)
        && partition >= *count
    {
        let text = format!("kafka topic `{topic}` has {count} partitions, and `partition` names {partition}");
        return Some(SendError::destination(Reason::Misconfigured, text));
    }
    found.error(topic, plan.layout.templated())
}
