//! What the store says of its logs, told to those whose legs they are.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use weft_api::crash;
use weft_store::{Keeper, Log};

use super::{DurableQueue, Kind};
use crate::delivery::end::{End, Ender};
use crate::delivery::leg::Leg;

/// Hears of all logs of the store what has become durable, on the thread that writes them.
#[derive(Default)]
pub struct Clerk(RwLock<BTreeMap<Arc<str>, Arc<DurableQueue>>>);

impl Clerk {
    /// From now on it answers for this one, too.
    pub fn add(&self, queue: &Arc<DurableQueue>) {
        let mut queues = self.0.write().unwrap_or_else(PoisonError::into_inner);
        queues.insert(Arc::clone(&queue.log.name), Arc::clone(queue));
        drop(queues);
        // Of what happened before nobody heard.
        if let Some(why) = queue.log.failure() {
            queue.has_failed(Vec::new(), &why);
        }
    }

    fn queue(&self, log: &Log<Leg>) -> Option<Arc<DurableQueue>> {
        let queues = self.0.read().unwrap_or_else(PoisonError::into_inner);
        queues.get(&log.name).cloned()
    }
}

impl Keeper<Leg> for Clerk {
    fn stored(&self, log: &Arc<Log<Leg>>, first: u64, legs: Vec<Leg>) {
        let Some(queue) = self.queue(log) else { return };
        let count = legs.len() as u64;
        queue.metrics.appended.inc_by(count);
        if queue.kind == Kind::Kept {
            log.acknowledge(first..first + count);
        }
        let mut ender = Ender::default();
        for leg in legs {
            let end = match queue.kind {
                Kind::Backlog => End::Stored,
                // A copy for ourselves: nobody waits for its delivery.
                Kind::Kept => End::Delivered,
                Kind::DeadLetters => End::DeadLettered,
            };
            ender.end(leg.duty, end);
        }
        drop(ender);
        crash::point("store.told");
    }

    fn failed(&self, log: &Arc<Log<Leg>>, legs: Vec<Leg>, why: &Arc<str>) {
        let Some(queue) = self.queue(log) else { return };
        queue.has_failed(legs, why);
    }

    fn point(&self, name: &str) {
        crash::point(name);
    }
}
