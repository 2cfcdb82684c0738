//! What a case says: a line for machines, a row for people, and which promises it broke.

use super::search::Found;
use super::{Case, Ingress, Limit};
use crate::books::{Second, Totals, quantile_ms};
use crate::driver::watch::Peaks;

/// The budget may be passed by this part of it: what is in no event.
const OVER_BUDGET: f64 = 1.1;
/// What must come through of the best.
const GOODPUT: f64 = 0.9;
/// A refusal's latency at p99, in milliseconds (C21).
const REFUSAL_MS: f64 = 50.0;
/// How long the return may take, in seconds.
const RETURN_S: usize = 30;

/// How the return went.
#[derive(Debug, Clone, Copy)]
pub struct Return {
    /// Until the backlog was gone, in seconds.
    pub drained_s: usize,
    /// What came through meanwhile, in events a second.
    pub drain_rate: Option<f64>,
    /// Until latency was as before, from then on, in seconds; `None` where it was not within a minute.
    pub normal_s: Option<usize>,
}

/// All that a case found.
#[derive(Debug, Clone)]
pub struct Report {
    /// The case.
    pub case: Case,
    /// What the search found.
    pub found: Found,
    /// What the windows allow to be taken and unsettled.
    pub window: usize,
    /// The worst second's p99 before the overload.
    pub usual_ms: f64,
    /// The overload.
    pub overload: Second,
    /// Requests without an answer when it ended.
    pub open: usize,
    /// Promised events that were not there when it ended.
    pub backlog: usize,
    /// The return.
    pub back: Return,
    /// The whole run.
    pub totals: Totals,
    /// Resident memory at rest.
    pub base_mib: f64,
    /// The most resident memory under normal load.
    pub normal_mib: f64,
    /// The most resident memory of all.
    pub peak_mib: f64,
    /// The most of other things during the overload.
    pub peaks: Peaks,
}

/// The head of the table.
pub const HEAD: &str = "\
| case | memory | sustained/s | offered/s | goodput/s | of the best | accepted | lost | twice | peak MiB (rest, normal) \
| of the budget | unsettled (window) | refusals p50/p99/max ms | back to normal |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

