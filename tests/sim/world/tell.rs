//! A run in words: for whoever looks at a seed that failed, and to compare one run with another.

use weft_inproc::{Entry, Feed, Happening, Stamp};

use super::World;
use super::router::Router;
use crate::case::{Case, Load, key_of};

impl World {
    /// Everything that could be seen of the run, in order.
    pub(crate) fn trace(&self) -> Vec<(Stamp, String)> {
        let mut lines = Vec::new();
        for (number, sink) in self.sinks.iter().enumerate() {
            for it in sink.attempts() {
                let line = format!(
                    "d{number} is given {} in batch {:?}: {:?}, answered {:?}",
                    key_of(&it.event),
                    it.batch,
                    it.answer,
                    it.answered.map(|(stamp, act)| (stamp.order, act))
                );
                lines.push((it.stamp, line));
            }
            for it in sink.deliveries() {
                let line = format!("d{number} has {}, confirmed: {}", key_of(&it.event), it.confirmed);
                lines.push((it.stamp, line));
            }
        }
        for (number, feed) in self.feeds.iter().enumerate() {
            for entry in feed.history() {
                let line = format!("i{number} lane {}: {:?}", entry.lane, entry.what);
                lines.push((entry.stamp, line));
            }
        }
        for table in &self.log.tables {
            lines.push((
                table.since,
                format!("setup {} in life {}", table.setup, table.life),
            ));
        }
        for it in &self.log.reloads {
            let line = format!(
                "reload from {} to {} ({:?}): {:?}",
                it.from, it.to, it.word, it.result
            );
            lines.push((it.ended, line));
        }
        for it in &self.log.stops {
            lines.push((
                it.ended,
                format!("stopped after {:?}, {} left", it.deadline, it.left),
            ));
        }
        for it in &self.log.kills {
            let how = if it.power { "the power failed" } else { "killed" };
            lines.push((it.at, format!("{how}, again at {:?}", it.again.order)));
        }
        for it in &self.log.glimpses {
            let keys: Vec<_> = it.letters.iter().map(|(id, dead)| (id, &dead.key)).collect();
            lines.push((it.at, format!("dead letters: {keys:?}")));
        }
        for it in &self.log.jobs {
            let progress = it.job.progress();
            lines.push((it.began, format!("job {:?}: {progress:?}", it.order)));
        }
        lines.sort();
        lines
    }

    /// Prints what happened to one message, in order.
    pub(crate) fn tell(&self, case: &Case, key: &str) {
        let Some(load) = case.load.iter().find(|load| load.key == key) else {
            // A destination, or whatever else a line may have.
            let lines = self.trace().into_iter();
            return lines
                .filter(|(_, line)| line.contains(key))
                .for_each(|(stamp, line)| eprintln!("{:>12?} {:>6} {line}", stamp.at, stamp.order));
        };
        let own = |line: &str| {
            let lane = format!("i{} lane {}:", load.ingress, load.lane);
            let offset = format!("offset: {}", load.offset);
            let at_sink = [format!(" {key} in"), format!(" {key},")];
            let of_lane = line.starts_with(&lane) && !line.contains("offset:");
            let of_feed = line.starts_with(&lane)
                && line
                    .split(&offset)
                    .nth(1)
                    .is_some_and(|rest| rest.starts_with([' ', ',']));
            let of_router = ["setup ", "reload ", "stopped ", "killed", "the power", "job "]
                .iter()
                .any(|start| line.starts_with(start));
            of_lane || of_feed || of_router || at_sink.iter().any(|text| line.contains(text.as_str()))
        };
        for (stamp, line) in self.trace().into_iter().filter(|(_, line)| own(line)) {
            eprintln!("{:>12?} {:>6} {line}", stamp.at, stamp.order);
        }
        for kept in &self.log.kept {
            eprintln!("{}", kept.tell());
        }
    }
}

pub(super) fn what_is_stuck(case: &Case, feeds: &[Feed], router: &Router<'_>) -> Vec<String> {
    let mut stuck = Vec::new();
    for load in &case.load {
        if feeds[load.ingress].outcome(load.lane, load.offset).is_none() {
            let history = feeds[load.ingress].history().into_iter();
            let last: Vec<_> = history
                .filter(|entry| concerns(load, entry))
                .map(|entry| (entry.stamp.at, entry.what))
                .collect();
            let last = &last[last.len().saturating_sub(4)..];
            let (key, size) = (&load.key, load.event.size());
            stuck.push(format!("event {key} ({size} B) is not settled: {last:?}"));
        }
    }
    stuck.truncate(5);
    for (_, destination) in router.destinations() {
        let standing = destination.standing();
        if standing.pending_events > 0 {
            let (name, last) = (&destination.name, standing.last_error);
            let (pending, in_flight, breaker) =
                (standing.pending_events, standing.in_flight, standing.breaker);
            stuck.push(format!(
                "{name}: {pending} pending, {in_flight} in flight, breaker {breaker:?}, {last:?}"
            ));
        }
    }
    for log in router.logs() {
        let (name, open, pending) = (&log.name, log.log.open(), log.pending());
        let (durable, full) = (log.log.durable(), log.is_full());
        if pending > 0 {
            stuck.push(format!(
                "log {name}: {open} open, {pending} pending, {durable} durable, full: {full}, {:?}",
                log.log.failure()
            ));
        }
    }
    stuck
}

fn concerns(load: &Load, entry: &Entry) -> bool {
    let own = match entry.what {
        Happening::Delivered { offset, .. }
        | Happening::Settled { offset, .. }
        | Happening::AckLost { offset }
        | Happening::HungUp { offset } => offset == load.offset,
        Happening::Opened { .. } | Happening::Rewound { .. } | Happening::Revoked => true,
    };
    entry.lane == load.lane && own
}
