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
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};
use weft_api::ingress::{Incoming, IngressContext, IngressError, LaneEvent, LaneId, LaneSpec, Settle};
use weft_api::status::Health;
use weft_api::stop::Phase;

use super::context::{Change, Context, Place};
use super::partition::{Flow, Partition};
use super::{Plan, connect};
use crate::client::voice::Voice;
use crate::mapping::ingress::{Mapped, Mapper};

/// Most records of one round; settlements are looked at between rounds.
const ROUND_RECORDS: usize = 500;
/// Most bytes of one round, which bounds how far a spill can overshoot.
const ROUND_BYTES: usize = 1 << 20;
/// How long the loop sleeps at most.
const TICK: Duration = Duration::from_millis(100);
/// How long a seek may take before it is tried again.
const SEEK: Duration = Duration::from_secs(1);

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
            Ok(Round::More) if gone.try_recv() == Err(TryRecvError::Empty) => continue,
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

struct ConsumerLoop {
    plan: Arc<Plan>,
    cx: IngressContext,
    client: Arc<BaseConsumer<Context>>,
    mapper: Mapper,
    partitions: Vec<Option<Partition>>,
    by_place: HashMap<Place, usize>,
    by_lane: HashMap<u32, usize>,
    /// The partition of the last record: runs of records are of one partition.
    last: usize,
    touched: Vec<usize>,
    batch: Vec<Incoming>,
    tombstones: u64,
    draining: bool,
    committed_at: Instant,
}

