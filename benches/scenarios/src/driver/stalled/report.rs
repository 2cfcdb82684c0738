//! What a case says: a line for machines, a row for people, the seconds of the stall, and which promises it broke.

use super::{Case, FLOWS, Feed, STALLED};
use crate::Failure;
use crate::books::{Second, Totals, quantile_ms};
use crate::driver::watch::Peaks;

/// What each of the other flows must keep of its rate.
const KEPT: f64 = 0.95;
/// A refusal's latency at p99, in milliseconds (C21).
const REFUSAL_MS: f64 = 50.0;
/// A refusal that took so long, in microseconds, is no want of room but the request's deadline of 30 s (C8): it had its
/// place, and waited there for the stalled destination.
const DEADLINE_US: u32 = 29_500_000;
/// Where what was offered differs by more than this part from what was due, the sender was the limit.
const OFFERED_OFF: f64 = 0.03;

/// All that a case found: sums of each flow, and totals.
#[derive(Debug, Clone)]
pub struct Report {
    /// The case.
    pub case: Case,
    /// Before the stall.
    pub before: Vec<Second>,
    /// During it.
    pub during: Vec<Second>,
    /// After it.
    pub after: Vec<Second>,
    /// During it, by second.
    pub second_by_second: Vec<Vec<Second>>,
    /// The whole run.
    pub totals: Totals,
    /// The most resident memory of all.
    pub peak_mib: f64,
    /// The most of other things up to the end of the stall.
    pub peaks: Peaks,
}

/// The head of the table.
pub const HEAD: &str = "\
| fed by | memory, event | rate/s of each | the seven: least kept of the rate, each | least in one second | after | p99 ms before, \
during | stalled: answers accepted, refused, at the deadline, unknown | refusals p50/p99/max ms | accepted | lost | twice | peak MiB |
|---|---|---|---|---|---|---|---|---|---|---|---|---|";

impl Report {
    /// Whether the stall happened, and the senders kept their rate.
    ///
    /// # Errors
    /// Not so: the case is void.
    pub fn valid(&self) -> Result<(), Failure> {
        let stalled = &self.during[STALLED];
        // A few may end while the switch is thrown.
        if stalled.arrived > self.case.rate / 10 {
            return Err(format!("void: the stalled destination took {} events", stalled.arrived).into());
        }
        let due = self.case.rate as f64 * self.case.seconds as f64;
        for (flow, second) in self.during.iter().enumerate() {
            let offered = second.offered as f64;
            if (offered / due - 1.0).abs() > OFFERED_OFF {
                return Err(
                    format!("void: {offered} events were offered to flow {flow}, {due} were due").into(),
                );
            }
        }
        if self.totals.accepted < 10_000 {
            return Err(format!("void: {} events accepted", self.totals.accepted).into());
        }
        Ok(())
    }