impl Report {
    /// The name of the case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.case.ingress, self.case.limit) {
            (Ingress::Http, Limit::Destination) => "HTTP, slow destination",
            (Ingress::Http, Limit::Cpu) => "HTTP, router's CPU",
            (Ingress::Kafka, _) => "Kafka",
            (Ingress::Amqp, _) => "AMQP",
            (Ingress::Mqtt, _) => "MQTT",
        }
    }

    fn goodput(&self) -> f64 {
        self.overload.arrived as f64 / self.case.seconds as f64
    }

    fn of_the_best(&self) -> f64 {
        self.goodput() / self.found.best.max(self.goodput())
    }

    fn of_the_budget(&self) -> f64 {
        self.peak_mib / self.case.memory_mib as f64
    }

    fn refusals(&self) -> Option<[f64; 3]> {
        let at = |per_mille| quantile_ms(&self.overload.refuse_us, per_mille);
        Some([at(500)?, at(990)?, at(1000)?])
    }

    /// What may never be, whatever the machine: the run fails with it.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let totals = &self.totals;
        let mut broken = Vec::new();
        let mut never = |count: usize, what: &str| {
            if count > 0 {
                broken.push(format!("{count} events {what}"));
            }
        };
        never(totals.lost, "were acknowledged and are lost (C1)");
        never(
            totals.refused_arrived,
            "were refused and arrived all the same (C8)",
        );
        never(totals.changed, "arrived otherwise than they were sent (C2)");
        if self.peaks.unsettled > self.window as f64 {
            let (taken, window) = (self.peaks.unsettled, self.window);
            broken.push(format!(
                "{taken} events were taken where the window has {window} (C21)"
            ));
        }
        broken
    }

    /// Which figures are not as they should be. A busy machine may be why.
    #[must_use]
    pub fn missed(&self) -> Vec<&'static str> {
        let mut missed = Vec::new();
        if self.of_the_budget() > OVER_BUDGET {
            missed.push("memory");
        }
        if self.of_the_best() < GOODPUT {
            missed.push("goodput");
        }
        if self.refusals().is_some_and(|[_, p99, _]| p99 > REFUSAL_MS) {
            missed.push("refusals");
        }
        if self.back.normal_s.is_none_or(|seconds| seconds > RETURN_S) {
            missed.push("return");
        }
        missed
    }

    /// One row of the table.
    #[must_use]
    pub fn row(&self) -> String {
        let (totals, seconds) = (&self.totals, self.case.seconds as f64);
        let refusals = self.refusals().map_or_else(
            || "none".to_owned(),
            |[a, b, c]| format!("{a:.1} / {b:.1} / {c:.0}"),
        );
        format!(
            "| {} | {} MiB | {:.0} | {:.0} | {:.0} | {:.0} % | {} | {} | {} | {:.0} ({:.0}, {:.0}) | {:.0} % | {:.0} ({}) | {} | {} |",
            self.name(),
            self.case.memory_mib,
            self.found.sustainable,
            self.overload.offered as f64 / seconds,
            self.goodput(),
            self.of_the_best() * 100.0,
            totals.accepted,
            totals.lost,
            totals.duplicates,
            self.peak_mib,
            self.base_mib,
            self.normal_mib,
            self.of_the_budget() * 100.0,
            self.peaks.unsettled,
            self.window,
            refusals,
            self.back_text(),
        )
    }

    fn back_text(&self) -> String {
        let normal = self
            .back
            .normal_s
            .map_or_else(|| "not in 60 s".to_owned(), |seconds| format!("{seconds} s"));
        match self.back.drain_rate {
            Some(rate) => format!(
                "{} behind in {} s at {rate:.0}/s, then {normal}",
                self.backlog, self.back.drained_s
            ),
            None => normal,
        }
    }

    /// One line of `name=value`.
    #[must_use]
    pub fn line(&self) -> String {
        let Totals {
            offered,
            accepted,
            refused,
            unknown,
            arrived,
            lost,
            refused_arrived,
            duplicates,
            changed,
            unsent,
        } = self.totals;
        let [p50, p99, max] = self.refusals().unwrap_or_default();
        let accept = |per_mille| quantile_ms(&self.overload.accept_us, per_mille).unwrap_or_default();
        let missed = self.missed().join(",");
        format!(
            "overload case={} memory_mib={} seconds={} sustainable={:.0} best={:.0} offered_per_s={:.0} goodput={:.0} \
             offered={offered} accepted={accepted} refused={refused} unknown={unknown} unsent={unsent} arrived={arrived} \
             lost={lost} refused_arrived={refused_arrived} duplicates={duplicates} changed={changed} \
             peak_mib={:.1} base_mib={:.1} normal_mib={:.1} resident_mib={:.1} used_mib={:.1} unsettled={} window={} \
             lag={} open={} backlog={} drained_s={} drain_rate={:.0} normal_s={} usual_p99_ms={:.1} \
             accept_p50_ms={:.1} accept_p99_ms={:.1} refuse_p50_ms={p50:.2} refuse_p99_ms={p99:.2} refuse_max_ms={max:.2} missed={}",
            self.name().replace([' ', ','], "_"),
            self.case.memory_mib,
            self.case.seconds,
            self.found.sustainable,
            self.found.best,
            self.overload.offered as f64 / self.case.seconds as f64,
            self.goodput(),
            self.peak_mib,
            self.base_mib,
            self.normal_mib,
            self.peaks.resident_mib,
            self.peaks.used_bytes / 1024.0 / 1024.0,
            self.peaks.unsettled,
            self.window,
            self.peaks.lag,
            self.open,
            self.backlog,
            self.back.drained_s,
            self.back.drain_rate.unwrap_or_default(),
            self.back
                .normal_s
                .map_or_else(|| "none".to_owned(), |s| s.to_string()),
            self.usual_ms,
            accept(500),
            accept(990),
            if missed.is_empty() { "nothing" } else { &missed },
        )
    }
}
