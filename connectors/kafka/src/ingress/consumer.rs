//! The consumer's loop: settlements, then records, then sleep.
//!
//! Owns: the client, the partitions and the lanes. Everything here runs on one thread, the rebalance callbacks
//! included, so that nothing has to be locked.
//! Invariants
//! - Settlements go first, so that credit and watermarks are as new as can be.
//! - The queue is polled all the time, whatever the credit (`max.poll.interval.ms`).
//! - The loop sleeps only after a poll that found the queue empty: librdkafka wakes a sleeper on the way from empty to
//!   not empty only. `TICK` bounds what a lost wake-up could cost.
//!
//! Does not know: headers and payloads (`mapping`), what a watermark is made of (`partition`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};
use weft_api::ingress::{Incoming, IngressContext, IngressError, LaneEvent};
use weft_api::stop::Phase;

use super::commit::Committer;
use super::context::{Context, Place};
use super::partition::Partition;
use super::{Plan, connect};
use crate::client::voice::Voice;
use crate::mapping::ingress::{Mapped, Mapper};

/// Most records of one round; settlements are looked at between rounds.
const ROUND_RECORDS: usize = 500;
/// Most bytes of one round, which bounds how far a spill can overshoot.
const ROUND_BYTES: usize = 1 << 20;
/// How long the loop sleeps at most.
const TICK: Duration = Duration::from_millis(100);

/// Runs until the stop, until `gone` (nobody waits for us any more), or until the client cannot go on.
pub(super) async fn run(
    plan: Arc<Plan>,
    cx: IngressContext,
    mut gone: oneshot::Receiver<()>,
) -> Result<(), IngressError> {
    let wake = Arc::new(Notify::new());
    let mut consumer = ConsumerLoop::start(plan, cx, &wake)?;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let result = loop {
        match consumer.round() {
            Err(error) => break Err(error),
            Ok(Round::Stopped) => break Ok(()),
            Ok(Round::More) if gone.try_recv() == Err(TryRecvError::Empty) => {
                // A loop that always finds more never sleeps: what waits for the tick must not wait for that.
                if consumer.ticked_at.elapsed() >= TICK {
                    consumer.tick();
                }
                continue;
            }
            Ok(Round::More) => break Ok(()),
            Ok(Round::Idle) => {}
        }
        let stop = consumer.cx.stop.clone();
        let phase = stop.phase();
        tokio::select! {
            biased;
            (lane, event) = consumer.cx.lanes.next() => consumer.said(lane, event),
            () = wake.notified() => {}
            _ = tick.tick() => consumer.tick(),
            () = stop.draining(), if phase == Phase::Running => {}
            () = stop.stopped() => {}
            _ = &mut gone => break Ok(()),
        }
    };
    consumer.close();
    result
}

enum Round {
    /// There may be more to do at once.
    More,
    /// Nothing to do until something happens.
    Idle,
    /// The router said stop.
    Stopped,
}

pub(super) struct ConsumerLoop {
    pub(super) plan: Arc<Plan>,
    pub(super) cx: IngressContext,
    pub(super) client: Arc<BaseConsumer<Context>>,
    pub(super) mapper: Mapper,
    pub(super) partitions: Vec<Option<Partition>>,
    pub(super) by_place: HashMap<Place, usize>,
    pub(super) by_lane: HashMap<u32, usize>,
    /// The partition of the last record: runs of records are of one partition.
    pub(super) last: usize,
    pub(super) touched: Vec<usize>,
    pub(super) batch: Vec<Incoming>,
    pub(super) tombstones: u64,
    pub(super) draining: bool,
    pub(super) committer: Committer,
    /// When the ends of paused partitions were last asked for.
    pub(super) looked_at: Instant,
    pub(super) ticked_at: Instant,
}

impl ConsumerLoop {
    fn start(plan: Arc<Plan>, cx: IngressContext, wake: &Arc<Notify>) -> Result<ConsumerLoop, IngressError> {
        let brokers = plan.section.brokers.join(",");
        let voice = Voice::new(brokers.clone(), cx.report.clone());
        let context = Context::new(voice, cx.report.clone(), &plan);
        let mut client = connect(&plan, context)?;
        let nonempty = wake.clone();
        client.set_nonempty_callback(move || nonempty.notify_one());
        let topics: Vec<&str> = plan.section.topics.iter().map(String::as_str).collect();
        client
            .subscribe(&topics)
            .map_err(|error| IngressError(format!("subscribing to {}: {error}", topics.join(", "))))?;
        tracing::info!(ingress = %cx.name, group = plan.section.group, brokers, "kafka joining the group");
        let client = Arc::new(client);
        let committer = Committer::start(&cx.name, client.clone(), wake.clone())?;
        Ok(ConsumerLoop {
            mapper: Mapper::new(plan.mapping.clone()),
            plan,
            cx,
            client,
            partitions: Vec::new(),
            by_place: HashMap::new(),
            by_lane: HashMap::new(),
            last: 0,
            touched: Vec::new(),
            batch: Vec::new(),
            tombstones: 0,
            draining: false,
            committer,
            looked_at: Instant::now(),
            ticked_at: Instant::now(),
        })
    }