    /// What may never be, whatever the machine: the run fails with it.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let totals = &self.totals;
        let each = [
            (totals.lost, "were acknowledged and are lost (C1)"),
            (
                totals.refused_arrived,
                "were refused and arrived all the same (C8)",
            ),
            (totals.changed, "arrived otherwise than they were sent (C2)"),
        ];
        let broken = each.into_iter().filter(|(count, _)| *count > 0);
        broken
            .map(|(count, what)| format!("{count} events {what}"))
            .collect()
    }

    /// Which figures are not as they should be. A busy machine may be why.
    #[must_use]
    pub fn missed(&self) -> Vec<&'static str> {
        let mut missed = Vec::new();
        if self.kept().any(|kept| kept < KEPT) {
            missed.push("rate");
        }
        if quantile_ms(&self.refusals(), 990).is_some_and(|p99| p99 > REFUSAL_MS) {
            missed.push("refusals");
        }
        // No more can have waited than had a place, each once in a deadline.
        let turns = self.case.seconds as f64 / (f64::from(DEADLINE_US) / 1e6) + 1.0;
        if self.refused_late() as f64 > self.peaks.unsettled * turns {
            missed.push("late");
        }
        missed
    }

    /// What refusals of the stalled one's senders took for want of room, in microseconds.
    fn refusals(&self) -> Vec<u32> {
        let took = self.during[STALLED].refuse_us.iter().copied();
        took.filter(|took| *took < DEADLINE_US).collect()
    }

    /// How many of them waited until their deadline instead.
    fn refused_late(&self) -> usize {
        self.during[STALLED].refuse_us.len() - self.refusals().len()
    }

    /// Of each of the seven: its rate during the stall, as a part of that before.
    fn kept(&self) -> impl Iterator<Item = f64> {
        let ratio = |flow| self.rate(&self.during, flow, self.case.seconds) / self.rate_before(flow);
        (0..FLOWS).filter(|flow| *flow != STALLED).map(ratio)
    }

    fn rate(&self, phase: &[Second], flow: usize, seconds: usize) -> f64 {
        phase[flow].arrived as f64 / seconds as f64
    }

    fn rate_before(&self, flow: usize) -> f64 {
        self.rate(&self.before, flow, super::BEFORE)
    }

    /// The least that came through in one second of the stall, all seven together, as a part of their rate before.
    fn worst_second(&self) -> f64 {
        let before: f64 = self.healthy().map(|flow| self.rate_before(flow)).sum();
        let second = |at: usize| {
            let arrived = self.healthy().map(|flow| self.second_by_second[flow][at].arrived);
            arrived.sum::<usize>() as f64 / before
        };
        (0..self.case.seconds).map(second).fold(f64::INFINITY, f64::min)
    }

    fn healthy(&self) -> impl Iterator<Item = usize> {
        (0..FLOWS).filter(|flow| *flow != STALLED)
    }

    fn transit_p99(&self, phase: &[Second]) -> f64 {
        let all: Vec<u32> = self
            .healthy()
            .flat_map(|flow| phase[flow].transit_us.iter().copied())
            .collect();
        quantile_ms(&all, 990).unwrap_or_default()
    }

    fn after_kept(&self) -> f64 {
        let ratio = |flow| self.rate(&self.after, flow, super::AFTER - 1) / self.rate_before(flow);
        self.healthy().map(ratio).fold(f64::INFINITY, f64::min)
    }

    /// The seconds of the stall: what came through at the seven, and what senders to the stalled one saw.
    #[must_use]
    pub fn seconds(&self) -> String {
        let mut text =
            String::from("second: the seven each | stalled: accepted refused unknown, refusals p99 ms\n");
        for at in 0..self.case.seconds {
            let each: Vec<String> = self
                .healthy()
                .map(|flow| self.second_by_second[flow][at].arrived.to_string())
                .collect();
            let Second {
                accepted,
                refused,
                unknown,
                refuse_us,
                ..
            } = &self.second_by_second[STALLED][at];
            let p99 = quantile_ms(refuse_us, 990).map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
            text += &format!(
                "{at:3}: {} | {accepted} {refused} {unknown}, {p99}\n",
                each.join(" ")
            );
        }
        text
    }

    /// One row of the table.
    #[must_use]
    pub fn row(&self) -> String {
        let kept: Vec<f64> = self.kept().collect();
        let each: Vec<String> = kept.iter().map(|kept| format!("{:.1}", kept * 100.0)).collect();
        let least = kept.iter().copied().fold(f64::INFINITY, f64::min);
        let (stalled, totals) = (&self.during[STALLED], &self.totals);
        let refused = self.refusals();
        let at = |per_mille| quantile_ms(&refused, per_mille);
        let refusals = match (at(500), at(990), at(1000)) {
            (Some(p50), Some(p99), Some(max)) => format!("{p50:.1} / {p99:.1} / {max:.0}"),
            _ => "none".to_owned(),
        };
        format!(
            "| {} | {} MiB, {} B | {} | {:.1} %: {} | {:.0} % | {:.1} % | {:.1}, {:.1} | {}, {}, {}, {} | {refusals} | {} | {} | {} | {:.0} |",
            self.name(),
            self.case.memory_mib,
            self.case.event_bytes,
            self.case.rate,
            least * 100.0,
            each.join(" "),
            self.worst_second() * 100.0,
            self.after_kept() * 100.0,
            self.transit_p99(&self.before),
            self.transit_p99(&self.during),
            stalled.accepted,
            refused.len(),
            self.refused_late(),
            stalled.unknown,
            totals.accepted,
            totals.lost,
            totals.duplicates,
            self.peak_mib,
        )
    }

    /// What feeds the destinations, in words.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.case.feed {
            Feed::Http => "one HTTP ingress",
            Feed::Kafka => "8 Kafka ingresses",
            Feed::KafkaTopics => "8 topics of one Kafka ingress",
            Feed::Mqtt => "8 MQTT ingresses",
        }
    }

    /// One line of `name=value`.
    #[must_use]
    pub fn line(&self) -> String {
        let (stalled, totals) = (&self.during[STALLED], &self.totals);
        let kept: Vec<String> = self.kept().map(|kept| format!("{kept:.4}")).collect();
        let refused = self.refusals();
        let refuse = |per_mille| quantile_ms(&refused, per_mille).unwrap_or_default();
        let missed = self.missed().join(",");
        format!(
            "stalled feed={:?} memory_mib={} event_bytes={} rate={} seconds={} kept={} worst_second={:.3} after={:.4} \
             transit_p99_before_ms={:.2} transit_p99_during_ms={:.2} stalled_accepted={} stalled_refused={} \
             stalled_late={} stalled_unknown={} refuse_p50_ms={:.2} refuse_p99_ms={:.2} refuse_max_ms={:.2} offered={} accepted={} \
             arrived={} unsent={} lost={} refused_arrived={} duplicates={} changed={} peak_mib={:.1} unsettled={} \
             used_mib={:.1} missed={}",
            self.case.feed,
            self.case.memory_mib,
            self.case.event_bytes,
            self.case.rate,
            self.case.seconds,
            kept.join(","),
            self.worst_second(),
            self.after_kept(),
            self.transit_p99(&self.before),
            self.transit_p99(&self.during),
            stalled.accepted,
            refused.len(),
            self.refused_late(),
            stalled.unknown,
            refuse(500),
            refuse(990),
            refuse(1000),
            totals.offered,
            totals.accepted,
            totals.arrived,
            totals.unsent,
            totals.lost,
            totals.refused_arrived,
            totals.duplicates,
            totals.changed,
            self.peak_mib,
            self.peaks.unsettled,
            self.peaks.used_bytes / 1024.0 / 1024.0,
            if missed.is_empty() { "nothing" } else { &missed },
        )
    }
}
