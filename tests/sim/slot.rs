//! Holds a run against the state machine of `docs/slot.md`: what was seen of each message, at the remote that it came
//! from and at those that it went to, must be a path through the table there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use weft_api::outcome::Outcome;
use weft_inproc::{Happening, Stamp};

use crate::case::{Case, key_of};
use crate::world::World;

/// States that leave a trace outside; the others are passed through unseen.
const VISIBLE: [&str; 6] = ["none", "admitted", "in flight", "settled", "rewound", "revoked"];

/// The transitions of the table.
pub(crate) struct Machine {
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Machine {
    /// Reads the table under "Transitions".
    pub(crate) fn read(page: &str) -> Machine {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let table = page
            .split("## Transitions")
            .nth(1)
            .expect("the page has its transitions");
        let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
        for row in rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>()) {
            let [_, from, _, to, _, _] = row[..] else {
                panic!("a row has four columns: {row:?}")
            };
            edges.entry(from.to_owned()).or_default().insert(to.to_owned());
        }
        Machine { edges }
    }

    pub(crate) fn states(&self) -> BTreeSet<&str> {
        self.edges
            .iter()
            .flat_map(|(from, to)| to.iter().chain([from]))
            .map(String::as_str)
            .collect()
    }

    /// Whether `to` follows `from` with nothing visible between them.
    pub(crate) fn leads(&self, from: &str, to: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(state) = open.pop() {
            for next in self.edges.get(state).into_iter().flatten() {
                if next == to {
                    return true;
                }
                if !VISIBLE.contains(&next.as_str()) && seen.insert(next.as_str()) {
                    open.push(next);
                }
            }
        }
        false
    }

    /// Every step of a run that the table does not have.
    pub(crate) fn check(&self, case: &Case, world: &World) -> Vec<String> {
        let mut wrong = Vec::new();
        for (id, mut steps) in traces(case, world) {
            steps.sort_by_key(|(stamp, _)| *stamp);
            let mut state = "none";
            let mut lives_ended = false;
            for (_, step) in steps {
                // A leg of a life that has ended may still be on its way; it reports to nobody.
                let straggler = step == "in flight" && lives_ended && !self.leads(state, step);
                lives_ended |=
                    matches!(step, "rewound" | "revoked") || state == "settled" && step == "admitted";
                if straggler {
                    continue;
                }
                if !self.leads(state, step) && state != step {
                    wrong.push(format!("docs/slot.md: {id} went from {state} to {step}"));
                }
                state = step;
            }
        }
        wrong
    }
}

/// The visible steps of each message.
fn traces(case: &Case, world: &World) -> HashMap<String, Vec<(Stamp, &'static str)>> {
    let keys: HashMap<(usize, u32, u64), &str> = case
        .load
        .iter()
        .map(|load| ((load.ingress, load.lane, load.offset), load.key.as_str()))
        .collect();
    let mut traces: HashMap<String, Vec<(Stamp, &'static str)>> = HashMap::new();
    for (number, feed) in world.feeds.iter().enumerate() {
        // What is unsettled, by lane: these are the messages that a rewind or a revoke concerns.
        let mut unsettled: HashMap<u32, BTreeSet<u64>> = HashMap::new();
        for entry in feed.history() {
            let open = unsettled.entry(entry.lane).or_default();
            let mut note = |offset: u64, step| {
                traces
                    .entry(keys[&(number, entry.lane, offset)].to_owned())
                    .or_default()
                    .push((entry.stamp, step));
            };
            match entry.what {
                Happening::Delivered { offset, .. } => {
                    open.insert(offset);
                    note(offset, "admitted");
                }
                Happening::Settled { offset, outcome } => {
                    open.remove(&offset);
                    let finally = matches!(outcome, Outcome::Accepted | Outcome::Rejected(_));
                    // A request that was given up at its deadline may have legs under way that nobody waits for.
                    note(offset, if finally { "settled" } else { "revoked" });
                }
                Happening::HungUp { offset } => {
                    open.remove(&offset);
                    note(offset, "revoked");
                }
                // Heard as settled by us, and not by the remote.
                Happening::AckLost { .. } => {}
                Happening::Rewound { .. } => std::mem::take(open)
                    .into_iter()
                    .for_each(|offset| note(offset, "rewound")),
                // Opened anew: the life before has ended, however it did.
                Happening::Opened { .. } | Happening::Revoked => {
                    std::mem::take(open)
                        .into_iter()
                        .for_each(|offset| note(offset, "revoked"));
                }
            }
        }
    }
    for sink in &world.sinks {
        for attempt in sink.attempts() {
            traces
                .entry(key_of(&attempt.event))
                .or_default()
                .push((attempt.stamp, "in flight"));
        }
    }
    traces
}