    fn round(&mut self) -> Result<Round, IngressError> {
        match self.cx.stop.phase() {
            Phase::Running => {}
            Phase::Draining => self.drain(),
            Phase::Stopped => return Ok(Round::Stopped),
        }
        while let Some((lane, event)) = self.cx.lanes.try_next() {
            self.said(lane, event);
        }
        self.hear_of_commits()?;
        let held_back = self.holds_back();
        let idle = held_back || self.poll()?;
        self.pump_touched();
        self.commit_when_due();
        if held_back && !self.holds_back() {
            return Ok(Round::More);
        }
        Ok(if idle { Round::Idle } else { Round::More })
    }

    /// Polls one round of records. Returns whether the queue was found empty.
    fn poll(&mut self) -> Result<bool, IngressError> {
        let client = self.client.clone();
        let mut bytes = 0;
        for _ in 0..ROUND_RECORDS {
            if bytes > ROUND_BYTES {
                break;
            }
            let calls = client.context().calls();
            match client.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    bytes += message.payload_len();
                    self.record(&message);
                }
                Some(Err(error)) => self.polled_error(&error)?,
                None if client.context().calls() == calls => return Ok(true),
                None => self.changes()?,
            }
            self.changes_if_any(&client, calls)?;
        }
        Ok(false)
    }

    fn changes_if_any(&mut self, client: &BaseConsumer<Context>, calls: u64) -> Result<(), IngressError> {
        if client.context().calls() == calls {
            Ok(())
        } else {
            self.changes()
        }
    }

    fn record(&mut self, message: &BorrowedMessage<'_>) {
        // A record of a partition that is not ours any more: its next owner gets it.
        let Some(index) = self.find(message.topic(), message.partition()) else {
            return;
        };
        if self.draining {
            return;
        }
        let mapped = self.mapper.map(message);
        let Some(partition) = &mut self.partitions[index] else {
            return;
        };
        match mapped {
            Mapped::Event(event) => partition.polled(event.into(), message.offset()),
            Mapped::Malformed(event) => {
                partition.polled(
                    Incoming {
                        event,
                        malformed: true,
                    },
                    message.offset(),
                );
            }
            Mapped::Dropped => {
                self.tombstones += 1;
                partition.skipped(message.offset());
            }
        }
        self.touch(index);
    }

    fn find(&mut self, topic: &str, number: i32) -> Option<usize> {
        if let Some(Some(last)) = self.partitions.get(self.last)
            && last.place.1 == number
            && &*last.place.0 == topic
        {
            return Some(self.last);
        }
        let place: Place = (Arc::from(topic), number);
        self.last = *self.by_place.get(&place)?;
        Some(self.last)
    }

    pub(super) fn touch(&mut self, index: usize) {
        if self.touched.last() != Some(&index) {
            self.touched.push(index);
        }
    }

    fn polled_error(&self, error: &KafkaError) -> Result<(), IngressError> {
        let voice = &self.client.context().voice;
        if let KafkaError::MessageConsumptionFatal(_) = error {
            let why = voice.fatal().unwrap_or_else(|| error.to_string());
            return Err(IngressError(format!("the Kafka client cannot go on: {why}")));
        }
        // The callback has heard of it already, with more words, and has said it where it must be said.
        tracing::debug!(%error, "polling kafka");
        Ok(())
    }

    /// Closes the lanes and leaves the group, which commits what is settled. Blocks for as long as the brokers take.
    fn close(mut self) {
        while let Some((lane, event)) = self.cx.lanes.try_next() {
            if let LaneEvent::Settled { .. } = event {
                self.said(lane, event);
            }
        }
        let places: Vec<Place> = self.by_place.keys().cloned().collect();
        for place in &places {
            self.shut(place);
        }
        // Its thread holds the client, too.
        self.committer.close();
        // Dropping the client closes it: the revoke callback stores the watermarks, and they are committed.
        drop(self.client);
    }
}
