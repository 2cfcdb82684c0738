//! The way of a leg to where it waits, or to several places: a multicast inside another plan is split here.

use std::sync::Arc;

use tokio::time::Instant;

use super::leg::Leg;
use super::origin::{Join, Origin};
use crate::routing::plan::{Asker, NodeId, Steps, Target};

/// Queues a leg at a target, splitting it where the target is a multicast.
pub fn forward(mut leg: Leg, target: Target) {
    let wiring = Arc::clone(&leg.duty.wiring);
    match target {
        Target::To(id) => wiring.destination(id).push_one(leg),
        Target::Log(id) => _ = wiring.log(id).push(leg, None),
        Target::All(node) => {
            let parts = wiring.table.plans.parts(node);
            leg.duty.arrived = Instant::now();
            let (event, route, since, expires) = (
                leg.event.clone(),
                leg.duty.route,
                leg.duty.since,
                leg.duty.expires,
            );
            // A dead letter stays one: it has no other dead letter to go to.
            let (dead_letter, replays) = (leg.duty.dead_letter, leg.duty.replays);
            // It is nowhere itself any more; its branches are.
            leg.duty.visit = None;
            let join = Join::new(leg, parts.len());
            for part in parts {
                let origin = Origin::Join(Arc::clone(&join));
                let mut branch = Leg::new(event.clone(), origin, Arc::clone(&wiring), route, since);
                branch.duty.expires = expires;
                branch.duty.dead_letter = dead_letter;
                branch.duty.replays = replays;
                start(branch, part);
            }
        }
    }
}

/// Queues a fresh leg at the node of its plan.
pub fn start(mut leg: Leg, node: NodeId) {
    leg.duty.steps = Steps::new();
    let target = go_on(&mut leg, node);
    forward(leg, target);
}

/// Chooses from `node` down where a leg goes on, behind the choices that led it there.
pub(super) fn go_on(leg: &mut Leg, node: NodeId) -> Target {
    let wiring = Arc::clone(&leg.duty.wiring);
    let mut steps = std::mem::take(&mut leg.duty.steps);
    let target = wiring.table.plans.descend(node, asker(leg), &mut steps);
    leg.duty.steps = steps;
    target
}

/// A leg as one that asks for its way.
pub(super) fn asker(leg: &Leg) -> Asker<'_> {
    Asker {
        key: &leg.event,
        view: &*leg.duty.wiring,
        held: leg.duty.is_stored(),
    }
}
