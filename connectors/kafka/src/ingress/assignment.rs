//! Partitions that come and go.
//!
//! Invariant: a lane is open exactly while its partition is ours.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use rdkafka::consumer::Consumer;
use weft_api::ingress::{IngressError, LaneSpec, Settle};
use weft_api::status::Health;

use super::consumer::ConsumerLoop;
use super::context::{Change, Place};
use super::partition::{Flow, Partition};

impl ConsumerLoop {
    pub(super) fn changes(&mut self) -> Result<(), IngressError> {
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
        let partition = Partition::new(place.clone(), lane, watermark, self.plan.window);
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

    pub(super) fn shut(&mut self, place: &Place) {
        let Some(index) = self.by_place.remove(place) else {
            return;
        };
        if let Some(partition) = self.partitions[index].take() {
            self.by_lane.remove(&partition.lane.index);
            self.cx.lanes.close(partition.lane);
        }
    }

    /// Takes nothing more in: what waits goes to the next owner, or to us after the restart.
    pub(super) fn drain(&mut self) {
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
}