impl ConsumerLoop {
    fn start(plan: Arc<Plan>, cx: IngressContext, wake: &Arc<Notify>) -> Result<ConsumerLoop, IngressError> {
        let brokers = plan.section.brokers.join(",");
        let voice = Voice::new(brokers.clone(), cx.report.clone());
        let context = Context::new(
            voice,
            cx.report.clone(),
            plan.section.start,
            plan.section.isolation,
        );
        let mut client = connect(&plan, context)?;
        let wake = wake.clone();
        client.set_nonempty_callback(move || wake.notify_one());
        let topics: Vec<&str> = plan.section.topics.iter().map(String::as_str).collect();
        client
            .subscribe(&topics)
            .map_err(|error| IngressError(format!("subscribing to {}: {error}", topics.join(", "))))?;
        cx.report.health(Health::Waiting(format!(
            "kafka {brokers}: joining group `{}`",
            plan.section.group
        )));
        Ok(ConsumerLoop {
            mapper: Mapper::new(plan.mapping.clone()),
            plan,
            cx,
            client: Arc::new(client),
            partitions: Vec::new(),
            by_place: HashMap::new(),
            by_lane: HashMap::new(),
            last: 0,
            touched: Vec::new(),
            batch: Vec::new(),
            tombstones: 0,
            draining: false,
            committed_at: Instant::now(),
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
        let idle = self.poll()?;
        self.pump_touched();
        self.commit_when_due();
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

    fn touch(&mut self, index: usize) {
        if self.touched.last() != Some(&index) {
            self.touched.push(index);
        }
    }

    fn pump_touched(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for index in touched.drain(..) {
            self.pump(index);
        }
        self.touched = touched;
        if self.tombstones > 0 {
            self.cx
                .report
                .dropped("tombstone", std::mem::take(&mut self.tombstones));
        }
    }

    /// Gives the lane what it has credit for, and opens or closes the flow from the broker.
    fn pump(&mut self, index: usize) {
        let share = self.plan.spill_bytes / (self.by_place.len() as u64).max(1);
        let Some(partition) = &mut self.partitions[index] else {
            return;
        };
        let credit = self.cx.lanes.credit(partition.lane);
        if let Some(first) = partition.take(credit, &mut self.batch) {
            let given = self.cx.lanes.deliver(partition.lane, &mut self.batch);
            debug_assert_eq!(given, first, "the lane and the books count alike");
        }
        let waiting = partition.waiting_bytes();
        match partition.flow {
            Flow::Open if waiting > share => self.switch(index, Flow::Paused),
            Flow::Paused if waiting <= share / 4 && !self.draining => self.switch(index, Flow::Open),
            _ => {}
        }
    }

    fn switch(&mut self, index: usize, to: Flow) {
        let Some(partition) = &mut self.partitions[index] else {
            return;
        };
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&partition.place.0, partition.place.1);
        let done = if to == Flow::Paused {
            self.client.pause(&list)
        } else {
            self.client.resume(&list)
        };
        match done {
            Ok(()) => partition.flow = to,
            Err(error) => tracing::warn!(lane = ?partition.place, %error, "pausing or resuming a partition"),
        }
    }

    fn said(&mut self, lane: LaneId, event: LaneEvent) {
        let Some(&index) = self.by_lane.get(&lane.index) else {
            return;
        };
        let Some(partition) = &mut self.partitions[index] else {
            return;
        };
        match event {
            LaneEvent::Credit => {}
            LaneEvent::Settled { last, .. } => partition.settled(last),
            LaneEvent::Rewind { from } => {
                partition.rewound(lane, from);
                tracing::info!(lane = %format_args!("{}/{}", partition.place.0, partition.place.1), from, "kafka lane rewinds");
                self.seek(index);
            }
        }
        self.touch(index);
    }

    /// Goes back to where the rewound lane begins; tried again with every tick until it is done.
    fn seek(&mut self, index: usize) {
        let Some(partition) = &mut self.partitions[index] else {
            return;
        };
        let Flow::Seeking { to, paused } = partition.flow else {
            return;
        };
        if self.draining {
            // Nothing is delivered any more, from wherever.
            return;
        }
        let (topic, number) = (partition.place.0.clone(), partition.place.1);
        if let Err(error) = self.client.seek(&topic, number, Offset::Offset(to), SEEK) {
            tracing::warn!(topic = %topic, partition = number, offset = to, %error, "seeking back; trying again");
            return;
        }
        partition.flow = if paused { Flow::Paused } else { Flow::Open };
        if paused {
            // What waited is forgotten. If this fails, the next pump tries again.
            self.switch(index, Flow::Open);
        }
    }

    fn tick(&mut self) {
        self.client.context().voice.tick();
        for index in 0..self.partitions.len() {
            self.seek(index);
            self.touch(index);
        }
    }

    fn changes(&mut self) -> Result<(), IngressError> {
        for change in self.client.clone().context().take_changes() {
            match change {
                Change::Failed(why) => return Err(IngressError(format!("kafka: {why}"))),
                Change::Assigned(assigned) => {
                    let (group, count) = (&self.plan.section.group, assigned.len());
                    tracing::info!(ingress = %self.cx.name, %group, count, "kafka partitions assigned");
                    for (place, watermark) in assigned {
                        self.open(place, watermark);
                    }
                    self.cx.report.health(Health::Ready);
                }
                Change::Revoked(revoked) => {
                    tracing::info!(ingress = %self.cx.name, count = revoked.len(), "kafka partitions revoked");
                    for place in revoked {
                        self.shut(&place);
                    }
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, place: Place, watermark: Arc<AtomicI64>) {
        // An assignment that comes again begins a new life.
        self.shut(&place);
        let spec = LaneSpec {
            name: Arc::from(format!("{}/{}", place.0, place.1)),
            window: self.plan.window,
            settle: Settle::InOrder,
        };
        let lane = self.cx.lanes.open(spec);
        let partition = Partition::new(place.clone(), lane, watermark);
        let index = match self.partitions.iter().position(Option::is_none) {
            Some(free) => {
                self.partitions[free] = Some(partition);
                free
            }
            None => {
                self.partitions.push(Some(partition));
                self.partitions.len() - 1
            }
        };
        self.by_place.insert(place, index);
        self.by_lane.insert(lane.index, index);
        if self.draining {
            self.switch(index, Flow::Paused);
        }
    }

    fn shut(&mut self, place: &Place) {
        let Some(index) = self.by_place.remove(place) else {
            return;
        };
        if let Some(partition) = self.partitions[index].take() {
            self.by_lane.remove(&partition.lane.index);
            self.cx.lanes.close(partition.lane);
        }
    }

    /// Takes nothing more in: what waits goes to the next owner, or to us after the restart.
    fn drain(&mut self) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        for index in 0..self.partitions.len() {
            if let Some(partition) = &mut self.partitions[index] {
                partition.forget_waiting();
            }
            self.switch(index, Flow::Paused);
        }
    }

    fn commit_when_due(&mut self) {
        let window = u64::from(self.plan.window.events);
        let full = self
            .partitions
            .iter()
            .flatten()
            .any(|p| p.settled_since_store() >= window);
        if full || self.committed_at.elapsed() >= self.plan.section.commit_every.0 {
            self.committed_at = Instant::now();
            self.commit();
        }
    }

    /// Stores the watermarks and has them committed, without waiting.
    fn commit(&mut self) {
        let mut list = TopicPartitionList::new();
        for partition in self.partitions.iter_mut().flatten() {
            if let Some(offset) = partition.take_store() {
                // Refuses logical offsets only, and a watermark is none.
                let _ =
                    list.add_partition_offset(&partition.place.0, partition.place.1, Offset::Offset(offset));
            }
        }
        if list.count() == 0 {
            return;
        }
        let done = self
            .client
            .store_offsets(&list)
            .and_then(|()| self.client.commit_consumer_state(CommitMode::Async));
        match done {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                tracing::warn!(%error, "storing settled offsets; they go out with the next commit");
                self.partitions
                    .iter_mut()
                    .flatten()
                    .for_each(Partition::not_stored);
            }
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

    /// Stores what is settled, closes the lanes, leaves the group. Blocks for as long as the brokers take.
    fn close(mut self) {
        while let Some((lane, event)) = self.cx.lanes.try_next() {
            if let LaneEvent::Settled { .. } = event {
                self.said(lane, event);
            }
        }
        self.commit();
        let places: Vec<Place> = self.by_place.keys().cloned().collect();
        for place in &places {
            self.shut(place);
        }
        // Dropping the client closes it: the revoke callback runs, and the stored offsets are committed.
        drop(self.client);
    }
}
