//! The way of a leg into a queue, or into several: a multicast inside another plan is split here.

use std::sync::Arc;

use tokio::time::Instant;

use super::leg::Leg;
use super::origin::{Join, Origin};
use crate::routing::plan::{NodeId, Steps, Target};

/// Queues a leg at a target, splitting it where the target is a multicast.
pub fn forward(mut leg: Leg, target: Target) {
    match target {
        Target::To(id) => {
            let wiring = Arc::clone(&leg.duty.wiring);
            wiring.destination(id).push_one(leg);
        }
        Target::All(node) => {
            let wiring = Arc::clone(&leg.duty.wiring);
            let parts = wiring.table.plans.parts(node);
            leg.duty.arrived = Instant::now();
            let (event, route, since, expires) = (
                leg.event.clone(),
                leg.duty.route,
                leg.duty.since,
                leg.duty.expires,
            );
            // A dead letter stays one: it has no other dead letter to go to.
            let dead_letter = leg.duty.dead_letter;
            // It is nowhere itself any more; its branches are.
            leg.duty.visit = None;
            let join = Join::new(leg, parts.len());
            for part in parts {
                let origin = Origin::Join(Arc::clone(&join));
                let mut branch = Leg::new(event.clone(), origin, Arc::clone(&wiring), route, since);
                branch.duty.expires = expires;
                branch.duty.dead_letter = dead_letter;
                start(branch, part);
            }
        }
    }
}

/// Queues a fresh leg at the node of its plan.
pub fn start(mut leg: Leg, node: NodeId) {
    let wiring = Arc::clone(&leg.duty.wiring);
    let mut steps = Steps::new();
    let target = wiring.table.plans.descend(node, &leg.event, &*wiring, &mut steps);
    leg.duty.steps = steps;
    forward(leg, target);
}
