//! Between the brokers and the lanes: credit, spill, pause, and going back.
//!
//! Invariant: a partition is resumed only if it was paused. A resume without a pause throws the prefetch away, and
//! librdkafka does not fetch it again: its records would be skipped.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};
use weft_api::ingress::{LaneEvent, LaneId};

use super::consumer::ConsumerLoop;
use super::lag;
use super::partition::{Flow, Partition};

/// How long a seek may take before it is tried again.
const SEEK: Duration = Duration::from_secs(1);

/// How long a full spill keeps records in the client's own queue before its partition is paused. A pause throws the
/// prefetch away and costs some 400 ms; most spills have room again long before that.
const PATIENCE: Duration = Duration::from_millis(500);

impl ConsumerLoop {
    /// Whether records stay in the client's queue for now: a spill is full, and its partition not paused.
    pub(super) fn holds_back(&self) -> bool {
        let full = |partition: &Partition| partition.flow == Flow::Open && partition.full_since.is_some();
        self.partitions.iter().flatten().any(full)
    }

    pub(super) fn pump_touched(&mut self) {
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
        partition.full_since = match partition.full_since {
            Some(since) if waiting > share / 2 => Some(since),
            _ => (waiting > share).then(Instant::now),
        };
        let stuck = partition
            .full_since
            .is_some_and(|since| since.elapsed() >= PATIENCE);
        match partition.flow {
            Flow::Open if stuck => self.switch(index, Flow::Paused),
            Flow::Paused if waiting <= share / 4 && !self.draining => self.switch(index, Flow::Open),
            _ => {}
        }
    }

    pub(super) fn switch(&mut self, index: usize, to: Flow) {
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

    pub(super) fn said(&mut self, lane: LaneId, event: LaneEvent) {
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

    pub(super) fn tick(&mut self) {
        self.ticked_at = Instant::now();
        self.client.context().voice.tick();
        for index in 0..self.partitions.len() {
            self.seek(index);
            self.touch(index);
        }
        self.look_at_ends();
        self.look_at_commits();
    }

    fn look_at_ends(&mut self) {
        if self.looked_at.elapsed() < lag::LOOK_EVERY {
            return;
        }
        let mut list = TopicPartitionList::new();
        let paused = self
            .partitions
            .iter()
            .flatten()
            .filter(|p| p.flow == Flow::Paused);
        for Partition { place, .. } in paused {
            list.add_partition(&place.0, place.1);
        }
        self.client.context().ends.look(&self.client, list);
        self.looked_at = Instant::now();
    }
}
